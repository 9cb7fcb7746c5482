"""SR-STE against a training loop with the estimator as a function of autograd, and in real runs."""

from __future__ import annotations

import copy

import pytest
import torch
from prunebench_nm import Estimator

import prunebench
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.pruning import masks
from prunebench.training.loop import loss_of

UNITS = 2 * (4 * 16 * 16 + 2 * 16 * 32)
STEPS = 25


class Sparse(torch.autograd.Function):
    """W ⊙ mask, whose derivative for W is taken to be 1, with the decay of the pruned weights added to the gradient."""

    @staticmethod
    def forward(ctx, weight, mask, decay):
        ctx.save_for_backward(weight, mask)
        ctx.decay = decay
        return weight * mask

    @staticmethod
    def backward(ctx, gradient):
        weight, mask = ctx.saved_tensors
        return gradient + ctx.decay * (1 - mask) * weight, None, None


def largest(weight, n, m):
    """1 for the n largest magnitudes of each m consecutive weights of a row."""
    groups = weight.detach().abs().reshape(-1, m)
    return torch.zeros_like(groups).scatter_(1, groups.topk(n, dim=1).indices, 1).view_as(weight)


class Recorder:
    """Looks on while the plugin works: its model before the first step, its batches, masks and weights."""

    def __init__(self, monkeypatch):
        self.batches, self.masks = [[]], []
        real_start, real_step = Estimator.__init__, Estimator.after_step

        def start(callback, ctx, decay):
            real_start(callback, ctx, decay)
            self.callback, self.model = callback, copy.deepcopy(ctx.model)

        def after_step(callback, step):
            self.batches.append([])
            self.masks.append(real_step(callback, step))
            return self.masks[-1]

        def loss(callback, value, outputs, batch):
            self.batches[-1].append(batch)
            return value

        for name, function in (("__init__", start), ("after_step", after_step), ("loss", loss)):
            monkeypatch.setattr(Estimator, name, function)


@pytest.fixture
def recorder(monkeypatch):
    return Recorder(monkeypatch)


@pytest.mark.parametrize(("n", "m", "decay"), [(2, 4, 2e-4), (1, 4, 1e-4)])
def test_weights_and_masks_are_those_of_a_loop_with_autograd(run, recorder, n, m, decay):
    run(f"sr-ste[n={n},m={m},decay={decay}]", str(1 - n / m))
    model = recorder.model.train()
    parameters = {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}
    matrices = list(recorder.callback.dense)
    optimizer = torch.optim.AdamW(parameters.values(), eps=1e-8, weight_decay=0.0)
    for step, parts in enumerate(recorder.batches[:STEPS]):
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / STEPS)
        optimizer.zero_grad()
        keep = {name: largest(parameters[name], n, m) for name in matrices}
        if step:
            assert all(torch.equal(recorder.masks[step - 1][name], keep[name].bool()) for name in matrices), step
        labels = sum(len(part["labels"]) for part in parts)
        # One backward pass for the whole batch: the decay counts once for each matrix.
        effective = parameters | {name: Sparse.apply(parameters[name], keep[name], decay) for name in matrices}
        total = 0
        for part in parts:
            inputs = {name: value for name, value in part.items() if name != "labels"}
            outputs = torch.func.functional_call(model, effective, kwargs=inputs)
            total = total + loss_of(outputs.logits, part["labels"]) * (len(part["labels"]) / labels)
        total.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
    changes = sum(int((recorder.masks[0][name] ^ keep).sum()) for name, keep in recorder.masks[-1].items())
    assert changes > 10, "pruned weights come back"
    for name in matrices:
        torch.testing.assert_close(
            recorder.callback.dense[name].detach(), parameters[name].detach(), rtol=1e-2, atol=1e-5
        )
    weights = recorder.callback.ctx.parameters
    others = [name for name in parameters if name not in matrices and "word_embeddings" not in name]
    for name in others:
        torch.testing.assert_close(weights[name], parameters[name].detach(), rtol=1e-2, atol=1e-5)


def test_every_step_follows_the_pattern_and_the_decay_shrinks_what_is_pruned(run, recorder):
    sizes = []
    for decay in (0, 10):
        recorder.masks.clear()
        store, cell, record = run(f"sr-ste[decay={decay}]", "0.5")
        assert record.checks["pattern_followed"] and record.checks["count_exact"]
        assert record.checks["pruned_weights_zero"]
        assert (record.sparsity.pruned, record.steps, len(cell.trainings)) == (UNITS // 2, STEPS, 1)
        for mask in [*recorder.masks, store.load("masks", cell.mask, masks.unpack)]:
            assert all((keep.reshape(-1, 4).sum(dim=1) == 2).all() for keep in mask.values())
        pruned = [recorder.callback.dense[name][~keep] for name, keep in recorder.masks[-1].items()]
        sizes.append(float(torch.cat(pruned).detach().abs().mean()))
    assert sizes[1] < 0.9 * sizes[0]


def test_an_interrupted_training_goes_on_bit_for_bit(check_resume):
    check_resume(Estimator, "sr-ste", 13, "0.5")


def test_it_has_the_one_sparsity_of_its_pattern():
    method = Method("sr-ste[n=1,m=4]", Registry())
    assert method.unsupported(0.5) == "pattern 1:4 has sparsity 0.75"
    assert method.unsupported(0.75) == ""


def test_the_entry_point_provides_the_strategy():
    entry = Registry().entry("strategies", "sr-ste")
    assert (entry.plugin.distribution, entry.plugin.origin) == ("prunebench-nm", "entry point prunebench_nm")


@pytest.mark.parametrize(
    ("options", "message"),
    [("n=4", "0 < n < m"), ("n=0", "0 < n < m"), ("decay=-1", "decay -1"), ("scope=row", "scope")],
)
def test_bad_options_are_errors(options, message):
    with pytest.raises(prunebench.PrunebenchError, match=message):
        Registry().strategy(f"sr-ste[{options}]")
