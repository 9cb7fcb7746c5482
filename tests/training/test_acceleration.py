"""Accelerated trainings against plain ones, and what makes them fast."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from training.helpers import PROTOCOL, half_masks, ragged, train, weights

from prunebench.models import sources
from prunebench.models.encoder import load
from prunebench.models.families import FAMILIES
from prunebench.models.fast import embedding_subset
from prunebench.models.fast.device import accelerate, move_and_accelerate
from prunebench.training import acceleration, batching, loop
from prunebench.training.callbacks import Snapshots


def few_tokens(data):
    """The data with 30 different tokens."""
    ids = data.inputs["input_ids"].clone()
    ids[ids >= 30] = 7
    return batching.EncodedSplit({**data.inputs, "input_ids": ids}, data.labels, data.lengths)


def test_a_plain_training_agrees_with_an_accelerated_one(setting, tiny_bert, monkeypatch):
    """The plain model has torch's attention and computes all tokens, in whole batches, with the whole table."""
    monkeypatch.setattr(batching, "part_cost", lambda weights: 1)
    _, data = setting()
    data = few_tokens(ragged(data))
    weights_after, outcomes, shapes = [], [], []

    def train_with(accelerate, family):
        pm = load(sources.resolve(str(tiny_bert), FAMILIES), family, num_labels=2, regression=False, seed=0)
        for module in pm.model.modules():
            if isinstance(module, nn.Dropout):  # the two have different random numbers
                module.p = 0.0
        if accelerate is acceleration.fast:
            move_and_accelerate(pm.model, "cpu")
        shapes.append([])
        table = pm.model.get_input_embeddings()
        table.register_forward_hook(lambda _, ids, vectors: shapes[-1].append((*ids[0].shape, len(table.weight))))
        outcomes.append(train(pm, data, half_masks(pm), accelerate=accelerate))
        weights_after.append(weights(pm))

    train_with(acceleration.plain, replace(FAMILIES[0], after_attention=""))
    train_with(acceleration.fast, FAMILIES[0])
    plain, fast = shapes
    assert len(plain) == outcomes[0].steps < len(fast), "only the accelerated training has parts of batches"
    assert {rows for _, _, rows in plain} == {len(weights_after[0]["bert.embeddings.word_embeddings.weight"])}
    assert max(rows for _, _, rows in fast) <= 30
    assert outcomes[1].tokens < outcomes[0].tokens
    assert outcomes[1].loss == pytest.approx(outcomes[0].loss, rel=1e-4)
    for name, expected in weights_after[0].items():
        torch.testing.assert_close(weights_after[1][name], expected, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_only_the_embeddings_of_the_data_are_trained(setting, monkeypatch, decay):
    """Against a training with the whole table, which weight decay moves. Snapshots see the whole table."""
    results, sizes_of_tables = [], []

    def train_with(share):
        pm, data = setting()
        data = few_tokens(data)
        table = pm.model.get_input_embeddings()
        monkeypatch.setattr(embedding_subset, "SHARE", share)
        sizes = []
        table.register_forward_hook(lambda module, ids, vectors: sizes.append(len(module.weight)))
        snapshots = {3: lambda: sizes.append(len(table.weight))}
        protocol = {"protocol": PROTOCOL.override(weight_decay=decay)}
        train(pm, data, half_masks(pm), callbacks=[Snapshots(snapshots)], **protocol)
        assert table.weight is dict(pm.model.named_parameters())["bert.embeddings.word_embeddings.weight"]
        assert not table._forward_pre_hooks
        results.append(weights(pm))
        sizes_of_tables.append(set(sizes))

    train_with(2)
    train_with(10**9)
    whole = len(results[0]["bert.embeddings.word_embeddings.weight"])
    assert sizes_of_tables[1] == {whole}
    assert whole in sizes_of_tables[0]
    assert (min(sizes_of_tables[0]) <= 30) == (not decay)
    for name, tensor in results[1].items():
        torch.testing.assert_close(results[0][name], tensor, rtol=1e-5, atol=1e-7)


class Casts(TorchDispatchMode):
    """Counts how often a parameter is cast to bf16."""

    def __init__(self, parameter):
        super().__init__()
        self.parameter = parameter
        self.times = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._to_copy.default and args[0].data_ptr() == self.parameter.data_ptr():
            self.times += 1
        return function(*args, **(kwargs or {}))


def test_weights_are_cast_once_per_step_whatever_the_number_of_parts(setting, monkeypatch):
    monkeypatch.setattr(batching, "parts", lambda data, indices, cost: [indices[:1], indices[1:2], indices[2:]])
    pm, data = setting()
    with Casts(dict(pm.model.named_parameters())[pm.prunable[0]]) as casts:
        outcome = train(pm, data, {}, precision="bf16", epochs=1)
    assert casts.times == outcome.steps > 1


class Waits(TorchDispatchMode):
    """Counts the numbers that the host reads from tensors on a GPU. Lengths, which are int64, never are on one."""

    def __init__(self):
        super().__init__()
        self.times = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default and args[0].dtype != torch.int64:
            self.times += 1
        return function(*args, **(kwargs or {}))


def test_no_step_waits_for_a_gpu(setting):
    """There is one wait per report of the loss, and one at the end, whatever the number of steps."""
    pm, data = setting()
    accelerate(pm.model, "cuda")
    with Waits() as waits:
        outcome = train(pm, ragged(data), epochs=6)
    assert outcome.steps == 30
    assert waits.times == 30 / loop.REPORT_EVERY["cpu"] + 1


def test_attention_for_a_gpu_equals_that_of_transformers(setting):
    pm, data = setting()
    batch = ragged(data).batch(range(20))
    del batch["labels"]
    logits = []
    for replace_attention in (
        lambda: pm.model.set_attn_implementation("sdpa"),
        lambda: accelerate(pm.model, "cuda"),
    ):
        replace_attention()
        pm.model.eval()
        logits.append(pm.model(**batch).logits)
    assert torch.equal(*logits)
