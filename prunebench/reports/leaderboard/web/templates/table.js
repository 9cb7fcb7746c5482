// The table of all results: sorted, filtered, a hundred rows at a time. Names are inserted as text, never as HTML.

const STEP = 100;
const FILTERS = ["task", "metric", "track", "sparsity"];
const order = { column: null, descending: false };
let limit = STEP;

const signed = (value) => (value > 0 ? "+" : "") + decimals(value);
const brackets = (low, high, show = decimals) => (low === null ? "" : `[${show(low)}, ${show(high)}]`);
const difference = (mean, low, high) => (mean === null ? "—" : `${signed(mean)} ${brackets(low, high, signed)}`);

// ≈ stands for a mean that cannot be told apart from the best and is less than δ behind it.
const meanText = (row) => (row.unsupported ? "n/a" : `${spread(row.mean, row.std)}${row.close ? " ≈" : ""}`);

const speedText = (row) => grouped(row.speed) + (row.speed === null ? "" : ` ± ${grouped(row.speedStd)}`);

// A column is sorted by `value` and shows `text`, or `value` if there is none. Optional columns are left out if no row
// has a value, and those that are not `core` unless all columns are asked for.
const ALL_COLUMNS = [
  { title: "method", core: true, value: (row) => row.method, head: true },
  { title: "task", core: true, value: (row) => row.task },
  { title: "metric", core: true, value: (row) => row.metric },
  { title: "track", value: (row) => row.track },
  { title: "sparsity", core: true, value: (row) => row.sparsity, text: (row) => row.sparsity ?? "—", number: true },
  { title: "mean ± std", core: true, value: (row) => row.mean, text: meanText, number: true, best: true },
  { title: "n", value: (row) => row.n, number: true },
  { title: "95 %", value: (row) => row.low, text: (row) => brackets(row.low, row.high), number: true },
  { title: "Δ dense [95 %]", core: true, value: (row) => row.delta, text: (row) => difference(row.delta, row.deltaLow, row.deltaHigh),
    number: true },
  { title: "Δ equal [95 %]", value: (row) => row.equal, text: (row) => difference(row.equal, row.equalLow, row.equalHigh),
    number: true, optional: true },
  { title: "retained above chance, %", core: true, value: (row) => row.retained, text: (row) => decimals(row.retained), number: true },
  { title: "retained equal, above chance, %", value: (row) => row.retainedEqual, text: (row) => decimals(row.retainedEqual),
    number: true, optional: true },
  { title: "encoder sparsity, %", core: true, value: (row) => row.encoder, text: (row) => decimals(row.encoder), number: true },
  { title: "parameters left", value: (row) => row.parameters, text: (row) => grouped(row.parameters), number: true },
  { title: "FLOPs left, %", value: (row) => row.flops, text: (row) => decimals(row.flops), number: true, optional: true },
  { title: "FLOPs, zeros skipped, %", core: true, value: (row) => row.skipping, text: (row) => decimals(row.skipping), number: true,
    optional: true },
  { title: "steps", value: (row) => row.steps, text: (row) => grouped(row.steps), number: true },
  { title: "seconds", value: (row) => row.seconds, text: (row) => grouped(row.seconds), number: true },
  { title: "examples/s", value: (row) => row.speed, text: speedText, number: true, optional: true },
  { title: "every seed", text: (row) => row.seeds, seeds: true },
  { title: "note", core: true, value: (row) => row.note },
];
let COLUMNS = ALL_COLUMNS;

// The values that rows may lack.
const UNKNOWN = Object.fromEntries([
  "mean", "std", "low", "high", "delta", "deltaLow", "deltaHigh", "equal", "equalLow", "equalHigh", "retained",
  "retainedEqual", "encoder", "parameters", "flops", "skipping", "steps", "seconds", "speed", "speedStd", "n",
].map((name) => [name, null]));

function tableRows() {
  const key = (entry) => [entry.section, entry.track, entry.sparsity, entry.method].join();
  const retention = new Map(data.retention.map((entry) => [key(entry), entry]));
  return [
    ...data.entries.map((entry) => measuredRow(entry, retention.get(key(entry)))),
    ...data.unsupported.flatMap(unsupportedRows),
    ...data.reported.map(reportedRow),
  ];
}

function measuredRow(entry, retention) {
  const section = data.sections[entry.section];
  const seeds = entry.values.map((value, i) => (value === null ? ""
    : `${section.seeds[i]}: ${decimals(value)}${entry.degenerate.includes(i) ? "*" : ""}`));
  const { ofDense, ofEqual, encoder, parameters, flops, skipping, steps, seconds, speed, speedStd } =
    retention || { ...UNKNOWN, ofDense: null, ofEqual: null };
  const equal = data.equalTraining ? {} : { equal: null };
  return {
    ...entry,
    ...equal,
    ...names(entry, entry.column),
    seeds: seeds.filter(Boolean).join(", "),
    retained: ofDense, retainedEqual: data.equalTraining ? ofEqual : null,
    encoder, parameters, flops, skipping, steps, seconds, speed, speedStd,
  };
}

function names({ section: number, method, track }, column) {
  const section = data.sections[number];
  // Several averages are told apart by their titles.
  const isOneOfSeveral = data.sections.some((each) => each !== section && each.name === section.name);
  return {
    method: data.methods[method].label,
    task: isOneOfSeveral ? section.title : section.name,
    metric: section.columns[column],
    track: data.tracks[track],
  };
}

// A row for each metric of a sparsity at which the method has no model.
function unsupportedRows(entry) {
  return data.sections[entry.section].columns.map((_, column) => ({
    ...UNKNOWN,
    ...names(entry, column),
    sparsity: entry.sparsity,
    unsupported: true,
    seeds: "",
    best: 0, close: 0,
    note: `n/a: ${entry.reason}`,
  }));
}

function reportedRow(entry) {
  return {
    ...UNKNOWN,
    ...entry,
    reported: true,
    seeds: "",
    best: 0, close: 0,
    track: `${entry.track}, reported`,
    note: `reported: ${entry.source}; ${entry.setting}`,
  };
}

function filterRows(rows) {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const filters = FILTERS.map((name) => [name, byId(`filter-${name}`).value]).filter(([, value]) => value !== "");
  const searchText = (row) => `${row.method} ${row.task} ${row.metric} ${row.track} ${row.note}`.toLowerCase();
  return rows.filter((row) => filters.every(([name, value]) => String(row[name]) === value)
    && (!words.length || words.every((word) => searchText(row).includes(word))));
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortRows(rows) {
  if (order.column === null) return rows;
  const { value } = COLUMNS[order.column], sign = order.descending ? -1 : 1;
  const keyed = rows.map((row, i) => [value(row), i, row]);
  keyed.sort(([a, i], [b, j]) => {
    const lacksA = a === null || a === "", lacksB = b === null || b === "";
    if (lacksA || lacksB) return lacksA - lacksB || i - j; // unknown values come last in both directions
    return sign * compare(a, b) || i - j;
  });
  return keyed.map(([, , row]) => row);
}

function showTable() {
  const rows = sortRows(filterRows(allRows)), visible = rows.slice(0, limit);
  const body = document.createElement("tbody");
  body.append(...visible.map(tableRow));
  byId("results").tBodies[0].replaceWith(body);
  byId("count").textContent = `${grouped(visible.length)} of ${grouped(rows.length)} rows`;
  byId("more").hidden = visible.length === rows.length;
}

function tableRow(row) {
  const line = document.createElement("tr");
  if (row.reported) line.className = "reported";
  for (const column of COLUMNS) {
    const cell = document.createElement(column.head ? "th" : "td");
    if (column.head) cell.scope = "row";
    cell.textContent = column.text ? column.text(row) : column.value(row) ?? "—";
    cell.classList.toggle("number", Boolean(column.number));
    cell.classList.toggle("best", Boolean(column.best && row.best));
    cell.classList.toggle("seeds", Boolean(column.seeds));
    line.append(cell);
  }
  return line;
}

function tableHead() {
  const all = byId("columns").checked, sorted = COLUMNS[order.column];
  COLUMNS = ALL_COLUMNS.filter((column) => (all || column.core)
    && (!column.optional || allRows.some((row) => column.value(row) !== null)));
  order.column = COLUMNS.includes(sorted) ? COLUMNS.indexOf(sorted) : null;
  const line = document.createElement("tr");
  COLUMNS.forEach((column, i) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.classList.toggle("number", Boolean(column.number));
    if (column.value) {
      cell.setAttribute("aria-sort", i === order.column ? sortDirection() : "none");
      cell.append(button(column.title, () => sortBy(i)));
    } else {
      cell.textContent = column.title;
    }
    line.append(cell);
  });
  byId("results").tHead.replaceChildren(line);
}

const sortDirection = () => (order.descending ? "descending" : "ascending");

function sortBy(i) {
  // Numbers start with the greatest, words with A.
  order.descending = order.column === i ? !order.descending : Boolean(COLUMNS[i].number);
  order.column = i;
  [...byId("results").tHead.rows[0].cells].forEach((cell, j) => {
    if (COLUMNS[j].value) cell.setAttribute("aria-sort", j === i ? sortDirection() : "none");
  });
  limit = STEP;
  showTable();
}

function button(text, action) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", action);
  return element;
}

// Turn the header of each sparsity of a ranking into a button that sorts by it.
function makeRankingsSortable() {
  for (const table of document.querySelectorAll("table.ranking")) {
    [...table.tHead.rows[0].cells].slice(1).forEach((cell, i) => {
      const sortButton = button(cell.textContent, () => orderRanking(table, cell, i + 1));
      sortButton.setAttribute("aria-label", `Order by the ranking at sparsity ${cell.textContent}`);
      cell.replaceChildren(sortButton);
    });
  }
}

function orderRanking(table, cell, column) {
  const down = cell.getAttribute("aria-sort") === "ascending";
  const rows = [...table.querySelectorAll("tr.placement")].map((row) => [Number(row.cells[column].dataset.order), row]);
  rows.sort(([a], [b]) => (down ? b - a : a - b));
  table.tBodies[0].append(...rows.map(([, row]) => row));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", down ? "descending" : "ascending");
}
