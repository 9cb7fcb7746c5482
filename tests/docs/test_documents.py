"""The documents say what the code does. `python tests/test_docs.py` writes their generated parts anew."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest

from prunebench.hooks import hookspecs
from prunebench.hooks.entries import first_line, flatten
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.recipes.options import parameters

ROOT = Path(__file__).parents[2]


def strategies() -> str:
    """A table of the built-in strategies."""
    lines = ["| strategy | what it does | options |", "|---|---|---|"]
    for entry in flatten(Registry().entries("strategies")):
        if entry.plugin.origin == "built in":
            options = ", ".join(f"`{field.name}={field.default}`" for field in parameters(entry.value))
            lines.append(f"| `{entry.name}` | {first_line(entry.value)} | {options} |")
    return "\n".join(lines)


def hooks() -> str:
    """A table of the hooks."""
    lines = ["| hook | what it gives |", "|---|---|"]
    for name, function in sorted(vars(hookspecs).items()):
        if name.startswith("prunebench_"):
            lines.append(f"| `{name}{inspect.signature(function).replace(return_annotation=inspect.Signature.empty)}` "
                         f"| {inspect.getdoc(function)} |")  # fmt: skip
    return "\n".join(lines)


def plugin() -> str:
    path = ROOT / "plugins/prunebench-gradual/prunebench_gradual/__init__.py"
    return f"```python\n{path.read_text().rstrip()}\n```"


def summary(name: str) -> str:
    """The tables by sparsity of a committed leaderboard: of its average, or of its one task."""
    page = (ROOT / "leaderboards" / name / "README.md").read_text()
    parts = [re.findall(r"at every sparsity, mean ± std:\n\n((?:\|.*\n)+)", part) for part in page.split("\n## ")]
    tables = next(found for found in parts if found)
    return "\n".join(tables).rstrip()


PARTS = [
    ("README.md", "strategies", strategies),
    ("README.md", "summary of leaderboards/quick", lambda: summary("quick")),
    ("README.md", "summary of leaderboards/minilm-sst2", lambda: summary("minilm-sst2")),
    ("CONTRIBUTING.md", "plugins/prunebench-gradual/prunebench_gradual/__init__.py", plugin),
    ("CONTRIBUTING.md", "hooks", hooks),
]


def filled(document: str, mark: str, text: str) -> str:
    pattern = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.DOTALL)
    assert pattern.search(document), mark
    return pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", document)


@pytest.mark.parametrize(("name", "mark", "make"), PARTS, ids=[mark for _, mark, _ in PARTS])
def test_generated_parts_are_up_to_date(name, mark, make):
    document = (ROOT / name).read_text()
    assert filled(document, mark, make()) == document, "run python tests/test_docs.py"


def test_the_readmes_method_is_a_plugin_of_twenty_lines(tmp_path):
    code = re.search(r"```python\n(# wanda\.py\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    (tmp_path / "wanda.py").write_text(code)
    registry = Registry([tmp_path / "wanda.py"])
    words = re.search(r'--plugin wanda\.py .*--strategies "(.*?)"', (ROOT / "README.md").read_text())[1]
    from prunebench.recipes.options import split_list

    for text in split_list(words):
        assert Method(text, registry).steps(0.5)


def test_everything_that_a_context_offers_is_documented():
    from prunebench.execution.context import Context

    text = (ROOT / "CONTRIBUTING.md").read_text()
    offered = [name for name in vars(Context) if not name.startswith("_")]
    assert [name for name in offered if f"`{name}" not in text] == []


def test_commands_in_the_readme_are_real():
    """Every option that the README names is one of the command that it stands with."""
    registry = Registry()
    commands = "|".join(registry.entries("commands"))
    for line in re.findall(rf"prunebench (?:{commands}) .*", (ROOT / "README.md").read_text()):
        command = registry.get("commands", line.split()[1])
        known = {name for option in command.params for name in option.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", line)) <= known, line


if __name__ == "__main__":
    for name, mark, make in PARTS:
        path = ROOT / name
        path.write_text(filled(path.read_text(), mark, make()))
    sys.exit(0)
