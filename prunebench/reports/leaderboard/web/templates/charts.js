// The charts. Each chart function takes the state and returns what `drawChart` draws, or a sentence in its place.

const ALPHA = 0.05;
const LONGEST = 60; // characters of a name in a hover text
const LEAST = -30; // shares of what dense learned below this are cut off: they would flatten all others

const narrow = () => window.innerWidth < 640;

// --- text ---

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

const nameOf = (method, length = LONGEST) => truncate(data.methods[method].label, length);

// The value of every seed, four to a line.
function seedLines(section, values, degenerate = []) {
  const seeds = data.sections[section].seeds;
  const parts = values
    .map((value, i) => (value === null ? "" : `seed ${seeds[i]}: ${decimals(value)}${degenerate.includes(i) ? "*" : ""}`))
    .filter(Boolean);
  const lines = [];
  for (let i = 0; i < parts.length; i += 4) lines.push(parts.slice(i, i + 4).join(", "));
  return lines.join("\n");
}

function hoverText(entry) {
  return [
    `${nameOf(entry.method)} at sparsity ${entry.sparsity}`,
    `${spread(entry.mean, entry.std)} (n = ${entry.n})`,
    seedLines(entry.section, entry.values, entry.degenerate),
    truncate(entry.note, 80),
  ].filter(Boolean).join("\n");
}

// --- style ---

// The classes of a method's line and marker, and its marker's path. Colours that come again have another marker.
function look(method) {
  const { shapes, colours } = data;
  if (method === 0) return { line: "dense", fill: "dense-mark", shape: shapes[0] };
  const i = method - 1, colour = i % colours;
  return {
    line: `line${colour}${data.methods[method].control ? " dotted" : ""}`,
    fill: `fill${colour}`,
    shape: shapes[(i + Math.floor(i / colours)) % shapes.length],
  };
}

const chartHeight = () => (narrow() ? 320 : 380);
const rowsHeight = (count) => Math.max(150, 74 + 32 * count);

// --- marks ---

function curve(method, points) {
  const { line, fill, shape } = look(method);
  return [
    { kind: "line", style: line, points: points.map(({ x, y }) => [x, y]) },
    ...points.map(({ x, y, text }) => ({ kind: "point", x, y, text, shape, style: fill })),
  ];
}

// Guides for the dense runs and the majority class. The lower one has its name below it.
function references(dense, majority) {
  const guides = [];
  if (dense !== null) guides.push({ y: dense, name: "dense" });
  if (majority !== null) guides.push({ y: majority, name: "majority class", dotted: true });
  const lowest = Math.min(...guides.map((guide) => guide.y));
  return guides.map((guide) => ({ ...guide, low: guides.length > 1 && guide.y === lowest }));
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

const seedText = ({ entry, value, seed }) => `${nameOf(entry.method)}, seed ${seed}: ${decimals(value)}`;

// Results of papers for this task and metric, as hollow grey markers.
function reportedMarks(state) {
  const section = data.sections[state.section], track = data.tracks[state.track];
  const rows = data.reported.filter((each) => each.task === section.name && each.metric === columnOf(state)
    && each.sparsity !== null && each.track === track);
  return rows.map((each) => ({
    kind: "point", x: each.sparsity, y: each.mean, shape: data.shapes[2], style: "reported-mark",
    text: [`${each.method}, reported, not measured here`, spread(each.mean, each.std), each.source, each.setting].join("\n"),
  }));
}

// --- charts ---

function scoresChart(state) {
  const levels = sparsities(state);
  if (!levels.length) return "There are only dense runs here.";
  const pad = levels.length > 1 ? 0.04 * (levels[levels.length - 1] - levels[0]) : 0.05;
  const from = levels[0] - pad, to = levels[levels.length - 1] + pad;
  const dense = denseOf(state), majority = data.sections[state.section].majority[state.column], marks = [];
  const curves = bySparsity(entriesOf(state).filter((entry) => state.visible.has(entry.method)));
  const known = dense && dense.mean !== null;
  if (known && dense.std !== null) {
    const ends = [dense.mean - dense.std, dense.mean + dense.std];
    marks.push({ kind: "band", style: "dense-band", points: [[from, ...ends], [to, ...ends]] });
  }
  for (const [method, entries] of curves) {
    const points = entries.map(({ sparsity, mean, std }) => [sparsity, mean - (std || 0), mean + (std || 0)]);
    marks.push({ kind: "band", style: look(method).fill, points });
  }
  for (const [method, entries] of curves) {
    const { fill, shape } = look(method);
    marks.push(...seedPoints(entries).map((point) => ({
      kind: "point", x: point.entry.sparsity, y: point.value, style: `${fill} seed`, shape, size: 0.5, text: seedText(point),
    })));
  }
  // Means come after all seeds, which would hide them.
  for (const [method, entries] of curves) {
    const points = entries.map((entry) => ({ x: entry.sparsity, y: entry.mean, text: hoverText(entry) }));
    marks.push(...curve(method, points));
  }
  marks.push(...reportedMarks(state));
  const guides = references(known ? dense.mean : null, majority);
  const values = [...marks.flatMap(({ y, points }) => (y !== undefined ? [y] : points.flatMap(([, ...rest]) => rest))),
    ...guides.map((guide) => guide.y)];
  if (!values.length) return "No method has a score here.";
  const y = { title: `${columnOf(state)} × 100`, range: extent(values) };
  return { x: { title: "sparsity", range: [from, to], ticks: levels }, y, marks, guides, height: chartHeight() };
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
  const notes = lacking.map(({ reason }, row) => ({ row, text: truncate(`n/a: ${reason}`, narrow() ? 36 : LONGEST) }));
  const marks = scored.flatMap((entry, i) => {
    const row = lacking.length + i, { line, fill, shape } = look(entry.method);
    return [
      ...(entry.low === null ? [] : [{ kind: "bar", from: entry.low, to: entry.high, row, style: line }]),
      ...seedPoints([entry]).map((point) => ({
        kind: "point", x: point.value, y: row, style: `${fill} seed`, shape, size: 0.9, text: seedText(point),
      })),
      { kind: "tick", x: entry.mean, y: row, text: hoverText(entry) },
    ];
  });
  const guides = majority === null ? [] : [{ x: majority, name: "majority class", dotted: true }];
  const values = [...marks.flatMap(({ x, from, to }) => (x !== undefined ? [x] : [from, to])), ...guides.map((each) => each.x)];
  return {
    x: { title: `${columnOf(state)} × 100`, range: extent(values) },
    y: { names: rows.map((entry) => nameOf(entry.method, narrow() ? 16 : 28)) },
    marks, guides, notes, height: rowsHeight(rows.length),
  };
}

// The sizes that a chart can show: the field of a retention entry, and words for captions and below the axis.
const SIZES = {
  share: { name: "parameters left", unit: "% of the model" },
  flops: { name: "FLOPs left", unit: "% of dense" },
  skipping: { name: "FLOPs left, zeros skipped", unit: "% of dense" },
};

// Beside the share that methods are ranked by stands that of the other dense runs: plain ones, or those of equal training.
function retentionText(entry) {
  const differ = data.equalTraining && entry.ofEqual !== null && entry.ofEqual !== entry.ofDense;
  const equal = differ && entry.mean === entry.ofEqual;
  const other = equal ? `${decimals(entry.ofDense)} % of plain dense` : `${decimals(entry.ofEqual)} % of equal training`;
  return [
    `${nameOf(entry.method)} at sparsity ${entry.sparsity}`,
    `${spread(entry.mean, entry.std)} % retained above chance${equal ? ", of equal training" : ""}`,
    differ ? other : "",
    seedLines(entry.section, entry.values),
    `${grouped(entry.parameters)} parameters left (${decimals(entry.share)} %)`,
    entry.flops === null ? "" : `FLOPs left: ${decimals(entry.flops)} %, zeros skipped: ${decimals(entry.skipping)} %`,
    `${grouped(entry.steps)} steps${entry.seconds === null ? "" : `, ${grouped(entry.seconds)} s`}`,
  ].filter(Boolean).join("\n");
}

// Score retained against `amount`, a field of the retention entries. `subject` names it where there is nothing to draw.
function retentionChart(state, amount, subject, title, range) {
  const entries = data.retention.filter((entry) => entry.section === state.section && entry.track === state.track
    && entry.mean !== null && entry[amount] !== null && state.visible.has(entry.method));
  if (!entries.length) return `${subject} are unknown here, or no score retained can be computed.`;
  const marks = bySparsity(entries).flatMap(([method, list]) => [
    ...list.filter((entry) => entry.std).map((entry) => ({
      kind: "error", at: entry[amount], low: entry.mean - entry.std, high: entry.mean + entry.std, style: look(method).line,
    })),
    ...curve(method, list.map((entry) => ({ x: entry[amount], y: entry.mean, text: retentionText(entry) }))),
  ]);
  const values = entries.flatMap(({ mean, std }) => [mean - (std || 0), mean + (std || 0)]);
  const shown = [...values.map((value) => Math.max(value, LEAST)), 0, 100];
  const cut = entries.some((entry) => entry.mean < LEAST) ? `, from ${short(LEAST)}` : "";
  return {
    x: { title, range: range(entries.map((entry) => entry[amount])) },
    y: { title: `score retained above chance, %${cut}`, range: extent(shown) },
    marks, guides: references(100, 0), height: chartHeight(),
  };
}

function parametersChart(state) {
  const { name, unit } = SIZES[state.size], subject = state.size === "share" ? "Sizes" : "FLOPs";
  // From the whole model at the left to nothing at the right.
  return retentionChart(state, state.size, subject, `${name}, ${unit}`, (values) => extent(values).reverse());
}

function costChart(state) {
  const unit = state.cost === "steps" ? "optimiser steps" : "seconds of training";
  const subject = state.cost === "steps" ? "Steps" : "Seconds on one kind of hardware";
  const title = `${unit}, to find the mask and to train`;
  return retentionChart(state, state.cost, subject, title, (values) => [0, 1.05 * Math.max(...values, 1)]);
}

// Average ranks with Nemenyi's critical difference, half to each side: bars that do not overlap can be told apart.
// Lines at the right join methods that cannot.
function ranksChart(state) {
  const { standing } = ranksOf(state);
  if (!standing || !standing.ranks.length) return "There is no ranking over tasks here.";
  if (standing.cd === null) return `No critical difference: ${standing.reason}.`;
  const rows = [...standing.ranks].reverse(), count = rows.length;
  const marks = rows.flatMap(([method, mean], row) => {
    const { line, fill, shape } = look(method), text = `${nameOf(method)}: average rank ${decimals(mean)}`;
    return [
      { kind: "bar", from: mean - standing.cd / 2, to: mean + standing.cd / 2, row, style: line },
      { kind: "point", x: mean, y: row, text, shape, style: fill, size: 1.2 },
    ];
  });
  const rowOf = new Map(rows.map(([method], i) => [method, i]));
  const groups = standing.groups.filter((group) => group.length > 1).map((group) => {
    const positions = group.map((method) => rowOf.get(method));
    return [Math.min(...positions), Math.max(...positions)];
  });
  const step = Math.ceil(count / 10), ticks = rows.map((_, i) => i + 1).filter((rank) => (rank - 1) % step === 0);
  return {
    x: { title: "average rank over tasks (1 is best)", range: [count + 0.5, 0.5], ticks },
    y: { names: rows.map(([method]) => nameOf(method, narrow() ? 16 : 40)) },
    guides: [{ x: (count + 1) / 2, name: "rank by chance", dotted: true }],
    marks, groups, height: rowsHeight(count),
  };
}
