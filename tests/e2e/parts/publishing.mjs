// Publishing a model, and what its publisher decides.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { described } from "./accounts.mjs";
import { commitAll, repositoryOf } from "../support/site.mjs";

export function publishing(world) {
  test("a model is published from a page, its build watched, and its version run", async (t) => {
    const repository = await repositoryOf("contract/Null", path.join(world.site.folder, "repository"));
    const person = await world.person(t, "ada");
    const { page } = person;
    await page.goto("/publish/");
    await person.fill({
      Title: "My Null",
      "One line": "Repeats a number",
      Description: "# Mine\n\n<script>document.title = 'owned'</script> and *more*",
      Repository: "nowhere",
      "Branch, tag or commit": "main",
      "CPUs of a run": "1",
      "Memory of a run in GB": "1",
      "Seconds a run takes, about": "1",
    });
    await page.getByRole("button", { name: "Publish" }).click();
    assert.match(await page.getByLabel("Repository").evaluate(described), /valid URL/);
    assert.equal(await page.getByLabel("One line").inputValue(), "Repeats a number");
    await page.getByLabel("Repository").fill(repository);
    await page.getByRole("button", { name: "Look at it" }).click();
    await page.getByText("Nothing was found that would stop a build.").waitFor();
    assert.equal(await page.getByLabel("One line").inputValue(), "Repeats a number");
    await page.getByRole("button", { name: "Publish" }).click();
    await page.waitForURL(/\/ada\/My-Null\/builds\//);
    world.build = person.place();
    await person.until("succeeded");
    assert.match(await page.getByRole("region", { name: "Log" }).textContent(), /== fetch[^]*== promote/);
    await page.getByRole("link", { name: "Open the model" }).click();
    await page.getByRole("heading", { name: "Mine" }).waitFor();
    assert.doesNotMatch(await page.title(), /owned/);
    world.site.published.set("ada/My-Null", Promise.resolve());
    await person.run("ada/My-Null", { Number: "41" });
    await person.until("finished");
    await person.frame("Number").getByText("41").waitFor();
    await person.leave();
  });

  test("a version is staged, tried, made live, and taken back", async (t) => {
    const repository = path.join(world.site.folder, "repository");
    await writeFile(path.join(repository, "cs-config/cs_config/__init__.py"), '__version__ = "2.0.0"\n');
    await commitAll(repository);
    const person = await world.person(t, "ada");
    const { page } = person;
    await page.goto("/ada/My-Null/");
    await page.getByRole("link", { name: "Versions and builds" }).click();
    await page.getByLabel("Make it live when every stage succeeds").uncheck();
    await page.getByLabel("Leave the model's own tests out").check();
    await page.getByRole("button", { name: "Build", exact: true }).click();
    await page.waitForURL(/\/ada\/My-Null\/builds\/./);
    await person.until("succeeded");
    await page.getByText("Version 2.0.0 is staged. Try it, and promote it.").first().waitFor();
    assert.equal(await page.locator("[data-stage=stage].good").count(), 1);
    assert.equal(await page.locator("[data-stage=promote]").count(), 0);
    const staged = person.place();
    await page.getByRole("link", { name: "Try it" }).click();
    await page.getByText("This is the form of version 2.0.0, which is staged").waitFor();
    await person.fill({ Number: "43" });
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await person.until("finished");
    await page.locator(".tag", { hasText: "staged version" }).waitFor();
    await page.goto(staged);
    await page.getByRole("link", { name: "Beside the live one" }).click();
    await page.getByText(/1 of 1 equal, compared with version 1\.0\.0/).waitFor();
    world.comparison = person.place();
    await page.goto(staged);
    await page.getByRole("button", { name: "Make it live" }).click();
    await page.getByRole("row", { name: /2\.0\.0/ }).getByText("live", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Roll back to 1.0.0" }).click();
    await page.getByRole("row", { name: /1\.0\.0/ }).getByText("live", { exact: true }).waitFor();
    await person.leave();
  });

  test("its secrets are set and deleted, and never shown", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    await page.goto("/ada/My-Null/settings/");
    const [name, value] = [page.getByLabel("Name", { exact: true }), page.getByLabel("Value", { exact: true })];
    const set = page.getByRole("button", { name: "Set secret" });
    assert.equal(await value.getAttribute("type"), "password");
    await name.fill("PATH");
    await value.fill("hunter2");
    await set.click();
    assert.match(await name.evaluate(described), /`PATH` is reserved/);
    assert.equal(await value.inputValue(), "", "a value that was sent does not come back");
    await name.fill("API_KEY");
    await value.fill("hunter2");
    await set.click();
    await page.getByRole("status").filter({ hasText: "Secret stored." }).waitFor();
    await page.getByRole("cell", { name: "API_KEY", exact: true }).waitFor();
    assert.ok(!(await page.content()).includes("hunter2"));
    await page.getByRole("link", { name: "Delete API_KEY" }).click();
    await page.getByRole("button", { name: "Delete for ever" }).click();
    await page.getByRole("status").filter({ hasText: "Secret deleted." }).waitFor();
    assert.equal(await page.getByRole("cell", { name: "API_KEY", exact: true }).count(), 0);
    await person.leave();
  });

  test("its settings are changed by its owner alone, and a wrong one is named", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    await page.goto("/ada/My-Null/");
    await page.getByRole("link", { name: "Settings" }).last().click();
    await person.fill({ "Seconds a run may take": "forever", "CPUs of a run": "0.5" });
    await page.getByLabel("Deterministic").uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    assert.match(await page.getByLabel("Seconds a run may take").evaluate(described), /whole number/);
    assert.ok(!(await page.getByLabel("Deterministic").isChecked()), "what was chosen stays");
    await person.fill({ "Seconds a run may take": "30" });
    await page.getByLabel("Public").uncheck();
    await page.getByLabel("Network").check();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
    const detail = await world.site.ask(await world.site.account("ada"), "GET", "/publish/api/ada/My-Null/detail/");
    const { cpu, deadline, is_public, network, deterministic, listed } = await detail.json();
    assert.deepEqual({ cpu, deadline, is_public, network, deterministic, listed }, {
      cpu: "0.5", deadline: 30, is_public: false, network: true, deterministic: false, listed: true,
    });
    const grace = await world.person(t, "grace");
    assert.equal((await grace.tryToOpen("/ada/My-Null/")).status(), 404);
    await page.getByLabel("Username").fill("grace");
    await page.getByLabel("May", { exact: true }).selectOption("read");
    await page.getByRole("button", { name: "Give access" }).click();
    await page.getByRole("button", { name: "Remove grace" }).waitFor();
    assert.equal((await grace.page.goto("/ada/My-Null/")).status(), 200);
    assert.equal((await grace.tryToOpen("/ada/My-Null/settings/")).status(), 403);
    assert.equal((await grace.page.request.post("/ada/My-Null/settings/", { form: { oneliner: "x" } })).status(), 403);
    for (const somebody of [person, grace]) await somebody.leave();
  });
}
