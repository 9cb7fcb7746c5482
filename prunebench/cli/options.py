"""The options that say what is to be run; `run` and `plan` share them. Imports no torch."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from prunebench.execution.executors.resources import Resources
from prunebench.hooks.registry import Registry

STORE = ".prunebench"
# Where a click context keeps the words of the command line.
ARGUMENTS = "prunebench.arguments"

_TASKS = click.option("--tasks", help="Tasks, comma separated: rte,mrpc.")
_SEEDS = click.option("--seeds", help="How many (5 means 0 to 4), or which: 3,17.")
_METHODS = [
    click.option("--strategies", help="Strategies, comma separated, with options in brackets: imp[rate=0.2],heads."),
    click.option("--sparsities", help="Fractions of the prunable units to remove: 0.3,0.5,0.7."),
]
_OPTIONS = [
    click.option("--model", help="A hub name, also NAME@REVISION, or a local folder in transformers' layout."),
    click.option("--glue-dir", help="GLUE from this folder, as TSV files or a save_to_disk copy; else from the hub."),
    click.option("--prunable", help="encoder (default), or encoder+pooler as in the code of Chen et al. 2020."),
    click.option("--precision", help="auto (default), fp32 or bf16."),
    click.option("--device", help="auto (default), cpu or cuda."),
    click.option(
        "--compile", help="off (default) or on: train through torch.compile, on a GPU. Other numbers than without."
    ),
    click.option("--epochs", help="Another number of epochs: another protocol, never mixed with the standard one."),
    click.option("--lr", help="Another learning rate."),
    click.option("--batch-size", help="Another batch size."),
    click.option("--max-length", help="Another limit of tokens for an example."),
    click.option("--train-limit", help="At most so many training examples."),
    click.option("--eval-limit", help="At most so many evaluation examples."),
]


class Jobs(click.ParamType[int | None]):
    """A number of jobs, or `auto`, which is None."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        return None if value == "auto" else click.IntRange(1).convert(value, param, ctx)


_RESOURCES = [
    click.option(
        "--jobs",
        type=Jobs(),
        default="auto",
        show_default=True,
        metavar="N|auto",
        help="Jobs at a time. auto: one on each GPU, or else as many as there are cores and memory for.",
    ),
    click.option("--executor", help="Where jobs run: processes (the default), here (in this process), ray, …"),
    click.option("--address", "--ray-address", "address", default="", help="Of the cluster that --executor uses."),
    click.option("--cpus-per-job", type=click.IntRange(1), help="Cores for each job, instead of its share."),
    click.option("--gpus-per-job", type=click.FloatRange(0), help="GPUs, or a part of one, for each job on a cluster."),
]
retry_option = click.option("--retry-failed", is_flag=True, help="Try again what failed in an earlier run.")
checkpoint_option = click.option(
    "--checkpoint-minutes",
    type=click.FloatRange(0),
    help="Keep the state of a long training so often; killed, it goes on from there, bit for bit.",
)
plugin_option = click.option(
    "--plugin", "plugins", multiple=True, metavar="FILE.py", help="A plugin in a single file; may be repeated."
)
store_option = click.option(
    "--store",
    default=STORE,
    show_default=True,
    metavar="DIR|URL",
    help="Where results are kept: also s3://bucket/name.",
)


keep_option = click.option(
    "--keep-models",
    is_flag=True,
    help="Keep the trained weights of every cell in the store, as models/KEY.safetensors.",
)


def execution_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that run what they plan."""
    return retry_option(checkpoint_option(command))


def suite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument SUITE, every option that a suite file can hold, and those that say where its jobs run."""
    return _with(command, [_TASKS, *_METHODS, _SEEDS, *_OPTIONS, *_RESOURCES])


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same without methods and sparsities, for commands that choose these by themselves."""
    return _with(command, [_TASKS, _SEEDS, *_OPTIONS, *_RESOURCES])


def cell_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same without tasks and seeds, for commands that look at a single cell."""
    return _with(command, [*_OPTIONS, *_RESOURCES])


def _with(command: Callable[..., Any], options: list[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return click.argument("suite", required=False)(plugin_option(store_option(command)))


def registry_of(ctx: click.Context, plugins: tuple[str, ...]) -> Registry:
    """The registry of this command line, with the plugin files that it names."""
    return Registry(plugins) if plugins else ctx.find_object(Registry) or Registry()


def pop_resources(options: dict[str, Any]) -> Resources:
    """Take the options that say where jobs run out of all options."""
    return Resources(**{field.name: options.pop(field.name) for field in fields(Resources)})


def wants_colour() -> bool:
    """Whether the standard output is a terminal that may show colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def command_line() -> str:
    """The words of this command, as they can be said again."""
    return "prunebench " + shlex.join(click.get_current_context().find_root().meta[ARGUMENTS])
