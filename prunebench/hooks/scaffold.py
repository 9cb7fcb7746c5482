"""Write a new plugin: a distribution with a method, its tests, and everything that is needed to install it.

The templates are whole plugins with the name `my-method`, so that they are checked and run like any other.
"""

from __future__ import annotations

import re
from pathlib import Path

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.recipes.strategy import NAME

TEMPLATES = Path(__file__).with_name("templates")
# The kinds of methods, and what each is.
KINDS = {
    "one-shot": "scores weights once, after training",
    "iterative": "trains, prunes and rewinds in rounds",
    "gradual": "scores weights while the model trains, along a ramp",
    "learned": "learns scores with the model, by a callback",
    "sparse-training": "moves a mask of constant size while the model trains, by a callback",
    "structured": "removes heads, neurons or layers",
    "control": "follows another method up to its mask, and then does something else",
    "phase": "has a phase of its own in its recipe",
}
# Kinds without a score that a test could look at.
WITHOUT_SCORE = ("learned", "control")


def module_name(name: str) -> str:
    """The module of the method's plugin: `prunebench_my_method`."""
    return f"prunebench_{name.replace('-', '_')}"


def plugin_files(name: str, kind: str) -> dict[str, str]:
    """The texts of all files of a plugin with the method `name`, by path within its folder.

    Raises:
        PrunebenchError: if `kind` is none of `KINDS`, or `name` is no name such as `my-method`.
    """
    if kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    if not re.fullmatch(NAME, name) or name.endswith("-") or name.startswith("prunebench"):
        raise PrunebenchError(f"bad name {name!r}", "expected lower-case words, such as my-method")
    module = module_name(name)
    test = "test_run.txt" if kind in WITHOUT_SCORE else "test_score.txt"
    sources = {
        "pyproject.toml": "pyproject.txt",
        "README.md": "README.txt",
        "LICENSE": "LICENSE.txt",
        f"{module}/__init__.py": f"{kind.replace('-', '_')}.py",
        f"tests/test_{name.replace('-', '_')}.py": test,
    }
    texts = {path: (TEMPLATES / source).read_text(encoding="utf-8") for path, source in sources.items()}
    return {f"{module}/py.typed": ""} | {path: _rename(text, name) for path, text in texts.items()}


def write_plugin(folder: Path, name: str, kind: str) -> list[Path]:
    """Write the files of a plugin into `folder`, and return their paths.

    Raises:
        PrunebenchError: as `plugin_files`, and if the folder is there already.
    """
    files = plugin_files(name, kind)
    if folder.exists():
        raise PrunebenchError(f"{folder} is there already", "choose another name, or another folder by --into")
    paths = []
    for path, text in sorted(files.items()):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
        paths.append(folder / path)
    return paths


def _rename(text: str, name: str) -> str:
    words = name.split("-")
    text = text.replace("MyMethod", "".join(word.capitalize() for word in words))
    text = text.replace("my_method", "_".join(words)).replace("my-method", name)
    return text.replace("My method", " ".join(words).capitalize())
