"""Whole runs on a tiny BERT: counts, zeros, rewinding, sharing, failures, and going on after a kill."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch
from prunebench.cli.display import Lines

from prunebench.cli.options import Running, executor_of, request_for
from prunebench.errors import PrunebenchError
from prunebench.execution import measurements, scheduler, worker
from prunebench.execution.executors import local
from prunebench.execution.executors.base import WorkersDied
from prunebench.execution.executors.local import ProcessExecutor, Request, SerialExecutor
from prunebench.hooks.registry import Registry
from prunebench.models.fast import embedding_subset
from prunebench.planning import experiment, jobs
from prunebench.planning.suite import Suite, merge
from prunebench.pruning import masks
from prunebench.recipes.phases import Train
from prunebench.runtime import devices, progress
from prunebench.store.store import Store
from prunebench.training import loop

STRATEGIES = "imp,imp[rewind=0.5],imp[rewind=none],magnitude,magnitude-init,random-pruning,random-reinit,layer-shuffle"
WORDS = "bert.embeddings.word_embeddings.weight"
STRUCTURED = "heads,heads[rescore=true],random-pruning[of=heads]"


@pytest.fixture
def run(tiny_bert, tiny_glue, tmp_path):
    """Runs a suite on the tiny model; gives the store, the plan and the report."""

    def go(
        strategies,
        sparsities="0.2",
        tasks="rte",
        seeds="1",
        store="store",
        plugins=(),
        executor=None,
        keep=False,
        **options,
    ):
        registry = Registry(plugins)
        words = {"strategies": strategies, "sparsities": sparsities, "tasks": tasks, "seeds": seeds, **options}
        where = {"model": str(tiny_bert), "glue_dir": str(tiny_glue), "precision": "fp32", "device": "cpu"}
        suite = merge(Suite(), {"epochs": "2", "batch_size": "16", "lr": "1e-3", **where, **words})
        place = Store.create(tmp_path / store)
        plan = experiment.plan(suite, registry)
        todo = jobs.to_run(plan, place, keep=[cell.leaf for cell in plan.cells] if keep else ())
        with executor or SerialExecutor() as pool:
            report = scheduler.run(todo, pool, place, registry.files, Lines(todo), slots=2 if executor else 1)
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
        assert record["seconds"]["predict"] > 0
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
    assert not list((store.place.folder / "weights").glob("*")), "weights are thrown away once nothing needs them"


def test_masks_of_imp_are_nested(run):
    store, plan, _ = run("imp", "0.1,0.2,0.35")
    path = max((cell.leaf.path() for cell in plan.cells), key=len)
    found = [store.load("masks", node.key, masks.unpack) for node in path if jobs.makes_mask(node)]
    assert len(found) == 4  # 0.1, 0.2, 0.3 and, beside the ladder, 0.35
    for before, after in itertools.pairwise(found):
        assert all(not (after[name] & ~before[name]).any() for name in before)
        assert masks.pruned(after) > masks.pruned(before)


def test_a_job_reads_the_last_mask_before_it_and_no_other(run, monkeypatch):
    read = []
    load = Store.load
    monkeypatch.setattr(Store, "load", lambda store, *words: read.append(words[:2]) or load(store, *words))
    _, plan, _ = run("imp,random-pruning", "0.1,0.2,0.35")
    masked = [
        [node.key for node in node.path() if jobs.makes_mask(node)] for node in plan.nodes() if node.phase == Train()
    ]
    assert max(len(path) for path in masked) == 4
    assert sorted(name for kind, name in read if kind == "masks") == sorted(path[-1] for path in masked if path)


def test_a_record_tells_the_seconds_of_a_strategy_from_those_of_masks(run, monkeypatch):
    """By a clock that stands still but where a strategy is asked, and where a model is trained."""
    now = [0.0]
    monkeypatch.setattr(measurements, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def ticking(seconds, real):
        def timed(*args, **kwargs):
            now[0] += seconds
            return real(*args, **kwargs)

        return timed

    monkeypatch.setattr(worker.strategy_calls, "scores", ticking(5.0, worker.strategy_calls.scores))
    monkeypatch.setattr(worker.strategy_calls, "lowest", ticking(0.25, worker.strategy_calls.lowest))
    monkeypatch.setattr(worker.loop, "train", ticking(100.0, loop.train))
    store, _, _ = run("magnitude,heads", "0.25,0.5")
    spent = [record["seconds"] for record in store.records()]
    # One dense training, whose weights both methods score, once for both sparsities; and one after each pruning.
    assert sorted(seconds["train"] for seconds in spent if seconds["train"]) == [100.0] * 5
    assert [seconds["strategy"] for seconds in spent if seconds["strategy"]] == [10.0]
    assert sum(seconds["prune"] for seconds in spent) == 4 * 0.25
    assert not any(seconds["evaluate"] for seconds in spent)


def test_the_seconds_of_a_strategy_that_fails_are_its_own(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(measurements, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    seconds = measurements.Seconds(_since=0.0)
    with pytest.raises(ZeroDivisionError), seconds.of("strategy"):
        now[0] += 5.0
        now[0] /= 0
    now[0] += 0.25
    seconds.add("prune")
    assert (seconds.strategy, seconds.prune) == (5.0, 0.25)


@pytest.fixture
def starts(monkeypatch):
    """The weights at the start and at the end of every training."""
    seen = []
    real = loop.train

    def spy(model, *args, **kwargs):
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        outcome = real(model, *args, **kwargs)
        seen.append((before, {name: value.detach().clone() for name, value in model.named_parameters()}))
        return outcome

    monkeypatch.setattr(worker.loop, "train", spy)
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


def test_rewinding_to_a_fraction_is_rewinding_to_that_step(run, starts):
    """Half of 6 steps is step 3, and neither θ0 nor the end nor step 1."""
    _, _, report = run("imp[rewind=3],imp[rewind=0.5],imp[rewind=1]", "0.1")
    assert not report.failures
    (start, trained), (three, _), (half, _), (one, _) = starts
    assert all(torch.equal(three[name], half[name]) for name in three)
    for other in (start, trained, one):
        assert not torch.equal(three["classifier.weight"], other["classifier.weight"])


def test_rewinding_to_the_last_step_is_no_rewinding(run, starts):
    run("imp[rewind=6],imp[rewind=none]", "0.1")
    (_, trained), *rest = starts
    for before, _ in rest:
        for name, weight in before.items():
            stays = weight != 0
            assert torch.equal(weight[stays], trained[name][stays])
    assert len(rest) == 2


def standing(weights):
    """Which prunable weights of a model are not zero, by name."""
    return {name: weight != 0 for name, weight in weights.items() if weight.dim() == 2 and ".layer." in name}


def test_controls_change_what_they_say_and_nothing_else(run, starts, tiny_bert):
    """Against the file, and against the mask of IMP that each control starts from."""
    run("imp,random-pruning,random-pruning[counts=global],random-reinit,layer-shuffle", "0.1")
    dense, imp, *controls = [before for before, _ in starts]
    reinit, permuted, in_layers, in_all = sorted(controls, key=lambda control: _order(control, dense, imp))
    counts = {name: int(keep.sum()) for name, keep in standing(imp).items()}

    for random in (in_layers, in_all):
        found = standing(random)
        assert any(not torch.equal(found[name], keep) for name, keep in standing(imp).items())
        assert all(torch.equal(random[name][keep], dense[name][keep]) for name, keep in found.items())
        assert sum(int(keep.sum()) for keep in found.values()) == sum(counts.values())
    assert {name: int(keep.sum()) for name, keep in standing(in_layers).items()} == counts
    assert {name: int(keep.sum()) for name, keep in standing(in_all).items()} != counts

    assert all(torch.equal(keep, standing(imp)[name]) for name, keep in standing(reinit).items())
    assert not torch.equal(reinit[WORDS], dense[WORDS])

    assert torch.equal(permuted[WORDS], dense[WORDS])
    for name, keep in standing(permuted).items():
        other = (
            name.replace(".layer.0.", ".layer.x.").replace(".layer.1.", ".layer.0.").replace(".layer.x.", ".layer.1.")
        )
        assert torch.equal(permuted[name][keep], dense[other][keep]), "of two layers, each has the other's weights"
        assert torch.equal(keep, standing(imp)[name] & (dense[other] != 0))
    for control in controls:
        assert torch.equal(control["classifier.weight"], dense["classifier.weight"]), "the head is the seed's"


def _order(control, dense, imp):
    """Which control this is, by what only it has: other embeddings, other layers, IMP's counts, other counts."""
    if not torch.equal(control[WORDS], dense[WORDS]):
        return 0
    norm = "bert.encoder.layer.0.output.LayerNorm.weight"
    if not torch.equal(control[norm], dense[norm]):
        return 1
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    return 2 if int((control[name] != 0).sum()) == int((imp[name] != 0).sum()) else 3


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
        builtins.examples_of_spy = [ids for batch in ctx.batches() for ids in batch["input_ids"].tolist()]
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
    assert len(builtins.examples_of_spy) == 48, "the training split has 48 rows, the evaluated one 24"


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
    assert store.failure(leaf)["reason"] == reason
    assert not list((store.place.folder / "weights").glob("*"))
    file.write_text(RAISES.replace("1 / 0", "ctx.weights[name].abs()"))
    store, plan, report = run("raises,magnitude", "0.2", plugins=[file])
    assert not report.failures
    assert all(record is not None for record in records_of(store, plan).values())


def test_a_run_goes_on_after_one_that_was_stopped_half_way_in_the_model(run, tmp_path, monkeypatch):
    """As a person does in a notebook: the process has the model still, cut down to the tokens that are met."""

    def stopped(self, *arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(embedding_subset.EmbeddingSubset, "_restore", stopped)
        with pytest.raises(KeyboardInterrupt):
            run("magnitude", store="stopped")
    store, plan, _ = run("magnitude", store="stopped")
    found = records_of(store, plan)
    other, _, _ = run("magnitude", store="whole")
    assert {name: record and same(record) for name, record in found.items()} == {
        name: same(record) for name, record in records_of(other, plan).items()
    }


def test_a_training_that_diverges_is_a_failure_with_that_reason(run):
    store, plan, report = run("magnitude-init", "0.2", lr="1e30")
    assert all("diverged" in reason for reason in report.failures.values())
    assert len(report.failures) == 2
    assert all(record is None for record in records_of(store, plan).values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_worker_processes_give_the_same_records_bit_for_bit(run, monkeypatch, precision):
    """One thread here and one in each of two workers."""
    monkeypatch.setattr(local, "cores", lambda: 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here, plan, _ = run("imp,magnitude", "0.2", store="here", precision=precision)
    finally:
        torch.set_num_threads(threads)
    seen = []
    with progress.temporary_listener(seen.append):
        there, _, _ = run(
            "imp,magnitude", "0.2", store="there", executor=ProcessExecutor(Request(2)), precision=precision
        )
    trained = {node.key for node in plan.nodes() if there.record(node.key) and there.record(node.key)["steps"]}
    assert {moment.job for moment in seen if moment.step == moment.steps} == trained
    for cell in plan.cells:
        assert there.record(cell.leaf.key)["environment"]["threads"] == 1
        assert same(there.record(cell.leaf.key)) == same(here.record(cell.leaf.key))


LISTENS = """
import sys
from prunebench.runtime import progress
if not hasattr(sys, "listens"):  # a worker loads its plugins by itself
    sys.listens = lambda moment: print("step", moment.step, file=sys.stderr, flush=True)
    progress.listen(sys.listens)
"""


def test_killed_in_mid_training_and_continued(tiny_bert, tiny_glue, tmp_path):
    """SIGKILL in the middle of the third training; the same command then ends with the same records."""
    (tmp_path / "listens.py").write_text(LISTENS)
    words = ["run", "--tasks", "rte", "--strategies", "imp,magnitude,random-pruning,heads", "--sparsities", "0.2"]
    words += ["--seeds", "1", "--model", str(tiny_bert), "--glue-dir", str(tiny_glue), "--epochs", "5"]
    words += ["--batch-size", "4", "--device", "cpu", "--precision", "fp32", "--executor", "here"]
    words += ["--plugin", str(tmp_path / "listens.py")]

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
        command("cut"), env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    with process:
        starts = 0
        for line in process.stderr:
            starts += line == "step 10\n"
            if starts == 3 and line == "step 30\n":  # of 60
                process.send_signal(signal.SIGKILL)
                break
        process.stderr.read()
    assert process.returncode == -signal.SIGKILL
    whole, cut = Store.open(tmp_path / "whole"), Store.open(tmp_path / "cut")
    expected = {record["key"]: same(record) for record in whole.records()}
    before = {record["key"]: same(record) for record in cut.records()}
    assert len(before) == 2, "the trainings before the one that was killed"
    assert before.items() <= expected.items()
    done = subprocess.run(command("cut"), check=True, env=environment, capture_output=True, text=True)
    assert {record["key"]: same(record) for record in cut.records()} == expected
    assert "phases, 4 trainings\n" in done.stdout
    assert not [path for path in cut.place.folder.rglob("*") if path.name.startswith(".part-")]
    assert not list((cut.place.folder / "weights").glob("*"))


@pytest.mark.parametrize("seeds", [1, 5])
def test_two_runs_on_one_store_share_the_work(tiny_bert, tiny_glue, tmp_path, seeds):
    """Both end well, no training is done twice, and the records are those of one run alone; also of a single tree."""
    words = ["run", "--tasks", "rte", "--strategies", "imp,magnitude", "--sparsities", "0.2", "--seeds", str(seeds)]
    words += ["--model", str(tiny_bert), "--glue-dir", str(tiny_glue), "--epochs", "2", "--batch-size", "16"]
    words += ["--device", "cpu", "--precision", "fp32", "--jobs", "1", "--cpus-per-job", "1"]

    def start(store):
        command = [sys.executable, "-c", "from prunebench.cli import main; main()", *words, "--store", tmp_path / store]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def records(store):
        return {record["key"]: same(record) for record in Store.open(tmp_path / store).records()}

    runs = [start("whole"), start("shared"), start("shared")]
    said = [process.communicate() for process in runs]
    assert [process.returncode for process in runs] == [0, 0, 0], said
    alone, *together = (sum("loss" in line for line in err.splitlines()) for _, err in said)
    assert alone == sum(together) == 4 * seeds
    assert records("shared") == records("whole")
    assert not list((tmp_path / "shared" / "runs").iterdir())
    assert not list((tmp_path / "shared" / "weights").iterdir())


def test_what_is_wanted_only_for_what_another_run_has_done_is_not_done_again(run, tmp_path):
    """The dense training is lacking in nothing but its weights, and nobody needs those any more."""
    store, plan, _ = run("magnitude", "0.2")
    fresh = Store.create(tmp_path / "other")
    todo = jobs.to_run(plan, fresh)
    for record in store.records():
        fresh.add_record(record, b"")
    for path in (tmp_path / "store" / "masks").iterdir():
        fresh.add_bytes("masks", path.stem, path.read_bytes())
    with SerialExecutor() as pool:
        report = scheduler.run(todo, pool, fresh, (), Lines(todo))
    assert report.done == 0
    assert not report.failures


RAMPED = (
    LISTENS
    + """
from dataclasses import dataclass
from prunebench import Cubic, Train, hookimpl

@dataclass(frozen=True)
class Ramped:
    name = "ramped"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(sparsity=Cubic(sparsity, begin=0.1, end=0.9, updates=12))]
    def score(self, ctx):
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Ramped]
"""
)


def test_killed_in_mid_training_it_goes_on_from_its_checkpoint(tiny_bert, tiny_glue, tmp_path):
    """SIGKILL in the middle of a training whose mask grows; it goes on at that step, and ends with the same record."""
    (tmp_path / "ramped.py").write_text(RAMPED)
    words = ["run", "--tasks", "rte", "--strategies", "ramped", "--sparsities", "0.5", "--seeds", "1"]
    words += ["--executor", "here"]
    words += ["--model", str(tiny_bert), "--glue-dir", str(tiny_glue), "--epochs", "5", "--batch-size", "4"]
    words += ["--device", "cpu", "--precision", "fp32", "--plugin", str(tmp_path / "ramped.py")]

    def start(store, *more):
        command = [sys.executable, "-c", "from prunebench.cli import main; main()", *words, "--store", tmp_path / store]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
        return subprocess.Popen([*command, *more], env=environment, **pipes)

    with start("whole") as process:
        process.communicate()
    often = ("--checkpoint-minutes", "0")
    with start("cut", *often) as process:
        assert [line for line in iter(process.stderr.readline, "") if line == "step 10\n"]
    with start("cut2", *often) as process:
        trainings = 0
        for line in process.stderr:
            trainings += line == "step 10\n"
            if trainings == 2 and line == "step 30\n":  # of 60
                process.send_signal(signal.SIGKILL)
                break
        process.stderr.read()
    with start("cut2", *often) as process:
        steps = [line for line in process.stderr.read().splitlines() if line.startswith("step ")]
    assert steps[0] in ("step 30", "step 40"), "step 30 was told before its state was kept"
    whole = {record["key"]: same(record) for record in Store.open(tmp_path / "whole").records()}
    for store in ("cut", "cut2"):
        found = Store.open(tmp_path / store)
        assert {record["key"]: same(record) for record in found.records()} == whole
        # A writer that was killed may have left a temporary file, which is cleared away after a day.
        assert [path for path in (tmp_path / store / "checkpoints").iterdir() if ".part-" not in path.name] == []


DIES = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
from prunebench import Prune, Train, hookimpl

@dataclass(frozen=True)
class Dies:
    name = "dies"
    unit = "weight"
    times: int = 1
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        if os.environ.get("DIES"):
            with open(os.environ["DIES"], "a") as log:
                log.write("x")
            if Path(os.environ["DIES"]).stat().st_size <= self.times:
                os.kill(os.getpid(), signal.SIGKILL)
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Dies]
"""


def test_a_worker_that_is_killed_costs_no_result(run, tmp_path, monkeypatch, capsys):
    """kill -9 in the middle of a job, twice: the records are those of a run that nobody disturbed."""
    (tmp_path / "dies.py").write_text(DIES)
    words = {"strategies": "dies[times=2],imp", "plugins": [tmp_path / "dies.py"]}
    there, plan, _ = run(**words, store="whole", executor=ProcessExecutor(Request(2)))
    monkeypatch.setenv("DIES", str(tmp_path / "log"))
    store, plan, report = run(**words, executor=ProcessExecutor(Request(2)))
    assert report.failures == {}
    assert (tmp_path / "log").read_text() == "xxx"
    assert capsys.readouterr().err.count("its worker died: it was killed by SIGKILL") == 2
    for cell in plan.cells:
        assert same(store.record(cell.leaf.key)) == same(there.record(cell.leaf.key))


def test_a_strategy_that_always_kills_its_worker_costs_nobody_else_anything(run, tmp_path, monkeypatch, capsys):
    """The third time in pieces: the training that it shares, other branches of the job, and those that follow them."""
    (tmp_path / "dies.py").write_text(DIES)
    words = {"plugins": [tmp_path / "dies.py"], "seeds": "2"}
    others = "imp,magnitude,random-pruning,random-pruning[of=heads],heads"
    there, plan, _ = run(others, **words, store="whole", executor=ProcessExecutor(Request(2)))
    monkeypatch.setenv("DIES", str(tmp_path / "log"))
    store, mixed, report = run(f"dies[times=99],{others}", **words, executor=ProcessExecutor(Request(2)))
    assert set(report.failures) == {f"rte, seed {seed}, dies[times=99] 0.2: Train Prune(0.2)" for seed in (0, 1)}
    [reason] = set(report.failures.values())
    assert reason.startswith("its worker died 3 times: it was killed by SIGKILL")
    assert (tmp_path / "log").read_text() == "xxxxxx"
    lost = {label for (label, _, _), record in records_of(store, mixed).items() if record is None}
    assert lost == {"dies[times=99]"}
    for cell in plan.cells:
        assert same(store.record(cell.leaf.key)) == same(there.record(cell.leaf.key))
    assert not list((store.place.folder / "weights").glob("*"))
    assert capsys.readouterr().err.count("the job is run again") == 4


class _Deadly(SerialExecutor):
    """Dies of a job where `dies(job, times)` says so; so many times one of its anchor was submitted before."""

    def __init__(self, dies, error=local.WorkerDied):
        super().__init__()
        self.dies = dies
        self.error = error
        self.seen = Counter()
        self.scored = 0

    def submit(self, fn, job, store):
        name = job["anchor"], job["resumes"]
        self.seen[name] += 1
        self.scored += job["resumes"] * len(job["scored"])
        if self.dies(job, self.seen[name] - 1):
            future = Future()
            future.set_exception(self.error("as told"))
            return future
        return super().submit(fn, job, store)


LEAF = """
from dataclasses import dataclass
from prunebench import Cubic, Prune, Train, hookimpl

@dataclass(frozen=True)
class Leaf:
    name = "leaf"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(sparsity=Cubic(sparsity / 2, updates=3)), Prune(sparsity)]
    def score(self, ctx):
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Leaf]
"""


def test_every_job_in_pieces_gives_what_whole_jobs_give(run, tmp_path):
    """All kinds of phases, with rewinding to a step, models that are kept, and pruning that is scored as it stands."""
    (tmp_path / "leaf.py").write_text(LEAF)
    words = {"strategies": f"{STRATEGIES},{STRUCTURED},leaf", "sparsities": "0.2,0.5", "epochs": "1", "keep": True}
    words["plugins"] = [tmp_path / "leaf.py"]
    whole, _, _ = run(**words, store="whole")
    executor = _Deadly(lambda job, times: not job["resumes"] and times < 2)
    store, _, report = run(**words, executor=executor)
    assert report.failures == {} and not report.again
    assert executor.scored > 0, "pieces that write records"
    assert {one["key"]: same(one) for one in store.records()} == {one["key"]: same(one) for one in whole.records()}
    for kind in ("masks", "models", "weights", "failures"):
        found, wanted = ({path.name: path.read_bytes() for path in (tmp_path / name / kind).glob("*")}
                         for name in ("store", "whole"))  # fmt: skip
        assert found == wanted
        assert bool(found) == (kind in ("masks", "models"))


def test_a_training_that_dies_thrice_takes_what_follows_it_along(run):
    executor = _Deadly(lambda job, times: len(job["path"]) == 1 and job["path"][0]["phase"]["phase"] == "Train")
    store, plan, report = run("imp,magnitude-init", executor=executor)
    [reason] = set(report.failures.values())
    assert reason.startswith("its worker died 3 times: as told")
    assert max(executor.seen.values()) == 3
    found = records_of(store, plan)
    assert {label for (label, _, _), record in found.items() if record is None} == {"dense", "imp"}


def test_pruning_at_theta0_that_dies_costs_what_starts_from_it_and_nothing_else(run):
    """With an executor that has tried again by itself: it gets the pieces, but nothing a second time as it is."""
    executor = _Deadly(lambda job, times: not job["path"], WorkersDied)
    store, plan, report = run("imp,magnitude-init", executor=executor)
    assert list(report.failures) == ["rte, seed 0, magnitude-init 0.2: Prune(0.2)"]
    assert report.skipped == 1 and not report.again
    found = records_of(store, plan)
    assert {label for (label, _, _), record in found.items() if record is None} == {"magnitude-init"}
    assert set(executor.seen.values()) == {1}
    left = jobs.given_up(plan, store.snapshot([node.key for node in plan.nodes()]))
    assert {node.made_for for node in left} == {"magnitude-init 0.2"}


def test_weights_that_a_killed_run_has_left_for_pieces_are_thrown_away(run, tmp_path):
    _, plan, _ = run("imp", store="whole")
    dense = next(cell.leaf for cell in plan.cells if not cell.sparsity)
    store = Store.create(tmp_path / "store")
    store.add_bytes("weights", dense.key, b"as a first piece leaves them")
    run("imp")
    assert not list((tmp_path / "store" / "weights").iterdir())


def test_threads_go_by_the_room_and_not_by_the_jobs_that_are_left(monkeypatch):
    """Else the last job of a run that goes on would sum in another order than beside others."""
    monkeypatch.setattr(devices, "cores", lambda: 8)
    registry, running = Registry(), Running(slots=2, executor=None, address="", cpus=None, gpus=None)
    chosen = merge(Suite(), {"tasks": "sentiment", "device": "cpu"})
    for left, jobs_at_once in ((10, 2), (1, 1)):
        request = request_for(chosen, registry, running, left)
        assert (request.jobs, request.cpus) == (jobs_at_once, 4)
    assert isinstance(executor_of(registry, None, request), ProcessExecutor), "a lone job too may die"


def test_a_job_in_this_process_has_the_threads_that_it_was_given():
    before = torch.get_num_threads()
    try:
        assert SerialExecutor(cpus=3).submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_what_a_worker_has_printed_is_there_after_it_has_ended(capfd, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with ProcessExecutor(Request(1, cpus=1)) as pool:
        pool.submit(exec, "print('half a line', end='')").result()
    assert capfd.readouterr().out == "half a line"


FIRST_MOMENTS = """
import multiprocessing
from pathlib import Path
from prunebench.execution.executors.local import ProcessExecutor, Request

if __name__ == "__main__":
    with ProcessExecutor(Request(1)) as pool:
        done = pool.submit(abs, -1)
        while not (workers := multiprocessing.active_children()):
            pass
        while not done.done():
            lines = dict(line.split(":", 1) for line in Path(f"/proc/{workers[0].pid}/status").read_text().splitlines())
            deaf = {what: int(lines[what], 16) >> 1 & 1 for what in ("SigBlk", "SigIgn")}
            assert any(deaf.values()), deaf
    print("deaf all along")
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks /proc which signals a process hears")
def test_a_worker_is_deaf_to_ctrl_c_from_its_first_moment_on(tmp_path):
    """In a process of its own, in which nothing of multiprocessing has been used before."""
    (tmp_path / "first.py").write_text(FIRST_MOMENTS)
    done = subprocess.run([sys.executable, tmp_path / "first.py"], capture_output=True, text=True)
    assert done.stdout == "deaf all along\n", done.stderr


def test_a_worker_ends_in_silence_where_its_output_is_closed():
    code = (
        "from prunebench.execution.executors.base import Request\n"
        "from prunebench.execution.executors.local import ProcessExecutor\n"
        "pool = ProcessExecutor(Request(1, 1)); pool.submit(int).result()"
    )
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", f"{code}; pool.shutdown()"]
    ended = subprocess.run(closed, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_worker_that_has_lost_its_gpu_costs_one_job_and_is_replaced():
    """CUDA would give the same error again for every later job of that process."""
    lose = "import torch; raise torch.AcceleratorError('an illegal memory access was encountered')"
    with ProcessExecutor(Request(1, cpus=1)) as pool:
        first = pool.submit(os.getpid).result()
        assert pool.submit(os.getpid).result() == first
        with pytest.raises(torch.AcceleratorError, match="illegal memory access"):
            pool.submit(exec, lose).result()
        second = pool.submit(os.getpid).result()
        assert second != first
        with pytest.raises(torch.OutOfMemoryError):
            pool.submit(exec, "import torch; raise torch.OutOfMemoryError('it is full')").result()
        assert pool.submit(os.getpid).result() == second


def test_an_executor_that_is_broken_ends_the_run_with_one_line(run):
    with pytest.raises(PrunebenchError, match=r"takes no more jobs.*the same command goes on"):
        run("dense", executor=_Broken(1))


class _Broken(SerialExecutor):
    def __init__(self, jobs):
        self.jobs = jobs

    def submit(self, fn, /, *args, **kwargs):
        raise BrokenExecutor("the pool is gone")


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
