// Draws the bokeh document of the frame, and fits it when it has come to rest.
const item = JSON.parse(document.getElementById("document").textContent);
item.target_id = null;
Bokeh.embed.embed_item(item, "plot").then(() => {
  fit();
  setTimeout(fit, 500);
  setTimeout(fit, 2000);
});
