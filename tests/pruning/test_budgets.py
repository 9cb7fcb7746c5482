"""Budgets, against a loop that removes unit by unit and measures the parameters or FLOPs of what is left."""

from __future__ import annotations

import bisect
import functools
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import Group, PrunebenchError, Slice
from prunebench.models.encoder import describe
from prunebench.models.families import BERT
from prunebench.pruning import masks, structures
from prunebench.pruning.budgets import budget_of
from prunebench.pruning.costs import LENGTH
from prunebench.pruning.flops import forward_flops
from prunebench.pruning.groups import Structure

units = st.sampled_from(["head", "neuron", "layer", "head+neuron", "head+layer", "neuron+layer", "head+neuron+layer"])
budgets = st.sampled_from(["parameters", "flops"])
levels = st.integers(0, 99).map(lambda percent: percent / 100)


@functools.cache
def small():
    """3 layers with 2 heads of size 3 and 5 neurons."""
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"num_attention_heads": 2, "hidden_size": 6, "intermediate_size": 5, "vocab_size": 5}
    return describe(BertForSequenceClassification(BertConfig(num_hidden_layers=3, **sizes)), BERT)


@functools.cache
def dense_flops():
    return forward_flops(small(), LENGTH, {}).total


def whole(unit):
    return masks.full({name: group.shape for name, group in structures.groups(small(), unit).items()})


def saved(mask, unit, name):
    """The parameters or FLOPs that the model loses: counted entry by entry."""
    pm = small()
    if name == "flops":
        return dense_flops() - forward_flops(pm, LENGTH, mask).total
    keep = structures.expand(mask, structures.groups(pm, unit), pm)
    return sum(int((~stays).sum()) for stays in keep.values())


def remove_one_by_one(scores, mask, unit, name, sparsity):
    """Remove the units of lowest score, and measure: the shortest prefix with which enough is gone.

    More units save more, so that bisection finds it.
    """
    everything = saved({group: torch.zeros_like(keep) for group, keep in mask.items()}, unit, name)
    waiting = [(float(scores[g][i]), n, g, i) for n, g in enumerate(mask) for i in range(len(mask[g])) if mask[g][i]]
    order = [unit for *_, unit in sorted((score, n, i, (group, i)) for score, n, group, i in waiting)]

    def without(count):
        result = {group: keep.clone() for group, keep in mask.items()}
        for group, index in order[:count]:
            result[group][index] = False
        return result

    required = Fraction(str(sparsity)) * everything
    return without(bisect.bisect_left(range(len(order)), required, key=lambda count: saved(without(count), unit, name)))


def draw_scores(data, mask):
    """Few values, so that there are ties."""
    values = st.sampled_from([0.0, 0.25, 0.5, 1.0, float("inf")])
    return {name: torch.tensor([data.draw(values) for _ in keep]) for name, keep in mask.items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(keep, other[name]) for name, keep in one.items())


@settings(max_examples=60, deadline=None)
@given(st.data(), units, budgets, levels, levels)
def test_units_go_until_the_budget_is_reached(data, unit, name, one, other):
    """Exactly as one by one, also from a mask that was selected before; and masks of rising levels are nested."""
    low, high = sorted((one, other))
    mask = whole(unit)
    scores = draw_scores(data, mask)
    budget = budget_of(small(), structures.structure_of(unit), name)
    before = budget.select(scores, mask, low)
    assert equal(before, remove_one_by_one(scores, mask, unit, name, low))
    others = draw_scores(data, mask)
    after = budget.select(others, before, high)
    assert equal(after, remove_one_by_one(others, before, unit, name, high))
    for selected, level in ((before, low), (after, high)):
        assert budget.pruned(selected) == saved(selected, unit, name) >= Fraction(str(level)) * budget.total
        assert budget.fault(selected, level) == ""
    assert not any((keep & ~before[group]).any() for group, keep in after.items())


@settings(max_examples=30, deadline=None)
@given(units, budgets)
def test_the_total_is_what_all_units_save(unit, name):
    budget = budget_of(small(), structures.structure_of(unit), name)
    nothing = {group: torch.zeros_like(keep) for group, keep in whole(unit).items()}
    assert budget.total == budget.pruned(nothing) == saved(nothing, unit, name)


def test_heads_and_neurons_by_hand():
    """A head has 3·(3·6 + 3) + 6·3 = 81 parameters, a neuron 6 + 1 + 6 = 13, and all of them 3·(2·81 + 5·13) = 681."""
    budget = budget_of(small(), structures.structure_of("head+neuron"), "parameters")
    assert budget.total == 681
    scores = {name: torch.full(keep.shape, 9.0) for name, keep in whole("head+neuron").items()}
    scores["layer.2.neurons"] = torch.tensor([1.0, 9, 9, 2, 9])
    scores["layer.1.heads"] = torch.tensor([9.0, 3])
    # 0.15 of 681 are 102.15: two neurons and a head are 107, without the head 26.
    mask = budget.select(scores, whole("head+neuron"), 0.15)
    pruned = {name: (~keep).nonzero().flatten().tolist() for name, keep in mask.items() if not keep.all()}
    assert pruned == {"layer.1.heads": [1], "layer.2.neurons": [0, 3]}
    assert budget.fault(mask, 0.15) == ""
    assert "(expected at least 137)" in budget.fault(mask, 0.2)
    assert "(expected less than one unit above 14)" in budget.fault(mask, 0.02)


def test_a_head_within_a_pruned_layer_saves_nothing():
    budget = budget_of(small(), structures.structure_of("head+layer"), "flops")
    assert budget.containers == {f"layer.{i}.heads": f"layer.{i}.layer" for i in range(3)}
    scores = {name: torch.full(keep.shape, 9.0) for name, keep in whole("head+layer").items()}
    scores["layer.1.layer"], scores["layer.1.heads"] = torch.tensor([1.0]), torch.tensor([2.0, 2])
    scores["layer.0.layer"] = torch.tensor([3.0])
    mask = budget.select(scores, whole("head+layer"), 0.5)
    assert budget.pruned(mask) * 3 == 2 * budget.total
    assert not mask["layer.0.layer"] and not mask["layer.1.heads"].any()


def test_a_level_of_nothing_prunes_nothing():
    budget = budget_of(small(), structures.structure_of("head"), "flops")
    mask = whole("head")
    assert equal(budget.select({name: torch.zeros(2) for name in mask}, mask, 0.0), mask)
    assert budget_of(small(), structures.structure_of("head"), "units") is None


def test_scores_that_are_nan_are_refused():
    budget = budget_of(small(), structures.structure_of("head"), "flops")
    mask = whole("head")
    with pytest.raises(PrunebenchError, match="a score is NaN"):
        budget.select({name: torch.tensor([0.0, float("nan")]) for name in mask}, mask, 0.5)


def test_groups_that_share_parameters_have_no_budget():
    class Rows(Structure):
        name = "row"

        def groups(self, pm):
            name = f"{pm.layers[0].query}.weight"
            return {"rows": Group((6,), (Slice(name, 0, 1),))}

    both = structures.compose("head+row", [structures.structure_of("head"), Rows()])
    with pytest.raises(PrunebenchError, match=r"'layer\.0\.heads' and 'rows' share parameters"):
        budget_of(small(), both, "parameters")
