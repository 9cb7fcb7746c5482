"""Overlap of masks against sets, chance against enumeration and simulation, and the command on a store."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from commands import call
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models.families import FAMILIES
from prunebench.pruning import bitmask
from prunebench.reports.overlap import chance, choose, masks, report
from prunebench.reports.overlap.compare import mean, pairs
from prunebench.reports.overlap.found import Found, Place, place
from prunebench.reports.overlap.page import blocks, by_layer, terminal
from prunebench.reports.overlap.profile import heads
from prunebench.reports.overlap.report import Report, Unit
from prunebench.reports.overlap.write import write
from prunebench.reports.render.blocks import Paragraph
from prunebench.results.rows import stored_rows
from prunebench.store.serialization import parse_plan
from prunebench.store.store import Store

# Chance


def enumerated(groups):
    """The mean Jaccard index and agreement over all pairs of masks of these sizes, one by one, as fractions."""
    choices = []
    for units, one, other in groups:
        sides = [list(itertools.combinations(range(units), kept)) for kept in (one, other)]
        choices.append([len(set(a) & set(b)) for a in sides[0] for b in sides[1]])
    kept = sum(one + other for _, one, other in groups)
    units = sum(group[0] for group in groups)
    jaccard = [Fraction(sum(both), kept - sum(both)) if kept else Fraction(1) for both in itertools.product(*choices)]
    agree = [1 - Fraction(kept - 2 * sum(both), units) for both in itertools.product(*choices)]
    return statistics.mean(jaccard), statistics.mean(agree)


def test_chance_by_hand():
    """Two of four units each: they share 0, 1 or 2 with chances 1/6, 4/6, 1/6, so Jaccard is 0, 1/3 or 1."""
    assert chance.expected_jaccard([(4, 2, 2)]) == pytest.approx(4 / 6 / 3 + 1 / 6)
    # On average they share 2·2/4 = 1 unit, and so differ on 2 of the 4.
    assert chance.expected_both([(4, 2, 2)]) == 1
    assert chance.expected_agreement([(4, 2, 2)]) == 0.5
    # Var = 2·2·2·2 / (16·3)
    assert chance.variance_of_both([(4, 2, 2)]) == pytest.approx(1 / 3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.integers(1, 5).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))),
        min_size=1,
        max_size=2,
    )
)
def test_chance_is_what_all_pairs_of_masks_give(groups):
    jaccard, agree = enumerated(groups)
    assert chance.expected_jaccard(groups) == pytest.approx(float(jaccard))
    assert chance.expected_agreement(groups) == pytest.approx(float(agree))


def test_chance_is_what_random_masks_give():
    """4000 pairs of masks with counts that differ by matrix: within four standard errors of the mean."""
    groups = [(400, 40, 60), (200, 150, 100), (50, 0, 20)]
    random = np.random.default_rng(0)

    def shared(units, one, other):
        first, second = (random.permutation(units)[:kept] for kept in (one, other))
        return len(np.intersect1d(first, second, assume_unique=True))

    kept = sum(one + other for _, one, other in groups)
    drawn = [sum(shared(*group) for group in groups) for _ in range(4000)]
    found = [both / (kept - both) for both in drawn]
    error = statistics.stdev(found) / math.sqrt(len(found))
    assert abs(chance.expected_jaccard(groups) - statistics.mean(found)) < 4 * error
    assert abs(statistics.variance(drawn) / chance.variance_of_both(groups) - 1) < 0.1
    # Global counts alone would say otherwise.
    assert abs(chance.expected_jaccard([(650, 190, 180)]) - statistics.mean(found)) > 20 * error


def test_the_expansion_takes_over_where_it_is_as_good_as_the_sum(monkeypatch):
    groups = [(3000, 900, 1000), (4000, 500, 700)]
    monkeypatch.setattr(chance, "EXACT", 10**9)
    exact = chance.expected_jaccard(groups)
    monkeypatch.setattr(chance, "EXACT", 0)
    assert chance.expected_jaccard(groups) == pytest.approx(exact, abs=1e-7)
    # The second-order term is worth having.
    both = chance.expected_both(groups)
    assert abs(both / (3100 - both) - exact) > 1e-6


def test_chance_of_masks_of_bert_base():
    """At 70 % uniformly: d / (2 − d) with d = 0.3 kept, as everybody computes it."""
    groups = [(589824, 176947, 176947)] * 48
    assert chance.expected_jaccard(groups) == pytest.approx(0.3 / 1.7, abs=1e-5)


# Overlap


SHAPES = {
    "bert.encoder.layer.0.attention.self.query.weight": (4, 3),
    "bert.encoder.layer.1.output.dense.weight": (3, 5),
}
PLACES = {name: place(name, FAMILIES[0]) for name in SHAPES}


def found(method, task, seed, bits, unit="weight", count=0):
    mask = bitmask.unpack(bitmask.pack(bits))
    places = {name: place(name, FAMILIES[0]) for name in bits}
    return Found(method, task, seed, unit, mask, places, count)


def drawn(random, share=0.5, shapes=SHAPES):
    return {name: random.random(shape) < share for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def some():
    """Two methods on two tasks with two seeds; method b has the same mask everywhere."""
    random = np.random.default_rng(1)
    fixed = drawn(random)
    return [
        found(method, task, seed, fixed if method == "b" else drawn(random))
        for method in ("a", "b")
        for task in ("x", "y")
        for seed in (0, 1)
    ]


def as_set(mask, wanted=None):
    return {
        (name, unit)
        for name in mask.packed.shapes
        if wanted is None or mask.places[name] == wanted
        for unit in np.flatnonzero(mask.packed.group(name)).tolist()
    }


def test_pairs_differ_in_one_thing(some):
    kinds = {}
    for pair in pairs(some):
        differ = [name for name in ("task", "seed", "method") if getattr(pair.one, name) != getattr(pair.other, name)]
        kinds.setdefault(pair.kind, []).append(differ)
    assert kinds == {"tasks": [["task"]] * 4, "seeds": [["seed"]] * 4, "methods": [["method"]] * 4}


def test_masks_of_other_units_are_not_compared():
    one = found("a", "x", 0, {"layer.0.heads": np.array([True, False])}, "head")
    other = found("a", "y", 0, drawn(np.random.default_rng(0)))
    assert pairs([one, other]) == []


def test_overlap_is_that_of_sets_in_each_part(some):
    for pair in pairs(some):
        for where in (None, *PLACES.values()):
            one, other = as_set(pair.one, where), as_set(pair.other, where)
            part = pair.part(where.layer, where.matrix) if where else pair.whole
            assert part.sum.jaccard == len(one & other) / len(one | other)
            units = sum(math.prod(SHAPES[name]) for name in SHAPES if where in (None, PLACES[name]))
            assert part.sum.agreement == pytest.approx(1 - len(one ^ other) / units)
            assert part.sum.units == units


def test_the_report_has_means_over_pairs(some):
    unit = Unit("weight", some)
    chosen = [m for m in some if m.method == "a"]
    between = [
        len(as_set(one) & as_set(other)) / len(as_set(one) | as_set(other))
        for one in chosen for other in chosen if (one.task, other.task) == ("x", "y") and one.seed == other.seed
    ]  # fmt: skip
    said = unit.by_task["a"]["x", "y"]
    assert said.jaccard.n == 2
    assert (said.jaccard.mean, said.jaccard.std) == pytest.approx((statistics.mean(between), statistics.stdev(between)))
    assert unit.by_task["a"]["y", "x"] == said
    seeds = [as_set(m) for m in chosen if m.task == "x"]
    assert unit.by_task["a"]["x", "x"].jaccard.mean == len(seeds[0] & seeds[1]) / len(seeds[0] | seeds[1])
    assert unit.by_task["b"]["x", "y"].jaccard.mean == 1
    assert unit.by_method["a", "b"].jaccard.n == 4
    everywhere = unit.where("tasks", "a")
    assert everywhere[None, None] == said
    assert everywhere[0, "query"].jaccard.n == 2 and (0, "output") not in everywhere
    expected = statistics.mean(
        chance.expected_jaccard([(12, *(len(as_set(m, PLACES[name])) for m in (p.one, p.other)))])
        for p in unit.pairs if p.kind == "tasks" and p.one.method == "a"
        for name in list(SHAPES)[:1]
    )  # fmt: skip
    assert everywhere[0, "query"].chance == pytest.approx(expected)


def test_methods_are_compared_in_each_layer(some):
    """Against sets, with chance of the counts in that layer; each pair of three methods stands once."""
    third = [found("c", mask.task, mask.seed, drawn(np.random.default_rng(7 + mask.seed))) for mask in some[:4]]
    unit = Unit("weight", [*some, *third])
    tables = list(by_layer(unit))
    assert [table.headers for table in tables] == [("a, layer", "b", "c"), ("b, layer", "c")]
    masks = {(mask.method, mask.task, mask.seed): mask for mask in unit.masks}
    for table in tables:
        one = table.headers[0].partition(",")[0]
        assert [row[0] for row in table.body] == ["0", "1", "all"]
        for row, wanted in zip(table.body, (*PLACES.values(), None), strict=True):
            for other, said in zip(table.headers[1:], row[1:], strict=True):
                both = [(masks[one, t, s], masks[other, t, s]) for t in ("x", "y") for s in (0, 1)]
                sets = [(as_set(a, wanted), as_set(b, wanted)) for a, b in both]
                names = [name for name in SHAPES if wanted in (None, PLACES[name])]
                by_chance = statistics.mean(
                    chance.expected_jaccard([(math.prod(SHAPES[n]), a.packed.kept[n], b.packed.kept[n]) for n in names])
                    for a, b in both
                )
                jaccard = statistics.mean(len(a & b) / len(a | b) for a, b in sets)
                assert said == f"{jaccard:.3f} ({by_chance:.3f})"


def test_methods_that_never_meet_have_no_table_of_layers(some):
    unit = Unit("weight", [mask for mask in some if (mask.method, mask.task) in (("a", "x"), ("b", "y"))])
    assert list(by_layer(unit)) == []
    page = [block.text for block in blocks(Report(0.5, (unit,), (), 0), {}, "") if isinstance(block, Paragraph)]
    assert not any("same by layer" in text for text in page)


def test_nothing_to_compare_has_no_mean():
    assert mean([]) is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_prunable_matrix_has_its_place(tiny_models, family):
    """Against the layers as the model names them, the pooler included where there is one."""
    from prunebench.models.encoder import load
    from prunebench.models.sources import resolve

    source = resolve(str(tiny_models[family.name]), FAMILIES)
    pm = load(source, family, num_labels=2, regression=False, seed=0, prune_pooler=bool(family.pooler))
    expected = {}
    for layer in pm.layers:
        for part in ("query", "key", "value", "attention_output", "intermediate", "output"):
            expected[f"{getattr(layer, part)}.weight"] = Place(layer.index, part)
    if family.pooler:
        expected[pm.prunable[-1]] = Place(-1, "pooler")
    assert {name: place(name, family) for name in pm.prunable} == expected


def test_heads_and_neurons_have_places():
    assert place("layer.11.heads", FAMILIES[0]) == Place(11, "heads")
    assert place("layer.2.neurons", FAMILIES[0]) == Place(2, "neurons")


# Heads


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_what_is_left_of_a_head_is_counted_weight_by_weight(seed, share):
    """3 heads of width 2 in a layer of hidden size 6."""
    random = np.random.default_rng(seed)
    names = {
        part: f"bert.encoder.layer.0.{path}.weight"
        for part, path in {
            "query": "attention.self.query",
            "key": "attention.self.key",
            "value": "attention.self.value",
            "attention_output": "attention.output.dense",
        }.items()
    }
    bits = drawn(random, share, dict.fromkeys(names.values(), (6, 6)))
    said = list(heads(found("a", "x", 0, bits, count=3)))
    assert [(head.layer, head.head, head.units) for head in said] == [(0, 0, 48), (0, 1, 48), (0, 2, 48)]
    for head in said:
        kept = dict.fromkeys(names, 0)
        for part, name in names.items():
            for row, column in np.ndindex(6, 6):
                belongs = (column if part == "attention_output" else row) // 2 == head.head
                kept[part] += bool(belongs and bits[name][row, column])
        assert head.kept == sum(kept.values())
        assert head.silent == (kept["value"] == 0 or kept["attention_output"] == 0)


def test_heads_that_were_pruned_whole():
    bits = {"layer.0.heads": np.array([True, False]), "layer.1.heads": np.array([False, False])}
    said = list(heads(found("heads", "x", 0, bits, "head", 2)))
    assert [(head.layer, head.head, head.kept, head.silent) for head in said] == [
        (0, 0, 1, False), (0, 1, 0, True), (1, 0, 0, True), (1, 1, 0, True)
    ]  # fmt: skip


# Files and the command


def test_files_are_the_same_each_time(some, tmp_path):
    kinds = ("md", "csv", "png", "svg", "pdf")
    setting = (("model", "tiny"),)
    one = write(Report(0.5, (Unit("weight", some),), setting, 0), tmp_path / "one", kinds, "prunebench masks")
    other = write(Report(0.5, (Unit("weight", some),), setting, 0), tmp_path / "other", kinds, "prunebench masks")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    names = {path.name for path in one}
    assert {"README.md", "overlap.csv", "sparsity.csv", "tasks-weight.svg", "methods-weight.pdf"} <= names
    assert "heads.csv" not in names, "nobody has said how many heads there are"


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture(scope="module")
def store(on_tiny, tmp_path_factory):
    """IMP, its controls and heads on two tasks with two seeds at 20 and 50 %."""
    store = tmp_path_factory.mktemp("stores") / "masks"
    words = [*on_tiny, "--tasks", "rte,stsb", "--seeds", "2", "--epochs", "1", "--batch-size", "16"]
    words += ["--strategies", "imp[rate=0.25],magnitude-init,random-pruning,random-reinit,heads", "--sparsities", "0.5"]
    status, _, err = call("run", *words, "--store", store)
    assert status == 0, err
    return store


def test_the_command_reads_a_store_without_torch(store, tmp_path):
    code = "import sys; from prunebench.cli import main\n"
    code += "try: main(sys.argv[1:])\nexcept SystemExit as end: status = end.code\n"
    code += "print(status, sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    command = [sys.executable, "-c", code, "masks", "--store", str(store), "--out", str(tmp_path / "out")]
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
    assert "Masks at sparsity 0.5" in done.stdout
    lines = table(tmp_path / "out" / "overlap.csv")
    methods = {line["method_a"] for line in lines}
    assert methods == {"imp[rate=0.25]", "magnitude-init", "heads"}, "a control has no mask of its own"
    whole = [line for line in lines if (line["layer"], line["matrix"]) == ("all", "all")]
    alike = {line["jaccard"] for line in whole if line["method_a"] == line["method_b"] == "magnitude-init"}
    assert alike == {"1.0"}, "θ0 is the same for all tasks and seeds"
    weights = [line for line in whole if line["unit"] == "weight"]
    assert {line["units"] for line in weights} == {"16384"}
    assert {(line["kept_a"], line["kept_b"]) for line in weights} == {("8192", "8192")}
    for line in weights:
        same = [name for name in line if name[:-2] in ("method", "task", "seed")]
        of_pair = [other for other in lines if all(other[name] == line[name] for name in same)]
        parts = [other for other in of_pair if "all" not in (other["layer"], other["matrix"])]
        assert sum(int(part["both"]) for part in parts) == int(line["both"])
        groups = [tuple(int(part[name]) for name in ("units", "kept_a", "kept_b")) for part in parts]
        assert float(line["jaccard_by_chance"]) == pytest.approx(chance.expected_jaccard(groups))
    stays = table(tmp_path / "out" / "heads.csv")
    pruned = [line for line in stays if line["unit"] == "head"]
    assert sum(int(line["kept"]) for line in pruned) == 2 * 2 * 4
    assert len([line for line in stays if line["unit"] == "weight"]) == 2 * (2 * 2) * (2 * 4)
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| imp[rate=0.25], layer   |   magnitude-init |" in page.replace("\\", ""), "methods by layer"
    assert "| train, on which masks are found" in page
    assert (
        "## Masks of heads" in page and "## Masks of weights" in page and "![Heads that stay](heads-head.svg)" in page
    )


def test_options_choose_what_is_compared(store):
    status, said, _ = call("masks", "--store", store, "--strategies", "magnitude-init", "--tasks", "rte")
    assert status == 0 and "imp" not in said and "stsb" not in said
    status, _, err = call("masks", "--store", store, "--sparsity", "0.4")
    assert (status, err) == (2, "prunebench: there are no masks at sparsity 0.4 (known: 0.5)\n")


@pytest.mark.parametrize("seed", range(2))
def test_files_are_the_same_whatever_the_order(store, tmp_path, seed):
    """Of a plan's cells, and of the rows that their records give."""
    shuffler = random.Random(seed)
    kinds = "md,csv,svg"
    shutil.copytree(store, tmp_path / "store")
    [path] = (tmp_path / "store" / "plans").iterdir()
    plan = json.loads(path.read_text())
    shuffler.shuffle(plan["cells"])
    path.write_text(json.dumps(plan))
    for name, folder in (("kept", store), ("shuffled", tmp_path / "store")):
        assert call("masks", "--store", folder, "--format", kinds, "--out", tmp_path / name)[0] == 0
    assert contents(tmp_path / "shuffled") == contents(tmp_path / "kept")
    opened = Store.open(store)
    rows = stored_rows([parse_plan(path.read_bytes())], opened)
    for name in ("sorted", "drawn"):
        write(report(masks(rows, 0.5, opened, Registry()), 0.5, rows), tmp_path / name, kinds.split(","), "a command")
        shuffler.shuffle(rows)
    assert contents(tmp_path / "drawn") == contents(tmp_path / "sorted")


def contents(folder):
    """The bytes of a page's files, less the command that the page names, which has a path in it."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found.keys() > {"README.md", "overlap.csv", "tasks-weight.svg"}
    return {**found, "README.md": found["README.md"].partition(b"## Commands")[0]}


def test_masks_that_are_gone_are_counted(store, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    [plan] = [json.loads(path.read_text()) for path in (tmp_path / "store" / "plans").iterdir()]
    for cell in plan["cells"]:
        if cell["label"] == "magnitude-init" and cell["seed"] == 1:
            (tmp_path / "store" / "masks" / f"{cell['mask']}.safetensors").unlink()
    status, _, _ = call("masks", "--store", tmp_path / "store", "--out", tmp_path / "out", "--format", "md")
    assert status == 0
    assert "2 masks were planned and are not in the store" in (tmp_path / "out" / "README.md").read_text()


def test_what_is_mixed_stands_on_top_of_the_page(store, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    [path] = (tmp_path / "store" / "plans").iterdir()
    plan = json.loads(path.read_text())
    for cell in plan["cells"]:
        if cell["seed"] == 1:
            cell["setting"]["precision"] = "bf16"
    path.write_text(json.dumps(plan))
    words = ["masks", "--store", tmp_path / "store", "--tasks", "rte", "--out", tmp_path / "out", "--format", "md"]
    status, _, err = call(*words)
    assert status == 2 and "2 precisions for rte: 'bf16', 'fp32'" in err and "pass --allow-mixed" in err
    status, said, _ = call(*words, "--allow-mixed")
    warning = "Mixed: 2 precisions for rte: 'bf16', 'fp32'."
    assert status == 0 and f"warning: {warning}" in said.splitlines()
    top = (tmp_path / "out" / "README.md").read_text().partition("\n## ")[0]
    assert f"> **Warning:** {warning}" in top


def test_plans_of_an_earlier_version_name_no_masks(store, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    for path in (tmp_path / "store" / "plans").iterdir():
        plan = json.loads(path.read_text())
        for cell in plan["cells"]:
            del cell["mask"]
        path.write_text(json.dumps(plan))
    status, _, err = call("masks", "--store", tmp_path / "store")
    assert status == 2 and "there are no masks to compare" in err and "said again" in err


def test_the_usual_sparsity_is_chosen_where_none_is_named():
    with pytest.raises(PrunebenchError, match="no masks to compare"):
        choose([], None)


def test_the_terminal_says_what_chance_gives(some):
    text = terminal(Report(0.5, (Unit("weight", some),), (), 0))
    assert "By chance: 0." in text and "1.000 ± 0.000" in text
