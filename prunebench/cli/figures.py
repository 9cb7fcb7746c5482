"""`prunebench figures`: pictures of stored results, for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.selecting import load_results, selection_options


@click.command()
@selection_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--format", "formats", default="pdf", show_default=True, help="What to write: pdf, png, svg.")
def figures(out: Path, formats: str, mixed: bool, **selection: Any) -> None:
    """Draw results for papers.

    Takes SUITE, or the last run of the store. For each task, metric and track the scores against sparsity and every
    seed; what is retained against what is left of the model; and critical differences of average ranks where there are
    enough tasks.
    """
    from prunebench.reports.figures import write
    from prunebench.reports.render.blocks import one_line
    from prunebench.reports.render.plots import parse_formats

    kinds = parse_formats(formats, ())
    page = load_results(**selection).leaderboard(mixed=mixed).page
    # In a picture only the names of methods say what is mixed.
    for warning in page.warnings:
        click.echo(f"warning: {one_line(warning)}", err=True)
    files = write(page, out, kinds)
    if page.verification:
        click.echo(one_line(page.verification))
    click.echo(f"Written: {len(files)} files in {out}, {files[0].name} and others")
