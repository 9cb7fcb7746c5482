"""What the shell offers when a user presses TAB, and the command `prunebench completion`.

Click calls these functions with the text in front of the cursor. Lists are separated by commas, so that it is the last
item of a list that is completed: `--tasks rte,mr` becomes `--tasks rte,mrpc`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from prunebench.errors import PrunebenchError
from prunebench.hooks.entries import KINDS, first_line
from prunebench.hooks.registry import Registry
from prunebench.recipes.options import parameters

Items = list[CompletionItem[str]]
Complete = Callable[[click.Context, click.Parameter, str], Items]

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_PRUNEBENCH_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes words in a shell.

    \b
    bash:  eval "$(prunebench completion bash)"    in ~/.bashrc
    zsh:   eval "$(prunebench completion zsh)"     in ~/.zshrc
    fish:  prunebench completion fish > ~/.config/fish/completions/prunebench.fish

    It completes commands, options, suites, and the names that options take: tasks, strategies and their options,
    models, executors.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "prunebench", VARIABLE).source())


def names(kind: str) -> Complete:
    """Complete one name of that kind: a task, a strategy, an executor."""
    return lambda ctx, param, text: _matching(_docs(_registry(ctx), kind), text)


def name_list(kind: str) -> Complete:
    """Complete the last name of a comma-separated list."""

    def complete(ctx: click.Context, param: click.Parameter, text: str) -> Items:
        before, item = split_last(text)
        items = before.split(",")
        docs = {name: doc for name, doc in _docs(_registry(ctx), kind).items() if name not in items}
        return _matching(docs, item, before)

    return complete


def strategy_list(ctx: click.Context, param: click.Parameter, text: str) -> Items:
    """Complete the last strategy of a list, or within brackets the names of its options."""
    before, item = split_last(text)
    name, bracket, inside = item.partition("[")
    if not bracket:
        return name_list("strategies")(ctx, param, text)
    with contextlib.suppress(PrunebenchError):
        options, last = split_last(inside)
        named = {option.partition("=")[0] for option in options.split(",")}
        fields = parameters(_registry(ctx).get("strategies", name))
        types = {f"{field.name}=": str(field.type) for field in fields if field.name not in named}
        return _matching(types, last, f"{before}{name}[{options}")
    return []


def suites(ctx: click.Context, param: click.Parameter, text: str) -> Items:
    """Complete the name of a suite, or the path of a TOML file."""
    return _matching(dict.fromkeys(_registry(ctx).entries("suites"), ""), text) or [CompletionItem(text, type="file")]


def models(ctx: click.Context, param: click.Parameter, text: str) -> Items:
    """Complete the name of a checkpoint or of a well-known model of the hub, or the path of a folder."""
    registry = _registry(ctx)
    hub = (example for family in _values(registry, "models") for example in family.examples)
    known = dict.fromkeys([*registry.entries("checkpoints"), *hub], "")
    return _matching(known, text) or [CompletionItem(text, type="dir")]


def choices(values: Iterable[str]) -> Complete:
    """Complete one of these values."""
    known = dict.fromkeys(values, "")
    return lambda ctx, param, text: _matching(known, text)


def folders(ctx: click.Context, param: click.Parameter, text: str) -> Items:
    return [CompletionItem(text, type="dir")]


def files(ctx: click.Context, param: click.Parameter, text: str) -> Items:
    return [CompletionItem(text, type="file")]


def commands(ctx: click.Context, param: click.Parameter, text: str) -> Items:
    """Complete the name of a command."""
    return _matching(dict.fromkeys(_registry(ctx).entries("commands"), ""), text)


kinds = choices((*KINDS, "plugins"))


def split_last(text: str) -> tuple[str, str]:
    """What stands before the last item of a comma-separated list, with its comma, and that item.

    Commas inside brackets do not separate items.
    """
    depth, start = 0, 0
    for position, character in enumerate(text, 1):
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            start = position
    return text[:start], text[start:]


def _matching(docs: dict[str, str], text: str, before: str = "") -> Items:
    names = sorted(name for name in docs if name.startswith(text))
    return [CompletionItem(before + name, help=docs[name] or None) for name in names]


def _registry(ctx: click.Context) -> Registry:
    """The registry of the command line that is being written, with the plugin files that stand in it already."""
    plugins = ctx.params.get("plugins") or ()
    with contextlib.suppress(PrunebenchError):
        return Registry(plugins) if plugins else ctx.find_object(Registry) or Registry()
    return Registry()


def _docs(registry: Registry, kind: str) -> dict[str, str]:
    return {name: first_line(entries[0].value) for name, entries in registry.entries(kind).items()}


def _values(registry: Registry, kind: str) -> list[Any]:
    return [entry.value for entries in registry.entries(kind).values() for entry in entries]
