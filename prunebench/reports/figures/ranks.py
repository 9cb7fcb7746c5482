"""Critical-difference diagrams as Demšar (2006) draws them. Imports `style` and `stats`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prunebench.reports.figures.style import WIDTH, name
from prunebench.reports.render.plots import figure
from prunebench.results.statistics.ranks import Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lengths downwards, in rows of text: from the axis to the first bar, between bars, from the last bar to the names.
TOP, BAR, GAP = 0.6, 0.45, 0.7


def critical_difference(found: Ranking) -> Figure:
    """Average ranks on one axis, the best at the right; a bar joins methods that cannot be told apart."""
    picture = figure(WIDTH + 1.2, _height(found))
    _draw(picture.subplots(), found)
    return picture


def critical_differences(titled: Mapping[str, Ranking]) -> Figure:
    """A critical-difference diagram below another, each with its title."""
    # A title is a line more.
    heights = [_height(found) + 0.25 for found in titled.values()]
    picture = figure(WIDTH + 1.2, sum(heights))
    rows = picture.subplots(len(titled), squeeze=False, height_ratios=heights)
    for (axes,), (title, found) in zip(rows, titled.items(), strict=True):
        axes.set_title(title, loc="left")
        _draw(axes, found)
    return picture


def _groups(found: Ranking) -> list[tuple[str, ...]]:
    """What a bar joins."""
    return [group for group in found.groups if len(group) > 1]


def _depth(found: Ranking) -> float:
    """Rows of text from the axis down to the last name."""
    return TOP + BAR * len(_groups(found)) + GAP + (len(found.ranks) + 1) // 2


def _height(found: Ranking) -> float:
    return 0.55 + 0.2 * (_depth(found) + 1.6)


def _draw(axes: Axes, found: Ranking) -> None:
    methods, groups = list(found.ranks), _groups(found)
    half = (len(methods) + 1) // 2
    axes.set_axis_off()
    worst = len(methods)
    margin = 0.45 * (worst - 1) + 0.6
    axes.set_xlim(worst + margin, min(1 - margin, worst - (found.cd or 0.0) - 0.2))
    axes.set_ylim(_depth(found) + 0.4, -2.2)
    _axis(axes, worst, found.cd or 0.0)
    for i, group in enumerate(groups):
        ranks = [found.ranks[method] for method in group]
        y = TOP + BAR * i
        axes.plot([min(ranks) - 0.04, max(ranks) + 0.04], [y, y], color="black", linewidth=3, solid_capstyle="butt")
    below = TOP + BAR * len(groups) + GAP
    # The better half at the right, the best on top; the others at the left, the worst on top.
    _names(axes, found, methods[:half], below, 1 - 0.08 * worst, "left")
    _names(axes, found, methods[half:][::-1], below, worst + 0.08 * worst, "right")


def _axis(axes: Axes, worst: int, cd: float) -> None:
    axes.plot([1, worst], [0, 0], color="black", linewidth=1)
    for rank in range(1, worst + 1):
        axes.plot([rank, rank], [0, -0.25], color="black", linewidth=1)
        axes.text(rank, -0.4, str(rank), ha="center", va="bottom", fontsize=8)
    right = worst - cd
    axes.plot([worst, right], [-1.5, -1.5], color="black", linewidth=1)
    for end in (worst, right):
        axes.plot([end, end], [-1.65, -1.35], color="black", linewidth=1)
    axes.text((worst + right) / 2, -1.6, f"CD = {cd:.2f}", ha="center", va="bottom", fontsize=8)


def _names(axes: Axes, found: Ranking, methods: Sequence[str], top: float, x: float, align: str) -> None:
    """Lines from each rank down and out to its method's name."""
    for i, method in enumerate(methods):
        rank, y = found.ranks[method], top + i
        axes.plot([rank, rank, x], [0, y, y], color="black", linewidth=0.8)
        # The axis runs from right to left, and so does what is written beside it.
        space = -0.05 if align == "left" else 0.05
        axes.text(x + space, y, f"{name(method)} ({rank:.2f})", ha=align, va="center", fontsize=8)
