// The charts. Each chart function takes the state and returns plotly's traces and layout, or a sentence in their place.
// plotly interprets some HTML tags and entities in text, so every name goes through `escaped` first.

// Okabe and Ito (2008), without black, which is dense, and without yellow, which is hard to see on white.
const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const DARK = ["#4a9fe0", "#ff7f3f", "#2fc79b", "#e79cc6", "#f2b233", "#9ad7ff"];
const SYMBOLS = [
  "circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down", "pentagon", "hexagon", "cross", "hourglass",
];
const ALPHA = 0.05;
const LONGEST = 60; // characters of a name in a hover text

const narrow = () => window.innerWidth < 640;

// --- text ---

function escaped(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function truncate(text, length) {
  const characters = Array.from(text);
  return characters.length > length ? characters.slice(0, length - 1).join("") + "…" : text;
}

function decimals(value, places = 2) {
  return value === null ? "—" : value.toFixed(places).replace("-", "−");
}

function spread(mean, std) {
  return decimals(mean) + (std === null ? "" : " ± " + decimals(std));
}

function grouped(value) {
  return value === null ? "—" : Math.round(value).toLocaleString("en-US");
}

function bold(method) {
  return `<b>${escaped(truncate(data.methods[method].label, LONGEST))}</b>`;
}

// The value of every seed, four to a line.
function seedLines(section, values, degenerate = []) {
  const seeds = data.sections[section].seeds;
  const parts = values
    .map((value, i) => (value === null ? "" : `seed ${seeds[i]}: ${decimals(value)}${degenerate.includes(i) ? "*" : ""}`))
    .filter(Boolean);
  const lines = [];
  for (let i = 0; i < parts.length; i += 4) lines.push(parts.slice(i, i + 4).join(", "));
  return lines.join("<br>");
}

function hoverText(entry) {
  return [
    `${bold(entry.method)} at sparsity ${entry.sparsity}`,
    `${spread(entry.mean, entry.std)} (n = ${entry.n})`,
    seedLines(entry.section, entry.values, entry.degenerate),
    escaped(truncate(entry.note, 80)),
  ].filter(Boolean).join("<br>");
}

// --- style ---

function look(method) {
  if (method === 0) return { colour: theme.fg, symbol: "circle-open", dash: "dash" }; // dense
  const colours = theme.dark ? DARK : LIGHT, i = method - 1;
  return {
    colour: colours[i % colours.length],
    symbol: SYMBOLS[(i + Math.floor(i / colours.length)) % SYMBOLS.length],
    dash: data.methods[method].control ? "dot" : "solid",
  };
}

function faded(colour, alpha) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

function layout(x, y, more = {}) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    showlegend: false,
    hovermode: "closest",
    font: { color: theme.fg, size: 12, family: getComputedStyle(document.body).fontFamily },
    margin: { l: 52, r: 18, t: 10, b: 46 },
    height: narrow() ? 320 : 380,
    hoverlabel: { bgcolor: theme.card, bordercolor: theme.rule, font: { color: theme.fg }, align: "left" },
    xaxis: axis(x),
    yaxis: axis(y),
    ...more,
  };
}

function axis({ title, ...more }) {
  return {
    title: { text: title, standoff: 6 },
    gridcolor: theme.grid,
    linecolor: theme.rule,
    zeroline: false,
    automargin: true,
    ...more,
  };
}

// An axis of method names, the first at the bottom.
function nameAxis(methods, length) {
  return {
    title: "",
    tickvals: methods.map((_, i) => i),
    ticktext: methods.map((method) => escaped(truncate(data.methods[method].label, length))),
    range: [-0.6, methods.length - 0.4],
  };
}

// --- traces ---

function markers(x, y, text, marker) {
  return { type: "scatter", mode: "markers", x, y, hovertext: text, hoverinfo: "text", marker };
}

function curve(method, x, y, text, more = {}) {
  const { colour, symbol, dash } = look(method);
  return {
    ...markers(x, y, text, { color: colour, symbol, size: 9, line: { color: theme.card, width: 1 } }),
    mode: "lines+markers",
    line: { color: colour, width: 2, dash },
    ...more,
  };
}

function bar(from, to, row, colour) {
  const line = { color: faded(colour, 0.45), width: 5 };
  return { type: "scatter", mode: "lines", x: [from, to], y: [row, row], hoverinfo: "skip", line };
}

function band(x, low, high, colour) {
  return {
    type: "scatter",
    mode: "lines",
    x: [...x, ...[...x].reverse()],
    y: [...high, ...[...low].reverse()],
    fill: "toself",
    fillcolor: faded(colour, 0.14),
    line: { width: 0 },
    hoverinfo: "skip",
  };
}

function horizontal(from, to, y, text, line) {
  return { type: "scatter", mode: "lines", x: [from, to], y: [y, y], hovertext: text, hoverinfo: "text", line };
}

// The dense runs and the majority class, as lines across the whole chart.
function references(dense, majority, from, to) {
  const traces = [], annotations = [];
  const label = (y, text) => annotations.push({
    xref: "paper", x: 0, y, text, showarrow: false, xanchor: "left", yanchor: "bottom",
    font: { color: theme.muted, size: 11 },
  });
  if (dense && dense.mean !== null) {
    if (dense.std !== null) {
      const low = dense.mean - dense.std, high = dense.mean + dense.std;
      traces.push(band([from, to], [low, low], [high, high], theme.fg));
    }
    traces.push(horizontal(from, to, dense.mean, hoverText(dense), { color: theme.fg, width: 1.5, dash: "dash" }));
    label(dense.mean, "dense");
  }
  if (majority !== null) {
    const text = `majority class: ${decimals(majority)}`;
    traces.push(horizontal(from, to, majority, text, { color: theme.muted, width: 1.5, dash: "dot" }));
    label(majority, "majority class");
  }
  return { traces, annotations };
}

// The entries with a score by method, sorted by sparsity.
function bySparsity(entries) {
  const byMethod = new Map();
  for (const entry of entries) {
    if (entry.mean === null) continue;
    if (!byMethod.has(entry.method)) byMethod.set(entry.method, []);
    byMethod.get(entry.method).push(entry);
  }
  for (const list of byMethod.values()) list.sort((a, b) => a.sparsity - b.sparsity);
  return [...byMethod.entries()].sort((a, b) => a[0] - b[0]);
}

function seedPoints(entries) {
  return entries.flatMap((entry) => entry.values
    .map((value, i) => ({ entry, value, seed: data.sections[entry.section].seeds[i] }))
    .filter(({ value }) => value !== null));
}

const seedText = ({ entry, value, seed }) => `${bold(entry.method)}, seed ${seed}: ${decimals(value)}`;

// What papers report for this task and metric, as hollow grey markers.
function reportedTraces(state) {
  const section = data.sections[state.section], track = data.tracks[state.track];
  const rows = data.reported.filter((each) => each.task === section.name && each.metric === columnOf(state)
    && each.sparsity !== null && each.track === track);
  if (!rows.length) return [];
  const text = rows.map((each) => [
    `<b>${escaped(each.method)}</b>, reported, not measured here`,
    spread(each.mean, each.std),
    escaped(each.source),
    escaped(each.setting),
  ].join("<br>"));
  const marker = { color: theme.muted, symbol: "diamond-open", size: 10 };
  return [markers(rows.map((each) => each.sparsity), rows.map((each) => each.mean), text, marker)];
}

// --- charts ---

function scoresChart(state) {
  const levels = sparsities(state);
  if (!levels.length) return "There are only dense runs here.";
  const last = levels[levels.length - 1];
  const pad = levels.length > 1 ? 0.04 * (last - levels[0]) : 0.05;
  const from = levels[0] - pad, to = last + pad;
  const majority = data.sections[state.section].majority[state.column];
  const { traces, annotations } = references(denseOf(state), majority, from, to);
  const curves = bySparsity(entriesOf(state).filter((entry) => state.visible.has(entry.method)));
  for (const [method, entries] of curves) {
    const low = entries.map((entry) => entry.mean - (entry.std || 0));
    const high = entries.map((entry) => entry.mean + (entry.std || 0));
    traces.push(band(entries.map((entry) => entry.sparsity), low, high, look(method).colour));
  }
  for (const [method, entries] of curves) {
    const points = seedPoints(entries), x = points.map(({ entry }) => entry.sparsity);
    const marker = { color: look(method).colour, size: 4, opacity: 0.5 };
    traces.push(markers(x, points.map(({ value }) => value), points.map(seedText), marker));
    const means = entries.map((entry) => entry.mean);
    traces.push(curve(method, entries.map((entry) => entry.sparsity), means, entries.map(hoverText)));
  }
  traces.push(...reportedTraces(state));
  const y = { title: `${escaped(columnOf(state))} × 100` };
  return { traces, layout: layout({ title: "sparsity", range: [from, to] }, y, { annotations }) };
}

function stripChart(state) {
  const dense = denseOf(state), majority = data.sections[state.section].majority[state.column];
  const entries = entriesOf(state).filter((entry) => entry.sparsity === state.sparsity && entry.mean !== null
    && state.visible.has(entry.method));
  if (!entries.length) return "No method has a score here.";
  entries.sort((a, b) => a.mean - b.mean || b.method - a.method);
  // Methods without a model of this sparsity come last, with the reason in place of seeds.
  const lacking = data.unsupported.filter((each) => each.section === state.section && each.track === state.track
    && each.sparsity === state.sparsity && state.visible.has(each.method));
  const scored = dense && dense.mean !== null ? [...entries, dense] : entries, rows = [...lacking, ...scored];
  const annotations = lacking.map(({ reason }, row) => ({
    xref: "paper", x: 0.01, y: row, xanchor: "left", showarrow: false, font: { color: theme.muted, size: 11 },
    text: escaped(truncate(`n/a: ${reason}`, narrow() ? 36 : LONGEST)),
  }));
  const traces = scored.flatMap((entry, i) => {
    const row = lacking.length + i;
    const { colour, symbol } = look(entry.method), points = seedPoints([entry]);
    const x = points.map(({ value }) => value), marker = { color: colour, symbol, size: 8, opacity: 0.75 };
    const tick = { color: theme.fg, symbol: "line-ns", size: 16, line: { color: theme.fg, width: 2.5 } };
    return [
      ...(entry.low === null ? [] : [bar(entry.low, entry.high, row, colour)]),
      markers(x, x.map(() => row), points.map(seedText), marker),
      markers([entry.mean], [row], [hoverText(entry)], tick),
    ];
  });
  const line = { color: theme.muted, width: 1.5, dash: "dot" };
  const shapes = majority === null ? [] : [
    { type: "line", xref: "x", yref: "paper", x0: majority, x1: majority, y0: 0, y1: 1, line },
  ];
  const y = nameAxis(rows.map((entry) => entry.method), narrow() ? 16 : 28);
  const height = Math.max(200, 90 + 34 * rows.length);
  return { traces, layout: layout({ title: `${escaped(columnOf(state))} × 100` }, y, { shapes, annotations, height }) };
}

// What the chart of sizes can show: the field of a retention entry, and what stands in captions and below the axis.
const SIZES = {
  share: { name: "parameters left", unit: "% of the model" },
  flops: { name: "FLOPs left", unit: "% of dense" },
  skipping: { name: "FLOPs left, zeros skipped", unit: "% of dense" },
};

// Where the score is compared with a dense run of equal training, the share of the plain dense run stands beside it.
function retentionText(entry) {
  const equal = data.equalTraining && entry.ofEqual !== null;
  return [
    `${bold(entry.method)} at sparsity ${entry.sparsity}`,
    `${spread(entry.mean, entry.std)} % retained above chance${equal ? " of equal training" : ""}`,
    equal && entry.ofEqual !== entry.ofDense ? `${decimals(entry.ofDense)} % of dense` : "",
    seedLines(entry.section, entry.values),
    `${grouped(entry.parameters)} parameters left (${decimals(entry.share)} %)`,
    entry.flops === null ? "" : `FLOPs left: ${decimals(entry.flops)} %, zeros skipped: ${decimals(entry.skipping)} %`,
    `${grouped(entry.steps)} steps${entry.seconds === null ? "" : `, ${grouped(entry.seconds)} s`}`,
  ].filter(Boolean).join("<br>");
}

// Score retained against `amount`, a field of the retention entries. `subject` names it where there is nothing to draw.
function retentionChart(state, amount, subject, x) {
  const points = data.retention.filter((entry) => entry.section === state.section && entry.track === state.track
    && entry.mean !== null && entry[amount] !== null && state.visible.has(entry.method));
  if (!points.length) return `${subject} are unknown here, or no score retained can be computed.`;
  const traces = bySparsity(points).map(([method, entries]) => {
    const color = faded(look(method).colour, 0.5), array = entries.map((entry) => entry.std || 0);
    const error = { error_y: { type: "data", array, color, thickness: 1, width: 3 } };
    const means = entries.map((entry) => entry.mean);
    return curve(method, entries.map((entry) => entry[amount]), means, entries.map(retentionText), error);
  });
  const line = { color: theme.fg, width: 1.5, dash: "dash" };
  const shapes = [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 100, y1: 100, line }];
  return { traces, layout: layout(x, { title: "score retained above chance, %" }, { shapes }) };
}

function parametersChart(state) {
  const { name, unit } = SIZES[state.size], subject = state.size === "share" ? "Sizes" : "FLOPs";
  return retentionChart(state, state.size, subject, { title: `${name}, ${unit}`, autorange: "reversed" });
}

function costChart(state) {
  const unit = state.cost === "steps" ? "optimiser steps" : "seconds of training";
  const x = { title: `${unit}, to find the mask and to train`, rangemode: "tozero" };
  return retentionChart(state, state.cost, state.cost === "steps" ? "Steps" : "Seconds on one kind of hardware", x);
}

// Average ranks with Nemenyi's critical difference, half to each side: bars that do not overlap can be told apart.
// Lines at the right join methods that cannot.
function ranksChart(state) {
  const { standing } = ranksOf(state);
  if (!standing || !standing.ranks.length) return "There is no ranking over tasks here.";
  if (standing.cd === null) return `No critical difference: ${standing.reason}.`;
  const rows = [...standing.ranks].reverse(), count = rows.length;
  const traces = rows.flatMap(([method, mean], row) => {
    const { colour, symbol } = look(method), text = `${bold(method)}: average rank ${decimals(mean)}`;
    return [
      bar(mean - standing.cd / 2, mean + standing.cd / 2, row, colour),
      markers([mean], [row], [text], { color: colour, symbol, size: 11 }),
    ];
  });
  const rowOf = new Map(rows.map(([method], i) => [method, i]));
  const groups = standing.groups.filter((group) => group.length > 1);
  const shapes = groups.map((group, i) => {
    const positions = group.map((method) => rowOf.get(method)), x = 1.015 + 0.02 * i;
    const ends = { y0: Math.min(...positions) - 0.25, y1: Math.max(...positions) + 0.25 };
    return { type: "line", xref: "paper", x0: x, x1: x, ...ends, line: { color: theme.fg, width: 4 } };
  });
  const x = { title: "average rank over tasks (1 is best)", range: [count + 0.5, 0.5], dtick: Math.ceil(count / 10) };
  const y = nameAxis(rows.map(([method]) => method), narrow() ? 16 : 40);
  const margin = { l: 52, r: 26 + (narrow() ? 8 : 20) * groups.length, t: 10, b: 46 };
  return { traces, layout: layout(x, y, { shapes, margin, height: Math.max(200, 90 + 30 * count) }) };
}
