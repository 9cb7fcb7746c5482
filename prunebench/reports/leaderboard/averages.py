"""Averages over the tasks of a benchmark: within each task first, then over tasks, for each seed.

GLUE has two averages, with and without WNLI, because papers report either.

An example: for one seed a method has accuracy 0.83 and F1 0.88 on MRPC, and accuracy 0.61 on RTE. The average is
((0.83 + 0.88)/2 + 0.61)/2 = 0.7325, not the mean of the three numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prunebench.reports.leaderboard.report import Line, Section, Track
from prunebench.reports.leaderboard.task_section import make_level, make_score
from prunebench.reports.render.formatting import level, listing, seeds
from prunebench.results.rows import Row

GLUE = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli")


def task_order(task: str) -> tuple[int, str]:
    """Sort key: GLUE's tasks in the order of the GLUE paper, then all others by name."""
    return (GLUE.index(task) if task in GLUE else len(GLUE), task)


def rows_by_task(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each task, in the order in which tasks are printed."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.cell.task, []).append(row)
    return {task: grouped[task] for task in sorted(grouped, key=task_order)}


def benchmark_groups(sections: Sequence[Section]) -> list[tuple[str, list[Section]]]:
    """The sections of each benchmark, by its name. WNLI's benchmark appears twice, with and without it.

    A task without a benchmark is a group of its own.
    """
    by_benchmark: dict[tuple[str, str], list[Section]] = {}
    for section in sections:
        task = "" if section.benchmark else section.name
        by_benchmark.setdefault((section.benchmark, task), []).append(section)
    groups = []
    for (benchmark, _), group in by_benchmark.items():
        without = [section for section in group if section.name != "wnli"]
        groups += [(benchmark, each) for each in ([group, without] if 0 < len(without) < len(group) else [group])]
    return groups


def average_sections(sections: Sequence[Section]) -> tuple[Section, ...]:
    """The averages of each benchmark: none for a single task, two if WNLI is one of several."""
    return tuple(_average(benchmark, group) for benchmark, group in benchmark_groups(sections) if len(group) > 1)


def _average(benchmark: str, sections: Sequence[Section]) -> Section:
    names = [section.name for section in sections]
    every = {seed for section in sections for seed in section.seeds}
    dense = _line("dense", {section.name: section.dense for section in sections}, names, every)
    expected = {seed for line in _lines(sections) for seed in line.scores[0].values.keys() | line.incomplete}
    tracks = list(dict.fromkeys(track.name for section in sections for track in section.tracks))
    majorities = [_mean(section.majority) for section in sections]
    averages = [_track(name, sections, names, expected) for name in tracks]
    excluded = sorted({sparsity for _, sparsities in averages for sparsity in sparsities})
    return Section(
        name="average",
        title=average_title(benchmark, sections),
        about=_about(names, excluded),
        columns=("average",),
        seeds=tuple(sorted(every)),
        dense=dense,
        majority=(_mean(majorities),),
        tracks=tuple(track for track, _ in averages if track.levels),
        benchmark=benchmark,
        split=_splits(sections),
        references=tuple(_references(sections, names, expected)),
    )


def _references(sections: Sequence[Section], names: Sequence[str], expected: set[int]) -> Iterator[Line]:
    """The averages of the dense runs of equal training that every task has."""
    by_task = {section.name: {line.label: line for line in section.references} for section in sections}
    for line in sections[0].references:
        if all(line.label in lines for lines in by_task.values()):
            yield _line(line.label, {name: lines[line.label] for name, lines in by_task.items()}, names, expected)


def average_title(benchmark: str, sections: Sequence[Section]) -> str:
    """The title of the average over these tasks of a benchmark."""
    names = {section.name for section in sections}
    if names == set(GLUE):
        title = "GLUE average, 9 tasks"
    elif names == set(GLUE) - {"wnli"}:
        title = "GLUE average without WNLI, 8 tasks"
    else:
        title = f"Average of {len(names)} {benchmark} tasks"
    return f"{title} ({_splits(sections)})"


def _splits(sections: Sequence[Section]) -> str:
    return listing(sorted({section.split for section in sections}))


def _about(names: Sequence[str], excluded: Sequence[float]) -> tuple[str, ...]:
    about = (
        "For each seed, the mean over the metrics and evaluations of each task first, then over the tasks. "
        f"The tasks are {listing(names)}."
    )
    if not excluded:
        return (about,)
    return (
        about,
        f"There is no average at sparsity {listing(map(level, excluded))}: not every task was planned there.",
    )


def _track(
    name: str, sections: Sequence[Section], names: Sequence[str], expected: set[int]
) -> tuple[Track, list[float]]:
    """The track of an average, and the sparsities excluded from it because some task was never planned there."""
    lines: dict[float, dict[str, dict[str, Line]]] = {}
    planned: dict[float, set[str]] = {}
    for section in sections:
        for entry in (entry for track in section.tracks if track.name == name for entry in track.levels):
            planned.setdefault(entry.sparsity, set()).add(section.name)
            for line in entry.lines:
                lines.setdefault(entry.sparsity, {}).setdefault(line.label, {})[section.name] = line
    shared = [sparsity for sparsity in sorted(planned) if len(planned[sparsity]) == len(names)]
    levels = tuple(
        make_level(
            sparsity,
            [_line(label, lines_by_task, names, expected) for label, lines_by_task in lines.get(sparsity, {}).items()],
        )
        for sparsity in shared
    )
    return Track(name, (), levels, unsupported=_unsupported(sections, name)), sorted(set(planned) - set(shared))


def _unsupported(sections: Sequence[Section], name: str) -> dict[str, dict[float, str]]:
    """The levels that the methods of a track do not have on any task; tasks may have been run at different levels."""
    reasons: dict[str, dict[float, str]] = {}
    for track in (track for section in sections for track in section.tracks if track.name == name):
        for label, by_level in track.unsupported.items():
            reasons.setdefault(label, {}).update(by_level)
    return reasons


def _line(label: str, lines_by_task: Mapping[str, Line], names: Sequence[str], expected: set[int]) -> Line:
    """The average of a method's lines. A seed counts if every task has all its values."""
    values: dict[int, float] = {}
    dense: dict[int, float] = {}
    equal: dict[int, float] = {}
    missing: dict[str, set[int]] = {name: set() for name in names}
    for seed in expected:
        means = {name: _seed_mean(lines_by_task.get(name), "values", seed) for name in names}
        for name in names:
            if means[name] is None:
                missing[name].add(seed)
        mean = _mean(tuple(means.values()))
        if mean is not None:
            values[seed] = mean
        for runs, references in (("dense", dense), ("equal", equal)):
            reference = _mean([_seed_mean(lines_by_task.get(name), runs, seed) for name in names])
            if reference is not None:
                references[seed] = reference
    gaps = [
        f"missing {name}" if len(numbers) == len(expected) else f"missing {name} {seeds(numbers)}"
        for name, numbers in missing.items()
        if numbers
    ]
    checks = [f"check failed on {name}" for name, line in lines_by_task.items() if line.gaps and not missing[name]]
    incomplete = frozenset(seed for numbers in missing.values() for seed in numbers)
    degenerate = {seed for line in lines_by_task.values() for entry in line.scores for seed in entry.degenerate}
    average = make_score(values, dense, equal, frozenset(degenerate & values.keys()))
    return Line(label, (average,), (*gaps, *checks), (), incomplete)


def _lines(sections: Sequence[Section]) -> Iterator[Line]:
    return (line for section in sections for track in section.tracks for entry in track.levels for line in entry.lines)


def _seed_mean(line: Line | None, runs: str, seed: int) -> float | None:
    """The mean over a task's metrics and evaluations for one seed, or None unless all of them are there.

    `runs` is "values" for the method's own scores, "dense" or "equal" for those of dense runs.
    """
    if line is None:
        return None
    return _mean(tuple(getattr(score, runs).get(seed) for score in line.scores))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(values) if len(known) == len(values) else None
