// People with a browser. Whatever they do, no page of the site may ask another site for anything, or complain.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

// NODE_PATH counts for `require` only.
const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const axe = require("node:fs").readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export function openBrowser() {
  const quiet = ["disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"];
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", ...quiet.map((word) => `--${word}`)],
  });
}

/** Somebody at a browser. */
export class Person {
  /**
   * @param {import("./site.mjs").Site} site
   * @param {object} browser
   * @param {object} options of the browser's context
   */
  static async sitDown(site, browser, options = {}) {
    // What moves for ever is drawn for ever.
    const context = await browser.newContext({ baseURL: site.url, reducedMotion: "reduce", ...options });
    context.setDefaultTimeout(60_000);
    const person = new Person(site, context);
    person.page = await context.newPage();
    return person;
  }

  constructor(site, context) {
    this.site = site;
    this.context = context;
    this.complaints = [];
    /** Patterns of complaints that belong to what is tried. */
    this.expected = [];
    const isForeign = (url) => !url.startsWith(site.url) && !/^(data|blob|about|chrome-error):/.test(url);
    context.on("request", (request) => {
      if (isForeign(request.url())) this.complaints.push(`asked ${request.url()}`);
    });
    context.on("requestfailed", (request) => {
      // The policy of the page kept it from being sent.
      const kept = request.failure().errorText === "csp" && this.complaints.indexOf(`asked ${request.url()}`);
      if (kept >= 0) this.complaints.splice(kept, 1);
    });
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.complaints.push(`${message.text()} (${message.location().url})`);
    });
    context.on("weberror", ({ page, error }) => this.complaints.push(`${error()} on ${page()?.url()}`));
  }

  /** Opens a page that is refused. */
  async tryToOpen(place) {
    this.expected.push(/Failed to load resource: the server responded with a status of 40[345]/);
    return this.page.goto(place);
  }

  /** Fills in fields by their labels. */
  async fill(values) {
    for (const [label, value] of Object.entries(values)) {
      const field = this.page.getByLabel(label, { exact: true });
      const kind = await field.evaluate((element) => element.tagName);
      await (kind === "SELECT" ? field.selectOption(value) : field.fill(value));
    }
  }

  /**
   * Chooses a link or a button by the keyboard. On pages with frames a click may hit a frame where it was before the
   * page scrolled, because it is drawn by another process.
   */
  async choose(target) {
    await target.focus();
    await this.page.keyboard.press("Enter");
  }

  /** Opens the form of a model, fills it in and runs it; waits for the page that follows. */
  async run(model, values = {}) {
    await this.site.model(model);
    await this.page.goto(`/${model}/new/`);
    await this.fill(values);
    await this.page.getByRole("button", { name: "Run", exact: true }).click();
    await this.page.waitForURL(/\/\d+\/(edit\/)?$/);
    return this.place();
  }

  /** Where they are. */
  place() {
    return new URL(this.page.url()).pathname;
  }

  /** Waits until the page says that the simulation stands so. */
  async until(status) {
    try {
      await this.page.locator(".tag", { hasText: new RegExp(`^${status}$`) }).first().waitFor();
    } catch (error) {
      const shown = await this.page.getByRole("main").textContent();
      throw new Error(`${this.place()} does not become ${status}: ${shown?.replace(/\s+/g, " ").slice(0, 2000)}`, { cause: error });
    }
  }

  /** The document in the frame of an output. */
  frame(title) {
    return this.page.frameLocator(`iframe[title="${title}"]`);
  }

  /** What axe finds on the page and in its frames, but for those of plots, which BokehJS draws. */
  async violations(rules = { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }) {
    const found = [];
    for (const frame of this.page.frames()) {
      if (frame.isDetached() || (await frame.locator("#document").count()) > 0) continue;
      if (!(await frame.evaluate(() => "axe" in globalThis))) await frame.evaluate(axe);
      const options = { runOnly: rules, resultTypes: ["violations"], iframes: false, preload: false };
      const result = await frame.evaluate((options) => globalThis.axe.run(document, options), options);
      found.push(...result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`));
    }
    return found;
  }

  /** Goes, and was content with what they saw. */
  async leave() {
    const complaints = this.complaints.filter((text) => !this.expected.some((pattern) => pattern.test(text)));
    await this.context.close();
    assert.deepEqual(complaints, []);
  }
}
