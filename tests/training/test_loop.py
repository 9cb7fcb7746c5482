"""The training loop against a plain loop written in another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.utils import prune as torch_prune
from training.helpers import PROTOCOL, half_masks, ragged, train, weights, without_dropout

from prunebench import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models.fast.device import accelerate
from prunebench.runtime import progress
from prunebench.runtime.seeds import derive
from prunebench.training import batching, loop
from prunebench.training.callbacks import Ramp, Snapshots
from prunebench.training.evaluation import predict, predictions


@pytest.mark.parametrize("part", [1000, 1])
def test_masked_training_equals_training_without_those_weights(setting, monkeypatch, part):
    """The reference has torch's own pruning (weight = weight_orig ⊙ mask), its own schedule, and whole batches."""
    monkeypatch.setattr(batching, "part_cost", lambda weights: part)
    monkeypatch.setattr(batching, "MULTIPLE", 1)
    pm, data = setting()
    data = ragged(data)
    reference, _ = setting()
    # The random numbers of parts differ from those of the whole batch.
    without_dropout(pm.model)
    without_dropout(reference.model)
    first = next(batching.training_batches(data, 10, torch.Generator().manual_seed(derive(0, "order"))))
    assert (len(batching.parts(data, first, part)) > 1) == (part == 1)
    keep = half_masks(pm)
    train(pm, data, keep)

    model = reference.model
    for name in reference.prunable:
        torch_prune.custom_from_mask(model.get_submodule(name.removesuffix(".weight")), "weight", keep[name].float())
    optimizer = torch.optim.AdamW(model.parameters(), lr=PROTOCOL.lr, weight_decay=0.0, eps=1e-8)
    total = 2 * math.ceil(len(data) / 10)
    order = torch.Generator().manual_seed(derive(0, "order"))
    model.train()
    step = 0
    for _ in range(2):
        for indices in list(batching.training_batches(data, 10, order)):
            for group in optimizer.param_groups:
                group["lr"] = PROTOCOL.lr * (1 - step / total)
            batch = data.batch(indices)
            logits = model(**{name: value for name, value in batch.items() if name != "labels"}).logits
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits, batch["labels"]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), PROTOCOL.clip)
            optimizer.step()
            step += 1
    actual = weights(pm)
    for name, parameter in model.named_parameters():
        plain = name.removesuffix("_orig")
        expected = parameter.detach() * keep[plain] if plain in keep else parameter.detach()
        torch.testing.assert_close(actual[plain], expected, rtol=2e-3, atol=2e-5)
    assert all(not actual[name][~keep[name]].any() for name in keep)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pruned_weights_stay_exactly_zero_and_others_move(setting, precision):
    pm, data = setting()
    keep = half_masks(pm)
    before = weights(pm)
    outcome = train(pm, data, keep, precision=precision)
    after = weights(pm)
    for name in keep:
        assert not after[name][~keep[name]].any()
        assert (after[name] != before[name])[keep[name]].float().mean() > 0.9
    assert outcome.steps == 2 * math.ceil(len(data) / 10)
    assert math.isfinite(outcome.loss)


def test_a_new_mask_prunes_weights_and_their_momentum(setting):
    """Newly pruned weights are zero at once and stay zero, although the optimiser moved them before."""
    pm, data = setting()
    first, second = half_masks(pm, 1), half_masks(pm, 2)
    both = {name: first[name] & second[name] for name in first}
    train(pm, data, first, callbacks=[Ramp({4: lambda: both})])
    after = weights(pm)
    assert all(not after[name][~both[name]].any() for name in both)


def test_a_snapshot_is_the_state_after_its_step(setting):
    pm, data = setting()
    snapshots = []
    train(pm, data, callbacks=[Snapshots({3: lambda: snapshots.append(weights(pm))})])
    final = weights(pm)
    short, _ = setting()

    def stop():
        snapshots.append(weights(short))
        raise RuntimeError("after three steps")

    with pytest.raises(RuntimeError, match="after three steps"):
        train(short, data, callbacks=[Snapshots({3: stop})])
    first, second = snapshots
    assert all(torch.equal(first[name], second[name]) for name in second)
    assert not torch.equal(first["classifier.weight"], final["classifier.weight"])


def test_a_training_is_determined_by_its_seed_and_its_order_does_not_depend_on_the_mask(setting, monkeypatch):
    orders = []
    real = batching.EncodedSplit.batch
    monkeypatch.setattr(
        batching.EncodedSplit, "batch", lambda self, indices: orders.append(indices) or real(self, indices)
    )
    results = []
    for masked in (False, False, True):
        pm, data = setting()
        train(pm, data, half_masks(pm) if masked else None)
        results.append((weights(pm), list(orders)))
        orders.clear()
    (one, order_one), (two, order_two), (_, order_masked) = results
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert order_one == order_two == order_masked


def test_a_learnable_task_is_learned(setting):
    pm, data = setting("sst2")
    train(pm, data, epochs=20)
    logits = predict(pm.model, data, precision="fp32", device="cpu")
    assert (logits.argmax(axis=1) == data.labels.numpy()).mean() > 0.9


def test_scores_are_trained_by_squared_error(setting):
    pm, data = setting("stsb")
    task = Registry().get("tasks", "stsb")
    before = predict(pm.model, data, precision="fp32", device="cpu")
    train(pm, data, epochs=20)
    after = predict(pm.model, data, precision="fp32", device="cpu")
    labels = data.labels.numpy()
    assert np.square(after[:, 0] - labels).mean() < np.square(before[:, 0] - labels).mean() / 2
    assert predictions(task, after) == after[:, 0].tolist()


def test_progress_is_reported_with_the_mean_loss(setting):
    pm, data = setting()
    reports = []
    with progress.temporary_listener(reports.append):
        train(pm, data, epochs=5)
    total = 5 * math.ceil(len(data) / 10)
    assert total == 25
    assert [report.step for report in reports] == [10, 20, 25]
    assert {report.steps for report in reports} == {total}
    assert all(0 < report.loss < 5 for report in reports)
    train(pm, data)
    assert len(reports) == math.ceil(total / loop.REPORT_EVERY["cpu"]), "nobody listens any more"


def test_a_loss_of_nan_ends_the_training(setting):
    pm, data = setting()
    with torch.no_grad():
        pm.model.classifier.weight.fill_(torch.nan)
    with pytest.raises(PrunebenchError, match="diverged"):
        train(pm, data)


def test_another_seed_has_another_order_and_other_dropout(setting, monkeypatch):
    """With all examples in one batch, sorted, only dropout can change the first loss."""
    orders, losses = [], []
    real_batch, real_loss = batching.EncodedSplit.batch, loop.loss_of

    def batch(self, indices):
        orders[-1].append(indices)
        return real_batch(self, sorted(indices))

    def loss_of(logits, labels):
        loss = real_loss(logits, labels)
        losses[-1].append(loss.item())
        return loss

    monkeypatch.setattr(batching.EncodedSplit, "batch", batch)
    monkeypatch.setattr(loop, "loss_of", loss_of)
    whole = PROTOCOL.override(batch_size=1000, epochs=2)
    for seed in (0, 1, 0):
        pm, data = setting()
        orders.append([])
        losses.append([])
        loop.train(pm.model, data, whole, seed, {}, precision="fp32", device="cpu")
    assert losses[0] == losses[2]
    assert losses[0][0] != losses[1][0]
    orders.clear()
    for seed in (0, 1):
        pm, data = setting()
        orders.append([])
        losses.append([])
        loop.train(pm.model, data, PROTOCOL, seed, {}, precision="fp32", device="cpu")
    assert orders[0] != orders[1]
    assert sorted(i for batch in orders[0] for i in batch) == sorted(i for batch in orders[1] for i in batch)


def test_a_compiled_training_is_the_same_training(setting, monkeypatch):
    """Only traced, since compiling takes a minute. Hooks, loss and gradients are those of the model."""
    monkeypatch.setattr(loop, "BACKEND", "aot_eager")
    results = []
    for precision in ("fp32", "fp32+compile"):
        pm, data = setting()
        accelerate(pm.model, "cuda")
        without_dropout(pm.model)
        train(pm, data, half_masks(pm), precision=precision, epochs=1)
        results.append(weights(pm))
    compilations = loop.compiled.cache_info().misses
    loop.compiled.cache_clear()
    assert compilations == 1, "one of the two trainings is compiled"
    plain, compiled = results
    assert all(torch.allclose(plain[name], compiled[name], rtol=1e-4, atol=1e-5) for name in plain)
