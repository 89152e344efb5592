// Fits each frame of an output to what it shows. Frames have no origin, so that each tells its own height; whatever else
// a model's script may tell is not listened to.

const LOWEST = 32;
const HIGHEST = 4000;

/** @type {NodeListOf<HTMLIFrameElement>} */
const frames = document.querySelectorAll("iframe[data-fit]");

addEventListener("message", (event) => {
  const frame = [...frames].find((frame) => frame.contentWindow === event.source);
  const height = event.data?.height;
  if (!frame || typeof height !== "number" || !Number.isFinite(height)) return;
  frame.style.height = `${Math.min(Math.max(Math.ceil(height), LOWEST), HIGHEST)}px`;
});

// Those that were there before this script are asked.
for (const frame of frames) frame.contentWindow?.postMessage("height", "*");
