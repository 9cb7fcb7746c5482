"""Load plugins: the built-in ones, the installed ones, and single files.

The built-in plugins implement the same hooks as any other plugin. An installed plugin that cannot be imported does not
stop the program: it is kept with its error, which is shown when a name is asked for that the plugin might provide.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.hooks import files, hookspecs
from prunebench.runtime.text import clean, error_text

BUILT_IN = (
    *("strategies.plugin", "tasks.plugin", "models.plugin", "pruning.plugin", "execution.executors.plugin"),
    *("planning.plugin", "synthetic.plugin", "cli.plugin"),
)


@dataclass(frozen=True)
class Plugin:
    """A plugin: its module, or the error if it is broken.

    `origin` is "built in", "entry point MODULE" or "file PATH". The distribution of a file is its name, and its
    version is a digest of its text and of the files beside it that it imports.
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
    """A single Python file as a plugin. Raises PrunebenchError if there is no such file, or no text in it."""
    if not path.is_file():
        raise PrunebenchError(f"no plugin file {str(path)!r}", "expected the path of a Python file")
    try:
        version = files.digest(path, path.read_text(encoding="utf-8"))[:8]
    except UnicodeDecodeError as error:
        raise PrunebenchError(f"plugin file {str(path)!r} cannot be read: {error}", "expected UTF-8") from None
    return _load(Plugin(path.stem, path.name, version, f"file {path}"), lambda: files.import_file(path))


def _load(plugin: Plugin, import_module: Callable[[], Any]) -> Plugin:
    try:
        return replace(plugin, module=import_module())
    except (Exception, SystemExit) as error:
        return replace(plugin, error=error_line(error))


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
    """Any exception as one clean line, with its type if it is not a PrunebenchError."""
    text = clean(error_text(error))
    if isinstance(error, PrunebenchError):
        return text
    return clean(f"{type(error).__name__}: {text}" if text else type(error).__name__)
