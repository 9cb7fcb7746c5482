"""`prunebench list`: what there is, and where it came from."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from typing import Any

import click

from prunebench.cli import completion
from prunebench.cli.options import plugin_option, registry_of
from prunebench.errors import unknown_name
from prunebench.hooks.entries import KINDS, Entry, first_line, flatten
from prunebench.hooks.registry import Registry
from prunebench.recipes.options import parameters

WHAT = (*KINDS, "plugins")


@click.command("list")
@click.argument("what", metavar="|".join(WHAT), shell_complete=completion.kinds)
@plugin_option
@click.pass_context
def list_(ctx: click.Context, what: str, plugins: tuple[str, ...]) -> None:
    """Show what there is to choose from, and who gave it."""
    if what not in WHAT:
        raise unknown_name("thing to list", what, WHAT)
    registry = registry_of(ctx, plugins)
    lines = _plugins(registry) if what == "plugins" else _entries(registry, what)
    click.echo("\n".join(lines))


def _entries(registry: Registry, kind: str) -> Iterable[str]:
    for entry in flatten(registry.entries(kind)):
        yield f"{click.style(entry.name, bold=True)}  ({entry.plugin.source}, {entry.plugin.origin})"
        yield f"    {_doc(kind, entry, registry)}"
        yield from (f"    {line}" for line in _details(kind, entry.value))
    yield from (
        f"broken: plugin {plugin.name} ({plugin.source}): {plugin.error}" for plugin in registry.broken_plugins()
    )


def _doc(kind: str, entry: Entry, registry: Registry) -> str:
    if kind == "suites":
        from prunebench.planning.suite import load

        return load(entry.name, registry).doc
    if kind == "commands":
        return str(entry.value.get_short_help_str(100))
    return first_line(entry.value)


def _details(kind: str, value: Any) -> Iterable[str]:
    if kind == "strategies":
        for field in parameters(value):
            default = "" if field.default is dataclasses.MISSING else f" = {field.default}"
            type_name = field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)
            yield f"{field.name}: {type_name}{default}"
    if kind == "tasks":
        yield f"metrics: {', '.join(value.metrics)}; evaluated on: {', '.join(value.evaluations)} ({value.split})"
        yield f"protocol: {value.protocol.label(value.protocol)}"
    if kind == "models":
        yield f"model types: {', '.join(value.model_types)}; for example {', '.join(value.examples)}"


def _plugins(registry: Registry) -> Iterable[str]:
    for kind in KINDS:
        registry.entries(kind)
    for plugin in registry.plugins:
        state = f"broken: {plugin.error}" if plugin.error else "ok"
        yield f"{click.style(plugin.name, bold=True)}  ({plugin.source}, {plugin.origin})  {state}"
