"""The options that say what a run does; `run` and `plan` share them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import click

from prunebench.cli import completion
from prunebench.cli.help import ARITHMETIC, MODEL, PROTOCOL, RESULTS, WHAT, WHERE, Option
from prunebench.execution.executors.resources import DEFAULT_EXECUTOR, Resources
from prunebench.hooks.registry import Registry
from prunebench.planning.suite import CHOICES, Suite

STORE = ".prunebench"
suite_argument = click.argument("suite", required=False, shell_complete=completion.suites)
# Where a click context keeps the words of the command line.
ARGUMENTS = "prunebench.arguments"

_what = partial(click.option, cls=Option, group=WHAT)
_model = partial(click.option, cls=Option, group=MODEL)
_protocol = partial(click.option, cls=Option, group=PROTOCOL)
_arithmetic = partial(click.option, cls=Option, group=ARITHMETIC)
_where = partial(click.option, cls=Option, group=WHERE)
_results = partial(click.option, cls=Option, group=RESULTS)

# What holds where neither a suite nor an option says anything. The options themselves have no defaults, so that those
# of a suite count.
_SUITE = Suite()
_OF_TASK = "the task's protocol"


def _choice(name: str) -> dict[str, Any]:
    """The metavar, the completion and the default of an option that takes one of a few words."""
    return {
        "metavar": "|".join(CHOICES[name]),
        "shell_complete": completion.choices(CHOICES[name]),
        "shown_default": getattr(_SUITE, name),
    }


_TASKS = _what(
    "--tasks",
    metavar="NAME,…",
    shown_default="those of SUITE",
    shell_complete=completion.name_list("tasks"),
    help="Tasks: rte,mrpc.",
)
_SEEDS = _what("--seeds", metavar="N|N,…", shown_default=str(len(_SUITE.seeds)), help="How many, or which: 3,17.")
_METHODS = [
    _what(
        "--strategies",
        metavar="NAME,…",
        shown_default=",".join(_SUITE.strategies),
        shell_complete=completion.strategy_list,
        help="Strategies, with options in brackets: imp[rate=0.2],heads.",
    ),
    _what(
        "--sparsities",
        metavar="FRACTION,…",
        shown_default=",".join(map(str, _SUITE.sparsities[""])),
        help="Fractions of the prunable units to remove.",
    ),
    _model(
        "--also-model",
        metavar="NAME|DIR,…",
        shown_default="none",
        help="Further models, such as small dense ones. They are trained and not pruned, and stand beside the methods "
        "without a rank.",
    ),
]
plugin_option = _what(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE.py",
    shell_complete=completion.files,
    help="A plugin in a single file; may be repeated.",
)
_MODEL = [
    _model(
        "--model",
        metavar="NAME|DIR",
        shown_default=_SUITE.model,
        shell_complete=completion.models,
        help="A hub name, also NAME@REVISION, or a local folder in transformers' layout.",
    ),
    _model(
        "--glue-dir",
        metavar="DIR",
        shown_default="the hub",
        shell_complete=completion.folders,
        help="GLUE from this folder, as TSV files or a save_to_disk copy.",
    ),
]
_TRAINING = [
    _protocol("--batch-size", metavar="INTEGER", shown_default=_OF_TASK, help="Examples in a batch."),
    _protocol("--max-length", metavar="INTEGER", shown_default=_OF_TASK, help="Tokens of an example, at most."),
    _protocol("--train-limit", metavar="INTEGER", shown_default="all", help="Training examples, at most."),
]
_ARITHMETIC = [
    _arithmetic("--precision", **_choice("precision"), help="Floating-point precision of training and prediction."),
    _arithmetic(
        "--compile", **_choice("compile"), help="Train through torch.compile, on a GPU; gives other numbers than off."
    ),
    _where("--device", **_choice("device"), help="Device to train on."),
]
_OPTIONS = [
    *_MODEL,
    _model(
        "--prunable", **_choice("prunable"), help="What is pruned; with the pooler as in the code of Chen et al. 2020."
    ),
    _protocol(
        "--protocol",
        metavar="FILE",
        shown_default=_OF_TASK,
        shell_complete=completion.files,
        help="A protocol file of `prunebench calibrate`; none: the tasks' own protocols, whatever SUITE says.",
    ),
    _protocol("--epochs", metavar="INTEGER", shown_default=_OF_TASK, help="Epochs of each training."),
    _protocol("--lr", metavar="FLOAT", shown_default=_OF_TASK, help="Learning rate."),
    *_TRAINING,
    _protocol("--eval-limit", metavar="INTEGER", shown_default="all", help="Evaluation examples, at most."),
    *_ARITHMETIC,
]


class Jobs(click.ParamType[int | None]):
    """A number of jobs, or `auto`, which is None."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        return None if value == "auto" else click.IntRange(1).convert(value, param, ctx)


_RESOURCES = [
    _where(
        "--jobs",
        type=Jobs(),
        default="auto",
        show_default=True,
        metavar="N|auto",
        help="Jobs at a time. auto: one on each GPU, or else as many as there are cores and memory for.",
    ),
    _where(
        "--executor",
        metavar="NAME",
        shown_default=DEFAULT_EXECUTOR,
        shell_complete=completion.names("executors"),
        help="What runs jobs: processes, here (in this process), ray, …",
    ),
    _where(
        "--address", "--ray-address", "address", metavar="URL", default="", help="Of the cluster that --executor uses."
    ),
    _where(
        "--cpus-per-job",
        type=click.IntRange(1),
        metavar="INTEGER",
        shown_default="an equal share",
        help="Cores for each job.",
    ),
    _where(
        "--gpus-per-job",
        type=click.FloatRange(0),
        metavar="FLOAT",
        shown_default="1 where --device is cuda",
        help="GPUs, or a part of one, for each job on a cluster.",
    ),
    _where(
        "--strategy-timeout",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        shown_default="none",
        help="How long one call of a strategy's own code may take. A longer one fails its method, and no other.",
    ),
    _where(
        "--job-minutes",
        type=click.FloatRange(0, min_open=True),
        metavar="MINUTES",
        shown_default="none",
        help="How long a job may take: one training with the pruning and scoring behind it. A longer one fails, with "
        "what starts from it.",
    ),
]
retry_option = _results("--retry-failed", is_flag=True, help="Try again what failed in an earlier run.")
checkpoint_option = _where(
    "--checkpoint-minutes",
    type=click.FloatRange(0),
    metavar="FLOAT",
    shown_default="never",
    help="Store the state of a long training so often; after a kill it goes on from there, bit for bit.",
)
store_option = _results(
    "--store",
    default=STORE,
    show_default=True,
    metavar="DIR|URL",
    shell_complete=completion.folders,
    help="Where results are stored: also s3://bucket/name.",
)
keep_option = _results(
    "--keep-models",
    is_flag=True,
    help="Keep the trained weights of every cell in the store, as models/KEY.safetensors.",
)


def execution_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that run what they plan."""
    return retry_option(checkpoint_option(command))


def suite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument SUITE, every option that a suite file can hold, and those that say where its jobs run."""
    return _with(command, [_TASKS, *_METHODS, _SEEDS, plugin_option, *_OPTIONS, *_RESOURCES])


def suite_options_without_methods(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same without methods and sparsities, for commands that choose these by themselves."""
    return _with(command, [_TASKS, _SEEDS, plugin_option, *_OPTIONS, *_RESOURCES])


def calibration_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a calibration: as of a run without methods, but the grid and the seeds are its own."""
    return _with(command, [_TASKS, plugin_option, *_MODEL, *_TRAINING, *_ARITHMETIC, *_RESOURCES])


def cell_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same without tasks and seeds, for commands that look at a single cell."""
    return _with(command, [plugin_option, *_OPTIONS, *_RESOURCES])


def _with(command: Callable[..., Any], options: list[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return suite_argument(store_option(command))


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
    """The command line, quoted so that a shell can run it again."""
    return "prunebench " + shlex.join(click.get_current_context().find_root().meta[ARGUMENTS])
