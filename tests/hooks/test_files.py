"""A plugin file may import the files beside it, which are part of its source and travel with it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_files import PLUGIN, plugin_file

from prunebench.errors import PrunebenchError
from prunebench.hooks.files import local_copy, sibling_texts, siblings
from prunebench.hooks.registry import Registry

HELPED = "import helper\n" + PLUGIN
HELPER = "from factor import FACTOR\n\ndef magnitude(weight):\n    return FACTOR * weight.abs()\n"
LATE = "    def late(self):\n        import helper\n        return helper.NAME\n\n    def recipe"
SCORE = "{name: helper.magnitude(weight) for name, weight in ctx.weights.items()}"


def write_plugin(folder):
    """A plugin file with a sibling, which has a sibling itself."""
    (folder / "helper.py").write_text(HELPER)
    (folder / "factor.py").write_text("FACTOR = 2\n")
    (folder / "unrelated.py").write_text("raise RuntimeError\n")
    return plugin_file(folder, score=SCORE, text=HELPED)


@pytest.fixture
def helped(tmp_path):
    return write_plugin(tmp_path)


def names(path):
    return [file.name for file in siblings(path)]


def source(path):
    return Registry([path]).code("strategies", "mine")["source"]


def test_siblings_are_those_that_imports_reach(helped):
    assert names(helped) == ["factor.py", "helper.py"]
    assert names(helped.with_name("factor.py")) == []


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import helper", True),
        ("import torch, helper as h", True),
        ("from helper import magnitude", True),
        ("def f():\n    import helper", True),
        ("try:\n    import helper\nexcept ImportError:\n    pass", True),
        ("import torch.helper", False),
        ("from torch import helper", False),
        ("from . import helper", False),
        ("x = 'import helper'", False),
        ("import helper (", False),
    ],
)
def test_every_import_statement_counts_wherever_it_stands(tmp_path, statement, expected):
    (tmp_path / "helper.py").touch()
    (tmp_path / "a.py").write_text(statement)
    assert names(tmp_path / "a.py") == ["helper.py"] * expected


def test_the_standard_library_and_prunebench_are_no_siblings(tmp_path):
    for name in ("random", "prunebench"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError")
    file = plugin_file(tmp_path, text="import random\n" + PLUGIN)
    assert names(file) == []
    assert Registry([file]).strategy("mine")


def test_files_that_import_each_other_load(tmp_path):
    (tmp_path / "helper.py").write_text("import mine\n\ndef options():\n    return mine.Mine().power\n")
    file = plugin_file(tmp_path, text=HELPED)
    strategy = Registry([file]).strategy("mine")
    assert sys.modules[type(strategy).__module__].helper.options() == 1.5


def test_a_class_that_a_sibling_defines_has_the_source_of_that_file(tmp_path):
    file = plugin_file(tmp_path, text=PLUGIN)
    (tmp_path / "front.py").write_text(
        "from prunebench import hookimpl\nfrom mine import Mine\n\n"
        "@hookimpl\ndef prunebench_strategies():\n    return [Mine]\n"
    )
    assert source(tmp_path / "front.py") == source(file)


def test_the_digest_of_a_file_without_siblings_is_that_of_its_text(tmp_path):
    file = plugin_file(tmp_path)
    expected = hashlib.sha256(file.read_bytes()).hexdigest()
    assert source(file) == expected[:16]
    assert Registry([file]).provenance("strategies", "mine") == f"mine.py {expected[:8]}"


@pytest.mark.parametrize("name", ["mine.py", "helper.py", "factor.py"])
def test_editing_a_file_or_a_sibling_changes_the_source(helped, name):
    before = source(helped), Registry([helped]).provenance("strategies", "mine")
    assert before == (source(helped), Registry([helped]).provenance("strategies", "mine"))
    edited = helped.with_name(name)
    edited.write_text(edited.read_text() + "# edited\n")
    after = source(helped), Registry([helped]).provenance("strategies", "mine")
    assert before[0] != after[0] and before[1] != after[1]
    helped.with_name("unrelated.py").write_text("1 / 0")
    assert source(helped) == after[0]


def test_two_plugins_find_each_its_own_sibling(tmp_path):
    values = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"NAME = {name!r}")
        text = HELPED.replace('"mine"', repr(name)).replace("    def recipe", LATE)
        values.append(plugin_file(tmp_path / name, text=text))
    registry = Registry(values)
    assert [registry.strategy(name).late() for name in ("one", "two")] == ["one", "two"]
    assert "helper" not in sys.modules


def test_an_edited_sibling_is_loaded_anew(helped):
    def factor():
        strategy = Registry([helped]).strategy("mine")
        return sys.modules[type(strategy).__module__].helper.FACTOR

    assert factor() == 2
    helped.with_name("factor.py").write_text("FACTOR = 30\n")
    assert factor() == 30


def test_a_broken_sibling_is_an_error_of_the_plugin(helped):
    helped.with_name("factor.py").write_text("FACTOR = (")
    with pytest.raises(PrunebenchError, match=r"plugin mine.py cannot be used: SyntaxError"):
        Registry([helped])


def test_a_copy_holds_the_texts_that_it_was_given(helped):
    text, texts = helped.read_text(), sibling_texts(helped)
    assert local_copy(helped, text, texts) == helped
    before = source(helped)
    helped.with_name("factor.py").write_text("FACTOR = 3\n")
    copy = local_copy(helped, text, texts)
    assert copy.parent != helped.parent
    assert source(copy) == before != source(helped)
    helped.unlink()
    assert local_copy(helped, text, texts) == copy


def test_the_digest_is_that_of_another_process(helped):
    code = "import sys; from prunebench.hooks.registry import Registry; "
    code += "print(Registry(sys.argv[1:]).code('strategies', 'mine')['source'])"
    other = subprocess.run(
        [sys.executable, "-c", code, helped], cwd=Path("/"), capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == source(helped)
