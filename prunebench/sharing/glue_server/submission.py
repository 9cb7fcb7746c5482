"""Answers to GLUE's test splits: one trained model of each task, in the zip that the test server takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.execution.display import Console
from prunebench.execution.runner import RunOptions, RunResult, execute, raise_failures, with_recorded_threads
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment
from prunebench.planning.graph import Plan, PlannedCell
from prunebench.planning.suite import Suite, resolve
from prunebench.recipes.schedules import check_sparsity
from prunebench.reports.render.files import write_file
from prunebench.sharing.glue_server import server
from prunebench.sharing.glue_server.server import ServerFile
from prunebench.tasks.glue.test_splits import UnlabelledSplit, load_test_splits
from prunebench.tasks.task import DataSource

# The suite where neither a suite nor tasks are named.
SUITE = "glue"
KIND = "glue-submission"
Tests = Mapping[str, Mapping[str, UnlabelledSplit]]


def submit(
    suite: str | None,
    options: Mapping[str, Any],
    registry: Registry,
    run_options: RunOptions,
    console: Console,
    out: Path,
    *,
    strategy: str,
    sparsity: float,
    seed: int | None,
    fill_missing: bool,
) -> tuple[Path, Path, int]:
    """Train the models once more, answer the test splits, and write the zip and a note about it beside it.

    Returns the paths of both and the number of files in the zip. No training and no pruning ever sees the test splits.
    """
    check_sparsity(sparsity)
    if out.suffix != ".zip":
        raise PrunebenchError(f"cannot write a submission to {str(out)!r}", "expected the name of a zip file")
    resolved = _suite(suite, options, registry, strategy, sparsity, seed)
    files = server.files_of(resolved.tasks)
    if resolved.doc:
        console.say(f"Suite {resolved.name}: {resolved.doc}")
    tests = _tests(files, resolved.glue_dir, console)
    plan = experiment.plan(resolved, registry)
    wants_dense = strategy.strip() == "dense"
    cells = {cell.leaf.experiment.task: cell for cell in plan.cells if (cell.method.strategy == "dense") == wants_dense}
    run_options = with_recorded_threads([*cells.values()], run_options)
    result = execute(plan, resolved, registry, run_options, console, KIND, {cell.leaf for cell in cells.values()})
    if result.failed_before or result.report.failures:
        raise_failures(result, console)
    answers, models = _answers(files, cells, tests, plan, result, registry, console)
    missing = [file for file in server.FILES if file.name not in answers]
    if fill_missing:
        answers |= {file.name: server.filled(file) for file in missing}
    _warn(missing, fill_missing, tests, console)
    data = server.zipped(answers)
    about = {
        "command": run_options.command,
        "sha256": hashlib.sha256(data).hexdigest(),
        "models": models,
        "filled": [file.name for file in missing] if fill_missing else [],
    }
    note = write_file(out.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return write_file(out, data), note, len(answers)


def _suite(
    suite: str | None, options: Mapping[str, Any], registry: Registry, strategy: str, sparsity: float, seed: int | None
) -> Suite:
    """The suite with one method, sparsity and seed in it; the first seed by default, whatever it scores."""
    if suite is None and options.get("tasks") is None:
        suite = SUITE
    resolved = resolve(suite, options, registry)
    seed = resolved.seeds[0] if seed is None else seed
    return replace(resolved, seeds=(seed,), strategies=(strategy,), sparsities={"": (sparsity,)})


def _tests(
    files: Sequence[ServerFile], glue_dir: str | None, console: Console
) -> dict[str, dict[str, UnlabelledSplit]]:
    """The test splits that the files answer, read before anything is trained for them.

    One that is missing is an error, except for the diagnostic set, which a copy of MNLI may lack.
    """
    source = DataSource(Path(glue_dir) if glue_dir else None)
    tests: dict[str, dict[str, UnlabelledSplit]] = {}
    for file in files:
        if file.source in tests:
            continue
        try:
            tests[file.source] = load_test_splits(file.source, source)
        except PrunebenchError as error:
            if file.source == file.task:
                raise
            console.warn(f"{file.name} is left out: {error}")
    return tests


def _answers(
    files: Sequence[ServerFile],
    cells: Mapping[str, PlannedCell],
    tests: Tests,
    plan: Plan,
    result: RunResult,
    registry: Registry,
    console: Console,
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Each file's bytes; and of each model its cell, its scores on dev, and whether it is as recorded."""
    from prunebench.execution import trained_models
    from prunebench.sharing.glue_server.answers import Answerer

    answers, models = {}, []
    for task, cell in cells.items():
        experiment, store = cell.leaf.experiment, result.store
        model = trained_models.load_model(cell, plan.where, store, registry)
        scores, check = trained_models.compare_with_record(cell, model, store)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        console.say(f"{task}, {cell.method.label} {cell.sparsity:g}, seed {experiment.seed}: dev {shown}, {check}")
        entry = cell.to_cell().model_dump(mode="json")
        models.append({**entry, "dev": scores, "compared with its record": check})
        network = trained_models.scored_network(cell, model, store)
        answerer = Answerer(model, network, experiment, plan.where, registry)
        for file in files:
            if file.task == task and file.source in tests:
                split = tests[file.source][file.split]
                answers[file.name] = server.answered(file, split.index, answerer.answer(split.texts))
    return answers, models


def _warn(missing: Sequence[ServerFile], fill: bool, tests: Tests, console: Console) -> None:
    """Say which files have no model behind them, and which are not as long as GLUE's."""
    names = ", ".join(file.name for file in missing)
    if names and fill:
        console.warn(f"filled with one answer in every row, and no result of any model: {names}")
    elif names:
        console.warn(f"the server wants all files, and these are missing: {names} (--fill-missing puts them in)")
    for file in server.FILES:
        split = tests.get(file.source, {}).get(file.split)
        if split is not None and len(split) != file.rows:
            rows = f"{file.name} has {len(split)} rows, and GLUE's test split {file.rows}"
            console.warn(f"{rows}: the data is not the official one")
