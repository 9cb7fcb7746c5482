"""`prunebench compare`: two methods or more against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli import completion
from prunebench.cli.options import store_option, wants_colour
from prunebench.cli.selecting import bundle_option, load_results, setting_options, versions_option
from prunebench.errors import PrunebenchError, unknown_name


@click.command()
@click.argument(
    "methods", nargs=-1, required=True, metavar="A B [MORE]...", shell_complete=completion.names("strategies")
)
@click.option(
    "--suite",
    shell_complete=completion.suites,
    help="Compare the results of this suite, instead of those of the last run.",
)
@store_option
@bundle_option
@setting_options
@versions_option
@click.option("--reference", help="A method that every other one is compared with: imp, or dense.")
@click.option("--sparsities", default="", help="Only at these: what is not asked for needs no correction.")
@click.option("--interval", default="t", show_default=True, help="How intervals over seeds are made: t, or bootstrap.")
@click.option("--mcnemar", is_flag=True, help="Also compare the stored predictions, example by example.")
@click.option("--glue-dir", help="GLUE from this folder, for --mcnemar; else from the hub.")
@click.option("--format", "name", help="md (the default of a file), csv or json; svg, png or pdf draw ranks.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write to, instead of the standard output.")
def compare(
    methods: tuple[str, ...],
    reference: str | None,
    sparsities: str,
    interval: str,
    mcnemar: bool,
    glue_dir: str | None,
    name: str | None,
    out: Path | None,
    mixed: bool,
    **selection: Any,
) -> None:
    """Compare methods seed by seed, and over tasks.

    Paired differences with intervals, effect sizes and corrected p, and a verdict in words; or, as a picture, the
    average ranks of three methods or more over tasks, with the critical difference at each sparsity.
    """
    from prunebench.reports.comparison import FORMATS
    from prunebench.reports.render.blocks import one_line
    from prunebench.reports.render.files import write_file
    from prunebench.reports.render.plots import FORMATS as PICTURES

    name = name or ("md" if out else None)
    if name is not None and name not in (*FORMATS, *PICTURES):
        raise unknown_name("format", name, (*FORMATS, *PICTURES))
    if name in PICTURES and out is None:
        raise PrunebenchError(
            f"{'an' if name == 'svg' else 'a'} {name} picture cannot be printed",
            f"--out FILE.{name} says where it goes",
        )
    view = load_results(**selection).compare(
        *methods,
        reference=reference,
        sparsities=_levels(sparsities),
        interval=interval,
        mcnemar=mcnemar,
        glue_dir=glue_dir,
        mixed=mixed,
    )
    data: str | bytes
    if name is None:
        data = view.to_text(colour=wants_colour()) + "\n"
    elif name in PICTURES:
        from prunebench.reports.figures.comparison import draw_ranks, omissions

        data = draw_ranks(view.report, name)
        for reason in omissions(view.report):
            click.echo(reason, err=True)
    else:
        data = FORMATS[name](view.report)
    # Tables and pictures have no room for it.
    if view.report.verification and name not in (None, "md", "json"):
        click.echo(one_line(view.report.verification), err=True)
    if out is None:
        click.echo(data, nl=False)
        click.echo("Nothing is written; --out FILE writes this there", err=True)
    else:
        click.echo(f"Written: {write_file(out, data)}")


def _levels(text: str) -> tuple[float, ...]:
    parts = [part for part in text.split(",") if part.strip()]
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise PrunebenchError(f"cannot read sparsities {text!r}", "expected fractions: 0.5,0.7") from None
