"""The front door in Python: run a suite, plan it, load results, and look at them.

    import prunebench as pb

    results = pb.run("quick", strategies=["imp", "random-pruning"], sparsities=[0.5, 0.7], seeds=3)
    results.leaderboard()
    results.compare("imp", "random-pruning")

The command line calls these functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.execution.display import Console
from prunebench.execution.executors.resources import Resources, executor_spec
from prunebench.execution.runner import RunOptions, RunResult, execute, preview
from prunebench.hooks.notebook import plugin_file
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment
from prunebench.planning import suite as suites
from prunebench.planning.graph import Plan
from prunebench.recipes.options import label
from prunebench.results.filters import Selection, allow_mixed, choose_plans, nothing, one_setting, select
from prunebench.results.rows import Row, stored_rows
from prunebench.runtime.memory import without_collection
from prunebench.sharing.bundle.reader import Bundle, open_bundle
from prunebench.store.schema import RUN, StoredPlan
from prunebench.store.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from prunebench.reports.views import Comparison, Leaderboard

STORE = ".prunebench"
Strategies = str | Iterable[str | type | Any] | None


class Results:
    """The results of a run, a store or a bundle: one row for each method, task, sparsity, seed and metric.

    `failures` says why cells have no result. In a notebook the object shows its leaderboard.
    """

    def __init__(
        self, rows: Sequence[Row], source: Store | Bundle, registry: Registry, run: RunResult | None = None
    ) -> None:
        self.rows = list(rows)
        self.source = source
        self.registry = registry
        self.run = run

    @property
    def failures(self) -> dict[str, str]:
        """By method, sparsity, task and seed, the reason why there is no result."""
        failed = {}
        for row in self.rows:
            if row.status.startswith("failed: "):
                cell = row.cell
                name = f"{cell.label} at {cell.sparsity:g} on {cell.task}, seed {cell.seed}"
                failed[name] = row.status.removeprefix("failed: ")
        return failed

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return self.to_text()

    def to_text(self, *, colour: bool = False) -> str:
        """The ranking and the scores of every task, for a terminal."""
        from prunebench.reports.leaderboard import summarise_rows

        return summarise_rows(self.rows, colour=colour)

    def _repr_markdown_(self) -> str:
        if not any(row.status == "done" for row in self.rows):
            return str(nothing(self.rows))
        return self.leaderboard()._repr_markdown_()

    @property
    def store(self) -> Store:
        """The store that the results lie in. Raises PrunebenchError where they come from a bundle."""
        if not isinstance(self.source, Store):
            raise PrunebenchError("a bundle holds no masks or weights", "expected the results of a store")
        return self.source

    def on_one_page(self, mixed: bool = False) -> tuple[list[Row], tuple[str, ...]]:
        """The rows that may stand on one page, and what is `mixed` there. Raises PrunebenchError if settings differ."""
        if not self.rows:
            raise nothing(self.rows)
        return allow_mixed(self.rows) if mixed else (one_setting(self.rows), ())

    def frame(self) -> pd.DataFrame:
        """The long table as a DataFrame. Scores are fractions from 0 to 1; what is not known is missing."""
        from prunebench.results import export

        return export.frame(self.rows)

    def select(
        self, *, tasks: str | Iterable[str] = (), strategies: str | Iterable[str] = (), **setting: str
    ) -> Results:
        """The rows of these tasks and strategies, with dense beside them; `setting` may name a model, protocol, …"""
        selection = Selection(_names(tasks), _names(strategies), **setting)
        return Results(select(self.rows, selection), self.source, self.registry, self.run)

    def leaderboard(
        self,
        *,
        rank_by: str = "retained",
        delta: float = 1.0,
        interval: str = "t",
        published: str = "",
        mixed: bool = False,
    ) -> Leaderboard:
        """Methods ranked by what they retain of dense (or by `score` or `rank`), with all tables.

        `delta` are the points that a non-inferior method may lose, `interval` is "t" or "bootstrap", `published` names
        papers whose tables are shown as reported. `mixed` allows different settings on one page.
        """
        from prunebench.reports.leaderboard import build, parse_options
        from prunebench.reports.views import Leaderboard

        return Leaderboard(build(self.rows, parse_options(rank_by, delta, published, interval), mixed=mixed))

    def compare(
        self,
        *methods: str,
        reference: str | None = None,
        sparsities: Iterable[float] = (),
        interval: str = "t",
        mcnemar: bool = False,
        glue_dir: str | None = None,
        mixed: bool = False,
    ) -> Comparison:
        """Paired differences of methods with intervals, effect sizes and corrected p, seed by seed and over tasks."""
        from prunebench.reports.comparison import INTERVALS, build
        from prunebench.reports.views import Comparison

        if interval not in INTERVALS:
            raise unknown_name("interval", interval, INTERVALS)
        report = build(self.rows, methods, reference, tuple(sparsities), interval=interval, mixed=mixed)
        if mcnemar:
            from prunebench.reports.comparison.predictions import add_example_comparisons

            report = add_example_comparisons(report, self.source, self.registry, glue_dir)
        return Comparison(report)

    def plot(self, task: str | None = None, metric: str | None = None, track: str | None = None) -> Axes:
        """Score against sparsity with bands of one standard deviation and every seed, as matplotlib axes."""
        from prunebench.reports.views import plot

        return plot(self.rows, task, metric, track)


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
    retry_failed: bool = False,
    checkpoint_minutes: float | None = None,
    keep_models: bool = False,
    progress: bool | Console = True,
    command: str = "",
    **options: Any,
) -> Results:
    """Run everything that the store lacks of a suite, or of what the options name, and return its results.

    `suite` is a name or a TOML file, by default `quick`. `strategies` are names as on the command line, or classes and
    instances, which may be defined in a notebook. `options` are those of `prunebench run` (`tasks`, `sparsities`,
    `seeds`, `model`, `glue_dir`, `epochs`, …) with the same names and checks. `resources` say where jobs run.
    `progress=False` is silent. Raises PrunebenchError, in one line, for whatever the caller can mend.
    """
    console = progress if isinstance(progress, Console) else Console(quiet=not progress, stderr=True)
    names, files = _strategies(strategies)
    registry = Registry([*plugins, *files])
    resources = resources or Resources()
    executor_spec(resources, registry)
    Store.view(store)
    resolved = suites.resolve(suite, {**options, "strategies": names}, registry)
    if resolved.doc:
        console.say(f"Suite {resolved.name}: {resolved.doc}")
    plan = experiment.plan(resolved, registry)
    keep = {cell.leaf for cell in plan.cells} if keep_models else ()
    run_options = RunOptions(
        str(store), resources, retry_failed, checkpoint_minutes, command or _command(suite, names, options)
    )
    result = execute(plan, resolved, registry, run_options, console, RUN, keep)
    rows = stored_rows([StoredPlan(cells=result.cells)], result.store)
    return Results(rows, result.store, registry, result)


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
    names, files = _strategies(strategies)
    registry = Registry([*plugins, *files])
    resources = resources or Resources()
    executor_spec(resources, registry)
    resolved = suites.resolve(suite, {**options, "strategies": names}, registry)
    recorder = console or Recorder()
    if resolved.doc:
        recorder.say(f"Suite {resolved.name}: {resolved.doc}")
    made = experiment.plan(resolved, registry)
    keep = {cell.leaf for cell in made.cells} if keep_models else ()
    run_options = RunOptions(str(store), resources, retry_failed)
    is_left = preview(made, resolved, registry, run_options, recorder, keep)
    return Preview(made, "\n".join(recorder.lines) if isinstance(recorder, Recorder) else "", is_left)


class Recorder(Console):
    """Keeps what a console would print."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "lines", [])

    lines: list[str]

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = say


def load(
    source: str | Path | Bundle = STORE,
    suite: str | None = None,
    *,
    everything: bool = False,
    plugins: Sequence[str | Path] = (),
) -> Results:
    """The results of a store or of a bundle (a zip file).

    Of a store those of the last run, of all runs of `suite`, or `everything`; of a bundle all, or those of `suite`.
    """
    opened = source if isinstance(source, Bundle) else _open(source)
    plans = choose_plans(opened.plans(), suite, everything or isinstance(opened, Bundle))
    with without_collection():
        return Results(stored_rows(plans, opened), opened, Registry(plugins))


def _open(source: str | Path) -> Store | Bundle:
    path = Path(source)
    return open_bundle(path) if path.suffix == ".zip" and not path.is_dir() else Store.open(source)


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


def _command(suite: str | None, names: Any, options: dict[str, Any]) -> str:
    """The call as text, which pages show."""
    words = [repr(suite)] if suite else []
    words += [f"strategies={names!r}"] if names is not None else []
    words += [f"{name}={value!r}" for name, value in options.items() if value is not None]
    return f"prunebench.run({', '.join(words)})"


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    from prunebench.recipes.options import split_list

    return tuple(split_list(value)) if isinstance(value, str) else tuple(value)
