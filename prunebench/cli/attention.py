"""`prunebench attention`: what a pruned model attends to, beside the dense one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.execute import (
    Wish,
    alike,
    command_line,
    conclude,
    execute,
    execution_options,
    open_if_there,
    preview,
)
from prunebench.cli.options import announce, cell_options, read_suite, registry_of, running_of
from prunebench.errors import PrunebenchError

if TYPE_CHECKING:
    from prunebench.hooks.registry import Registry
    from prunebench.planning.graph import Cell
    from prunebench.planning.suite import Suite
    from prunebench.reports.attention import Comparison


@click.command()
@cell_options
@execution_options
@click.option("--task", help="The task; by default the first of the suite.")
@click.option("--seed", type=click.IntRange(0), help="The seed; by default the first of the suite.")
@click.option("--strategy", default="imp", show_default=True, help="The method whose model is looked at.")
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
    dense and the pruned model. Weights are not kept by a run: the two models are trained once more, from the masks that
    are stored, and stay in the store.
    """
    from prunebench.reports.attention import TEXTS
    from prunebench.reports.render import plots

    kinds = plots.parse_formats(formats, TEXTS)
    texts, chosen_heads = [_text(sentence) for sentence in sentences], [_head(head) for head in heads]
    registry = registry_of(ctx, plugins)
    running = running_of(options, registry)
    cell = {name: options.pop(name) for name in ("task", "seed", "strategy", "sparsity")}
    chosen = _suite(suite, options, cell, registry)
    announce(chosen)
    _check_heads(chosen_heads, chosen, registry)
    from prunebench.planning import experiment

    made = experiment.plan(chosen, registry)
    cells = _two(made.cells)
    keep = {found.leaf for found in cells}
    wish = Wish(store, alike(cells, open_if_there(store), running), retry_failed, checkpoint_minutes)
    if dry_run:
        preview(made, chosen, registry, wish, keep)
        return
    done = execute(made, chosen, registry, wish, "attention", keep)
    if done.failed or done.report.failures:
        conclude(done)
    from prunebench.reports.attention.look import look

    _show(look(cells, done.place, registry, texts), out, kinds, chosen_heads)


def _show(found: Comparison, out: Path | None, kinds: Sequence[str], heads: Sequence[tuple[int, int]]) -> None:
    from prunebench.reports.attention import terminal, write

    click.echo(f"\n{terminal(found)}\n")
    if out is None:
        click.echo(f"Nothing is written; --out DIR writes {', '.join(kinds)} there")
    else:
        click.echo(f"Written: {', '.join(map(str, write(found, out, kinds, command_line(), heads)))}")


def _suite(suite: str | None, options: dict[str, Any], cell: dict[str, Any], registry: Registry) -> Suite:
    """The suite with nothing but the cell and its dense run in it."""
    if suite is None and cell["task"] is not None:
        options["tasks"] = cell["task"]
    chosen = read_suite(suite, options, registry)
    task = chosen.tasks[0] if cell["task"] is None else cell["task"]
    registry.get("tasks", task)
    seed = chosen.seeds[0] if cell["seed"] is None else cell["seed"]
    from prunebench.recipes.schedules import check_sparsity

    check_sparsity(cell["sparsity"])
    levels = {"": (cell["sparsity"],)}
    return replace(chosen, tasks=(task,), seeds=(seed,), strategies=(cell["strategy"],), sparsities=levels)


def _two(cells: Sequence[Cell]) -> list[Cell]:
    """The dense cell and the pruned one."""
    if len(cells) < 2:
        raise PrunebenchError("the dense model alone has nothing to be compared with", "--strategy names a method")
    return list(cells[:2])


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


def _check_heads(heads: Sequence[tuple[int, int]], chosen: Suite, registry: Registry) -> None:
    """Raise for a head that the model does not have, before anything is trained for it."""
    if not heads:
        return
    from prunebench.models.loading import model_source
    from prunebench.models.sources import read_config

    config = read_config(model_source(chosen.model, registry).folder)
    layers = config.get("num_hidden_layers", config.get("n_layers", 0))
    width = config.get("num_attention_heads", config.get("n_heads", 0))
    for layer, head in heads:
        if layer >= layers or head >= width:
            raise PrunebenchError(
                f"the model has no head {layer}.{head}", f"it has {layers} layers of {width} heads, from 0.0 on"
            )
