// What a model made is shown, and can do nothing.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { test } from "node:test";

const EDGES = "contract/Edge-Cases";

export function safety(world) {
  test("markup of a model runs no script, sends nothing, and reaches nobody", async (t) => {
    const asked = [];
    const elsewhere = createServer((request, answer) => {
      asked.push(request.url);
      answer.setHeader("access-control-allow-origin", "*");
      answer.end("got it");
    });
    await once(elsewhere.listen(0, "127.0.0.1"), "listening");
    t.after(() => elsewhere.close());
    const target = `http://127.0.0.1:${elsewhere.address().port}`;
    const person = await world.person(t, "ada");
    const { page } = person;
    // The browser tells what it refuses.
    person.expected.push(/Content Security Policy|sandboxed|Blocked script execution|Refused|ERR_BLOCKED_BY_CSP|violates/i);
    const attack = [
      `<script>document.title = "owned"; fetch("${target}/script")</script>`,
      `<img src="${target}/picture" onerror="fetch('${target}/onerror')">`,
      `<svg onload="fetch('${target}/svg')"></svg>`,
      `<style>@import url(${target}/style); td { background: url(${target}/background) }</style>`,
      `<link rel="stylesheet" href="${target}/link"><link rel="preload" as="image" href="${target}/preload">`,
      `<iframe src="${target}/frame"></iframe><object data="${target}/object"></object>`,
      `<form action="${world.site.url}/users/logout/" method="post"><button>Press</button></form>`,
      `<a href="${target}/away" id="away">away</a> still here`,
    ].join("");
    await person.run(EDGES, { Case: "all-media-types", Text: attack });
    await person.until("finished");
    await page.locator('iframe[title="Table"]').scrollIntoViewIfNeeded();
    await person.frame("Table").getByText("still here").waitFor();
    await person.frame("Table").getByRole("button", { name: "Press" }).click();
    await person.frame("Table").locator("#away").click();
    assert.doesNotMatch(await page.title(), /owned/);
    await person.run(EDGES, { Case: "all-media-types", Text: `<meta http-equiv="refresh" content="0;url=${target}/refresh">` });
    await person.until("finished");
    await page.locator('iframe[title="Table"]').scrollIntoViewIfNeeded();
    await page.waitForTimeout(500);
    await page.reload();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    assert.deepEqual(asked, [], "nothing was asked of another server");
    await person.leave();
  });

  test("even a script that ran would have no origin, no cookie, no parent and no network", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    person.expected.push(/Content Security Policy|sandboxed|Blocked|Refused|violates|cross-origin/i);
    await person.run(EDGES, { Case: "all-media-types" });
    await person.until("finished");
    await page.locator('iframe[title="Table"]').scrollIntoViewIfNeeded();
    await person.frame("Table").getByText("cell").waitFor();
    const frame = page.frames().find((one) => one.url().includes("/view/") && one !== page.mainFrame());
    const found = await frame.evaluate(async (site) => {
      const attempt = async (action) => {
        try {
          return `did: ${await action()}`;
        } catch (error) {
          return error.name;
        }
      };
      return {
        origin: window.origin,
        cookie: await attempt(() => document.cookie),
        storage: await attempt(() => localStorage.length),
        parent: await attempt(() => parent.document.title),
        leave: await attempt(() => { top.location.href = "https://example.org/"; }),
        site: await attempt(() => fetch(`${site}/users/settings/`, { credentials: "include" })),
        socket: await attempt(() => new Promise((resolve, reject) => {
          const source = new EventSource(`${site}/`);
          source.onerror = () => reject(new DOMException("refused", "NetworkError"));
          source.onopen = () => resolve("open");
        })),
        popup: await attempt(() => { if (!window.open("/")) throw new DOMException("refused", "SecurityError"); }),
        code: await attempt(() => Function("return 1")()),
      };
    }, world.site.url);
    const { code, ...walls } = found;
    assert.deepEqual(walls, {
      origin: "null",
      cookie: "SecurityError",
      storage: "SecurityError",
      parent: "SecurityError",
      leave: "SecurityError",
      site: "TypeError",
      socket: "NetworkError",
      popup: "SecurityError",
    });
    assert.equal(code, "EvalError");
    const view = frame.url();
    await page.goto(view);
    assert.match(person.place(), /\/contract\/Edge-Cases\/\d+\/$/, "a frame is not opened by itself");
    await person.leave();
  });

  test("titles and logs of a model are text", async (t) => {
    const person = await world.person(t, "ada");
    const { page } = person;
    person.expected.push(/Content Security Policy|sandboxed|Blocked script execution/i);
    await person.run(EDGES, { Case: "scripts" });
    await person.until("finished");
    assert.equal(await page.locator("main script, main form[action='/users/delete/']").count(), 0);
    assert.doesNotMatch(await page.title(), /owned/);
    await person.run(EDGES, { Case: "prints-raw-bytes" });
    await person.until("finished");
    await person.choose(page.locator("summary"));
    await page.getByRole("region", { name: "Log" }).filter({ hasText: "<script>alert(1)</script>" }).waitFor();
    await person.leave();
  });

  test("a page of another site can't use a visitor's session", async (t) => {
    const other = createServer((_, answer) => {
      answer.setHeader("content-type", "text/html");
      answer.end(`<form method="post" action="${world.site.url}/users/settings/tokens/"><input name="name" value="stolen"><button>Win</button></form>`);
    });
    await once(other.listen(0, "127.0.0.1"), "listening");
    t.after(() => other.close());
    const person = await world.person(t, "ada");
    const { page } = person;
    person.expected.push(/^asked http:\/\/localhost/, /status of 403/);
    // Another name of this machine is another site.
    await page.goto(`http://localhost:${other.address().port}/`);
    await page.getByRole("button", { name: "Win" }).click();
    await page.getByText("CSRF Failed").waitFor();
    await page.goto("/users/settings/");
    assert.equal(await page.getByText("stolen").count(), 0);
    await person.leave();
  });
}
