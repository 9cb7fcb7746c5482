"""A table as plain text for a terminal."""

from __future__ import annotations

from tabulate import tabulate

from prunebench.reports.render.blocks import Table, one_line


def plain(table: Table) -> str:
    """The table without its title and notes."""
    return tabulate(
        [[one_line(text) for text in row] for row in table.body],
        headers=[one_line(text) for text in table.headers],
        tablefmt="simple",
        colalign=["right" if align == "r" else "left" for align in table.aligns],
        disable_numparse=True,
    )
