"""Transfers of a tiny model: masks arrive unchanged, and a stopped or failed run goes on."""

from __future__ import annotations

import pytest
import torch
from reports.transfer_grid import cells_by_mask, question

from prunebench.execution import scheduler
from prunebench.execution.display import Lines
from prunebench.execution.executors.base import Request
from prunebench.execution.executors.local import ProcessExecutor, SerialExecutor
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment, jobs
from prunebench.planning.suite import Suite, merge
from prunebench.planning.transfer import plan_transfer
from prunebench.pruning import masks
from prunebench.recipes.phases import Adopt
from prunebench.reports.transfer import build, terminal
from prunebench.results.rows import load_rows
from prunebench.store.schema import StoredPlan
from prunebench.store.store import Store
from prunebench.training import loop


@pytest.fixture
def run(tiny_bert, tiny_glue, tmp_path):
    """Run a transfer of the tiny model, and return the store, the plan and the report."""

    def run(question, folder="store", seeds="1", executor=None, first=None, plugins=(), **options):
        registry = Registry(plugins)
        data = {"model": str(tiny_bert), "glue_dir": str(tiny_glue), "precision": "fp32", "device": "cpu"}
        protocol = {"tasks": list(question.masks), "seeds": seeds, "epochs": "2", "batch_size": "16", "lr": "1e-3"}
        suite = merge(Suite(), {**data, **protocol, **options})
        store = Store.create(tmp_path / folder)
        transfer = plan_transfer(
            experiment.experiments(suite, registry), question, registry, experiment.location(suite)
        )
        given_up = jobs.failed_before(transfer, store.snapshot([node.key for node in transfer.nodes()]))
        todo = jobs.jobs_to_run(transfer, store, given_up)[:first]
        with executor or SerialExecutor() as pool:
            dispatch = scheduler.Dispatch(transfer.location, registry.files, slots=2 if executor else 1)
            report = scheduler.run(todo, pool, store, Lines(todo), dispatch)
        if report.unexpected:
            raise report.unexpected
        return store, transfer, report

    return run


def without_costs(record):
    """What two runs of the same training have in common."""
    return record.model_dump(exclude={"seconds", "peak_memory_mb", "environment", "plan"})


def adopted_mask(store, cell):
    [phase] = [node.phase for node in cell.leaf.path() if isinstance(node.phase, Adopt)]
    return store.load("masks", phase.mask, masks.unpack)


def rows_of(transfer, store):
    return load_rows([StoredPlan(cells=[c.to_cell() for c in transfer.cells])], store)


def test_a_mask_arrives_unchanged_under_theta0_and_the_head_of_the_target(run, monkeypatch):
    """Between tasks with two labels and with a score: the mask is of the encoder, the head is the target's own."""
    starts = []
    real = loop.train

    def spy(model, *args, **kwargs):
        starts.append({name: value.detach().clone() for name, value in model.named_parameters()})
        return real(model, *args, **kwargs)

    monkeypatch.setattr(loop, "train", spy)
    store, transfer, report = run(question(sparsity=0.2, sources=("rte", "stsb"), targets=("rte", "stsb"), controls=()))
    assert not report.failures
    cells = cells_by_mask(transfer)
    dense = {}
    for weights in starts:
        if not any((weight == 0).any() and name.endswith("weight") for name, weight in weights.items()):
            dense[len(weights["classifier.weight"])] = weights
    assert set(dense) == {1, 2}
    for target, source, labels in (("rte", "stsb", 2), ("stsb", "rte", 1)):
        mask = adopted_mask(store, cells[target, source])
        assert masks.pruned(mask) == masks.pruned_count(0.2, masks.units(mask))
        expected = {name: weight * mask[name] if name in mask else weight for name, weight in dense[labels].items()}
        assert any(all(torch.equal(weights[name], expected[name]) for name in expected) for weights in starts
                   if len(weights["classifier.weight"]) == labels)  # fmt: skip
        record = store.record(cells[target, source].leaf.key)
        assert record.checks == {"rewound_exactly": True, "count_exact": True, "pruned_weights_zero": True}
        assert record.sparsity.realised == masks.pruned(mask) / masks.units(mask)
        own = store.record(cells[target, target].leaf.key)
        assert record.evaluations != own.evaluations or record.loss != own.loss


def test_costs_are_those_of_the_source_and_of_one_training_on_the_target(run):
    store, transfer, _ = run(question(sparsity=0.2, sources=("rte", "mrpc"), targets=("rte", "mrpc"), controls=()))
    row = next(r for r in rows_of(transfer, store) if r.cell.task == "rte" and r.cell.mask_from == "mrpc")
    assert (row.outcome.find.trainings, row.outcome.train.trainings) == (2, 1)
    assert row.outcome.from_theta0
    records = [store.record(key) for key in row.cell.trainings]
    assert [record.experiment.task for record in records] == ["mrpc", "mrpc", "rte"]
    dense = store.record(cells_by_mask(transfer)["rte", "dense"].leaf.key)
    assert row.dense == dense.evaluations["validation"].metrics["accuracy"]


@pytest.mark.parametrize("strategy", ["heads", "magnitude"])
def test_heads_and_methods_that_do_not_rewind_transfer_too(run, strategy):
    store, transfer, report = run(question(strategy, 0.5, ("rte", "mrpc"), ("rte", "mrpc"), ("random-pruning",)))
    assert not report.failures
    for (_, mask), cell in cells_by_mask(transfer).items():
        record = store.record(cell.leaf.key)
        if mask == "dense":
            continue
        assert record.checks["count_exact"] and record.checks["pruned_weights_zero"]
        assert record.checks["rewound_exactly"] is True
        assert record.sparsity.pruned == masks.pruned_count(0.5, 8 if strategy == "heads" else 16384)
        if strategy == "heads":
            assert record.checks["compact_agrees"] is True
            assert record.parameters.in_model == record.parameters.left


def test_a_stopped_run_ends_with_the_same_records_here_and_in_processes(run):
    transfer_question = question(sparsity=0.2, sources=("rte", "mrpc"), targets=("rte", "mrpc"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, _, first = run(transfer_question, "whole")
        for stop in (3, 7):
            run(transfer_question, f"stopped {stop}", first=stop)
            stopped, _, rest = run(transfer_question, f"stopped {stop}")
            assert rest.done == first.done - stop
            assert records(stopped) == records(whole)
    finally:
        torch.set_num_threads(threads)
    in_processes, _, _ = run(transfer_question, "processes", executor=ProcessExecutor(Request(2, cpus=1)))
    assert records(in_processes) == records(whole)
    assert run(transfer_question, "whole")[2].done == 0


def records(store):
    return {record.key: without_costs(record) for record in store.records()}


def test_a_lost_mask_is_found_again(run):
    transfer_question = question(sparsity=0.1, sources=("rte", "mrpc"), targets=("rte", "mrpc"), controls=())
    store, transfer, _ = run(transfer_question)
    cell = cells_by_mask(transfer)["rte", "mrpc"]
    before = store.record(cell.leaf.key)
    [phase] = [node.phase for node in cell.leaf.path() if isinstance(node.phase, Adopt)]
    (store.backend.folder / "masks" / f"{phase.mask}.safetensors").unlink()
    store.backend.remove(f"records/{cell.leaf.key[:2]}/{cell.leaf.key}.json")
    again, _, report = run(transfer_question)
    assert report.done == 2  # mrpc's first training for its mask, and rte's under it
    assert without_costs(again.record(cell.leaf.key)) == without_costs(before)


RAISES = """
from dataclasses import dataclass
from prunebench import Prune, Rewind, Train, hookimpl

@dataclass(frozen=True)
class Raises:
    name = "raises"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Rewind(), Train()]
    def score(self, ctx):
        scores = {name: weight.abs() for name, weight in ctx.weights.items()}
        if next(iter(ctx.batches(1)))["labels"].is_floating_point():
            raise ValueError("a score")
        return scores

@hookimpl
def prunebench_strategies():
    return [Raises]
"""


def test_a_failing_source_stops_only_the_cells_that_need_its_mask(run, tmp_path):
    (tmp_path / "raises.py").write_text(RAISES)
    transfer_question = question("raises", 0.2, ("rte", "stsb"), ("rte", "stsb"), ())
    store, transfer, report = run(transfer_question, plugins=[tmp_path / "raises.py"])
    assert list(report.failures) == ["stsb, seed 0, raises 0.2: Train Prune(0.2)"]
    assert report.skipped == 2
    done = {key for key, cell in cells_by_mask(transfer).items() if store.record(cell.leaf.key)}
    assert done == {("rte", "dense"), ("rte", "rte"), ("stsb", "dense"), ("stsb", "rte")}
    grid = build(rows_of(transfer, store), transfer_question)
    assert "failed" in terminal(grid)
    assert "stsb on rte, seed 0: failed: strategy 'raises' raised ValueError: a score" in terminal(grid)
    _, _, again = run(transfer_question, plugins=[tmp_path / "raises.py"])
    assert again.done == 0
