"""The heat map of a transfer: differences from dense, in colours that diverge at zero."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from prunebench.reports.render.formatting import difference, level, spread
from prunebench.reports.render.plots import DIVERGING, draw_grid_lines, draw_number, escape_formula, new_figure
from prunebench.reports.transfer.grid import Grid
from prunebench.results.statistics import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Differences = dict[tuple[str, str], Summary]


def heat_map(grid: Grid) -> Figure:
    """A row for each mask and a column for each target, with the target's dense score below its name.

    The colour scale is symmetric around zero and holds the masks of all tasks. A control may lie outside the scale: it
    has the last colour then, and its number all the same.
    """
    rows, columns = len(grid.masks), len(grid.targets)
    picture = new_figure(2.4 + 1.05 * columns, 1.65 + 0.45 * rows)
    axes = picture.add_subplot()
    differences = _differences(grid)
    limit = _limit(grid, differences)
    image = _image(axes, grid, differences, limit)
    _numbers(axes, grid, differences, image)
    _labels(axes, grid)
    bar = picture.colorbar(image, ax=axes, extend=_extend(differences.values(), limit), pad=0.02, fraction=0.06)
    bar.set_label("score − dense of the same seed, × 100")
    return picture


def _differences(grid: Grid) -> Differences:
    """The difference from dense by mask and target; pairs without a common seed are left out."""
    dense = {target.name: target.dense for target in grid.targets}
    differences = {key: scores.difference(dense[key[1]]) for key, scores in grid.scores.items()}
    return {key: summary for key, summary in differences.items() if summary is not None}


def _limit(grid: Grid, differences: Differences) -> float:
    """Half the width of the colour scale in points: a round number, at least 1."""
    masks = [100 * abs(summary.mean) for (mask, _), summary in differences.items() if mask in grid.question.masks]
    largest = max(masks, default=1.0)
    step = 1 if largest <= 10 else 5
    return max(1.0, step * math.ceil(largest / step))


def _extend(summaries: Collection[Summary], limit: float) -> str:
    """The ends of the colour scale that some difference lies beyond, as matplotlib names them."""
    low, high = (any(sign * 100 * summary.mean > limit for summary in summaries) for sign in (-1, 1))
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[low, high]


def _image(axes: Axes, grid: Grid, differences: Differences, limit: float) -> Any:
    import matplotlib
    import numpy as np
    from matplotlib.colors import TwoSlopeNorm

    means = {key: summary.mean for key, summary in differences.items()}
    fields = [[means.get((mask, target.name), math.nan) for target in grid.targets] for mask in grid.masks]
    colours = matplotlib.colormaps[DIVERGING].with_extremes(bad="#d9d9d9")
    norm = TwoSlopeNorm(vcenter=0, vmin=-limit, vmax=limit)
    return axes.imshow(np.ma.masked_invalid(100 * np.array(fields)), cmap=colours, norm=norm, aspect="auto")


def _numbers(axes: Axes, grid: Grid, differences: Differences, image: Any) -> None:
    for y, mask in enumerate(grid.masks):
        for x, target in enumerate(grid.targets):
            summary = differences.get((mask, target.name))
            if summary is None:
                continue
            mean, _, deviation = difference(summary, len(grid.seeds)).partition(" ± ")
            text = f"{mean}\n± {deviation}" if deviation else mean
            weight = "bold" if mask == target.name else "normal"
            draw_number(axes, x, y, text, image.cmap(image.norm(100 * summary.mean)), weight=weight, linespacing=1.1)


def _labels(axes: Axes, grid: Grid) -> None:
    title = f"{grid.method} at sparsity {level(grid.question.sparsity)}: masks across tasks"
    axes.set_title(escape_formula(title), loc="left")
    dense = [spread(target.dense.summary(), n=False).replace(" ± ", "\n± ") for target in grid.targets]
    # The split has a line of its own, because names of tasks fill the width of a column.
    names = [
        f"{target.name}\n({target.cell.split})\ndense {score}"
        for target, score in zip(grid.targets, dense, strict=True)
    ]
    axes.set_xticks(range(len(names)), list(map(escape_formula, names)))
    axes.set_yticks(range(len(grid.masks)), list(map(escape_formula, grid.masks)))
    axes.set_xlabel("trained on")
    axes.set_ylabel("mask of")
    draw_grid_lines(axes, len(grid.masks), len(names))
    if grid.controls:
        # A wide line between the masks of tasks and the controls.
        axes.axhline(len(grid.question.masks) - 0.5, color="white", linewidth=6)
