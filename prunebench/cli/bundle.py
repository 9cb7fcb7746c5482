"""`prunebench bundle`: results in one file that others can check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.options import registry_of, store_option, suite_argument
from prunebench.cli.selecting import setting_options


@click.command()
@suite_argument
@store_option
@setting_options
@click.option("--transfers", is_flag=True, help="Put in the results of `prunebench transfer`, too.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE.zip", help="File to write to.")
@click.pass_context
def bundle(ctx: click.Context, /, plugins: tuple[str, ...], out: Path, **selection: Any) -> None:
    """Pack results into one file that others can check.

    Takes SUITE, or the last run of the store: the records of all cells with the trainings on their way, the predictions
    of every example, the checksums of masks, versions, hardware and commands. The same store gives the same file.
    `prunebench verify` checks it, `prunebench leaderboard --bundle` draws it.
    """
    from prunebench.sharing.bundle.pack import write_bundle

    path, size = write_bundle(registry_of(ctx, plugins), out, **selection)
    click.echo(f"Written: {path}, {size:,} bytes. Check it with: prunebench verify {path}")
