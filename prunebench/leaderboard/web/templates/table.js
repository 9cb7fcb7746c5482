// The table of every result: sorted, filtered, a hundred rows at a time. Everything is put in as text, never as HTML.

const STEP = 100;
const order = { column: null, descending: false };
let limit = STEP;

const COLUMNS = [
  { title: "method", value: (row) => row.method, head: true },
  { title: "task", value: (row) => row.task },
  { title: "metric", value: (row) => row.metric },
  { title: "track", value: (row) => row.track },
  { title: "sparsity", value: (row) => row.sparsity, text: (row) => row.sparsity === null ? "—" : String(row.sparsity), number: true },
  { title: "mean ± std", value: (row) => row.mean, text: (row) => spread(row.mean, row.std), number: true, best: true },
  { title: "n", value: (row) => row.n, text: (row) => String(row.n), number: true },
  { title: "95 %", value: (row) => row.low, text: (row) => brackets(row.low, row.high), number: true },
  { title: "Δ dense [95 %]", value: (row) => row.delta, text: (row) => row.delta === null ? "—" : `${signed(row.delta)} ${brackets(row.deltaLow, row.deltaHigh, signed)}`, number: true },
  { title: "retained, %", value: (row) => row.retained, text: (row) => decimals(row.retained), number: true },
  { title: "parameters left", value: (row) => row.parameters, text: (row) => grouped(row.parameters), number: true },
  { title: "steps", value: (row) => row.steps, text: (row) => grouped(row.steps), number: true },
  { title: "seconds", value: (row) => row.seconds, text: (row) => grouped(row.seconds), number: true },
  { title: "every seed", value: null, text: (row) => row.seeds, seeds: true },
  { title: "note", value: (row) => row.note },
];

const signed = (value) => (value > 0 ? "+" : "") + decimals(value);
const brackets = (low, high, show = decimals) => low === null ? "" : `[${show(low)}, ${show(high)}]`;

function tableRows() {
  const kept = new Map(data.kept.map((entry) => [[entry.section, entry.track, entry.sparsity, entry.method].join(), entry]));
  const measured = data.entries.map((entry) => {
    const section = data.sections[entry.section], found = kept.get([entry.section, entry.track, entry.sparsity, entry.method].join());
    const seeds = entry.values.map((value, i) => value === null ? null : `${section.seeds[i]}: ${decimals(value)}${entry.degenerate.includes(i) ? "*" : ""}`);
    return { ...entry, method: data.methods[entry.method].label, task: section.name === "average" ? section.title : section.name, metric: section.columns[entry.column],
      track: data.tracks[entry.track], retained: found ? found.mean : null, parameters: found ? found.parameters : null,
      steps: found ? found.steps : null, seconds: found ? found.seconds : null, seeds: seeds.filter(Boolean).join(", ") };
  });
  const reported = data.reported.map((each) => ({ ...each, reported: true, n: "", low: null, high: null, delta: null, deltaLow: null, deltaHigh: null, retained: null,
    parameters: null, steps: null, seconds: null, seeds: "", best: 0, track: `${each.track}, reported`, note: `reported: ${each.source}; ${each.setting}` }));
  return [...measured, ...reported];
}

function filtered(rows) {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = ["task", "metric", "track", "sparsity"].map((name) => [name, byId(`filter-${name}`).value]).filter(([, value]) => value !== "");
  return rows.filter((row) => wanted.every(([name, value]) => String(row[name]) === value) &&
    words.every((word) => `${row.method} ${row.task} ${row.metric} ${row.track} ${row.note}`.toLowerCase().includes(word)));
}

function sorted(rows) {
  if (order.column === null) return rows;
  const value = COLUMNS[order.column].value, sign = order.descending ? -1 : 1;
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  return rows.map((row, i) => [value(row), i, row]).sort(([a, i], [b, j]) => {
    const lacksA = a === null || a === "", lacksB = b === null || b === "";
    if (lacksA || lacksB) return lacksA - lacksB || i - j; // what is not known comes last either way
    return sign * compare(a, b) || i - j;
  }).map(([, , row]) => row);
}

function showTable() {
  const found = sorted(filtered(allRows)), visible = found.slice(0, limit);
  const body = document.createElement("tbody");
  for (const row of visible) body.append(tableRow(row));
  byId("results").tBodies[0].replaceWith(body);
  byId("count").textContent = `${visible.length.toLocaleString("en-US")} of ${found.length.toLocaleString("en-US")} rows`;
  byId("more").hidden = visible.length === found.length;
}

function tableRow(row) {
  const line = document.createElement("tr");
  if (row.reported) line.className = "reported";
  for (const column of COLUMNS) {
    const cell = document.createElement(column.head ? "th" : "td");
    if (column.head) cell.scope = "row";
    cell.textContent = column.text ? column.text(row) : row[column.title];
    cell.className = column.number ? (column.best && row.best ? "number best" : "number") : column.seeds ? "seeds" : "";
    line.append(cell);
  }
  return line;
}

function tableHead() {
  const line = document.createElement("tr");
  COLUMNS.forEach((column, i) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    if (column.number) cell.className = "number";
    if (!column.value) {
      cell.textContent = column.title;
    } else {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = column.title;
      button.addEventListener("click", () => sortBy(i));
      cell.setAttribute("aria-sort", "none");
      cell.append(button);
    }
    line.append(cell);
  });
  byId("results").tHead.replaceChildren(line);
}

function sortBy(i) {
  // Numbers greatest first, words from A: what is looked for first.
  const first = Boolean(COLUMNS[i].number);
  order.descending = order.column === i ? !order.descending : first;
  order.column = i;
  [...byId("results").tHead.rows[0].cells].forEach((cell, j) => {
    if (COLUMNS[j].value) cell.setAttribute("aria-sort", j !== i ? "none" : order.descending ? "descending" : "ascending");
  });
  limit = STEP;
  showTable();
}
