"""The documents say what the code does: generated parts, links, and lists of everything that there is."""

from __future__ import annotations

import inspect
import re
import tomllib

import pytest
from docs.quotes import DOCUMENTS, ROOT, blocks, generator

import prunebench
from prunebench.execution.context import Context
from prunebench.hooks import hookspecs
from prunebench.training.callbacks import TrainingCallback

GENERATOR = generator()
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def text(document: str) -> str:
    return (ROOT / document).read_text()


@pytest.mark.parametrize(("document", "mark"), GENERATOR.PARTS)
def test_generated_parts_are_up_to_date(document, mark):
    part = GENERATOR.PARTS[document, mark]()
    assert GENERATOR.filled(text(document), mark, part) == text(document), "run python docs/generate.py"


@pytest.mark.parametrize("name", GENERATOR.FILES)
def test_generated_files_are_up_to_date(name):
    data = GENERATOR.FILES[name]()
    expected = data if isinstance(data, bytes) else data.encode()
    assert (ROOT / name).read_bytes() == expected, "run python docs/generate.py"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", text(document)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = folder / path if path else ROOT / document
        assert file.exists(), f"{document} links to {target}"
        if anchor:
            anchors = {_anchor(heading) for heading in HEADING.findall(file.read_text())}
            assert anchor in anchors, f"{document} links to {target}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_every_page_is_in_the_navigation_and_under_test():
    config = text("docs/mkdocs.yml")
    for path in (ROOT / "docs/pages").rglob("*.md"):
        assert str(path.relative_to(ROOT / "docs/pages")) in config
        assert str(path.relative_to(ROOT)) in (*DOCUMENTS, *GENERATOR.FILES)


def test_the_test_command_installs_what_the_checks_need():
    command = re.search(r"<!-- test command -->\n```sh\n(.*)\n```\n<!-- end -->", text("README.md"))[1]
    assert "'.[test,docs]'" in command and "-c constraints.txt" in command
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    fixed = {line.partition("==")[0] for line in text("constraints.txt").splitlines()}
    needed = {re.split(r"[>\[]", name)[0] for extra in ("test", "docs") for name in extras[extra]}
    assert needed - fixed == set()


def test_the_readme_is_a_front_door():
    assert len(text("README.md").splitlines()) <= 125


def test_the_readmes_method_has_twenty_lines():
    code = GENERATOR.wanda()
    assert len([line for line in code.splitlines()[1:-1] if line.strip()]) <= 20


def test_everything_that_a_context_offers_is_documented():
    page = text("docs/pages/own-method.md")
    offered = [name for name in vars(Context) if not name.startswith("_")]
    assert [name for name in offered if f"`{name}" not in page] == []


def test_every_method_of_a_callback_is_documented():
    page = text("docs/pages/own-method.md")
    methods = [name for name, value in vars(TrainingCallback).items() if inspect.isfunction(value)]
    assert len(methods) == 10
    assert [name for name in methods if f"\n| `{name}(" not in page] == []


def test_a_callback_has_twenty_lines():
    """Without the name of the file and the docstring."""
    (block,) = [block for block in blocks("docs/pages/own-method.md") if block.mark == "plugin taylor.py"]
    lines = [line for line in block.text.splitlines() if line.strip() and not line.lstrip().startswith(("#", '"""'))]
    assert len(lines) <= 20


def test_everything_that_prunebench_exports_is_in_the_reference():
    page = text("docs/pages/reference/api.md")
    named = {target.rpartition(".")[2] for target in re.findall(r"^::: (\S+)$", page, re.MULTILINE)}
    assert set(prunebench.__all__) - named == {"Preview", "Unit", "hookimpl"}


def test_every_hook_has_a_section():
    page = text("docs/pages/plugins.md")
    kinds = {"models": "encoder families"}
    for name in vars(hookspecs):
        if name.startswith("prunebench_") and name != "prunebench_strategies":
            kind = name.removeprefix("prunebench_")
            assert f"\n## {kinds.get(kind, kind).capitalize()}\n" in page


def test_contributing_names_every_package():
    packages = {path.parent.name for path in (ROOT / "prunebench").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", text("CONTRIBUTING.md"), re.MULTILINE)) == packages


def test_contributing_names_files_that_exist():
    for name in re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.[a-z]+)?)`", text("CONTRIBUTING.md")):
        assert (ROOT / name).exists() or (ROOT / "prunebench" / name).exists(), name
