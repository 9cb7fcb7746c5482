"""A valid experiment, record, cell and plan, for tests to change. Tests import them from here by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import safetensors.numpy

from prunebench import Protocol
from prunebench.store.schema import (
    FORMAT,
    Cell,
    Encoder,
    Evaluation,
    Experiment,
    Model,
    Parameters,
    PhaseEntry,
    Record,
    Sparsity,
    StoredPlan,
)

KEY = "ab" + "0" * 30
EXPERIMENT = Experiment(
    task="rte",
    code="engine 1",
    data="d",
    sizes={"train": 10, "validation": 5},
    model=Model(name="m", revision="", fingerprint="f", family="bert"),
    protocol=Protocol().to_json(),
    protocol_label="glue-1",
    seed=0,
    precision="fp32",
    device="cpu",
    prunable="encoder",
)


def record(key: str = KEY, **changes: Any) -> Record:
    """The record of a dense training. `changes` replace fields."""
    fields: dict[str, Any] = {
        "format": FORMAT,
        "key": key,
        "status": "done",
        "experiment": EXPERIMENT,
        "phases": [PhaseEntry(phase="Train", strategy="", sparsity=None)],
        "evaluations": {
            "validation": Evaluation(examples=5, metrics={"accuracy": 0.6}, degenerate=[], majority={"accuracy": 0.6})
        },
        "steps": 3,
        "tokens": 60,
        "loss": 0.25,
        "sparsity": Sparsity(
            unit="weight",
            units=100,
            pruned=0,
            realised=0.0,
            encoder_weights=100,
            encoder_before=0.0,
            encoder_after=0.0,
        ),
        "encoder": Encoder(layers=2, heads=4, head_size=8),
        "parameters": Parameters(total=160, left=160, in_model=160),
        "checks": {"count_exact": True, "pruned_weights_zero": True},
        "environment": {"prunebench": "0.1.0", "threads": 1},
        "seconds": {"load": 0.5, "train": 2.0},
        "peak_memory_mb": 100.0,
    }
    return Record(**fields | changes)


def cell(**changes: Any) -> Cell:
    """The cell whose score is read from `record()`. `changes` replace fields."""
    fields: dict[str, Any] = {
        "strategy": "dense",
        "label": "dense",
        "options": {},
        "unit": "weight",
        "track": "unstructured",
        "control_of": None,
        "source": "prunebench 0.1.0",
        "doc": "",
        "task": "rte",
        "benchmark": "GLUE",
        "split": "dev",
        "metrics": ("accuracy",),
        "evaluations": ("validation",),
        "sparsity": 0.0,
        "seed": 0,
        "key": KEY,
        "trainings": (KEY,),
        "setting": EXPERIMENT.setting,
    }
    return Cell(**fields | changes)


def plan(suite: str = "one", **changes: Any) -> StoredPlan:
    """The plan of a command that asked for one cell. `changes` replace fields."""
    fields: dict[str, Any] = {"suite": suite, "command": f"prunebench run {suite}", "cells": [cell()]}
    return StoredPlan(**fields | changes)


def tensors(content: bytes = b"content") -> bytes:
    """A safetensors file with these bytes as its one tensor."""
    return bytes(safetensors.numpy.save({"content": np.frombuffer(content, dtype=np.uint8)}))


def content(data: bytes) -> bytes:
    """The inverse of `tensors`, of a file that may have a seal."""
    return safetensors.numpy.load(data)["content"].tobytes()
