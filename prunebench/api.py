"""The front door in Python: run a suite, plan it, load results, and look at them.

    import prunebench as pb

    results = pb.run("quick", strategies=["imp", "random-pruning"], sparsities=[0.5, 0.7], seeds=3)
    results.leaderboard()
    results.compare("imp", "random-pruning")

The command line calls these functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError
from prunebench.execution.display import Console
from prunebench.execution.executors.resources import Resources, executor_spec
from prunebench.execution.runner import RunOptions, execute, preview
from prunebench.hooks.notebook import plugin_file
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment
from prunebench.planning import suite as suites
from prunebench.planning.graph import Node, Plan
from prunebench.recipes.options import label
from prunebench.reports.views import Results as Results
from prunebench.results.filters import choose_plans
from prunebench.results.rows import load_rows
from prunebench.runtime.debugging import debug_mode
from prunebench.runtime.memory import without_collection
from prunebench.sharing.bundle.reader import Bundle, open_bundle
from prunebench.store.schema import RUN
from prunebench.store.store import Store

if TYPE_CHECKING:
    from prunebench.execution.profiling import Profile

STORE = ".prunebench"
Strategies = str | Iterable[str | type | Any] | None


@dataclass(frozen=True, repr=False)
class Preview:
    """What a run would train, share and cost."""

    plan: Plan
    text: str
    is_left: bool

    def __repr__(self) -> str:
        return self.text


def run(
    suite: str | None = None,
    *,
    strategies: Strategies = None,
    plugins: Sequence[str | Path] = (),
    store: str | Path = STORE,
    resources: Resources | None = None,
    strategy_timeout: float | None = None,
    job_minutes: float | None = None,
    retry_failed: bool = False,
    checkpoint_minutes: float | None = None,
    keep_models: bool = False,
    progress: bool | Console = True,
    debug: bool = False,
    profile: Profile | None = None,
    command: str = "",
    **options: Any,
) -> Results:
    """Run everything that the store lacks of a suite, or of what the options name, and return its results.

    `suite` is a name or a TOML file, by default `quick`. `strategies` are names as on the command line, or classes and
    instances, which may be defined in a notebook. `options` are those of `prunebench run` (`tasks`, `sparsities`,
    `seeds`, `model`, `glue_dir`, `epochs`, …) with the same names and checks. `resources` say where jobs run.
    `strategy_timeout` is the number of seconds that one call of a strategy may take, and `job_minutes` that of minutes
    for a whole job. `progress=False` is silent.

    With `debug` everything runs in this process, and the first error in the code of a plugin is raised as it is.
    `profile` takes down what the code of strategies costs, in this process too. Otherwise it raises PrunebenchError, in
    one line, for whatever the caller can mend.
    """
    console = progress if isinstance(progress, Console) else Console(quiet=not progress, stderr=True)
    Store.view(store)
    if strategy_timeout is not None:
        resources = replace(resources or Resources(), strategy_timeout=strategy_timeout)
    if job_minutes is not None:
        resources = replace(resources or Resources(), job_minutes=job_minutes)
    if debug or profile is not None:
        resources = replace(resources or Resources(), executor="here", jobs=1)
    planned = _plan(suite, strategies, plugins, resources, options, console)
    run_options = RunOptions(
        str(store), planned.resources, retry_failed, checkpoint_minutes, command or _command(suite, planned, options)
    )
    keep = planned.leaves if keep_models else ()
    with debug_mode(debug), nullcontext() if profile is None else profile.measured():
        result = execute(planned.plan, planned.suite, planned.registry, run_options, console, RUN, keep)
    rows = load_rows([result.plan], result.store)
    return Results(rows, result.store, planned.registry, result)


def plan(
    suite: str | None = None,
    *,
    strategies: Strategies = None,
    plugins: Sequence[str | Path] = (),
    store: str | Path = STORE,
    resources: Resources | None = None,
    retry_failed: bool = False,
    keep_models: bool = False,
    console: Console | None = None,
    **options: Any,
) -> Preview:
    """What `run` with the same arguments would train, share, take from the store, and cost. Writes nothing."""
    recorder = console or Recorder()
    planned = _plan(suite, strategies, plugins, resources, options, recorder)
    is_left = preview(
        planned.plan,
        planned.suite,
        planned.registry,
        RunOptions(str(store), planned.resources, retry_failed),
        recorder,
        planned.leaves if keep_models else (),
    )
    return Preview(planned.plan, "\n".join(recorder.lines) if isinstance(recorder, Recorder) else "", is_left)


@dataclass(frozen=True)
class Recorder(Console):
    """Keeps what a console would print."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = say


def load(
    source: str | Path | Bundle = STORE,
    suite: str | None = None,
    *,
    everything: bool = False,
    all_versions: bool = False,
    plugins: Sequence[str | Path] = (),
) -> Results:
    """The results of a store or of a bundle (a zip file).

    From a store they are those of the last run, of all runs of `suite`, or `everything`; from a bundle all, or those
    of `suite`. With `all_versions`, results of older versions of a method are there, too, under a label of their own
    (`mine @ 3f2a91c0`).
    """
    reader = source if isinstance(source, Bundle) else open_source(source)
    plans = choose_plans(reader.plans(), suite, everything or all_versions or isinstance(reader, Bundle))
    with without_collection():
        return Results(load_rows(plans, reader, all_versions=all_versions), reader, Registry(plugins))


def open_source(source: str | Path) -> Store | Bundle:
    """Open a store, or a bundle where `source` is a zip file."""
    path = Path(source)
    return open_bundle(path) if path.suffix == ".zip" and not path.is_dir() else Store.open(source)


@dataclass(frozen=True)
class _Planned:
    """A plan, and what the arguments of `run` and `plan` became on the way to it; `strategies` are their names."""

    plan: Plan
    suite: suites.Suite
    registry: Registry
    resources: Resources
    strategies: list[str] | str | None

    @property
    def leaves(self) -> set[Node]:
        return {cell.leaf for cell in self.plan.cells}


def _plan(
    suite: str | None,
    strategies: Strategies,
    plugins: Sequence[str | Path],
    resources: Resources | None,
    options: Mapping[str, Any],
    console: Console,
) -> _Planned:
    names, files = _strategies(strategies)
    registry = Registry([*plugins, *files])
    resources = resources or Resources()
    executor_spec(resources, registry)
    resolved = suites.resolve(suite, {**options, "strategies": names}, registry)
    if resolved.doc:
        console.say(f"Suite {resolved.name}: {resolved.doc}")
    return _Planned(experiment.plan(resolved, registry), resolved, registry, resources, names)


def _strategies(strategies: Strategies) -> tuple[list[str] | str | None, list[Path]]:
    """Strategies as names with options, and the plugin files that hold classes from a notebook or script."""
    if strategies is None or isinstance(strategies, str):
        return strategies, []
    names, files = [], {}
    for each in strategies:
        if isinstance(each, str):
            names.append(each)
            continue
        kind = each if inspect.isclass(each) else type(each)
        if not hasattr(kind, "name"):
            raise PrunebenchError(
                f"{each!r} is no strategy", "expected a name, or a dataclass with name, unit and recipe"
            )
        files[kind] = plugin_file(kind)
        names.append(str(kind.name) if inspect.isclass(each) else label(each))
    return names, list(files.values())


def _command(suite: str | None, planned: _Planned, options: Mapping[str, Any]) -> str:
    """The call as text, which pages show."""
    words = [repr(suite)] if suite else []
    words += [f"strategies={planned.strategies!r}"] if planned.strategies is not None else []
    words += [f"{name}={value!r}" for name, value in options.items() if value is not None]
    return f"prunebench.run({', '.join(words)})"
