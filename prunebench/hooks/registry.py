"""The registry: look up what plugins provide, by kind and name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pluggy

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.hooks import hookspecs, identity
from prunebench.hooks.entries import SINGULAR, Entry, entry_name
from prunebench.hooks.plugins import (
    Plugin,
    built_in_plugins,
    check_hooks,
    error_line,
    file_plugin,
    installed_plugins,
)
from prunebench.recipes.options import build, options_of, parse_spec
from prunebench.recipes.phase import Phase, to_json
from prunebench.recipes.reserved import split_options
from prunebench.recipes.strategy import split_unit


class Registry:
    """All plugins: the built-in ones, the installed ones (entry-point group `prunebench`), and the given files.

    The hook of a kind is called at the first look-up of that kind. The error of an installed plugin is kept in
    `plugins`; the error of a file is raised as PrunebenchError, because the user has named the file.
    """

    def __init__(self, files: Sequence[Path | str] = ()) -> None:
        self.files = tuple(str(Path(file).resolve()) for file in files)
        self.plugins: list[Plugin] = []
        self._entries: dict[str, dict[str, list[Entry]]] = {}
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        plugin_files = map(file_plugin, map(Path, self.files))
        for loaded in itertools.chain(built_in_plugins(), installed_plugins(), plugin_files):
            plugin = self._register(loaded)
            if plugin.error and not plugin.is_installed:
                raise _unusable(plugin)
            self.plugins.append(plugin)

    def _register(self, plugin: Plugin) -> Plugin:
        """Register the hooks of a plugin. The returned plugin has an error if that is impossible."""
        if plugin.error:
            return plugin
        try:
            check_hooks(plugin.module)
            self._manager.register(plugin.module, f"{plugin.distribution}:{plugin.name}:{plugin.origin}")
            if plugin.is_file and not self._manager.get_hookcallers(plugin.module):
                raise PrunebenchError(
                    "it has no hooks", "expected a function such as prunebench_strategies, marked with @hookimpl"
                )
        except pluggy.PluginValidationError as error:
            # Pluggy rejects a hook of a plugin, but leaves the plugin registered.
            if self._manager.is_registered(plugin.module):
                self._manager.unregister(plugin.module)
            return replace(plugin, error=" ".join(str(error).split()), module=None)
        except (Exception, SystemExit) as error:
            return replace(plugin, error=error_line(error), module=None)
        return plugin

    def _collect(self, kind: str) -> dict[str, list[Entry]]:
        """Call the hook of a kind in every plugin."""
        collected: dict[str, list[Entry]] = {}
        plugins = {id(plugin.module): plugin for plugin in self.plugins if not plugin.error}
        for implementation in getattr(self._manager.hook, f"prunebench_{kind}").get_hookimpls():
            plugin = plugins.get(id(implementation.plugin))
            if plugin is None:  # another of its hooks has failed
                continue
            try:
                entries = [Entry(entry_name(kind, value), value, plugin) for value in implementation.function()]
            except (Exception, SystemExit) as error:
                broken = replace(plugin, error=error_line(error), module=None)
                self.plugins[self.plugins.index(plugin)] = broken
                if plugin.is_file:
                    raise _unusable(broken) from error
                continue
            for entry in entries:
                collected.setdefault(entry.name, []).append(entry)
        return collected

    def entries(self, kind: str) -> dict[str, list[Entry]]:
        """All objects of a kind by name. A name with several entries is an error only when `entry` looks it up."""
        if kind not in self._entries:
            self._entries[kind] = self._collect(kind)
        return self._entries[kind]

    def entry(self, kind: str, name: str) -> Entry:
        """The one object with this name.

        Raises PrunebenchError if there is none, with the nearest name and all broken plugins, or if there are several.
        """
        entries = self.entries(kind)
        if name not in entries:
            broken = [f"plugin {plugin.name!r} is broken: {plugin.error}" for plugin in self.broken_plugins()]
            raise unknown_name(SINGULAR[kind], name, entries, "; ".join(broken))
        if len(entries[name]) > 1:
            sources = " and ".join(f"{entry.plugin.source} ({entry.plugin.origin})" for entry in entries[name])
            raise PrunebenchError(
                f"{SINGULAR[kind]} {name!r} is given twice, by {sources}", "rename one, or remove one of the plugins"
            )
        return entries[name][0]

    def get(self, kind: str, name: str) -> Any:
        """The value of `entry`."""
        return self.entry(kind, name).value

    def broken_plugins(self) -> Iterator[Plugin]:
        """The plugins that cannot be used."""
        return (plugin for plugin in self.plugins if plugin.error)

    def strategy(self, text: str) -> Any:
        """The strategy that `text` describes: `imp`, or with options `imp[rate=0.2]`."""
        return self.strategy_and_options(text)[0]

    def strategy_and_options(self, text: str) -> tuple[Any, dict[str, str]]:
        """The strategy that `text` describes, and the options that every method has, such as `scope=row`."""
        name, options = parse_spec(text)
        kind = self.get("strategies", name)
        own, reserved = split_options(kind, options)
        return build(kind, own), reserved

    def phase(self, data: Mapping[str, Any]) -> Phase:
        """The phase that `phase_to_json` gave as `data`.

        Raises PrunebenchError if the plugin with it is not here, or has been edited since.
        """
        name = data["phase"]
        phase: Phase = self.get("phases", name).from_fields(data)
        if self.phase_to_json(phase) != dict(data):
            raise PrunebenchError(f"phase {name!r} was edited after it was planned", "run the same command again")
        return phase

    def phase_to_json(self, phase: Phase) -> dict[str, Any]:
        """A phase as JSON, for keys and jobs: its fields and, for a plugin's phase, the code that defines it."""
        entry = self.entry("phases", type(phase).__name__)
        code = {} if entry.plugin.origin == "built in" else {"code": identity.code(entry)}
        return {**to_json(phase), **code}

    def code(self, kind: str, name: str) -> dict[str, str]:
        """The code that defines an object, for the key of a result: distribution, version and digest of the source."""
        return identity.code(self.entry(kind, name))

    def identity(self, strategy: Any) -> dict[str, str]:
        """The code of a strategy. Its digest covers the structures of plugins that it prunes."""
        code = self.code("strategies", strategy.name)
        known = self.entries("structures")
        # A name that is not known is an error of the plan.
        names = [name for name in split_unit(getattr(strategy, "unit", "weight")) if name in known]
        entries = [self.entry("structures", name) for name in names]
        # The class may be in another module than the hook.
        own = [replace(entry, value=type(entry.value)) for entry in entries if entry.plugin.origin != "built in"]
        others = [identity.code(entry)["source"] for entry in own]
        return {**code, "source": identity.digest_of([code["source"], *others])} if others else code

    def strategy_key(self, text: str) -> dict[str, Any]:
        """Name, options and code of the strategy that `text` describes: its part of the key of a result."""
        strategy, reserved = self.strategy_and_options(text)
        return {"name": strategy.name, "options": {**options_of(strategy), **reserved}, **self.identity(strategy)}

    def provenance(self, kind: str, name: str) -> str:
        """The code that defines an object, for a page: `my-plugin 1.0 (3f2a91c0)`."""
        return identity.provenance(self.entry(kind, name))


def _unusable(plugin: Plugin) -> PrunebenchError:
    return PrunebenchError(f"plugin {plugin.distribution} cannot be used: {plugin.error}")
