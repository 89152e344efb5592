// Who sees a simulation, and who stands on it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { described } from "./accounts.mjs";

const EDGES = "contract/Edge-Cases";

export function sharing(world) {
  test("a simulation is private, public, and private again", async (t) => {
    const ada = await world.person(t, "ada");
    const stranger = await world.person(t, "stranger");
    const anybody = await world.person(t);
    const status = async (person, path) => (await person.page.request.get(path, { maxRedirects: 0 })).status();
    const place = await ada.run(EDGES, { "Title of the simulation": "In the open" });
    await ada.until("finished");
    const visible = async (expected) => {
      assert.equal(await status(stranger, place), expected ? 200 : 403);
      assert.equal(await status(anybody, place), expected ? 200 : 303, "whoever has no name is asked for it");
    };
    await visible(false);
    await ada.choose(ada.page.getByRole("link", { name: "Sharing" }));
    await ada.page.getByRole("button", { name: "Make public" }).click();
    await visible(true);
    await stranger.page.goto(place);
    await stranger.frame("Result").getByText("nothing out of the ordinary").waitFor();
    assert.equal(await stranger.page.getByRole("link", { name: "Sharing" }).count(), 0);
    await anybody.page.goto("/ada/");
    await anybody.page.getByRole("link", { name: "In the open" }).waitFor();
    await ada.page.getByRole("button", { name: "Make private" }).click();
    await visible(false);
    for (const person of [ada, stranger, anybody]) await person.leave();
  });

  test("it is shared with a reader, who can't change it, and taken back", async (t) => {
    const ada = await world.person(t, "ada");
    const grace = await world.person(t, "grace");
    const place = await ada.run(EDGES, { "Title of the simulation": "For Grace" });
    await ada.until("finished");
    await ada.choose(ada.page.getByRole("link", { name: "Sharing" }));
    const share = ada.page.locator("form", { has: ada.page.getByRole("heading", { name: "Share it" }) });
    await share.getByLabel("Username").fill("nobody-at-all");
    await share.getByRole("button", { name: "Share" }).click();
    assert.match(await share.getByLabel("Username").evaluate(described), /no such account: nobody-at-all/);
    await share.getByLabel("Username").fill("grace");
    await share.getByLabel("May").selectOption("read");
    await share.getByRole("button", { name: "Share" }).click();
    await ada.page.getByRole("row").filter({ hasText: "grace" }).waitFor();
    await grace.page.goto("/grace/");
    await grace.page.getByRole("link", { name: "For Grace" }).click();
    await grace.frame("Result").getByText("nothing out of the ordinary").waitFor();
    await grace.choose(grace.page.getByRole("link", { name: "Sharing" }));
    assert.equal(await grace.page.getByRole("button", { name: "Make public" }).count(), 0);
    for (const [action, fields] of [["visibility", { public: "1" }], ["title", { title: "Mine" }], ["delete", {}]]) {
      const refused = await grace.page.request.post(`${place}${action}/`, { form: fields });
      assert.equal(refused.status(), 403, action);
    }
    await ada.page.getByRole("button", { name: "Remove grace" }).click();
    await ada.page.getByRole("status").filter({ hasText: "Removed" }).waitFor();
    assert.equal((await grace.tryToOpen(place)).status(), 403);
    for (const person of [ada, grace]) await person.leave();
  });

  test("an author is invited, and is one when they accept: looking at the invitation does nothing", async (t) => {
    const ada = await world.person(t, "ada");
    const grace = await world.person(t, "grace");
    const place = await ada.run(EDGES, { "Title of the simulation": "Together" });
    await ada.until("finished");
    await ada.choose(ada.page.getByRole("link", { name: "Sharing" }));
    const invite = ada.page.locator("form", { has: ada.page.getByRole("heading", { name: "Invite an author" }) });
    await invite.getByLabel("Username").fill("grace");
    await invite.getByRole("button", { name: "Invite" }).click();
    await ada.page.getByRole("button", { name: "Withdraw the invitation of grace" }).waitFor();
    await grace.page.goto(place);
    const address = await grace.page.locator("form[action*='/access/']").getAttribute("action");
    await grace.page.goto(address);
    await grace.page.getByRole("heading", { name: "Become an author?" }).waitFor();
    await grace.page.goto(place);
    assert.doesNotMatch(await grace.page.locator(".under").textContent(), /grace/);
    const other = await ada.run(EDGES, {});
    const elsewhere = await grace.tryToOpen(address.replace(place, other));
    assert.ok([403, 404].includes(elsewhere.status()), "an invitation is good for its own simulation");
    await grace.page.goto(place);
    await grace.choose(grace.page.getByRole("button", { name: "Accept" }));
    await grace.page.getByText("by ada, grace").waitFor();
    await ada.page.goto(`${place}sharing/`);
    await ada.page.getByRole("list").getByRole("button", { name: "Remove grace" }).click();
    await ada.page.getByRole("status").filter({ hasText: "Removed" }).waitFor();
    for (const person of [ada, grace]) await person.leave();
  });
}
