// Runs as they happen, and what can be done with a simulation.

import assert from "node:assert/strict";
import { test } from "node:test";

const EDGES = "contract/Edge-Cases";

export function runs(world) {
  test("state and log come by themselves, and the results at the end", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    await person.run(EDGES, { Case: "prints-slowly", Seconds: "1.5" });
    const log = page.getByRole("region", { name: "Log" });
    await page.evaluate(() => { window.stays = true; });
    await page.getByRole("status").filter({ hasText: "Running" }).waitFor();
    await log.filter({ hasText: "tick 3" }).waitFor();
    const early = await log.textContent();
    await page.waitForFunction((length) => document.querySelector("[data-log]").textContent.length > length, early.length);
    assert.ok(await page.evaluate(() => window.stays), "the page was not loaded again");
    await person.until("finished");
    await person.frame("Result").getByText("ticks").waitFor();
    await person.choose(page.locator("summary"));
    assert.match(await log.textContent(), /^tick 0\ntick 1\n/);
    await person.leave();
  });

  test("a run is cancelled, and says so", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    await person.run(EDGES, { Case: "sleeps", Seconds: "600" });
    await page.getByRole("status").filter({ hasText: "Running" }).waitFor();
    world.running = person.place();
    await page.getByRole("button", { name: "Cancel" }).click();
    await person.until("cancelled");
    await page.getByRole("alert").waitFor();
    await person.leave();
  });

  test("a model that fails shows what it said", async (t) => {
    const person = await world.person(t, "ada");
    await person.run(EDGES, { Case: "raises", Text: "of no use" });
    await person.until("failed");
    await person.page.getByRole("region", { name: "What went wrong" }).filter({ hasText: "ValueError: of no use" }).waitFor();
    world.failed = person.place();
    await person.leave();
  });

  test("the same inputs are answered at once, unless they are run again", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    const answered = page.getByText("Answered at once by an earlier identical run.");
    await person.run(EDGES, { Text: "once" });
    await person.until("finished");
    assert.equal(await answered.count(), 0);
    await person.run(EDGES, { Text: "once" });
    await answered.waitFor();
    const place = person.place();
    await person.choose(page.getByRole("button", { name: "Run again" }));
    await page.waitForURL((url) => url.pathname !== place);
    await person.until("finished");
    assert.equal(await answered.count(), 0);
    const original = person.place();
    await person.choose(page.getByRole("button", { name: "Fork" }));
    await page.waitForURL((url) => url.pathname !== original);
    await person.frame("Result").getByText("once").waitFor();
    await person.leave();
  });

  test("a simulation is renamed, put away, found again, and deleted on purpose", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    const place = await person.run(EDGES, { "Title of the simulation": "Rubbish" });
    await person.until("finished");
    await person.choose(page.getByRole("link", { name: "Sharing" }));
    await page.getByLabel("Title").fill("Recycled");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { level: 1, name: "Recycled" }).waitFor();
    await page.getByRole("button", { name: "Archive" }).click();
    await page.getByRole("status").filter({ hasText: "Archived" }).waitFor();
    await page.goto("/ada/?search=recycled");
    assert.equal(await page.getByRole("link", { name: "Recycled" }).count(), 0);
    await page.getByRole("link", { name: "Archived ones" }).click();
    await page.getByRole("link", { name: "Recycled" }).click();
    await person.choose(page.getByRole("link", { name: "Sharing" }));
    await page.getByRole("button", { name: "Back into the list" }).click();
    await page.getByRole("link", { name: "Delete …" }).click();
    await page.getByRole("link", { name: "Keep it" }).click();
    assert.equal(person.place(), place, "asking deletes nothing");
    await page.goto(`${place}delete/`);
    await page.getByRole("button", { name: "Delete for ever" }).click();
    await page.getByRole("status").filter({ hasText: "Deleted" }).waitFor();
    assert.equal((await person.tryToOpen(place)).status(), 404);
    await person.leave();
  });

  test("long lists come in parts", async (t) => {
    const token = await world.site.account("lister");
    await world.site.model(EDGES);
    for (let number = 0; number < 27; number += 1) {
      const made = await world.site.ask(token, "POST", `/${EDGES}/api/v1/new/`);
      assert.equal(made.status, 201);
    }
    const person = await world.person(t, "lister");
    const { page } = person;
    await page.goto("/lister/");
    assert.equal(await page.getByRole("row").count(), 26);
    await page.getByRole("link", { name: "Older" }).click();
    assert.equal(await page.getByRole("row").count(), 3);
    await page.getByText("Page 2 of 2").waitFor();
    await page.getByRole("link", { name: "Newer" }).click();
    await page.getByText("Page 1 of 2").waitFor();
    await person.leave();
  });
}
