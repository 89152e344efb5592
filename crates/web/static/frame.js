// Runs in the frame of an output, which has no origin: tells the page how high the output is, and lets tables be sorted.

/** A document that follows the height of its frame would grow for ever. */
const CHANGES = 200;

const NUMBER = /^[-+−(]?\s*[$€£¥]?\s*(\d[\d,  ']*)?(\.\d*)?(e[-+]?\d+)?\s*[%)]?$/i;

fit();
for (const table of document.querySelectorAll("table")) arrange(table);

function fit() {
  let told = 0;
  let changes = 0;
  const tell = () => {
    const height = document.documentElement.getBoundingClientRect().height;
    if (height !== told && changes < CHANGES) {
      told = height;
      changes += 1;
      parent.postMessage({ height }, "*");
    }
  };
  new ResizeObserver(tell).observe(document.documentElement);
  addEventListener("message", (event) => {
    if (event.source !== parent) return;
    told = 0;
    tell();
  });
}

/**
 * Aligns the columns of a plain table, and puts buttons into its heads. Tables with joined cells stay as they are.
 * @param {HTMLTableElement} table
 */
function arrange(table) {
  const body = table.tBodies[0];
  if (!body || table.tBodies.length > 1 || body.rows.length < 1) return;
  const rows = [...body.rows];
  const width = rows[0]?.cells.length ?? 0;
  const isPlain = rows.every((row) => row.cells.length === width && [...row.cells].every((cell) => cell.rowSpan === 1 && cell.colSpan === 1));
  if (!isPlain) return;
  const head = bestHead(table, width);
  for (let column = 0; column < width; column += 1) {
    const texts = rows.map((row) => textOf(row, column));
    const count = texts.filter((text) => numberOf(text) !== null).length;
    const filled = texts.filter((text) => text !== "").length;
    const numbers = count === filled;
    if (count * 2 < filled) for (const row of [...(table.tHead?.rows ?? []), ...rows]) row.cells[column]?.classList.add("words");
    const cell = head?.cells[column];
    if (cell && rows.length > 1 && cell.textContent?.trim()) sortBy(cell, column, numbers, body, rows);
  }
}

/**
 * The row of the head that names the most columns.
 * @param {HTMLTableElement} table
 * @param {number} width
 */
function bestHead(table, width) {
  const named = (/** @type {HTMLTableRowElement} */ row) => [...row.cells].filter((cell) => cell.textContent?.trim()).length;
  const fitting = [...(table.tHead?.rows ?? [])].filter((row) => row.cells.length === width);
  return fitting.sort((a, b) => named(b) - named(a))[0];
}

/**
 * @param {HTMLTableCellElement} cell of the head
 * @param {number} column
 * @param {boolean} numbers
 * @param {HTMLTableSectionElement} body
 * @param {HTMLTableRowElement[]} original rows in the order of the model
 */
function sortBy(cell, column, numbers, body, original) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...cell.childNodes);
  cell.append(button);
  button.addEventListener("click", () => {
    const next = { ascending: "descending", descending: "" }[cell.ariaSort ?? ""] ?? "ascending";
    for (const other of cell.parentElement?.children ?? []) other.removeAttribute("aria-sort");
    if (next) cell.setAttribute("aria-sort", next);
    body.append(...(next ? sorted(original, column, numbers, next === "descending" ? -1 : 1) : original));
  });
}

/**
 * @param {HTMLTableRowElement[]} rows
 * @param {number} column
 * @param {boolean} numbers
 * @param {1 | -1} direction
 */
function sorted(rows, column, numbers, direction) {
  const words = new Intl.Collator(undefined, { numeric: true });
  const keyed = rows.map((row) => ({ row, text: textOf(row, column) }));
  keyed.sort((a, b) => {
    // What is empty is last in either direction.
    if (a.text === "" || b.text === "") return Number(a.text === "") - Number(b.text === "");
    const order = numbers ? (numberOf(a.text) ?? 0) - (numberOf(b.text) ?? 0) : words.compare(a.text, b.text);
    return order * direction;
  });
  return keyed.map(({ row }) => row);
}

/**
 * @param {HTMLTableRowElement} row
 * @param {number} column
 */
function textOf(row, column) {
  return row.cells[column]?.textContent?.trim() ?? "";
}

/**
 * A number as people write it: 1,234.50, −3 %, $5, (7).
 * @param {string} text
 */
function numberOf(text) {
  if (/^nan$/i.test(text)) return -Infinity;
  if (!/\d/.test(text) || !NUMBER.test(text)) return null;
  const number = Number(text.replace(/[^\d.e+-]/gi, ""));
  return /^[(−]/.test(text) ? -number : number;
}
