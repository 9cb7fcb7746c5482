"""LAMP against its definition over all pairs of weights, recipes against those of `imp`, and real runs."""

from __future__ import annotations

import pytest
import torch
from prunebench_lamp import lamp_scores

import prunebench
from prunebench.hooks.registry import Registry
from prunebench.pruning import masks
from prunebench.testing import context


def by_definition(weight):
    """w_u² / Σ_v w_v² over all v that are at least as large; only for weights without ties."""
    values = weight.flatten().tolist()
    scores = [w * w / sum(v * v for v in values if abs(v) >= abs(w)) for w in values]
    return torch.tensor(scores, dtype=torch.float64).view_as(weight)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_definition(seed):
    weight = torch.randn(4, 7, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(lamp_scores(weight), by_definition(weight), rtol=1e-6, atol=0)


def test_scores_by_hand():
    """1/(1+4+9), 4/(4+9), 9/9, and 0 for what is pruned."""
    scores = lamp_scores(torch.tensor([[3.0, 0.0], [-1.0, 2.0]]))
    torch.testing.assert_close(scores, torch.tensor([[1, 0], [1 / 14, 4 / 13]], dtype=torch.float64))
    assert not lamp_scores(torch.zeros(2, 2)).any()
    # Equal weights: each one's share of itself and those before it.
    assert sorted((1 / lamp_scores(torch.ones(2, 2))).flatten().tolist()) == [1, 2, 3, 4]


def test_no_matrix_is_pruned_completely():
    """Even where one matrix has weights of a thousandth of the others."""
    ctx = context()
    ctx.weights["bert.encoder.layer.0.output.dense.weight"].mul_(1e-3)
    scores = Registry().strategy("lamp").score(ctx)
    assert all(keep.any() for keep in ctx.select(scores, 0.98).values())
    magnitudes = {name: weight.abs() for name, weight in ctx.weights.items()}
    assert not all(keep.any() for keep in ctx.select(magnitudes, 0.98).values())


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("lr-rewinding", "imp[rate=0.2,of=remaining,rewind=none]"),
        ("lamp", "imp[rate=0.2,of=remaining]"),
        ("lamp[rate=0.1,of=original,rewind=none]", "imp[rewind=none]"),
    ],
)
def test_recipes_are_those_of_imp(own, other):
    own, other = Registry().strategy(own), Registry().strategy(other)
    assert own.recipe(0.7) == other.recipe(0.7)


def test_they_run(run_smoke):
    store, cells = run_smoke("lamp[rate=0.3],lr-rewinding[rate=0.3]", "0.51")
    assert len(cells) == 2
    for cell in cells:
        sparsity = store.record(cell.key).sparsity
        # 0.3 and 0.51 = 1 − 0.7²: two rounds.
        assert (len(cell.trainings), sparsity.pruned) == (3, masks.pruned_count(0.51, sparsity.units))


def test_the_entry_point_provides_the_strategies():
    for name in ("lamp", "lr-rewinding"):
        assert Registry().entry("strategies", name).plugin.distribution == "prunebench-lamp"


@pytest.mark.parametrize("text", ["lamp[rate=0]", "lr-rewinding[rate=2]", "lamp[rewind=10]"])
def test_bad_options_are_errors(text):
    with pytest.raises(prunebench.PrunebenchError, match=r"rate|rewind"):
        Registry().strategy(text)
