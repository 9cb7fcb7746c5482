"""How matplotlib figures look and are written. The same numbers give the same bytes, and no display is needed.

matplotlib is imported inside the functions that draw. All colour maps can be read with any kind of colour vision.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from prunebench.reports.render import files
from prunebench.reports.render.blocks import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
# Red is worse, blue is better.
DIVERGING = "RdBu"
SEQUENTIAL = "cividis"
FONT = 9
# No dates and no versions, so that the bytes depend on the numbers alone.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
# Where each format has room for a sentence about the picture.
_DESCRIPTION = {"png": "Description", "svg": "Description", "pdf": "Subject"}


def parse_formats(text: str, others: Iterable[str]) -> tuple[str, ...]:
    """Parse `md,png` into names of formats: pictures, or one of the `others`."""
    return files.parse_formats(text, (*others, *FORMATS))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches. It belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=160, layout="constrained")


def render_figure(
    name: str, make: Callable[[], Figure], formats: Iterable[str], description: str = ""
) -> dict[str, bytes]:
    """Call `make` and write its figure in each of the formats that are pictures; the files' bytes by file name.

    The metadata of each file hold the `description` unless it is empty.
    """
    import matplotlib

    kinds = [kind for kind in formats if kind in FORMATS]
    if not kinds:
        return {}
    data = {}
    with matplotlib.rc_context({"svg.hashsalt": "prunebench", "font.size": FONT, "axes.titlesize": FONT + 1}):
        picture = make()
        _fix_layout(picture)
        for kind in kinds:
            about = {_DESCRIPTION[kind]: one_line(description)} if description else {}
            with io.BytesIO() as file:
                picture.savefig(file, format=kind, metadata=_METADATA[kind] | about)
                data[f"{name}.{kind}"] = file.getvalue()
    return data


def _fix_layout(picture: Figure) -> None:
    """Lay the figure out once for all formats, with rounded positions: the last bits of a layout are not repeatable."""
    picture.draw_without_rendering()
    picture.set_layout_engine("none")
    for axes in picture.axes:
        left, bottom, width, height = (round(part, 5) for part in axes.get_position(original=True).bounds)
        axes.set_position((left, bottom, width, height))


def page_image(names: Iterable[str], name: str) -> str:
    """The file of a picture that a page can show, an SVG or else a PNG, or "" if there is neither."""
    return next((f"{name}.{kind}" for kind in ("svg", "png") if f"{name}.{kind}" in names), "")


def escape_formula(text: str) -> str:
    """Escape text that matplotlib would read as a formula."""
    return text.replace("$", r"\$")


def draw_number(axes: Axes, x: float, y: float, text: str, back: Any, **looks: Any) -> None:
    """Write a number in the middle of a field with the colour `back`.

    The number takes no part in the layout, which would be slow.
    """
    axes.text(x, y, text, ha="center", va="center", color=text_colour(back), in_layout=False, **looks)


def draw_grid_lines(axes: Axes, rows: int, columns: int) -> None:
    """Draw white lines between the fields of an image."""
    for y in range(1, rows):
        axes.axhline(y - 0.5, color="white", linewidth=1)
    for x in range(1, columns):
        axes.axvline(x - 0.5, color="white", linewidth=1)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def text_colour(back: Any) -> str:
    """Black or white, whichever is easier to read on the colour `back` (WCAG 2, by relative luminance)."""
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in back[:3])
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "white"
