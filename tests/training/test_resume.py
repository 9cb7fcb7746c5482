"""Trainings that are saved in the middle and resumed."""

from __future__ import annotations

import pytest
import torch
from training.helpers import half_masks, train, weights

from prunebench.models.fast.dropout import GENERATOR
from prunebench.training.resume import Checkpointing, saved_mask


@pytest.mark.parametrize("at", [1, 7])
def test_a_training_resumes_bit_for_bit(setting, at):
    """In the first and in the second of two epochs, with random generators in another state, as in a new process."""
    saved = []
    pm, data = setting()
    keep = half_masks(pm)
    steps = iter(range(1, 100))
    midway = Checkpointing(lambda: next(steps) == at, saved.append, mask=lambda: keep)
    uninterrupted = train(pm, data, keep, callbacks=[midway])
    expected = weights(pm)
    other, _ = setting()
    torch.manual_seed(123)
    GENERATOR.seed(123)
    midway = Checkpointing(lambda: False, saved.append, start=saved[0])
    resumed = train(other, data, keep, callbacks=[midway])
    assert resumed == uninterrupted
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(other).items())
    assert len(saved) == 1
    mask = saved_mask(saved[0])
    assert mask.keys() == keep.keys() and all(torch.equal(mask[name], keep[name]) for name in keep)


def test_the_order_of_a_mask_is_part_of_the_state(setting):
    """Random masks are drawn group by group. A safetensors file sorts its tensors by type and name."""
    saved = []
    pm, data = setting()
    keep = dict(reversed(half_masks(pm).items()))
    assert list(keep) != sorted(keep)
    train(pm, data, keep, callbacks=[Checkpointing(lambda: not saved, saved.append, mask=lambda: keep)])
    assert list(saved_mask(saved[0])) == list(keep)
