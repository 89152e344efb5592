// Outputs: tables, plots, pictures, files.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const MORTGAGE = "finlab/Mortgage";
const EPIDEMIC = "healthlab/Epidemic";

export function outputs(world) {
  test("tables fit their frames, and sort by a click", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    await person.run(MORTGAGE, { "Amount borrowed (USD)": "200000" });
    await person.until("finished");
    const title = "Year by year, with extra payments";
    const frame = page.locator(`iframe[title="${title}"]`);
    await frame.scrollIntoViewIfNeeded();
    const table = person.frame(title);
    const rows = table.locator("tbody tr");
    await table.getByRole("button", { name: "Interest (USD)" }).waitFor();
    const fits = async () => {
      const inner = await table.locator("html").evaluate((element) => element.getBoundingClientRect().height);
      const outer = (await frame.boundingBox()).height;
      return Math.abs(inner - outer) <= 2;
    };
    await waitUntil(fits, "the frame is as high as its table");
    const column = async (at) => (await rows.evaluateAll((all, at) => all.map((row) => row.cells[at].textContent), at)).map(number);
    const years = await column(0);
    const head = table.getByRole("columnheader", { name: "Interest (USD)" });
    await head.getByRole("button").click();
    assert.equal(await head.getAttribute("aria-sort"), "ascending");
    const sorted = await column(3);
    assert.deepEqual(sorted, [...sorted].sort((a, b) => a - b));
    assert.ok(sorted.length > 20 && sorted[0] < sorted.at(-1));
    await head.getByRole("button").click();
    assert.deepEqual(await column(3), [...sorted].reverse());
    await head.getByRole("button").click();
    assert.deepEqual(await column(0), years, "the third time the order of the model is back");
    world.mortgage = person.place();
    await person.leave();
  });

  test("files are downloaded one by one, and all together", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    await page.goto(world.mortgage);
    const save = async (link) => {
      const [download] = await Promise.all([page.waitForEvent("download"), person.choose(link)]);
      return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
    };
    const csv = await save(page.getByRole("link", { name: "Schedule as agreed.csv" }));
    assert.equal(csv.name, "Schedule as agreed.csv");
    assert.match(csv.bytes.toString(), /^number,due,/);
    const zip = await save(page.getByRole("link", { name: "Download all (zip)" }));
    assert.equal(zip.bytes.subarray(0, 2).toString(), "PK");
    await person.leave();
  });

  test("plots are drawn and pictures are shown", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    await person.run(EPIDEMIC, {});
    await person.until("finished");
    world.epidemic = person.place();
    for (const title of ["New infections a day", "People in hospital"]) {
      await page.locator(`iframe[title="${title}"]`).scrollIntoViewIfNeeded();
      const canvas = person.frame(title).locator("canvas").first();
      await canvas.waitFor();
      const drawn = () => canvas.evaluate((element) => {
        const { width, height } = element;
        if (!width || !height) return false;
        return element.getContext("2d").getImageData(0, 0, width, height).data.some((value) => value !== 0);
      });
      await waitUntil(drawn, `${title} is drawn`);
    }
    const picture = page.getByRole("img", { name: "Infections by age and week" });
    await picture.scrollIntoViewIfNeeded();
    await waitUntil(() => picture.evaluate((image) => image.complete && image.naturalWidth > 100), "the picture is there");
    await page.setViewportSize({ width: 360, height: 700 });
    assert.ok((await picture.boundingBox()).width <= 360, "it is scaled to the page");
    await person.leave();
  });

  test("thumbnails come by themselves, and lead to what they show", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    await page.goto(world.mortgage);
    const overview = page.getByRole("navigation", { name: "Outputs" });
    const links = overview.getByRole("link");
    const pictures = overview.locator("img");
    await pictures.nth((await links.count()) - 1).waitFor();
    await waitUntil(() => pictures.evaluateAll((all) => all.every(({ naturalWidth }) => naturalWidth === 600)), "they are seen");
    const title = "Year by year, with extra payments";
    await person.choose(overview.getByRole("link", { name: title, exact: true }));
    const heading = page.getByRole("heading", { name: title });
    await waitUntil(() => heading.evaluate((element) => Math.abs(element.getBoundingClientRect().top) < innerHeight), "it is in sight");
    await page.goto("/ada/");
    assert.ok((await page.locator("td img").count()) > 0, "lists have them too");
    await person.leave();
  });
}

function number(text) {
  return Number(text.replaceAll(",", ""));
}

async function waitUntil(condition, what) {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await condition()) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  assert.fail(`it does not come about that ${what}`);
}
