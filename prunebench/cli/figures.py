"""`prunebench figures`: draw what a store holds, for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.selecting import selected, selection_options, strategies_option


@click.command()
@selection_options
@strategies_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--format", "formats", default="pdf", show_default=True, help="What to write: pdf, png, svg.")
def figures(out: Path, formats: str, mixed: bool, **selection: Any) -> None:
    """Draw what a store holds, for papers.

    For each task, metric and track the scores against sparsity and every seed; what is retained against what is left
    of the model; and critical differences of average ranks where there are tasks enough.
    """
    from prunebench.reports.figures import write
    from prunebench.reports.leaderboard import build
    from prunebench.reports.render.blocks import one_line
    from prunebench.reports.render.plots import parse_formats

    kinds = parse_formats(formats, ())
    page = build(selected(**selection), mixed=mixed)
    # A picture says by the names of its methods alone what is mixed.
    for warning in page.warnings:
        click.echo(f"warning: {one_line(warning)}", err=True)
    written = write(page, out, kinds)
    click.echo(f"Written: {len(written)} files in {out}, {written[0].name} and others")
