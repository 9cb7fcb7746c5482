"""`prunebench verify`: whether a bundle says the truth, as far as that can be found out here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.complaints import complain
from prunebench.cli.options import plugin_option, registry_of
from prunebench.errors import PrunebenchError
from prunebench.sharing.bundle.archive import printable

if TYPE_CHECKING:
    from prunebench.sharing.bundle.reader import Bundle
    from prunebench.sharing.bundle.verify import Verdict


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option("--glue-dir", help="GLUE from this folder, as TSV files or a save_to_disk copy; else from the hub.")
@click.option("--no-data", is_flag=True, help="Accept metrics that cannot be computed again for want of data.")
@click.option(
    "--rerun",
    type=click.IntRange(1),
    metavar="K",
    help="Train K cells again, and compare: those of the best methods first, then random ones.",
)
@click.option("--seed", type=click.IntRange(0), help="Draws those cells; by default another one each time.")
@click.option("--model", help="For --rerun: the folder of the encoder, if it is not in the hub's cache.")
@click.option(
    "--allow-download", "download", is_flag=True, help="For --rerun: ask the hub for the model that the bundle names."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="For --rerun where nothing comes out bit for bit: the most that a score may differ, however far dense runs "
    "are apart.",
)
@click.option(
    "--stamp", "wants_stamp", is_flag=True, help="Write the result beside the bundle, for the pages drawn from it."
)
@plugin_option
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    file: Path,
    glue_dir: str | None,
    no_data: bool,
    rerun: int | None,
    wants_stamp: bool,
    plugins: tuple[str, ...],
    **options: Any,
) -> None:
    """Check that a bundle is complete and true.

    Keys, counts, checksums and cells are checked, and every metric is computed anew from the predictions and the task's
    own data. The last lines list what that was, and what nobody has checked. The exit status is 0 if all of that holds,
    and 2 if something does not, or could not be checked.
    """
    from prunebench.sharing.bundle.reader import open_bundle
    from prunebench.sharing.bundle.verify import verify as judge

    registry = registry_of(ctx, plugins)
    bundle = open_bundle(file)
    for line in _about(bundle, file):
        click.echo(printable(line))
    verdict = judge(bundle, registry, glue_dir)
    if rerun is not None and not verdict.wrong:
        from prunebench.execution.display import Console
        from prunebench.sharing.bundle.retrain import RetrainOptions, retrain

        retrain(bundle, verdict, registry, RetrainOptions(rerun, glue_dir=glue_dir, **options), Console())
    _say(verdict, bundle)
    if verdict.wrong:
        number = len(verdict.wrong)
        raise PrunebenchError(f"{file.name} is refused: {number} thing{'s are' if number > 1 else ' is'} wrong in it")
    if verdict.without_data and not no_data:
        tasks = printable(", ".join(sorted(verdict.without_data)))
        raise PrunebenchError(
            f"nothing is wrong with what was checked, but the metrics of {tasks} were not recomputed",
            "--glue-dir names a folder with the data, and --no-data goes without",
        )
    rest = printable(
        f", but for the metrics of {', '.join(sorted(verdict.without_data))}" if verdict.without_data else ""
    )
    if wants_stamp:
        from prunebench.sharing.bundle import stamp
        from prunebench.sharing.bundle.verify import make_stamp

        click.echo(f"Written: {stamp.write(file, make_stamp(bundle, verdict))}")
    click.echo(f"Verified{rest}: {file}. Draw it with: prunebench leaderboard --bundle {file} --out DIR")


def _about(bundle: Bundle, file: Path) -> list[str]:
    summary = bundle.manifest.summary
    seeds = ", ".join(map(str, summary.seeds))
    commands = dict.fromkeys(plan.command for plan in bundle.manifest.plans)
    return [
        f"bundle:   {file.name}, SHA-256 {bundle.sha256}",
        f"holds:    {summary.cells} cells: {', '.join(summary.tasks)}; {', '.join(summary.strategies)}; seeds {seeds}",
        f"made by:  {'; '.join(commands)}",
        f"made on:  {'; '.join(summary.environment.get('hardware', ['unknown hardware']))};"
        f" {', '.join(summary.code)}, torch {', '.join(summary.environment.get('torch', ['unknown']))}",
    ]


def _say(verdict: Verdict, bundle: Bundle) -> None:
    for line in verdict.confirmed if not verdict.wrong else ():
        click.echo(f"holds: {printable(line)}")
    for line in verdict.unchecked(bundle) if not verdict.wrong else ():
        click.echo(f"not checked: {printable(line)}")
    for task, reason in sorted(verdict.without_data.items()):
        click.echo(printable(f"not recomputed: the metrics of {task}: {reason}"), err=True)
    for line in verdict.notes:
        click.echo(f"note: {printable(line)}", err=True)
    complain([printable(line) for line in verdict.wrong], "wrong: ")
