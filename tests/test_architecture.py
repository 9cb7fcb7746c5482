"""What starts without torch, and how long a module may be; import-linter holds the layers (`pyproject.toml`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import prunebench

ROOT = Path(prunebench.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list", "strategies"], *([name, "--help"] for name in ("run", "compare", "results"))]
)
def test_the_command_line_starts_without_heavy_imports(arguments):
    code = (
        "import sys; sys.argv = ['prunebench', *sys.argv[1:]]\nfrom prunebench.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'evaluate', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "name",
    [
        *("reports.leaderboard", "reports.comparison", "reports.comparison.predictions", "reports.figures"),
        *("reports.figures.comparison", "reports.transfer", "reports.overlap", "results.rows", "store.store"),
        *("sharing.bundle.reader", "sharing.bundle.pack", "sharing.bundle.verify"),
    ],
)
def test_pages_and_bundles_need_no_torch(name):
    code = f"import sys, prunebench.{name}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_module_is_too_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    # One module owns the whole data model, so that no field list is spelled out twice.
    limits = {"store/schema.py": 450}
    assert {name: lines for name, lines in lengths.items() if lines > limits.get(name, 310)} == {}


def test_handing_out_jobs_loads_nothing_that_computes():
    modules = "prunebench.execution.scheduler, prunebench.planning.jobs"
    code = f"import sys, {modules}; print({{'torch', 'transformers'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_planning_loads_nothing_that_computes():
    code = """
import dataclasses, sys
from prunebench.planning import experiment
from prunebench.hooks.registry import Registry
from prunebench.planning.suite import load
registry = Registry()
experiment.plan(dataclasses.replace(load("smoke", registry), device="cpu"), registry)
print({"torch", "transformers", "datasets", "scipy"} & set(sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
