"""Helpers for tests of trainings."""

from __future__ import annotations

import torch

from prunebench import Protocol
from prunebench.models.fast.dropout import Dropout
from prunebench.training import batching, loop

PROTOCOL = Protocol(epochs=2, batch_size=10, lr=1e-3, max_length=64, clip=0.5)


def half_masks(pm, seed=0):
    """Masks of the prunable matrices in which about half of the weights stay."""
    generator = torch.Generator().manual_seed(seed)
    named = dict(pm.model.named_parameters())
    return {name: torch.rand(named[name].shape, generator=generator) > 0.5 for name in pm.prunable}


def train(pm, data, keep=None, epochs=PROTOCOL.epochs, **options):
    """Prune and train a model with `PROTOCOL`, by default in fp32."""
    keep = keep or {}
    with torch.no_grad():
        for name, parameter in pm.model.named_parameters():
            if name in keep:
                parameter.mul_(keep[name])
    options = {"precision": "fp32", "device": "cpu", **options}
    protocol = options.pop("protocol", PROTOCOL).override(epochs=epochs)
    return loop.train(pm.model, data, protocol, 0, keep, **options)


def weights(pm):
    return {name: parameter.detach().clone() for name, parameter in pm.model.named_parameters()}


def without_dropout(model):
    """Set the rates of all dropout modules of an accelerated model to zero."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0


def ragged(data):
    """The data with texts cut to all lengths from 4 tokens on."""
    lengths = torch.arange(len(data)) % (int(data.lengths.max()) - 3) + 4
    real = torch.arange(data.inputs["input_ids"].shape[1]) < lengths[:, None]
    return batching.EncodedSplit({name: rows * real for name, rows in data.inputs.items()}, data.labels, lengths)
