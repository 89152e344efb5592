// Signing up, in and out; API tokens; the pages of an account.

import assert from "node:assert/strict";
import { test } from "node:test";

export function accounts(world) {
  test("whoever signs up is told what is wrong at its field, and comes in", async (t) => {
    const person = await world.person(t);
    const { page } = person;
    await page.goto("/");
    await page.getByRole("link", { name: "Sign up" }).click();
    await person.fill({ Username: "publish", Password: "short", "Password again": "short" });
    await page.getByRole("main").getByRole("button", { name: "Sign up" }).click();
    const name = page.getByLabel("Username");
    assert.equal(await name.getAttribute("aria-invalid"), "true");
    assert.match(await name.evaluate(described), /publish/);
    assert.match(await page.getByLabel("Password", { exact: true }).evaluate(described), /too short/);
    assert.equal(await name.inputValue(), "publish", "what was written stays");
    await person.fill({ Username: "Zoë", Password: "correct horse", "Password again": "correct horse" });
    await page.getByRole("main").getByRole("button", { name: "Sign up" }).click();
    await page.getByRole("link", { name: "Zoë" }).click();
    await page.getByRole("heading", { level: 1, name: "Zoë" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("link", { name: "Sign in" }).waitFor();
    await person.leave();
  });

  test("signing in leads back to where one was, and a wrong password says so", async (t) => {
    await world.site.account("ada");
    const person = await world.person(t);
    const { page } = person;
    await page.goto("/users/settings/");
    assert.equal(person.place(), "/users/login/");
    await page.getByLabel("Username or mail address").fill("ada");
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").filter({ hasText: "Unable to log in" }).waitFor();
    await page.getByLabel("Password").fill("correct horse");
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL("/users/settings/");
    const cookies = await person.context.cookies();
    assert.ok(cookies.every((cookie) => cookie.httpOnly), "no script reads a cookie");
    await page.goto("/users/login/?next=//elsewhere.example/");
    assert.equal(await page.locator("input[name=next]").inputValue(), "/", "only places of this site");
    await person.leave();
  });

  test("a token has a name and an end, is shown once, works, and is revoked", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    await page.goto("/users/settings/");
    await person.fill({ "Name of a new token": "laptop", "Days it works": "soon" });
    await page.getByRole("button", { name: "Make a token" }).click();
    const days = page.getByLabel("Days it works");
    assert.match(await days.evaluate(described), /number of days/);
    assert.equal(await page.getByLabel("Name of a new token").inputValue(), "laptop");
    await days.fill("7");
    await page.getByRole("button", { name: "Make a token" }).click();
    const secret = await page.getByRole("status").locator("code").textContent();
    assert.equal((await world.site.ask(secret, "GET", "/api/v1/tokens/")).status, 200);
    await page.goto("/users/settings/");
    assert.ok(!(await page.content()).includes(secret));
    const row = page.getByRole("row").filter({ hasText: "laptop" });
    assert.doesNotMatch(await row.textContent(), /never/);
    await row.getByRole("button", { name: "Revoke laptop" }).click();
    await page.getByRole("status").filter({ hasText: "revoked" }).waitFor();
    assert.equal((await world.site.ask(secret, "GET", "/api/v1/tokens/")).status, 403);
    await person.leave();
  });

  test("details are changed, and an account is left only on purpose", async (t) => {
    const person = await world.person(t, "leaver");
    const { page } = person;
    await page.goto("/users/settings/");
    await person.fill({ "Mail address": "leaver@example.org", "Given name": "Lea" });
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
    assert.equal(await page.getByLabel("Mail address").inputValue(), "leaver@example.org");
    await page.getByRole("link", { name: "Delete account" }).click();
    await person.fill({ "Type your username": "somebody" });
    await page.getByRole("button", { name: "Delete for ever" }).click();
    assert.match(await page.getByLabel("Type your username").evaluate(described), /your own username/);
    await person.fill({ "Type your username": "leaver" });
    await page.getByRole("button", { name: "Delete for ever" }).click();
    await page.getByRole("status").filter({ hasText: "gone" }).waitFor();
    await page.getByRole("link", { name: "Sign in" }).waitFor();
    await person.leave();
  });

  test("addresses that lead nowhere are pages with a way on", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    for (const place of ["/nobody/", "/ada/Nothing/", "/a/b/c/d/e/", "/contract/Edge-Cases/twelve/"]) {
      const answer = await person.tryToOpen(place);
      assert.equal(answer.status(), 404, place);
      await page.getByRole("heading", { name: "Not found" }).waitFor();
      await page.getByRole("link", { name: "All models" }).waitFor();
    }
    assert.equal((await person.tryToOpen("/users/logout/")).status(), 405);
    await page.getByRole("heading", { name: "Nothing to see here" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 1, "opening an address does nothing");
    await person.leave();
  });
}

/** What a screen reader reads of the field beside its name. */
export function described(field) {
  const ids = (field.getAttribute("aria-describedby") ?? "").split(" ");
  return ids.map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
}
