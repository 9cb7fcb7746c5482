"""What real small stores hold, on every kind of backend."""

from __future__ import annotations

import pytest
from commands import call, contents

from prunebench.store.store import Store


@pytest.fixture(scope="session")
def words(on_tiny):
    """Options of a run with one-shot pruning, iterative pruning and a control, on the tiny model and data."""
    what = ["--tasks", "rte", "--strategies", "magnitude,imp,random-pruning", "--sparsities", "0.2,0.3"]
    return [*what, *on_tiny, "--epochs", "1", "--batch-size", "16"]


@pytest.fixture(scope="session")
def template(words, tmp_path_factory):
    """The folder of a store after a run of two seeds. Tests do not change it."""
    folder = tmp_path_factory.mktemp("stores") / "template"
    assert call("run", *words, "--seeds", "2", "--store", folder).status == 0
    return folder


@pytest.fixture
def store(lab, template):
    """A copy of that store, on each kind of backend."""
    lab.fill(contents(template))
    return Store.open(lab.url)
