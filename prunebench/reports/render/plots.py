"""How pictures look and are written: the same bytes for the same numbers. Imports matplotlib where it draws.

Colours are told apart by all kinds of colour vision; no picture needs a display.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from prunebench.reports.render.files import chosen_formats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
# Red is worse and blue is better: a pair that every kind of colour vision tells apart.
DIVERGING = "RdBu"
SEQUENTIAL = "cividis"
FONT = 9
# Nothing of the day or the machine goes into a file.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


def figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, which no window belongs to."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=160, layout="constrained")


def drawn(name: str, make: Callable[[], Figure], formats: Iterable[str]) -> dict[str, bytes]:
    """The figure that `make` draws, as a file of each of the formats that are pictures, by file name."""
    import matplotlib

    kinds = [kind for kind in formats if kind in FORMATS]
    if not kinds:
        return {}
    files = {}
    with matplotlib.rc_context({"svg.hashsalt": "prunebench", "font.size": FONT, "axes.titlesize": FONT + 1}):
        picture = make()
        _lay_out(picture)
        for kind in kinds:
            with io.BytesIO() as file:
                picture.savefig(file, format=kind, metadata=_METADATA[kind])
                files[f"{name}.{kind}"] = file.getvalue()
    return files


def _lay_out(picture: Figure) -> None:
    """Give everything its place, once for all formats, rounded: the last bits of what the layout gives are random."""
    picture.draw_without_rendering()
    picture.set_layout_engine("none")
    for axes in picture.axes:
        left, below, width, height = (round(part, 5) for part in axes.get_position(original=True).bounds)
        axes.set_position((left, below, width, height))


def shown(files: Iterable[str], name: str) -> str:
    """Of the files of a picture the one that a page shows, or ""."""
    return next((f"{name}.{kind}" for kind in ("svg", "png") if f"{name}.{kind}" in files), "")


def plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")


def number(axes: Axes, x: float, y: float, text: str, back: Any, **looks: Any) -> None:
    """A number in the middle of a field of that colour. It takes no part in the layout, which would be slow."""
    axes.text(x, y, text, ha="center", va="center", color=on(back), in_layout=False, **looks)


def lines_between(axes: Axes, rows: int, columns: int) -> None:
    """White lines between the fields of an image."""
    for y in range(1, rows):
        axes.axhline(y - 0.5, color="white", linewidth=1)
    for x in range(1, columns):
        axes.axvline(x - 0.5, color="white", linewidth=1)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def parse_formats(text: str, others: Iterable[str]) -> tuple[str, ...]:
    """`md,png` as names of formats: pictures, or one of the `others`."""
    return chosen_formats(text, (*others, *FORMATS))


def on(colour: Any) -> str:
    """Black or white, whichever is read better on a colour (WCAG 2: by relative luminance)."""
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3])
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "white"
