"""Predict a split and score it by its task's metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from prunebench.models.fast import first_token
from prunebench.tasks.task import Task
from prunebench.training import batching
from prunebench.training.loop import autocast

# Tokens of a batch. On a CPU what a layer makes of more does not fit its caches.
TOKENS = {"cpu": 2048, "cuda": 8192}


def predict(model: nn.Module, data: batching.Encoded, *, precision: str, device: str) -> np.ndarray:
    """Logits of every example in the split's order, float32, shape (examples, labels)."""
    model.eval()
    parts, order = [], []
    with torch.no_grad(), autocast(precision, device), first_token.alone():
        for indices in batching.in_order(data, TOKENS[device]):
            batch = data.batch(indices)
            batch.pop("labels")
            parts.append(model(**batch).logits.float())
            order.extend(indices)
    logits = torch.cat(parts).cpu()
    return logits[torch.tensor(order).argsort()].numpy()


def decide(task: Task, logits: np.ndarray) -> list[Any]:
    """What is scored: the class of the largest logit, or the score itself."""
    return list((logits[:, 0] if task.is_regression else logits.argmax(axis=1)).tolist())
