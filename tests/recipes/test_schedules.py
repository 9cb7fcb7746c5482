"""Levels of iterative pruning, and the cubic ramp against the paper's equation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench import Cubic, PrunebenchError, ladder

SPARSITIES = st.integers(1, 999).map(lambda n: n / 1000)


def test_ladders_of_chen_et_al():
    assert ladder(0.3, 0.1) == [0.1, 0.2, 0.3]
    # Algorithm 1: what remains after k rounds is (1 − 0.1)^k.
    assert ladder(1 - 0.9**3, 0.1, "remaining") == pytest.approx([0.1, 0.19, 0.271])
    assert ladder(0.0, 0.1) == []


@given(SPARSITIES, SPARSITIES, st.sampled_from(["original", "remaining"]))
def test_a_ladder_rises_to_its_target_and_contains_the_rounds_of_lower_targets(high, low, of):
    rate = 0.2
    levels = ladder(high, rate, of)
    assert levels[-1] == high
    assert levels == sorted(set(levels))
    if low < high:
        rounds = ladder(low, rate, of)[:-1]
        assert levels[: len(rounds)] == rounds


def test_cubic_ramp_against_the_equation():
    ramp = Cubic(0.8, initial=0.2, begin=0.1, end=0.6)
    for progress in (0.0, 0.1, 0.3, 0.45, 0.6, 1.0):
        t = min(max(progress, 0.1), 0.6)
        assert ramp.at(progress) == pytest.approx(0.8 + (0.2 - 0.8) * (1 - (t - 0.1) / 0.5) ** 3)


@given(st.integers(1, 300), st.integers(1, 40))
def test_a_ramp_ends_at_its_final_sparsity_within_the_training(total, updates):
    sparsities = Cubic(0.8, updates=updates).steps(total)
    assert all(1 <= step <= total for step in sparsities)
    assert sparsities[max(sparsities)] == pytest.approx(0.8)
    assert [sparsities[step] for step in sorted(sparsities)] == sorted(sparsities.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Cubic(0.5, begin=0.7, end=0.7),
        lambda: Cubic(0.5, updates=0),
        lambda: ladder(0.5, 0.0),
        lambda: ladder(0.5, 0.1, "all"),
    ],
)
def test_values_out_of_range_are_errors(make):
    with pytest.raises(PrunebenchError):
        make()
