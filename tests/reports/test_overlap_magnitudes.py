"""The overlap that two masks have because both keep weights that are large in θ0, against enumeration."""

from __future__ import annotations

import itertools
from statistics import mean

import numpy as np
import pytest
from reports.overlap_masks import make_mask

from prunebench.reports.overlap.page import MAGNITUDES, NO_MAGNITUDES, blocks
from prunebench.reports.overlap.pairs import pairs
from prunebench.reports.overlap.report import Report, UnitMasks
from prunebench.reports.overlap.tables import NULL, agreement_table, task_table
from prunebench.reports.render.blocks import Paragraph

NAMES = ("bert.encoder.layer.0.attention.self.query.weight", "bert.encoder.layer.1.output.dense.weight")
SHAPES = dict(zip(NAMES, ((2, 3), (1, 5)), strict=True))


def bits(*kept):
    """Masks of the two matrices that keep these of their 6 and 5 weights."""
    return {
        name: np.isin(np.arange(int(np.prod(shape))), each).reshape(shape)
        for (name, shape), each in zip(SHAPES.items(), kept, strict=True)
    }


ONE, OTHER, REFERENCE = bits([0, 1, 2], [0, 4]), bits([0, 1, 5], [0, 1]), bits([0, 1, 3], [0, 1, 2])


def three_masks():
    return [
        make_mask("imp", "x", 0, ONE),
        make_mask("imp", "y", 0, OTHER),
        make_mask("magnitude-init", "x", 0, REFERENCE),
    ]


def alike(mask):
    """All masks that keep as many weights of each matrix, and as many of those that the reference keeps."""
    choices = []
    for name, shape in SHAPES.items():
        inside = set(np.flatnonzero(REFERENCE[name]))
        kept = set(np.flatnonzero(mask[name]))
        choices.append(
            [
                frozenset((name, unit) for unit in chosen)
                for chosen in itertools.combinations(range(int(np.prod(shape))), len(kept))
                if len(inside & set(chosen)) == len(inside & kept)
            ]
        )
    return [frozenset().union(*parts) for parts in itertools.product(*choices)]


def test_the_expectation_is_the_mean_over_all_masks_that_share_as_much():
    (tasks,) = [pair for pair in pairs(three_masks()) if pair.kind == "tasks"]
    expected = mean(len(a & b) / len(a | b) for a in alike(ONE) for b in alike(OTHER))
    assert tasks.whole.given_magnitudes == pytest.approx(expected)
    assert tasks.whole.given_magnitudes > tasks.whole.chance


def test_by_matrix():
    """The second matrix: 1 of 3 inside and 1 of 2 outside, against 2 of 3 inside. They share 1 in 2 cases of 3."""
    (tasks,) = [pair for pair in pairs(three_masks()) if pair.kind == "tasks"]
    part = tasks.part(layer=1)
    assert part.inside == ((3, 1, 2),)
    assert part.given_magnitudes == pytest.approx(2 / 3 * (1 / 3) + 1 / 3 * 0)


def test_the_mask_of_magnitudes_itself_has_no_such_expectation():
    (methods,) = [pair for pair in pairs(three_masks()) if pair.kind == "methods"]
    assert methods.inside is None and methods.whole.given_magnitudes is None


def test_tables_and_pages_say_it():
    unit = UnitMasks("weight", three_masks())
    assert NULL in agreement_table(unit).headers
    assert any(note.startswith("Given θ0's magnitudes: 0.") for note in task_table(unit, "imp").notes)
    texts = [block.text for block in blocks(Report(0.5, (unit,), (), 0), {}, "") if isinstance(block, Paragraph)]
    assert MAGNITUDES in texts


def test_without_that_mask_pages_say_how_to_get_it():
    unit = UnitMasks("weight", three_masks()[:2])
    assert NULL not in agreement_table(unit).headers
    texts = [block.text for block in blocks(Report(0.5, (unit,), (), 0), {}, "") if isinstance(block, Paragraph)]
    assert NO_MAGNITUDES in texts
