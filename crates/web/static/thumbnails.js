// Shows thumbnails that are made while somebody looks. They come seconds after a result, or not at all, so that it is asked
// for them a few times only.

const PAUSES = [1, 2, 3, 5, 8, 13, 21, 34, 55];

/** @type {HTMLElement | null} */
const overview = document.querySelector("[data-remote]");
/** @type {Map<string, HTMLElement>} */
const awaited = new Map();
for (const place of overview?.querySelectorAll("[data-output]") ?? []) {
  if (place instanceof HTMLElement) awaited.set(place.dataset.output ?? "", place);
}
await follow(overview?.dataset.remote ?? "");

/** @param {string} address where the outputs are told */
async function follow(address) {
  for (const pause of PAUSES) {
    await new Promise((resolve) => setTimeout(resolve, pause * 1000));
    const answer = await fetch(address).catch(() => null);
    if (!answer?.ok) return;
    const told = await answer.json();
    for (const { id, screenshot } of told.outputs?.outputs?.renderable?.outputs ?? []) {
      if (screenshot) show(id, screenshot);
    }
    if (awaited.size === 0) return;
  }
}

/**
 * @param {string} id of an output
 * @param {string} file
 */
function show(id, file) {
  const picture = new Image(600, 450);
  picture.alt = "";
  picture.src = `/storage/screenshots/${file}`;
  awaited.get(id)?.replaceChildren(picture);
  awaited.delete(id);
}
