"""Pictures of attention: the dense model beside the pruned one, on one colour scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebench.reports.attention.result import MEASURES, AttentionComparison
from prunebench.reports.render.plots import SEQUENTIAL, draw_grid_lines, draw_number, escape_formula, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colour of pruned heads.
PRUNED = "#d9d9d9"
# Orange is less and purple is more than in the dense model; neither is better.
DIFFERENCE = "PuOr"
# White is no attention, so a head with little attention does not look like a pruned head, which is grey.
MAP = "Blues"
# A model with at most this many layers and heads shows every head, a larger one the mean over the heads of a layer.
FEW = 6
# A layer and a head, both from 0.
Head = tuple[int, int]
# A map with its title.
Titled = tuple[str, np.ndarray]


def summary(comparison: AttentionComparison) -> Figure:
    """A row for each measure: every head of the dense and of the pruned model on one scale, and their difference."""
    dense, pruned = comparison.models
    layers, heads = next(iter(dense.measures.values())).shape
    picture = new_figure(3 * max(1.6, 0.46 * heads) + 3.4, len(MEASURES) * (0.32 * layers + 0.75) + 0.3)
    grid = picture.subplots(len(MEASURES), 3, squeeze=False)
    for row, measure in zip(grid, MEASURES, strict=True):
        before, after = dense.measures[measure], pruned.measures[measure]
        known = np.concatenate([before, after])[~np.isnan(np.concatenate([before, after]))]
        low, high = float(known.min()), float(known.max())
        for axes, values, name in ((row[0], before, dense.name), (row[1], after, pruned.name)):
            image = _heads(axes, values, SEQUENTIAL, low, high)
            axes.set_title(escape_formula(f"{measure}: {name}"), loc="left")
        picture.colorbar(image, ax=row[:2], pad=0.02, fraction=0.04)
        difference = after - before
        limit = float(np.nanmax(np.abs(difference))) if not np.isnan(difference).all() else 1.0
        image = _heads(row[2], difference, DIFFERENCE, -(limit or 1.0), limit or 1.0, signed=True)
        row[2].set_title("difference", loc="left")
        picture.colorbar(image, ax=row[2:], pad=0.02, fraction=0.06)
    return picture


def _heads(axes: Axes, values: np.ndarray, colours: str, low: float, high: float, signed: bool = False) -> Any:
    """A heat map with layers down and heads across, and the number in each field."""
    image = _image(axes, values, colours, low, high)
    for (y, x), value in np.ndenumerate(values):
        if not np.isnan(value):
            text = f"{value:{'+' if signed else ''}.{2 if high > 0.2 else 3}f}"
            draw_number(axes, x, y, text.replace("-", "−"), image.cmap(image.norm(value)), size="small")
    layers, heads = values.shape
    axes.set_yticks(range(layers), [f"layer {layer}" for layer in range(layers)] if layers <= FEW else None)
    axes.set_xticks(range(heads), [f"head {head}" for head in range(heads)] if heads <= FEW else None)
    draw_grid_lines(axes, layers, heads)
    return image


def _image(axes: Axes, values: np.ndarray, colours: str, low: float, high: float) -> Any:
    import matplotlib

    scale = matplotlib.colormaps[colours].with_extremes(bad=PRUNED)
    return axes.imshow(np.ma.masked_invalid(values), cmap=scale, vmin=low, vmax=high, aspect="auto")


def text(comparison: AttentionComparison, index: int, heads: Sequence[Head] = ()) -> Figure:
    """The attention in one text, with the dense model at the left and the pruned one at the right, on one scale.

    A small model shows every head, with a row for each layer; a large one shows the mean over the heads of each layer.
    With `heads`, only these are drawn, and larger.
    """
    dense, pruned = (model.maps[index] for model in comparison.models)
    rows_dense, rows_pruned = _rows(dense.weights, heads), _rows(pruned.weights, heads)
    across = max(map(len, rows_dense))
    picture, grid = _text_grid(dense.tokens, len(rows_dense), across)
    highest = max(np.nanmax(weights, initial=0.1) for row in (*rows_dense, *rows_pruned) for _, weights in row)
    high = math.ceil(10 * highest) / 10
    _draw_rows(grid[:, :across], rows_dense, dense.tokens, high)
    # The column between the two models stays empty.
    image = _draw_rows(grid[:, across + 1 :], rows_pruned, dense.tokens, high)
    averaged = "" if heads or _is_small(*dense.weights.shape[:2]) else ", mean of heads"
    for axes, model in zip((grid[0][0], grid[0][across + 1]), comparison.models, strict=True):
        title = escape_formula(f"{model.name}{averaged}")
        offset: dict[str, Any] = {"xytext": (0, 16), "textcoords": "offset points", "xycoords": "axes fraction"}
        axes.annotate(title, (0, 1), size=10, **offset)
    bar = picture.colorbar(image, ax=grid, pad=0.01, fraction=0.03)
    bar.set_label("attention")
    return picture


def _text_grid(tokens: Sequence[str], rows: int, across: int) -> tuple[Figure, Any]:
    """A figure and its axes, switched off: for each model `across` columns of maps, with a gap between the models.

    A map has the size, in inches, that its tokens need to be readable.
    """
    size = max(0.95, min(3.0, (0.16 if across < 3 else 0.085) * len(tokens)))
    labels = 0.07 * max(map(len, tokens))
    side = across * (size + 0.1) + labels
    picture = new_figure(2 * side + 1.1, rows * (size + 0.22) + labels + 0.4)
    ratios = [*[size] * across, 0.3 * size, *[size] * across]
    grid = picture.subplots(rows, 2 * across + 1, squeeze=False, width_ratios=ratios)
    for axes in grid.flat:
        axes.set_axis_off()
    return picture, grid


def _rows(weights: np.ndarray, heads: Sequence[Head]) -> list[list[Titled]]:
    """The maps of one model in rows."""
    layers, count = weights.shape[:2]
    if heads:
        maps = [(f"layer {layer}, head {head}", weights[layer, head]) for layer, head in heads]
        return [maps[start : start + 2] for start in range(0, len(maps), 2)]
    if _is_small(layers, count):
        return [
            [(f"layer {layer}, head {head}", weights[layer, head]) for head in range(count)] for layer in range(layers)
        ]
    maps = [(f"layer {layer}", _mean(weights[layer])) for layer in range(layers)]
    return [maps[start : start + 3] for start in range(0, layers, 3)]


def _is_small(layers: int, heads: int) -> bool:
    return layers <= FEW and heads <= FEW


def _mean(heads: np.ndarray) -> np.ndarray:
    """The mean over the heads that are not pruned, of shape (tokens, tokens); NaN if all are."""
    remaining = [head for head in heads if not np.isnan(head).all()]
    return np.mean(remaining, axis=0) if remaining else np.full(heads.shape[1:], np.nan)


def _draw_rows(grid: Any, rows: Sequence[Sequence[Titled]], tokens: Sequence[str], high: float) -> Any:
    """Draw the maps of one model, with tokens at the left and lower edges only, and return the last image."""
    image = None
    for y, row in enumerate(rows):
        for x, (title, weights) in enumerate(row):
            lowest = y == len(rows) - 1 or x >= len(rows[y + 1])
            image = _map(grid[y][x], weights, high, tokens, below=lowest, beside=x == 0)
            grid[y][x].set_title(title, loc="left", size=7, pad=2)
    return image


def _map(axes: Axes, weights: np.ndarray, high: float, tokens: Sequence[str], below: bool, beside: bool) -> Any:
    """One map: a row for each token, a column for each token that it attends to."""
    axes.set_axis_on()
    image = _image(axes, weights, MAP, 0.0, high)
    names = list(map(escape_formula, tokens))
    axes.set_yticks(range(len(names)) if beside else [], names if beside else [], size=6)
    axes.set_xticks(range(len(names)) if below else [], names if below else [], size=6, rotation=90)
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)
    return image
