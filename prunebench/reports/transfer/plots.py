"""The heat map of a transfer: differences to dense, colours that diverge at zero. Imports `grid` and `drawing`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from prunebench.reports.render.numbers import difference, level, spread
from prunebench.reports.render.plots import DIVERGING, figure, lines_between, number, plain
from prunebench.reports.transfer.grid import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def heat_map(grid: Grid) -> Figure:
    """A row for each mask and a column for each target, under whose name its dense score stands.

    The colour limits lie as far below zero as above it, and hold every mask that a task gave; controls may lie beyond,
    where they have the last colour and their number.
    """
    rows, columns = len(grid.masks), len(grid.targets)
    picture = figure(2.4 + 1.05 * columns, 1.65 + 0.45 * rows)
    axes = picture.add_subplot()
    means = {key: found.mean for key, found in _differences(grid).items()}
    limit = _limit(grid, means)
    shown = [[means.get((mask, target.name), math.nan) for target in grid.targets] for mask in grid.masks]
    image = _image(axes, shown, limit)
    _numbers(axes, grid, image)
    _labels(axes, grid)
    extend = _extend(means.values(), limit)
    bar = picture.colorbar(image, ax=axes, extend=extend, pad=0.02, fraction=0.06)
    bar.set_label("score − dense of the same seed, × 100")
    return picture


def _differences(grid: Grid) -> dict[tuple[str, str], Any]:
    dense = {target.name: target.dense for target in grid.targets}
    found = {key: scores.difference(dense[key[1]]) for key, scores in grid.scores.items()}
    return {key: summary for key, summary in found.items() if summary is not None}


def _limit(grid: Grid, means: dict[tuple[str, str], float]) -> float:
    """Half the width of the colour scale in points: a round number, at least 1."""
    masks = [100 * abs(mean) for (mask, _), mean in means.items() if mask in grid.question.masks]
    largest = max(masks, default=1.0)
    step = 1 if largest <= 10 else 5
    return max(1.0, step * math.ceil(largest / step))


def _extend(means: Any, limit: float) -> str:
    low, high = (any(sign * 100 * mean > limit for mean in means) for sign in (-1, 1))
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[low, high]


def _image(axes: Axes, means: list[list[float]], limit: float) -> Any:
    import matplotlib
    import numpy as np
    from matplotlib.colors import TwoSlopeNorm

    colours = matplotlib.colormaps[DIVERGING].with_extremes(bad="#d9d9d9")
    norm = TwoSlopeNorm(vcenter=0, vmin=-limit, vmax=limit)
    return axes.imshow(np.ma.masked_invalid(100 * np.array(means)), cmap=colours, norm=norm, aspect="auto")


def _numbers(axes: Axes, grid: Grid, image: Any) -> None:
    found = _differences(grid)
    for y, mask in enumerate(grid.masks):
        for x, target in enumerate(grid.targets):
            summary = found.get((mask, target.name))
            if summary is None:
                continue
            mean, _, deviation = difference(summary, len(grid.seeds)).partition(" ± ")
            text = f"{mean}\n± {deviation}" if deviation else mean
            weight = "bold" if mask == target.name else "normal"
            number(axes, x, y, text, image.cmap(image.norm(100 * summary.mean)), weight=weight, linespacing=1.1)


def _labels(axes: Axes, grid: Grid) -> None:
    title = f"{grid.method} at sparsity {level(grid.question.sparsity)}: masks across tasks"
    axes.set_title(plain(title), loc="left")
    dense = [spread(target.dense.summary(), n=False).replace(" ± ", "\n± ") for target in grid.targets]
    # A line of its own for the split: names of tasks fill the width of a column.
    under = [
        f"{target.name}\n({target.cell.split})\ndense {score}"
        for target, score in zip(grid.targets, dense, strict=True)
    ]
    axes.set_xticks(range(len(under)), list(map(plain, under)))
    axes.set_yticks(range(len(grid.masks)), list(map(plain, grid.masks)))
    axes.set_xlabel("trained on")
    axes.set_ylabel("mask of")
    lines_between(axes, len(grid.masks), len(under))
    if grid.controls:
        axes.axhline(len(grid.question.masks) - 0.5, color="white", linewidth=6)
