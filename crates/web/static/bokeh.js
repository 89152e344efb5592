// Draws the bokeh document of this page, inside a sandboxed frame without an origin.

/** @type {{embed: {embed_item(item: object, target: string): Promise<unknown>}}} */
const Bokeh = Reflect.get(window, "Bokeh");

try {
  const item = JSON.parse(document.getElementById("document")?.textContent ?? "");
  item.target_id = null;
  Bokeh.embed.embed_item(item, "plot").catch(refuse);
} catch (error) {
  refuse(error);
}

/** @param {unknown} error */
function refuse(error) {
  document.body.append(`This plot can't be drawn: ${error}`);
}
