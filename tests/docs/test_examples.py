"""The examples run, and a notebook shows what `run`, `leaderboard` and `compare` return."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from docs.quotes import ROOT
from nbclient import NotebookClient

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all examples run. The notebook finds the results of the methods that the script has run too."""
    return tmp_path_factory.mktemp("examples")


def test_the_script_runs(folder):
    run = subprocess.run(
        [sys.executable, EXAMPLES / "own_method.py"], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr
    assert "my-wanda[examples=128]" in run.stdout
    assert (folder / "scores.png").stat().st_size > 10_000
    assert (folder / "leaderboard/README.md").exists()


def test_the_committed_notebook_has_no_outputs():
    notebook = nbformat.read(EXAMPLES / "prunebench.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []


# ipykernel and zmq leave sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_the_notebook_runs_and_shows_its_results(folder, tmp_path, monkeypatch):
    shutil.rmtree(folder / "leaderboard", ignore_errors=True)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])))
    notebook = nbformat.read(EXAMPLES / "prunebench.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = {cell.source.strip().splitlines()[-1]: _outputs(cell) for cell in code}
    assert "| imp " in shown["results"]["text/markdown"]
    assert "Ranking" in shown["mine.leaderboard()"]["text/markdown"]
    assert "my-wanda" in shown["mine.leaderboard()"]["text/markdown"]
    assert "random-pruning" in shown['results.compare("imp", "random-pruning")']["text/markdown"]
    assert "<table" in shown['results.frame()[["label", "sparsity", "seed", "metric", "value", "dense"]]']["text/html"]
    assert len(shown["results.plot()"]["image/png"]) > 10_000
    assert (folder / "leaderboard/index.html").exists()


def _outputs(cell):
    """What a cell shows last, by MIME type."""
    return next((output.data for output in reversed(cell.outputs) if "data" in output), {})
