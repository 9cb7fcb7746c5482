"""`prunebench glue-submission`: answers to GLUE's test splits, in the form that its server takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.execute import Wish, alike, command_line, conclude, execute, execution_options, open_if_there
from prunebench.cli.options import announce, cell_options, read_suite, registry_of, running_of
from prunebench.errors import PrunebenchError
from prunebench.reports.render.files import written

if TYPE_CHECKING:
    from prunebench.cli.execute import Done
    from prunebench.hooks.registry import Registry
    from prunebench.planning.graph import Cell
    from prunebench.planning.suite import Suite
    from prunebench.sharing.glue_server.server import ServerFile
    from prunebench.tasks.glue.test_splits import Unlabelled

# What is said where neither a suite nor tasks are named.
SUITE = "glue"


@click.command(name="glue-submission")
@cell_options
@execution_options
@click.option("--tasks", help="Tasks to answer, comma separated: rte,mrpc; by default all of the suite.")
@click.option("--strategy", default="imp", show_default=True, help="The method whose models answer; dense is one.")
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
    fill_missing: bool,
    out: Path,
    **options: Any,
) -> None:
    """Write the zip that GLUE's test server takes.

    One model of each task, of one method, sparsity and seed, answers the task's test split; that of MNLI also answers
    the diagnostic set. No training and no pruning ever sees those. Weights are not kept by a run: the models are
    trained once more, from the masks that are stored, and compared with their records.
    """
    from prunebench.recipes.schedules import check_sparsity
    from prunebench.sharing.glue_server import server

    check_sparsity(options["sparsity"])
    if out.suffix != ".zip":
        raise PrunebenchError(f"cannot write a submission to {str(out)!r}", "expected the name of a zip file")
    registry = registry_of(ctx, plugins)
    running = running_of(options, registry)
    cell = {name: options.pop(name) for name in ("strategy", "sparsity", "seed")}
    chosen = _suite(suite, options, cell, registry)
    files = server.files_of(chosen.tasks)
    announce(chosen)
    tests = _tests(files, chosen.glue_dir)
    from prunebench.planning import experiment

    made = experiment.plan(chosen, registry)
    cells = {found.leaf.root.task: found for found in made.cells if _is_meant(found, cell["strategy"])}
    wish = Wish(store, alike([*cells.values()], open_if_there(store), running), retry_failed, checkpoint_minutes)
    done = execute(made, chosen, registry, wish, "glue-submission", {found.leaf for found in cells.values()})
    if done.failed or done.report.failures:
        conclude(done)
    answers, said = _answers(files, cells, tests, done, registry)
    missing = [file for file in server.FILES if file.name not in answers]
    if fill_missing:
        answers |= {file.name: server.filled(file) for file in missing}
    _warn(missing, fill_missing, tests)
    data = server.zipped(answers)
    filled = [file.name for file in missing] if fill_missing else []
    about = {"command": command_line(), "sha256": hashlib.sha256(data).hexdigest(), "models": said, "filled": filled}
    note = written(out.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    click.echo(f"Written: {written(out, data)}, {len(answers)} files for gluebenchmark.com; {note} says what they are")


def _suite(suite: str | None, options: dict[str, Any], cell: dict[str, Any], registry: Registry) -> Suite:
    """The suite with one method, sparsity and seed in it."""
    if suite is None and options.get("tasks") is None:
        suite = SUITE
    chosen = read_suite(suite, options, registry)
    seed = chosen.seeds[0] if cell["seed"] is None else cell["seed"]
    levels = {"": (cell["sparsity"],)}
    return replace(chosen, seeds=(seed,), strategies=(cell["strategy"],), sparsities=levels)


def _is_meant(cell: Cell, strategy: str) -> bool:
    """Whether a cell of the plan is of the method that was asked for, and not the dense one beside it."""
    return bool(cell.method["strategy"] == "dense") == (strategy.strip() == "dense")


def _tests(files: Sequence[ServerFile], glue_dir: str | None) -> dict[str, dict[str, Unlabelled]]:
    """The test splits that the files answer, read before anything is trained for them.

    One that is not there is an error, but for the diagnostic set, which a copy of MNLI may lack.
    """
    from prunebench.tasks.glue.test_splits import load_tests
    from prunebench.tasks.task import DataSource

    source = DataSource(Path(glue_dir) if glue_dir else None)
    found = {}
    for file in files:
        if file.source in found:
            continue
        try:
            found[file.source] = load_tests(file.source, source)
        except PrunebenchError as error:
            if file.source == file.task:
                raise
            click.echo(f"{file.name} is left out: {error}", err=True)
    return found


def _answers(
    files: Sequence[ServerFile],
    cells: Mapping[str, Cell],
    tests: Mapping[str, Mapping[str, Unlabelled]],
    done: Done,
    registry: Registry,
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Each file's bytes, and of each model its cell, its scores on dev, and whether it is as recorded."""
    from prunebench.execution import trained_models
    from prunebench.sharing.glue_server import server
    from prunebench.sharing.glue_server.answers import Answerer

    answers, said = {}, []
    for task, cell in cells.items():
        model = trained_models.take_out(cell, done.place, registry)
        scores, check = trained_models.compared(cell, model, done.place)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        click.echo(
            f"{task}, {cell.method['label']} {cell.sparsity:g}, seed {cell.leaf.root.seed}: dev {shown}, {check}"
        )
        said.append({"task": task, **cell.to_json(), "dev": scores, "compared with its record": check})
        answerer = Answerer(model, trained_models.network(cell, model, done.place), cell, registry)
        for file in files:
            if file.task == task and file.source in tests:
                split = tests[file.source][file.split]
                answers[file.name] = server.answered(file, split.index, answerer.decide(split.texts))
    return answers, said


def _warn(missing: Sequence[ServerFile], fill: bool, tests: Mapping[str, Mapping[str, Unlabelled]]) -> None:
    """Say which files have no model behind them, and which are not as long as GLUE's."""
    from prunebench.sharing.glue_server import server

    names = ", ".join(file.name for file in missing)
    if names and fill:
        click.echo(f"filled with one answer in every row, and no result of any model: {names}", err=True)
    elif names:
        click.echo(
            f"the server wants all files, and these are missing: {names} (--fill-missing puts them in)", err=True
        )
    for file in server.FILES:
        split = tests.get(file.source, {}).get(file.split)
        if split is not None and len(split) != file.rows:
            rows = f"{file.name} has {len(split)} rows, and GLUE's test split {file.rows}"
            click.echo(f"{rows}: the data is not the official one", err=True)
