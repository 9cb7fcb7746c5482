"""`prunebench leaderboard`: ranking and tables of stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.options import wants_colour
from prunebench.cli.selecting import load_results, selection_options


@click.command()
@selection_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; without it nothing is written.")
@click.option("--format", "formats", default="md,csv,json,tex,html", show_default=True, help="What to write.")
@click.option(
    "--rank-by", default="retained", show_default=True, help="Rule of the ranking: retained, ratio, score or rank."
)
@click.option("--delta", default=1.0, show_default=True, help="Points that a non-inferior method may lose.")
@click.option("--interval", default="t", show_default=True, help="How intervals over seeds are made: t, or bootstrap.")
@click.option("--published", default="", help="Published tables to show as reported: chen2020, sanh2020, …, or all.")
def leaderboard(
    out: Path | None,
    formats: str,
    rank_by: str,
    delta: float,
    interval: str,
    published: str,
    mixed: bool,
    **selection: Any,
) -> None:
    """Show or write mean ± std tables of results.

    Takes SUITE, or the last run of the store. With --out it writes README.md, table.tex, results.csv, results.json, and
    index.html for a browser, and shows only their names.
    """
    from prunebench.reports.leaderboard import FORMATS, parse_formats

    names = parse_formats(formats)
    view = load_results(**selection).leaderboard(
        rank_by=rank_by, delta=delta, interval=interval, published=published, mixed=mixed
    )
    if out is not None:
        click.echo(f"Written: {', '.join(map(str, view.write(out, names)))}")
        return
    files = ", ".join(FORMATS[name][0] for name in names)
    click.echo(f"{view.to_text(colour=wants_colour())}\n\nNothing is written; --out DIR writes {files} there")
