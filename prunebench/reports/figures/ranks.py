"""Critical-difference diagrams, as in Demšar (2006)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prunebench.reports.figures.style import WIDTH, Style, name
from prunebench.reports.render.plots import new_figure
from prunebench.results.statistics.ranks import Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lengths downwards, in rows of text: from the axis to the first bar, between bars, from the last bar to the names.
TOP, BAR, GAP = 0.6, 0.45, 0.7


def critical_difference(ranking: Ranking, style: Style | None = None) -> Figure:
    """Average ranks on one axis, with the best at the right. A bar joins methods that cannot be distinguished."""
    style = style or Style()
    picture = new_figure(style.width, style.scaled(_height(ranking)))
    _draw(picture.subplots(), ranking, style.small)
    return picture


def critical_differences(rankings: Mapping[str, Ranking]) -> Figure:
    """Critical-difference diagrams by title, one below the other."""
    # A title takes one more line.
    heights = [_height(ranking) + 0.25 for ranking in rankings.values()]
    picture = new_figure(WIDTH + 1.2, sum(heights))
    rows = picture.subplots(len(rankings), squeeze=False, height_ratios=heights)
    for (axes,), (title, ranking) in zip(rows, rankings.items(), strict=True):
        axes.set_title(title, loc="left")
        _draw(axes, ranking, Style().small)
    return picture


def _bars(ranking: Ranking) -> list[tuple[str, ...]]:
    """The groups of methods that a bar joins."""
    return [group for group in ranking.groups if len(group) > 1]


def _depth(ranking: Ranking) -> float:
    """Rows of text from the axis down to the last name."""
    return TOP + BAR * len(_bars(ranking)) + GAP + (len(ranking.ranks) + 1) // 2


def _height(ranking: Ranking) -> float:
    """The height of a diagram in inches."""
    return 0.55 + 0.2 * (_depth(ranking) + 1.6)


def _draw(axes: Axes, ranking: Ranking, font: float) -> None:
    methods, bars = list(ranking.ranks), _bars(ranking)
    half = (len(methods) + 1) // 2
    axes.set_axis_off()
    worst = len(methods)
    margin = 0.45 * (worst - 1) + 0.6
    axes.set_xlim(worst + margin, min(1 - margin, worst - (ranking.cd or 0.0) - 0.2))
    axes.set_ylim(_depth(ranking) + 0.4, -2.2)
    _axis(axes, worst, ranking.cd or 0.0, font)
    for i, group in enumerate(bars):
        ranks = [ranking.ranks[method] for method in group]
        y = TOP + BAR * i
        axes.plot([min(ranks) - 0.04, max(ranks) + 0.04], [y, y], color="black", linewidth=3, solid_capstyle="butt")
    below = TOP + BAR * len(bars) + GAP
    # The better half is at the right, with the best on top; the others are at the left, with the worst on top.
    _names(axes, ranking, methods[:half], below, 1 - 0.08 * worst, "left", font)
    _names(axes, ranking, methods[half:][::-1], below, worst + 0.08 * worst, "right", font)


def _axis(axes: Axes, worst: int, cd: float, font: float) -> None:
    """The axis of ranks, and above it the critical difference as a length."""
    axes.plot([1, worst], [0, 0], color="black", linewidth=1)
    for rank in range(1, worst + 1):
        axes.plot([rank, rank], [0, -0.25], color="black", linewidth=1)
        axes.text(rank, -0.4, str(rank), ha="center", va="bottom", fontsize=font)
    right = worst - cd
    axes.plot([worst, right], [-1.5, -1.5], color="black", linewidth=1)
    for end in (worst, right):
        axes.plot([end, end], [-1.65, -1.35], color="black", linewidth=1)
    axes.text((worst + right) / 2, -1.6, f"CD = {cd:.2f}", ha="center", va="bottom", fontsize=font)


def _names(axes: Axes, ranking: Ranking, methods: Sequence[str], top: float, x: float, align: str, font: float) -> None:
    """Lines from each rank down and out to the name of its method."""
    for i, method in enumerate(methods):
        rank, y = ranking.ranks[method], top + i
        axes.plot([rank, rank, x], [0, y, y], color="black", linewidth=0.8)
        # The axis runs from right to left, so a gap to the right of x is negative.
        space = -0.05 if align == "left" else 0.05
        axes.text(x + space, y, f"{name(method)} ({rank:.2f})", ha=align, va="center", fontsize=font)
