"""The overlap of masks against Python sets, and the files of a report."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from reports.overlap_masks import LOCATIONS, SHAPES, make_mask, random_bits, two_methods

from prunebench import PrunebenchError
from prunebench.reports.overlap import chance, choose_sparsity
from prunebench.reports.overlap.files import write
from prunebench.reports.overlap.page import blocks, terminal
from prunebench.reports.overlap.pairs import mean, pairs
from prunebench.reports.overlap.report import Report, UnitMasks
from prunebench.reports.overlap.tables import layer_tables
from prunebench.reports.render.blocks import Paragraph


@pytest.fixture(scope="module")
def masks():
    return two_methods()


def as_set(mask, location=None):
    """The units that a mask keeps, in all or at one location."""
    return {
        (name, unit)
        for name in mask.packed.shapes
        if location is None or mask.locations[name] == location
        for unit in np.flatnonzero(mask.packed.group(name)).tolist()
    }


def test_pairs_differ_in_one_thing(masks):
    kinds = {}
    for pair in pairs(masks):
        names = [name for name in ("task", "seed", "method") if getattr(pair.one, name) != getattr(pair.other, name)]
        kinds.setdefault(pair.kind, []).append(names)
    assert kinds == {"tasks": [["task"]] * 4, "seeds": [["seed"]] * 4, "methods": [["method"]] * 4}


def test_masks_of_different_units_are_not_compared():
    one = make_mask("a", "x", 0, {"layer.0.heads": np.array([True, False])}, "head")
    other = make_mask("a", "y", 0, random_bits(np.random.default_rng(0)))
    assert pairs([one, other]) == []


def test_overlap_equals_the_overlap_of_sets(masks):
    for pair in pairs(masks):
        for location in (None, *LOCATIONS.values()):
            one, other = as_set(pair.one, location), as_set(pair.other, location)
            part = pair.part(location.layer, location.matrix) if location else pair.whole
            assert part.sum.jaccard == len(one & other) / len(one | other)
            units = sum(math.prod(SHAPES[name]) for name in SHAPES if location in (None, LOCATIONS[name]))
            assert part.sum.agreement == pytest.approx(1 - len(one ^ other) / units)
            assert part.sum.units == units


def test_the_report_has_means_over_pairs(masks):
    unit = UnitMasks("weight", masks)
    of_a = [m for m in masks if m.method == "a"]
    between = [
        len(as_set(one) & as_set(other)) / len(as_set(one) | as_set(other))
        for one in of_a for other in of_a if (one.task, other.task) == ("x", "y") and one.seed == other.seed
    ]  # fmt: skip
    x_y = unit.by_task["a"]["x", "y"]
    assert x_y.jaccard.n == 2
    assert (x_y.jaccard.mean, x_y.jaccard.std) == pytest.approx((statistics.mean(between), statistics.stdev(between)))
    assert unit.by_task["a"]["y", "x"] == x_y
    seeds = [as_set(m) for m in of_a if m.task == "x"]
    assert unit.by_task["a"]["x", "x"].jaccard.mean == len(seeds[0] & seeds[1]) / len(seeds[0] | seeds[1])
    assert unit.by_task["b"]["x", "y"].jaccard.mean == 1
    assert unit.by_method["a", "b"].jaccard.n == 4
    means = unit.by_layer_and_matrix("tasks", "a")
    assert means[None, None] == x_y
    assert means[0, "query"].jaccard.n == 2 and (0, "output") not in means
    expected = statistics.mean(
        chance.expected_jaccard([(12, *(len(as_set(m, LOCATIONS[name])) for m in (p.one, p.other)))])
        for p in unit.pairs if p.kind == "tasks" and p.one.method == "a"
        for name in list(SHAPES)[:1]
    )  # fmt: skip
    assert means[0, "query"].chance == pytest.approx(expected)


def test_methods_are_compared_in_each_layer(masks):
    """Against sets, with chance from the counts in that layer. Each pair of three methods appears once."""
    third = [make_mask("c", mask.task, mask.seed, random_bits(np.random.default_rng(7 + mask.seed)))
             for mask in masks[:4]]  # fmt: skip
    unit = UnitMasks("weight", [*masks, *third])
    tables = list(layer_tables(unit))
    assert [table.headers for table in tables] == [("a, layer", "b", "c"), ("b, layer", "c")]
    by_key = {(mask.method, mask.task, mask.seed): mask for mask in unit.masks}
    for table in tables:
        one = table.headers[0].partition(",")[0]
        assert [row[0] for row in table.body] == ["0", "1", "all"]
        for row, location in zip(table.body, (*LOCATIONS.values(), None), strict=True):
            for other, field in zip(table.headers[1:], row[1:], strict=True):
                both = [(by_key[one, t, s], by_key[other, t, s]) for t in ("x", "y") for s in (0, 1)]
                sets = [(as_set(a, location), as_set(b, location)) for a, b in both]
                names = [name for name in SHAPES if location in (None, LOCATIONS[name])]
                by_chance = statistics.mean(
                    chance.expected_jaccard(
                        [(math.prod(SHAPES[n]), a.packed.kept_units[n], b.packed.kept_units[n]) for n in names]
                    )
                    for a, b in both
                )
                jaccard = statistics.mean(len(a & b) / len(a | b) for a, b in sets)
                assert field == f"{jaccard:.3f} ({by_chance:.3f})"


def test_methods_without_a_common_task_have_no_table_by_layer(masks):
    unit = UnitMasks("weight", [mask for mask in masks if (mask.method, mask.task) in (("a", "x"), ("b", "y"))])
    assert list(layer_tables(unit)) == []
    page = [block.text for block in blocks(Report(0.5, (unit,), (), 0), {}, "") if isinstance(block, Paragraph)]
    assert not any("same by layer" in text for text in page)


def test_no_pair_has_no_mean():
    assert mean([]) is None


def test_files_are_the_same_each_time(masks, tmp_path):
    kinds = ("md", "csv", "png", "svg", "pdf")
    setting = (("model", "tiny"),)
    one = write(Report(0.5, (UnitMasks("weight", masks),), setting, 0), tmp_path / "one", kinds, "prunebench masks")
    other = write(Report(0.5, (UnitMasks("weight", masks),), setting, 0), tmp_path / "other", kinds, "prunebench masks")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    names = {path.name for path in one}
    assert {"README.md", "overlap.csv", "sparsity.csv", "tasks-weight.svg", "methods-weight.pdf"} <= names
    assert "heads.csv" not in names, "the number of heads is unknown"


def test_without_masks_there_is_no_sparsity_to_choose():
    with pytest.raises(PrunebenchError, match="no masks to compare"):
        choose_sparsity([], None)


def test_the_terminal_shows_chance(masks):
    text = terminal(Report(0.5, (UnitMasks("weight", masks),), (), 0))
    assert "By chance: 0." in text and "1.000 ± 0.000" in text
