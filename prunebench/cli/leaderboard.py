"""`prunebench leaderboard`: render what a store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.selecting import selected, selection_options, strategies_option


@click.command()
@selection_options
@strategies_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; without it nothing is written.")
@click.option("--format", "formats", default="md,csv,json,tex", show_default=True, help="What to write.")
def leaderboard(out: Path | None, formats: str, mixed: bool, **selection: Any) -> None:
    """Show or write what a store holds, as mean ± std tables.

    From the stored records alone, as Markdown, CSV, JSON and LaTeX.
    """
    from prunebench.leaderboard import FORMATS, build, parse_formats, summary, write

    names = parse_formats(formats)
    page = build(selected(**selection), mixed=mixed)
    click.echo(summary(page) + "\n")
    if out is None:
        files = ", ".join(FORMATS[name][0] for name in names)
        click.echo(f"Nothing is written; --out DIR writes {files} there")
        return
    click.echo(f"Written: {', '.join(map(str, write(page, out, names)))}")
