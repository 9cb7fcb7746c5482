"""Whole runs on a tiny BERT: counts, zeros, rewinding, sharing, failures, and going on after a kill."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys

import pytest
import safetensors.torch
import torch

from prunebench import bench, jobs, masks, roots, training, worker
from prunebench.cli.display import Lines
from prunebench.executors import Here, Processes
from prunebench.registry import Registry
from prunebench.store import Store
from prunebench.suite import Suite, merge

STRATEGIES = "imp,imp[rewind=0.5],imp[rewind=none],magnitude,magnitude-init,random-pruning,random-reinit,layer-shuffle"
STRUCTURED = "heads,heads[rescore=true],random-pruning[of=heads]"


@pytest.fixture
def run(tiny_bert, tiny_glue, tmp_path):
    """Runs a suite on the tiny model; gives the store, the plan and the report."""

    def go(strategies, sparsities="0.2", tasks="rte", seeds="1", store="store", plugins=(), executor=None, **options):
        registry = Registry(plugins)
        words = {"strategies": strategies, "sparsities": sparsities, "tasks": tasks, "seeds": seeds, **options}
        where = {"model": str(tiny_bert), "glue_dir": str(tiny_glue), "precision": "fp32", "device": "cpu"}
        suite = merge(Suite(), {"epochs": "2", "batch_size": "16", "lr": "1e-3", **where, **words})
        place = Store.create(tmp_path / store)
        plan = roots.plan(suite, registry)
        todo = jobs.to_run(plan, place)
        with executor or Here() as pool:
            report = bench.run(todo, pool, place, registry.files, Lines(todo), slots=2 if executor else 1)
        if report.unexpected:
            raise report.unexpected
        return place, plan, report

    return go


def records_of(store, plan):
    return {(cell.method["label"], cell.sparsity, cell.leaf.root.seed): store.record(cell.leaf.key)
            for cell in plan.cells}  # fmt: skip


def same(record):
    """A record without what may differ between two runs of the same thing."""
    return {name: value for name, value in record.items() if name not in ("seconds", "peak_memory_mb", "environment")}


def test_counts_are_exact_and_pruned_weights_are_zero(run):
    store, plan, report = run(f"{STRATEGIES},{STRUCTURED}", "0.15,0.33,0.5")
    assert not report.failures
    for cell in plan.cells:
        record = store.record(cell.leaf.key)
        sparsity = record["sparsity"]
        # BERT with 2 layers of 32 × 32 (four times) and 32 × 64 (twice); 2 × 4 heads of width 8.
        units = {"weight": 2 * (4 * 32 * 32 + 2 * 32 * 64), "head": 8}[cell.method["unit"]]
        assert sparsity["units"] == units
        assert sparsity["pruned"] == masks.pruned_count(cell.sparsity, units)
        assert record["checks"]["pruned_weights_zero"] is True
        if cell.method["unit"] == "weight":
            assert sparsity["encoder_before"] == sparsity["encoder_after"] == sparsity["pruned"] / units
            assert record["parameters"]["left"] == record["parameters"]["total"] - sparsity["pruned"]
        else:
            # A head has 3 · 8 rows of 32 weights and a bias each, and 8 columns of 32.
            assert record["parameters"]["left"] == record["parameters"]["total"] - sparsity["pruned"] * (24 * 33 + 256)
            assert sparsity["encoder_after"] == pytest.approx(sparsity["pruned"] * 32 * 32 / 16384)
        if cell.method["strategy"] == "heads":
            assert record["parameters"]["in_model"] == record["parameters"]["left"]
            assert record["checks"]["compact_difference"] <= 1e-5
        assert set(record["evaluations"]["validation"]["metrics"]) == {"accuracy"}
    assert not list((store.folder / "weights").glob("*")), "weights are thrown away once nothing needs them"


def test_masks_of_imp_are_nested_and_random_ones_have_its_counts(run):
    store, plan, _ = run("imp,random-pruning", "0.1,0.2,0.35")
    path = max((cell.leaf.path() for cell in plan.cells if cell.method["label"] == "imp"), key=len)
    found = [masks.unpack(store.bytes_of("masks", node.key)) for node in path if jobs.makes_mask(node)]
    assert len(found) == 4  # 0.1, 0.2, 0.3 and, beside the ladder, 0.35
    for before, after in itertools.pairwise(found):
        assert all(not (after[name] & ~before[name]).any() for name in before)
        assert masks.pruned(after) > masks.pruned(before)


@pytest.fixture
def starts(monkeypatch):
    """The weights at the start and at the end of every training."""
    seen = []
    real = training.train

    def spy(model, *args, **kwargs):
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        outcome = real(model, *args, **kwargs)
        seen.append((before, {name: value.detach().clone() for name, value in model.named_parameters()}))
        return outcome

    monkeypatch.setattr(worker.training, "train", spy)
    return seen


def test_rewound_weights_are_those_of_the_file_bit_for_bit(run, starts, tiny_bert):
    """Every round starts from the checkpoint under its mask, with the same fresh head: nothing is aliased."""
    run("imp", "0.3")
    file = safetensors.torch.load_file(tiny_bert / "model.safetensors")
    assert len(starts) == 4
    first = starts[0][0]
    for number, (before, after) in enumerate(starts):
        gone = 0
        for name, weight in before.items():
            origin = file.get(name.removeprefix("bert."), first[name])
            stays = weight != 0
            assert torch.equal(weight[stays], origin[stays])
            gone += int((~stays & (origin != 0)).sum())
        assert gone == masks.pruned_count(0.1 * number, 16384)
        assert any(not torch.equal(before[name], after[name]) for name in before)


def test_rewinding_to_a_fraction_starts_from_that_step(run, starts):
    """3 of 6 steps of the first training are the same steps again, and then the mask."""
    run("imp[rewind=0.5]", "0.1")
    start, trained = starts[0]
    rewound = starts[1][0]
    name = "bert.encoder.layer.0.attention.self.query.weight"
    stays = rewound[name] != 0
    assert not torch.equal(rewound[name][stays], start[name][stays])
    assert not torch.equal(rewound[name][stays], trained[name][stays])
    assert not torch.equal(rewound["classifier.weight"], start["classifier.weight"])


def test_rewinding_to_the_last_step_is_no_rewinding(run, starts):
    run("imp[rewind=6],imp[rewind=none]", "0.1")
    (_, trained), *rest = starts
    for before, _ in rest:
        for name, weight in before.items():
            stays = weight != 0
            assert torch.equal(weight[stays], trained[name][stays])
    assert len(rest) == 2


SPY = """
from dataclasses import dataclass
from prunebench import Prune, Train, hookimpl
import builtins

@dataclass(frozen=True)
class Spy:
    name = "spy"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        builtins.seen_by_spy = {name: weight.clone() for name, weight in ctx.weights.items()}
        builtins.initial_of_spy = {name: weight.clone() for name, weight in ctx.initial.items()}
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Spy]
"""


def test_what_is_scored_is_the_last_step(run, starts, tmp_path):
    """The released code scored weights that were one step old."""
    import builtins

    (tmp_path / "spy.py").write_text(SPY)
    run("spy", "0.3", plugins=[tmp_path / "spy.py"])
    start, trained = starts[0]
    for name, weight in builtins.seen_by_spy.items():
        assert torch.equal(weight, trained[name])
        assert torch.equal(builtins.initial_of_spy[name], start[name])


def test_sharing_changes_no_number(run):
    """A method alone gives, bit for bit, what it gives beside others."""
    together, _, _ = run(STRATEGIES + ",heads", "0.1,0.2", store="together")
    for text in (*STRATEGIES.split(","), "heads"):
        alone, own, _ = run(text, "0.2", store=text.replace("[", "-").replace("]", ""))
        for cell in own.cells:
            assert same(alone.record(cell.leaf.key)) == same(together.record(cell.leaf.key))


def test_the_second_run_does_nothing(run):
    _, _, first = run("imp,heads")
    _, _, second = run("imp,heads")
    assert first.done > 0
    assert second.done == 0


def test_seeds_differ_and_methods_of_a_seed_start_alike(run, starts):
    run("magnitude-init", "0.2", seeds="2")
    heads = [before["classifier.weight"] for before, _ in starts]
    dense_0, dense_1, init_0, init_1 = heads[0], heads[2], heads[1], heads[3]
    assert torch.equal(dense_0, init_0)
    assert torch.equal(dense_1, init_1)
    assert not torch.equal(dense_0, dense_1)


def test_regression_and_two_metrics(run):
    store, plan, _ = run("imp", "0.2", tasks="stsb,mrpc")
    found = {cell.leaf.root.task: store.record(cell.leaf.key)["evaluations"]["validation"] for cell in plan.cells}
    assert set(found["stsb"]["metrics"]) == {"pearson", "spearmanr"}
    assert set(found["mrpc"]["metrics"]) == {"accuracy", "f1"}
    assert found["stsb"]["majority"] == {"pearson": 0.0, "spearmanr": 0.0}


RAISES = """
from dataclasses import dataclass
from prunebench import Prune, Train, hookimpl

@dataclass(frozen=True)
class Raises:
    name = "raises"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        return {name: 1 / 0 for name in ctx.weights}

@hookimpl
def prunebench_strategies():
    return [Raises]
"""


def test_a_strategy_that_raises_costs_its_own_cells_only(run, tmp_path):
    file = tmp_path / "raises.py"
    file.write_text(RAISES)
    store, plan, report = run("raises,magnitude", "0.2", plugins=[file])
    found = records_of(store, plan)
    assert found["dense", 0.0, 0] is not None
    assert found["magnitude", 0.2, 0] is not None
    assert found["raises", 0.2, 0] is None
    [(where, reason)] = report.failures.items()
    assert where == "rte, seed 0, raises 0.2: Train Prune(0.2)"
    assert reason == "strategy 'raises' raised ZeroDivisionError: division by zero (raises.py, line 12)"
    assert report.skipped == 1
    leaf = next(cell.leaf.key for cell in plan.cells if cell.method["label"] == "raises")
    assert store.failure(leaf)["reason"] == "a training that it starts from has failed"
    file.write_text(RAISES.replace("1 / 0", "ctx.weights[name].abs()"))
    store, plan, report = run("raises,magnitude", "0.2", plugins=[file])
    assert not report.failures
    assert all(record is not None for record in records_of(store, plan).values())


def test_a_training_that_diverges_is_a_failure_with_that_reason(run):
    store, plan, report = run("magnitude-init", "0.2", lr="1e30")
    assert all("diverged" in reason for reason in report.failures.values())
    assert len(report.failures) == 2
    assert all(record is None for record in records_of(store, plan).values())


def test_worker_processes_give_the_same_records(run):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here, plan, _ = run("imp,magnitude", "0.2", store="here")
    finally:
        torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = "1"
    there, _, _ = run("imp,magnitude", "0.2", store="there", executor=Processes(2))
    for cell in plan.cells:
        one, two = here.record(cell.leaf.key), there.record(cell.leaf.key)
        assert one["evaluations"] == two["evaluations"] or two["environment"]["threads"] != 1
        assert one["sparsity"] == two["sparsity"]


def test_killed_in_mid_training_and_continued(tiny_bert, tiny_glue, tmp_path):
    """SIGKILL as soon as a training after the first is at work; the same command then ends with the same records."""
    words = ["run", "--tasks", "rte", "--strategies", "imp,magnitude,random-pruning,heads", "--sparsities", "0.2"]
    words += ["--seeds", "1", "--model", str(tiny_bert), "--glue-dir", str(tiny_glue), "--epochs", "6"]
    words += ["--batch-size", "4", "--device", "cpu", "--precision", "fp32"]

    def command(store):
        return [
            sys.executable,
            "-c",
            "from prunebench.cli import main; main()",
            *words,
            "--store",
            str(tmp_path / store),
        ]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command("whole"), check=True, env=environment, capture_output=True)
    process = subprocess.Popen(
        command("cut"), env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "imp 0.2" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    process.stdout.close()
    whole, cut = Store.open(tmp_path / "whole"), Store.open(tmp_path / "cut")
    before = {record["key"] for record in cut.records()}
    expected = {record["key"]: same(record) for record in whole.records()}
    assert before < set(expected)
    done = subprocess.run(command("cut"), check=True, env=environment, capture_output=True, text=True)
    assert {record["key"]: same(record) for record in cut.records()} == expected
    assert "In the store:  0 phases" not in done.stdout


MOVES = """
from dataclasses import dataclass
from prunebench import Prune, Train, hookimpl
import torch

@dataclass(frozen=True)
class Moves:
    '''Removes the first weights of each row and doubles those that stay.'''
    name = "moves"
    unit = "weight"
    wrong: str = ""
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def prune(self, ctx, sparsity):
        mask = {name: keep.clone() for name, keep in ctx.mask.items()}
        for name, weight in ctx.weights.items():
            mask[name][:, : int(sparsity * weight.shape[1])] = False
            weight.mul_(2)
        if self.wrong == "count":
            mask[name][-1, -1] = False
        if self.wrong == "names":
            del mask[name]
        return mask

@hookimpl
def prunebench_strategies():
    return [Moves]
"""


def test_a_method_that_moves_weights_trains_on_from_where_it_put_them(run, starts, tmp_path):
    (tmp_path / "moves.py").write_text(MOVES)
    store, plan, _ = run("moves", "0.25", plugins=[tmp_path / "moves.py"])
    (_, trained), (before, _) = starts
    for name, weight in before.items():
        if "encoder" in name and "weight" in name and weight.dim() == 2:
            cut = weight.shape[1] // 4
            assert not weight[:, :cut].any()
            assert torch.equal(weight[:, cut:], 2 * trained[name][:, cut:])
        else:
            assert torch.equal(weight, trained[name])
    assert store.record(plan.cells[-1].leaf.key)["sparsity"]["pruned"] == 4096


@pytest.mark.parametrize(
    ("wrong", "message"), [("count", "'moves' pruned 4097 units .expected 4096"), ("names", "other names or shapes")]
)
def test_a_mask_that_is_not_what_was_asked_for_is_refused(run, tmp_path, wrong, message):
    (tmp_path / "moves.py").write_text(MOVES)
    _, _, report = run(f"moves[wrong={wrong}]", "0.25", plugins=[tmp_path / "moves.py"])
    [reason] = report.failures.values()
    assert re.search(message, reason)
