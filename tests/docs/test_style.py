"""Names and English: no participles and metaphors as names, and none of the turns of phrase that 0.1 was full of.

A name says what a thing is (`records`, `rows`), a function says what it does, and a sentence begins with its subject.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.quotes import DOCUMENTS, ROOT

FORBIDDEN = {
    # Participles.
    *(
        "asked",
        "begun",
        "brought",
        "chosen",
        "decided",
        "drawn",
        "found",
        "given",
        "gone",
        "got",
        "held",
        "kept",
        "made",
    ),
    *("meant", "moved", "opened", "put", "said", "sealed", "seen", "shown", "taken", "thought", "told", "wanted"),
    # Metaphors and riddles.
    *("at_work", "here", "home", "house", "midway", "place", "places", "room", "whose_it_is", "wish"),
}
# Names that are the right ones where they stand, with the reason.
ALLOWED = {
    ("prunebench/synthetic/grammar.py", "place"): "a place in the generated language: a house, a garden",
    ("prunebench/synthetic/lexicon.py", "places"): "the same",
    ("prunebench/synthetic/examples.py", "thought"): "a verb of the generated language",
    ("prunebench/reports/leaderboard/retention.py", "place"): "a place in a ranking",
    ("prunebench/reports/leaderboard/schema.py", "places"): "places in a ranking, as results.json names them",
    ("prunebench/results/statistics/ranks.py", "places"): "places in a ranking",
    ("prunebench/reports/leaderboard/schema.py", "held"): "a field of results.json",
    ("prunebench/reports/leaderboard/schema.py", "found"): "a field of results.json",
}
PHRASES = {
    r"\bImports (?:no|only|nothing|`)|[Tt]orch-free": "import-linter says what imports what",
    r"(?:^|[.!?:] )Of (?!course)": "begin with the subject",
    r"(?:^|[.!?] )What (?:is|was|were) (?!the\b|a\b|an\b)[^?]*$": "name the thing",
    r"\bthat of the\b": "repeat the noun",
    r"\b(?:is|are|was) to be\b": "say who does it: `what a run does`",
    r"\b(?:lie|lies) (?:in|at|on|there|beside)\b": "files are in a folder",
    r"\bany more\b": "no longer",
    r"\bnothing is left of\b|\bgoes without saying\b": "say it plainly",
}
SOURCES = sorted(path for folder in ("prunebench", "plugins") for path in (ROOT / folder).rglob("*.py"))


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that the code introduces, with its line: variables, functions, classes, arguments, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield (node.id if isinstance(node, ast.Name) else node.attr), node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def texts(source: str) -> Iterator[str]:
    """Docstrings paragraph by paragraph, and comments block by block, each on one line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield from paragraphs(ast.get_docstring(node) or "")
    block, last = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] > last + 1:
                yield " ".join(block)
                block = []
            block.append(token.string.lstrip("# "))
            last = token.start[0]
    yield " ".join(block)


def paragraphs(text: str) -> Iterator[str]:
    return (" ".join(part.split()) for part in text.split("\n\n"))


def dialect(text: str) -> Iterator[str]:
    for phrase, advice in PHRASES.items():
        for match in re.finditer(phrase, text):
            yield f"{text[max(0, match.start() - 30) : match.end() + 30]!r}: {advice}"


def faults(path: Path) -> list[str]:
    """The faults of a source file."""
    source, name = path.read_text(), str(path.relative_to(ROOT))
    words = [(word.strip("_").lower(), line) for word, line in names(ast.parse(source))]
    wrong = [
        f"line {line}: the name {word!r}" for word, line in words if word in FORBIDDEN and (name, word) not in ALLOWED
    ]
    return wrong + [fault for text in texts(source) for fault in dialect(text)]


def test_the_source_speaks_plainly():
    wrong = [f"{path.relative_to(ROOT)}: {fault}" for path in SOURCES for fault in faults(path)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_documents_speak_plainly(document):
    prose = re.sub(r"^```(?!text).*?^```$", "", (ROOT / document).read_text(), flags=re.DOTALL | re.MULTILINE)
    wrong = [fault for text in paragraphs(prose) for fault in dialect(text)]
    assert not wrong, "\n".join(wrong)


def test_every_exception_is_needed():
    introduced = {
        (str(path.relative_to(ROOT)), word.strip("_").lower())
        for path in SOURCES
        for word, _ in names(ast.parse(path.read_text()))
    }
    assert ALLOWED.keys() - introduced == set()


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("records = load()", 0),
        ("found = load()", 1),
        ("def kept(made, *, wanted): ...", 3),
        ("for place in here: ...", 1),
        ("self.told = 1", 1),
        ("import numpy as seen", 1),
        ('"""Of a store the last run."""', 1),
        ('"""Records of a store. Imports no torch."""', 1),
        ("# What is left is an error.", 1),
        ("# The name of the model, and that of the\n# task.", 1),
        ('"""What is the best of several values?"""', 0),
        ('"""Of course."""', 0),
    ],
)
def test_the_check_finds_what_it_should(source, number):
    words = [word for word, _ in names(ast.parse(source)) if word in FORBIDDEN]
    assert len(words) + sum(1 for text in texts(source) for _ in dialect(text)) == number
