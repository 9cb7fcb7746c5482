"""Transfer of masks: what is shared runs once, masks arrive as they were found, and the grid says what the numbers say.

`python tests/test_transfer.py` writes the golden files.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import random
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import call
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import Protocol, PrunebenchError, Train
from prunebench.execution import scheduler
from prunebench.execution.display import Lines
from prunebench.execution.executors.base import Request
from prunebench.execution.executors.local import ProcessExecutor, SerialExecutor
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment, jobs
from prunebench.planning.compile import compile_plan
from prunebench.planning.suite import Suite, merge
from prunebench.planning.transfer import plan_transfer
from prunebench.pruning import masks
from prunebench.recipes.phases import Adopt
from prunebench.reports.leaderboard import loss_of
from prunebench.reports.render.blocks import Paragraph, Table
from prunebench.reports.transfer import Question, build, default_controls, terminal, write
from prunebench.reports.transfer.page import blocks, opening
from prunebench.reports.transfer.picture import heat_map
from prunebench.reports.transfer.write import to_csv
from prunebench.results.rows import Row, stored_rows
from prunebench.store.schema import Cell, Command, Experiment, Location, Setting, StoredPlan, digest
from prunebench.store.store import Store
from prunebench.training import loop

GOLDEN = Path(__file__).parents[1] / "golden" / "transfer"
TASKS = ("rte", "mrpc", "cola")
EXPERIMENT = Experiment(
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
)


@pytest.fixture(scope="module")
def registry():
    return Registry()


def trees(tasks=TASKS, seeds=(0,)):
    return [
        EXPERIMENT.model_copy(update={"task": task, "data": f"data of {task}", "seed": seed})
        for task in tasks
        for seed in seeds
    ]


def plan(experiments, asked, registry):
    return plan_transfer(experiments, asked, registry, Location())


def question(strategy="imp", sparsity=0.3, sources=TASKS, targets=TASKS, controls=("random-pruning", "magnitude-init")):
    return Question(sources, targets, strategy, sparsity, controls)


class Contents:
    """A store as far as a plan sees it."""

    def __init__(self):
        self.names = set()
        self.failures = {}

    def has(self, kind, name):
        return (kind, name) in self.names

    def after(self, todo):
        self.names |= {("records", key) for job in todo for key in job.records}
        self.names |= {("masks", key) for job in todo for key in job.masks}
        return self


def trainings(todo):
    return sum(job.trains for job in todo)


# The plan


def test_three_tasks_at_30_percent_train_24_times_and_not_54(registry):
    """By hand: on each task dense and three rounds of IMP, a random mask, θ0's mask; then each mask on two others.

    3 · (4 + 1 + 1) + 3 · 2 = 24 for each seed. Asked for: dense 1, IMP's mask found on any task and trained 4, a random
    one 4, θ0's 1, for each target: 3 · (1 + 3 · 4 + 4 + 1) = 54.
    """
    made = plan(trees(), question(), registry)
    todo = jobs.jobs_to_run(made, Contents())
    count = jobs.count(made, todo, Contents())
    assert len(made.cells) == 3 * (1 + 3 + 2)
    assert (count.trainings, count.asked_trainings) == (24, 54)
    two = plan(trees(seeds=(0, 1)), question(), registry)
    assert trainings(jobs.jobs_to_run(two, Contents())) == 48


def test_what_a_run_has_done_is_not_done_again(registry):
    """After a run of IMP and the controls only the trainings of foreign masks are left: 6 for each seed."""
    store = Contents()
    levels = dict.fromkeys(TASKS, (0.3,))
    strategies = ["imp", "random-pruning", "magnitude-init"]
    store.after(jobs.jobs_to_run(compile_plan(trees(), strategies, levels, registry, Location()), store))
    todo = jobs.jobs_to_run(plan(trees(), question(), registry), store)
    assert [[type(node.phase) for node in job.anchor.path()] for job in todo] == [[Adopt, Train]] * 6
    assert jobs.jobs_to_run(plan(trees(), question(), registry), store.after(todo)) == []


def test_on_its_own_task_a_mask_is_the_one_that_imp_trains_there(registry):
    """The very same nodes, and so are those of the controls."""
    made = plan(trees(), question(), registry)
    levels = dict.fromkeys(TASKS, (0.3,))
    run = compile_plan(trees(), ["imp", "random-pruning", "magnitude-init"], levels, registry, Location())
    keys = {(cell.method.label, cell.leaf.experiment.task): cell.leaf.key for cell in run.cells}
    for cell in made.cells:
        target, mask = cell.leaf.experiment.task, cell.mask_from or "dense"
        same = keys.get(("imp" if mask == target else mask, target))
        assert (cell.leaf.key == same) is (mask == target or mask not in TASKS)


@pytest.mark.parametrize("strategy", ["magnitude", "imp[rewind=none]", "imp[rewind=0.1]", "heads"])
def test_every_mask_is_trained_from_theta0(registry, strategy):
    """Also where the method itself goes on from what it has trained; and controls do as the masks do."""
    from prunebench.recipes.phases import to_json, trains_from_theta0

    asked = question(strategy, controls=default_controls(strategy, registry))
    made = plan(trees(), asked, registry)
    for cell in made.cells:
        if cell.method.label != "dense":
            assert trains_from_theta0([to_json(node.phase) for node in cell.leaf.path()])
            last = cell.leaf.path()[-1].phase
            assert isinstance(last, Train) is (strategy != "heads"), "heads leave the model in the end"


def test_the_key_on_the_target_depends_on_how_the_mask_was_found(registry):
    def key(asked, roots):
        cells = plan(roots, asked, registry).cells
        return next(c.leaf.key for c in cells if c.leaf.experiment.task == "rte" and c.mask_from == "mrpc")

    keys = [key(question(), trees()), key(question("imp[rate=0.2]"), trees()), key(question(sparsity=0.2), trees())]
    changed = [r.model_copy(update={"data": "edited"}) if r.task == "mrpc" else r for r in trees()]
    keys.append(key(question(), changed))
    assert len(set(keys)) == 4
    assert key(question(), trees()) == keys[0]


def test_sources_and_targets_may_differ(registry):
    """One source, one other target: IMP on both (a target's own mask is what universal is judged by)."""
    asked = question(sources=("mrpc",), targets=("rte",), controls=())
    made = plan(trees(("rte", "mrpc")), asked, registry)
    found = [(cell.leaf.experiment.task, cell.mask_from) for cell in made.cells]
    assert found == [("rte", ""), ("rte", "mrpc"), ("rte", "rte")]
    # dense and 3 rounds on rte; on mrpc dense and the 2 rounds after which the mask stands; the foreign mask.
    assert trainings(jobs.jobs_to_run(made, Contents())) == 4 + 3 + 1


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_jobs_stand_after_what_they_need_and_a_stopped_run_goes_on(registry, data):
    strategy = data.draw(st.sampled_from(["imp", "magnitude", "heads", "imp[rewind=none]"]))
    asked = question(strategy, 0.2, controls=default_controls(strategy, registry))
    made = plan(trees(seeds=(0, 1)), asked, registry)
    whole = jobs.jobs_to_run(made, Contents())
    covered = [node for job in whole for node in job.phases]
    assert sorted(node.key for node in covered) == sorted(node.key for node in made.nodes())
    done = set()
    for job in whole:
        assert job.needs <= done
        found = {node.mask_source.key for node in job.anchor.path() if node.mask_source}
        assert found <= {key for other in job.needs for key in other.masks}
        done.add(job)
    store = Contents().after(whole[: data.draw(st.integers(0, len(whole)))])
    store.after(jobs.jobs_to_run(plan(trees(seeds=(0, 1)), asked, registry), store))
    assert {name for kind, name in store.names if kind == "records"} == {key for job in whole for key in job.records}


def test_a_mask_that_was_never_found_takes_those_with_it_that_were_to_adopt_it(registry):
    made = plan(trees(), question(), registry)
    store = Contents()
    source = next(node for node in made.nodes() if node.experiment.task == "mrpc" and node.purpose == "imp 0.3")
    assert isinstance(source.phase, Train)  # the dense one, which IMP starts with
    store.failures = {source.key: "diverged"}
    lost = jobs.failed_before(made, store)
    gone = {(cell.leaf.experiment.task, cell.mask_from) for cell in made.cells if cell.leaf in lost}
    on_mrpc = {("mrpc", mask) for mask in ("", "mrpc", "random-pruning")}
    assert gone == {*on_mrpc, ("rte", "mrpc"), ("cola", "mrpc")}
    assert set(lost.values()) == {"diverged"}
    assert len(jobs.jobs_to_run(made, store, lost)) < len(jobs.jobs_to_run(made, Contents()))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (question("dense"), "'dense' finds no mask"),
        (question("random-pruning"), "is a control and finds no mask"),
        (question(sparsity=0.0), "finds no mask at sparsity 0"),
        (question(sparsity=1.5), "outside"),
        (question("heads"), "prunes weights and 'heads' heads"),
        (question(controls=("random-prunning",)), "did you mean 'random-pruning'"),
    ],
)
def test_what_cannot_be_transferred_is_refused(registry, asked, message):
    with pytest.raises(PrunebenchError, match=message):
        plan(trees(), asked, registry)


# Runs


@pytest.fixture
def run(tiny_bert, tiny_glue, tmp_path):
    """Runs a transfer on the tiny model; gives the store, the plan and the report."""

    def go(asked, store="store", seeds="1", executor=None, first=None, plugins=(), **options):
        registry = Registry(plugins)
        where = {"model": str(tiny_bert), "glue_dir": str(tiny_glue), "precision": "fp32", "device": "cpu"}
        words = {"tasks": list(asked.masks), "seeds": seeds, "epochs": "2", "batch_size": "16", "lr": "1e-3"}
        suite = merge(Suite(), {**where, **words, **options})
        place = Store.create(tmp_path / store)
        made = plan_transfer(experiment.experiments(suite, registry), asked, registry, experiment.location(suite))
        failed = jobs.failed_before(made, place.snapshot([node.key for node in made.nodes()]))
        todo = jobs.jobs_to_run(made, place, failed)[:first]
        with executor or SerialExecutor() as pool:
            slots = 2 if executor else 1
            dispatch = scheduler.Dispatch(made.where, registry.files, slots=slots)
            report = scheduler.run(todo, pool, place, Lines(todo), dispatch)
        if report.unexpected:
            raise report.unexpected
        return place, made, report

    return go


def same(record):
    return record.model_dump(exclude={"seconds", "peak_memory_mb", "environment"})


def by_mask(made):
    return {(cell.leaf.experiment.task, cell.mask_from or "dense"): cell for cell in made.cells}


def found_mask(store, cell):
    """The mask that a transferred cell has adopted."""
    [phase] = [node.phase for node in cell.leaf.path() if isinstance(node.phase, Adopt)]
    return store.load("masks", phase.mask, masks.unpack)


def test_a_mask_arrives_as_it_was_found_under_theta0_and_the_head_of_the_target(run, monkeypatch):
    """Tasks with two labels and with a score: the mask is of the encoder, the head is the target's own."""
    begun = []
    real = loop.train

    def spy(model, *args, **kwargs):
        begun.append({name: value.detach().clone() for name, value in model.named_parameters()})
        return real(model, *args, **kwargs)

    monkeypatch.setattr(loop, "train", spy)
    asked = question(sparsity=0.2, sources=("rte", "stsb"), targets=("rte", "stsb"), controls=())
    store, made, report = run(asked)
    assert not report.failures
    cells = by_mask(made)
    dense = {}
    for weights in begun:
        if not any((weight == 0).any() and name.endswith("weight") for name, weight in weights.items()):
            dense[len(weights["classifier.weight"])] = weights
    assert set(dense) == {1, 2}
    for target, source, labels in (("rte", "stsb", 2), ("stsb", "rte", 1)):
        mask = found_mask(store, cells[target, source])
        assert masks.pruned(mask) == masks.pruned_count(0.2, masks.units(mask))
        wanted = {name: weight * mask[name] if name in mask else weight for name, weight in dense[labels].items()}
        assert any(all(torch.equal(weights[name], wanted[name]) for name in wanted) for weights in begun
                   if len(weights["classifier.weight"]) == labels)  # fmt: skip
        record = store.record(cells[target, source].leaf.key)
        assert record.checks == {"rewound_exactly": True, "count_exact": True, "pruned_weights_zero": True}
        assert record.sparsity.realised == masks.pruned(mask) / masks.units(mask)
        own = store.record(cells[target, target].leaf.key)
        assert record.evaluations != own.evaluations or record.loss != own.loss


def test_costs_are_those_of_the_source_and_of_one_training_on_the_target(run):
    asked = question(sparsity=0.2, sources=("rte", "mrpc"), targets=("rte", "mrpc"), controls=())
    store, made, _ = run(asked)
    rows = stored_rows([StoredPlan(cells=[c.to_cell() for c in made.cells])], store)
    moved = next(row for row in rows if row.cell.task == "rte" and row.cell.mask_from == "mrpc")
    assert (moved.outcome.find.trainings, moved.outcome.train.trainings) == (2, 1)
    assert moved.outcome.from_theta0
    records = [store.record(key) for key in moved.cell.trainings]
    assert [record.experiment.task for record in records] == ["mrpc", "mrpc", "rte"]
    assert (
        moved.dense
        == store.record(by_mask(made)["rte", "dense"].leaf.key).evaluations["validation"].metrics["accuracy"]
    )


@pytest.mark.parametrize("strategy", ["heads", "magnitude"])
def test_heads_and_methods_that_do_not_rewind_transfer_too(run, strategy):
    asked = question(strategy, 0.5, ("rte", "mrpc"), ("rte", "mrpc"), ("random-pruning",))
    store, made, report = run(asked)
    assert not report.failures
    for (_, mask), cell in by_mask(made).items():
        record = store.record(cell.leaf.key)
        if mask == "dense":
            continue
        assert record.checks["count_exact"] and record.checks["pruned_weights_zero"]
        assert record.checks["rewound_exactly"] is True
        assert record.sparsity.pruned == masks.pruned_count(0.5, 8 if strategy == "heads" else 16384)
        if strategy == "heads":
            assert record.checks["compact_agrees"] is True
            assert record.parameters.in_model == record.parameters.left


def test_stopped_anywhere_in_processes_or_here_it_ends_with_the_same_records(run):
    asked = question(sparsity=0.2, sources=("rte", "mrpc"), targets=("rte", "mrpc"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, _, first = run(asked, "whole")
        for stop in (3, 7):
            run(asked, f"cut {stop}", first=stop)
            cut, _, rest = run(asked, f"cut {stop}")
            assert rest.done == first.done - stop
            assert {r.key: same(r) for r in cut.records()} == {r.key: same(r) for r in whole.records()}
    finally:
        torch.set_num_threads(threads)
    there, _, _ = run(asked, "there", executor=ProcessExecutor(Request(2, cpus=1)))
    assert {r.key: same(r) for r in there.records()} == {r.key: same(r) for r in whole.records()}
    assert run(asked, "whole")[2].done == 0


def test_a_mask_that_is_lost_is_found_again(run):
    asked = question(sparsity=0.1, sources=("rte", "mrpc"), targets=("rte", "mrpc"), controls=())
    store, made, _ = run(asked)
    cell = by_mask(made)["rte", "mrpc"]
    before = store.record(cell.leaf.key)
    [phase] = [node.phase for node in cell.leaf.path() if isinstance(node.phase, Adopt)]
    (store.backend.folder / "masks" / f"{phase.mask}.safetensors").unlink()
    store.backend.remove(f"records/{cell.leaf.key[:2]}/{cell.leaf.key}.json")
    again, _, report = run(asked)
    assert report.done == 2  # mrpc's first training for its mask, and rte's under it
    assert same(again.record(cell.leaf.key)) == same(before)


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


def test_a_source_that_fails_costs_those_that_wait_for_its_mask_and_nobody_else(run, tmp_path):
    (tmp_path / "raises.py").write_text(RAISES)
    asked = question("raises", 0.2, ("rte", "stsb"), ("rte", "stsb"), ())
    store, made, report = run(asked, plugins=[tmp_path / "raises.py"])
    assert list(report.failures) == ["stsb, seed 0, raises 0.2: Train Prune(0.2)"]
    assert report.skipped == 2
    done = {key for key, cell in by_mask(made).items() if store.record(cell.leaf.key)}
    assert done == {("rte", "dense"), ("rte", "rte"), ("stsb", "dense"), ("stsb", "rte")}
    rows = stored_rows([StoredPlan(cells=[c.to_cell() for c in made.cells])], store)
    grid = build(rows, asked)
    assert "failed" in terminal(grid)
    assert "stsb on rte, seed 0: failed: strategy 'raises' raised ValueError: a score" in terminal(grid)
    _, _, again = run(asked, plugins=[tmp_path / "raises.py"])
    assert again.done == 0


# The grid


SETTING = Setting(
    **{"model": "tiny/bert", "model_fingerprint": "", "model_revision": "", "data": "", "protocol": "glue-1"},
    **{"precision": "fp32", "device": "cpu", "prunable": "encoder", "code": ""},
)
METRICS = {"rte": ("accuracy",), "mrpc": ("accuracy", "f1"), "cola": ("matthews_correlation",)}


def row(task, mask, seed, value, dense, metric=None, **changes):
    label = "dense" if mask == "dense" else f"transfer[of=imp,mask={mask}]"
    cell = Cell(
        **{"unit": "weight", "track": "unstructured", "control_of": None},
        **{"source": "prunebench 0.1.0", "doc": "", "benchmark": "GLUE", "split": "dev", "trainings": ()},
        strategy=label.partition("[")[0],
        label=label,
        options={} if mask == "dense" else {"of": "imp", "mask": mask},
        task=task,
        metrics=METRICS[task],
        evaluations=("validation",),
        sparsity=0.0 if mask == "dense" else 0.7,
        seed=seed,
        key=digest(f"{task} {mask} {seed}"),
        setting=SETTING,
        mask_from="" if mask == "dense" else mask,
    )
    values = {"status": "done", "majority": 0.5, **changes}
    return Row(cell, Command(), None, "validation", metric or METRICS[task][0], value=value, dense=dense, **values)


DENSE = {"rte": (0.60, 0.62, 0.64), "mrpc": (0.80, 0.81, 0.82), "cola": (0.50, 0.51, 0.52)}
# Differences to dense by mask and task, for three seeds.
MOVED = {
    ("rte", "rte"): (0.00, 0.01, 0.02),
    ("rte", "mrpc"): (0.01, 0.01, 0.01),
    ("rte", "cola"): (-0.01, -0.01, -0.01),
    ("mrpc", "rte"): (0.02, 0.00, 0.04),
    ("mrpc", "mrpc"): (0.00, 0.00, 0.00),
    ("mrpc", "cola"): (0.03, 0.03, 0.03),
    ("cola", "rte"): (-0.10, -0.10, -0.13),
    ("cola", "mrpc"): (-0.001, -0.001, -0.001),
    ("cola", "cola"): (-0.02, -0.02, -0.02),
    ("magnitude-init", "rte"): (-0.2, -0.3, -0.4),
    ("magnitude-init", "mrpc"): (-0.2, -0.2, -0.2),
    ("magnitude-init", "cola"): (-0.3, -0.3, -0.3),
}


def hand_made(changes=MOVED):
    rows = []
    for (mask, task), moved in changes.items():
        for seed, (dense, change) in enumerate(zip(DENSE[task], moved, strict=True)):
            for metric in METRICS[task]:
                # The F1 of MRPC lies 0.02 above its accuracy, and moves twice as far.
                extra, factor = (0.02, 2) if metric == "f1" else (0.0, 1)
                value = dense + extra + factor * change
                rows.append(row(task, mask, seed, value, dense + extra, metric))
                if mask == task:
                    rows.append(row(task, "dense", seed, dense + extra, dense + extra, metric))
    return rows


@pytest.fixture(scope="module")
def grid():
    return build(hand_made(), question(sparsity=0.7, controls=("magnitude-init",)))


def test_a_field_is_the_mean_and_std_of_paired_differences_of_task_scores(grid):
    targets = {target.name: target for target in grid.targets}
    for (mask, task), moved in MOVED.items():
        factor = 1.5 if task == "mrpc" else 1  # the mean of 1 and 2
        found = grid.scores[mask, task].difference(targets[task].dense)
        assert found.mean == pytest.approx(factor * statistics.mean(moved))
        assert found.std == pytest.approx(factor * statistics.stdev(moved), abs=1e-12)
    assert targets["mrpc"].dense.summary().mean == pytest.approx(0.81 + 0.01)
    assert targets["mrpc"].columns == ("score", "accuracy", "f1")
    assert targets["rte"].columns == ("score",)


def test_universal_is_judged_against_the_own_mask_of_the_other_tasks(grid):
    """By hand. mrpc's mask less the own one: on rte (.02, −.01, .02), on cola (.05, .05, .05)."""
    assert grid.universal("mrpc") == {
        "strict": (2, 2),  # means .01 and .05
        "each-seed": (1, 2),  # one seed of rte is worse
        "one-std": (2, 2),
        "non-inferior": (1, 2),  # rte: .01 ± 4.303 · .0173 / √3 reaches below −.01
    }
    # rte's mask: on mrpc 1.5 · .01 above the own; on cola .01 above it.
    assert set(grid.universal("rte").values()) == {(2, 2)}
    # cola's mask: on rte far below; on mrpc −.0015, less than a point and than a std of .01.
    assert grid.universal("cola") == {"strict": (0, 2), "each-seed": (0, 2), "one-std": (1, 2), "non-inferior": (1, 2)}
    said = {line.split()[0]: line for line in terminal(grid).partition("Universal masks")[2].splitlines()[3:]}
    assert said["mrpc"].split("  ")[1:] and said["mrpc"].count("universal (2 of 2)") == 2
    assert "universal" not in said["cola"]


def test_the_mask_of_theta0_alone_is_judged_on_every_task_and_a_random_one_on_none():
    """By hand: magnitude-init's loss to the own mask is at least .18 everywhere, until it has the own mask's scores."""
    moved = {(mask, task): MOVED[mask, task] for mask, task in MOVED if mask in TASKS}
    for said, share in (("0 of 3", 1), ("universal (3 of 3)", 0)):
        init = {("magnitude-init", t): tuple(m - share * 0.2 for m in moved[t, t]) for t in TASKS}
        drawn = {("random-pruning", t): moved[t, t] for t in TASKS}
        found = build(hand_made({**moved, **init, **drawn}), question(sparsity=0.7))
        lines = [line.split("  ") for line in terminal(found).partition("Universal masks")[2].splitlines()]
        names = [[part.strip() for part in line if part] for line in lines if line[0] in found.masks]
        assert [name for name, *_ in names] == [*TASKS, "magnitude-init"]
        assert names[-1][1:] == [said] * 4
        page = " ".join(block.text for block in blocks(found, "") if isinstance(block, Paragraph))
        assert "magnitude-init, the mask that θ0 alone gives" in page
    without = build(hand_made(moved), question(sparsity=0.7, controls=()))
    assert "magnitude-init" not in terminal(without) + str(list(blocks(without, "")))


def test_matching_is_judged_against_dense(grid):
    cola = next(target for target in grid.targets if target.name == "cola")
    assert grid.matching("mrpc", cola) == dict.fromkeys(("strict", "each-seed", "one-std", "non-inferior"), True)
    # −.01 on a dense std of .01: within it, and not above −δ.
    assert grid.matching("rte", cola) == {"strict": False, "each-seed": False, "one-std": True, "non-inferior": False}


def test_delta_is_what_a_non_inferior_mask_may_lose_and_the_page_says_it(tmp_path):
    """rte's mask on cola is .01 below dense for every seed, cola's on rte .1 and more."""
    kept = {}
    for points in (1, 2):
        found = build(hand_made(), question(sparsity=0.7, controls=("magnitude-init",)), loss_of(points))
        cola = next(target for target in found.targets if target.name == "cola")
        kept[points] = (found.matching("rte", cola)["non-inferior"], found.universal("mrpc")["non-inferior"])
        write(found, tmp_path, ("md",), "prunebench transfer")
        said = f"δ is {points} point{'s' if points > 1 else ''} of 100."
        page = (tmp_path / "README.md").read_text()
        assert f"Here {said}" in page and page.count(said) == 2 and terminal(found).count(said) == 1
    # mrpc's on rte: the interval of .01 ± .043 lies above neither.
    assert kept == {1: (False, (1, 2)), 2: (True, (1, 2))}


def test_what_is_missing_is_said_and_universal_is_not(grid):
    rows = [r for r in hand_made() if not (r.cell.mask_from == "mrpc" and r.cell.task == "rte")]
    rows += [row("rte", "mrpc", seed, None, 0.6, status="missing") for seed in range(3)]
    partly = build(rows, question(sparsity=0.7, controls=("magnitude-init",)))
    assert partly.universal("mrpc")["strict"] == (1, 1)
    text = terminal(partly)
    assert "mrpc on rte, seeds 0, 1, 2: missing" in text
    line = next(line for line in text.partition("Universal")[2].splitlines() if line.startswith("mrpc"))
    assert line.split()[1:4] == ["1", "of", "1"]


def test_a_seed_of_two_that_failed_leaves_the_pair_out():
    rows = [r for r in hand_made() if (r.cell.mask_from, r.cell.task, r.cell.seed) != ("mrpc", "rte", 1)]
    rows.append(row("rte", "mrpc", 1, None, 0.62, status="failed: it diverged"))
    found = build(rows, question(sparsity=0.7, controls=("magnitude-init",)))
    scores = found.scores["mrpc", "rte"]
    assert scores.gaps == {1: "failed: it diverged"}
    assert scores.difference(found.targets[0].dense).mean == pytest.approx(0.03)
    assert "+3.00 ± 1.41 (2)" in terminal(found)


def test_the_csv_holds_every_number(grid):
    lines = list(csv.DictReader(io.StringIO(to_csv(grid))))
    assert len(lines) == len(grid.rows)
    [line] = [
        line for line in lines
        if (line["mask"], line["task"], line["metric"], line["seed"]) == ("rte", "mrpc", "f1", "2")
    ]  # fmt: skip
    assert float(line["value"]) == pytest.approx(0.82 + 0.02 + 0.02)
    assert (float(line["dense"]), float(line["own"])) == pytest.approx((0.84, 0.84))


# The picture and the files


def test_colours_diverge_at_zero_and_controls_do_not_wash_them_out(grid):
    picture = heat_map(grid)
    axes, _ = picture.axes
    [image] = axes.get_images()
    # The farthest mask of a task is cola's on rte, 11 points below: a round number holds it.
    assert (image.norm.vmin, image.norm.vcenter, image.norm.vmax) == (-15, 0, 15)
    red, green, blue, _ = image.cmap(image.norm(0))
    assert min(red, green, blue) > 0.9, "zero is nearly white"
    worse, better = image.cmap(image.norm(-15)), image.cmap(image.norm(15))
    assert worse[0] > worse[2] and better[2] > better[0], "red is worse, blue is better"
    assert image.cmap(image.norm(-30)) == worse, "a control lies beyond and has the last colour"
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels[0] == "rte\n(dev)\ndense 62.00\n± 2.00"
    texts = {tuple(map(round, text.get_position())): text.get_text() for text in axes.texts}
    assert texts[1, 0] == "+1.50\n± 0.00"
    assert texts[0, 3] == "−30.00\n± 10.00"
    assert len(texts) == 12


def test_every_number_can_be_read_on_its_colour(grid):
    """WCAG: a contrast of at least 4.5, from the definition of relative luminance."""
    axes = heat_map(grid).axes[0]
    [image] = axes.get_images()
    for text in axes.texts:
        x, y = text.get_position()
        back = image.cmap(image.norm(image.get_array()[round(y), round(x)]))[:3]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in back]
        light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        dark, bright = sorted((light, 0.0 if text.get_color() == "black" else 1.0))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5


def test_files_are_the_same_each_time(grid, tmp_path):
    kinds = ("md", "csv", "png", "svg", "pdf")
    one, other = (write(grid, tmp_path / name, kinds, "prunebench transfer") for name in ("one", "other"))
    assert [path.name for path in one] == ["transfer.png", "transfer.svg", "transfer.pdf", "transfer.csv", "README.md"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert "![Heat map of the differences to dense](transfer.svg)" in (tmp_path / "one" / "README.md").read_text()


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_rows_changes_no_file(seed, tmp_path):
    """With two metrics of one task, and protocols that differ by task."""
    settings = {task: SETTING.model_copy(update={"protocol": f"protocol of {task}"}) for task in TASKS}
    rows = [
        dataclasses.replace(r, cell=r.cell.model_copy(update={"setting": settings[r.cell.task]})) for r in hand_made()
    ]
    asked = question(sparsity=0.7, controls=("magnitude-init",))
    shuffled = random.Random(seed).sample(rows, len(rows))
    grids = {"one": build(rows, asked), "other": build(shuffled, asked)}
    one, other = (write(grids[name], tmp_path / name, ("md", "csv", "svg"), "prunebench transfer") for name in grids)
    assert [path.name for path in one] == ["transfer.svg", "transfer.csv", "README.md"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert terminal(grids["one"]) == terminal(grids["other"])


def test_every_table_names_its_split(grid):
    """Those of the page by their own title, header or notes: a table is cut out of its page."""
    tables = [block for block in (*opening(grid), *blocks(grid, "")) if isinstance(block, Table)]
    assert ("split", "dev") in tables[0].body
    others = [table for table in tables[1:] if table.title != "Criteria"]
    assert len(others) == 3 + len(TASKS)
    for table in others:
        said = " ".join((table.title, *table.headers, *table.notes))
        names = [task for task in TASKS if f"{task} (dev)" in said]
        assert names == ([table.title.split()[0]] if "every seed" in table.title else list(TASKS))


@pytest.mark.parametrize("name", ["README.md", "transfer.csv"])
def test_golden(grid, name, tmp_path):
    write(grid, tmp_path, ("md", "csv"), "prunebench transfer --tasks rte,mrpc,cola")
    assert (tmp_path / name).read_text() == (GOLDEN / name).read_text(), "run python tests/test_transfer.py"


def test_names_are_escaped(tmp_path):
    rows = [
        dataclasses.replace(
            r, cell=r.cell.model_copy(update={"mask_from": r.cell.mask_from.replace("magnitude-init", "<b>$x|")})
        )
        for r in hand_made()
    ]
    found = build(rows, question(sparsity=0.7))
    write(found, tmp_path, ("md", "svg"), "prunebench transfer")
    text = (tmp_path / "README.md").read_text()
    assert "&lt;b&gt;&#36;x\\|" in text and "<b>" not in text
    assert "<b>" not in (tmp_path / "transfer.svg").read_text()


def test_no_torch_is_loaded_to_draw():
    code = "import sys, prunebench.reports.transfer, prunebench.reports.transfer.picture; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# The command


@pytest.fixture(scope="module")
def words(on_tiny):
    return [*on_tiny, "--seeds", "1", "--epochs", "1", "--batch-size", "16"]


def test_the_command_after_a_run_before_a_leaderboard(words, tmp_path):
    """What a run has trained is used, what transfer adds stands on no leaderboard, and again it does nothing."""
    store = ["--store", tmp_path / "store"]
    tasks = ["--tasks", "rte,stsb"]
    assert call("run", *words, *tasks, *store, "--strategies", "imp", "--sparsities", "0.1")[0] == 0
    page = ["leaderboard", *store, "--format", "md,csv", "--out"]
    assert call(*page, tmp_path / "before")[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()}
    asked = ["transfer", *words, *tasks, *store, "--sparsity", "0.1", "--out", tmp_path / "out"]
    status, said, _ = call(*asked, "--dry-run")
    # Of each task: IMP with its dense run is there; a random mask, θ0's and the other task's are not.
    assert status == 0 and "To run:        12 phases, 6 trainings" in said and "Expected cost: about" in said
    assert {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()} == before
    status, said, err = call(*asked)
    assert status == 0, err
    assert "To run:        12 phases, 6 trainings" in said
    assert "imp at sparsity 0.1: difference to dense × 100" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md", "transfer.csv", "transfer.png", "transfer.svg"
    ]  # fmt: skip
    assert said.splitlines()[-1].startswith(f"Written: {tmp_path / 'out'}/transfer.svg")
    assert "prunebench transfer" in (tmp_path / "out" / "README.md").read_text()
    assert call(*page, tmp_path / "after")[0] == 0
    for name in ("README.md", "results.csv"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    status, said, _ = call(*asked, "--delta", "2.5", "--out", tmp_path / "lax")
    assert status == 0 and "δ is 2.5 points of 100." in said
    assert "Here δ is 2.5 points of 100." in (tmp_path / "lax" / "README.md").read_text()
    status, said, _ = call(*asked)
    assert status == 0 and "Nothing is left to run" in said
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == files


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--tasks", "rte"], ["nothing to transfer", "'rte' is the only task"]),
        (["--tasks", "rte,mrpc", "--sources", "rtee"], ["unknown task 'rtee'", "did you mean 'rte'?"]),
        (["--tasks", "rte,mrpc", "--strategy", "imq"], ["unknown strategy 'imq'", "did you mean 'imp'?"]),
        (["--tasks", "rte,mrpc", "--strategy", "random-pruning"], ["a control", "--controls"]),
        (["--tasks", "rte,mrpc", "--sparsity", "70"], ["sparsity 70", "outside [0, 1)"]),
        (["--tasks", "rte,mrpc", "--delta", "0"], ["δ is 0 points", "more than 0 and less than 100"]),
        (["--tasks", "rte,mrpc", "--format", "gif"], ["unknown format 'gif'"]),
        (["--tasks", "rte,mrpc", "--controls", "heads"], ["'heads' prunes heads", "same units"]),
    ],
)
def test_a_bad_option_is_one_line(words, tmp_path, options, parts):
    status, _, err = call("transfer", *words, *options, "--store", tmp_path / "store")
    assert status == 2
    assert err.startswith("prunebench: ") and len(err.splitlines()) == 1
    assert all(part in err for part in parts), err
    assert not (tmp_path / "store").exists()


def test_sources_and_targets_alone_name_the_tasks(words, tmp_path):
    asked = ["--sources", "rte", "--targets", "mrpc", "--controls", "none", "--sparsity", "0.1", "--dry-run"]
    status, said, err = call("transfer", *words, *asked, "--store", tmp_path / "store")
    assert status == 0, err
    # mrpc: dense, IMP's round; rte: the training after which its mask stands; its mask on mrpc.
    assert "After sharing: 8 phases, 4 trainings" in said


if __name__ == "__main__":
    write(build(hand_made(), question(sparsity=0.7, controls=("magnitude-init",))), GOLDEN, ("md", "csv"),
          "prunebench transfer --tasks rte,mrpc,cola")  # fmt: skip
