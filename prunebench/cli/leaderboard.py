"""`prunebench leaderboard`: render what a store holds."""

from __future__ import annotations

from pathlib import Path

import click

from prunebench.cli.options import store_option


@click.command()
@store_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; without it nothing is written.")
@click.option("--format", "formats", default="md,csv,json,tex", show_default=True, help="What to write.")
@click.option("--tasks", default="", help="Only these tasks, comma separated.")
@click.option("--strategies", default="", help="Only these strategies, by name or as imp[rate=0.2], and dense.")
@click.option("--protocol", default="", help="Only results under this protocol.")
@click.option("--model", default="", help="Only results of this model: its name, revision or fingerprint.")
@click.option("--precision", default="", help="Only results in this precision.")
@click.option("--device", default="", help="Only results from this device.")
@click.option("--data", default="", help="Only results on the data of this fingerprint.")
@click.option("--prunable", default="", help="Only results with these prunable weights.")
@click.option("--code", default="", help="Only results of this version of the engine, as the pages name it.")
def leaderboard(store: str, out: Path | None, formats: str, tasks: str, strategies: str, **setting: str) -> None:
    """Show or write what a store holds, as mean ± std tables.

    From the stored records alone, as Markdown, CSV, JSON and LaTeX.
    """
    from prunebench.leaderboard import FORMATS, Selection, build, parse_formats, select, summary, write
    from prunebench.results import stored
    from prunebench.store import Store
    from prunebench.strategy import split_list

    names = parse_formats(formats)
    place = Store.open(store)
    selection = Selection(tuple(split_list(tasks)), tuple(split_list(strategies)), **setting)
    page = build(select(stored(place.plans(), place), selection))
    for complaint in place.complaints:
        click.echo(complaint, err=True)
    click.echo(summary(page) + "\n")
    if out is None:
        files = ", ".join(FORMATS[name][0] for name in names)
        click.echo(f"Nothing is written; --out DIR writes {files} there")
        return
    click.echo(f"Written: {', '.join(map(str, write(page, out, names)))}")
