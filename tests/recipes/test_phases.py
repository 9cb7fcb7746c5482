"""Phases: levels, ramps, and the way to JSON and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench import Compact, Cubic, PermuteLayers, Prune, PrunebenchError, Reinit, Rewind, Shuffle, Train, ladder
from prunebench.recipes.phases import from_json, to_json

SPARSITIES = st.integers(1, 999).map(lambda n: n / 1000)
PHASES = st.one_of(
    st.builds(Train, st.none() | st.builds(Cubic, SPARSITIES, updates=st.integers(1, 50))),
    st.builds(Prune, SPARSITIES),
    st.builds(Rewind, st.integers(0, 1000) | SPARSITIES),
    st.builds(Shuffle, st.sampled_from(["layer", "global"])),
    st.sampled_from([Reinit(), PermuteLayers(), Compact()]),
)


@given(PHASES)
def test_json_and_back(phase):
    again = from_json(json.loads(json.dumps(to_json(phase))))
    assert again == phase
    assert repr(again) == repr(phase)  # 1 and 1.0 are equal, but a step is no fraction


def test_the_ladders_of_chen_et_al():
    assert ladder(0.3, 0.1) == [0.1, 0.2, 0.3]
    # Algorithm 1: what remains after k rounds is (1 − 0.1)^k.
    assert ladder(1 - 0.9**3, 0.1, "remaining") == pytest.approx([0.1, 0.19, 0.271])
    assert ladder(0.0, 0.1) == []


@given(SPARSITIES, SPARSITIES, st.sampled_from(["original", "remaining"]))
def test_a_ladder_rises_to_its_level_and_is_shared_by_lower_ones(high, low, of):
    rate = 0.2
    levels = ladder(high, rate, of)
    assert levels[-1] == high
    assert levels == sorted(set(levels))
    if low < high:
        rungs = ladder(low, rate, of)[:-1]
        assert levels[: len(rungs)] == rungs


def test_cubic_ramp_against_the_equation():
    ramp = Cubic(0.8, initial=0.2, begin=0.1, end=0.6)
    for share in (0.0, 0.1, 0.3, 0.45, 0.6, 1.0):
        t = min(max(share, 0.1), 0.6)
        assert ramp.at(share) == pytest.approx(0.8 + (0.2 - 0.8) * (1 - (t - 0.1) / 0.5) ** 3)


@given(st.integers(1, 300), st.integers(1, 40))
def test_a_ramp_ends_at_its_final_sparsity_within_the_training(total, updates):
    due = Cubic(0.8, updates=updates).steps(total)
    assert all(1 <= step <= total for step in due)
    assert due[max(due)] == pytest.approx(0.8)
    assert [due[step] for step in sorted(due)] == sorted(due.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Prune(1.0),
        lambda: Prune(-0.1),
        lambda: Rewind(-1),
        lambda: Rewind(1.5),
        lambda: Shuffle("row"),
        lambda: Cubic(0.5, begin=0.7, end=0.7),
        lambda: Cubic(0.5, updates=0),
        lambda: ladder(0.5, 0.0),
        lambda: ladder(0.5, 0.1, "all"),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(PrunebenchError):
        make()
