"""Suites on the tiny model, run in this process or on an executor."""

from __future__ import annotations

import pytest

from prunebench.execution import scheduler
from prunebench.execution.context import Context
from prunebench.execution.display import Lines
from prunebench.execution.executors.local import SerialExecutor
from prunebench.execution.scheduler import Dispatch
from prunebench.hooks.registry import Registry
from prunebench.models import sources
from prunebench.models.encoder import load, load_tokenizer
from prunebench.models.families import FAMILIES
from prunebench.planning import experiment, jobs
from prunebench.planning.suite import Suite, merge
from prunebench.pruning import masks, structures
from prunebench.store.store import Store
from prunebench.tasks.task import DataSource
from prunebench.training import loop
from prunebench.training.batching import encode


@pytest.fixture(scope="session")
def run_at(tiny_bert, tiny_glue):
    """Runs a suite on the tiny model; returns the store, the plan and the report. Raises unexpected errors."""

    def run_suite(
        store,
        strategies,
        sparsities="0.2",
        tasks="rte",
        seeds="1",
        plugins=(),
        executor=None,
        keep=False,
        dispatch=None,
        **options,
    ):
        registry = Registry(plugins)
        words = {"strategies": strategies, "sparsities": sparsities, "tasks": tasks, "seeds": seeds, **options}
        where = {"model": str(tiny_bert), "glue_dir": str(tiny_glue), "precision": "fp32", "device": "cpu"}
        suite = merge(Suite(), {"epochs": "2", "batch_size": "16", "lr": "1e-3", **where, **words})
        results = Store.create(store)
        plan = experiment.plan(suite, registry)
        todo = jobs.jobs_to_run(plan, results, keep=[cell.leaf for cell in plan.cells] if keep else ())
        settings = Dispatch(plan.location, registry.files, slots=2 if executor else 1, **dispatch or {})
        with executor or SerialExecutor() as pool:
            report = scheduler.run(todo, pool, results, Lines(todo), settings)
        if report.unexpected:
            raise report.unexpected
        return results, plan, report

    return run_suite


@pytest.fixture
def run(run_at, tmp_path):
    """Runs a suite as `run_at` does, on a store of that name in the folder of the test."""

    def run_here(*words, store="store", **options):
        return run_at(tmp_path / store, *words, **options)

    return run_here


@pytest.fixture
def planned(tiny_bert, tiny_glue, tmp_path):
    """Plans a suite of one seed and one epoch; returns the plan, the store and a function that runs what is left."""

    def plan_suite(strategies, sparsities="0.2", plugins=(), **options):
        registry = Registry(plugins)
        words = {"tasks": "rte", "strategies": strategies, "sparsities": sparsities, "seeds": "1", "epochs": "1"}
        where = {"model": str(tiny_bert), "glue_dir": str(tiny_glue), "precision": "fp32", "device": "cpu"}
        plan = experiment.plan(merge(Suite(), {**words, **where, **options}), registry)
        store = Store.create(tmp_path / "store")

        def finish():
            todo = jobs.jobs_to_run(plan, store)
            with SerialExecutor() as pool:
                return scheduler.run(todo, pool, store, Lines(todo), Dispatch(plan.location, registry.files))

        return plan, store, finish

    return plan_suite


@pytest.fixture
def weights_of_trainings(monkeypatch):
    """The weights before and after every training in this process, as pairs."""
    pairs = []
    real = loop.train

    def spy(model, *args, **kwargs):
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        outcome = real(model, *args, **kwargs)
        pairs.append((before, {name: value.detach().clone() for name, value in model.named_parameters()}))
        return outcome

    monkeypatch.setattr(loop, "train", spy)
    return pairs


@pytest.fixture(scope="module")
def context_on(tiny_models, tiny_glue):
    """Returns a context on a tiny model and RTE, the model, and the encoded training split."""

    def make_context(family="bert", unit="head", mask=None, prune_pooler=False, precision="fp32"):
        source = sources.resolve(str(tiny_models[family]), FAMILIES)
        architecture = next(each for each in FAMILIES if each.name == source.family)
        prunable = load(source, architecture, num_labels=2, regression=False, seed=0, prune_pooler=prune_pooler)
        data = Registry().get("tasks", "rte").load(DataSource(tiny_glue)).train
        encoded = encode(load_tokenizer(source), data, 64)
        full = masks.full({name: group.shape for name, group in structures.groups(prunable, unit).items()})
        context = Context(
            prunable,
            mask or full,
            unit,
            encoded,
            initial={name: parameter.detach().clone() for name, parameter in prunable.model.named_parameters()},
            seed=0,
            batch_size=4,
            precision=precision,
            device="cpu",
        )
        return context, prunable, encoded

    return make_context
