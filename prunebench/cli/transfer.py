"""`prunebench transfer`: masks that were found on one task, trained on the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli import completion
from prunebench.cli.help import GroupedCommand
from prunebench.cli.options import (
    command_line,
    execution_options,
    pop_resources,
    registry_of,
    suite_options_without_methods,
)
from prunebench.cli.selecting import bundle_option

if TYPE_CHECKING:
    from prunebench.reports.transfer import Grid


@click.command(cls=GroupedCommand)
@suite_options_without_methods
@execution_options
@bundle_option
@click.option(
    "--sources",
    default="",
    shell_complete=completion.name_list("tasks"),
    help="Tasks to find masks on, comma separated; by default all of the suite.",
)
@click.option(
    "--targets",
    default="",
    shell_complete=completion.name_list("tasks"),
    help="Tasks to train them on; by default all of the suite.",
)
@click.option(
    "--strategy",
    default="imp",
    show_default=True,
    shell_complete=completion.names("strategies"),
    help="The method that finds the masks.",
)
@click.option("--sparsity", type=float, default=0.7, show_default=True, help="The fraction that a mask removes.")
@click.option(
    "--controls",
    shell_complete=completion.strategy_list,
    help="For comparison on each target: by default random-pruning of its own mask and, for single weights, "
    "magnitude-init, which is the mask that θ0 alone gives. none: no controls.",
)
@click.option("--delta", default=1.0, show_default=True, help="Points that a non-inferior mask may lose.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; without it nothing is written.")
@click.option("--format", "formats", default="md,csv,svg,png", show_default=True, help="What to write; also pdf.")
@click.option("--dry-run", is_flag=True, help="Say what it would run, share and cost, and stop.")
@click.pass_context
def transfer(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    retry_failed: bool,
    checkpoint_minutes: float | None,
    bundle: Path | None,
    delta: float,
    out: Path | None,
    formats: str,
    dry_run: bool,
    **options: Any,
) -> None:
    """Train each task's mask on the other tasks.

    The mask that a method finds on a source task, under θ0 and a fresh head, is trained on each target, and compared
    with the dense model and with the target's own mask at the same seed. Results of `run` are used again.
    """
    from prunebench.execution.display import Console
    from prunebench.execution.executors.resources import executor_spec
    from prunebench.execution.runner import RunOptions, raise_failures
    from prunebench.reports.leaderboard import parse_delta
    from prunebench.reports.render import plots
    from prunebench.reports.transfer import TEXT_FORMATS, workflow

    kinds, loss = plots.parse_formats(formats, TEXT_FORMATS), parse_delta(delta)
    registry, resources, console = registry_of(ctx, plugins), pop_resources(options), Console()
    executor_spec(resources, registry)
    question_options = {name: options.pop(name) for name in ("sources", "targets", "strategy", "sparsity", "controls")}
    resolved, question = workflow.ask(suite, options, registry, **question_options)
    if resolved.doc:
        console.say(f"Suite {resolved.name}: {resolved.doc}")
    if bundle is not None:
        from prunebench.sharing.bundle.reader import open_bundle

        _show(*workflow.read_bundle(open_bundle(bundle), bundle.name, question, registry, loss), out, kinds)
        return
    run_options = RunOptions(store, resources, retry_failed, checkpoint_minutes, command_line())
    if dry_run:
        workflow.dry_run(resolved, question, registry, run_options, console)
        return
    grid, result = workflow.answer(resolved, question, registry, run_options, console, loss)
    _show(grid, command_line(), out, kinds)
    raise_failures(result, console)


def _show(grid: Grid, command: str, out: Path | None, kinds: tuple[str, ...]) -> None:
    from prunebench.reports import transfer

    click.echo(f"\n{transfer.terminal(grid)}\n")
    if out is None:
        click.echo(f"Nothing is written; --out DIR writes {', '.join(kinds)} there")
    else:
        click.echo(f"Written: {', '.join(map(str, transfer.write(grid, out, kinds, command)))}")
