"""From rows to a comparison: which scores stand against which. Imports `model`, `setting` and below."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from prunebench.errors import PrunebenchError, unknown
from prunebench.reports.comparison.report import Across, Measured, Place, Ranked, Report
from prunebench.reports.comparison.setting import setting
from prunebench.reports.leaderboard.average import by_task, task_order
from prunebench.reports.leaderboard.section import METRICS
from prunebench.reports.render.numbers import level, listing, seeds
from prunebench.results.filters import allow_mixed, nothing, one_setting, warnings
from prunebench.results.rows import Row, order
from prunebench.results.statistics.comparison import Comparison, compare, family
from prunebench.results.statistics.ranks import rank
from prunebench.results.statistics.summary import BOOTSTRAP, T, bootstrap, summarise

Column = tuple[str, str]
Pair = tuple[str, str]


class Scores:
    """The rows that are done by method, task, sparsity, (evaluation, metric) and seed.

    Dense runs have no sparsity: they stand against every sparsity of another method. `only` restricts sparsities.
    """

    def __init__(self, rows: Iterable[Row], only: Collection[float] = ()) -> None:
        self._rows: dict[str, dict[str, dict[float, dict[Column, dict[int, Row]]]]] = {}
        self._dense: set[str] = set()
        self._splits: dict[str, set[str]] = {}
        for row in rows:
            cell = row.cell
            by_task = self._rows.setdefault(cell.label, {})
            if cell.is_dense:
                self._dense.add(cell.label)
            elif only and cell.sparsity not in only:
                continue
            if row.status == "done":
                self._splits.setdefault(cell.task, set()).add(cell.split)
                columns = by_task.setdefault(cell.task, {}).setdefault(cell.sparsity, {})
                columns.setdefault((row.evaluation, row.metric), {})[cell.seed] = row
        self.tasks = sorted({task for by_task in self._rows.values() for task in by_task}, key=task_order)

    def at(self, label: str, task: str, sparsity: float) -> Mapping[Column, Mapping[int, Row]]:
        """The rows of a method there, by column and seed."""
        return self._rows[label].get(task, {}).get(0.0 if label in self._dense else sparsity, {})

    def splits(self, tasks: Iterable[str]) -> tuple[str, ...]:
        """What the scores of these tasks are of: dev, or test."""
        return tuple(sorted({split for task in tasks for split in self._splits[task]}))

    def levels(self, labels: Iterable[str], task: str) -> list[float]:
        """The sparsities that all these methods have on a task."""
        found = [set(self._rows[label].get(task, {})) for label in labels if label not in self._dense]
        return sorted(set.intersection(*found)) if found else []

    def task_means(self, labels: Sequence[str], sparsity: float) -> dict[str, dict[str, float]]:
        """By task and method the mean over metrics and evaluations, then over the seeds that all have in full."""
        means = {}
        for task in self.tasks:
            found = [self.at(label, task, sparsity) for label in labels]
            columns = {column for by_column in found for column in by_column}
            have = [set(by_column.get(column, {})) for by_column in found for column in columns]
            both = sorted(set.intersection(*have)) if have else []
            if both:
                means[task] = {
                    label: _mean(_mean(_value(by_column[column][seed]) for column in columns) for seed in both)
                    for label, by_column in zip(labels, found, strict=True)
                }
        return means


def _mean(values: Iterable[float]) -> float:
    return summarise(values).mean


def build(
    rows: Sequence[Row],
    methods: Sequence[str],
    reference: str | None = None,
    sparsities: Sequence[float] = (),
    *,
    interval: str = T,
    mixed: bool = False,
) -> Report:
    """The comparison of every two of `methods`, and of each with `reference`; `sparsities` restricts it.

    `interval` is T, or BOOTSTRAP for intervals over seeds that take no shape of their distribution for granted.
    An error where a name fits nothing, where settings do not mix, and where there is nothing that can be compared.
    With `mixed` settings and units do mix, and the report says so.
    """
    every, kept, said = _chosen(rows, [*methods, *([reference] if reference else [])], mixed)
    labels, base = every[: len(methods)], every[len(methods) :]
    pairs = [*itertools.combinations(labels, 2), *itertools.product(labels, base)]
    _check_levels(kept, sparsities)
    scores = Scores(kept, sparsities)
    met = list(_measured(scores, pairs))
    measured = [found for found in met if found.comparison.n and not _same_trainings(found)]
    if not measured:
        raise _nothing_shared(kept)
    corrected = family([INTERVALS[interval](found.comparison) for found in measured])
    return Report(
        interval=interval,
        methods=tuple(labels),
        reference=base[0] if base else None,
        setting=tuple(setting(kept)),
        warnings=(*said, *warnings(by_task(kept)), *_doubts(measured)),
        notes=tuple(dict.fromkeys(_left_out(met))),
        measured=tuple(replace(one, comparison=made) for one, made in zip(measured, corrected, strict=True)),
        across=_across(scores, {(found.a, found.b, found.place.sparsity): None for found in measured}),
        ranked=tuple(_ranked(scores, every)) if len(every) > 2 else (),
    )


def _chosen(rows: Sequence[Row], asked: Sequence[str], mixed: bool) -> tuple[list[str], list[Row], tuple[str, ...]]:
    """The labels that are asked for, their rows in order, and what is mixed in these."""
    found = [row for row in rows if {row.cell.label, row.cell.strategy} & {_plain(text) for text in asked}]
    left, said = allow_mixed(found) if mixed else (one_setting(found), ())
    labels = [_label(left, text, rows) for text in asked]
    if len(set(labels)) < max(2, len(labels)):
        raise PrunebenchError(f"there are not two methods in {listing(map(repr, asked))}", "name two or more")
    kept = sorted((row for row in left if row.cell.label in labels), key=order)
    if not any(row.status == "done" for row in kept):
        raise nothing(kept)
    return labels, kept, said + _units(kept, mixed)


def _bootstrapped(made: Comparison) -> Comparison:
    return made if made.interval is None else replace(made, interval=bootstrap(made.differences))


INTERVALS: dict[str, Callable[[Comparison], Comparison]] = {T: lambda made: made, BOOTSTRAP: _bootstrapped}


def _plain(text: str) -> str:
    """The name without what `allow_mixed` adds to it."""
    return text.partition(" {")[0]


def _label(rows: Iterable[Row], text: str, every: Iterable[Row]) -> str:
    """The label that `text` names: itself, or that of the only method of that strategy."""
    labels = {row.cell.label: row.cell.strategy for row in rows}
    if text in labels:
        return text
    found = sorted(label for label, strategy in labels.items() if strategy == text)
    if len(found) == 1:
        return found[0]
    if found:
        raise PrunebenchError(f"{text!r} may be {' or '.join(map(repr, found))}", "name one of them")
    known = {row.cell.label for row in every} | labels.keys()
    raise unknown("strategy", text, known, "only what has results in the store can be compared")


def _units(rows: Sequence[Row], mixed: bool) -> tuple[str, ...]:
    """What to say where methods remove different units; an error unless that is meant."""
    units: dict[str, list[str]] = {}
    for label, unit in sorted({(row.cell.label, row.cell.unit) for row in rows if not row.cell.is_dense}):
        units.setdefault(unit, []).append(label)
    if len(units) < 2:
        return ()
    text = "; ".join(f"{listing(labels)} of {unit}s" for unit, labels in units.items())
    said = f"sparsities are fractions of different units: {text}"
    if not mixed:
        raise PrunebenchError(said, "compare methods of one unit, or say --allow-mixed")
    return (f"Mixed: {said}.",)


def _check_levels(rows: Iterable[Row], wanted: Iterable[float]) -> None:
    known = {row.cell.sparsity for row in rows if not row.cell.is_dense}
    for sparsity in sorted(set(wanted) - known):
        raise PrunebenchError(
            f"no results at sparsity {level(sparsity)}", f"there are {listing(map(level, sorted(known)))}"
        )


def _measured(scores: Scores, pairs: Iterable[Pair]) -> Iterator[Measured]:
    for (a, b), task in itertools.product(pairs, scores.tasks):
        for sparsity in scores.levels((a, b), task):
            of_a, of_b = scores.at(a, task, sparsity), scores.at(b, task, sparsity)
            for column in dict.fromkeys((*of_a, *of_b)):
                yield _one(a, b, sparsity, of_a.get(column, {}), of_b.get(column, {}))


def _one(a: str, b: str, sparsity: float, of_a: Mapping[int, Row], of_b: Mapping[int, Row]) -> Measured:
    first = next(iter((*of_a.values(), *of_b.values())))
    cell = first.cell
    place = Place(cell.task, cell.benchmark, first.split, first.evaluation, first.metric, sparsity)
    both = sorted(of_a.keys() & of_b.keys())
    values_a, values_b = ({seed: _value(found[seed]) for seed in both} for found in (of_a, of_b))
    return Measured(
        a,
        b,
        place,
        mean_a=summarise(values_a.values()).mean if both else math.nan,
        mean_b=summarise(values_b.values()).mean if both else math.nan,
        comparison=compare(values_a, values_b),
        left_out=tuple(sorted(of_a.keys() ^ of_b.keys())),
        pairs=tuple((of_a[seed], of_b[seed]) for seed in both),
    )


def _value(row: Row) -> float:
    assert row.value is not None
    return row.value


def _same_trainings(found: Measured) -> bool:
    return all(a.cell.key == b.cell.key for a, b in found.pairs)


def _across(scores: Scores, wanted: Iterable[tuple[str, str, float]]) -> tuple[Across, ...]:
    """Over the means of tasks, at each sparsity that more than one task has; corrected as a family of its own."""
    met = []
    for a, b, sparsity in wanted:
        means = scores.task_means((a, b), sparsity)
        if len(means) > 1:
            of_a, of_b = ({task: found[label] for task, found in means.items()} for label in (a, b))
            met.append(Across(a, b, scores.splits(means), sparsity, compare(of_a, of_b)))
    corrected = family([found.comparison for found in met])
    return tuple(replace(found, comparison=comparison) for found, comparison in zip(met, corrected, strict=True))


def _ranked(scores: Scores, labels: Sequence[str]) -> Iterator[Ranked]:
    for sparsity in sorted({sparsity for task in scores.tasks for sparsity in scores.levels(labels, task)}):
        means = scores.task_means(labels, sparsity)
        if len(means) > 1:
            by_label = {label: {task: means[task][label] for task in means} for label in labels}
            yield Ranked(scores.splits(means), sparsity, rank(by_label))


def _left_out(met: Iterable[Measured]) -> Iterator[str]:
    """What is not compared, or not with all seeds, and why."""
    same: dict[tuple[str, str, float], None] = {}
    for found in met:
        where = f"{found.place.task} at {level(found.place.sparsity)}"
        if not found.comparison.n:
            yield f"{found.a} and {found.b} share no seed on {where}."
        elif _same_trainings(found):
            same[found.a, found.b, found.place.sparsity] = None
        elif found.left_out:
            yield f"{found.a} and {found.b} on {where}: only one of them has {seeds(found.left_out)}."
    for a, b, sparsity in same:
        yield f"At {level(sparsity)} {a} and {b} are the same trainings: there is nothing to compare."


def _doubts(measured: Iterable[Measured]) -> Iterator[str]:
    """A sentence for each failed check, and for each metric that is undefined for some run."""
    rows = [row for found in measured for pair in found.pairs for row in pair]
    for row in {row.cell.key: row for row in rows if row.outcome and row.outcome.failed_checks}.values():
        assert row.outcome is not None
        where = f"{row.cell.task} at {level(row.cell.sparsity)}, seed {row.cell.seed}"
        yield f"{row.cell.label} failed the check {listing(row.outcome.failed_checks)} on {where}."
    undefined: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if row.degenerate:
            undefined.setdefault((row.cell.task, row.metric), {})[row.cell.label] = None
    for (task, metric), labels in undefined.items():
        what = f"On {task} {METRICS.get(metric, metric)} is undefined for some runs of {listing(labels)}"
        yield f"{what} (one class for all, say) and counts as 0 there."


def _nothing_shared(rows: Iterable[Row]) -> PrunebenchError:
    levels: dict[str, set[float]] = {}
    for row in rows:
        if row.status == "done":
            levels.setdefault(row.cell.label, set()).add(row.cell.sparsity)
    found = "; ".join(f"{label} at {listing(map(level, sorted(levels[label])))}" for label in sorted(levels))
    return PrunebenchError(f"nothing can be compared: {found}", "expected a task, sparsity and seed that both have")
