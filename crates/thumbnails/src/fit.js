// Fits what a frame shows into the picture: a wide table gets smaller, a small one larger, a plot is seen as a whole.
addEventListener("load", fit);

function fit() {
  const body = document.body;
  const kind = body.className;
  if (kind === "image") return;
  body.style.transform = "";
  const room = kind === "plot" ? { width: 576, height: 426 } : { width: 568, height: 418 };
  let { width, height } = extent();
  if (kind === "table" && width > room.width) {
    // As wide as it wants to be, rather than with every word in a line of its own.
    body.style.width = "max-content";
    body.style.maxWidth = "1500px";
    ({ width, height } = extent());
  }
  if (!width || !height) return;
  const whole = Math.min(room.width / width, room.height / height);
  const largest = kind === "table" || kind === "plot" ? 1.6 : 1;
  const scale = Math.min(Math.max(kind === "plot" ? whole : room.width / width, 0.3), largest);
  const right = largest > 1 ? Math.max((room.width - width * scale) / 2, 0) : 0;
  const down = kind === "plot" ? Math.max((room.height - height * scale) / 2, 0) : 0;
  body.style.transform = `translate(${right}px, ${down}px) scale(${scale})`;
}

function extent() {
  const range = document.createRange();
  range.selectNodeContents(document.body);
  return range.getBoundingClientRect();
}
