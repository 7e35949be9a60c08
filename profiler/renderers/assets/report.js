"use strict";

/** What numbers on the page are in, as a factor of the plain number. */
const UNITS = new Map([
  ["ns", 1e-9], ["us", 1e-6], ["ms", 1e-3],
  ["k", 1e3], ["M", 1e6], ["G", 1e9], ["T", 1e12], ["P", 1e15],
  ["kB", 1e3], ["MB", 1e6], ["GB", 1e9],
]);
const ROWS_SHOWN = 5;
const LINKS_BACK = 6;
const PRINTED_WIDTH = 700; // pixels across A4 or Letter, upright

/** Returns the first number in a text as it is meant: "at least 7.9 k" is 7900; -Infinity if none. */
function measure(text) {
  const found = /([-+]?\d[\d,.]*) ?([a-zA-Z]*)/.exec(text);
  return found ? Number(found[1].replaceAll(",", "")) * (UNITS.get(found[2]) ?? 1) : -Infinity;
}

function make(name, kind, text = "") {
  const element = document.createElement(name);
  element.className = kind;
  element.textContent = text;
  return element;
}

/** Returns the rows of a table: those in it, and those that only exist as data so far. */
function readRows(box) {
  const columns = Array.from(box.querySelectorAll("th"), (title) => title.className);
  const rows = Array.from(box.querySelector("tbody").rows, readRow);
  const template = box.querySelector("template");
  if (template !== null) {
    const { rows: packed, texts } = JSON.parse(template.content.textContent);
    rows.push(...packed.map((row) => new PackedRow(row, texts, columns)));
  }
  return rows;
}

/** A row that only exists as data: what is in it is made when somebody asks. */
class PackedRow {
  #key;
  #numbers;
  #texts;
  #lines = null;

  constructor([key, ...numbers], texts, columns) {
    this.#key = key;
    this.#numbers = numbers;
    this.#texts = texts;
    this.columns = columns;
    this.element = null;
  }

  #unpack(number) {
    return this.#texts[number].replaceAll("\0", () => this.#key);
  }

  get id() {
    return this.#unpack(this.#numbers[0]);
  }

  get links() {
    const packed = this.#unpack(this.#numbers[1]).split("\n").filter(Boolean);
    return packed.map((link) => link.split("\t")).map(([words, to, frame]) => ({ words, to, frame }));
  }

  get lines() {
    this.#lines ??= this.#numbers.slice(2).map((number) => this.#unpack(number).split("\n"));
    return this.#lines;
  }
}

function readRow(element) {
  const links = Array.from(element.querySelectorAll(".links a"), (link) => ({
    to: link.hash.slice(1), frame: link.dataset.frame ?? "",
  }));
  const lines = Array.from(element.cells, (cell) =>
    Array.from(cell.querySelectorAll("b, small:not(.links)"), (line) => line.textContent));
  return { id: element.id, lines, links, element };
}

function makeLink({ words, to, frame }) {
  const link = make("a", "", words);
  link.setAttribute("href", "#" + to);
  if (frame) {
    link.dataset.frame = frame;
  }
  return link;
}

function elementOf(row) {
  if (row.element === null) {
    row.element = make("tr", "");
    row.element.id = row.id;
    row.element.append(...row.lines.map((lines, column) => makeCell(row, lines, column)));
  }
  return row.element;
}

function makeCell(row, [first, ...others], column) {
  const cell = make("td", "");
  const value = make("b", row.columns[column]);
  if (row.columns[column] === "bar") {
    value.append(make("i", ""));
    value.firstChild.style.width = Math.min(Math.max(measure(first), 0), 100) + "%";
  }
  value.append(make("span", "", first));
  cell.append(value, ...others.map((line) => make("small", "", line)));
  if (column === 0 && row.links.length > 0) {
    const links = make("small", "links");
    links.append(...row.links.map(makeLink));
    cell.append(links);
  }
  return cell;
}

/** Makes a table sortable and searchable, and shows its rows page by page. */
function makeTable(box) {
  const body = box.querySelector("tbody");
  const all = readRows(box);
  let rows = all;
  let first = 0;
  let shown = ROWS_SHOWN;
  const bar = make("div", "table-bar");
  const search = make("input", "");
  search.type = "search";
  search.placeholder = "Search these rows";
  search.setAttribute("aria-label", "Search these rows");
  const where = make("span", "faint");
  where.setAttribute("role", "status");
  const back = button("Previous", () => turn(first - shown));
  const next = button("Next", () => turn(first + shown));
  const more = button("More rows", () => { shown *= 5; turn(first); });
  if (all.length > ROWS_SHOWN) {
    bar.append(search, back, where, next, more);
    box.prepend(bar);
  }

  function turn(to) {
    first = Math.max(0, Math.min(to, Math.floor((rows.length - 1) / shown) * shown));
    const last = Math.min(first + shown, rows.length);
    body.replaceChildren(...rows.slice(first, last).map(elementOf));
    back.disabled = first === 0;
    next.disabled = more.disabled = last === rows.length;
    where.textContent = rows.length === 0 ? "no row matches"
      : `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
  }

  function textOf(row) {
    row.text ??= row.lines.flat().join("\n").toLowerCase();
    return row.text;
  }

  function find(text) {
    rows = all.filter((row) => textOf(row).includes(text.toLowerCase()));
    turn(0);
  }

  function sort(title, column) {
    const order = title.getAttribute("aria-sort");
    const isDown = order === null ? column > 0 : order === "ascending";
    for (const other of title.parentElement.cells) {
      other.removeAttribute("aria-sort");
    }
    title.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    const sign = isDown ? -1 : 1;
    const key = (row) => row.lines[column][0] ?? "";
    all.sort(column === 0
      ? (a, b) => sign * key(a).localeCompare(key(b), "en", { numeric: true })
      : (a, b) => sign * (measure(key(a)) - measure(key(b)) || 0));
    find(search.value);
  }

  for (const [column, title] of Array.from(box.querySelectorAll("th")).entries()) {
    const words = title.textContent;
    title.replaceChildren(button(words, () => sort(title, column)));
  }
  search.addEventListener("input", () => find(search.value));
  turn(0);

  /** Turns to the page with that row, and says whether there is one. */
  function reveal(id) {
    const row = all.find((one) => one.id === id);
    if (row === undefined) {
      return false;
    }
    if (!rows.includes(row)) {
      search.value = "";
      find("");
    }
    turn(Math.floor(rows.indexOf(row) / shown) * shown);
    return true;
  }

  /** Returns the rows that lead to a frame of a graph. */
  function leadingTo(graph, frame) {
    return all.filter((row) => row.links.some((link) => link.to === graph && link.frame === frame));
  }

  return { reveal, leadingTo };
}

function button(words, act) {
  const made = make("button", "", words);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

const tables = Array.from(document.querySelectorAll("div.rows"), makeTable);
const graphs = new Map();
let closed = [];

/** Opens what a link leads to, so that the browser can go there. */
function reveal(id) {
  tables.some((table) => table.reveal(id));
  const target = document.getElementById(id);
  for (let part = target?.closest("details"); part; part = part.parentElement.closest("details")) {
    part.open = true;
  }
  for (const other of document.querySelectorAll(".target")) {
    other.classList.remove("target");
  }
  target?.classList.add("target");
  return target;
}

/** Says above a graph which findings and rows are about the frame that is zoomed. */
function lead(svg, frame) {
  const place = svg.parentElement.querySelector(".leads") ?? make("p", "leads");
  svg.before(place);
  const isMeant = (link) => link.hash === "#" + svg.id && link.dataset.frame === frame;
  const findings = Array.from(document.querySelectorAll(".finding"))
    .filter((card) => Array.from(card.querySelectorAll(".links a")).some(isMeant))
    .map((card) => ({ words: card.querySelector("h3").textContent, to: card.id }));
  const rows = tables.flatMap((table) => table.leadingTo(svg.id, frame))
    .map((row) => ({ words: row.lines[0][0], to: row.id }));
  place.replaceChildren(...[...findings, ...rows].slice(0, LINKS_BACK).map(makeLink));
}

/** Returns the graph in an svg; it is made when it is first seen. */
function graphOf(svg) {
  if (!graphs.has(svg)) {
    graphs.set(svg, makeFlameGraph(svg, false));
    svg.addEventListener("zoomed", (event) => lead(svg, event.detail));
  }
  return graphs.get(svg);
}

if (matchMedia("(max-width: 600px)").matches) {
  const long = ".section[open]:not(#findings, #hot-threads, #warnings), .finding[open] ~ .finding";
  for (const part of document.querySelectorAll(long)) {
    part.open = false;
  }
}
for (const svg of document.querySelectorAll("details[open] svg.flame")) {
  graphOf(svg);
}

for (const box of document.querySelectorAll(".time-line[data-samples]")) {
  const svg = document.getElementById("cpu-graph");
  makeTimeLine(box, svg, () => graphOf(svg));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link !== null) {
    const target = reveal(link.hash.slice(1));
    if (link.dataset.frame) {
      graphOf(target).show(link.dataset.frame);
    }
  }
});
const follow = () => reveal(location.hash.slice(1))?.scrollIntoView();
window.addEventListener("hashchange", follow);

if (location.hash !== "") {
  follow();
}

document.addEventListener("toggle", (event) => {
  for (const svg of event.target.querySelectorAll("svg.flame")) {
    graphOf(svg).draw();
  }
}, true);

window.addEventListener("beforeprint", () => {
  closed = Array.from(document.querySelectorAll("details:not([open])"));
  for (const part of closed) {
    part.open = true;
  }
  for (const svg of document.querySelectorAll("svg.flame")) {
    graphOf(svg).draw(PRINTED_WIDTH);
  }
});
window.addEventListener("afterprint", () => {
  for (const part of closed) {
    part.open = false;
  }
  graphs.forEach((graph) => graph.draw());
});
