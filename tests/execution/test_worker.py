"""What one job computes and stores: counts, zeros, masks, shared scores, and where its time goes."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch
from execution.runs import same

from prunebench.execution import measurements, session, strategy_calls
from prunebench.execution.workspace import workspace
from prunebench.hooks.registry import Registry
from prunebench.planning import jobs
from prunebench.pruning import masks, structures
from prunebench.recipes.phases import Prune, Train
from prunebench.runtime import memory
from prunebench.store.store import Store
from prunebench.training import loop

STRATEGIES = "imp,imp[rewind=0.5],imp[rewind=none],magnitude,magnitude-init,random-pruning,random-reinit,layer-shuffle"
STRUCTURED = "heads,heads[rescore=true],random-pruning[of=heads]"


def test_counts_are_exact_and_pruned_weights_are_zero(run):
    store, plan, report = run(f"{STRATEGIES},{STRUCTURED}", "0.15,0.33,0.5")
    assert not report.failures
    for cell in plan.cells:
        record = store.record(cell.leaf.key)
        sparsity, parameters = record.sparsity, record.parameters
        # BERT with 2 layers of 32 × 32 (four times) and 32 × 64 (twice); 2 × 4 heads of width 8.
        units = {"weight": 2 * (4 * 32 * 32 + 2 * 32 * 64), "head": 8}[cell.method.unit]
        assert sparsity.units == units
        assert sparsity.pruned == masks.pruned_count(cell.sparsity, units)
        assert record.checks["pruned_weights_zero"] is True
        assert record.seconds["predict"] > 0
        if cell.method.unit == "weight":
            assert sparsity.encoder_before == sparsity.encoder_after == sparsity.pruned / units
            assert parameters.left == parameters.total - sparsity.pruned
        else:
            # A head has 3 · 8 rows of 32 weights and a bias each, and 8 columns of 32.
            assert parameters.left == parameters.total - sparsity.pruned * (24 * 33 + 256)
            assert sparsity.encoder_after == pytest.approx(sparsity.pruned * 32 * 32 / 16384)
        if cell.method.strategy == "heads":
            assert parameters.in_model == parameters.left
            assert record.checks["compact_difference"] <= 1e-5
        assert set(record.evaluations["validation"].metrics) == {"accuracy"}
    assert not list((store.backend.folder / "weights").glob("*")), "weights are discarded once nothing needs them"


def test_masks_of_imp_are_nested(run):
    store, plan, _ = run("imp", "0.1,0.2,0.35")
    path = max((cell.leaf.path() for cell in plan.cells), key=len)
    chain = [store.load("masks", node.key, masks.unpack) for node in path if jobs.makes_mask(node)]
    assert len(chain) == 4  # 0.1, 0.2, 0.3 and, beside the ladder, 0.35
    for before, after in itertools.pairwise(chain):
        assert all(not (after[name] & ~before[name]).any() for name in before)
        assert masks.pruned(after) > masks.pruned(before)


def test_a_job_loads_only_the_last_mask_before_it(run, monkeypatch):
    loads = []
    load = Store.load
    monkeypatch.setattr(Store, "load", lambda store, *words: loads.append(words[:2]) or load(store, *words))
    _, plan, _ = run("imp,random-pruning", "0.1,0.2,0.35")
    masked = [
        [node.key for node in node.path() if jobs.makes_mask(node)] for node in plan.nodes() if node.phase == Train()
    ]
    assert max(len(path) for path in masked) == 4
    assert sorted(name for kind, name in loads if kind == "masks") == sorted(path[-1] for path in masked if path)


def test_at_sparsity_zero_every_method_is_the_dense_model(planned):
    plan, store, finish = planned("imp,magnitude,random-pruning,random-pruning[of=magnitude]", "0")
    assert not finish().failures
    dense = store.record(plan.cells[0].leaf.key).evaluations
    assert store.record(plan.cells[1].leaf.key).evaluations == dense
    assert all(store.record(cell.leaf.key).sparsity.pruned == 0 for cell in plan.cells)


def test_regression_and_two_metrics(run):
    store, plan, _ = run("imp", "0.2", tasks="stsb,mrpc")
    evaluations = {
        cell.leaf.experiment.task: store.record(cell.leaf.key).evaluations["validation"] for cell in plan.cells
    }
    assert set(evaluations["stsb"].metrics) == {"pearson", "spearmanr"}
    assert set(evaluations["mrpc"].metrics) == {"accuracy", "f1"}
    assert evaluations["stsb"].majority == {"pearson": 0.0, "spearmanr": 0.0}


# Sharing


def test_sharing_changes_no_number(run):
    """A method alone gives, bit for bit, what it gives beside others."""
    together, _, _ = run(STRATEGIES + ",heads", "0.1,0.2", store="together")
    for label in (*STRATEGIES.split(","), "heads"):
        alone, plan, _ = run(label, "0.2", store=label.replace("[", "-").replace("]", ""))
        for cell in plan.cells:
            assert same(alone.record(cell.leaf.key)) == same(together.record(cell.leaf.key))


def test_a_worker_keeps_its_registry_between_jobs():
    assert session._registry(()) is session._registry(())


# Time and memory


def test_strategy_seconds_are_separate_from_mask_seconds(run, monkeypatch):
    """On a clock that moves only where a strategy is called, a mask is made or a model is trained."""
    now = [0.0]
    monkeypatch.setattr(measurements, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def ticking(seconds, real):
        def timed(*args, **kwargs):
            now[0] += seconds
            return real(*args, **kwargs)

        return timed

    monkeypatch.setattr(strategy_calls, "scores", ticking(5.0, strategy_calls.scores))
    monkeypatch.setattr(strategy_calls, "keep_highest", ticking(0.25, strategy_calls.keep_highest))
    monkeypatch.setattr(loop, "train", ticking(100.0, loop.train))
    store, _, _ = run("magnitude,heads", "0.25,0.5")
    spent = [record.seconds for record in store.records()]
    # One dense training, whose weights both methods score, once for both sparsities; a second one; and one after each
    # pruning.
    assert sorted(seconds["train"] for seconds in spent if seconds["train"]) == [100.0] * 6
    assert [seconds["strategy"] for seconds in spent if seconds["strategy"]] == [10.0]
    assert sum(seconds["prune"] for seconds in spent) == 4 * 0.25
    assert not any(seconds["evaluate"] for seconds in spent)


def test_the_seconds_of_a_strategy_that_raises_are_booked_under_strategy(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(measurements, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    seconds = measurements.Stopwatch(_since=0.0)
    with pytest.raises(ZeroDivisionError), seconds.of("strategy"):
        now[0] += 5.0
        now[0] /= 0
    now[0] += 0.25
    seconds.add("prune")
    assert (seconds.strategy, seconds.prune) == (5.0, 0.25)


def test_a_job_keeps_freed_memory_and_compares_models_on_a_few_examples(planned, monkeypatch):
    """Both exist for speed alone, so no result would show that they are missing."""
    kept, compared = [], []
    real = measurements.predict

    def counted(model, data, *, precision, device):
        compared.append(len(data))
        return real(model, data, precision=precision, device=device)

    monkeypatch.setattr(measurements, "COMPARED", 5)
    monkeypatch.setattr(measurements, "predict", counted)
    monkeypatch.setattr(memory, "keep_memory", lambda: kept.append(True))
    plan, store, finish = planned("heads", "0.5")
    assert finish().done == len(kept) > 0
    assert store.record(plan.cells[-1].leaf.key).checks["compact_agrees"] is True
    assert compared.count(5) == 2


# Checks


def test_checks_can_fail(planned):
    plan, _, _ = planned("heads")
    sample = workspace(plan.cells[0].leaf.experiment, plan.where, Registry())
    name = sample.prunable.prunable[0]
    keep = {name: torch.ones_like(sample.theta0[name], dtype=torch.bool)}
    keep[name][0, 0] = False
    sample.load(sample.theta0)
    path = [Train(), Prune(0.5)]
    heads = structures.structure_of("head")
    not_zero = measurements.checks(sample, path, {"a": torch.tensor([True, False])}, heads, keep)
    assert not_zero == {"count_exact": True, "pruned_weights_zero": False}
    with torch.no_grad():
        sample.model.get_parameter(name)[0, 0] = 0
    miscounted = measurements.checks(sample, path, {"a": torch.tensor([True, True])}, heads, keep)
    assert miscounted == {"count_exact": False, "pruned_weights_zero": True}
    other = type(sample.model)(sample.model.config)
    assert measurements.agreement(sample, other, other, "cpu")["compact_agrees"] is False
    assert measurements.agreement(sample, sample.model, sample.model, "cpu") == {}
