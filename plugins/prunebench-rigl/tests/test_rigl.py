"""RigL against Algorithm 1 written with sorted lists, and in real runs."""

from __future__ import annotations

import math

import pytest
import torch
from prunebench_rigl import Updates, update

import prunebench
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.pruning import masks

STEPS = 25
# 10 updates up to step 0.75 · 25 = 18.75, every 2 steps.
UPDATES = [2, 4, 6, 8, 10, 12, 14, 16, 18]


def algorithm_1(weights, keep, growth, fraction):
    """The set of positions that stay after an update of one matrix; all arguments are lists."""
    active = [i for i, stays in enumerate(keep) if stays]
    count = math.floor(fraction * len(active))
    remaining = set(active) - set(sorted(active, key=lambda i: abs(weights[i]))[:count])
    others = [i for i in range(len(keep)) if i not in remaining]
    return remaining | set(sorted(others, key=lambda i: -growth[i])[:count])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.3, 1.0])
def test_an_update_is_that_of_the_algorithm(seed, fraction):
    generator = torch.Generator().manual_seed(seed)
    keep = torch.rand(5, 9, generator=generator) < 0.4
    weight, growth = torch.randn(5, 9, generator=generator) * keep, torch.rand(5, 9, generator=generator)
    lists = [tensor.flatten().tolist() for tensor in (weight, keep, growth)]
    before = keep.clone()
    new = update(weight, keep, growth, fraction)
    assert set(new.flatten().nonzero().flatten().tolist()) == algorithm_1(*lists, fraction)
    assert new.sum() == keep.sum() and torch.equal(keep, before)


def test_a_weight_that_is_dropped_comes_back_by_a_large_gradient():
    weight = torch.tensor([[3.0, 0.1, 0.0, 0.0]])
    keep = torch.tensor([[True, True, False, False]])
    assert update(weight, keep, torch.tensor([[0.0, 9.0, 1.0, 2.0]]), 0.5).tolist() == [[True, True, False, False]]
    assert update(weight, keep, torch.tensor([[9.0, 0.0, 1.0, 2.0]]), 0.5).tolist() == [[True, False, False, True]]


def test_a_dense_matrix_stays_dense():
    """The Erdős–Rényi kernel leaves small matrices dense."""
    keep = torch.ones(2, 3, dtype=torch.bool)
    assert update(torch.randn(2, 3), keep, torch.rand(2, 3), 0.5).all()


class Recorder:
    """Looks on while the plugin works: gradients, weights and masks around every step."""

    def __init__(self, monkeypatch):
        self.gradients, self.steps = {}, {}
        after_backward, after_step = Updates.after_backward, Updates.after_step

        def backward(callback, step):
            self.gradients = {name: grad.clone() for name, grad in callback.ctx.grads.items()}
            after_backward(callback, step)

        def stepped(callback, step):
            weights = {name: weight.clone() for name, weight in callback.ctx.weights.items()}
            mask = after_step(callback, step)
            self.start = getattr(self, "start", callback.ctx.initial)
            self.steps[step] = (weights, dict(callback.ctx.mask), self.gradients, mask)
            return mask

        monkeypatch.setattr(Updates, "after_backward", backward)
        monkeypatch.setattr(Updates, "after_step", stepped)

    @property
    def updates(self):
        return {step: values for step, values in self.steps.items() if values[3] is not None}


@pytest.fixture
def recorder(monkeypatch):
    return Recorder(monkeypatch)


@pytest.mark.parametrize("strategy", ["rigl", "rigl[grow=random]"])
def test_every_update_of_a_training_is_that_of_the_algorithm(run, recorder, strategy):
    run(strategy)
    assert list(recorder.updates) == UPDATES and len(recorder.steps) == STEPS
    first = recorder.steps[1][1]
    changed = moving = 0
    for step, (weights, before, gradients, mask) in recorder.updates.items():
        fraction = 0.3 / 2 * (1 + math.cos(step * math.pi / (0.75 * STEPS)))
        for name, keep in mask.items():
            assert keep.sum() == first[name].sum(), "the count of a matrix never changes"
            grown = keep & ~before[name]
            changed += int(grown.sum())
            gradient = gradients[name].abs()
            assert gradient[~before[name]].sum() > 0, "gradients are dense"
            lists = [tensor.flatten().tolist() for tensor in (weights[name], before[name], gradient)]
            if strategy == "rigl":
                assert set(keep.flatten().nonzero().flatten().tolist()) == algorithm_1(*lists, fraction)
            # Grown weights are zero after the update. The next step moves those that have a gradient.
            assert not weights[name][grown].any()
            later = recorder.steps[step + 1][0][name]
            assert not later[~keep].any()
            moving += int(later[grown].count_nonzero())
            dropped = int(fraction * int(before[name].sum()))
            assert int((before[name] & ~keep).sum()) == int(grown.sum()) <= dropped
    assert changed > 300 and moving > 0.5 * changed


def test_the_mask_starts_with_the_densities_of_the_erdos_renyi_kernel(run, recorder):
    """Densities in proportion to (outputs + inputs) / (outputs · inputs), where none is above 1."""
    run("rigl[drop=0]", "0.9")
    mask = recorder.steps[1][1]
    factor = 0.1 * sum(keep.numel() for keep in mask.values()) / sum(sum(keep.shape) for keep in mask.values())
    for keep in mask.values():
        density = factor * sum(keep.shape) / keep.numel()
        assert density < 1
        assert abs(int(keep.sum()) - density * keep.numel()) <= 1
    assert all((mask[name] == keep).all() for name, keep in recorder.steps[STEPS][1].items()), "drop=0 moves nothing"


def test_a_training_may_start_from_a_random_mask_and_from_another_scope(run, recorder):
    run("rigl[start=random,scope=layer]", "0.75")
    mask = recorder.steps[1][1]
    assert {int((~keep).sum()) / keep.numel() for keep in mask.values()} == {0.75}
    # Magnitudes would have left the largest weights, of which a random mask has a quarter.
    large = {name: weight.abs() > weight.abs().quantile(0.75) for name, weight in recorder.start.items()}
    assert sum(int(each.sum()) for each in large.values()) == 1024
    # A binomial of 1024 and 0.25 has a standard deviation of 14.
    assert 256 - 5 * 14 < sum(int((mask[name] & each).sum()) for name, each in large.items()) < 256 + 5 * 14


@pytest.mark.parametrize("strategy", ["rigl", "rigl[grow=random]", "rigl[updates=1000,end=1]"])
def test_the_final_count_is_exact_and_pruned_weights_are_zero(run, strategy):
    store, cell, record = run(strategy, "0.77")
    assert record.sparsity.pruned == masks.pruned_count(0.77, record.sparsity.units)
    assert record.checks["count_exact"] and record.checks["pruned_weights_zero"]
    assert (len(cell.trainings), record.steps) == (1, STEPS)
    assert masks.pruned(store.load("masks", cell.mask, masks.unpack)) == record.sparsity.pruned


@pytest.mark.parametrize("strategy", ["rigl", "rigl[grow=random]"])
def test_an_interrupted_training_goes_on_bit_for_bit(check_resume, strategy):
    check_resume(Updates, strategy, 9)


def test_the_entry_point_provides_the_strategy():
    entry = Registry().entry("strategies", "rigl")
    assert (entry.plugin.distribution, entry.plugin.origin) == ("prunebench-rigl", "entry point prunebench_rigl")


def test_a_teacher_changes_the_outcome(run):
    logits = []
    for teacher in ("none", "dense"):
        store, cell, record = run(f"rigl[teacher={teacher}]")
        assert record.checks["count_exact"]
        logits.append(store.logits(cell.key)["validation"])
    assert (logits[0] != logits[1]).any()


@pytest.mark.parametrize("option", ["pattern=2:4", "schedule=cubic", "budget=flops"])
def test_other_options_of_every_method_are_refused_in_a_line(option):
    with pytest.raises(prunebench.PrunebenchError, match=f"'rigl' takes no option '{option.split('=')[0]}'"):
        Method(f"rigl[{option}]", Registry())


@pytest.mark.parametrize("option", ["grow=momentum", "start=dense", "drop=1.5", "end=0", "updates=0"])
def test_bad_options_are_errors(option):
    with pytest.raises(prunebench.PrunebenchError, match="rigl"):
        Registry().strategy(f"rigl[{option}]")
