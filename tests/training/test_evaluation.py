"""Predictions of a split."""

from __future__ import annotations

import numpy as np
import torch

from prunebench.training.evaluation import predict


def test_predictions_are_in_the_order_of_the_split(setting):
    """Single examples without padding have the same logits."""
    pm, data = setting()
    tokens = []
    last = pm.model.get_submodule(pm.layers[-1].output)
    hook = last.register_forward_pre_hook(lambda _, tensors: tokens.append(tensors[0].shape[1]))
    logits = predict(pm.model, data, precision="fp32", device="cpu")
    hook.remove()
    assert set(tokens) == {1}, "the last layer computes the first token only"
    for i in range(0, len(data), 7):
        example = {name: rows[i : i + 1, : data.lengths[i]].long() for name, rows in data.inputs.items()}
        with torch.no_grad():
            np.testing.assert_allclose(pm.model(**example).logits[0].numpy(), logits[i], atol=1e-5)
