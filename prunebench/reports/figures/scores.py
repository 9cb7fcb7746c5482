"""Scores against sparsity, every seed, and the score retained against the parameters left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prunebench.reports.figures.style import GREY, WIDTH, Look, Style, name
from prunebench.reports.leaderboard.report import Level, Line, Section, Track
from prunebench.reports.leaderboard.retention import Retention
from prunebench.reports.render.formatting import level
from prunebench.reports.render.plots import FONT, new_figure
from prunebench.results.statistics import Summary

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A line of a legend: what is drawn, and its text.
Entry = tuple[Any, str]
DENSE = Look("black", "o", "--")
# The most panels side by side, and inches: of a row of a panel, of the names beside the panels, and across a panel.
ACROSS, ROW, NAMES, PANEL = 3, 0.19, 1.3, 1.3
# The most sparsities that are all named at their axis.
MOST_TICKS = 8


def against_sparsity(
    section: Section, track: Track, column: int, style: Style, picture: Figure | None = None
) -> Figure:
    """The mean of every method with a band of one sample standard deviation, and the dense runs as a line across.

    Drawn into the empty figure `picture` if one is given.
    """
    picture = picture or new_figure(style.width, style.scaled(3.3))
    axes = picture.subplots()
    summaries: dict[str, dict[float, Summary]] = {}
    for entry in track.levels:
        for line in entry.lines:
            summary = line.scores[column].summary
            if summary is not None:
                summaries.setdefault(line.label, {})[entry.sparsity] = summary
    labels = sorted(summaries, key=list(style.looks).index)
    entries = [(_curve(axes, summaries[label], style.looks[label]), name(label)) for label in labels]
    entries += _references(axes, section, column)
    if len(track.levels) <= MOST_TICKS:
        axes.set_xticks([entry.sparsity for entry in track.levels])
    axes.set_xlabel("sparsity")
    axes.set_ylabel(f"{section.columns[column]} × 100")
    _legend(picture, entries, style)
    return picture


def _curve(axes: Axes, summaries: dict[float, Summary], look: Look) -> Artist:
    """The mean and the band of one method, from its summaries by sparsity."""
    x = sorted(summaries)
    mean = [100 * summaries[sparsity].mean for sparsity in x]
    std = [100 * (summaries[sparsity].std or 0.0) for sparsity in x]
    low, high = ([m + sign * s for m, s in zip(mean, std, strict=True)] for sign in (-1, 1))
    axes.fill_between(x, low, high, color=look.colour, alpha=0.14, linewidth=0)
    (line,) = axes.plot(x, mean, look.line, color=look.colour, marker=look.marker, markersize=4.5, linewidth=1.4)
    return line


def _references(axes: Axes, section: Section, column: int) -> list[Entry]:
    """Lines for the dense runs and the majority class."""
    entries: list[Entry] = []
    summary, majority = section.dense.scores[column].summary, section.majority[column]
    if summary is not None:
        mean, std = 100 * summary.mean, 100 * (summary.std or 0.0)
        axes.axhspan(mean - std, mean + std, color="black", alpha=0.08, linewidth=0)
        entries.append((axes.axhline(mean, color="black", linestyle="--", linewidth=1.2), "dense"))
    if majority is not None:
        line = axes.axhline(100 * majority, color=GREY, linestyle=":", linewidth=1.2)
        entries.append((line, "majority class"))
    return entries


def retained(points: Sequence[Retention], style: Style) -> Figure:
    """The mean score retained of every method against the share of parameters left, ± one sample standard deviation."""
    picture = new_figure(style.width, style.scaled(3.3))
    axes = picture.subplots()
    by_label: dict[str, list[Retention]] = {}
    for point in sorted(points, key=lambda point: point.sparsity):
        by_label.setdefault(point.place.label, []).append(point)
    entries: list[Entry] = []
    for label in sorted(by_label, key=list(style.looks).index):
        look = style.looks[label]
        values = [(point.share, point.place.summary) for point in by_label[label]]
        curve = axes.errorbar(
            [100 * share for share, _ in values if share is not None],
            [100 * summary.mean for _, summary in values if summary is not None],
            yerr=[100 * (summary.std or 0.0) for _, summary in values if summary is not None],
            color=look.colour,
            marker=look.marker,
            linestyle=look.line,
            markersize=4.5,
            linewidth=1.4,
            elinewidth=0.8,
            capsize=2,
        )
        entries.append((curve, name(label)))
    entries.append((axes.axhline(100, color="black", linestyle="--", linewidth=1.2), "dense"))
    entries.append((axes.axhline(0, color=GREY, linestyle=":", linewidth=1.2), "majority class"))
    axes.invert_xaxis()
    axes.set_xlabel("parameters left, % of the model")
    axes.set_ylabel("score retained above chance, %")
    _legend(picture, entries, style)
    return picture


def _legend(picture: Figure, entries: Sequence[Entry], style: Style) -> None:
    """A legend outside the axes, below them, in as many columns as fit. More than two rows make the figure higher.

    A task without any result has nothing to name, and no legend.
    """
    if not entries:
        return
    # 60 characters of the usual size fit beside each other in a figure of the usual width.
    fitting = int(60 * style.width / WIDTH * FONT / style.font)
    columns = max(1, min(4, len(entries), fitting // (5 + max(len(text) for _, text in entries))))
    rows = math.ceil(len(entries) / columns)
    width, height = picture.get_size_inches()
    picture.set_size_inches(width, height + style.scaled(0.17) * max(0, rows - 2))
    handles, texts = zip(*entries, strict=True)
    look: dict[str, Any] = {"ncols": columns, "fontsize": style.small, "handlelength": 2.4}
    picture.legend(handles, texts, loc="outside lower center", **look)


def seeds(section: Section, track: Track, column: int, style: Style) -> Figure:
    """A panel for each sparsity: each seed as a point, the mean of a method as a tick, its 95 % interval as a bar."""
    labels = sorted({line.label for entry in track.levels for line in entry.lines}, key=list(style.looks).index)
    fitting = max(1, int((style.width - style.scaled(NAMES)) / style.scaled(PANEL)))
    across = min(ACROSS, len(track.levels), fitting)
    rows = math.ceil(len(track.levels) / across)
    picture = new_figure(style.width, rows * style.scaled(0.75 + ROW * (len(labels) + 1)))
    grid = picture.subplots(rows, across, sharex=True, sharey=True, squeeze=False).flat
    for axes, entry in zip(grid, track.levels, strict=False):
        _panel(axes, section, entry, column, labels, style)
    for axes in list(grid)[len(track.levels) :]:
        axes.set_visible(False)
    picture.supxlabel(f"{section.columns[column]} × 100", fontsize=style.font)
    return picture


def _panel(axes: Axes, section: Section, entry: Level, column: int, labels: Sequence[str], style: Style) -> None:
    """The seeds at one sparsity: a row for the dense runs, and one for each method, even if it has no scores here."""
    lines = {line.label: line for line in entry.lines}
    _strip(axes, 0, section.dense, column, DENSE)
    for row, label in enumerate(labels, start=1):
        if label in lines:
            _strip(axes, row, lines[label], column, style.looks[label])
    if section.majority[column] is not None:
        axes.axvline(100 * (section.majority[column] or 0.0), color=GREY, linestyle=":", linewidth=1)
    axes.set_yticks(range(len(labels) + 1), ["dense", *map(name, labels)], fontsize=style.tiny)
    axes.set_ylim(len(labels) + 0.6, -0.6)
    axes.set_title(f"sparsity {level(entry.sparsity)}", fontsize=style.small)
    axes.tick_params(axis="x", labelsize=style.tiny)


def _strip(axes: Axes, row: int, line: Line, column: int, look: Look) -> None:
    """One row of a panel."""
    score = line.scores[column]
    if score.summary is None:
        return
    interval = score.crossed_bounds or score.bounds
    if interval is not None:
        axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=look.colour, alpha=0.35, linewidth=3.5)
    values = [100 * value for value in score.values.values()]
    axes.plot(values, [row] * len(values), look.marker, color=look.colour, markersize=3.8, alpha=0.75, linestyle="none")
    axes.plot([100 * score.summary.mean], [row], "|", color="black", markersize=9, markeredgewidth=1.3)
