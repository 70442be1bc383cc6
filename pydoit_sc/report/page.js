// The table of runs, the links to sections and the button for light and dark. All that users have written is put into
// the page as text, never as HTML.

const PAGE = 50; // rows that are drawn at once
const $ = (id) => document.getElementById(id);
const element = (name, text, more = {}) => Object.assign(document.createElement(name), {textContent: text}, more);

// Light and dark: the style knows both, and follows the system until the button is used.
const dark = matchMedia("(prefers-color-scheme: dark)");
let theme = dark.matches ? "dark" : "light";
const showTheme = () => { $("theme").textContent = theme === "dark" ? "Light" : "Dark"; };
const setTheme = (to) => { theme = to; showTheme(); };
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
$("theme").addEventListener("click", () => {
  setTheme(theme === "dark" ? "light" : "dark");
  document.documentElement.style.colorScheme = theme;
});
showTheme();
$("theme").hidden = false;

for (const title of document.querySelectorAll("section > h2")) {
  document.querySelector("nav").append(element("a", title.textContent, {href: `#${title.parentNode.id}`}));
}

// What cells say.
const pad = (number) => String(number).padStart(2, "0");
function span(seconds) {
  if (seconds < 60) return seconds >= 0.1 ? `${+seconds.toPrecision(3)} s` : `${seconds.toFixed(3)} s`;
  const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}
function size(bytes) {
  const rounded = +bytes.toPrecision(3), units = [[1e15, "PB"], [1e12, "TB"], [1e9, "GB"], [1e6, "MB"]];
  const [unit, name] = units.find(([unit]) => rounded >= unit) ?? [1e3, "kB"];
  return `${+(rounded / unit).toPrecision(3)} ${name}`;
}
const moment = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
const words = {span, size, moment};

// A column has its values as they are, as numbers in units of 1 / scale, or as positions in its levels; where each value
// is there once, the levels are the values.
async function unpack() {
  const text = atob($("packed").textContent), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const columns = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  for (const column of columns) {
    const {levels, values, scale, kind} = column;
    column.text = !levels
      ? (i) => values[i] === null ? "" : kind ? words[kind](values[i] / scale) : String(values[i])
      : values ? (i) => levels[values[i]] : (i) => levels[i];
  }
  return columns;
}

const columns = await unpack();
const count = columns[0].levels.length; // names are there once
let order = Array.from({length: count}, (_, i) => i); // rows as they are sorted
let rows = order; // those that are found
let first = 0;
let texts = null; // what a search looks at, made when it is first needed

// A word is looked for everywhere; `axis=value` is that value alone, `axis=val*` all that begin so.
const axes = new Set(columns.filter((column) => column.is_axis).map((column) => column.title.toLowerCase()));
function test(word) {
  if (!axes.has(word.split("=")[0]) || !word.includes("=")) return (text) => text.includes(word);
  const line = word.endsWith("*") ? `\n${word.slice(0, -1)}` : `\n${word}\n`;
  return (text) => text.includes(line);
}

function said(column) {
  const say = (text) => (column.is_axis ? `${column.title}=${text}` : text).toLowerCase();
  const levels = column.values && column.levels?.map(say);
  return levels ? (i) => levels[column.values[i]] : (i) => say(column.text(i));
}

function searched() {
  const parts = columns.filter((column) => column.levels || column.is_axis).map(said);
  return Array.from({length: count}, (_, i) => `\n${parts.map((say) => say(i)).join("\n")}\n`);
}

function search() {
  texts ??= searched();
  const tests = $("search").value.toLowerCase().split(/\s+/).filter(Boolean).map(test);
  rows = tests.length ? order.filter((i) => tests.every((holds) => holds(texts[i]))) : order;
  first = 0;
  draw();
}

function sort(column, button) {
  const down = button.parentNode.getAttribute("aria-sort") === "ascending";
  for (const header of $("list").querySelectorAll("th[aria-sort]")) header.removeAttribute("aria-sort");
  button.parentNode.setAttribute("aria-sort", down ? "descending" : "ascending");
  let keys = column.values;
  if (column.levels) { // by the order of their texts, with numbers by size; what is empty has no value
    const collator = new Intl.Collator(undefined, {numeric: true});
    const places = column.levels.map((_, i) => i).sort((a, b) => collator.compare(column.levels[a], column.levels[b]));
    const ranks = [];
    places.forEach((level, place) => { ranks[level] = column.levels[level] === "" ? null : place; });
    keys = keys ? keys.map((level) => ranks[level]) : ranks;
  }
  const sign = down ? -1 : 1; // what has no value is the last, either way
  order = Array.from({length: count}, (_, i) => i).sort((a, b) =>
    (keys[a] === null) - (keys[b] === null) || sign * (keys[a] - keys[b]) || a - b);
  search();
}

function row(i, place) {
  const line = element("tr", "", {ariaRowIndex: first + place + 2});
  columns.forEach((column, at) => {
    const cell = element(at ? "td" : "th", column.text(i), {className: column.levels || column.kind === "moment" ? "" : "number"});
    if (!at) cell.scope = "row";
    if (column.title === "Status") cell.className = `status ${column.text(i)}`;
    if (column.title === "Command") cell.className = "command";
    line.append(cell);
  });
  return line;
}

function draw() {
  $("list").tBodies[0].replaceChildren(...rows.slice(first, first + PAGE).map(row));
  $("list").ariaRowCount = rows.length + 1;
  $("found").textContent = `${rows.length.toLocaleString("en")} of ${count.toLocaleString("en")} runs`;
  document.querySelector(".pages").hidden = rows.length <= PAGE;
  $("place").textContent = `${(first + 1).toLocaleString("en")} to ${Math.min(first + PAGE, rows.length).toLocaleString("en")}`;
  $("before").disabled = !first;
  $("after").disabled = first + PAGE >= rows.length;
}

const head = element("tr", "");
for (const column of columns) {
  const header = element("th", "", {scope: "col"}), button = element("button", column.title, {type: "button"});
  button.addEventListener("click", () => sort(column, button));
  header.append(button);
  head.append(header);
}
$("list").tHead.append(head);
$("search").addEventListener("input", search);
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
$("before").addEventListener("click", () => { first -= PAGE; draw(); });
$("after").addEventListener("click", () => { first += PAGE; draw(); });
for (const button of document.querySelectorAll(".find")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    $("search").value = button.dataset.find;
    search();
    $("search").focus();
  });
}
draw();
