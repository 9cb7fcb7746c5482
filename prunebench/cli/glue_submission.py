"""`prunebench glue-submission`: answers to GLUE's test splits, in the form that its server takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli import completion
from prunebench.cli.help import GroupedCommand
from prunebench.cli.options import cell_options, command_line, execution_options, pop_resources, registry_of


@click.command("glue-submission", cls=GroupedCommand)
@cell_options
@execution_options
@click.option(
    "--tasks",
    shell_complete=completion.name_list("tasks"),
    help="Tasks to answer, comma separated: rte,mrpc; by default all of the suite.",
)
@click.option(
    "--strategy",
    default="imp",
    show_default=True,
    shell_complete=completion.names("strategies"),
    help="The method whose models answer; dense is one.",
)
@click.option("--sparsity", type=float, default=0.7, show_default=True, help="Its sparsity.")
@click.option("--seed", type=click.IntRange(0), help="The seed; by default the first of the suite, whatever it scores.")
@click.option("--fill-missing", is_flag=True, help="Put in files for tasks without a model, one answer in every row.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE.zip", help="File to write to.")
@click.pass_context
def glue_submission(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    retry_failed: bool,
    checkpoint_minutes: float | None,
    out: Path,
    **options: Any,
) -> None:
    """Write the zip that GLUE's test server takes.

    One model of each task, of one method, sparsity and seed, answers the task's test split; that of MNLI also answers
    the diagnostic set. No training and no pruning ever sees those. A run keeps no weights: the models are trained once
    more, from the stored masks, and compared with their records.
    """
    from prunebench.execution.display import Console
    from prunebench.execution.executors.resources import executor_spec
    from prunebench.execution.runner import RunOptions
    from prunebench.sharing.glue_server.submission import submit

    registry, resources = registry_of(ctx, plugins), pop_resources(options)
    executor_spec(resources, registry)
    cell = {name: options.pop(name) for name in ("strategy", "sparsity", "seed", "fill_missing")}
    run_options = RunOptions(store, resources, retry_failed, checkpoint_minutes, command_line())
    path, note, number = submit(suite, options, registry, run_options, Console(), out, **cell)
    click.echo(f"Written: {path}, {number} files for gluebenchmark.com; {note} says what they are")
