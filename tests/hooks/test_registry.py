"""Plugins from entry points and files, and the errors that they can have."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import types

import pytest

from prunebench import PrunebenchError
from prunebench.hooks.registry import Registry

GOOD = """
from dataclasses import dataclass
from typing import ClassVar
from prunebench import Prune, Train, hookimpl

@dataclass(frozen=True)
class Mine:
    \"\"\"My own method.\"\"\"
    name: ClassVar[str] = "{name}"
    unit: ClassVar[str] = "weight"
    gain: float = 1.0
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        return {{name: weight.abs() * self.gain for name, weight in ctx.weights.items()}}

@hookimpl
def prunebench_strategies():
    return [Mine]
"""


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """A function that installs modules as entry points of a distribution for one test."""

    def install(**sources):
        points = []
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
            points.append(importlib.metadata.EntryPoint(name, name, "prunebench"))
        monkeypatch.syspath_prepend(tmp_path)
        distribution = types.SimpleNamespace(metadata={"Name": "some-dist"}, version="2.0")
        for point in points:
            vars(point)["dist"] = distribution
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)

    yield install
    for name in ("good_one", "good_two", "broken_one"):
        sys.modules.pop(name, None)


NO_DATACLASS = """
from prunebench import hookimpl
class Plain:
    name = "plain"
    unit = "weight"
    def recipe(self, sparsity): ...
@hookimpl
def prunebench_strategies():
    return [Plain]
"""
NO_UNIT = NO_DATACLASS.replace('    unit = "weight"\n', "").replace(
    "class Plain", "@dataclasses.dataclass\nclass Plain"
)
NO_UNIT = "import dataclasses\n" + NO_UNIT


def write(tmp_path, source, name="mine.py"):
    path = tmp_path / name
    path.write_text(source)
    return path


def test_a_file_is_a_plugin(tmp_path):
    registry = Registry([write(tmp_path, GOOD.format(name="mine"))])
    assert registry.strategy("mine[gain=2]").gain == 2.0
    entry = registry.entry("strategies", "mine")
    assert entry.plugin.distribution == "mine.py"
    assert entry.plugin.origin.startswith("file")


def test_an_installed_plugin_has_the_version_of_its_distribution(installed):
    installed(good_one=GOOD.format(name="mine"))
    plugin = Registry().entry("strategies", "mine").plugin
    assert (plugin.source, plugin.origin) == ("some-dist 2.0", "entry point good_one")


def test_a_plugin_that_cannot_be_imported_matters_only_for_unknown_names(installed):
    installed(broken_one="import a_module_that_is_not_there", good_one=GOOD.format(name="mine"))
    registry = Registry()
    assert registry.strategy("imp").name == "imp"
    assert registry.strategy("mine").name == "mine"
    [broken] = registry.broken_plugins()
    assert "ModuleNotFoundError" in broken.error
    with pytest.raises(PrunebenchError, match=r"unknown strategy 'theirs'.*broken_one.*ModuleNotFoundError"):
        registry.strategy("theirs")


def test_a_plugin_that_raises_in_its_hook_is_listed_as_broken(installed):
    installed(broken_one="import prunebench\n@prunebench.hookimpl\ndef prunebench_tasks():\n    raise OSError('gone')")
    registry = Registry()
    assert registry.get("tasks", "rte").name == "rte"
    assert [plugin.error for plugin in registry.broken_plugins()] == ["OSError: gone"]


def test_a_broken_hook_does_not_affect_other_plugins(installed):
    source = GOOD.format(name="mine") + "\n@hookimpl\ndef prunebench_tasks():\n    raise OSError('gone')"
    installed(good_one=source)
    registry = Registry()
    assert registry.get("tasks", "rte").name == "rte"
    assert registry.strategy("imp").name == "imp"


def test_two_files_with_one_name_are_two_plugins(tmp_path):
    files = []
    for folder, name in (("a", "first"), ("b", "second")):
        (tmp_path / folder).mkdir()
        files.append(write(tmp_path / folder, GOOD.format(name=name)))
    registry = Registry(files)
    one, two = (registry.identity(registry.strategy(name))["source"] for name in ("first", "second"))
    assert one != two


def test_a_name_with_two_plugins_is_an_error_only_when_it_is_looked_up(installed):
    installed(good_one=GOOD.format(name="imp"))
    registry = Registry()
    with pytest.raises(PrunebenchError, match=r"'imp' is given twice, by .*prunebench .*some-dist 2.0"):
        registry.strategy("imp")
    assert registry.strategy("magnitude").name == "magnitude"


def test_a_file_with_the_name_of_a_built_in_strategy(tmp_path):
    registry = Registry([write(tmp_path, GOOD.format(name="imp"))])
    with pytest.raises(PrunebenchError, match=r"strategy 'imp' is given twice, by .*\(rename one") as caught:
        registry.strategy("imp")
    for source in ("built in", "mine.py", f"file {tmp_path / 'mine.py'}"):
        assert source in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_installed_module_without_hooks_is_harmless(installed):
    installed(good_one="answer = 42")
    registry = Registry()
    assert registry.strategy("imp").name == "imp"
    assert list(registry.broken_plugins()) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "from prunebench import hookimpl\n@hookimpl\ndef prunebench_strategys():\n    return []",
            "unknown hook 'prunebench_strategys' .did you mean 'prunebench_strategies'",
        ),
        ("def prunebench_tasks():\n    return []", "prunebench_tasks is not marked as a hook"),
        (
            "from prunebench import hookimpl\n@hookimpl\ndef prunebench_tasks(colour):\n    return []",
            "colour",
        ),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("def broken(:", "SyntaxError"),
        ("from prunebench import hookimpl\n@hookimpl\ndef prunebench_tasks():\n    return [3]", "gave 3"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        (NO_DATACLASS, "strategy 'plain' is not a dataclass with unit and recipe"),
        (NO_UNIT, "strategy 'plain' is not a dataclass with unit and recipe"),
        ("", "it has no hooks .expected a function such as prunebench_strategies, marked with @hookimpl"),
        ("answer = 42", "plugin mine.py cannot be used: it has no hooks"),
    ],
)
def test_an_error_in_a_file_is_one_line(tmp_path, source, message):
    with pytest.raises(PrunebenchError, match=message) as caught:
        registry = Registry([write(tmp_path, source)])
        registry.entries("tasks")
        registry.entries("strategies")
    assert "mine.py" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(PrunebenchError, match="no plugin file"):
        Registry([tmp_path / "nothing.py"])


def test_reserved_options_are_part_of_the_key_and_not_of_the_strategy():
    registry = Registry()
    assert registry.strategy("imp[rate=0.2,scope=row]") == registry.strategy("imp[rate=0.2]")
    options = registry.strategy_key("imp[rate=0.2]")["options"]
    assert registry.strategy_key("imp[rate=0.2,scope=row]")["options"] == {**options, "scope": "row"}
    with pytest.raises(PrunebenchError, match="unknown scope 'column'"):
        registry.strategy("imp[scope=column]")


def test_editing_a_plugin_changes_its_identity(tmp_path):
    identities = []
    for gain in ("1.0", "3.0"):
        path = write(tmp_path, GOOD.format(name="mine").replace("gain: float = 1.0", f"gain: float = {gain}"))
        registry = Registry([path])
        identities.append(registry.identity(registry.strategy("mine")))
    assert identities[0] != identities[1]


def test_editing_a_helper_in_a_package_changes_the_identity_of_its_methods(monkeypatch, tmp_path):
    """A method rests on all modules of its package; what is no module of it changes nothing."""
    folder = tmp_path / "good_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(GOOD.format(name="mine") + "from good_package import helper\n")
    (folder / "helper.py").write_text("GAIN = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    point = importlib.metadata.EntryPoint("good", "good_package", "prunebench")
    vars(point)["dist"] = types.SimpleNamespace(metadata={"Name": "some-dist"}, version="2.0")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])

    def identity():
        for name in ("good_package", "good_package.helper"):
            sys.modules.pop(name, None)
        registry = Registry()
        return registry.identity(registry.strategy("mine"))["source"]

    before = identity()
    (folder / "notes.txt").write_text("nothing")
    assert identity() == before
    (folder / "helper.py").write_text("GAIN = 2\n")
    edited = identity()
    assert edited != before
    (folder / "helper.py").rename(folder / "other.py")
    (folder / "helper.py").write_text("")
    assert identity() not in (before, edited)


def test_built_in_strategies_import_no_heavy_library():
    code = (
        "import sys, prunebench.strategies.plugin as s; s.prunebench_strategies();"
        "print('torch' in sys.modules, 'datasets' in sys.modules, 'evaluate' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]
