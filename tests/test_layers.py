"""Imports only go downward, and the command line starts without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import prunebench

ROOT = Path(prunebench.__file__).parent
FLOORS = [
    {"errors", "phases", "protocol", "seeds", "progress", "hookspecs"},
    {"masks", "packed", "machine", "strategy", "executors", "places", "documents", "files"},
    {"at_work", "registry", "tasks", "models", "units", "compaction", "cluster"},
    {"batches", "midway", "inputs"},
    {"training", "evaluation"},
    {"context", "suite", "recipes", "pretraining"},
    {"plan", "store", "subjects", "suites"},
    {"jobs", "records", "roots", "calls", "steps", "checkpoints"},
    {"worker", "kept"},
    {"bench", "results", "stats"},
    {"selection", "table"},
    {"leaderboard", "compare", "sharing"},
    {"analysis"},
    {"figures"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# What plugins may import stands outside of the house, and strategies use nothing else.
OUTSIDE = {"__init__", "strategies"}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The rooms that a file imports at run time."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "prunebench":
            found |= {alias.name if (ROOT / alias.name).exists() or (ROOT / f"{alias.name}.py").exists() else "__init__"
                      for alias in node.names}  # fmt: skip
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prunebench."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("prunebench.")}
    return found


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward(path):
    here = room(path)
    if here == "__init__":
        return
    if here == "strategies":
        assert imports(path) <= {"__init__"}, "strategies import only what prunebench exports"
        return
    assert here in FLOOR, f"{here} stands on no floor"
    above = {other for other in imports(path) - {here} - {"__init__"} if FLOOR.get(other, 99) > FLOOR[here]}
    assert not above, f"{here} imports upward: {above}"


def test_every_room_stands_somewhere():
    assert {room(path) for path in FILES} == set(FLOOR) | OUTSIDE


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
        *("leaderboard", "compare", "compare.predictions", "figures", "figures.compared", "results", "store"),
        *("analysis.transfer", "analysis.overlap", "sharing.bundle", "sharing.pack", "sharing.verify"),
    ],
)
def test_pages_and_bundles_need_no_torch(name):
    code = f"import sys, prunebench.{name}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_module_is_too_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > 310} == {}


def test_handing_out_jobs_loads_nothing_that_computes():
    code = "import sys, prunebench.bench, prunebench.jobs; print({'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_planning_loads_nothing_that_computes():
    code = """
import dataclasses, sys
from prunebench import roots
from prunebench.registry import Registry
from prunebench.suite import load
registry = Registry()
roots.plan(dataclasses.replace(load("smoke", registry), device="cpu"), registry)
print({"torch", "transformers", "datasets", "scipy"} & set(sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
