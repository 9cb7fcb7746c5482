"""Every lie of `lies` is refused, noted, or among what `verify` says that it did not check; no page crashes."""

from __future__ import annotations

import pytest
from sharing.forgery import REGISTRY
from sharing.lies import NOTED, REFUSED, SILENT, copy_labels, make_up, rte_labels

from prunebench import api
from prunebench.reports.leaderboard import FORMATS
from prunebench.sharing.bundle import reader, suspicions
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.verify import verify


def verdict_of(data, glue_dir):
    bundle = reader.load(data)
    return bundle, verify(bundle, REGISTRY, str(glue_dir))


@pytest.mark.parametrize("lie", REFUSED)
def test_a_lie_is_refused(good, tiny_glue, lie):
    forged = REFUSED[lie](good)
    assert forged != good
    try:
        _, verdict = verdict_of(forged, tiny_glue)
    except BadBundle:
        return
    assert verdict.wrong


@pytest.mark.parametrize("lie", NOTED)
def test_a_lie_is_noted(good, tiny_glue, lie):
    _, honest = verdict_of(good, tiny_glue)
    _, verdict = verdict_of(NOTED[lie](good), tiny_glue)
    assert verdict.wrong == [] and set(verdict.notes) - set(honest.notes)


@pytest.mark.parametrize("lie", SILENT)
def test_what_nothing_can_show_is_said(good, tiny_glue, lie):
    forged = SILENT[lie](good)
    assert forged != good
    bundle, verdict = verdict_of(forged, tiny_glue)
    assert verdict.wrong == []
    assert "seconds, memory, speed, dates, hardware and versions" in "\n".join(verdict.unchecked(bundle))


def test_predictions_that_equal_the_labels_are_noted(good, tiny_glue):
    _, verdict = verdict_of(copy_labels(rte_labels(tiny_glue))(good), tiny_glue)
    assert verdict.wrong == [] and any("are the labels themselves" in note for note in verdict.notes)


def test_predictions_that_were_made_up_are_said_to_be_unchecked(good, tiny_glue):
    """Only a rerun can tell; see `test_verify`."""
    forged = make_up(rte_labels(tiny_glue))(good)
    assert forged != good
    bundle, verdict = verdict_of(forged, tiny_glue)
    assert verdict.wrong == []
    number = len(bundle.cells)
    assert f"that the predictions of {number} of {number} cells come from a model" in verdict.unchecked(bundle)


@pytest.mark.parametrize("lie", [*NOTED, *SILENT])
def test_a_page_can_be_drawn_of_everything_that_is_accepted(good, lie):
    view = api.load(reader.load((NOTED | SILENT)[lie](good))).leaderboard()
    for name in set(FORMATS) - {"html"}:
        assert view._render(name)


def test_a_training_that_no_machine_is_fast_enough_for_is_noted(good):
    """By hand: 10⁹ tokens, each three times its part of the FLOPs of one example, in a microsecond."""
    bundle = reader.load(good)
    record = next(record for record in bundle.records.values() if record.flops and record.seconds["train"])
    assert not suspicions._is_too_fast(record)
    seconds = record.seconds | {"train": 1e-6}
    assert 3 * 10**9 * record.flops.dense / record.flops.length / 1e-6 > 1e16
    assert suspicions._is_too_fast(record.model_copy(update={"tokens": 10**9, "seconds": seconds}))


def test_the_honest_bundle_has_nothing_unusual(good, tiny_glue):
    bundle, verdict = verdict_of(good, tiny_glue)
    assert verdict.wrong == [] and verdict.notes == []
    number = len(bundle.cells)
    unchecked = list(verdict.unchecked(bundle))
    assert unchecked[0] == f"that the predictions of {number} of {number} cells come from a model"
    verdict.retrained = number
    assert not any("come from a model" in line for line in verdict.unchecked(bundle))
