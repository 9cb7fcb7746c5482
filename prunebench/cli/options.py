"""The options that say what is to be run; `run` and `plan` share them. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from prunebench.errors import PrunebenchError
from prunebench.executors import ExecutorSpec
from prunebench.recipes import Method
from prunebench.registry import Registry
from prunebench.suite import Suite, load, merge

STORE = ".prunebench"
# What is run where neither a suite nor tasks are named: it needs no download and takes minutes.
DEFAULT_SUITE = "quick"
# Where a click context keeps the words of the command line.
ARGUMENTS = "prunebench.arguments"

_OPTIONS = [
    click.option("--tasks", help="Tasks, comma separated: rte,mrpc."),
    click.option("--strategies", help="Strategies, comma separated, with options in brackets: imp[rate=0.2],heads."),
    click.option("--sparsities", help="Fractions of the prunable units to remove: 0.3,0.5,0.7."),
    click.option("--seeds", help="How many (5 means 0 to 4), or which: 3,17."),
    click.option("--model", help="A hub name, also NAME@REVISION, or a local folder in transformers' layout."),
    click.option("--glue-dir", help="GLUE from this folder, as TSV files or a save_to_disk copy; else from the hub."),
    click.option("--prunable", help="encoder (default), or encoder+pooler as in the code of Chen et al. 2020."),
    click.option("--precision", help="auto (default), fp32 or bf16."),
    click.option("--device", help="auto (default), cpu or cuda."),
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


_RUNNING = [
    click.option(
        "--jobs",
        "slots",
        type=Jobs(),
        default="auto",
        show_default=True,
        metavar="N|auto",
        help="How many at a time. auto: one on a GPU, else as many as there are cores and memory for.",
    ),
    click.option("--executor", help="Where jobs run: here (default for one job), processes (default for more)."),
]
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


def suite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument SUITE, every option that a suite file can hold, and those that say where its jobs run."""
    for option in reversed([*_OPTIONS, *_RUNNING]):
        command = option(command)
    return click.argument("suite", required=False)(plugin_option(store_option(command)))


def registry_of(ctx: click.Context, plugins: tuple[str, ...]) -> Registry:
    """The registry of this command line, with the plugin files that it names."""
    return Registry(plugins) if plugins else ctx.find_object(Registry) or Registry()


def announce(chosen: Suite) -> None:
    """Say which suite it is, and what that is good for."""
    if chosen.doc:
        click.echo(f"Suite {chosen.name}: {chosen.doc}")


def check_executor(registry: Registry, name: str | None) -> None:
    """Raise for an executor that there is not, before anything is read for it."""
    if name is not None:
        registry.get("executors", name)


def executor_of(registry: Registry, name: str | None, slots: int) -> ExecutorSpec:
    """The executor of that name; by default this process for one job at a time, and processes for more."""
    spec: ExecutorSpec = registry.get("executors", name or ("processes" if slots > 1 else "here"))
    return spec


def slots_for(chosen: Suite, registry: Registry, executor: str | None, slots: int | None, jobs: int) -> int:
    """How many of `jobs` to run at a time: `slots`, or what this machine is good for."""
    from prunebench import machine
    from prunebench.models.sources import weight_files
    from prunebench.subjects import model_source

    if slots is None and executor == "here":
        return 1
    if slots is None:
        weights = sum(path.stat().st_size for path in weight_files(model_source(chosen.model, registry).folder))
        slots = machine.default_jobs(machine.resolve_device(chosen.device), weights)
    return max(1, min(slots, jobs))


def read_suite(name: str | None, options: dict[str, Any], registry: Registry) -> Suite:
    """The suite of the file, with the options of the command line above it.

    All its names are looked up here, before anything is downloaded for them.
    """
    if name is None and options.get("tasks") is None and options.get("model") is None:
        name = DEFAULT_SUITE
    suite = merge(load(name, registry) if name else Suite(), options)
    if not suite.tasks:
        suites = ", ".join(sorted(registry.entries("suites")))
        raise PrunebenchError("nothing to run: no tasks are given", f"--tasks rte,mrpc or a suite: {suites}")
    for task in (*suite.tasks, *filter(None, suite.sparsities)):
        registry.get("tasks", task)
    for text in suite.strategies:
        Method(text, registry)
    for task in suite.tasks:
        if task not in suite.sparsities and "" not in suite.sparsities:
            raise PrunebenchError(
                f"suite {suite.name!r} has no sparsities for task {task!r}", "--sparsities names some"
            )
    return suite
