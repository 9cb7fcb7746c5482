"""The look of methods in figures: a colour, a marker and a line each, the same in every figure of a page.

The colours are those of Okabe and Ito (2008), which people with any colour vision can distinguish. Black is left out,
because it is dense, and so is yellow, which is hard to see on paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.reports.leaderboard.report import Page
from prunebench.reports.render.blocks import one_line
from prunebench.reports.render.plots import FONT

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "D", "^", "X", "*", "v", "p", "h", "P", "<")
GREY = "#6b7280"
# Inches: a figure as wide as a column and a half.
WIDTH = 5.2
# The widths and font sizes that can be drawn, in inches and points.
WIDTHS, FONTS = (2.0, 12.0), (5.0, 16.0)
# The characters of a label before it is cut.
LONGEST = 34


@dataclass(frozen=True)
class Look:
    """The colour, marker and line of a method, as matplotlib names them."""

    colour: str
    marker: str
    line: str


@dataclass(frozen=True)
class Style:
    """The looks of all methods by label. Controls have dotted lines.

    width: of a figure, in inches.
    font: the size of text, in points. Text in legends and at the axes is a little smaller.
    """

    looks: Mapping[str, Look] = field(default_factory=dict)
    width: float = WIDTH
    font: float = FONT

    @classmethod
    def of(cls, page: Page, width: float = WIDTH, font: float = FONT) -> Style:
        """The style of a page. Once all colours are used, they come again with other markers.

        Raises PrunebenchError for a width or font size that leaves no room for a chart, or is too large for a page.
        """
        for kind, value, (low, high), unit in (("width", width, WIDTHS, "inches"), ("font", font, FONTS, "points")):
            if not low <= value <= high:
                raise PrunebenchError(f"the {kind} is {value:g} {unit}", f"expected {low:g} to {high:g} {unit}")
        methods = [method for method in page.methods if not method.reference]
        ordered = sorted(methods, key=lambda method: (bool(method.control_of), method.label))
        looks = {}
        for i, method in enumerate(ordered):
            marker = MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
            looks[method.label] = Look(COLOURS[i % len(COLOURS)], marker, ":" if method.control_of else "-")
        return cls(looks, width, font)

    @property
    def small(self) -> float:
        """The size of text in legends and of the names of methods."""
        return self.font - 1

    @property
    def tiny(self) -> float:
        """The size of text in panels and at their axes."""
        return self.font - 1.5

    def scaled(self, height: float) -> float:
        """A height that is fit for the text of a figure of the usual font, for the font of this one."""
        return height * self.font / FONT


def name(label: str) -> str:
    """A label on one line, cut after `LONGEST` characters."""
    text = one_line(label)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@contextmanager
def settings() -> Iterator[None]:
    """matplotlib's settings: no text is a formula, fonts are embedded as fonts, and grids stay in the background."""
    import warnings

    import matplotlib

    values: dict[str, Any] = {
        **{"text.parse_math": False, "pdf.fonttype": 42, "axes.grid": True, "axes.axisbelow": True},
        **{"grid.color": "#e5e7eb", "grid.linewidth": 0.6, "axes.edgecolor": "#9ca3af", "axes.linewidth": 0.8},
        **{"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "axes.unicode_minus": True},
    }
    with matplotlib.rc_context(values), warnings.catch_warnings():
        # A character that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
