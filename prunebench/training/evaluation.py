"""Predict a split, and turn logits into what a metric scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from prunebench.tasks.task import Task
from prunebench.training import acceleration, batching
from prunebench.training.loop import autocast

# Tokens per batch. On a CPU the activations of larger batches do not fit its caches: the dev set of RTE takes MiniLM
# 1.43 s with 2,048 tokens and 1.73 s with 8,192 (tests/bench/README.md).
TOKENS = {"cpu": 2048, "cuda": 8192}


def predict(model: nn.Module, data: batching.EncodedSplit, *, precision: str, device: str) -> np.ndarray:
    """The logits of all examples in the order of the split, float32, shape (examples, labels)."""
    model.eval()
    logits, order = [], []
    with torch.no_grad(), autocast(precision, device), acceleration.prediction():
        for indices in batching.evaluation_batches(data, TOKENS[device]):
            batch = data.batch(indices)
            batch.pop("labels")
            logits.append(model(**batch).logits.float())
            order.extend(indices)
    return torch.cat(logits).cpu()[torch.tensor(order).argsort()].numpy()


def predictions(task: Task, logits: np.ndarray) -> list[Any]:
    """The predictions that a metric scores: the class with the largest logit, or the score of a regression."""
    return list((logits[:, 0] if task.is_regression else logits.argmax(axis=1)).tolist())
