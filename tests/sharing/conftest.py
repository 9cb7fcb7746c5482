"""A store after a small run, and its bundle."""

import pytest
from commands import call
from sharing.forgery import pack_store

from prunebench.store.store import Store


@pytest.fixture(scope="session")
def run_words(tiny_bert, tiny_glue):
    """The options of the run."""
    return [
        *("--tasks", "rte,stsb", "--strategies", "imp,heads,random-pruning", "--sparsities", "0.2", "--seeds", "2"),
        *("--epochs", "1", "--batch-size", "16", "--lr", "1e-3", "--precision", "fp32", "--device", "cpu"),
        *("--model", tiny_bert, "--glue-dir", tiny_glue, "--executor", "here"),
    ]


@pytest.fixture(scope="session")
def store(run_words, tmp_path_factory):
    """Two tasks, two seeds, 16 cells. Tests must not write to it."""
    folder = tmp_path_factory.mktemp("lab") / "store"
    status, _, err = call("run", *run_words, "--store", folder)
    assert status == 0, err
    return folder


@pytest.fixture(scope="session")
def good(store):
    """The bundle of the store."""
    return pack_store(Store.open(store))
