"""A tiny model and its data, ready to be trained."""

from __future__ import annotations

import pytest
from training.helpers import PROTOCOL

from prunebench.hooks.registry import Registry
from prunebench.models import sources
from prunebench.models.encoder import load, load_tokenizer
from prunebench.models.families import FAMILIES
from prunebench.models.fast.device import move_and_accelerate
from prunebench.tasks.task import DataSource
from prunebench.training import batching


@pytest.fixture
def setting(tiny_bert, tiny_glue):
    """A function that returns a new tiny model and the encoded training data of a task."""

    def make(task="rte", seed=0):
        source = sources.resolve(str(tiny_bert), FAMILIES)
        labels = len(Registry().get("tasks", task).labels) or 1
        pm = load(source, FAMILIES[0], num_labels=labels, regression=labels == 1, seed=seed)
        move_and_accelerate(pm.model, "cpu")
        data = Registry().get("tasks", task).load(DataSource(tiny_glue)).train
        return pm, batching.encode(load_tokenizer(source), data, PROTOCOL.max_length)

    return make
