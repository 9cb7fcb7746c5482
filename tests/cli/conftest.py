"""A store after one small run, made once for all tests of the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import CommandResult, call


@pytest.fixture(scope="session")
def words(on_tiny: list[str]) -> list[str]:
    """Options that make a run on the tiny model and data."""
    what = ["--tasks", "rte", "--strategies", "magnitude", "--sparsities", "0.2", "--seeds", "1"]
    return [*what, *on_tiny, "--epochs", "1", "--batch-size", "16"]


@pytest.fixture(scope="session")
def first(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CommandResult]:
    """A store after its first run, and what that run printed. Tests do not change it."""
    store = tmp_path_factory.mktemp("stores") / "first"
    return store, call("run", *words, "--store", store)


@pytest.fixture
def store(first: tuple[Path, CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that store as `store` in the working folder, which is empty otherwise."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(first[0], tmp_path / "store")
    return tmp_path / "store"
