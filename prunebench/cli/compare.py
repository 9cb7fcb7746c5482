"""`prunebench compare`: two methods or more against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.options import plugin_option, registry_of
from prunebench.cli.selecting import opened, selected, selection_options
from prunebench.errors import PrunebenchError, unknown
from prunebench.reports.render.files import written

if TYPE_CHECKING:
    from prunebench.reports.comparison import Report


@click.command()
@click.argument("methods", nargs=-1, required=True, metavar="A B [MORE]...")
@selection_options
@click.option("--reference", help="A method that every other one is compared with: imp, or dense.")
@click.option("--sparsities", default="", help="Only at these: what is not asked for needs no correction.")
@click.option("--interval", default="t", show_default=True, help="How intervals over seeds are made: t, or bootstrap.")
@click.option("--mcnemar", is_flag=True, help="Also compare the stored predictions, example by example.")
@click.option("--glue-dir", help="GLUE from this folder, for --mcnemar; else from the hub.")
@plugin_option
@click.option("--format", "name", default="md", show_default=True, help="md, csv or json; svg, png or pdf draw ranks.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write to, instead of the standard output.")
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    methods: tuple[str, ...],
    reference: str | None,
    sparsities: str,
    interval: str,
    mcnemar: bool,
    glue_dir: str | None,
    plugins: tuple[str, ...],
    name: str,
    out: Path | None,
    mixed: bool,
    **selection: Any,
) -> None:
    """Compare methods seed by seed, and over tasks.

    Paired differences with intervals, effect sizes and corrected p, and what they come to in plain words; or, as a
    picture, the average ranks of three methods or more over tasks, with the critical difference at each sparsity.
    """
    from prunebench.reports.comparison import FORMATS, INTERVALS, build
    from prunebench.reports.render.plots import FORMATS as PICTURES

    if name not in (*FORMATS, *PICTURES):
        raise unknown("format", name, (*FORMATS, *PICTURES))
    if name in PICTURES and out is None:
        raise PrunebenchError(
            f"a picture is not written to a terminal: --format {name}", f"--out FILE.{name} says where"
        )
    if interval not in INTERVALS:
        raise unknown("interval", interval, INTERVALS)
    rows = selected(**selection)
    report = build(rows, methods, reference, _levels(sparsities), interval=interval, mixed=mixed)
    if mcnemar:
        from prunebench.reports.comparison.predictions import with_examples

        place = opened(selection["store"], selection["bundle"])
        report = with_examples(report, place, registry_of(ctx, plugins), glue_dir)
    text = _picture(report, name) if name in PICTURES else FORMATS[name](report)
    if out is None:
        click.echo(text, nl=False)
        click.echo("Nothing is written; --out FILE writes this there", err=True)
    else:
        click.echo(f"Written: {written(out, text)}")


def _picture(report: Report, name: str) -> bytes:
    from prunebench.reports.figures.comparison import left_out, picture

    data = picture(report, name)
    for said in left_out(report):
        click.echo(said, err=True)
    return data


def _levels(text: str) -> tuple[float, ...]:
    parts = [part for part in text.split(",") if part.strip()]
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise PrunebenchError(f"cannot read sparsities {text!r}", "expected fractions: 0.5,0.7") from None
