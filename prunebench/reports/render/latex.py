r"""Blocks as LaTeX for \input. Only booktabs is needed.

Headings are left out: each table carries its title. The output is ASCII, so it compiles with plain pdfLaTeX.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

from tabulate import DataRow, Line, TableFormat, tabulate

from prunebench.reports.render.blocks import Block, Bold, Caution, Commands, Details, Paragraph, Table, one_line

HEAD = r"""% Written by `prunebench leaderboard`. Requires \usepackage{booktabs}; include with \input{table}.
"""
# The width of all columns of prose together, in cm.
PROSE = 9
# Font sizes, and how many characters of each fit in a line of 16 cm.
SIZES = {"small": 95, "footnotesize": 108, "scriptsize": 130}
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


def latex(blocks: Iterable[Block]) -> str:
    """The tables, paragraphs, warnings and commands of a page."""
    return "\n".join([HEAD, *(text for block in blocks if (text := _block(block)))])


def _block(block: Block) -> str:
    match block:
        case Table():
            return _table(block)
        case Commands():
            # Centred text may be broken at any space, which a long command needs.
            lines = (f"\\begin{{center}}\\texttt{{{escape(line)}}}\\end{{center}}\n" for line in block.lines)
            return "".join(lines)
        case Paragraph():
            return f"\\par\\noindent {escape(block.text)}\\par\n"
        case Caution():
            return f"\\par\\noindent\\textbf{{Warning:}} {escape(block.text)}\\par\n"
        case Details():
            return "\n".join(text for nested in block.blocks if (text := _block(nested)))
    return ""


def _table(table: Table) -> str:
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
    notes = "".join(f"\\par\\smallskip {escape(note)}\n" for note in table.notes)
    stop, caption = (".", f" {escape(table.caption)}") if table.caption else ("", "")
    return (
        f"\\begin{{center}}\n\\{_size(table)}\n\\tabcolsep=4pt\n"
        "\\begin{minipage}{\\linewidth}\n\\centering\n"
        f"\\textbf{{{escape(table.title)}{stop}}}{caption}\\par\\smallskip\n"
        f"{text}\n{notes}\\end{{minipage}}\n\\end{{center}}\n"
    )


def _size(table: Table) -> str:
    """The largest font size with which the table fits the width of a page, judged by its longest entries."""
    columns = zip(table.headers, *table.body, strict=True)
    width = sum(2 + max(map(len, column)) for column, align in zip(columns, table.aligns, strict=True) if align != "p")
    return next((size for size, most in SIZES.items() if width <= most), "tiny")


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
