"""Line charts as SVG, drawn without another library: the same numbers give the same text on every machine.

A chart has a title and a description for screen readers, reference lines with names, and a legend below the axes. It
follows the light or dark theme of the reader, so its colours are variables of its style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from prunebench.reports.render.blocks import one_line

# Okabe and Ito (2008), without black, which is dense, and without yellow, which is hard to see on white.
LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DARK = ("#4a9fe0", "#ff7f3f", "#2fc79b", "#e79cc6", "#f2b233", "#9ad7ff")


def _polygon(distances: Sequence[float]) -> str:
    """A closed path through points at these distances from the centre, the first one on top."""
    angles = [2 * math.pi * i / len(distances) - math.pi / 2 for i in range(len(distances))]
    points = [f"{d * math.cos(a):.1f} {d * math.sin(a):.1f}" for d, a in zip(distances, angles, strict=True)]
    return f"M{'L'.join(points)}Z"


# The markers of methods, as paths around the origin.
SHAPES = (
    "M4.5 0A4.5 4.5 0 1 1 -4.5 0A4.5 4.5 0 1 1 4.5 0Z",
    "M-4-4H4V4H-4Z",
    _polygon([5.5] * 4),
    _polygon([5.5] * 3),
    "M-5-2.5L-2.5-5L0-2.5L2.5-5L5-2.5L2.5 0L5 2.5L2.5 5L0 2.5L-2.5 5L-5 2.5L-2.5 0Z",
    _polygon([6, 2.6] * 5),
    "M0 5.5L4.8-2.8H-4.8Z",
    _polygon([5] * 5),
    _polygon([5] * 6),
    "M-1.8-5.5H1.8V-1.8H5.5V1.8H1.8V5.5H-1.8V1.8H-5.5V-1.8H-1.8Z",
    "M-5-5H5L-5 5H5Z",
)
WIDTH, PLOT_HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 60, 14, 14, 44
LEGEND_COLUMNS, LEGEND_ROW, LONGEST = 2, 20, 36


@dataclass(frozen=True)
class Series:
    """The points of a method: x, y, and the standard deviation of y or None.

    `look` numbers its colour and marker; `dotted` lines are those of controls.
    """

    label: str
    points: tuple[tuple[float, float, float | None], ...]
    look: int
    dotted: bool = False


@dataclass(frozen=True)
class LineChart:
    """A chart of several series over one axis.

    `guides` are reference lines across it, by name. Values below `least` are cut off, so that one method that is
    far worse than chance does not flatten all others.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    guides: tuple[tuple[str, float], ...] = ()
    least: float | None = None

    @property
    def description(self) -> str:
        """All numbers of the chart in words."""
        parts = [f"{name}: {_number(y)}" for name, y in self.guides]
        for each in self.series:
            values = ", ".join(f"{_number(y)} at {x:g}" for x, y, _ in each.points)
            parts.append(f"{one_line(each.label)}: {values}")
        return f"{self.y_label} by {self.x_label}. {'; '.join(parts)}."


def look(i: int) -> tuple[int, str]:
    """The number of the colour and the marker of the i-th method. Colours that come again have another marker."""
    return i % len(LIGHT), SHAPES[(i + i // len(LIGHT)) % len(SHAPES)]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most about `most` of them."""
    raw = (high - low) / most
    size = 10 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def line_chart(chart: LineChart) -> str:
    """The chart as an SVG document. All text is escaped."""
    rows = math.ceil(len(chart.series) / LEGEND_COLUMNS)
    height = TOP + PLOT_HEIGHT + BOTTOM + LEGEND_ROW * rows + 6
    frame = _Frame.of(chart)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="glance" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="glance-title" aria-describedby="glance-description">',
        f'<title id="glance-title">{_text(chart.title)}</title>',
        f'<desc id="glance-description">{_text(chart.description)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height}" rx="8"/>',
        f'<clipPath id="glance-plot"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT + 6}" '
        f'height="{PLOT_HEIGHT}"/></clipPath>',
        *_axes(chart, frame),
        '<g clip-path="url(#glance-plot)">',
        *(part for each in chart.series for part in _band(each, frame)),
        *(part for each in chart.series for part in _curve(each, frame)),
        "</g>",
        *_guides(chart, frame),
        *_legend(chart),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class _Frame:
    """The range of both axes, and where they are drawn."""

    left: float
    right: float
    low: float
    high: float

    @classmethod
    def of(cls, chart: LineChart) -> _Frame:
        x = [point[0] for each in chart.series for point in each.points] or [0.0]
        y = [y + sign * (std or 0.0) for each in chart.series for _, y, std in each.points for sign in (-1, 1)]
        y += [value for _, value in chart.guides] or [0.0]
        low, high = min(y), max(y)
        if chart.least is not None:
            low = max(low, chart.least)
            high = max(low, high)
        across, along = 0.04 * (max(x) - min(x)) or 0.05, 0.07 * (high - low) or 1.0
        return cls(min(x) - across, max(x) + across, low - along, high + along)

    def x(self, value: float) -> float:
        return LEFT + (value - self.left) / (self.right - self.left) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * PLOT_HEIGHT


def _axes(chart: LineChart, frame: _Frame) -> Iterator[str]:
    end, bottom = WIDTH - RIGHT, TOP + PLOT_HEIGHT
    for value in ticks(frame.low, frame.high):
        y = frame.y(value)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{end}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>'
    last = -math.inf
    for value in sorted({x for each in chart.series for x, _, _ in each.points}):
        x = frame.x(value)
        # Labels that would touch are left out.
        if x - last >= 30:
            yield f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{value:g}</text>'
            last = x
    yield f'<path class="axis" d="M{LEFT} {bottom}H{end}"/>'
    yield f'<text x="{(LEFT + end) / 2:.1f}" y="{bottom + 36}" text-anchor="middle">{_text(chart.x_label)}</text>'
    middle = TOP + PLOT_HEIGHT / 2
    yield f'<text transform="translate(13 {middle:g}) rotate(-90)" text-anchor="middle">{_text(chart.y_label)}</text>'


def _band(series: Series, frame: _Frame) -> Iterator[str]:
    """The mean ± one standard deviation."""
    if not any(std for _, _, std in series.points):
        return
    upper = [(x, y + (std or 0.0)) for x, y, std in series.points]
    lower = [(x, y - (std or 0.0)) for x, y, std in reversed(series.points)]
    yield f'<path class="band fill{look(series.look)[0]}" d="{_path(frame, [*upper, *lower])}Z"/>'


def _curve(series: Series, frame: _Frame) -> Iterator[str]:
    colour, shape = look(series.look)
    line = _path(frame, [(x, y) for x, y, _ in series.points])
    yield f'<path class="line line{colour}{" dotted" if series.dotted else ""}" d="{line}"/>'
    for x, y, std in series.points:
        position = f"translate({frame.x(x):.1f} {frame.y(y):.1f})"
        spread = "" if std is None else f" ± {_number(std)}"
        text = _text(f"{one_line(series.label)} at {x:g}: {_number(y)}{spread}")
        yield f'<path class="mark fill{colour}" transform="{position}" d="{shape}"><title>{text}</title></path>'


def _guides(chart: LineChart, frame: _Frame) -> Iterator[str]:
    lowest = min((value for _, value in chart.guides), default=0.0)
    for i, (name, value) in enumerate(chart.guides):
        y = frame.y(value)
        # The name of the lowest line stands below it, so that the names of two close lines do not meet.
        shift = 14 if value == lowest and len(chart.guides) > 1 else -5
        yield f'<path class="guide{" dotted" if i else ""}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="name" x="{LEFT + 4}" y="{y + shift:.1f}">{_text(name)}</text>'


def _legend(chart: LineChart) -> Iterator[str]:
    top, column = TOP + PLOT_HEIGHT + BOTTOM + 12, (WIDTH - LEFT) / LEGEND_COLUMNS
    for i, each in enumerate(chart.series):
        x, y = LEFT + column * (i % LEGEND_COLUMNS), top + LEGEND_ROW * (i // LEGEND_COLUMNS)
        colour, shape = look(each.look)
        yield f'<path class="line line{colour}{" dotted" if each.dotted else ""}" d="M{x:g} {y - 4}h30"/>'
        yield f'<path class="mark fill{colour}" transform="translate({x + 15:g} {y - 4})" d="{shape}"/>'
        yield f'<text x="{x + 38:g}" y="{y}">{_text(_short(each.label))}</text>'


def _path(frame: _Frame, points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in points)


def _short(label: str) -> str:
    text = one_line(label)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _text(text: str) -> str:
    return escape(one_line(text))


def _number(value: float) -> str:
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text.replace("-", "−")


def _colours(palette: Sequence[str], back: str, text: str, muted: str, grid: str) -> str:
    names = "".join(f"--c{i}:{colour};" for i, colour in enumerate(palette))
    return f".glance{{{names}--back:{back};--text:{text};--muted:{muted};--grid:{grid}}}"


# The style sheet of every chart. The colours are variables, which a dark theme changes.
STYLE = (
    _colours(LIGHT, "#ffffff", "#1c1f23", "#5a626b", "#e7eaee")
    + f"@media(prefers-color-scheme:dark){{{_colours(DARK, '#1c2024', '#e8eaed', '#a4adb7', '#2a3036')}}}"
    ".glance{font:14px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    ".glance text{fill:var(--text)}"
    ".glance .name{fill:var(--muted);font-size:13px;paint-order:stroke;stroke:var(--back);stroke-width:3px}"
    ".glance .back{fill:var(--back)}"
    ".glance .grid{stroke:var(--grid)}.glance .axis{stroke:var(--muted)}"
    ".glance .guide{stroke:var(--text);stroke-width:1.4;stroke-dasharray:6 4}.glance .dotted{stroke-dasharray:2 3}"
    ".glance .line{fill:none;stroke-width:2}.glance .band{opacity:.1}"
    ".glance .mark{stroke:var(--back);stroke-width:.8}"
    + "".join(f".glance .line{i}{{stroke:var(--c{i})}}.glance .fill{i}{{fill:var(--c{i})}}" for i in range(len(LIGHT)))
)
