"""Wanda, OWL and Fisher pruning against loops over tokens, rows and single examples, and in real runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prunebench_wanda import OWL, Fisher, Wanda, allocation

import prunebench
from prunebench.hooks.registry import Registry
from prunebench.pruning import masks
from prunebench.testing import context


@pytest.fixture
def ctx():
    return context()


def examples(ctx):
    """Each example as a batch of its own, without padding."""
    for batch in ctx.batches():
        for i, length in enumerate(batch["attention_mask"].sum(dim=1).tolist()):
            yield {name: v[i : i + 1, :length] if v.dim() == 2 else v[i : i + 1] for name, v in batch.items()}


def first_inputs(ctx):
    """The inputs of the first query matrix, token by token: the embeddings."""
    for example in examples(ctx):
        with torch.no_grad():
            yield from ctx.model.bert.embeddings(input_ids=example["input_ids"])[0]


def test_wanda_is_magnitude_times_the_norm_of_the_input(ctx):
    name = next(iter(ctx.weights))
    squares = sum(np.square(token.numpy()) for token in first_inputs(ctx))
    expected = np.abs(ctx.weights[name].numpy()) * np.sqrt(squares)
    np.testing.assert_allclose(Wanda(None).score(ctx)[name], expected, rtol=1e-5)


def test_fisher_is_the_mean_of_squares_over_single_examples(ctx):
    parameters = [ctx.model.get_parameter(name) for name in ctx.weights]
    sums, number = [0] * len(parameters), 0
    for example in examples(ctx):
        slopes = torch.autograd.grad(ctx.loss(example), parameters)
        sums = [total + slope.square() for total, slope in zip(sums, slopes, strict=True)]
        number += 1
    for score, weight, total in zip(Fisher(None).score(ctx).values(), ctx.weights.values(), sums, strict=True):
        torch.testing.assert_close(score, weight.square() * total / number / 2, rtol=1e-3, atol=1e-12)


def test_the_allocation_of_owl_by_hand():
    """Densities rise by 2λ = 0.2 from the lowest ratio to the highest; their mean is 0.5."""
    shares = allocation({0: 0.01, 1: 0.02, 2: 0.05}, 0.5, 0.1)
    # 0, 0.05 and 0.2 above the lowest density, with the mean 0.25 / 3.
    assert shares == pytest.approx({0: 0.5 + 0.25 / 3, 1: 0.5 + 0.25 / 3 - 0.05, 2: 0.5 + 0.25 / 3 - 0.2})
    assert allocation({0: 0.1, 1: 0.1}, 0.5, 0.1) == {0: 0.5, 1: 0.5}
    assert allocation({0: 0.1, 1: 0.2}, 0.95, 0.1) == pytest.approx({0: 1.0, 1: 0.85})


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.9])
def test_owl_gives_each_layer_its_share_and_prunes_the_lowest_of_each_row(ctx, sparsity):
    owl = OWL(None, outlier=1.5, spread=0.1)
    scores, mask = Wanda(None).score(ctx), owl.prune(ctx, sparsity)
    assert masks.pruned(mask) == ctx.count(sparsity)
    ratios = {}
    for layer in ctx.layers:
        values = np.concatenate([scores[f"{linear}.weight"].numpy().ravel() for linear in layer.linears])
        ratios[layer.index] = np.mean(values > 1.5 * values.mean())
    assert ratios[0] != ratios[1]
    most, least = sorted(ratios, key=ratios.get)
    for layer in ctx.layers:
        expected = sparsity + {least: -0.1, most: 0.1}[layer.index]
        for linear in layer.linears:
            keep, score = mask[f"{linear}.weight"], scores[f"{linear}.weight"]
            for keeps, values in zip(keep, score, strict=True):
                assert abs(int((~keeps).sum()) - max(expected, 0) * len(keeps)) <= 2
                if keeps.any() and not keeps.all():
                    assert values[~keeps].max() <= values[keeps].min()


def test_they_run(run_smoke):
    store, cells = run_smoke(
        "wanda[examples=16],"
        "wanda[examples=16,scope=global,pattern=2:4,retrain=false],owl[examples=16,retrain=false],"
        "fisher[examples=16,retrain=false]",
        "0.5",
    )
    assert len(cells) == 4
    for cell in cells:
        sparsity = store.record(cell.key).sparsity
        assert sparsity.pruned == masks.pruned_count(0.5, sparsity.units)
        assert len(cell.trainings) == (1 if "retrain=false" in cell.label else 2)
        keeps = store.load("masks", cell.mask, masks.unpack).values()
        if cell.label.startswith("wanda"):
            # Half of each row, by row or by pattern.
            assert all((keep.sum(dim=1) == keep.shape[1] // 2).all() for keep in keeps)


def test_the_entry_point_provides_the_strategies():
    for name in ("wanda", "owl", "fisher"):
        assert Registry().entry("strategies", name).plugin.distribution == "prunebench-wanda"


@pytest.mark.parametrize("text", ["owl[outlier=0]", "owl[spread=-1]", "wanda[scope=column]"])
def test_bad_options_are_errors(text):
    with pytest.raises(prunebench.PrunebenchError, match=r"owl needs|column"):
        Registry().strategy(text)
