// Every page, by axe in light and dark, and at the width of a phone.

import assert from "node:assert/strict";
import { test } from "node:test";

const WIDE = { width: 1200, height: 900 };
const PHONE = { width: 360, height: 740 };
const EDGES = "contract/Edge-Cases";

/** Pages that need no model; they can be looked at while models are built. */
export function looksOfTheHouse(world) {
  test("pages of the site and of accounts are accessible in light and dark, and fit a phone", async (t) => {
    const person = await world.person(t, "ada", { viewport: WIDE });
    const anybody = await world.person(t, undefined, { viewport: WIDE });
    await look(t, person, {
      settings: "/users/settings/",
      "trusted workflows": "/users/settings/trust/",
      password: "/users/password_change/",
      leaving: "/users/delete/",
      publish: "/publish/",
      "a lost page": "/no/such/page/",
    });
    await look(t, anybody, {
      models: "/",
      "sign in": "/users/login/",
      "sign up": "/users/signup/",
      "forgotten password": "/users/password_reset/",
      "new password": "/users/reset/",
      "the API": "/api/",
    });
    for (const somebody of [person, anybody]) await somebody.leave();
  });
}

/** Pages of models and simulations, those that earlier tests made among them. */
export function looksOfModels(world) {
  test("pages of models and simulations are accessible in light and dark, and fit a phone", async (t) => {
    const { site } = world;
    const token = await site.account("ada");
    const refused = await site.simulate(token, EDGES, { Run: { check: [{ value: "error" }] } });
    const running = await site.simulate(token, EDGES, { Run: { case: [{ value: "sleeps" }], seconds: [{ value: 600 }] } });
    const person = await world.person(t, "ada", { viewport: WIDE });
    const anybody = await world.person(t, undefined, { viewport: WIDE });
    await look(t, person, {
      "the list of models": "/",
      profile: "/ada/",
      model: "/ada/My-Null/",
      builds: "/ada/My-Null/builds/",
      "model settings": "/ada/My-Null/settings/",
      "pull requests": "/ada/My-Null/pulls/",
      "a new pull request": "/ada/My-Null/pulls/new/",
      "pull requests of the publish repository": "/publish/pulls/",
      build: world.build,
      comparison: world.comparison,
      "form of many parts": "/healthlab/Epidemic/new/",
      "refused inputs": `/${EDGES}/${refused}/edit/`,
      "a run under way": `/${EDGES}/${running}/`,
      "a failure": world.failed,
      tables: world.mortgage,
      plots: world.epidemic,
      inputs: `${world.mortgage}edit/`,
      sharing: `${world.mortgage}sharing/`,
      deletion: `${world.mortgage}delete/`,
    });
    await look(t, anybody, { "a form, without a name": "/finlab/Mortgage/new/" });
    await site.ask(token, "POST", `/${EDGES}/api/v1/${running}/cancel/`);
    for (const somebody of [person, anybody]) await somebody.leave();
  });
}

async function look(t, person, pages) {
  const { page } = person;
  for (const [name, place] of Object.entries(pages)) {
    await t.test(name, async () => {
      await page.emulateMedia({ colorScheme: "light" });
      await page.setViewportSize(WIDE);
      await person.tryToOpen(place);
      await page.evaluate(() => document.querySelectorAll("details").forEach((details, at) => { details.open = at < 3; }));
      assert.deepEqual(await person.violations(), []);
      await page.emulateMedia({ colorScheme: "dark" });
      assert.deepEqual(await person.violations({ type: "rule", values: ["color-contrast"] }), [], "in the dark");
      await page.setViewportSize(PHONE);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, "nothing is wider than a phone");
    });
  }
}
