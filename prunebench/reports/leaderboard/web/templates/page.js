// The state of the page, and what is drawn again when it changes.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const FIELDS = { entries: data.entryFields, retention: data.retentionFields, unsupported: data.unsupportedFields };
for (const [list, names] of Object.entries(FIELDS)) {
  data[list] = data[list].map((values) => Object.fromEntries(names.map((name, i) => [name, values[i]])));
}
const DENSE = data.tracks.indexOf("dense");
const CHARTS = {
  scores: scoresChart, strip: stripChart, parameters: parametersChart, spent: costChart, ranks: ranksChart,
};
const CONTROLS = { section: "task", column: "metric", track: "track", sparsity: "sparsity", size: "size", cost: "cost" };
const FIRST = 8; // methods shown at first: more lines are hard to tell apart
const state = { section: 0, column: 0, track: 0, sparsity: null, size: "share", cost: "steps", visible: new Set(), hidden: false };
let allRows = [];

// --- data ---

const entryIndex = new Map();
for (const entry of data.entries) {
  const key = [entry.section, entry.column, entry.track].join();
  if (!entryIndex.has(key)) entryIndex.set(key, []);
  entryIndex.get(key).push(entry);
}
const entriesAt = (section, column, track) => entryIndex.get([section, column, track].join()) || [];
const entriesOf = ({ section, column, track }) => (track === DENSE ? [] : entriesAt(section, column, track));
const denseOf = ({ section, column }) => entriesAt(section, column, DENSE)[0];
const columnOf = ({ section, column }) => data.sections[section].columns[column];
const sparsities = (selection) =>
  [...new Set(entriesOf(selection).map((entry) => entry.sparsity))].sort((a, b) => a - b);

function ranksOf({ section, track, sparsity }) {
  const rankings = data.rankings.filter((each) => each.track === data.tracks[track]);
  const ranking = rankings.find((each) => each.title === data.sections[section].title) || rankings[0];
  return { ranking, standing: ranking && ranking.standings.find((each) => each.sparsity === sparsity) };
}

// --- drawing ---

function captions() {
  const section = data.sections[state.section], methods = `${data.tracks[state.track]} methods`;
  const subject = `${section.title}${section.name === "average" ? "" : ` ${columnOf(state)}`}, ${methods}`;
  const known = entriesOf(state).filter((entry) => entry.sparsity === state.sparsity && entry.mean !== null);
  const [best] = known.sort((a, b) => b.mean - a.mean);
  const winner = best
    ? ` Highest mean: ${data.methods[best.method].label}, ${spread(best.mean, best.std)}.` : "";
  const { ranking, standing } = ranksOf(state);
  return {
    scores: `Score against sparsity: ${subject}.`,
    strip: `Every seed at sparsity ${state.sparsity}: ${subject}. Ticks are means, bars their 95 % intervals.${winner}`,
    parameters: `Score retained against the ${SIZES[state.size].name}: ${section.title}, ${methods}.`,
    spent: `Score retained against the cost: ${section.title}, ${methods}.`,
    ranks: ranking
      ? `Critical-difference diagram at sparsity ${state.sparsity}: ${ranking.title}, ${methods}.${friedman(standing)}`
      : "Critical-difference diagram.",
  };
}

function friedman(standing) {
  if (!standing || standing.cd === null) return "";
  const p = standing.p < 0.001 ? "p < 0.001" : `p = ${standing.p.toFixed(3)}`;
  const all = standing.p < ALPHA ? "" : "; here these are all methods";
  return ` Friedman's test: ${p}; critical difference ${standing.cd.toFixed(2)}, drawn half to each side. `
    + `Thick lines at the right join methods that cannot be told apart${all}. This diagram asks whether the order would `
    + "hold on other tasks; the ranking above asks which methods are better on these.";
}

function draw() {
  const texts = captions();
  for (const [name, chart] of Object.entries(CHARTS)) {
    byId(`${name}-caption`).textContent = texts[name];
    show(byId(name), name, chart(state));
  }
}

// `chart` is a description for `drawChart`, or a sentence that is shown in its place.
function show(element, name, chart) {
  const empty = typeof chart === "string";
  element.classList.toggle("empty", empty);
  element.replaceChildren(empty ? chart : drawChart(chart, element.clientWidth || 600, byId(`${name}-caption`)));
}

// Show the text of the mark that is pointed at or tapped, beside it.
function showTip(event) {
  const tip = byId("tip"), mark = event.target.closest && event.target.closest("[data-text]");
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.text;
  const { left, right, bottom } = mark.getBoundingClientRect(), width = tip.offsetWidth;
  const middle = (left + right) / 2 - width / 2, most = document.documentElement.clientWidth - width - 4;
  tip.style.left = `${window.scrollX + Math.max(4, Math.min(middle, most))}px`;
  tip.style.top = `${window.scrollY + bottom + 8}px`;
}

// --- controls ---

function fillSelect(select, entries, selected) {
  select.replaceChildren(...entries.map(([value, text]) => {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = text;
    option.selected = String(value) === String(selected);
    return option;
  }));
  select.disabled = entries.length < 2;
}

// Fill the controls, and reset each choice that the others rule out.
function fillControls() {
  const section = data.sections[state.section];
  if (state.column >= section.columns.length) state.column = 0;
  const tracks = data.tracks.map((_, i) => i)
    .filter((i) => i !== DENSE && entriesAt(state.section, state.column, i).length);
  if (!tracks.includes(state.track)) state.track = tracks.length ? tracks[0] : DENSE;
  const levels = sparsities(state);
  if (!levels.includes(state.sparsity)) {
    state.sparsity = levels.length ? levels[Math.floor((levels.length - 1) / 2)] : null;
  }
  fillSelect(byId("task"), data.sections.map((each, i) => [i, each.title]), state.section);
  fillSelect(byId("metric"), section.columns.map((each, i) => [i, each]), state.column);
  fillSelect(byId("track"), tracks.map((i) => [i, data.tracks[i]]), state.track);
  fillSelect(byId("sparsity"), levels.map((each) => [each, String(each)]), state.sparsity);
}

// List the methods of the selected track. At first those with the highest means are shown.
function legend() {
  const means = new Map();
  for (const entry of entriesOf(state)) {
    if (!means.has(entry.method)) means.set(entry.method, []);
    if (entry.mean !== null) means.get(entry.method).push(entry.mean);
  }
  const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : -Infinity);
  const methods = [...means.entries()].sort((a, b) => mean(b[1]) - mean(a[1])).map(([method]) => method);
  if (!state.hidden && !methods.some((method) => state.visible.has(method))) {
    methods.slice(0, FIRST).forEach((method) => state.visible.add(method));
  }
  byId("legend").replaceChildren(...methods.sort((a, b) => a - b).map(legendEntry));
}

function legendEntry(method) {
  const label = document.createElement("label"), box = document.createElement("input");
  box.type = "checkbox";
  box.checked = state.visible.has(method);
  box.addEventListener("change", () => {
    state.hidden = false;
    if (box.checked) state.visible.add(method);
    else state.visible.delete(method);
    draw();
    writeSelection();
  });
  const name = document.createElement("span");
  name.textContent = data.methods[method].label;
  label.append(box, swatch(method), name);
  return label;
}

function swatch(method) {
  const { line, fill, shape } = look(method);
  const image = svgElement("svg", { class: "glance", width: 34, height: 16, viewBox: "0 0 34 16", "aria-hidden": "true" });
  image.append(
    svgElement("path", { class: `line ${line}`, d: "M0 8H34" }),
    svgElement("path", { class: `mark ${fill}`, d: shape, transform: "translate(17 8)" }),
  );
  return image;
}

function refresh() {
  fillControls();
  legend();
  draw();
}

// After a choice: draw again, and note it in the address.
function changed() {
  refresh();
  writeSelection();
}

function hideAll() {
  state.visible.clear();
  state.hidden = true;
  changed();
}

function listen() {
  for (const [name, id] of Object.entries(CONTROLS)) {
    byId(id).addEventListener("change", () => {
      state[name] = ["size", "cost"].includes(name) ? byId(id).value : Number(byId(id).value);
      changed();
    });
  }
  byId("all").addEventListener("click", () => {
    state.hidden = false;
    entriesOf(state).forEach((entry) => state.visible.add(entry.method));
    changed();
  });
  byId("none").addEventListener("click", hideAll);
  for (const kind of ["pointerover", "click"]) document.addEventListener(kind, showTip);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return; // phones report a resize when their bars come and go
    width = window.innerWidth;
    draw();
  });
  window.addEventListener("hashchange", () => { readSelection(); refresh(); readFilters(); showTable(); });
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("input", () => { limit = STEP; tableHead(); showTable(); writeSelection(); });
  byId("more").addEventListener("click", () => { limit += STEP; showTable(); });
}

function fillFilters() {
  for (const name of FILTERS) {
    const values = [...new Set(allRows.map((row) => row[name]))].filter((value) => value !== null);
    if (name === "sparsity") values.sort((a, b) => a - b);
    fillSelect(byId(`filter-${name}`), [["", "all"], ...values.map((value) => [String(value), String(value)])], "");
  }
}

listen();
makeRankingsSortable();
readSelection();
refresh();
allRows = tableRows();
fillFilters();
readFilters();
tableHead();
showTable();
