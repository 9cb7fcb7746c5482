// The selection in the address of the page, by names, so that a link shows the same charts and rows to others.

const CHOICES = ["task", "metric", "track", "sparsity", "size", "cost"];

// Write the selection into the address, behind the #.
function writeSelection() {
  const words = new URLSearchParams();
  words.set("task", data.sections[state.section].title);
  words.set("metric", columnOf(state));
  words.set("track", data.tracks[state.track]);
  if (state.sparsity !== null) words.set("sparsity", state.sparsity);
  words.set("size", state.size);
  words.set("cost", state.cost);
  const methods = [...state.visible].sort((a, b) => a - b);
  for (const method of methods.length ? methods : [null]) {
    words.append("method", method === null ? "" : data.methods[method].label);
  }
  if (byId("search").value) words.set("search", byId("search").value);
  for (const name of FILTERS) if (byId(`filter-${name}`).value) words.set(`only-${name}`, byId(`filter-${name}`).value);
  if (byId("columns").checked) words.set("columns", "all");
  history.replaceState(null, "", `#${words}`);
}

// Read the selection of the address into the state. Names that this page lacks are ignored.
function readSelection() {
  const words = new URLSearchParams(location.hash.slice(1));
  if (!words.has("task")) return;
  const at = (list, name) => Math.max(0, list.indexOf(words.get(name)));
  state.section = at(data.sections.map((section) => section.title), "task");
  state.column = at(data.sections[state.section].columns, "metric");
  state.track = at(data.tracks, "track");
  state.sparsity = words.has("sparsity") ? Number(words.get("sparsity")) : null;
  if (words.get("size") in SIZES) state.size = words.get("size");
  if (["steps", "seconds"].includes(words.get("cost"))) state.cost = words.get("cost");
  const labels = data.methods.map((method) => method.label);
  const methods = words.getAll("method").map((label) => labels.indexOf(label)).filter((i) => i >= 0);
  state.visible = new Set(methods);
  state.hidden = words.getAll("method").includes("");
}

// Read the filters of the table, which exist only after the table was made.
function readFilters() {
  const words = new URLSearchParams(location.hash.slice(1));
  if (!words.has("task")) return;
  byId("search").value = words.get("search") || "";
  for (const name of FILTERS) {
    const select = byId(`filter-${name}`), value = words.get(`only-${name}`) || "";
    if ([...select.options].some((option) => option.value === value)) select.value = value;
  }
  byId("columns").checked = words.get("columns") === "all";
}
