"""What the documents quote: code blocks, command lines, and commands within sentences."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PLUGINS = (
    *("gradual", "dask", "obs", "movement", "rigl", "structured", "init", "wanda", "lamp", "platon"),
    *("nm", "l0", "chita"),
)
# In the order in which their marked blocks run: the last one removes results.
DOCUMENTS = [
    *("README.md", "CONTRIBUTING.md"),
    *(f"plugins/prunebench-{name}/README.md" for name in PLUGINS),
    *(
        f"docs/pages/{name}.md"
        for name in (
            *(
                "index",
                "getting-started",
                "comparing",
                "calibrating",
                "analysis",
                "sharing",
                "clusters",
                "own-method",
                "plugins",
            ),
            *("faq", "reference/built-in", "reference/api", "reference/formats", "concepts"),
        )
    ),
]


@dataclass(frozen=True)
class Block:
    """A fenced block of code. `mark` is the comment on the line above it: `run` for `<!-- run -->`."""

    document: str
    language: str
    mark: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command line of prunebench, where the block is of shell commands."""
        if self.language != "sh":
            return []
        return [words for line in self.text.splitlines() for words in _commands(line)]


def _commands(line: str) -> Iterator[list[str]]:
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word != "&&":
            words.append(word)
            continue
        if words[:1] == ["prunebench"]:
            yield words[1:]
        words = []


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a document, and its indented ones as shell commands."""
    text = (ROOT / document).read_text()
    fenced = re.compile(r"(?:^<!-- ([^\n]+) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    quoted = [Block(document, match[2], match[1] or "", match[3]) for match in fenced.finditer(text)]
    indented = "\n".join(re.findall(r"^    (prunebench .*)$", fenced.sub("", text), re.MULTILINE))
    return [*quoted, Block(document, "sh", "", indented)]


def sentences(document: str) -> list[list[str]]:
    """The words of each command that stands in a sentence: `prunebench list strategies`."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / document).read_text(), flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(code)[1:] for code in re.findall(r"`(prunebench [^`]+)`", text)]


def generator() -> ModuleType:
    """The script `docs/generate.py`."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
