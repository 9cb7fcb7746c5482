"""Find plugins, freeze what they give, and say where each thing came from. Imports no torch.

The built-ins come in by the hooks that everyone uses. A plugin that cannot be loaded is kept with its reason and is
heard of again only when something is asked for that it might have given.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from prunebench.errors import PrunebenchError, unknown
from prunebench.hooks import hookspecs
from prunebench.recipes.strategy import build, options_of, parse_spec

BUILT_IN = (
    *("strategies.plugin", "tasks.plugin", "models.plugin", "execution.executors.local", "execution.executors.ray"),
    *("planning.suites.plugin", "synthetic.plugin", "cli.plugin"),
)
KINDS = ("strategies", "tasks", "models", "checkpoints", "metrics", "executors", "suites", "commands")
SINGULAR = {"strategies": "strategy"} | {kind: kind[:-1] for kind in KINDS if kind != "strategies"}


@dataclass(frozen=True)
class Plugin:
    """One plugin, and why it is not usable, if it is not."""

    name: str
    distribution: str
    version: str
    origin: str
    error: str = ""
    module: Any = field(default=None, compare=False, repr=False)

    @property
    def source(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True)
class Entry:
    """One thing that a plugin gave."""

    name: str
    value: Any
    plugin: Plugin


class Registry:
    """All plugins that can be found: built in, installed (entry-point group `prunebench`), and the given files."""

    def __init__(self, files: Sequence[Path | str] = ()) -> None:
        self.files = tuple(str(Path(file).resolve()) for file in files)
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []
        self._found: dict[str, dict[str, list[Entry]]] = {}
        version = importlib.metadata.version("prunebench")
        for name in BUILT_IN:
            module = importlib.import_module(f"prunebench.{name}")
            self._add(Plugin(f"prunebench.{name}", "prunebench", version, "built in", module=module))
        for point in sorted(importlib.metadata.entry_points(group=hookspecs.PROJECT), key=lambda point: point.value):
            found = point.dist.metadata["Name"] if point.dist else "?", point.dist.version if point.dist else "?"
            self._guard(Plugin(point.name, *found, origin=f"entry point {point.value}"), point.load)
        for file in self.files:
            self._add_file(Path(file))

    def _add_file(self, path: Path) -> None:
        """Load a single file under development. It was asked for by name, so its errors are raised."""
        if not path.is_file():
            raise PrunebenchError(f"no plugin file {str(path)!r}", "expected the path of a Python file")
        version = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        self._guard(Plugin(path.stem, path.name, version, f"file {path}"), lambda: _module(path))
        if self.plugins[-1].error:
            raise PrunebenchError(f"plugin {path.name} cannot be used: {self.plugins[-1].error}")

    def _guard(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        try:
            self._add(Plugin(plugin.name, plugin.distribution, plugin.version, plugin.origin, module=load()))
        except (Exception, SystemExit) as error:
            self.plugins.append(Plugin(plugin.name, plugin.distribution, plugin.version, plugin.origin, _line(error)))

    def _add(self, plugin: Plugin) -> None:
        module = plugin.module
        hooks = [name for name in vars(hookspecs) if name.startswith("prunebench_")]
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if not name.startswith("prunebench_"):
                continue
            if name not in hooks:
                raise unknown("hook", name, hooks)
            if not hasattr(function, f"{hookspecs.PROJECT}_impl"):
                raise PrunebenchError(f"{name} is not marked as a hook", "put @hookimpl above it")
        try:
            self._manager.register(module, name=f"{plugin.distribution}:{plugin.name}:{plugin.origin}")
        except pluggy.PluginValidationError as error:
            if self._manager.is_registered(module):
                self._manager.unregister(module)
            raise PrunebenchError(" ".join(str(error).split())) from error
        self.plugins.append(plugin)

    def _collect(self, kind: str) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        caller = getattr(self._manager.hook, f"prunebench_{kind}")
        plugins = {id(plugin.module): plugin for plugin in self.plugins if not plugin.error}
        for implementation in caller.get_hookimpls():
            plugin = plugins.get(id(implementation.plugin))
            if plugin is None:  # another of its hooks has failed before
                continue
            try:
                values = list(implementation.function())
                entries = [Entry(_name(kind, value), value, plugin) for value in values]
            except (Exception, SystemExit) as error:
                broken = Plugin(plugin.name, plugin.distribution, plugin.version, plugin.origin, _line(error))
                self.plugins[self.plugins.index(plugin)] = broken
                if plugin.origin.startswith("file"):
                    raise PrunebenchError(f"plugin {plugin.distribution} cannot be used: {broken.error}") from error
                continue
            for entry in entries:
                found.setdefault(entry.name, []).append(entry)
        return found

    def entries(self, kind: str) -> dict[str, list[Entry]]:
        """All things of a kind by name; a name with more than one entry cannot be asked for."""
        if kind not in self._found:
            self._found[kind] = self._collect(kind)
        return self._found[kind]

    def entry(self, kind: str, name: str) -> Entry:
        """The one thing of that name, or an error that says what is near, doubled or broken."""
        entries = self.entries(kind)
        if name not in entries:
            broken = [f"plugin {plugin.name!r} is broken: {plugin.error}" for plugin in self.broken()]
            raise unknown(SINGULAR[kind], name, entries, "; ".join(broken))
        if len(entries[name]) > 1:
            sources = " and ".join(f"{entry.plugin.source} ({entry.plugin.origin})" for entry in entries[name])
            raise PrunebenchError(f"{SINGULAR[kind]} {name!r} is given twice, by {sources}", "uninstall one of them")
        return entries[name][0]

    def get(self, kind: str, name: str) -> Any:
        return self.entry(kind, name).value

    def broken(self) -> Iterator[Plugin]:
        return (plugin for plugin in self.plugins if plugin.error)

    def strategy(self, text: str) -> Any:
        """The strategy that `text` names, with its options: `imp[rate=0.2]`."""
        name, options = parse_spec(text)
        return build(self.get("strategies", name), options)

    def identity(self, strategy: Any) -> dict[str, str]:
        """What the key of a result must hold of the code of a strategy."""
        return self.code("strategies", strategy.name)

    def called(self, text: str) -> dict[str, Any]:
        """All that the key of a result holds of the strategy that `text` names."""
        strategy = self.strategy(text)
        return {"name": strategy.name, "options": options_of(strategy), **self.identity(strategy)}

    def code(self, kind: str, name: str) -> dict[str, str]:
        """Which code gives a thing: distribution, version (of a file none) and a digest of its module's source."""
        entry = self.entry(kind, name)
        home = entry.value.__module__ if isinstance(entry.value, type) else entry.plugin.module.__name__
        return {
            "distribution": entry.plugin.distribution,
            "version": "" if entry.plugin.origin.startswith("file") else entry.plugin.version,
            "source": source_digest(home),
        }

    def provenance(self, kind: str, name: str) -> str:
        """Where a thing comes from and a digest of the module that gives it: `my-plugin 1.0 (3f2a91c0)`."""
        entry = self.entry(kind, name)
        if entry.plugin.origin.startswith("file"):  # whose version is such a digest
            return entry.plugin.source
        return f"{entry.plugin.source} ({self.code(kind, name)['source'][:8]})"


def at_hand(path: Path, text: str) -> Path:
    """A plugin file where it lies, or a copy of what it held when the run began: another machine may have none."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return path
    folder = Path(tempfile.gettempdir(), f"prunebench-plugin-{hashlib.sha256(text.encode()).hexdigest()[:16]}")
    folder.mkdir(exist_ok=True)
    part = folder / f"{os.getpid()}.part"
    part.write_text(text, encoding="utf-8")
    return part.replace(folder / path.name)


def source_digest(module: str) -> str:
    """A digest of a module's source."""
    return hashlib.sha256(inspect.getsource(sys.modules[module]).encode()).hexdigest()[:16]


def _name(kind: str, value: Any) -> str:
    if kind == "suites":
        return Path(value).stem
    name = getattr(value, "name", None)
    if not isinstance(name, str):
        raise PrunebenchError(f"prunebench_{kind} gave {value!r}, which has no name", "expected objects with a name")
    if kind == "strategies":
        wanted = ("of", "tail") if hasattr(value, "tail") else ("unit", "recipe")
        # A field without a default is no attribute of the class.
        have = {*dir(value), *(field.name for field in dataclasses.fields(value))} if _is_dataclass(value) else {}
        if not _is_dataclass(value) or not set(wanted) <= set(have):
            raise PrunebenchError(
                f"strategy {name!r} is not a dataclass with {' and '.join(wanted)}", "see `Adding a strategy`"
            )
    return name


def _is_dataclass(value: Any) -> bool:
    return isinstance(value, type) and dataclasses.is_dataclass(value)


def _module(path: Path) -> ModuleType:
    # Two files of one name are two modules, and each result's key is made from its own source.
    name = f"prunebench_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PrunebenchError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _line(error: BaseException) -> str:
    """One line for an error that is not ours."""
    if isinstance(error, PrunebenchError):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def first_line(thing: Any) -> str:
    """The first line of the documentation of a class or an object."""
    doc = getattr(thing, "doc", None) or inspect.getdoc(thing) or ""
    return str(doc).strip().partition("\n")[0]


def flatten(entries: dict[str, list[Entry]]) -> Iterable[Entry]:
    """All entries in the order of their names."""
    return (entry for name in sorted(entries) for entry in entries[name])
