"""Heat maps of masks: their overlap, their sparsity by layer and matrix, and what they leave of each head."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from prunebench.reports.overlap.pairs import Mean
from prunebench.reports.overlap.profile import Head
from prunebench.reports.overlap.report import UnitMasks
from prunebench.reports.overlap.tables import layer_name
from prunebench.reports.render.plots import SEQUENTIAL, draw_grid_lines, draw_number, escape_formula, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The width of a page in inches, for panels beside each other.
WIDTH = 10.5
# Names of matrices on two lines, for narrow columns.
SHORT = {"attention_output": "attn.\noutput", "intermediate": "inter-\nmediate"}
# A panel: its title, its row names, its column names, and its numbers (NaN for an empty field).
Panel = tuple[str, Sequence[str], Sequence[str], Sequence[Sequence[float]]]


def pictures(unit: UnitMasks) -> dict[str, Callable[[], Figure]]:
    """The pictures of these masks by name, as functions that draw them."""
    drawings: dict[str, Callable[[], Figure]] = {"tasks": lambda: tasks(unit)}
    if unit.by_method:
        drawings["methods"] = lambda: methods(unit)
    drawings["sparsity"] = lambda: sparsity(unit)
    if unit.heads:
        drawings["heads"] = lambda: heads(unit)
    return drawings


def tasks(unit: UnitMasks) -> Figure:
    """A panel for each method: Jaccard between tasks, and between seeds on the diagonal."""
    panels = []
    for method in unit.methods:
        means = unit.by_task[method]
        numbers = [[_jaccard(means.get((one, other))) for other in unit.tasks] for one in unit.tasks]
        panels.append((f"{method}{_chance(means.values())}", unit.tasks, unit.tasks, numbers))
    return _panels(panels, "Jaccard (diagonal: seeds)", 0.0, 1.0)


def methods(unit: UnitMasks) -> Figure:
    """One panel: Jaccard between methods."""
    numbers = [
        [1.0 if one == other else _jaccard(unit.by_method.get((one, other))) for other in unit.methods]
        for one in unit.methods
    ]
    title = f"same task and seed{_chance(unit.by_method.values())}"
    return _panels([(title, unit.methods, unit.methods, numbers)], "Jaccard", 0.0, 1.0)


def sparsity(unit: UnitMasks) -> Figure:
    """A panel for each method, with layers down and matrices across."""
    panels = []
    for method in unit.methods:
        summaries = unit.sparsities(method)
        means = {(location.layer, location.matrix): summary.mean for location, summary in summaries.items()}
        numbers = [[means.get((layer, matrix), math.nan) for matrix in unit.matrices] for layer in unit.layers]
        names = [SHORT.get(matrix, matrix) for matrix in unit.matrices]
        panels.append((method, [f"layer {layer_name(layer)}" for layer in unit.layers], names, numbers))
    values = [value for panel in panels for row in panel[3] for value in row if not math.isnan(value)]
    return _panels(panels, "fraction pruned", math.floor(10 * min(values)) / 10, math.ceil(10 * max(values)) / 10)


def heads(unit: UnitMasks) -> Figure:
    """How much of each head remains, as a mean over masks.

    Where weights are pruned there is a panel for each method, where heads are pruned one for each method and task.
    """
    groups: dict[str, list[tuple[Head, ...]]] = {}
    for (method, task, _), of_mask in unit.heads.items():
        groups.setdefault(f"{method}, {task}" if unit.unit == "head" else method, []).append(of_mask)
    panels = [_head_panel(title, masks) for title, masks in groups.items()]
    if unit.unit == "head":
        return _panels(panels, "fraction of seeds", 0.0, 1.0)
    highest = max(value for panel in panels for row in panel[3] for value in row)
    return _panels(panels, "fraction of weights left", 0.0, math.ceil(10 * highest) / 10)


def _head_panel(title: str, masks: Sequence[Sequence[Head]]) -> Panel:
    fractions: dict[tuple[int, int], list[float]] = {}
    for of_mask in masks:
        for head in of_mask:
            fractions.setdefault((head.layer, head.head), []).append(head.remaining / head.units)
    layers = sorted({layer for layer, _ in fractions})
    columns = sorted({head for _, head in fractions})
    numbers = [[fmean(fractions.get((layer, head), [math.nan])) for head in columns] for layer in layers]
    return (
        title,
        [f"layer {layer}" for layer in layers],
        [f"head {head}" if len(columns) < 7 else str(head) for head in columns],
        numbers,
    )


def _jaccard(mean: Mean | None) -> float:
    return mean.jaccard.mean if mean else math.nan


def _chance(means: Iterable[Mean]) -> str:
    values = [mean.chance for mean in means]
    return f" (chance {fmean(values):.2f})" if values else ""


def _panels(panels: Sequence[Panel], label: str, low: float, high: float) -> Figure:
    """Heat maps beside and below each other, on one scale. Panels are as wide as their names need."""
    rows, columns = max(len(panel[1]) for panel in panels), max(len(panel[2]) for panel in panels)
    letters = max(len(part) for panel in panels for name in panel[2] for part in name.split("\n"))
    names = max(len(name) for panel in panels for name in panel[1])
    width = columns * max(0.5, 0.085 * letters) + 0.09 * names + 0.2
    across = max(1, min(len(panels), int(WIDTH // width)))
    down = -(-len(panels) // across)
    picture = new_figure(across * width + 0.8, max(down * (0.36 * rows + 0.8) + 0.2, 2.2))
    grid = picture.subplots(down, across, squeeze=False)
    image: Any = None
    for axes, panel in zip(grid.flat, panels, strict=False):
        image = _draw(axes, panel, low, high)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    bar = picture.colorbar(image, ax=grid, pad=0.02, fraction=0.05)
    bar.set_label(label)
    return picture


def _draw(axes: Axes, panel: Panel, low: float, high: float) -> Any:
    import matplotlib
    import numpy as np

    title, down, across, numbers = panel
    colours = matplotlib.colormaps[SEQUENTIAL].with_extremes(bad="#d9d9d9")
    image: Any = axes.imshow(np.ma.masked_invalid(np.array(numbers)), cmap=colours, vmin=low, vmax=high, aspect="auto")
    for y, row in enumerate(numbers):
        for x, value in enumerate(row):
            if not math.isnan(value):
                draw_number(axes, x, y, f"{value:.2f}", image.cmap(image.norm(value)))
    axes.set_title(escape_formula(title), loc="left")
    axes.set_xticks(range(len(across)), list(map(escape_formula, across)))
    axes.set_yticks(range(len(down)), list(map(escape_formula, down)))
    draw_grid_lines(axes, len(down), len(across))
    return image
