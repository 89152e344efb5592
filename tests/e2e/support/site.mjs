// A site of its own: the program that `CSW` names, on a free port, in a folder that goes with the tests.

import { execFile, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "../../..");
const CSW = process.env.CSW ?? path.join(ROOT, "target/debug/csw");

/** The password of everybody. */
export const PASSWORD = "correct horse";

export class Site {
  /** Starts it, with nothing in it. */
  static async start() {
    // Where the other whole-server tests keep theirs, so that downloaded packages are shared.
    const shared = path.resolve(CSW, "../../it");
    await mkdir(shared, { recursive: true });
    const folder = await mkdtemp(path.join(shared, "e2e-"));
    // The users of the sandbox pass through.
    await chmod(folder, 0o711);
    const site = new Site(folder);
    const log = await open(site.logFile, "w");
    const options = ["--listen", "127.0.0.1:0", "--data", site.data, "--cache", path.join(shared, "packages")];
    const process = spawn(CSW, ["up", "--json", "--log", "json", "--grace", "0", "--allow-local-repositories", ...options], {
      stdio: ["ignore", "pipe", log.fd],
    });
    await log.close();
    site.process = process;
    for await (const line of createInterface({ input: process.stdout })) {
      site.url = JSON.parse(line).url;
      return site;
    }
    throw new Error(`the server did not start:\n${await readFile(site.logFile, "utf8")}`);
  }

  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder;
    this.data = path.join(folder, "data");
    this.logFile = path.join(folder, "server.log");
    this.url = "";
    /** @type {Map<string, Promise<void>>} */
    this.published = new Map();
    /** @type {Map<string, Promise<string>>} */
    this.tokens = new Map();
    /** @type {Map<string, Promise<object>>} */
    this.sessions = new Map();
  }

  /** The token of an account, which is made if it is new. */
  account(name, role = "member") {
    if (!this.tokens.has(name)) this.tokens.set(name, this.#makeAccount(name, role));
    return this.tokens.get(name);
  }

  /** The cookie of an account's session. */
  session(name) {
    if (!this.sessions.has(name)) this.sessions.set(name, this.#openSession(name));
    return this.sessions.get(name);
  }

  async #openSession(name) {
    await this.account(name);
    const body = new URLSearchParams({ username: name, password: PASSWORD });
    const answer = await fetch(`${this.url}/users/login/`, { method: "POST", body, redirect: "manual" });
    const [, cookie, value] = /^(\w+)=(\w+)/.exec(answer.headers.get("set-cookie") ?? "") ?? [];
    if (!cookie) throw new Error(`${name} can't sign in: ${answer.status}`);
    return { name: cookie, value, url: this.url, httpOnly: true, sameSite: "Lax" };
  }

  async #makeAccount(name, role) {
    const words = ["accounts", "create", name, "--role", role, "--password-stdin", "--data", this.data, "--json"];
    const made = run(CSW, words);
    made.child.stdin.end(PASSWORD);
    return JSON.parse((await made).stdout).token;
  }

  /** Publishes an example, whose own tests have their own check; a second call waits for the first. */
  model(name) {
    if (!this.published.has(name)) this.published.set(name, this.#publish(name));
    return this.published.get(name);
  }

  async #publish(name) {
    const token = await this.account(name.split("/")[0]);
    const env = { ...process.env, CS_URL: this.url, CS_API_TOKEN: token };
    const repo = path.join(ROOT, "examples/models", name);
    await run(CSW, ["models", "-n", name, "publish", "--no-example", "--skip-test", "--repo", repo], { env, maxBuffer: 64 << 20 });
  }

  /** A request of a program. */
  async ask(token, method, place, body) {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Token ${token}` }) };
    return fetch(this.url + place, { method, headers, body: body && JSON.stringify(body) });
  }

  /** Makes a simulation by the API; its number. */
  async simulate(token, model, adjustment) {
    await this.model(model);
    const made = await this.ask(token, "POST", `/${model}/api/v1/`, { adjustment });
    if (made.status !== 201) throw new Error(`${model}: ${made.status} ${await made.text()}`);
    return (await made.json()).sim.model_pk;
  }

  async stop() {
    if (this.process?.exitCode === null) {
      this.process.kill("SIGTERM");
      await once(this.process, "exit");
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A git repository with an example in it, as a URL. */
export async function repositoryOf(name, folder) {
  await run("cp", ["-r", path.join(ROOT, "examples/models", name), folder]);
  await run("git", ["-C", folder, "init", "--quiet", "--initial-branch=main"]);
  await commitAll(folder);
  return `file://${folder}`;
}

/** Commits all that was changed in a repository. */
export async function commitAll(folder) {
  const git = (...words) => run("git", ["-C", folder, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", ...words]);
  await git("add", ".");
  await git("commit", "--quiet", "-m", "The model");
}
