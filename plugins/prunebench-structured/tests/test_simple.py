"""Layers by position against the lists of the paper, controls against `heads`, and a real run."""

from __future__ import annotations

import pytest
import torch
from prunebench_structured.simple import HeadControl, LayerDrop, removal_order

import prunebench
from prunebench import Compact, Prune, Rewind, Train
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.pruning import masks
from prunebench.testing import context


@pytest.mark.parametrize(
    ("order", "layers"),
    [
        ("top", {9, 10, 11, 12}),
        ("bottom", {1, 2, 3, 4}),
        ("symmetric", {5, 6, 7, 8}),
        ("even", {6, 8, 10, 12}),
        ("odd", {5, 7, 9, 11}),
    ],
)
def test_four_of_twelve_layers_are_those_of_the_paper(order, layers):
    assert {index + 1 for index in removal_order(12, order)[:4]} == layers
    for size in (1, 2, 5):
        assert sorted(removal_order(size, order)) == list(range(size))


def test_the_mask_drops_these_layers():
    ctx = context(unit="layer", layers=4)
    keeps = [bool(keep) for keep in ctx.select(LayerDrop("odd").score(ctx), 0.5).values()]
    assert keeps == [False, True, False, True]


def test_the_worst_order_is_that_of_heads_backwards():
    ctx = context(unit="head", layers=4)
    for options in ("normalize=true", "normalize=false"):
        best = Registry().strategy(f"heads[examples=none,{options}]").score(ctx)
        worst = Registry().strategy(f"head-control[examples=none,{options}]").score(ctx)
        flat = [torch.cat(list(scores.values())) for scores in (best, worst)]
        assert torch.equal(flat[0].argsort(), flat[1].argsort(descending=True))
        assert len(flat[0].unique()) == 8


def test_the_random_order_depends_on_the_seed_alone():
    first, second = (HeadControl("random").score(context(unit="head")) for _ in range(2))
    assert all(torch.equal(first[name], value) for name, value in second.items())
    assert len(torch.cat(list(first.values())).unique()) == 4


@pytest.mark.parametrize("order", ["worst", "random"])
def test_the_controls_of_a_structured_ticket_differ_from_it_in_their_scores_alone(order):
    registry = Registry()
    ticket, control = (
        [step.phase for step in Method(text, registry).steps(0.5)]
        for text in ("heads[rewind=init]", f"head-control[order={order},rewind=init]")
    )
    assert ticket == control == [Train(), Prune(0.5), Rewind(), Train(), Compact()]
    with pytest.raises(prunebench.PrunebenchError, match="follows a pruning"):
        Method(f"head-control[order={order},retrain=false,rewind=init]", registry).steps(0.5)


def test_they_run(run_smoke):
    store, cells = run_smoke(
        "layer-drop[order=even],head-control[examples=16,rewind=init],head-control[order=random,retrain=false]", "0.5"
    )
    assert [len(cell.trainings) for cell in cells] == [1, 2, 1]
    for cell in cells:
        record = store.record(cell.key)
        assert all(record.checks[name] for name in ("count_exact", "pruned_weights_zero", "compact_agrees"))
    assert store.record(cells[1].key).checks["rewound_exactly"]
    mask = store.load("masks", cells[0].mask, masks.unpack)
    assert [bool(keep) for keep in mask.values()] == [True, False, True, False]


def test_bad_options_are_errors():
    for text, match in (("layer-drop[order=left]", "order"), ("head-control[examples=0]", "0 examples")):
        with pytest.raises(prunebench.PrunebenchError, match=match):
            Registry().strategy(text)
