// Follows a simulation or a build: state, log and end, by server-sent events. Without this script the page reloads itself.

/** @type {HTMLElement | null} */
const live = document.querySelector("[data-events]");

if (live) {
  const source = new EventSource(live.dataset.events ?? "");
  const status = document.querySelector("[data-status]");
  const log = document.querySelector("[data-log]");
  /** @type {HTMLProgressElement | null} */
  const progress = document.querySelector("progress");

  source.addEventListener("status", (event) => {
    const state = JSON.parse(event.data);
    if (status) status.textContent = sentence(state);
    if (progress && state.original_eta > 0) progress.value = 1 - state.eta / state.original_eta;
    if (state.final) {
      source.close();
      location.assign(live.dataset.then ?? location.href);
    }
  });
  source.addEventListener("log", (event) => {
    if (!log) return;
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.textContent += JSON.parse(event.data).text;
    if (atEnd) log.scrollTop = log.scrollHeight;
  });
}

/** @param {{inputs?: string, status: string, ahead?: number | null, eta?: number, stage?: string}} state */
function sentence(state) {
  if (state.stage) return `${state.stage}: ${state.status}`;
  if (state.inputs === "PENDING") return "Checking the inputs …";
  if (state.ahead) return `Waiting: ${state.ahead} ahead in the queue`;
  if (state.eta && state.eta > 1) return `Running: about ${Math.ceil(state.eta)} s to go`;
  return "Running …";
}
