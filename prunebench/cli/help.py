"""Help with options in groups and examples, and the command `prunebench help`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli import completion
from prunebench.errors import unknown_name

if TYPE_CHECKING:
    from click.types import OptionHelpExtra

WHAT, MODEL, PROTOCOL, ARITHMETIC = "What to run", "Model and data", "Protocol", "Arithmetic"
WHERE, RESULTS, OTHER = "Where jobs run", "Results", "Other options"
GROUPS = (WHAT, MODEL, PROTOCOL, ARITHMETIC, WHERE, RESULTS, OTHER)


class Option(click.Option):
    """An option in a group of the help. `shown_default` describes a default that the suite or the machine decides."""

    def __init__(self, *args: Any, group: str = OTHER, shown_default: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group
        self.shown_default = shown_default

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        extra = super().get_help_extra(ctx)
        if self.shown_default:
            extra["default"] = self.shown_default
        return extra


class GroupedCommand(click.Command):
    """A command whose help shows its options in groups, and `examples` at the end."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        for param in self.get_params(ctx):
            row = param.get_help_record(ctx)
            if row is not None and not isinstance(param, click.Argument):
                rows[getattr(param, "group", OTHER)].append(row)
        for group in GROUPS:
            if rows[group]:
                with formatter.section(group):
                    formatter.write_dl(rows[group])
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...", shell_complete=completion.commands)
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command: prunebench help run."""
    context = ctx.find_root()
    for word in words:
        group = context.command
        names = group.list_commands(context) if isinstance(group, click.Group) else []
        if not isinstance(group, click.Group) or word not in names:
            raise unknown_name("command", word, names)
        command = group.get_command(context, word)
        assert command is not None
        # Not through `make_context`, which would parse arguments.
        context = click.Context(command, info_name=word, parent=context)
    click.echo(context.get_help())
