"""Plans: what is shared runs once, keys change with everything that matters, and jobs need what they need."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import Protocol, Prune, Rewind, Train
from prunebench.hooks.registry import Registry
from prunebench.planning import jobs
from prunebench.planning.graph import Root, build

NINE = tuple(round(0.1 * k, 1) for k in range(1, 10))
ALL = ["imp", "magnitude", "magnitude-init", "random-pruning", "random-reinit", "layer-shuffle", "heads"]


class Contents:
    """A store as far as a plan sees it."""

    def __init__(self, **names):
        self.names = {"records": set(), "masks": set(), "weights": set()} | names

    def has(self, kind, name):
        return name in self.names[kind]

    def after(self, todo):
        """What is there when these jobs have run and their weights are thrown away."""
        self.names["records"] |= {key for job in todo for key in job.records}
        self.names["masks"] |= {key for job in todo for key in job.masks}
        return self


@pytest.fixture(scope="module")
def registry():
    return Registry()


ROOT = Root(
    task="rte",
    code="engine 1",
    data="d",
    sizes={"train": 10},
    model={"name": "m", "revision": "", "fingerprint": "f", "family": "bert"},
    protocol=Protocol().to_json(),
    protocol_label="glue-1",
    seed=0,
    precision="fp32",
    device="cpu",
    prunable="encoder",
    where={},
)


def plan_of(registry, strategies, levels=NINE, roots=(ROOT,)):
    return build(roots, strategies, {"rte": levels}, registry)


def trainings(plan):
    return sum(isinstance(node.phase, Train) for node in plan.nodes())


def test_dense_imp_and_two_controls_at_nine_levels_train_28_times(registry):
    plan = plan_of(registry, ["dense", "imp", "random-pruning", "random-reinit"])
    todo = jobs.to_run(plan, Contents())
    assert len(plan.cells) == 1 + 3 * 9
    assert trainings(plan) == 28
    assert jobs.count(plan, todo, Contents()).trainings == 28
    # Each alone: dense 1, IMP at level k 1 + k, each control as many as IMP at its level.
    assert jobs.count(plan, todo, Contents()).asked_trainings == 1 + 3 * sum(1 + k for k in range(1, 10))


def test_a_second_run_trains_nothing(registry):
    plan = plan_of(registry, ALL)
    store = Contents()
    assert jobs.to_run(plan_of(registry, ALL), store.after(jobs.to_run(plan, store))) == []


def test_a_level_between_the_rungs_is_a_side_branch(registry):
    plain, branched = plan_of(registry, ["imp"], (0.3,)), plan_of(registry, ["imp"], (0.25, 0.3))
    assert trainings(branched) == trainings(plain) + 1
    assert {node.key for node in plain.nodes()} < {node.key for node in branched.nodes()}


def test_what_is_added_later_runs_alone(registry):
    store = Contents()
    store.after(jobs.to_run(plan_of(registry, ["imp"]), store))
    todo = jobs.to_run(plan_of(registry, ["imp", "random-pruning", "random-reinit", "layer-shuffle"]), store)
    assert sum(job.trains for job in todo) == 3 * 9, "a control's mask needs no training of its method again"
    assert jobs.count(plan_of(registry, ["imp"]), [], store).trainings == 0


def test_one_shot_magnitude_trains_the_dense_model_again_only_for_its_weights(registry):
    store = Contents()
    store.after(jobs.to_run(plan_of(registry, ["dense"]), store))
    plan = plan_of(registry, ["magnitude"], (0.5,))
    todo = jobs.to_run(plan, store)
    count = jobs.count(plan, todo, store)
    assert (count.trainings, count.again) == (2, 1)
    assert [len(job.weights) for job in todo] == [1, 0]


def needs_weights(job):
    """A job that trains on from trained weights: no rewind stands between it and the training before."""
    path = job.anchor.path()[:-1]
    kinds = [type(node.phase).__name__ for node in path]
    last = max((i for i, kind in enumerate(kinds) if kind in ("Rewind", "Reinit", "Train")), default=None)
    return job.trains and last is not None and (kinds[last] == "Train" or bool(getattr(path[last].phase, "to", 0)))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([*ALL, "imp[rewind=none]", "imp[rewind=0.1]", "imp[rate=0.2,of=remaining]"]), min_size=1),
    st.lists(st.sampled_from([0.05, 0.1, 0.25, 0.3, 0.36, 0.5]), min_size=1, unique=True).map(sorted),
)
def test_jobs_cover_the_plan_once_and_stand_after_what_they_need(registry, strategies, levels):
    plan = plan_of(registry, strategies, tuple(levels))
    todo = jobs.to_run(plan, Contents())
    covered = [node for job in todo for node in job.phases]
    assert sorted(node.key for node in covered) == sorted(node.key for node in plan.nodes())
    assert len(covered) == len(set(covered))
    done = set()
    for job in todo:
        assert job.needs <= done
        assert sum(isinstance(node.phase, Train) for node in job.nodes) == job.trains
        assert bool(job.reads) == needs_weights(job)
        assert not job.reads or any(job.reads in other.weights for other in job.needs)
        done.add(job)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_run_stopped_anywhere_goes_on(registry, data):
    """Whatever part is stored, what is left together with it is the whole plan, and nothing else is run."""
    plan = plan_of(registry, ["imp", "magnitude", "random-pruning", "heads"], (0.1, 0.2))
    whole = jobs.to_run(plan, Contents())
    store = Contents().after(whole[: data.draw(st.integers(0, len(whole)))])
    todo = jobs.to_run(plan_of(registry, ["imp", "magnitude", "random-pruning", "heads"], (0.1, 0.2)), store)
    store.after(todo)
    assert store.names["records"] == {key for job in whole for key in job.records}
    assert all(job.missing(Contents(**{**store.names, "weights": set()})) is False for job in whole if not job.weights)


def test_cells_of_one_seed_share_their_dense_run(registry):
    seeds = [dataclasses.replace(ROOT, seed=seed) for seed in (0, 1)]
    plan = plan_of(registry, ["imp", "heads"], (0.5,), seeds)
    for cell in plan.cells:
        first = cell.leaf.path()[0]
        dense = next(c for c in plan.cells if c.method["label"] == "dense" and c.leaf.root == cell.leaf.root)
        assert first is dense.leaf


@pytest.mark.parametrize(
    "change",
    [
        {"task": "mrpc"},
        {"code": "engine 2"},
        {"data": "e"},
        {"model": {**ROOT.model, "fingerprint": "g"}},
        {"protocol": Protocol(epochs=1).to_json()},
        {"seed": 1},
        {"precision": "bf16"},
        {"device": "cuda"},
        {"prunable": "encoder+pooler"},
    ],
)
def test_everything_that_matters_is_in_the_key(change):
    assert dataclasses.replace(ROOT, **change).key() != ROOT.key()


def test_what_does_not_matter_is_not_in_the_key():
    elsewhere = dataclasses.replace(ROOT, where={"model": "elsewhere"}, model={**ROOT.model, "name": "copy"})
    assert elsewhere.key() == ROOT.key()


def test_options_and_defaults_are_in_the_key(registry):
    keys = {
        text: plan_of(registry, [text], (0.1,)).cells[-1].leaf.key
        for text in ("imp", "imp[rate=0.1]", "imp[rate=0.2]", "imp[of=remaining]", "imp[rewind=0.1]", "magnitude")
    }
    assert keys["imp"] == keys["imp[rate=0.1]"]
    assert len(set(keys.values())) == len(keys) - 1


def test_rewinding_into_a_training_wants_its_snapshot(registry):
    plan = plan_of(registry, ["imp[rewind=0.1]"], (0.2,))
    todo = jobs.to_run(plan, Contents())
    assert todo[0].weights == {f"{todo[0].anchor.key}-at-0.1"}
    assert {job.reads for job in todo[1:]} == todo[0].weights
    rewinds = [node.phase for node in plan.nodes() if isinstance(node.phase, Rewind)]
    assert rewinds == [Rewind(0.1)] * 2


def test_pruning_is_scored_where_a_recipe_ends(registry, tmp_path):
    file = tmp_path / "pruned_only.py"
    file.write_text(
        "from dataclasses import dataclass\nfrom prunebench import *\n"
        "@dataclass(frozen=True)\nclass P:\n    name = 'pruned-only'\n    unit = 'weight'\n"
        "    def recipe(self, sparsity):\n        return [Train(), Prune(sparsity)]\n"
        "    def score(self, ctx):\n        return {n: w.abs() for n, w in ctx.weights.items()}\n"
        "@hookimpl\ndef prunebench_strategies():\n    return [P]\n"
    )
    plan = plan_of(Registry([file]), ["pruned-only"], (0.5,))
    [job] = jobs.to_run(plan, Contents())
    assert [type(node.phase) for node in job.nodes] == [Train, Prune]
    assert len(job.records) == 2


def test_runs_on_one_store_begin_with_different_trees_and_keep_the_order_in_each(registry):
    roots = tuple(dataclasses.replace(ROOT, seed=seed) for seed in range(5))
    todo = jobs.to_run(plan_of(registry, ["imp", "magnitude"], (0.1,), roots), Contents())
    first = []
    for before in range(3):
        found = jobs.begun_elsewhere(todo, before, 3)
        seeds = [job.anchor.root.seed for job in found]
        assert sorted(todo, key=id) == sorted(found, key=id)
        for seed in range(5):
            assert [job for job in found if job.anchor.root.seed == seed] == [
                job for job in todo if job.anchor.root.seed == seed
            ]
        assert list(dict.fromkeys(seeds)) == [(seeds[0] + step) % 5 for step in range(5)]
        first.append(seeds[0])
    assert first == [0, 1, 3]
