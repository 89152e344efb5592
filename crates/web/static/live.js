// Follows a simulation or a build: state, log and end, by server-sent events. Without this script the page reloads itself.

/**
 * @typedef {{
 *   status: string, final: boolean, inputs?: string, ahead?: number | null,
 *   eta?: number, original_eta?: number, stage?: string, stages?: { stage: string, state: string }[],
 * }} State
 */

/** Characters of a log that a page keeps; the whole is a file. */
const LONGEST = 500_000;

const live = document.querySelector("[data-events]");
if (live instanceof HTMLElement) follow(live.dataset.events ?? "", live.dataset.then ?? location.href);

/**
 * @param {string} events where they come from
 * @param {string} then where the reader goes at the end
 */
function follow(events, then) {
  const source = new EventSource(events);
  const status = document.querySelector("[data-status]");
  const tag = document.querySelector(".tag.busy");
  const log = document.querySelector("[data-log]");
  const clock = countdown();

  source.addEventListener("status", (event) => {
    /** @type {State} */
    const state = JSON.parse(event.data);
    const sentence = inWords(state);
    // The same words again would be read out again.
    if (status && status.textContent !== sentence) status.textContent = sentence;
    if (tag) tag.textContent = state.stage ? state.status : inAWord(state);
    clock(state);
    for (const { stage, state: how } of state.stages ?? []) mark(stage, how);
    if (state.final) {
      source.close();
      location.replace(then);
    }
  });
  source.addEventListener("log", (event) => {
    if (log) append(log, JSON.parse(event.data).text);
  });
  source.addEventListener("end", () => {
    source.close();
    setTimeout(() => location.replace(then), 2000);
  });
  source.addEventListener("error", () => {
    // A browser that was refused once does not ask again by itself; the page says how things stand.
    if (source.readyState !== EventSource.CLOSED) return;
    if (status) status.textContent = "The connection was lost. Trying again …";
    setTimeout(() => location.reload(), 3000);
  });
}

/** The tone in which a stage of a build is shown, by its state. */
const TONES = new Map([["running", "busy"], ["passed", "good"], ["failed", "bad"], ["cancelled", "warn"]]);

/**
 * Shows how a stage of a build stands.
 * @param {string} stage
 * @param {string} state
 */
function mark(stage, state) {
  const tag = document.querySelector(`[data-stage="${stage}"]`);
  if (!tag) return;
  tag.className = `tag ${TONES.get(state) ?? ""}`;
  const words = tag.nextElementSibling;
  if (words && !words.textContent?.startsWith(state)) words.textContent = state;
}

/** @param {State} state */
function inWords(state) {
  if (state.status === "queued") return "Waiting for its turn …";
  if (state.stage) return state.stage;
  if (state.inputs === "PENDING") return "Checking the inputs …";
  if (state.ahead) return `Waiting: ${state.ahead} ahead in the queue`;
  return "Running …";
}

/** @param {State} state */
function inAWord(state) {
  if (state.inputs === "PENDING") return "checking inputs";
  return state.ahead ? "waiting" : "running";
}

/** Shows the time that is left, which the server tells at changes only. */
function countdown() {
  const words = document.querySelector("[data-eta]");
  const bar = document.querySelector("progress");
  let end = 0;
  let whole = 0;
  const show = () => {
    const left = Math.max(0, (end - performance.now()) / 1000);
    if (words) words.textContent = left >= 1 ? `about ${Math.ceil(left)} s to go` : "";
    if (bar && whole > 0 && left > 0) bar.value = 1 - left / whole;
    else bar?.removeAttribute("value");
  };
  setInterval(show, 1000);
  return (/** @type {State} */ state) => {
    end = performance.now() + (state.eta ?? 0) * 1000;
    whole = Math.max(state.original_eta ?? 0, state.eta ?? 0);
    show();
  };
}

/**
 * @param {Element} log
 * @param {string} text
 */
function append(log, text) {
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  log.append(text);
  let length = log.textContent?.length ?? 0;
  while (length > LONGEST && log.firstChild && log.firstChild !== log.lastChild) {
    length -= log.firstChild.textContent?.length ?? 0;
    log.firstChild.remove();
  }
  if (atEnd) log.scrollTop = log.scrollHeight;
}
