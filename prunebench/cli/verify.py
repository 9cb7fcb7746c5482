"""`prunebench verify`: whether a bundle says the truth, as far as that can be found out here."""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.options import plugin_option, registry_of
from prunebench.errors import PrunebenchError
from prunebench.execution.executors.base import Request
from prunebench.sharing.bundle.archive import shown

if TYPE_CHECKING:
    from prunebench.hooks.registry import Registry
    from prunebench.sharing.bundle.reader import Bundle
    from prunebench.sharing.bundle.rerun import Comparison
    from prunebench.sharing.bundle.schema import Cell
    from prunebench.sharing.bundle.verify import Verdict

# So many sentences about what is wrong are enough.
SHOWN = 20


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option("--glue-dir", help="GLUE from this folder, as TSV files or a save_to_disk copy; else from the hub.")
@click.option("--no-data", is_flag=True, help="Do not insist on metrics whose data is not at hand.")
@click.option("--rerun", type=click.IntRange(1), metavar="K", help="Train K random cells again, and compare.")
@click.option("--seed", type=click.IntRange(0), help="Draws those cells; by default another one each time.")
@click.option("--model", help="For --rerun: where the encoder lies, if not where its name says.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="For --rerun on other hardware or versions: how far a score may be away. Half of five or more: a fifth of it.",
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
    plugins: tuple[str, ...],
    **again: Any,
) -> None:
    """Check that everything is in a bundle, and true.

    Keys, counts, checksums and cells are checked, and every metric is computed anew from the predictions and the task's
    own data. Exit status 0 says that all of that holds; 2 that something does not, or could not be checked.
    """
    from prunebench.sharing.bundle.reader import open_bundle
    from prunebench.sharing.bundle.verify import verify as judge

    registry = registry_of(ctx, plugins)
    bundle = open_bundle(file)
    for line in _about(bundle, file):
        click.echo(shown(line))
    verdict = judge(bundle, registry, glue_dir)
    if rerun is not None and not verdict.wrong:
        _again(bundle, verdict, registry, rerun, {"glue_dir": glue_dir, **again})
    _say(verdict)
    if verdict.wrong:
        number = len(verdict.wrong)
        raise PrunebenchError(f"{file.name} is refused: {number} thing{'s are' if number > 1 else ' is'} wrong in it")
    if verdict.without_data and not no_data:
        tasks = shown(", ".join(sorted(verdict.without_data)))
        raise PrunebenchError(
            f"nothing is wrong with what was checked, but the metrics of {tasks} were not recomputed",
            "--glue-dir names a folder with the data, and --no-data goes without",
        )
    rest = shown(f", but for the metrics of {', '.join(sorted(verdict.without_data))}" if verdict.without_data else "")
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


def _say(verdict: Verdict) -> None:
    for line in verdict.held if not verdict.wrong else ():
        click.echo(f"holds: {shown(line)}")
    for task, reason in sorted(verdict.without_data.items()):
        click.echo(shown(f"not recomputed: the metrics of {task}: {reason}"), err=True)
    for line in verdict.notes:
        click.echo(f"note: {shown(line)}", err=True)
    for line in verdict.wrong[:SHOWN]:
        click.echo(f"wrong: {shown(line)}", err=True)
    if len(verdict.wrong) > SHOWN:
        click.echo(f"wrong: and {len(verdict.wrong) - SHOWN} more", err=True)


def _again(bundle: Bundle, verdict: Verdict, registry: Registry, number: int, options: dict[str, Any]) -> None:
    """Train cells again, and add to the verdict what came out."""
    from prunebench.sharing.bundle import rerun

    obstacles = rerun.Obstacles(bundle, verdict.trees, registry, verdict.without_data, options["model"])
    reasons = Counter(obstacles.of(cell) for cell in bundle.cells)
    for reason, cells in sorted(reasons.items()):
        if reason:
            click.echo(f"not for a rerun: {cells} cells: {shown(reason)}", err=True)
    able = [cell for cell in bundle.cells if not obstacles.of(cell)]
    seed = secrets.randbelow(2**31) if options["seed"] is None else options["seed"]
    drawn = rerun.draw(able, number, seed)
    if len(drawn) < number:
        raise PrunebenchError(f"{number} cells were to be trained again, and {len(drawn)} can be here", "see above")
    click.echo(f"rerun:    {number} of {len(able)} cells, drawn with --seed {seed}")
    for cell in drawn:
        click.echo(shown(f"          {cell.label} at {cell.sparsity:g} on {cell.task}, seed {cell.seed}"))
    compared = _trained(bundle, verdict, registry, drawn, options)
    verdict.wrong += [line for comparison in compared for line in comparison.wrong]
    most, middle, wrong = rerun.drifted(compared, options["tolerance"])
    verdict.wrong += [wrong] if wrong else []
    exact = sum(comparison.exact for comparison in compared)
    if exact:
        verdict.held.append(f"{exact} records were made again bit for bit: the same hardware, threads and versions")
    if exact < len(compared):
        verdict.held.append(
            f"{len(compared) - exact} records were made again on other hardware, threads or versions: their counts are"
            f" the same, and their scores at most {most:.4f} away, half of them at most {middle:.4f}"
        )


def _trained(
    bundle: Bundle, verdict: Verdict, registry: Registry, drawn: Sequence[Cell], options: dict[str, Any]
) -> list[Comparison]:
    """Run the plan of these cells in a store that is thrown away, and compare each record."""
    from prunebench.cli.display import make_display
    from prunebench.execution import scheduler
    from prunebench.planning import jobs
    from prunebench.sharing.bundle import rerun
    from prunebench.store.store import Store

    with tempfile.TemporaryDirectory(prefix="prunebench-verify-") as folder:
        store = Store.create(Path(folder) / "store")
        where = {name: options[name] for name in ("model", "glue_dir") if name == "glue_dir" or options[name]}
        made = rerun.plan(bundle, verdict.trees, drawn, registry, where)
        todo = jobs.to_run(made, store.snapshot([]))
        with _pool(registry, rerun.threads(bundle, drawn)) as pool, make_display(todo) as display:
            report = scheduler.run(todo, pool, store, registry.files, display)
        for branch, reason in report.failures.items():
            click.echo(shown(f"failed: {branch}: {reason}"), err=True)
        if report.unexpected is not None:
            raise report.unexpected
        keys = rerun.keys(drawn)
        return [rerun.compare(bundle, verdict.trees, key, store, options["tolerance"]) for key in keys]


def _pool(registry: Registry, threads: int | None) -> Executor:
    """One worker process with as many threads as the records name: with others, sums round otherwise."""
    pool: Executor = registry.get("executors", "processes").make(Request(1, cpus=threads))
    return pool
