"""Pictures of attention: the dense beside the pruned model on one scale. Imports `result` and `drawing`; no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebench.reports.attention.result import MEASURES, Comparison
from prunebench.reports.render.plots import SEQUENTIAL, figure, lines_between, number, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GONE = "#d9d9d9"
# Orange is less and purple is more than in the dense model; neither is better.
DIFFERENCE = "PuOr"
# White is none, which leaves a head that is gone, in grey, apart from one that takes little.
MAP = "Blues"
# A picture shows every head of a model with at most so many layers and heads, else the mean of each layer's heads.
FEW = 6
Head = tuple[int, int]


def summary(found: Comparison) -> Figure:
    """A row for each measure: every head of the dense and of the pruned model on one scale, and the difference."""
    dense, pruned = found.models
    layers, heads = next(iter(dense.measures.values())).shape
    picture = figure(3 * max(1.6, 0.46 * heads) + 3.4, len(MEASURES) * (0.32 * layers + 0.75) + 0.3)
    grid = picture.subplots(len(MEASURES), 3, squeeze=False)
    for row, measure in zip(grid, MEASURES, strict=True):
        one, other = dense.measures[measure], pruned.measures[measure]
        known = np.concatenate([one, other])[~np.isnan(np.concatenate([one, other]))]
        low, high = float(known.min()), float(known.max())
        for axes, values, name in ((row[0], one, dense.name), (row[1], other, pruned.name)):
            image = _heads(axes, values, SEQUENTIAL, low, high)
            axes.set_title(plain(f"{measure}: {name}"), loc="left")
        picture.colorbar(image, ax=row[:2], pad=0.02, fraction=0.04)
        apart = other - one
        limit = float(np.nanmax(np.abs(apart))) if not np.isnan(apart).all() else 1.0
        image = _heads(row[2], apart, DIFFERENCE, -(limit or 1.0), limit or 1.0, signed=True)
        row[2].set_title("difference", loc="left")
        picture.colorbar(image, ax=row[2:], pad=0.02, fraction=0.06)
    return picture


def _heads(axes: Axes, values: np.ndarray, colours: str, low: float, high: float, signed: bool = False) -> Any:
    """Layers down, heads across."""
    image = _image(axes, values, colours, low, high)
    for (y, x), value in np.ndenumerate(values):
        if not np.isnan(value):
            text = f"{value:{'+' if signed else ''}.{2 if high > 0.2 else 3}f}"
            number(axes, x, y, text.replace("-", "−"), image.cmap(image.norm(value)), size="small")
    layers, heads = values.shape
    axes.set_yticks(range(layers), [f"layer {layer}" for layer in range(layers)] if layers <= FEW else None)
    axes.set_xticks(range(heads), [f"head {head}" for head in range(heads)] if heads <= FEW else None)
    lines_between(axes, layers, heads)
    return image


def _image(axes: Axes, values: np.ndarray, colours: str, low: float, high: float) -> Any:
    import matplotlib

    scale = matplotlib.colormaps[colours].with_extremes(bad=GONE)
    return axes.imshow(np.ma.masked_invalid(values), cmap=scale, vmin=low, vmax=high, aspect="auto")


def text(found: Comparison, which: int, heads: Sequence[Head] = ()) -> Figure:
    """The attention in one text: the dense model at the left, the pruned one at the right, all on one scale.

    Of a small model every head, a row for each layer; of a large one the mean over the heads of each layer. Where
    `heads` are named, these alone and larger.
    """
    maps = [model.maps[which] for model in found.models]
    tokens = maps[0].tokens
    rows = [_rows(shown.weights, heads) for shown in maps]
    across = max(map(len, rows[0]))
    size = max(0.95, min(3.0, (0.16 if across < 3 else 0.085) * len(tokens)))
    words = 0.07 * max(map(len, tokens))
    side = across * (size + 0.1) + words
    picture = figure(2 * side + 1.1, len(rows[0]) * (size + 0.22) + words + 0.4)
    grid = picture.subplots(
        len(rows[0]), 2 * across + 1, squeeze=False, width_ratios=[*[size] * across, 0.3 * size, *[size] * across]
    )
    most = max(np.nanmax(weights, initial=0.1) for shown in rows for row in shown for _, weights in row)
    for axes in grid.flat:
        axes.set_axis_off()
    for start, of_model in ((0, rows[0]), (across + 1, rows[1])):
        for y, row in enumerate(of_model):
            for x, (title, weights) in enumerate(row):
                axes = grid[y][start + x]
                lowest = y == len(of_model) - 1 or x >= len(of_model[y + 1])
                image = _map(axes, weights, math.ceil(10 * most) / 10, tokens, below=lowest, beside=x == 0)
                axes.set_title(title, loc="left", size=7, pad=2)
    what = "" if heads or _is_small(*maps[0].weights.shape[:2]) else ", mean of heads"
    for first, model in ((0, found.models[0]), (across + 1, found.models[1])):
        grid[0][first].annotate(
            plain(f"{model.name}{what}"),
            (0, 1),
            xytext=(0, 16),
            textcoords="offset points",
            xycoords="axes fraction",
            size=10,
        )
    bar = picture.colorbar(image, ax=grid, pad=0.01, fraction=0.03)
    bar.set_label("attention")
    return picture


def _rows(weights: np.ndarray, heads: Sequence[Head]) -> list[list[tuple[str, np.ndarray]]]:
    """Maps with their titles, in rows."""
    layers, count = weights.shape[:2]
    if heads:
        found = [(f"layer {layer}, head {head}", weights[layer, head]) for layer, head in heads]
        return [found[start : start + 2] for start in range(0, len(found), 2)]
    if _is_small(layers, count):
        return [
            [(f"layer {layer}, head {head}", weights[layer, head]) for head in range(count)] for layer in range(layers)
        ]
    found = [(f"layer {layer}", _mean(weights[layer])) for layer in range(layers)]
    return [found[start : start + 3] for start in range(0, layers, 3)]


def _is_small(layers: int, heads: int) -> bool:
    return layers <= FEW and heads <= FEW


def _mean(heads: np.ndarray) -> np.ndarray:
    """Over the heads that are there, shape (tokens, tokens); NaN where none is."""
    there = [head for head in heads if not np.isnan(head).all()]
    return np.mean(there, axis=0) if there else np.full(heads.shape[1:], np.nan)


def _map(axes: Axes, weights: np.ndarray, high: float, tokens: Sequence[str], below: bool, beside: bool) -> Any:
    """Rows are the tokens that attend, columns those that are attended to; named at the edge of the picture."""
    axes.set_axis_on()
    image = _image(axes, weights, MAP, 0.0, high)
    shown = list(map(plain, tokens))
    axes.set_yticks(range(len(shown)) if beside else [], shown if beside else [], size=6)
    axes.set_xticks(range(len(shown)) if below else [], shown if below else [], size=6, rotation=90)
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)
    return image
