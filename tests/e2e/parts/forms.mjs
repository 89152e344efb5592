// Finding a model and filling in its form.

import assert from "node:assert/strict";
import { test } from "node:test";
import { described } from "./accounts.mjs";

const MORTGAGE = "finlab/Mortgage";
const EDGES = "contract/Edge-Cases";

export function forms(world) {
  test("the keyboard alone finds a model, fills in its form, runs it and reads the results", async (t) => {
    await world.site.model(MORTGAGE);
    const person = await world.person(t, "ada");
    const { page } = person;
    const press = (key) => page.keyboard.press(key);
    /** Goes on by Tab to the element of this role and name. */
    const reach = async (role, name) => {
      for (let step = 0; step < 80; step += 1) {
        await press("Tab");
        const at = await page.evaluate(() => document.activeElement?.tagName);
        const focused = page.getByRole(role, { name, exact: true }).and(page.locator(":focus"));
        if (at !== "IFRAME" && (await focused.count()) > 0) {
          const style = await focused.evaluate((element) => getComputedStyle(element).outlineStyle);
          assert.notEqual(style, "none", `the focus on ${name} can be seen`);
          return;
        }
      }
      assert.fail(`Tab does not reach ${role} ${name}`);
    };
    await page.goto("/");
    await press("Tab");
    assert.equal(await page.locator(":focus").textContent(), "Skip to content");
    await press("Enter");
    await reach("searchbox", "Search");
    await page.keyboard.type("mortgage");
    await press("Enter");
    await page.waitForURL(/search=mortgage/);
    await reach("link", "Mortgage");
    await press("Enter");
    await page.waitForURL(/Mortgage\/$/);
    await reach("link", "Create simulation");
    await press("Enter");
    await page.waitForURL(/\/new\/$/);
    await reach("textbox", "Amount borrowed (USD)");
    await page.keyboard.type("250000");
    await reach("textbox", "Title of the simulation");
    await page.keyboard.type("By keyboard");
    await reach("button", "Run");
    await press("Enter");
    await person.until("finished");
    await page.getByRole("heading", { level: 1, name: "By keyboard" }).waitFor();
    const table = person.frame("Year by year, with extra payments");
    await table.getByRole("button", { name: "Balance at the end (USD)" }).focus();
    await press("Enter");
    assert.equal(await table.locator("tbody tr").first().locator("td").last().textContent(), "0.00");
    world.mortgage = person.place();
    await person.leave();
  });

  test("what can't be read is named at its field, and nothing is lost", async (t) => {
    await world.site.model(MORTGAGE);
    const person = await world.person(t, "ada");
    const { page } = person;
    await page.goto(`/${MORTGAGE}/new/`);
    await person.fill({ "Amount borrowed (USD)": "a lot", "Length (years)": "12", "Title of the simulation": "Kept" });
    await page.getByLabel("Anybody may see it").check();
    await page.getByRole("button", { name: "Run", exact: true }).click();
    const amount = page.getByLabel("Amount borrowed (USD)");
    assert.equal(await amount.getAttribute("aria-invalid"), "true");
    assert.match(await amount.evaluate(described), /Not a valid number/);
    assert.match(await page.title(), /^Error: /);
    const summary = page.getByRole("alert");
    assert.ok(await summary.evaluate((element) => element === document.activeElement), "the summary is read first");
    await summary.getByRole("link", { name: "Amount borrowed (USD)" }).click();
    assert.equal(await page.getByLabel("Length (years)").inputValue(), "12");
    assert.equal(await page.getByLabel("Title of the simulation").inputValue(), "Kept");
    assert.ok(await page.getByLabel("Anybody may see it").isChecked());
    await amount.fill("100000");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await person.until("finished");
    await page.getByText("public").first().waitFor();
    await person.leave();
  });

  test("what the model refuses is named at its field, mended, and sent again", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    const place = await person.run(EDGES, { Check: "error", Text: "hello" });
    await page.waitForURL(/\/edit\/$/);
    await person.until("inputs refused");
    const text = page.getByLabel("Text", { exact: true });
    assert.equal(await text.inputValue(), "hello");
    assert.equal(await text.getAttribute("aria-invalid"), "true");
    assert.match(await text.evaluate(described), /This text is refused/);
    world.refused = person.place();
    await person.run(EDGES, { Check: "warning" });
    await person.until("finished");
    await person.choose(page.getByRole("link", { name: "Inputs", exact: true }));
    assert.match(await page.getByLabel("Text", { exact: true }).evaluate(described), /with a warning/);
    await page.goto(`${place.replace(/edit\/$/, "")}edit/`);
    await person.fill({ Check: "plain" });
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await person.until("finished");
    assert.equal(person.place(), place.replace(/edit\/$/, ""), "it is the same simulation");
    world.refused = undefined;
    await person.leave();
  });

  test("settings that were changed show their defaults before anything is run", async (t) => {
    await world.site.model(MORTGAGE);
    const person = await world.person(t, "ada");
    const { page } = person;
    await page.goto(`/${MORTGAGE}/new/`);
    await person.fill({ Convention: "Canada", "Length (years)": "20" });
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByRole("status").filter({ hasText: "The settings changed" }).waitFor();
    assert.equal(await page.getByLabel("Amount borrowed (CAD)").count(), 1);
    assert.equal(await page.getByLabel("Length (years)").inputValue(), "20");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await person.until("finished");
    await person.frame("In short").getByText("CAD").first().waitFor();
    await page.goto(`/${MORTGAGE}/new/?convention=UK`);
    assert.equal(await page.getByLabel("Amount borrowed (GBP)").count(), 1);
    await page.goto(`/${MORTGAGE}/new/?convention=Mars`);
    assert.match(await page.getByLabel("Convention").evaluate(described), /Mars/);
    await person.leave();
  });

  test("whoever has not signed in sees the form, and where to sign in", async (t) => {
    await world.site.model(MORTGAGE);
    const person = await world.person(t);
    const { page } = person;
    await page.goto(`/${MORTGAGE}/new/`);
    assert.equal(await page.getByRole("button", { name: "Run", exact: true }).count(), 0);
    await page.getByRole("main").getByRole("link", { name: "sign in" }).click();
    await page.getByLabel("Username or mail address").fill("ada");
    await page.getByLabel("Password").fill("correct horse");
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(`/${MORTGAGE}/new/`);
    await page.getByRole("button", { name: "Run", exact: true }).waitFor();
    await person.leave();
  });
}
