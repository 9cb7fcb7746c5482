"""The plan of a transfer: what is shared runs once, and masks arrive after they are found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports.transfer_grid import TASKS, question
from samples import EXPERIMENT

from prunebench import PrunebenchError, Train
from prunebench.hooks.registry import Registry
from prunebench.planning import counting, jobs
from prunebench.planning.compile import compile_plan
from prunebench.planning.transfer import plan_transfer
from prunebench.recipes.phases import Adopt
from prunebench.reports.transfer import default_controls
from prunebench.store.schema import Location


@pytest.fixture(scope="module")
def registry():
    return Registry()


def make_plan(experiments, question, registry):
    return plan_transfer(experiments, question, registry, Location())


def roots(tasks=TASKS, seeds=(0,)):
    return [
        EXPERIMENT.model_copy(update={"task": task, "data": f"data of {task}", "seed": seed})
        for task in tasks
        for seed in seeds
    ]


class Contents:
    """The part of a store that a plan reads."""

    def __init__(self):
        self.names = set()
        self.failures = {}

    def has(self, kind, name):
        return (kind, name) in self.names

    def after(self, todo):
        """The contents once these jobs are done."""
        self.names |= {("records", key) for job in todo for key in job.records}
        self.names |= {("masks", key) for job in todo for key in job.masks}
        return self


def trainings(todo):
    return sum(job.trains for job in todo)


def test_three_tasks_at_30_percent_train_24_times_and_not_54(registry):
    """By hand: on each task dense and three rounds of IMP, a random mask, θ0's mask; then each mask on two others.

    3 · (4 + 1 + 1) + 3 · 2 = 24 for each seed. Without sharing, each target needs dense 1, IMP's mask from each task
    and its training 4, a random mask 4 and θ0's mask 1: 3 · (1 + 3 · 4 + 4 + 1) = 54.
    """
    transfer = make_plan(roots(), question(), registry)
    todo = jobs.jobs_to_run(transfer, Contents())
    count = counting.count(transfer, todo, Contents())
    assert len(transfer.cells) == 3 * (1 + 3 + 2)
    assert (count.trainings, count.requested_trainings) == (24, 54)
    two = make_plan(roots(seeds=(0, 1)), question(), registry)
    assert trainings(jobs.jobs_to_run(two, Contents())) == 48


def test_a_transfer_reuses_what_a_run_has_done(registry):
    """After a run of IMP and the controls only the trainings of foreign masks are left: 6 for each seed."""
    store = Contents()
    levels = dict.fromkeys(TASKS, (0.3,))
    strategies = ["imp", "random-pruning", "magnitude-init"]
    store.after(jobs.jobs_to_run(compile_plan(roots(), strategies, levels, registry, Location()), store))
    todo = jobs.jobs_to_run(make_plan(roots(), question(), registry), store)
    assert [[type(node.phase) for node in job.anchor.path()] for job in todo] == [[Adopt, Train]] * 6
    assert jobs.jobs_to_run(make_plan(roots(), question(), registry), store.after(todo)) == []


def test_on_its_own_task_a_mask_is_the_one_that_imp_trains_there(registry):
    """The very same nodes, and so are those of the controls."""
    transfer = make_plan(roots(), question(), registry)
    run = compile_plan(
        roots(), ["imp", "random-pruning", "magnitude-init"], dict.fromkeys(TASKS, (0.3,)), registry, Location()
    )
    keys = {(cell.method.label, cell.leaf.experiment.task): cell.leaf.key for cell in run.cells}
    for cell in transfer.cells:
        target, mask = cell.leaf.experiment.task, (cell.mask_from or "dense")
        same = keys.get(("imp" if mask == target else mask, target))
        assert (cell.leaf.key == same) is (mask == target or mask not in TASKS)


@pytest.mark.parametrize("strategy", ["magnitude", "imp[rewind=none]", "imp[rewind=0.1]", "heads"])
def test_every_mask_is_trained_from_theta0(registry, strategy):
    """Also if the method itself goes on from trained weights. Controls do as the masks do."""
    from prunebench.recipes.phase import trains_from_theta0

    transfer = make_plan(roots(), question(strategy, controls=default_controls(strategy, registry)), registry)
    for cell in transfer.cells:
        if cell.method.label != "dense":
            assert trains_from_theta0([node.phase for node in cell.leaf.path()])
            last = cell.leaf.path()[-1].phase
            assert isinstance(last, Train) is (strategy != "heads"), "heads are removed from the model at the end"


def test_the_key_on_the_target_depends_on_how_the_mask_was_found(registry):
    def key(question, roots):
        cells = make_plan(roots, question, registry).cells
        return next(c.leaf.key for c in cells if c.leaf.experiment.task == "rte" and c.mask_from == "mrpc")

    keys = [key(question(), roots()), key(question("imp[rate=0.2]"), roots()), key(question(sparsity=0.2), roots())]
    changed = [root.model_copy(update={"data": "edited"}) if root.task == "mrpc" else root for root in roots()]
    keys.append(key(question(), changed))
    assert len(set(keys)) == 4
    assert key(question(), roots()) == keys[0]


def test_sources_and_targets_may_differ(registry):
    """One source, one other target: IMP runs on both, because universal masks are judged by the target's own mask."""
    transfer = make_plan(roots(("rte", "mrpc")), question(sources=("mrpc",), targets=("rte",), controls=()), registry)
    cells = [(cell.leaf.experiment.task, cell.mask_from) for cell in transfer.cells]
    assert cells == [("rte", ""), ("rte", "mrpc"), ("rte", "rte")]
    # dense and 3 rounds on rte; on mrpc dense and the 2 rounds that lead to the mask; the foreign mask.
    assert trainings(jobs.jobs_to_run(transfer, Contents())) == 4 + 3 + 1


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_jobs_come_after_what_they_need_and_a_stopped_run_goes_on(registry, data):
    strategy = data.draw(st.sampled_from(["imp", "magnitude", "heads", "imp[rewind=none]"]))
    transfer_question = question(strategy, 0.2, controls=default_controls(strategy, registry))
    transfer = make_plan(roots(seeds=(0, 1)), transfer_question, registry)
    todo = jobs.jobs_to_run(transfer, Contents())
    covered = [node for job in todo for node in job.phases]
    assert sorted(node.key for node in covered) == sorted(node.key for node in transfer.nodes())
    done = set()
    for job in todo:
        assert job.needs <= done
        adopted = {node.mask_source.key for node in job.anchor.path() if node.mask_source}
        assert adopted <= {key for other in job.needs for key in other.masks}
        done.add(job)
    store = Contents().after(todo[: data.draw(st.integers(0, len(todo)))])
    store.after(jobs.jobs_to_run(make_plan(roots(seeds=(0, 1)), transfer_question, registry), store))
    assert {name for kind, name in store.names if kind == "records"} == {key for job in todo for key in job.records}


def test_a_failed_source_gives_up_the_cells_that_adopt_its_mask(registry):
    transfer = make_plan(roots(), question(), registry)
    store = Contents()
    source = next(node for node in transfer.nodes() if node.experiment.task == "mrpc" and node.purpose == "imp 0.3")
    assert isinstance(source.phase, Train)  # the dense training, with which IMP starts
    store.failures = {source.key: "diverged"}
    given_up = jobs.failed_before(transfer, store)
    cells = {(cell.leaf.experiment.task, cell.mask_from) for cell in transfer.cells if cell.leaf in given_up}
    on_mrpc = {("mrpc", mask) for mask in ("", "mrpc", "random-pruning")}
    assert cells == {*on_mrpc, ("rte", "mrpc"), ("cola", "mrpc")}
    assert set(given_up.values()) == {"diverged"}
    assert len(jobs.jobs_to_run(transfer, store, given_up)) < len(jobs.jobs_to_run(transfer, Contents()))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (question("dense"), "'dense' finds no mask"),
        (question("random-pruning"), "is a control and finds no mask"),
        (question(sparsity=0.0), "finds no mask at sparsity 0"),
        (question(sparsity=1.5), "outside"),
        (question("heads"), "prunes weights and 'heads' heads"),
        (question(controls=("random-prunning",)), "did you mean 'random-pruning'"),
    ],
)
def test_an_impossible_transfer_is_refused(registry, question, message):
    with pytest.raises(PrunebenchError, match=message):
        make_plan(roots(), question, registry)
