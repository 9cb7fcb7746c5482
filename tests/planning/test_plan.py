"""Plans: shared work runs once, keys depend on everything that matters, and jobs come after those that they need."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import EXPERIMENT

from prunebench import Protocol, Prune, Rewind, Train
from prunebench.hooks.registry import Registry
from prunebench.planning import counting, jobs
from prunebench.planning.compile import compile_plan
from prunebench.planning.graph import mask_key, read_nodes
from prunebench.planning.job_spec import JobSpec
from prunebench.planning.methods import Method
from prunebench.store.schema import Location, WeightsRef

NINE = tuple(round(0.1 * k, 1) for k in range(1, 10))
ALL = ["imp", "magnitude", "magnitude-init", "random-pruning", "random-reinit", "layer-shuffle", "heads"]


class Contents:
    """The part of a store that a plan sees."""

    def __init__(self, **names):
        self.names = {"records": set(), "masks": set(), "weights": set()} | names

    def has(self, kind, name):
        return name in self.names[kind]

    def after(self, todo):
        """The same store after these jobs, whose weights are discarded."""
        self.names["records"] |= {key for job in todo for key in job.records}
        self.names["masks"] |= {key for job in todo for key in job.masks}
        return self


@pytest.fixture(scope="module")
def registry():
    return Registry()


def plan_of(registry, strategies, levels=NINE, experiments=(EXPERIMENT,)):
    return compile_plan(experiments, strategies, {"rte": levels}, registry, Location())


def with_seeds(seeds):
    return [EXPERIMENT.model_copy(update={"seed": seed}) for seed in seeds]


def trainings(plan):
    return sum(isinstance(node.phase, Train) for node in plan.nodes())


def test_dense_imp_and_two_controls_at_nine_levels_train_28_times(registry):
    plan = plan_of(registry, ["dense", "imp", "random-pruning", "random-reinit"])
    todo = jobs.jobs_to_run(plan, Contents())
    assert len(plan.cells) == 1 + 3 * 9
    assert trainings(plan) == 28
    assert counting.count(plan, todo, Contents()).trainings == 28
    # Each alone: dense 1, IMP at level k 1 + k, each control as many as IMP at its level.
    assert counting.count(plan, todo, Contents()).requested_trainings == 1 + 3 * sum(1 + k for k in range(1, 10))


def test_a_second_run_trains_nothing(registry):
    plan = plan_of(registry, ALL)
    store = Contents()
    assert jobs.jobs_to_run(plan_of(registry, ALL), store.after(jobs.jobs_to_run(plan, store))) == []


def test_a_level_between_the_rungs_is_a_side_branch(registry):
    plain, branched = plan_of(registry, ["imp"], (0.3,)), plan_of(registry, ["imp"], (0.25, 0.3))
    assert trainings(branched) == trainings(plain) + 1
    assert {node.key for node in plain.nodes()} < {node.key for node in branched.nodes()}


def test_methods_added_later_reuse_the_earlier_work(registry):
    store = Contents()
    store.after(jobs.jobs_to_run(plan_of(registry, ["imp"]), store))
    todo = jobs.jobs_to_run(plan_of(registry, ["imp", "random-pruning", "random-reinit", "layer-shuffle"]), store)
    assert sum(job.trains for job in todo) == 3 * 9, "a control's mask needs no training of its method again"
    assert counting.count(plan_of(registry, ["imp"]), [], store).trainings == 0


def test_one_shot_magnitude_trains_the_dense_model_again_only_for_its_weights(registry):
    store = Contents()
    store.after(jobs.jobs_to_run(plan_of(registry, ["dense"]), store))
    plan = plan_of(registry, ["magnitude"], (0.5,))
    todo = jobs.jobs_to_run(plan, store)
    count = counting.count(plan, todo, store)
    assert (count.trainings, count.again) == (2, 1)
    assert [len(job.weights) for job in todo] == [1, 0]


def needs_weights(job):
    """Whether a job trains on from trained weights: no rewind to θ0 stands between it and the training before."""
    path = job.anchor.path()[:-1]
    kinds = [type(node.phase).__name__ for node in path]
    last = max((i for i, kind in enumerate(kinds) if kind in ("Rewind", "Reinit", "Train")), default=None)
    return job.trains and last is not None and (kinds[last] == "Train" or bool(getattr(path[last].phase, "to", 0)))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([*ALL, "imp[rewind=none]", "imp[rewind=0.1]", "imp[rate=0.2,of=remaining]"]), min_size=1),
    st.lists(st.sampled_from([0.05, 0.1, 0.25, 0.3, 0.36, 0.5]), min_size=1, unique=True).map(sorted),
)
def test_jobs_cover_the_plan_once_and_come_after_those_that_they_need(registry, strategies, levels):
    plan = plan_of(registry, strategies, tuple(levels))
    todo = jobs.jobs_to_run(plan, Contents())
    covered = [node for job in todo for node in job.phases]
    assert sorted(node.key for node in covered) == sorted(node.key for node in plan.nodes())
    assert len(covered) == len(set(covered))
    done = set()
    for job in todo:
        assert job.needs <= done
        assert sum(isinstance(node.phase, Train) for node in job.nodes) == job.trains
        assert bool(job.reads) == needs_weights(job)
        assert job.reads <= {weights for other in job.needs for weights in other.weights}
        done.add(job)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_run_that_was_stopped_anywhere_goes_on(registry, data):
    """Whatever part is stored, that part and the remaining jobs are the whole plan."""
    plan = plan_of(registry, ["imp", "magnitude", "random-pruning", "heads"], (0.1, 0.2))
    whole = jobs.jobs_to_run(plan, Contents())
    store = Contents().after(whole[: data.draw(st.integers(0, len(whole)))])
    todo = jobs.jobs_to_run(plan_of(registry, ["imp", "magnitude", "random-pruning", "heads"], (0.1, 0.2)), store)
    store.after(todo)
    assert store.names["records"] == {key for job in whole for key in job.records}
    assert all(job.missing(Contents(**{**store.names, "weights": set()})) is False for job in whole if not job.weights)


def test_cells_of_one_seed_share_their_dense_run(registry):
    plan = plan_of(registry, ["imp", "heads"], (0.5,), with_seeds((0, 1)))
    for cell in plan.cells:
        first = cell.leaf.path()[0]
        experiment = cell.leaf.experiment
        dense = next(c for c in plan.cells if c.method.label == "dense" and c.leaf.experiment == experiment)
        assert first is dense.leaf


@pytest.mark.parametrize(
    "change",
    [
        {"task": "mrpc"},
        {"code": "engine 2"},
        {"data": "e"},
        {"model": EXPERIMENT.model.model_copy(update={"fingerprint": "g"})},
        {"protocol": Protocol(epochs=1).to_json()},
        {"seed": 1},
        {"precision": "bf16"},
        {"device": "cuda"},
        {"prunable": "encoder+pooler"},
    ],
)
def test_everything_that_matters_is_in_the_key(change):
    assert EXPERIMENT.model_copy(update=change).key != EXPERIMENT.key


def test_names_and_locations_are_not_in_the_key(registry):
    model = EXPERIMENT.model.model_copy(update={"name": "copy"})
    renamed = EXPERIMENT.model_copy(update={"model": model})
    assert renamed.key == EXPERIMENT.key
    plan = plan_of(registry, ["imp"], (0.1,))
    elsewhere = Location(model="elsewhere", glue_dir="elsewhere")
    moved = compile_plan([renamed], ["imp"], {"rte": (0.1,)}, registry, elsewhere)
    assert [node.key for node in moved.nodes()] == [node.key for node in plan.nodes()]


def test_options_and_defaults_are_in_the_key(registry):
    keys = {
        text: plan_of(registry, [text], (0.1,)).cells[-1].leaf.key
        for text in ("imp", "imp[rate=0.1]", "imp[rate=0.2]", "imp[of=remaining]", "imp[rewind=0.1]", "magnitude")
    }
    assert keys["imp"] == keys["imp[rate=0.1]"]
    assert len(set(keys.values())) == len(keys) - 1


def test_rewinding_into_a_training_needs_its_snapshot(registry):
    plan = plan_of(registry, ["imp[rewind=0.1]"], (0.2,))
    todo = jobs.jobs_to_run(plan, Contents())
    assert todo[0].weights == {WeightsRef(training=todo[0].key, at=0.1)}
    assert all(job.reads == todo[0].weights for job in todo[1:])
    rewinds = [node.phase for node in plan.nodes() if isinstance(node.phase, Rewind)]
    assert rewinds == [Rewind(0.1)] * 2


def test_a_recipe_that_ends_in_pruning_is_scored_there(registry, tmp_path):
    file = tmp_path / "pruned_only.py"
    file.write_text(
        "from dataclasses import dataclass\nfrom prunebench import *\n"
        "@dataclass(frozen=True)\nclass P:\n    name = 'pruned-only'\n    unit = 'weight'\n"
        "    def recipe(self, sparsity):\n        return [Train(), Prune(sparsity)]\n"
        "    def score(self, ctx):\n        return {n: w.abs() for n, w in ctx.weights.items()}\n"
        "@hookimpl\ndef prunebench_strategies():\n    return [P]\n"
    )
    plan = plan_of(Registry([file]), ["pruned-only"], (0.5,))
    [job] = jobs.jobs_to_run(plan, Contents())
    assert [type(node.phase) for node in job.nodes] == [Train, Prune]
    assert len(job.records) == 2


def test_concurrent_runs_begin_with_different_trees_and_keep_the_order_in_each(registry):
    todo = jobs.jobs_to_run(plan_of(registry, ["imp", "magnitude"], (0.1,), with_seeds(range(5))), Contents())
    first = []
    for earlier in range(3):
        order = jobs.stagger(todo, earlier, 3)
        seeds = [job.anchor.experiment.seed for job in order]
        assert sorted(todo, key=id) == sorted(order, key=id)
        for seed in range(5):
            assert [job for job in order if job.anchor.experiment.seed == seed] == [
                job for job in todo if job.anchor.experiment.seed == seed
            ]
        assert list(dict.fromkeys(seeds)) == [(seeds[0] + step) % 5 for step in range(5)]
        first.append(seeds[0])
    assert first == [0, 1, 3]


def test_a_worker_rebuilds_the_nodes_of_a_job(registry):
    """From the job as JSON, which is all that it gets."""
    plan = plan_of(registry, ["imp[rewind=0.1]", "magnitude", "magnitude-init", "heads", "random-reinit"], (0.1, 0.2))
    for job in jobs.jobs_to_run(plan, Contents()):
        message = json.dumps(job.to_spec(plan.where).model_dump(mode="json"))
        path, anchor = read_nodes(JobSpec.model_validate_json(message), registry)
        assert [node.key for node in path] == [node.key for node in job.anchor.path()]
        rebuilt, original = list(anchor.walk()), job.nodes
        assert [node.key for node in rebuilt] == [node.key for node in original]
        for own, other in zip(rebuilt, original, strict=True):
            assert (own.phase, own.strategy, own.moves, own.scored) == (
                other.phase,
                other.strategy,
                other.moves,
                other.scored,
            )
        assert anchor.experiment == job.anchor.experiment


def test_a_planned_cell_becomes_the_cell_of_a_store(registry):
    plan = plan_of(registry, ["imp", "random-pruning"], (0.2,))
    dense, imp, control = (cell.to_cell() for cell in plan.cells)
    assert (dense.label, dense.sparsity, dense.mask, len(dense.trainings)) == ("dense", 0.0, "", 1)
    assert imp.setting == EXPERIMENT.setting
    assert imp.trainings[0] == dense.key and imp.trainings[-1] == imp.key and len(imp.trainings) == 3
    pruned = [node for node in plan.cells[1].leaf.path() if isinstance(node.phase, Prune)]
    assert imp.mask == mask_key(plan.cells[1].leaf) == pruned[-1].key
    assert (control.control_of, control.mask) == ("imp", ""), "a random mask is drawn again"


def test_a_strategy_may_have_options_that_are_tuples(tmp_path):
    """JSON has lists for them, in plans as in keys."""
    file = tmp_path / "with_layers.py"
    file.write_text(
        "from dataclasses import dataclass\nfrom prunebench import *\n"
        "@dataclass(frozen=True)\nclass L:\n    name = 'with-layers'\n    unit = 'weight'\n"
        "    layers: tuple[int, ...] = (0, 1)\n"
        "    def recipe(self, sparsity):\n        return [Train(), Prune(sparsity)]\n"
        "    def score(self, ctx):\n        return {n: w.abs() for n, w in ctx.weights.items()}\n"
        "@hookimpl\ndef prunebench_strategies():\n    return [L]\n"
    )
    registry = Registry([file])
    assert Method("with-layers", registry).info.options == {"layers": [0, 1]}
    plan = plan_of(registry, ["with-layers"], (0.5,))
    assert plan.strategies(registry)["with-layers"].options == {"layers": [0, 1]}
    assert plan.cells[-1].to_cell().options == {"layers": [0, 1]}
