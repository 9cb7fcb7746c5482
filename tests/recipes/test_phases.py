"""Phases: conversion to JSON and back, and values out of range."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench import Compact, Cubic, PermuteLayers, Prune, PrunebenchError, Reinit, Rewind, Shuffle, Train
from prunebench.recipes.phase import to_json
from prunebench.recipes.phases import BUILT_IN

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
    data = json.loads(json.dumps(to_json(phase)))
    again = BUILT_IN[data["phase"]].from_fields(data)
    assert again == phase
    assert repr(again) == repr(phase)  # 1 == 1.0, but 1 is a step and 1.0 a fraction


@pytest.mark.parametrize(
    "make", [lambda: Prune(1.0), lambda: Prune(-0.1), lambda: Rewind(-1), lambda: Rewind(1.5), lambda: Shuffle("row")]
)
def test_values_out_of_range_are_errors(make):
    with pytest.raises(PrunebenchError):
        make()
