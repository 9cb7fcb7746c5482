// What the charts show. Each function takes what is chosen and gives plotly's traces and layout, or a sentence.
// plotly reads a few HTML tags and entities in text: every name goes through `shown` first.

// Okabe and Ito (2008), without black, which is dense, and without yellow, which cannot be read on white.
const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const DARK = ["#4a9fe0", "#ff7f3f", "#2fc79b", "#e79cc6", "#f2b233", "#9ad7ff"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down", "pentagon", "hexagon", "cross", "hourglass"];
const ALPHA = 0.05;

const shown = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const cut = (text, most) => { const all = Array.from(text); return all.length > most ? all.slice(0, most - 1).join("") + "…" : text; };
const decimals = (value, places = 2) => value === null ? "—" : value.toFixed(places).replace("-", "−");
const spread = (mean, std) => decimals(mean) + (std === null ? "" : " ± " + decimals(std));
const grouped = (value) => value === null ? "—" : Math.round(value).toLocaleString("en-US");

function look(method) {
  const colours = theme.dark ? DARK : LIGHT, i = method - 1; // 0 is dense
  return method === 0
    ? { colour: theme.fg, symbol: "circle-open", dash: "dash" }
    : { colour: colours[i % colours.length], symbol: SYMBOLS[(i + Math.floor(i / colours.length)) % SYMBOLS.length],
        dash: data.methods[method].control ? "dot" : "solid" };
}

function faded(colour, alpha) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

function layout(x, y, more = {}) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    font: { color: theme.fg, size: 12, family: getComputedStyle(document.body).fontFamily },
    margin: { l: 52, r: 18, t: 10, b: 46 }, height: narrow() ? 320 : 380,
    hoverlabel: { bgcolor: theme.card, bordercolor: theme.rule, font: { color: theme.fg }, align: "left" },
    xaxis: axis(x), yaxis: axis(y), ...more,
  };
}

function axis({ title, ...more }) {
  return { title: { text: title, standoff: 6 }, gridcolor: theme.grid, linecolor: theme.rule, zeroline: false, automargin: true, ...more };
}

const narrow = () => window.innerWidth < 640;

function seedLines(section, values, degenerate = []) {
  const parts = values.map((value, i) => value === null ? "" : `seed ${data.sections[section].seeds[i]}: ${decimals(value)}${degenerate.includes(i) ? "*" : ""}`).filter(Boolean);
  const lines = [];
  for (let i = 0; i < parts.length; i += 4) lines.push(parts.slice(i, i + 4).join(", "));
  return lines.join("<br>");
}

function told(entry) {
  return `<b>${shown(cut(data.methods[entry.method].label, 60))}</b> at sparsity ${entry.sparsity}<br>${spread(entry.mean, entry.std)} (n = ${entry.n})<br>${seedLines(entry.section, entry.values, entry.degenerate)}${entry.note ? "<br>" + shown(cut(entry.note, 80)) : ""}`;
}

function bySparsity(entries) {
  const found = new Map();
  for (const entry of entries) {
    if (entry.mean === null) continue;
    if (!found.has(entry.method)) found.set(entry.method, []);
    found.get(entry.method).push(entry);
  }
  for (const list of found.values()) list.sort((a, b) => a.sparsity - b.sparsity);
  return [...found.entries()].sort((a, b) => a[0] - b[0]);
}

function line(method, x, y, text, more = {}) {
  const { colour, symbol, dash } = look(method);
  return { type: "scatter", mode: "lines+markers", x, y, hovertext: text, hoverinfo: "text", line: { color: colour, width: 2, dash },
    marker: { color: colour, symbol, size: 9, line: { color: theme.card, width: 1 } }, ...more };
}

function band(x, low, high, colour) {
  return { type: "scatter", mode: "lines", x: [...x, ...[...x].reverse()], y: [...high, ...[...low].reverse()], fill: "toself",
    fillcolor: faded(colour, 0.14), line: { width: 0 }, hoverinfo: "skip" };
}

// The dense runs and the majority class across the whole chart, along x or along y.
function references(dense, majority, from, to) {
  const traces = [], annotations = [];
  const label = (y, text) => annotations.push({ xref: "paper", x: 0, y, text, showarrow: false, xanchor: "left", yanchor: "bottom", font: { color: theme.muted, size: 11 } });
  if (dense && dense.mean !== null) {
    if (dense.std !== null) traces.push(band([from, to], Array(2).fill(dense.mean - dense.std), Array(2).fill(dense.mean + dense.std), theme.fg));
    traces.push({ type: "scatter", mode: "lines", x: [from, to], y: [dense.mean, dense.mean], hovertext: told(dense), hoverinfo: "text", line: { color: theme.fg, width: 1.5, dash: "dash" } });
    label(dense.mean, "dense");
  }
  if (majority !== null && majority !== undefined) {
    traces.push({ type: "scatter", mode: "lines", x: [from, to], y: [majority, majority], hovertext: `majority class: ${decimals(majority)}`, hoverinfo: "text", line: { color: theme.muted, width: 1.5, dash: "dot" } });
    label(majority, "majority class");
  }
  return { traces, annotations };
}

function scoresChart(state) {
  const entries = entriesOf(state), levels = sparsities(state);
  if (!levels.length) return "There is nothing here but dense runs.";
  const pad = levels.length > 1 ? 0.04 * (levels[levels.length - 1] - levels[0]) : 0.05;
  const from = levels[0] - pad, to = levels[levels.length - 1] + pad;
  const { traces, annotations } = references(denseOf(state), data.sections[state.section].majority[state.column], from, to);
  const shownEntries = bySparsity(entries.filter((entry) => state.visible.has(entry.method)));
  for (const [method, list] of shownEntries) {
    const x = list.map((entry) => entry.sparsity), deviation = list.map((entry) => entry.std || 0);
    traces.push(band(x, list.map((entry, i) => entry.mean - deviation[i]), list.map((entry, i) => entry.mean + deviation[i]), look(method).colour));
  }
  for (const [method, list] of shownEntries) {
    const points = list.flatMap((entry) => entry.values.map((value, i) => [entry, value, i]).filter(([, value]) => value !== null));
    traces.push({ type: "scatter", mode: "markers", x: points.map(([entry]) => entry.sparsity), y: points.map(([, value]) => value), hoverinfo: "text",
      hovertext: points.map(([entry, value, i]) => `${shown(cut(data.methods[method].label, 60))}, seed ${data.sections[entry.section].seeds[i]}: ${decimals(value)}`),
      marker: { color: look(method).colour, size: 4, opacity: 0.5 } });
    traces.push(line(method, list.map((entry) => entry.sparsity), list.map((entry) => entry.mean), list.map(told)));
  }
  traces.push(...reportedTraces(state));
  return { traces, layout: layout({ title: "sparsity", range: [from, to] }, { title: `${shown(columnOf(state))} × 100` }, { annotations }) };
}

// What papers reported of this task and metric, hollow and grey.
function reportedTraces(state) {
  const section = data.sections[state.section];
  const found = data.reported.filter((each) => each.task === section.name && each.metric === columnOf(state) && each.sparsity !== null && each.track === data.tracks[state.track]);
  if (!found.length) return [];
  return [{ type: "scatter", mode: "markers", x: found.map((each) => each.sparsity), y: found.map((each) => each.mean), hoverinfo: "text",
    hovertext: found.map((each) => `<b>${shown(each.method)}</b>, reported, not measured here<br>${spread(each.mean, each.std)}<br>${shown(each.source)}<br>${shown(each.setting)}`),
    marker: { color: theme.muted, symbol: "diamond-open", size: 10 } }];
}

function stripChart(state) {
  const dense = denseOf(state);
  const found = entriesOf(state).filter((entry) => entry.sparsity === state.sparsity && entry.mean !== null && state.visible.has(entry.method));
  if (!found.length) return "No method has a score here.";
  found.sort((a, b) => a.mean - b.mean || b.method - a.method);
  const rows = dense && dense.mean !== null ? [...found, dense] : found;
  const traces = [];
  rows.forEach((entry, row) => {
    const { colour, symbol } = look(entry.method);
    if (entry.low !== null) traces.push({ type: "scatter", mode: "lines", x: [entry.low, entry.high], y: [row, row], hoverinfo: "skip", line: { color: faded(colour.startsWith("#") ? colour : "#888888", 0.45), width: 5 } });
    const seeds = entry.values.map((value, i) => [value, i]).filter(([value]) => value !== null);
    traces.push({ type: "scatter", mode: "markers", x: seeds.map(([value]) => value), y: seeds.map(() => row), hoverinfo: "text",
      hovertext: seeds.map(([value, i]) => `<b>${shown(cut(data.methods[entry.method].label, 60))}</b>, seed ${data.sections[entry.section].seeds[i]}: ${decimals(value)}`),
      marker: { color: colour, symbol, size: 8, opacity: 0.75 } });
    traces.push({ type: "scatter", mode: "markers", x: [entry.mean], y: [row], hovertext: [told(entry)], hoverinfo: "text", marker: { color: theme.fg, symbol: "line-ns", size: 16, line: { color: theme.fg, width: 2.5 } } });
  });
  const most = narrow() ? 16 : 28, majority = data.sections[state.section].majority[state.column], shapes = [];
  if (majority !== null) shapes.push({ type: "line", xref: "x", yref: "paper", x0: majority, x1: majority, y0: 0, y1: 1, line: { color: theme.muted, width: 1.5, dash: "dot" } });
  const y = { title: "", tickvals: rows.map((_, i) => i), ticktext: rows.map((entry) => shown(cut(data.methods[entry.method].label, most))), range: [-0.6, rows.length - 0.4] };
  return { traces, layout: layout({ title: `${shown(columnOf(state))} × 100` }, y, { shapes, height: Math.max(200, 90 + 34 * rows.length) }) };
}

function keptChart(state, amount, title, words, more) {
  const found = data.kept.filter((entry) => entry.section === state.section && entry.track === state.track && entry.mean !== null && entry[amount] !== null && state.visible.has(entry.method));
  if (!found.length) return `No ${words} are known here, or nothing can be retained.`;
  const traces = [];
  for (const [method, list] of bySparsity(found)) {
    traces.push(line(method, list.map((entry) => entry[amount]), list.map((entry) => entry.mean), list.map((entry) =>
      `<b>${shown(cut(data.methods[method].label, 60))}</b> at sparsity ${entry.sparsity}<br>${spread(entry.mean, entry.std)} % retained<br>${seedLines(entry.section, entry.values)}<br>` +
      `${grouped(entry.parameters)} parameters left (${decimals(entry.share)} %)<br>${grouped(entry.steps)} steps${entry.seconds === null ? "" : `, ${grouped(entry.seconds)} s`}`),
      { error_y: { type: "data", array: list.map((entry) => entry.std || 0), color: faded(look(method).colour, 0.5), thickness: 1, width: 3 } }));
  }
  const shapes = [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 100, y1: 100, line: { color: theme.fg, width: 1.5, dash: "dash" } }];
  return { traces, layout: layout({ title, ...more }, { title: "score retained, %" }, { shapes }) };
}

const parametersChart = (state) => keptChart(state, "share", "parameters left, % of the model", "sizes", { autorange: "reversed" });
const costChart = (state) => keptChart(state, state.cost, state.cost === "steps" ? "optimiser steps, to find the mask and to train" : "seconds of training, to find the mask and to train", state.cost, { rangemode: "tozero" });

function ranksChart(state) {
  const { standing } = ranksOf(state);
  if (!standing || !standing.ranks.length) return "There is no ranking over tasks here.";
  if (standing.cd === null) return `No critical difference: ${standing.reason}.`;
  const rows = [...standing.ranks].reverse(), count = rows.length, at = new Map(rows.map(([method], i) => [method, i]));
  const traces = [], shapes = [], annotations = [];
  rows.forEach(([method, mean], row) => {
    const { colour, symbol } = look(method);
    traces.push({ type: "scatter", mode: "lines", x: [mean - standing.cd / 2, mean + standing.cd / 2], y: [row, row], hoverinfo: "skip", line: { color: faded(colour, 0.4), width: 5 } });
    traces.push({ type: "scatter", mode: "markers", x: [mean], y: [row], hoverinfo: "text", hovertext: [`<b>${shown(cut(data.methods[method].label, 60))}</b>: average rank ${decimals(mean)}`], marker: { color: colour, symbol, size: 11 } });
  });
  standing.groups.filter((group) => group.length > 1).forEach((group, i) => {
    const places = group.map((method) => at.get(method));
    shapes.push({ type: "line", xref: "paper", x0: 1.015 + 0.02 * i, x1: 1.015 + 0.02 * i, y0: Math.min(...places) - 0.25, y1: Math.max(...places) + 0.25, line: { color: theme.fg, width: 4 } });
  });
  const right = 26 + (narrow() ? 8 : 16) * standing.groups.length, most = narrow() ? 16 : 40;
  const x = { title: "average rank over tasks (1 is best)", range: [count + 0.5, 0.5], dtick: Math.ceil(count / 10) };
  const y = { title: "", tickvals: rows.map((_, i) => i), ticktext: rows.map(([method]) => shown(cut(data.methods[method].label, most))), range: [-0.7, count - 0.3] };
  return { traces, layout: layout(x, y, { shapes, annotations, margin: { l: 52, r: right, t: 10, b: 46 }, height: Math.max(200, 90 + 30 * count) }) };
}
