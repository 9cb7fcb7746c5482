r"""Tables as LaTeX floats for \input. Only booktabs is needed.

The output is ASCII, so it compiles with plain pdfLaTeX.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tabulate import DataRow, Line, TableFormat, tabulate

from prunebench.reports.render.blocks import Bold, Table, one_line
from prunebench.reports.render.files import file_names

HEAD = r"""% Written by `prunebench leaderboard`. Requires \usepackage{booktabs}; include with \input.
"""
# The most rows of a float, and the most floats before a new page.
ROWS, FLOATS = 42, 12
# The width of all columns of prose together, in cm.
PROSE = 9
# Font sizes, and how many characters of each fit in a line of an article (12 cm).
SIZES = {"small": 72, "footnotesize": 82, "scriptsize": 98}
SMALLEST = "tiny"
# A bracket or an asterisk at the start of a row would be read as an argument of \\; braces prevent that.
_ASCII = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{character: f"{{{character}}}" for character in "[]*'`"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
}
_SYMBOLS = {
    **{"±": r"$\pm$", "−": "$-$", "×": r"$\times$", "→": r"$\rightarrow$", "Δ": r"$\Delta$", "θ": r"$\theta$"},
    **{"α": r"$\alpha$", "δ": r"$\delta$"},
    **{
        "—": r"\textemdash{}",
        "–": r"\textendash{}",
        "…": r"\ldots{}",
        "≈": r"$\approx$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "′": "$'$",
        "″": "$''$",
    },
}
_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030c": "v", "\u0327": "c"}


def escape(text: str) -> str:
    """Escape text for LaTeX. A character that plain pdfLaTeX lacks is replaced by its code point, such as U+4E2D."""
    return re.sub("-(?=-)", "-{}", "".join(map(_character, one_line(text))))


@functools.cache
def _character(character: str) -> str:
    known = _ASCII.get(character) or _SYMBOLS.get(character)
    if known:
        return known
    if character.isascii():
        return character
    base, *marks = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        return f"\\{_ACCENTS[marks[0]]}{{{base}}}"
    return f"U+{ord(character):04X}"


def latex(tables: Iterable[Table], prefix: str, *, source: Iterable[str] = (), position: str = "tbp") -> str:
    r"""The tables as floats, each with a caption and a label that begins with `tab:prefix`.

    `source` are lines for comments at the top. `position` says where LaTeX may put a float. Long tables are split, and
    every few floats begin a new page, because LaTeX holds only some that it cannot print yet.
    """
    lines = [HEAD, *(f"% {_ascii(line)}\n" for line in source)]
    labels: set[str] = set()
    for i, part in enumerate(part for table in tables for part in _parts(table)):
        name = f"{prefix} {part.title}" if part.title else prefix
        label = next(label for label in file_names(name) if label not in labels)
        labels.add(label)
        lines.append((r"\clearpage" + "\n") * (i > 0 and i % FLOATS == 0) + _float(part, label, position))
    return "\n".join(lines)


def _ascii(line: str) -> str:
    return one_line(line).encode("ascii", "replace").decode()


def _parts(table: Table) -> Iterator[Table]:
    """The table in parts of at most `ROWS` rows. Notes are below the last one."""
    starts = range(0, max(1, len(table.body)), ROWS)
    for start in starts:
        last = start == starts[-1]
        title = table.title if start == 0 else f"{table.title}, continued"
        body, notes = table.body[start : start + ROWS], table.notes if last else ()
        yield replace(table, title=title, body=body, notes=notes, rule=table.rule if start == 0 else 0)


def _float(table: Table, label: str, position: str) -> str:
    rows = [[_entry(text) for text in row] for row in table.body]
    if 0 < table.rule < len(rows):
        rows[table.rule][0] = rf"\midrule {rows[table.rule][0]}"
    text = tabulate(
        rows,
        headers=[escape(header) for header in table.headers],
        tablefmt=_booktabs(table.aligns),
        colalign=["right" if align == "r" else "left" for align in table.aligns],
        disable_numparse=True,
    )
    caption = escape(f"{f'{table.title}. ' if table.title else ''}{table.caption}".strip())
    notes = "".join(f"\\par\\smallskip {escape(note)}\n" for note in table.notes)
    size = _size(table)
    if size == SMALLEST:
        # A table that is wider than a line is centred on it, and reaches into both margins.
        text = f"\\makebox[\\linewidth]{{\\tabcolsep=3pt\n{text}}}"
    return (
        f"\\begin{{table}}[{position}]\n\\centering\n\\caption{{{caption}}}\n\\label{{tab:{label}}}\n"
        f"\\{size}\n\\tabcolsep=4pt\n{text}\n{notes}\\end{{table}}\n"
    )


def _size(table: Table) -> str:
    """The largest font size with which the table fits the width of a page, judged by its longest entries."""
    columns = zip(table.headers, *table.body, strict=True)
    width = sum(2 + max(map(len, column)) for column, align in zip(columns, table.aligns, strict=True) if align != "p")
    return next((size for size, most in SIZES.items() if width <= most), SMALLEST)


def _entry(text: str) -> str:
    return rf"\textbf{{{escape(text)}}}" if isinstance(text, Bold) else escape(text)


def _booktabs(aligns: str) -> TableFormat:
    """tabulate's latex_booktabs, without its escaping: the entries are LaTeX already."""
    row = DataRow("", "&", r"\\")
    columns = aligns.replace("p", f"p{{{min(7, PROSE / max(1, aligns.count('p'))):g}cm}}")
    return TableFormat(
        lineabove=Line(rf"\begin{{tabular}}{{{columns}}}" "\n" r"\toprule", "", "", ""),
        linebelowheader=Line(r"\midrule", "", "", ""),
        linebetweenrows=None,
        linebelow=Line(r"\bottomrule" "\n" r"\end{tabular}", "", "", ""),
        headerrow=row,
        datarow=row,
        padding=1,
        with_header_hide=None,
    )
