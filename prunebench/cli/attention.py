"""`prunebench attention`: what a pruned model attends to, beside the dense one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli import completion
from prunebench.cli.help import GroupedCommand
from prunebench.cli.options import cell_options, command_line, execution_options, pop_resources, registry_of
from prunebench.errors import PrunebenchError


@click.command(cls=GroupedCommand)
@cell_options
@execution_options
@click.option("--task", shell_complete=completion.names("tasks"), help="The task; by default the first of the suite.")
@click.option("--seed", type=click.IntRange(0), help="The seed; by default the first of the suite.")
@click.option(
    "--strategy",
    default="imp",
    show_default=True,
    shell_complete=completion.names("strategies"),
    help="The method whose model is looked at.",
)
@click.option("--sparsity", type=float, default=0.7, show_default=True, help="Its sparsity.")
@click.option(
    "--sentence",
    "sentences",
    multiple=True,
    help="A text to show, a pair as 'first [SEP] second'; may be repeated. By default three short ones of dev.",
)
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="LAYER.HEAD",
    help="Show this head alone; counted from 0, may be repeated.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; without it nothing is written.")
@click.option("--format", "formats", default="md,csv,svg,png", show_default=True, help="What to write; also pdf.")
@click.option("--dry-run", is_flag=True, help="Say what it would train again and what that costs, and stop.")
@click.pass_context
def attention(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    retry_failed: bool,
    checkpoint_minutes: float | None,
    out: Path | None,
    formats: str,
    dry_run: bool,
    sentences: tuple[str, ...],
    heads: tuple[str, ...],
    **options: Any,
) -> None:
    """Show what a pruned model attends to.

    Maps of chosen sentences, and entropy, distance and attention to [SEP] and [CLS] of every head over dev, of the
    dense and the pruned model. A run keeps no weights: the two models are trained once more, from the stored masks, and
    stay in the store.
    """
    from prunebench.execution.display import Console
    from prunebench.execution.executors.resources import executor_spec
    from prunebench.execution.runner import RunOptions
    from prunebench.reports.attention import TEXT_FORMATS, terminal, workflow, write
    from prunebench.reports.render import plots

    kinds = plots.parse_formats(formats, TEXT_FORMATS)
    texts, chosen_heads = [_text(sentence) for sentence in sentences], [_head(head) for head in heads]
    registry, resources, console = registry_of(ctx, plugins), pop_resources(options), Console()
    executor_spec(resources, registry)
    cell = {name: options.pop(name) for name in ("task", "seed", "strategy", "sparsity")}
    resolved = workflow.suite_of_cell(suite, options, registry, **cell)
    if resolved.doc:
        console.say(f"Suite {resolved.name}: {resolved.doc}")
    workflow.check_heads(chosen_heads, resolved, registry)
    run_options = RunOptions(store, resources, retry_failed, checkpoint_minutes, command_line())
    if dry_run:
        workflow.dry_run(resolved, registry, run_options, console)
        return
    comparison = workflow.compare(resolved, registry, run_options, console, texts)
    click.echo(f"\n{terminal(comparison)}\n")
    if out is None:
        click.echo(f"Nothing is written; --out DIR writes {', '.join(kinds)} there")
    else:
        files = write(comparison, out, kinds, command_line(), chosen_heads)
        click.echo(f"Written: {', '.join(map(str, files))}")


def _text(sentence: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in sentence.split("[SEP]"))
    if len(parts) > 2 or not all(parts):
        raise PrunebenchError(f"cannot read sentence {sentence!r}", "expected a text, or two with [SEP] between them")
    return parts


def _head(text: str) -> tuple[int, int]:
    layer, _, head = text.partition(".")
    if not (layer.isdecimal() and head.isdecimal()):
        raise PrunebenchError(f"cannot read head {text!r}", "expected LAYER.HEAD, such as 0.3")
    return int(layer), int(head)
