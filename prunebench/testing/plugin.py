"""The fixtures of the pytest plugin. Nothing heavy is imported before a test asks for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pandas as pd

    from prunebench.execution.context import Context


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random BERT with 2 layers of width 16, 2 heads and 32 neurons each, and its tokenizer."""
    from prunebench.testing import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="session")
def tiny_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `glue_dir` in which SST-2 has 40 training rows and 16 dev rows."""
    from prunebench.testing import write_tiny_task

    return write_tiny_task(tmp_path_factory.mktemp("tiny-task"))


@pytest.fixture
def context() -> Callable[..., Context]:
    """`prunebench.testing.context`: what `score` and `prune` are given, on a model that fits on a page."""
    from prunebench.testing import contexts

    return contexts.context


@pytest.fixture
def run(tiny_model: Path, tiny_task: Path, tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """A function `run(strategies, sparsities, **options)` that runs methods and returns the long table of scores.

    Trainings have two steps, unless options such as `epochs="5"` say otherwise. A method that fails raises
    PrunebenchError.
    """
    from prunebench import PrunebenchError
    from prunebench.testing import run_tiny

    def run_here(strategies: Any, sparsities: Any, **options: Any) -> pd.DataFrame:
        store = tmp_path / "store"
        results = run_tiny(strategies, sparsities, model=tiny_model, task=tiny_task, store=store, **options)
        for cell, reason in results.failures.items():
            raise PrunebenchError(f"{cell}: {reason}")
        return results.frame()

    return run_here
