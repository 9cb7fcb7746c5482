"""Load plugins: the built-in ones, the installed ones, and single files.

The built-in plugins implement the same hooks as any other plugin. An installed plugin that cannot be imported does not
stop the program: it is kept with its error, which is shown when a name is asked for that the plugin might provide.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.hooks import hookspecs

BUILT_IN = (
    *("strategies.plugin", "tasks.plugin", "models.plugin", "pruning.plugin", "execution.executors.plugin"),
    *("planning.plugin", "synthetic.plugin", "cli.plugin"),
)


@dataclass(frozen=True)
class Plugin:
    """A plugin: its module, or the error if it is broken.

    `origin` is "built in", "entry point MODULE" or "file PATH". The distribution of a file is its name, and its
    version is a digest of its text.
    """

    name: str
    distribution: str
    version: str
    origin: str
    error: str = ""
    module: Any = field(default=None, compare=False, repr=False)

    @property
    def source(self) -> str:
        """Distribution and version: `prunebench-gradual 0.1.0`."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def is_installed(self) -> bool:
        return self.origin.startswith("entry point")

    @property
    def is_file(self) -> bool:
        return self.origin.startswith("file")


def built_in_plugins() -> Iterator[Plugin]:
    """The plugins that are part of prunebench."""
    version = importlib.metadata.version("prunebench")
    for name in BUILT_IN:
        plugin = Plugin(f"prunebench.{name}", "prunebench", version, "built in")
        yield replace(plugin, module=importlib.import_module(plugin.name))


def installed_plugins() -> Iterator[Plugin]:
    """The plugins of all installed distributions with an entry point in the group `prunebench`."""
    points = importlib.metadata.entry_points(group=hookspecs.PROJECT)
    for point in sorted(points, key=lambda point: point.value):
        name, version = (point.dist.metadata["Name"], point.dist.version) if point.dist else ("?", "?")
        yield _load(Plugin(point.name, name, version, f"entry point {point.value}"), point.load)


def file_plugin(path: Path) -> Plugin:
    """A single Python file as a plugin. Raises PrunebenchError if there is no such file."""
    if not path.is_file():
        raise PrunebenchError(f"no plugin file {str(path)!r}", "expected the path of a Python file")
    version = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return _load(Plugin(path.stem, path.name, version, f"file {path}"), lambda: _import_file(path))


def _load(plugin: Plugin, import_module: Callable[[], Any]) -> Plugin:
    try:
        return replace(plugin, module=import_module())
    except (Exception, SystemExit) as error:
        return replace(plugin, error=error_line(error))


def _import_file(path: Path) -> ModuleType:
    # The name depends on the folder, so that two files with the same name are two modules with their own source.
    name = f"prunebench_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PrunebenchError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def check_hooks(module: Any) -> None:
    """Raise PrunebenchError if a function that looks like a hook has an unknown name or is not marked as one.

    Pluggy would ignore such a function without a word.
    """
    hooks = [name for name in vars(hookspecs) if name.startswith("prunebench_")]
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if not name.startswith("prunebench_"):
            continue
        if name not in hooks:
            raise unknown_name("hook", name, hooks)
        if not hasattr(function, f"{hookspecs.PROJECT}_impl"):
            raise PrunebenchError(f"{name} is not marked as a hook", "put @hookimpl above it")


def error_line(error: BaseException) -> str:
    """Any exception as one line, with its type if it is not a PrunebenchError."""
    if isinstance(error, PrunebenchError):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def local_copy(path: Path, text: str) -> Path:
    """A plugin file with the given text: `path` itself, or a copy if that has changed or is on another machine."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return path
    folder = Path(tempfile.gettempdir(), f"prunebench-plugin-{hashlib.sha256(text.encode()).hexdigest()[:16]}")
    folder.mkdir(exist_ok=True)
    part = folder / f"{os.getpid()}.part"
    part.write_text(text, encoding="utf-8")
    return part.replace(folder / path.name)
