// The way through the site without JavaScript.

import assert from "node:assert/strict";
import { test } from "node:test";

const MORTGAGE = "finlab/Mortgage";

export function withoutScripts(world) {
  test("without scripts a model is found, run, read, downloaded and shared", async (t) => {
    await world.site.model(MORTGAGE);
    const person = await world.person(t, "plain", { javaScriptEnabled: false });
    const { page } = person;
    await page.goto("/");
    await person.page.getByLabel("Search").fill("mortgage");
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByRole("link", { name: "Mortgage" }).click();
    await page.getByRole("link", { name: "Create simulation" }).click();
    await page.getByLabel("Convention").selectOption("UK");
    await page.getByRole("button", { name: "Show these defaults" }).click();
    const amount = page.getByLabel("Amount borrowed (GBP)");
    await amount.fill("much");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    assert.equal(await amount.getAttribute("aria-invalid"), "true");
    await amount.fill("150000");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await person.until("finished");
    await person.frame("In short").getByText("GBP").first().waitFor();
    const frame = await page.locator('iframe[title="In short"]').boundingBox();
    assert.ok(frame.height > 100, "a frame that nobody fits has room");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      person.choose(page.getByRole("link", { name: "Schedule as agreed.csv" })),
    ]);
    assert.equal(await download.failure(), null);
    await person.choose(page.getByRole("link", { name: "Sharing" }));
    await page.getByRole("button", { name: "Make public" }).click();
    await page.getByText("everybody sees it").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await person.leave();
  });

  test("without scripts a run shows its end by itself, and a slow one can be cancelled", async (t) => {
    const person = await world.person(t, "patient", { javaScriptEnabled: false });
    const { page } = person;
    await page.goto("/contract/Edge-Cases/new/");
    await page.getByLabel("Case", { exact: true }).selectOption("prints-slowly");
    await page.getByLabel("Seconds").fill("1.7");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await person.until("(checking inputs|running)");
    await person.until("finished");
    await page.goto("/contract/Edge-Cases/new/");
    await page.getByLabel("Case", { exact: true }).selectOption("sleeps");
    await page.getByLabel("Seconds").fill("600");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByRole("button", { name: "Cancel" }).click();
    await person.until("cancelled");
    await person.leave();
  });
}
