"""`prunebench calibrate`: a protocol for a model, selected on its dense runs alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from prunebench.cli.help import PROTOCOL, RESULTS, WHAT, GroupedCommand, Option
from prunebench.cli.options import (
    STORE,
    calibration_options,
    command_line,
    execution_options,
    pop_resources,
    registry_of,
    wants_colour,
)


@click.command(
    cls=GroupedCommand,
    examples=(
        "prunebench calibrate --model nreimers/MiniLM-L6-H384-uncased --tasks rte,mrpc --out minilm.toml",
        "prunebench run --model nreimers/MiniLM-L6-H384-uncased --tasks rte,mrpc --protocol minilm.toml",
    ),
)
@calibration_options
@execution_options
@click.option(
    "--seeds",
    cls=Option,
    group=WHAT,
    default="3",
    show_default=True,
    metavar="N|N,…",
    help="How many, or which; at least two.",
)
@click.option(
    "--lr", cls=Option, group=PROTOCOL, metavar="FLOAT,…", shown_default="3e-5,1e-4,3e-4", help="Learning rates to try."
)
@click.option(
    "--epochs", cls=Option, group=PROTOCOL, metavar="INTEGER,…", shown_default="2,4", help="Numbers of epochs to try."
)
@click.option(
    "--warmup",
    cls=Option,
    group=PROTOCOL,
    metavar="FRACTION,…",
    shown_default="0,0.1",
    help="Fractions of the steps over which the learning rate rises, to try.",
)
@click.option(
    "--out",
    cls=Option,
    group=RESULTS,
    type=click.Path(path_type=Path, dir_okay=False),
    default="protocol.toml",
    show_default=True,
    metavar="FILE.toml",
    help="The protocol file to write.",
)
@click.option("--dry-run", cls=Option, group=RESULTS, is_flag=True, help="Say what it would train and cost, and stop.")
@click.pass_context
def calibrate(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    retry_failed: bool,
    checkpoint_minutes: float | None,
    lr: str | None,
    epochs: str | None,
    warmup: str | None,
    out: Path,
    dry_run: bool,
    **options: Any,
) -> None:
    """Select learning rate, epochs and warm-up of a model.

    The dense model is trained under every setting of a small grid, and scored on a part carved from the training split
    of each task: a fifth of it, at most 2000 examples. The dev split is never looked at, and no pruning method is part
    of it. The one-standard-error rule selects, and the protocol file that `run --protocol` reads holds all trials.
    """
    from prunebench.errors import PrunebenchError
    from prunebench.execution.display import Console
    from prunebench.execution.executors.resources import executor_spec
    from prunebench.execution.runner import RunOptions
    from prunebench.planning import protocol_file
    from prunebench.planning.calibrate import parse_grid
    from prunebench.planning.suite import TASKS_OWN, resolve
    from prunebench.reports import calibration

    if not out.parent.is_dir():
        raise PrunebenchError(f"no folder {str(out.parent)!r}", "--out names a file in a folder that exists")
    registry, resources, console = registry_of(ctx, plugins), pop_resources(options), Console()
    executor_spec(resources, registry)
    resolved = resolve(suite, {**options, "protocol": TASKS_OWN}, registry)
    grid = parse_grid(epochs, lr, warmup)
    run_options = RunOptions(store, resources, retry_failed, checkpoint_minutes, command_line())
    if dry_run:
        calibration.dry_run(resolved, grid, registry, run_options, console)
        return
    file = calibration.answer(resolved, grid, registry, run_options, console)
    protocol_file.write(file, out)
    click.echo(f"\n{calibration.terminal(file, colour=wants_colour())}\n")
    words = ["--model", resolved.model, "--tasks", ",".join(resolved.tasks), "--protocol", str(out)]
    words += ["--glue-dir", resolved.glue_dir] if resolved.glue_dir else []
    words += ["--store", store] if store != STORE else []
    click.echo(f"Written: {out}. Use it: prunebench run {shlex.join(words)}")
