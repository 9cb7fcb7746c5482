// What is chosen, and what changes when something else is.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
for (const [list, names] of [["entries", data.entry], ["kept", data.keptEntry]]) {
  data[list] = data[list].map((values) => Object.fromEntries(names.map((name, i) => [name, values[i]])));
}
const DENSE = data.tracks.indexOf("dense");
const CHARTS = { scores: scoresChart, strip: stripChart, parameters: parametersChart, spent: costChart, ranks: ranksChart };
const FIRST = 8; // methods that are shown at first: more lines cannot be told apart
const state = { section: 0, column: 0, track: 0, sparsity: null, cost: "steps", visible: new Set() };
const dark = window.matchMedia("(prefers-color-scheme: dark)");
let theme = {}, allRows = [];

const entryIndex = new Map();
for (const entry of data.entries) {
  const key = [entry.section, entry.column, entry.track].join();
  if (!entryIndex.has(key)) entryIndex.set(key, []);
  entryIndex.get(key).push(entry);
}
const entriesOf = ({ section, column, track }) => track === DENSE ? [] : entryIndex.get([section, column, track].join()) || [];
const denseOf = ({ section, column }) => (entryIndex.get([section, column, DENSE].join()) || [])[0];
const columnOf = ({ section, column }) => data.sections[section].columns[column];
const sparsities = (chosen) => [...new Set(entriesOf(chosen).map((entry) => entry.sparsity))].sort((a, b) => a - b);

function ranksOf({ section, track, sparsity }) {
  const found = data.rankings.filter((each) => each.track === data.tracks[track]);
  const ranking = found.find((each) => each.title === data.sections[section].title) || found[0];
  return { ranking, standing: ranking && ranking.standings.find((each) => each.sparsity === sparsity) };
}

function captions() {
  const section = data.sections[state.section], what = `${section.title}${section.name === "average" ? "" : ` ${columnOf(state)}`}, ${data.tracks[state.track]} methods`;
  const best = entriesOf(state).filter((entry) => entry.sparsity === state.sparsity && entry.mean !== null).sort((a, b) => b.mean - a.mean)[0];
  const first = best ? ` The highest mean is that of ${data.methods[best.method].label}: ${spread(best.mean, best.std)}.` : "";
  const { ranking, standing } = ranksOf(state);
  const test = standing && standing.cd !== null
    ? ` Friedman's test: p ${standing.p < 0.001 ? "< 0.001" : `= ${standing.p.toFixed(3)}`}; critical difference ${standing.cd.toFixed(2)}, drawn half to each side. A thick line at the right joins methods that cannot be told apart${standing.p < ALPHA ? "" : ", which are all"}.` : "";
  return {
    scores: `Score against sparsity: ${what}.`,
    strip: `Every seed at sparsity ${state.sparsity}: ${what}. A tick is the mean, a bar its 95 % interval.${first}`,
    parameters: `Score retained against what is left of the model: ${section.title}, ${data.tracks[state.track]} methods.`,
    spent: `Score retained against what it cost: ${section.title}, ${data.tracks[state.track]} methods.`,
    ranks: ranking ? `Critical-difference diagram at sparsity ${state.sparsity}: ${ranking.title}, ${data.tracks[state.track]} methods.${test}` : "Critical-difference diagram.",
  };
}

function draw() {
  const said = captions();
  for (const [name, chart] of Object.entries(CHARTS)) {
    const place = byId(name), made = chart(state);
    byId(`${name}-caption`).textContent = said[name];
    place.classList.toggle("empty", typeof made === "string");
    if (typeof made === "string") {
      Plotly.purge(place);
      place.textContent = made;
    } else {
      if (!place.classList.contains("js-plotly-plot")) place.textContent = "";
      Plotly.react(place, made.traces, made.layout, { responsive: true, typesetMath: false, displaylogo: false, displayModeBar: narrow() ? false : "hover", modeBarButtons: [["toImage", "zoom2d", "resetScale2d"]], toImageButtonOptions: { format: "svg", filename: name } });
    }
  }
}

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = text;
    option.selected = String(value) === String(chosen);
    return option;
  }));
  select.disabled = entries.length < 2;
}

// Keeps what is chosen within what there is.
function choices() {
  const section = data.sections[state.section];
  if (state.column >= section.columns.length) state.column = 0;
  const tracks = data.tracks.map((_, i) => i).filter((i) => i !== DENSE && entryIndex.has([state.section, state.column, i].join()));
  if (!tracks.includes(state.track)) state.track = tracks.length ? tracks[0] : DENSE;
  const levels = sparsities(state);
  if (!levels.includes(state.sparsity)) state.sparsity = levels.length ? levels[Math.floor((levels.length - 1) / 2)] : null;
  options(byId("task"), data.sections.map((each, i) => [i, each.title]), state.section);
  options(byId("metric"), section.columns.map((each, i) => [i, each]), state.column);
  options(byId("track"), tracks.map((i) => [i, data.tracks[i]]), state.track);
  options(byId("sparsity"), levels.map((each) => [each, String(each)]), state.sparsity);
}

// The methods of the chosen track with their colours and symbols, the highest means first.
function legend() {
  const means = new Map();
  for (const entry of entriesOf(state)) {
    if (!means.has(entry.method)) means.set(entry.method, []);
    if (entry.mean !== null) means.get(entry.method).push(entry.mean);
  }
  const mean = (values) => values.length ? values.reduce((a, b) => a + b, 0) / values.length : -Infinity;
  const methods = [...means.entries()].sort((a, b) => mean(b[1]) - mean(a[1])).map(([method]) => method);
  if (!methods.some((method) => state.visible.has(method))) methods.slice(0, FIRST).forEach((method) => state.visible.add(method));
  methods.sort((a, b) => a - b);
  byId("legend").replaceChildren(...methods.map(legendEntry));
  return methods;
}

function legendEntry(method) {
  const label = document.createElement("label"), box = document.createElement("input"), name = document.createElement("span");
  box.type = "checkbox";
  box.checked = state.visible.has(method);
  box.addEventListener("change", () => { box.checked ? state.visible.add(method) : state.visible.delete(method); draw(); });
  name.textContent = data.methods[method].label;
  label.append(box, swatch(method), name);
  return label;
}

function swatch(method) {
  const { colour, symbol, dash } = look(method), namespace = "http://www.w3.org/2000/svg";
  const image = document.createElementNS(namespace, "svg"), line = document.createElementNS(namespace, "line"), mark = document.createElementNS(namespace, "path");
  for (const [name, value] of [["width", 34], ["height", 16], ["viewBox", "0 0 34 16"], ["aria-hidden", "true"]]) image.setAttribute(name, value);
  for (const [name, value] of [["x1", 0], ["x2", 34], ["y1", 8], ["y2", 8], ["stroke", colour], ["stroke-width", 2], ["stroke-dasharray", dash === "dot" ? "2 3" : "none"]]) line.setAttribute(name, value);
  mark.setAttribute("d", SHAPES[symbol]);
  mark.setAttribute("fill", colour);
  mark.setAttribute("transform", "translate(17 8)");
  image.append(line, mark);
  return image;
}

// plotly's symbols, about as it draws them.
const star = (points, outer, inner) => Array.from({ length: 2 * points }, (_, i) => {
  const r = i % 2 ? inner : outer, angle = Math.PI * i / points - Math.PI / 2;
  return `${i ? "L" : "M"}${(r * Math.cos(angle)).toFixed(2)} ${(r * Math.sin(angle)).toFixed(2)}`;
}).join("") + "Z";
const polygon = (corners) => Array.from({ length: corners }, (_, i) => {
  const angle = 2 * Math.PI * i / corners - Math.PI / 2;
  return `${i ? "L" : "M"}${(5.5 * Math.cos(angle)).toFixed(2)} ${(5.5 * Math.sin(angle)).toFixed(2)}`;
}).join("") + "Z";
const SHAPES = {
  "circle": "M5 0A5 5 0 1 1 -5 0A5 5 0 1 1 5 0Z", "circle-open": "M5 0A5 5 0 1 1 -5 0A5 5 0 1 1 5 0Z", "square": "M-4.5-4.5H4.5V4.5H-4.5Z", "diamond": "M0-6L6 0L0 6L-6 0Z",
  "triangle-up": "M0-5.5L5.5 4.5H-5.5Z", "triangle-down": "M0 5.5L5.5-4.5H-5.5Z", "star": star(5, 6.5, 2.8), "pentagon": polygon(5), "hexagon": polygon(6),
  "cross": "M-1.8-5.5H1.8V-1.8H5.5V1.8H1.8V5.5H-1.8V1.8H-5.5V-1.8H-1.8Z", "x": "M-5-2.5L-2.5-5L0-2.5L2.5-5L5-2.5L2.5 0L5 2.5L2.5 5L0 2.5L-2.5 5L-5 2.5L-2.5 0Z",
  "hourglass": "M-5-5H5L-5 5H5Z",
};

// A ranking can be put in the order of any of its sparsities.
function sortableRankings() {
  for (const table of document.querySelectorAll("table.ranking")) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      if (!column) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      button.setAttribute("aria-label", `Order by the ranking at sparsity ${cell.textContent}`);
      button.addEventListener("click", () => {
        const down = cell.getAttribute("aria-sort") === "ascending";
        const rows = [...table.querySelectorAll("tr.place")].map((row) => [Number(row.cells[column].dataset.order), row]);
        rows.sort(([a], [b]) => down ? b - a : a - b);
        table.tBodies[0].append(...rows.map(([, row]) => row));
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      });
      cell.replaceChildren(button);
    });
  }
}

function refresh() {
  const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(name).trim();
  theme = { dark: dark.matches, fg: read("--dense"), muted: read("--muted"), rule: read("--rule"), grid: read("--grid"), card: read("--card") };
  choices();
  legend();
  draw();
}

function listen() {
  for (const name of ["section", "column", "track", "sparsity", "cost"]) {
    const select = byId({ section: "task", column: "metric" }[name] || name);
    select.addEventListener("change", () => { state[name] = name === "cost" ? select.value : Number(select.value); refresh(); });
  }
  byId("all").addEventListener("click", () => { entriesOf(state).forEach((entry) => state.visible.add(entry.method)); refresh(); });
  byId("none").addEventListener("click", () => {
    state.visible.clear();
    byId("legend").querySelectorAll("input").forEach((box) => { box.checked = false; });
    draw();
  });
  dark.addEventListener("change", refresh);
  for (const form of [byId("controls"), byId("filters")]) form.addEventListener("submit", (event) => event.preventDefault());
  for (const place of byId("filters").querySelectorAll("input, select")) place.addEventListener("input", () => { limit = STEP; showTable(); });
  byId("more").addEventListener("click", () => { limit += STEP; showTable(); });
}

function filters() {
  for (const name of ["task", "metric", "track", "sparsity"]) {
    const values = [...new Set(allRows.map((row) => row[name]))].filter((value) => value !== null);
    if (name === "sparsity") values.sort((a, b) => a - b);
    options(byId(`filter-${name}`), [["", "all"], ...values.map((value) => [String(value), String(value)])], "");
  }
}

listen();
sortableRankings();
refresh();
allRows = tableRows();
filters();
tableHead();
showTable();
