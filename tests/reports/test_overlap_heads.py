"""What a mask leaves of each head, and where its groups of units lie in the encoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports.overlap_masks import make_mask, random_bits

from prunebench.models.families import FAMILIES
from prunebench.reports.overlap.masks import GroupLocation, locate
from prunebench.reports.overlap.profile import heads
from prunebench.reports.overlap.report import UnitMasks
from prunebench.reports.overlap.tables import silent_head_table


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_prunable_matrix_has_a_location(tiny_models, family):
    """Against the layers as the model names them, with the pooler if there is one."""
    from prunebench.models.encoder import load
    from prunebench.models.sources import resolve

    source = resolve(str(tiny_models[family.name]), FAMILIES)
    pm = load(source, family, num_labels=2, regression=False, seed=0, prune_pooler=bool(family.pooler))
    expected = {}
    for layer in pm.layers:
        for part in ("query", "key", "value", "attention_output", "intermediate", "output"):
            expected[f"{getattr(layer, part)}.weight"] = GroupLocation(layer.index, part)
    if family.pooler:
        expected[pm.prunable[-1]] = GroupLocation(-1, "pooler")
    assert {name: locate(name, family) for name in pm.prunable} == expected


def test_heads_and_neurons_have_locations():
    assert locate("layer.11.heads", FAMILIES[0]) == GroupLocation(11, "heads")
    assert locate("layer.2.neurons", FAMILIES[0]) == GroupLocation(2, "neurons")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_the_weights_left_of_a_head_are_counted_one_by_one(seed, share):
    """3 heads of width 2 in a layer of hidden size 6."""
    generator = np.random.default_rng(seed)
    names = {
        part: f"bert.encoder.layer.0.{path}.weight"
        for part, path in {
            "query": "attention.self.query",
            "key": "attention.self.key",
            "value": "attention.self.value",
            "attention_output": "attention.output.dense",
        }.items()
    }
    bits = random_bits(generator, share, dict.fromkeys(names.values(), (6, 6)))
    result = list(heads(make_mask("a", "x", 0, bits, heads=3)))
    assert [(head.layer, head.head, head.units) for head in result] == [(0, 0, 48), (0, 1, 48), (0, 2, 48)]
    for head in result:
        remaining = dict.fromkeys(names, 0)
        for part, name in names.items():
            for row, column in np.ndindex(6, 6):
                in_head = (column if part == "attention_output" else row) // 2 == head.head
                remaining[part] += bool(in_head and bits[name][row, column])
        assert head.remaining == sum(remaining.values())
        assert head.silent == (remaining["value"] == 0 or remaining["attention_output"] == 0)


def test_pruned_heads():
    bits = {"layer.0.heads": np.array([True, False]), "layer.1.heads": np.array([False, False])}
    result = list(heads(make_mask("heads", "x", 0, bits, "head", 2)))
    assert [(head.layer, head.head, head.remaining, head.silent) for head in result] == [
        (0, 0, 1, False), (0, 1, 0, True), (1, 0, 0, True), (1, 1, 0, True)
    ]  # fmt: skip


def test_heads_with_equally_few_weights_left_can_be_printed():
    """The first of them is named. All weights of a layer of two heads are pruned."""
    parts = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    bits = {f"bert.encoder.layer.0.{part}.weight": np.zeros((4, 4), dtype=bool) for part in parts}
    table = silent_head_table(UnitMasks("weight", [make_mask("a", "x", 0, bits, heads=2)]))
    assert table.body == (("a", "x", "2.0 of 2", "layer 0, head 0: 0.0 %"),)
