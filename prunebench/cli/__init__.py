"""The command line, one file a command. An error that the user can mend is one line and exit status 2.

Modules of the project are imported inside the commands, so that `prunebench --help` starts without torch.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

import click

from prunebench.cli import completion
from prunebench.cli.options import ARGUMENTS
from prunebench.errors import PrunebenchError, unknown_name
from prunebench.hooks.plugins import error_line
from prunebench.hooks.registry import Registry

# Seconds until an ignored interrupt is sent again.
AGAIN = 0.01


class Commands(click.Group):
    """The commands that plugins give, the built-in ones among them."""

    def _registry(self, ctx: click.Context) -> Registry:
        if ctx.obj is None:
            ctx.obj = Registry()
        registry: Registry = ctx.obj
        return registry

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._registry(ctx).entries("commands"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        registry = self._registry(ctx)
        if ctx.resilient_parsing and name not in registry.entries("commands"):
            return None  # the shell completes a line that is not finished
        command: click.Command = registry.get("commands", name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="prunebench", message="%(prog)s %(version)s")
@click.option(
    "--store", metavar="DIR|URL", shell_complete=completion.folders, help="The store that the command works on."
)
@click.pass_context
def cli(ctx: click.Context, store: str | None) -> None:
    """Benchmark pruning methods on pre-trained transformers.

    Start with `prunebench run --help`, or see what there is with `prunebench list strategies`. `prunebench completion`
    makes a shell complete words.
    """
    if store is not None:
        commands = ctx.ensure_object(Registry).entries("commands")
        ctx.default_map = {name: _with_store(entries[0].value, store) for name, entries in commands.items()}


def _with_store(command: click.Command, store: str) -> dict[str, Any]:
    """The defaults of a command, or of each command in a group, by which `store` is its option `--store`."""
    if isinstance(command, click.Group):
        return {name: _with_store(each, store) for name, each in command.commands.items()}
    return {"store": store}


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does. A machine that is about to be shut down sends it."""


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def _send_again(ignored: sys.UnraisableHookArgs) -> None:
    """Send an interrupt again that was raised in a `__del__`, where Python ignores exceptions.

    It is sent after a moment, when that method is over; here it would be ignored too.
    """
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        number = signal.SIGTERM if issubclass(ignored.exc_type, Terminated) else signal.SIGINT
        threading.Timer(AGAIN, os.kill, (os.getpid(), number)).start()
    else:
        sys.__unraisablehook__(ignored)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    status: Any = 0
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _send_again
    try:
        # Not list(…): once imported, the module of the command `list` hides that name in this package.
        words = None if arguments is None else [*arguments]
        status = cli.main(words, prog_name="prunebench", standalone_mode=False)
    except PrunebenchError as error:
        click.echo(f"prunebench: {error_line(error)}", err=True)
        status = 2
    except click.NoSuchOption as error:
        known = [name for option in (error.ctx.command.params if error.ctx else []) for name in option.opts]
        click.echo(f"prunebench: {unknown_name('option', error.option_name, known)}", err=True)
        status = 2
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
    except click.ClickException as error:
        text = error.format_message().rstrip(".")
        where = f" (see {error.ctx.command_path} --help)" if isinstance(error, click.UsageError) and error.ctx else ""
        click.echo(f"prunebench: {text[:1].lower()}{text[1:]}{where}", err=True)
        status = 2
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo("prunebench: stopped; what is done is stored, and the same command goes on from there", err=True)
        status = 143 if isinstance(error.__cause__ or error, Terminated) else 130
    except BrokenPipeError:
        sys.stderr.close()
        status = 1
    sys.exit(status if isinstance(status, int) else 0)
