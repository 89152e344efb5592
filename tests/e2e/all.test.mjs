// What people do with the site, in a real browser, on a real server with real models.
//
// One server and one browser serve all tests, which run in the order of this file. Start with `scripts/test browser`.

import { after, before } from "node:test";
import { openBrowser, Person } from "./support/people.mjs";
import { Site } from "./support/site.mjs";
import { accounts } from "./parts/accounts.mjs";
import { forms } from "./parts/forms.mjs";
import { runs } from "./parts/runs.mjs";
import { outputs } from "./parts/outputs.mjs";
import { sharing } from "./parts/sharing.mjs";
import { safety } from "./parts/safety.mjs";
import { withoutScripts } from "./parts/without-scripts.mjs";
import { publishing } from "./parts/publishing.mjs";
import { looksOfModels, looksOfTheHouse } from "./parts/looks.mjs";

/** What the tests share. */
const world = {
  /** @type {Site} */
  site: undefined,
  browser: undefined,
  /** Somebody at a browser of their own, signed in if they have a name; gone at the end of the test. */
  async person(t, name, options) {
    const person = await Person.sitDown(world.site, world.browser, options);
    t.after(() => person.context.close());
    if (name) await person.context.addCookies([await world.site.session(name)]);
    return person;
  },
};

before(async () => {
  world.site = await Site.start();
  // Builds go on while the first tests need none; the longest waits for the others.
  const { site } = world;
  Promise.all(["contract/Edge-Cases", "finlab/Mortgage"].map((model) => site.model(model)))
    .then(() => site.model("healthlab/Epidemic"))
    .catch(() => {});
  world.browser = await openBrowser();
});

after(async () => {
  await world.browser?.close();
  await world.site?.stop();
});

accounts(world);
looksOfTheHouse(world);
forms(world);
runs(world);
sharing(world);
safety(world);
withoutScripts(world);
publishing(world);
outputs(world);
looksOfModels(world);
