"""The options that say what is to be run; `run` and `plan` share them. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace
from typing import Any

import click

from prunebench.errors import PrunebenchError
from prunebench.execution.executors.base import ExecutorSpec, Request
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.planning.suite import Suite, load, merge

STORE = ".prunebench"
# What is run where neither a suite nor tasks are named: it needs no download and takes minutes.
DEFAULT_SUITE = "quick"
# Where jobs run where nothing else is named.
DEFAULT_EXECUTOR = "processes"
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


_RUNNING = [
    click.option(
        "--jobs",
        "slots",
        type=Jobs(),
        default="auto",
        show_default=True,
        metavar="N|auto",
        help="How many at a time. auto: one on each GPU, else as many as there are cores and memory for.",
    ),
    click.option("--executor", help="Where jobs run: processes (the default), here (in this one), ray, …"),
    click.option("--address", "--ray-address", "address", default="", help="Of the cluster that --executor is to use."),
    click.option("--cpus-per-job", "cpus", type=click.IntRange(1), help="Cores for each job, instead of its share."),
    click.option(
        "--gpus-per-job", "gpus", type=click.FloatRange(0), help="GPUs, or a part of one, for each job on a cluster."
    ),
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


def suite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument SUITE, every option that a suite file can hold, and those that say where its jobs run."""
    return _with(command, [_TASKS, *_METHODS, _SEEDS, *_OPTIONS, *_RUNNING])


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same without methods and sparsities, for commands that choose these by themselves."""
    return _with(command, [_TASKS, _SEEDS, *_OPTIONS, *_RUNNING])


def cell_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same without tasks and seeds too, for commands that look at a single cell."""
    return _with(command, [*_OPTIONS, *_RUNNING])


def _with(command: Callable[..., Any], options: list[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return click.argument("suite", required=False)(plugin_option(store_option(command)))


def registry_of(ctx: click.Context, plugins: tuple[str, ...]) -> Registry:
    """The registry of this command line, with the plugin files that it names."""
    return Registry(plugins) if plugins else ctx.find_object(Registry) or Registry()


def announce(chosen: Suite) -> None:
    """Say which suite it is, and what that is good for."""
    if chosen.doc:
        click.echo(f"Suite {chosen.name}: {chosen.doc}")


@dataclass(frozen=True)
class Running:
    """The options that say where jobs run."""

    executor: str | None
    slots: int | None
    address: str
    cpus: int | None
    gpus: float | None


def running_of(options: dict[str, Any], registry: Registry) -> Running:
    """Take those out of all options, and raise for an executor that there is not before anything is read for it."""
    found = Running(**{field.name: options.pop(field.name) for field in fields(Running)})
    if found.executor is not None:
        registry.get("executors", found.executor)
    return found


def request_for(chosen: Suite, registry: Registry, running: Running, jobs: int) -> Request:
    """What to ask of the executor for `jobs`."""
    from prunebench.runtime import devices

    spec: ExecutorSpec = registry.get("executors", running.executor or DEFAULT_EXECUTOR)
    device = devices.resolve_device(chosen.device)
    if not spec.elsewhere:
        devices.check_device(device)
    gpus = 1.0 if running.gpus is None and device == "cuda" else running.gpus
    request = Request(running.slots or 0, running.cpus, gpus, running.address)
    room = request.jobs or (spec.jobs(request) if spec.jobs else _room_here(chosen, registry))
    if spec.name == DEFAULT_EXECUTOR and not request.cpus:
        # Of the room, not of the jobs that are left: with other threads sums round otherwise, and a run that goes on
        # is to give what it would have given without a break.
        request = replace(request, cpus=max(1, devices.cores() // room))
    return replace(request, jobs=max(1, min(room, jobs)))


def _room_here(chosen: Suite, registry: Registry) -> int:
    from prunebench.models.loading import model_source
    from prunebench.models.sources import weight_files
    from prunebench.runtime import devices

    weights = sum(path.stat().st_size for path in weight_files(model_source(chosen.model, registry).folder))
    return devices.default_jobs(devices.resolve_device(chosen.device), weights)


def executor_of(registry: Registry, name: str | None, request: Request) -> Executor:
    """The executor of that name; by default worker processes, even for one job: if that one dies, the run goes on."""
    spec: ExecutorSpec = registry.get("executors", name or DEFAULT_EXECUTOR)
    return spec.make(request)


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
