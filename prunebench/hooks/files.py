"""Plugins in single files, and the files beside them that they import.

Those siblings are named by the import statements, wherever these stand, of the file and of each other. They are part of
the file's source: they enter its digest, and travel with it to workers. Two plugins in different folders may have
siblings of one name, so each plugin finds its own by an `__import__` of its own, and none is added to `sys.path`.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.private import write_privately

PREFIX = "prunebench_file_"
NEVER = {*sys.stdlib_module_names, "prunebench"}
Texts = tuple[tuple[str, str], ...]


def siblings(path: Path) -> list[Path]:
    """The Python files in the folder of `path` that it imports, directly or through each other, in order of names.

    A name of the standard library, or `prunebench`, is never a sibling.
    """
    reached: set[Path] = set()
    new = {path}
    while new:
        reached |= new
        names = {name for file in new for name in _imports(file)} - NEVER
        new = {file for name in names if (file := path.with_name(f"{name}.py")).is_file()} - reached
    return sorted(reached - {path})


def _imports(file: Path) -> set[str]:
    """The first part of every module name that the file imports; none if it is not valid Python."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError):
        return set()
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {module.partition(".")[0] for module in modules}


def sibling_texts(path: Path) -> Texts:
    """The name and the text of each sibling."""
    return tuple((file.name, file.read_text(encoding="utf-8")) for file in siblings(path))


def digest(path: Path, text: str) -> str:
    """A digest of the `text` of a plugin file and of its siblings."""
    value = hashlib.sha256(text.encode())
    for name, other in sibling_texts(path):
        value.update(f"\n{name} {len(other)}\n{other}".encode())
    return value.hexdigest()


def module_name(path: Path) -> str:
    """A name that depends on the folder, so that two files with the same name are two modules."""
    return f"{PREFIX}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def import_file(path: Path) -> ModuleType:
    """The module of a plugin file, executed anew with its siblings."""
    files = {file.stem: file for file in (path, *siblings(path))}
    for file in files.values():
        sys.modules.pop(module_name(file), None)
    return _execute(path, files if len(files) > 1 else {})


def _execute(path: Path, files: Mapping[str, Path]) -> ModuleType:
    """Import `path`, where the names of `files` stand for these files."""
    name = module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PrunebenchError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    if files:

        def import_sibling(
            name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
        ) -> ModuleType:
            if level or name not in files:
                return builtins.__import__(name, globals, locals, fromlist, level)
            return sys.modules.get(module_name(files[name])) or _execute(files[name], files)

        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": import_sibling}
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def local_copy(path: Path, text: str, texts: Texts = ()) -> Path:
    """A plugin file with this text and these siblings: `path` itself, or a copy if it or one of them is another now."""
    if path.is_file() and path.read_text(encoding="utf-8") == text and sibling_texts(path) == texts:
        return path
    return write_privately([*texts, (path.name, text)]) / path.name
