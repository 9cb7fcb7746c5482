// Charts as SVG: axes, guides, lines, bands and points. Colours are classes of the style sheet, so that a chart follows
// the theme without being drawn again. All text is inserted as text, never as markup.

const BOTTOM = 46, TOP = 14, RIGHT = 14, LETTER = 7.6; // pixels; LETTER is the width of one letter

function svgElement(name, attributes = {}, text = null) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

const pixel = (value) => Math.round(10 * value) / 10;

// A function from the numbers between `from` and `to` to pixels.
function scale(from, to, start, end) {
  return (value) => pixel(start + (value - from) / (to - from) * (end - start));
}

// Round numbers from `low` to `high`, about `most` of them.
function niceTicks(low, high, most) {
  const raw = (high - low) / most, size = 10 ** Math.floor(Math.log10(raw));
  const step = size * [1, 2, 2.5, 5, 10].find((factor) => factor * size >= raw * (1 - 1e-9));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i += 1) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

// The least and the greatest of these numbers, with a margin.
function extent(values, margin = 0.07) {
  const low = Math.min(...values), high = Math.max(...values), pad = margin * (high - low) || 1;
  return [low - pad, high + pad];
}

const short = (value) => (Math.abs(value) >= 10000 ? `${value / 1000}k` : String(value)).replace("-", "−");

// Draw a chart of this width. `x` and `y` have a title and a range; `x` may have ticks of its own. `y.names` are rows,
// the first at the bottom. Marks are drawn in order, and guides last.
function drawChart(chart, width, title) {
  const { names } = chart.y, { height } = chart, groups = chart.groups || [];
  const longest = names ? Math.max(...names.map((name) => Array.from(name).length)) : 0;
  const left = names ? Math.min(0.5 * width, 14 + LETTER * longest) : 54;
  const frame = { left, right: width - RIGHT - 12 * groups.length, top: TOP, bottom: height - BOTTOM };
  const [low, high] = names ? [-0.6, names.length - 0.4] : chart.y.range;
  const x = scale(...chart.x.range, frame.left, frame.right), y = scale(low, high, frame.bottom, frame.top);
  const image = svgElement("svg", { class: "glance", width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
  const clip = `clip-${title.id}`, inside = svgElement("g", { "clip-path": `url(#${clip})` });
  const area = svgElement("clipPath", { id: clip });
  area.append(svgElement("rect", { x: frame.left - 8, y: frame.top - 8, width: frame.right - frame.left + 16,
    height: frame.bottom - frame.top + 8 }));
  inside.append(...chart.marks.flatMap((mark) => MARKS[mark.kind](mark, x, y)));
  const heading = svgElement("title", { id: `${title.id}-title` }, title.textContent);
  image.setAttribute("aria-labelledby", `${title.id}-title`);
  image.append(
    heading, area, ...axes(chart, frame, x, y, [low, high]), inside,
    ...(chart.guides || []).flatMap((guide) => drawGuide(guide, frame, x, y)),
    ...(chart.notes || []).map(({ row, text }) => svgElement("text", { class: "name", x: frame.left + 8, y: y(row) + 4 }, text)),
    ...groups.map(([from, to], i) => svgElement("path", {
      class: "group", d: `M${frame.right + 10 + 12 * i} ${y(from - 0.25)}V${y(to + 0.25)}`,
    })),
  );
  return image;
}

function axes(chart, frame, x, y, [low, high]) {
  const parts = [], { names } = chart.y, middle = (frame.left + frame.right) / 2;
  const rows = names ? names.map((name, i) => [i, name]) : niceTicks(low, high, 6).map((value) => [value, short(value)]);
  for (const [value, text] of rows) {
    if (!names) parts.push(svgElement("path", { class: "grid", d: `M${frame.left} ${y(value)}H${frame.right}` }));
    const kind = names ? "row" : "tick";
    parts.push(svgElement("text", { class: kind, x: frame.left - 7, y: y(value) + 4, "text-anchor": "end" }, text));
  }
  const [from, to] = [...chart.x.range].sort((a, b) => a - b);
  const most = Math.max(2, Math.min(8, Math.floor((frame.right - frame.left) / 60)));
  let last = -Infinity;
  for (const value of [...(chart.x.ticks || niceTicks(from, to, most))].sort((a, b) => x(a) - x(b))) {
    if (names) parts.push(svgElement("path", { class: "grid", d: `M${x(value)} ${frame.top}V${frame.bottom}` }));
    if (x(value) - last < 30) continue; // labels that would touch are left out
    last = x(value);
    parts.push(svgElement("text", { class: "tick", x: x(value), y: frame.bottom + 17, "text-anchor": "middle" }, short(value)));
  }
  parts.push(
    svgElement("path", { class: "axis", d: `M${frame.left} ${frame.bottom}H${frame.right}` }),
    svgElement("text", { class: "x-title", x: middle, y: frame.bottom + 36, "text-anchor": "middle" }, chart.x.title),
  );
  if (!names) {
    const centre = (frame.top + frame.bottom) / 2, transform = `translate(12 ${centre}) rotate(-90)`;
    parts.push(svgElement("text", { class: "y-title", transform, "text-anchor": "middle" }, chart.y.title));
  }
  return parts;
}

// A line across the chart at `x` or `y`, with its name.
function drawGuide({ x: at, y: level, name, dotted, low }, frame, x, y) {
  const vertical = at !== undefined;
  const d = vertical ? `M${x(at)} ${frame.top}V${frame.bottom}` : `M${frame.left} ${y(level)}H${frame.right}`;
  const turned = vertical && x(at) > (frame.left + frame.right) / 2; // the name stays inside the chart
  const position = vertical
    ? { x: x(at) + (turned ? -4 : 4), y: frame.top + 8, "text-anchor": turned ? "end" : "start" }
    : { x: frame.left + 4, y: y(level) + (low ? 14 : -5) };
  return [
    svgElement("path", { class: `guide${dotted ? " dotted" : ""}`, d }), svgElement("text", { class: "name", ...position }, name),
  ];
}

const joined = (points) => `M${points.map(([a, b]) => `${a} ${b}`).join("L")}`;

// How each kind of mark is drawn. A point has a text, which is shown when it is pointed at.
const MARKS = {
  line: ({ points, style }, x, y) => [
    svgElement("path", { class: `line ${style}`, d: joined(points.map(([a, b]) => [x(a), y(b)])) }),
  ],
  band: ({ points, style }, x, y) => {
    const upper = points.map(([a, , high]) => [x(a), y(high)]);
    const lower = points.map(([a, low]) => [x(a), y(low)]).reverse();
    return [svgElement("path", { class: `band ${style}`, d: `${joined([...upper, ...lower])}Z` })];
  },
  bar: ({ from, to, row, style }, x, y) => [
    svgElement("path", { class: `bar ${style}`, d: `M${x(from)} ${y(row)}H${x(to)}` }),
  ],
  error: ({ at, low, high, style }, x, y) => [
    svgElement("path", { class: `error ${style}`, d: `M${x(at)} ${y(low)}V${y(high)}` }),
  ],
  tick: ({ x: at, y: row, text }, x, y) => [
    svgElement("path", { class: "mean", "data-text": text, "data-x": at, "data-y": row, d: `M${x(at)} ${y(row) - 9}v18` }),
  ],
  point: ({ x: at, y: level, style, shape, text, size = 1 }, x, y) => [
    svgElement("path", {
      class: `mark ${style}`, d: shape, transform: `translate(${x(at)} ${y(level)}) scale(${size})`, "data-text": text,
      "data-x": at, "data-y": level,
    }),
  ],
};
