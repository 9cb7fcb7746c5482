"""What a store holds, and what its cells refer to."""

from __future__ import annotations

from prunebench.hooks.registry import Registry
from prunebench.planning import experiment
from prunebench.planning.suite import resolve
from prunebench.store import maintenance
from prunebench.store.contents import overview, size_text
from prunebench.store.store import Store


def test_an_overview_counts_plans_cells_and_bytes(store, lab):
    result = overview(store)
    [(plan, states)] = result.plans
    assert plan.command.startswith("prunebench run --tasks rte")
    assert states == result.cells == {"done": 16}
    assert result.methods == ["dense", "dense[trainings=2]", "imp", "magnitude", "random-pruning"]
    assert result.codes == [plan.cells[0].setting.code]
    assert [model.partition(" (")[0] for model in result.models] == ["tiny-bert"]
    for kind, (number, size) in result.files.items():
        names = [name for name in lab.names() if name.startswith(f"{kind}/")]
        assert size == sum(len(lab.read(name)) for name in names) > 0
        assert number == len(names) / (2 if kind == "records" else 1)
    assert set(result.files) == {"plans", "records", "masks", "labels"}


def test_sizes_are_shown_with_three_digits_or_so():
    assert [size_text(size) for size in (0, 999, 1000, 3_450_000, 10**15)] == [
        "0 bytes", "999 bytes", "1.0 kB", "3.5 MB", "1000.0 TB",
    ]  # fmt: skip


def test_cells_that_are_not_done_are_failed_or_missing(store, lab):
    cells = {(cell.label, cell.sparsity, cell.seed): cell for cell in store.plans()[0].cells}
    for name in ("magnitude", "imp"):
        lab.remove(f"records/{cells[name, 0.2, 0].key[:2]}/{cells[name, 0.2, 0].key}.json")
    store.add_failure(cells["magnitude", 0.2, 0].key, "it was wrong")
    assert overview(store).cells == {"done": 14, "failed": 1, "missing": 1}


def test_the_keys_on_a_path_are_those_of_the_plan(template, words):
    """They are computed from records alone; here they are compared with the plan's own."""
    suite = resolve(None, {**_options(words), "seeds": "2"}, Registry())
    nodes = {node.key: node for node in experiment.plan(suite, Registry()).nodes()}
    store = Store.open(template)
    [plan] = store.plans()
    for record in store.records():
        path = [node.key for node in nodes[record.key].path()]
        assert maintenance.path_keys(record, plan.strategies) == path
        assert not any(entry.strategy for entry in record.phases) or maintenance.path_keys(record, {}) == []
    needed = maintenance.references(store, [plan])
    assert needed.complete
    assert needed.records == {*store.keys("records")}
    assert needed.masks >= {*store.keys("masks")}


def _options(words):
    pairs = zip(words[::2], words[1::2], strict=True)
    named = {name.removeprefix("--").replace("-", "_"): value for name, value in pairs}
    return {name: value for name, value in named.items() if name != "executor"}
