"""Train one model for each task, let it answer the test split, and write the zip for the test server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.execution.display import Console
from prunebench.execution.runner import RunOptions, execute, raise_failures, with_recorded_threads
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment
from prunebench.planning.graph import Plan, PlannedCell, restrict
from prunebench.planning.methods import Method
from prunebench.planning.suite import Suite, resolve
from prunebench.recipes.schedules import check_sparsity
from prunebench.reports.render.files import write_file
from prunebench.sharing.glue_server import server
from prunebench.sharing.glue_server.server import ServerFile
from prunebench.store.schema import Location
from prunebench.store.store import Store
from prunebench.tasks.glue.test_splits import UnlabelledSplit, load_test_splits
from prunebench.tasks.task import DataSource

# The suite that is used if neither a suite nor tasks are given.
DEFAULT_SUITE = "glue"
KIND = "glue-submission"
# Test splits by task and name.
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
    """Train one model for each task, and write their answers to the test splits, with a note about them beside the zip.

    Returns the paths of zip and note, and the number of files in the zip. Neither training nor pruning uses the test
    splits. Raises PrunebenchError if a test split is missing or a training fails.
    """
    check_sparsity(sparsity)
    if out.suffix != ".zip":
        raise PrunebenchError(f"cannot write a submission to {str(out)!r}", "expected the name of a zip file")
    resolved = _one_method(suite, options, registry, strategy, sparsity, seed)
    files = server.files_of(resolved.tasks)
    if resolved.doc:
        console.say(f"Suite {resolved.name}: {resolved.doc}")
    tests = _load_tests(files, resolved.glue_dir, console)
    plan = experiment.plan(resolved, registry)
    method = Method(strategy, registry).label
    # Without dense runs of equal training, which nobody compares with here.
    plan = restrict(plan, [cell for cell in plan.cells if cell.method.label in ("dense", method)])
    cells = {cell.leaf.experiment.task: cell for cell in plan.cells if cell.method.label == method}
    store = _train(plan, cells, resolved, registry, run_options, console)
    answers, models = _answer(files, cells, tests, plan.where, store, registry, console)
    missing = [file for file in server.FILES if file.name not in answers]
    if fill_missing:
        answers |= {file.name: server.write_filler(file) for file in missing}
    _warn(missing, fill_missing, tests, console)
    data = server.write_zip(answers)
    note = {
        "command": run_options.command,
        "sha256": hashlib.sha256(data).hexdigest(),
        "models": models,
        "filled": [file.name for file in missing] if fill_missing else [],
    }
    note_path = write_file(out.with_suffix(".json"), json.dumps(note, indent=1, ensure_ascii=False) + "\n")
    return write_file(out, data), note_path, len(answers)


def _one_method(
    suite: str | None, options: Mapping[str, Any], registry: Registry, strategy: str, sparsity: float, seed: int | None
) -> Suite:
    """The suite with only this method and sparsity, and with this seed or its first one."""
    if suite is None and options.get("tasks") is None:
        suite = DEFAULT_SUITE
    resolved = resolve(suite, options, registry)
    seed = resolved.seeds[0] if seed is None else seed
    return replace(resolved, seeds=(seed,), strategies=(strategy,), sparsities={"": (sparsity,)})


def _load_tests(files: Sequence[ServerFile], glue_dir: str | None, console: Console) -> Tests:
    """The test splits of these files, read before any training.

    Raises PrunebenchError if one is missing, except for the diagnostic set, which a copy of MNLI may lack.
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


def _train(
    plan: Plan,
    cells: Mapping[str, PlannedCell],
    suite: Suite,
    registry: Registry,
    run_options: RunOptions,
    console: Console,
) -> Store:
    """The store with the trained models of these cells. Raises PrunebenchError if any training failed."""
    run_options = with_recorded_threads([*cells.values()], run_options)
    result = execute(plan, suite, registry, run_options, console, KIND, {cell.leaf for cell in cells.values()})
    if result.failed_before or result.report.failures:
        raise_failures(result, console)
    return result.store


def _answer(
    files: Sequence[ServerFile],
    cells: Mapping[str, PlannedCell],
    tests: Tests,
    where: Location,
    store: Store,
    registry: Registry,
    console: Console,
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The content of each file; and for each model its cell, its dev scores, and whether they match its record."""
    from prunebench.execution import trained_models
    from prunebench.sharing.glue_server.answers import Answerer

    answers, models = {}, []
    for task, cell in cells.items():
        experiment = cell.leaf.experiment
        model = trained_models.load_model(cell, where, store, registry)
        scores, check = trained_models.compare_with_record(cell, model, store, registry)
        text = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        console.say(f"{task}, {cell.method.label} {cell.sparsity:g}, seed {experiment.seed}: dev {text}, {check}")
        entry = cell.to_cell().model_dump(mode="json")
        models.append({**entry, "dev": scores, "compared with its record": check})
        network = trained_models.scored_network(cell, model, store, registry)
        answerer = Answerer(model, network, experiment, where, registry)
        for file in files:
            if file.task == task and file.source in tests:
                split = tests[file.source][file.split]
                answers[file.name] = server.write_answers(file, split.index, answerer.answer(split.texts))
    return answers, models


def _warn(missing: Sequence[ServerFile], fill: bool, tests: Tests, console: Console) -> None:
    """Warn about files without a model, and about test splits that do not have the official number of rows."""
    names = ", ".join(file.name for file in missing)
    if names and fill:
        console.warn(f"filled with the same answer in every row, without a model: {names}")
    elif names:
        console.warn(f"the server expects all files, and these are missing: {names} (--fill-missing adds them)")
    for file in server.FILES:
        split = tests.get(file.source, {}).get(file.split)
        if split is not None and len(split) != file.rows:
            rows = f"{file.name} has {len(split)} rows, and GLUE's test split {file.rows}"
            console.warn(f"{rows}: the data is not the official one")
