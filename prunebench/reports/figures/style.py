"""How methods look in figures: a colour, a marker and a line each, the same in every figure of a page.

The colours are those of Okabe and Ito (2008), which all kinds of colour vision tell apart, without black, which is
dense, and without yellow, which cannot be read on paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prunebench.reports.leaderboard.page_model import Page
from prunebench.reports.render.blocks import one_line

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "D", "^", "X", "*", "v", "p", "h", "P", "<")
GREY = "#6b7280"
# Inches: a figure as wide as a column and a half.
WIDTH = 5.2
LONGEST = 34


@dataclass(frozen=True)
class Look:
    colour: str
    marker: str
    line: str


@dataclass(frozen=True)
class Style:
    """By label, how a method looks; controls have dotted lines."""

    looks: dict[str, Look]

    @classmethod
    def of(cls, page: Page) -> Style:
        methods = [method for method in page.methods if method.label != "dense"]
        ordered = sorted(methods, key=lambda method: (bool(method.control_of), method.label))
        looks = {}
        for i, method in enumerate(ordered):
            marker = MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
            looks[method.label] = Look(COLOURS[i % len(COLOURS)], marker, ":" if method.control_of else "-")
        return cls(looks)


def name(label: str) -> str:
    """A label on one line, cut where it is longer than a figure has room for."""
    text = one_line(label)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@contextmanager
def settings() -> Iterator[None]:
    """Text is never taken for a formula, fonts are kept as fonts, and grids stay behind."""
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
