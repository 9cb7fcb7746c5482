"""Pictures of masks: heat maps of overlap, of sparsity by layer and matrix, and of heads. Imports `report`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from prunebench.reports.overlap.page import layer_name
from prunebench.reports.overlap.pairs import Mean
from prunebench.reports.overlap.report import Unit
from prunebench.reports.render.plots import SEQUENTIAL, figure, lines_between, number, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# So many inches of a page there are for panels beside each other.
WIDTH = 10.5
# What matrices are called where there is little room.
SHORT = {"attention_output": "attn.\noutput", "intermediate": "inter-\nmediate"}
# A panel: its title, its row names, its column names, and its numbers (NaN where there is none).
Panel = tuple[str, Sequence[str], Sequence[str], Sequence[Sequence[float]]]


def pictures(unit: Unit) -> dict[str, Callable[[], Figure]]:
    """What there is to draw of masks of that unit, by name."""
    found: dict[str, Callable[[], Figure]] = {"tasks": lambda: tasks(unit)}
    if unit.by_method:
        found["methods"] = lambda: methods(unit)
    found["sparsity"] = lambda: sparsity(unit)
    if unit.heads:
        found["heads"] = lambda: heads(unit)
    return found


def tasks(unit: Unit) -> Figure:
    """A panel for each method: Jaccard between tasks, and between seeds on the diagonal."""
    panels = []
    for method in unit.methods:
        found = unit.by_task[method]
        numbers = [[_jaccard(found.get((one, other))) for other in unit.tasks] for one in unit.tasks]
        panels.append((f"{method}{_chance(found.values())}", unit.tasks, unit.tasks, numbers))
    return _panels(panels, "Jaccard (diagonal: seeds)", 0.0, 1.0)


def methods(unit: Unit) -> Figure:
    numbers = [
        [1.0 if one == other else _jaccard(unit.by_method.get((one, other))) for other in unit.methods]
        for one in unit.methods
    ]
    title = f"same task and seed{_chance(unit.by_method.values())}"
    return _panels([(title, unit.methods, unit.methods, numbers)], "Jaccard", 0.0, 1.0)


def sparsity(unit: Unit) -> Figure:
    """A panel for each method: layers down, matrices across, on one scale."""
    panels = []
    for method in unit.methods:
        found = {(place.layer, place.matrix): summary.mean for place, summary in unit.sparsities(method).items()}
        numbers = [[found.get((layer, matrix), math.nan) for matrix in unit.matrices] for layer in unit.layers]
        names = [SHORT.get(matrix, matrix) for matrix in unit.matrices]
        panels.append((method, [f"layer {layer_name(layer)}" for layer in unit.layers], names, numbers))
    values = [value for panel in panels for row in panel[3] for value in row if not math.isnan(value)]
    return _panels(panels, "fraction gone", math.floor(10 * min(values)) / 10, math.ceil(10 * max(values)) / 10)


def heads(unit: Unit) -> Figure:
    """A panel for each method, and where heads are pruned for each task: how much of each head stays on average."""
    groups: dict[str, list[Any]] = {}
    for (method, task, _), found in unit.heads.items():
        groups.setdefault(f"{method}, {task}" if unit.unit == "head" else method, []).append(found)
    panels = [_heads(title, found, unit) for title, found in groups.items()]
    if unit.unit == "head":
        return _panels(panels, "fraction of seeds", 0.0, 1.0)
    most = max(value for panel in panels for row in panel[3] for value in row)
    return _panels(panels, "fraction of weights left", 0.0, math.ceil(10 * most) / 10)


def _heads(title: str, found: Sequence[Any], unit: Unit) -> Panel:
    left: dict[tuple[int, int], list[float]] = {}
    for of_mask in found:
        for head in of_mask:
            left.setdefault((head.layer, head.head), []).append(head.kept / head.units)
    layers = sorted({layer for layer, _ in left})
    columns = sorted({head for _, head in left})
    numbers = [[fmean(left.get((layer, head), [math.nan])) for head in columns] for layer in layers]
    return (
        title,
        [f"layer {layer}" for layer in layers],
        [f"head {head}" if len(columns) < 7 else str(head) for head in columns],
        numbers,
    )


def _jaccard(mean: Mean | None) -> float:
    return mean.jaccard.mean if mean else math.nan


def _chance(means: Any) -> str:
    found = [mean.chance for mean in means]
    return f" (chance {fmean(found):.2f})" if found else ""


def _panels(panels: Sequence[Panel], label: str, low: float, high: float) -> Figure:
    """Heat maps beside and below each other, with one scale."""
    rows, columns = max(len(panel[1]) for panel in panels), max(len(panel[2]) for panel in panels)
    letters = max(len(part) for panel in panels for name in panel[2] for part in name.split("\n"))
    names = max(len(name) for panel in panels for name in panel[1])
    width = columns * max(0.5, 0.085 * letters) + 0.09 * names + 0.2
    across = max(1, min(len(panels), int(WIDTH // width)))
    down = -(-len(panels) // across)
    picture = figure(across * width + 0.8, max(down * (0.36 * rows + 0.8) + 0.2, 2.2))
    grid = picture.subplots(down, across, squeeze=False)
    image: Any = None
    for axes, panel in zip(grid.flat, panels, strict=False):
        image = _panel(axes, panel, low, high)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    bar = picture.colorbar(image, ax=grid, pad=0.02, fraction=0.05)
    bar.set_label(label)
    return picture


def _panel(axes: Axes, panel: Panel, low: float, high: float) -> Any:
    import matplotlib
    import numpy as np

    title, down, across, numbers = panel
    colours = matplotlib.colormaps[SEQUENTIAL].with_extremes(bad="#d9d9d9")
    image: Any = axes.imshow(np.ma.masked_invalid(np.array(numbers)), cmap=colours, vmin=low, vmax=high, aspect="auto")
    for y, row in enumerate(numbers):
        for x, value in enumerate(row):
            if not math.isnan(value):
                number(axes, x, y, f"{value:.2f}", image.cmap(image.norm(value)))
    axes.set_title(plain(title), loc="left")
    axes.set_xticks(range(len(across)), list(map(plain, across)))
    axes.set_yticks(range(len(down)), list(map(plain, down)))
    lines_between(axes, len(down), len(across))
    return image
