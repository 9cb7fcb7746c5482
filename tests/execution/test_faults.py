"""What can go wrong in a run, planted on purpose: each check must be able to fail, and each fault be told."""

from __future__ import annotations

import types

import pytest
import torch
from prunebench.cli.display import Lines

from prunebench import PrunebenchError
from prunebench.execution import measurements, scheduler, strategy_calls, worker
from prunebench.execution.checkpoints import Checkpoints
from prunebench.execution.executors.local import SerialExecutor
from prunebench.execution.workspace import Subject, subject
from prunebench.hooks.registry import Registry
from prunebench.models.encoder import load
from prunebench.models.families import FAMILIES
from prunebench.models.loading import model_source
from prunebench.planning import experiment, jobs
from prunebench.planning.graph import root_json
from prunebench.planning.suite import Suite, merge
from prunebench.pruning import masks
from prunebench.recipes.phases import Prune, Train
from prunebench.runtime import memory
from prunebench.store import claims
from prunebench.store.store import Store, StoreError

PLUGIN = """
from dataclasses import dataclass
from prunebench import *

@dataclass(frozen=True)
class Mine:
    name = "mine"
    unit = "weight"
    fault: str = ""
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Rewind()] if self.fault == "ends" else [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        if self.fault == "moves":
            for weight in ctx.weights.values():
                weight.mul_(2)
        if self.fault == "initial":
            for weight in ctx.initial.values():
                weight.zero_()
        if self.fault == "nothing":
            return None
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Mine]
"""


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def planned(tiny_bert, tiny_glue, tmp_path):
    """Plans a suite on the tiny model; gives the plan, the store and a function that runs what is left."""

    def go(strategies, sparsities="0.2", plugins=(), **options):
        registry = Registry(plugins)
        words = {"tasks": "rte", "strategies": strategies, "sparsities": sparsities, "seeds": "1", "epochs": "1"}
        where = {"model": str(tiny_bert), "glue_dir": str(tiny_glue), "precision": "fp32", "device": "cpu"}
        plan = experiment.plan(merge(Suite(), {**words, **where, **options}), registry)
        store = Store.create(tmp_path / "store")

        def finish():
            todo = jobs.to_run(plan, store)
            with SerialExecutor() as pool:
                return scheduler.run(todo, pool, store, registry.files, Lines(todo))

        return plan, store, finish

    return go


def leaf(store, plan):
    return store.record(plan.cells[-1].leaf.key)


def test_a_recipe_that_ends_in_a_rewind_is_scored_once(planned, plugin):
    plan, store, finish = planned("mine[fault=ends]", plugins=[plugin])
    assert finish().done == 2
    assert leaf(store, plan)["steps"] == 0
    assert leaf(store, plan)["sparsity"]["pruned"] == masks.pruned_count(0.2, 16384)
    assert jobs.to_run(plan, store) == []


def test_a_job_keeps_what_it_frees_and_is_held_against_64_examples(planned, monkeypatch):
    """Both are there for speed alone, and no result would show that they are not done."""
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
    assert leaf(store, plan)["checks"]["compact_agrees"] is True
    assert compared.count(5) == 2


def test_at_sparsity_zero_every_method_is_the_dense_model(planned):
    plan, store, finish = planned("imp,magnitude,random-pruning,random-pruning[of=magnitude]", "0")
    assert not finish().failures
    dense = store.record(plan.cells[0].leaf.key)["evaluations"]
    assert store.record(plan.cells[1].leaf.key)["evaluations"] == dense
    assert all(store.record(cell.leaf.key)["sparsity"]["pruned"] == 0 for cell in plan.cells)


def test_a_rewind_beyond_the_end_is_refused_before_anything_runs(planned):
    with pytest.raises(PrunebenchError, match=r"'imp\[rewind=500\]' rewinds to step 500.*has 2 steps"):
        planned("imp[rewind=500],magnitude")


@pytest.mark.parametrize(("family", "limit"), [("bert", 64), ("roberta", 64), ("distilbert", 64)])
def test_a_text_that_is_too_long_is_told(planned, tiny_models, tiny_glue, tmp_path, family, limit):
    """RoBERTa has 66 positions and uses 64 of them."""
    (tmp_path / "RTE").mkdir()
    rows = (tiny_glue / "RTE" / "train.tsv").read_text().splitlines()
    long = rows[1].split("\t")
    long[1] = " ".join([long[1]] * 20)
    (tmp_path / "RTE" / "train.tsv").write_text("\n".join([rows[0], "\t".join(long), *rows[2:]]) + "\n")
    (tmp_path / "RTE" / "dev.tsv").write_text((tiny_glue / "RTE" / "dev.tsv").read_text())
    where = {"model": str(tiny_models[family]), "glue_dir": str(tmp_path)}
    _, _, finish = planned("dense", **where)
    [reason] = finish().failures.values()
    assert f"reads {limit} (--max-length {limit})" in reason
    _, _, finish = planned("dense", **where, max_length=str(limit))
    assert not finish().failures


def test_a_plugin_edited_between_plan_and_run_is_not_run(planned, plugin):
    _, _, finish = planned("mine", plugins=[plugin])
    plugin.write_text(PLUGIN.replace("weight.abs()", "-weight.abs()"))
    [reason] = finish().failures.values()
    assert "edited after it was planned" in reason


def test_a_score_must_leave_the_weights_alone(planned, plugin):
    _, _, finish = planned("mine[fault=moves]", plugins=[plugin])
    [reason] = finish().failures.values()
    assert "changed weights in score()" in reason


def test_a_score_of_nothing_is_told(planned, plugin):
    _, _, finish = planned("mine[fault=nothing]", plugins=[plugin])
    [reason] = finish().failures.values()
    assert "gave None as scores" in reason


def test_a_strategy_cannot_reach_theta0(planned, plugin):
    """What `ctx.initial` gives is a copy: the next rewind is still to the file."""
    plan, store, finish = planned("mine[fault=initial],imp", plugins=[plugin])
    assert not finish().failures
    assert leaf(store, plan)["checks"]["rewound_exactly"] is True


def test_weights_that_are_not_theta0_are_recorded_as_such(planned, monkeypatch):
    real = Subject.load

    def off(self, weights):
        real(self, weights)
        with torch.no_grad():
            next(self.model.parameters()).view(-1)[0] += 1e-6

    monkeypatch.setattr(Subject, "load", off)
    plan, store, finish = planned("imp")
    finish()
    assert leaf(store, plan)["checks"]["rewound_exactly"] is False


def test_seeds_share_one_model_and_each_has_its_own_head(tiny_bert, tiny_glue):
    """θ0 is bit for bit what loading with that seed gives, whatever was trained before."""
    chosen = {"tasks": "rte", "seeds": "2", "model": str(tiny_bert), "glue_dir": str(tiny_glue), "device": "cpu"}
    registry = Registry()
    found = experiment.roots(merge(Suite(), chosen), registry)
    source = model_source(str(tiny_bert), registry)
    models = []
    for root in (*found, found[0]):
        sample = subject(root_json(root), registry)
        models.append(sample.model)
        wanted = load(source, FAMILIES[0], num_labels=2, regression=False, seed=root.seed).model
        assert all(torch.equal(sample.theta0[name], weight) for name, weight in wanted.named_parameters())
        with torch.no_grad():
            for parameter in sample.model.parameters():
                parameter.fill_(7)
    assert models[0] is models[1] is models[2]
    head = "classifier.weight"
    assert not torch.equal(*(subject(root_json(root), registry).theta0[head] for root in found))


def test_checks_can_fail(planned):
    plan, _, _ = planned("heads")
    root = jobs.to_run(plan, store=planned("heads")[1])[0].to_json(())["root"]
    sample = subject(root, Registry())
    name = sample.prunable.prunable[0]
    keep = {name: torch.ones_like(sample.theta0[name], dtype=torch.bool)}
    keep[name][0, 0] = False
    sample.load(sample.theta0)
    path = [Train(), Prune(0.5)]
    stray = measurements.checks(sample, path, {"a": torch.tensor([True, False])}, keep)
    assert stray == {"count_exact": True, "pruned_weights_zero": False}
    with torch.no_grad():
        sample.model.get_parameter(name)[0, 0] = 0
    missed = measurements.checks(sample, path, {"a": torch.tensor([True, True])}, keep)
    assert missed == {"count_exact": False, "pruned_weights_zero": True}
    other = type(sample.model)(sample.model.config)
    assert measurements.agreement(sample, other, "cpu")["compact_agrees"] is False
    assert measurements.agreement(sample, sample.model, "cpu") == {}


@pytest.mark.parametrize(
    "allocate", [lambda: torch.empty(1 << 60), lambda: bytearray(1 << 62)], ids=["torch", "Python"]
)
def test_memory_that_runs_out_is_a_failure_with_that_reason(planned, monkeypatch, allocate):
    """More than any machine has is really asked for, where a training would ask for its share."""
    monkeypatch.setattr(worker.loop, "train", lambda *arguments, **options: allocate())
    _, _, finish = planned("dense")
    report = finish()
    [reason] = report.failures.values()
    assert reason == "it ran out of memory (fewer --jobs or a smaller --batch-size need less)"
    assert report.unexpected is None


def test_a_last_step_that_diverges_is_a_failure_with_that_reason(planned):
    """The loss of the only step is that of the pre-trained weights; what it makes of them is beyond all numbers."""
    _, _, finish = planned("dense", lr="1e30", train_limit="8")
    [reason] = finish().failures.values()
    assert reason == "the model's logits are not finite: its training diverged"


def test_a_mask_never_brings_units_back():
    context = types.SimpleNamespace(mask={"a": torch.tensor([True, True, False])})
    strategy = types.SimpleNamespace(name="s", prune=lambda ctx, sparsity: {"a": torch.tensor([True, False, True])})
    with pytest.raises(PrunebenchError, match="brought pruned units back"):
        strategy_calls.moved(strategy, context, 1 / 3, 1)


def test_what_a_method_does_to_its_mask_in_place_changes_no_other():
    def prune(ctx, sparsity):
        ctx.mask["a"][0] = False
        return ctx.mask

    mask = {"a": torch.tensor([True, True, False])}
    context = types.SimpleNamespace(mask=mask)
    answer = strategy_calls.moved(types.SimpleNamespace(name="s", prune=prune), context, 2 / 3, 2)
    assert answer["a"].tolist() == [False, True, False]
    assert mask["a"].tolist() == [True, True, False]


@pytest.mark.parametrize("kind", ["damaged", "gone"])
def test_a_mask_that_is_damaged_or_gone_is_made_again(planned, kind):
    plan, store, finish = planned("imp")
    finish()
    expected = {path.name: path.read_bytes() for path in (store.place.folder / "masks").glob("*")}
    plan, store, finish = planned("imp,random-pruning,random-reinit", "0.1,0.2")
    todo = jobs.to_run(plan, store)
    for path in (store.place.folder / "masks").glob("*"):
        path.write_bytes(b"nothing") if kind == "damaged" else path.unlink()
    with SerialExecutor() as pool:
        report = scheduler.run(todo, pool, store, (), Lines(todo))
    assert report.again
    assert not report.failures
    while finish().again:
        pass
    assert all(store.record(cell.leaf.key) for cell in plan.cells)
    assert {name: (store.place.folder / "masks" / name).read_bytes() for name in expected} == expected


@pytest.mark.parametrize("end", ["done", "failed", "killed"])
def test_a_job_that_another_run_is_at_is_left_to_it(planned, monkeypatch, end):
    """Until it is done there, or has failed there, or nothing more is heard of that run."""
    plan, store, _ = planned("magnitude,magnitude-init")
    todo = jobs.to_run(plan, store)
    dense = next(job for job in todo if job.trains and not job.needs)
    display = Lines(todo)
    held_up = []

    def elsewhere(job):
        held_up.append(job)
        if end == "done":
            worker.run(job.to_json(), store.name)
        if end == "failed":
            store.add_failure(job.anchor.key, "it diverged", "as it was there")
        if end == "killed":
            monkeypatch.setattr(claims, "SILENCE", 0.0)
        else:
            other.claims(())

    display.held_up = elsewhere
    monkeypatch.setattr(claims, "POLL", 0.0)
    with Store.open(store.name).announced() as other, SerialExecutor() as pool:
        assert other.claim(dense.anchor.key)
        report = scheduler.run(todo, pool, store, (), display)
    assert held_up == [dense]
    if end == "failed":
        assert set(report.failures.values()) == {"it diverged"}
        assert store.failure(dense.anchor.key)["details"] == "as it was there"
        assert report.skipped == len([job for job in todo if dense in job.needs])
    else:
        assert not report.failures
        assert report.done == len(todo) - (end == "done")
        assert all(store.record(cell.leaf.key) for cell in plan.cells)


def test_what_another_run_does_while_this_one_claims_it_is_not_done_again(planned, monkeypatch):
    """It began and ended between this one's looks at what is taken and at who else claims."""
    plan, store, _ = planned("magnitude,magnitude-init")
    todo = jobs.to_run(plan, store)
    dense = next(job for job in todo if job.trains and not job.needs)
    real = claims.Presence.claim

    def late(here, key, beside=()):
        if key == dense.anchor.key:
            worker.run(dense.to_json(), store.name)
        return real(here, key, beside)

    monkeypatch.setattr(claims.Presence, "claim", late)
    with SerialExecutor() as pool:
        report = scheduler.run(todo, pool, store, (), Lines(todo))
    assert (report.done, report.failures) == (len(todo) - 1, {})
    assert all(store.record(cell.leaf.key) for cell in plan.cells)


def test_weights_that_another_run_threw_away_are_made_again(planned):
    """Two runs on one store: the other one has finished and cleaned up while this one was at work."""
    plan, store, finish = planned("magnitude", "0.2,0.3")
    real = Store.discard_weights
    todo = jobs.to_run(plan, store)
    display = Lines(todo)
    display.started = lambda job: [real(store, path.stem) for path in (store.place.folder / "weights").glob("*")]
    with SerialExecutor() as pool:
        report = scheduler.run(todo, pool, store, (), display)
    assert report.again
    assert not report.failures
    while finish().again:
        pass
    assert all(store.record(cell.leaf.key) for cell in plan.cells)
    assert not list((store.place.folder / "weights").glob("*"))


def test_the_clock_counts_what_is_left_by_task():
    def job(task, trains=True):
        root = types.SimpleNamespace(task=task, protocol_label="glue-1", precision="fp32", device="cpu")
        return types.SimpleNamespace(trains=trains, anchor=types.SimpleNamespace(root=root))

    todo = [job("rte"), job("rte"), job("rte"), job("mrpc"), job("rte", trains=False)]
    clock = scheduler.Clock(todo, {})
    assert clock.total() is None
    assert clock.left(todo[0], 10.0) is None, "mrpc has never been trained"
    clock = scheduler.Clock(todo, {scheduler.pace(todo[3]): 100.0}, slots=2)
    assert clock.left(todo[0], 10.0) == (2 * 10 + 100) / 2
    assert clock.left(todo[1], 30.0) == (20 + 100) / 2
    assert clock.left(todo[3], None) == 20 / 2, "given up"
    assert clock.left(todo[4], 5.0) == 20 / 2


def test_the_registry_of_a_worker_is_kept_between_jobs():
    assert worker._registry(()) is worker._registry(())


@pytest.mark.parametrize(("error", "stays"), [(PrunebenchError("diverged"), False), (StoreError("full"), True)])
def test_the_state_before_a_training_that_diverges_is_thrown_away(tmp_path, error, stays):
    store = Store.create(tmp_path / "store")
    store.keep_checkpoint("k", b"a state")

    def fail():
        raise error

    with pytest.raises(PrunebenchError):
        Checkpoints(store, "k", 1.0).guarding(fail)
    assert store.has("checkpoints", "k") is stays
