"""Averages over the tasks of a benchmark: within each task first, then over tasks, for each seed.

GLUE has two averages, with and without WNLI, because papers report either.

An example: for one seed a method has accuracy 0.83 and F1 0.88 on MRPC, and accuracy 0.61 on RTE. The average is
((0.83 + 0.88)/2 + 0.61)/2 = 0.7325, not the mean of the three numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from prunebench.reports.leaderboard.crossed_scores import joint_examples, with_crossed
from prunebench.reports.leaderboard.report import Line, Section, Track
from prunebench.reports.leaderboard.score import Part, Score
from prunebench.reports.leaderboard.task_section import make_level
from prunebench.reports.render.formatting import level, listing, seeds
from prunebench.results.rows import Row
from prunebench.results.statistics import Summary, summarise
from prunebench.results.statistics.crossed import average, over_seeds

GLUE = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli")


# Values by task and seed.
ByTask = Mapping[str, Mapping[int, float]]


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
    values, dense, equal = (
        {name: _seed_means(lines_by_task.get(name), runs, expected) for name in names}
        for runs in ("values", "dense", "equal")
    )
    missing = {name: expected - values[name].keys() for name in names}
    gaps = [
        f"missing {name}" if len(numbers) == len(expected) else f"missing {name} {seeds(numbers)}"
        for name, numbers in missing.items()
        if numbers
    ]
    checks = [f"check failed on {name}" for name, line in lines_by_task.items() if line.gaps and not missing[name]]
    incomplete = frozenset(seed for numbers in missing.values() for seed in numbers)
    degenerate = {seed for line in lines_by_task.values() for entry in line.scores for seed in entry.degenerate}
    floors = {name: _floor(lines_by_task.get(name)) for name in names}
    means = over_tasks(values)
    score = Score(
        means,
        summarise_tasks(values),
        summarise_tasks(_differences(values, dense), floors),
        frozenset(degenerate & means.keys()),
        dense=over_tasks(dense),
        equal=over_tasks(equal),
        difference_equal=summarise_tasks(_differences(values, equal), floors),
        parts={name: _part(lines_by_task.get(name), values[name], floors[name]) for name in names},
        lowest=_lowest(lines_by_task.values()),
    )
    of_tasks = tuple(outcome for line in lines_by_task.values() for outcome in line.outcomes)
    return Line(label, (with_crossed(score),), (*gaps, *checks), (), incomplete, of_tasks=of_tasks)


def _part(line: Line | None, values: Mapping[int, float], floor: float) -> Part:
    return Part(values, floor, joint_examples(line.scores) if line else None)


def _lowest(lines: Iterable[Line]) -> float:
    """The least possible average."""
    means = [fmean(score.lowest for score in line.scores) for line in lines if line.scores]
    return fmean(means) if means else -math.inf


def over_tasks(by_task: ByTask) -> dict[int, float]:
    """The mean over the tasks for each seed that all of them have."""
    common = set.intersection(*map(set, by_task.values())) if by_task else set()
    return {seed: math.fsum(values[seed] for values in by_task.values()) / len(by_task) for seed in sorted(common)}


def summarise_tasks(by_task: ByTask, floors: Mapping[str, float] | None = None) -> Summary | None:
    """The summary of an average over tasks, over the seeds that all of them have.

    Its spread and its interval are those of the mean of independent tasks. The spread of the averages by seed would be
    that of chance pairs: seed 0 of one task has nothing in common with seed 0 of another but its number.
    """
    means = over_tasks(by_task)
    if not means:
        return None
    summary = summarise(means.values())
    numbers = {task: [values[seed] for seed in means] for task, values in by_task.items()}
    estimates = [over_seeds(each, (floors or {}).get(task, 0.0)) for task, each in numbers.items()]
    known = [estimate for estimate in estimates if estimate is not None]
    if len(known) < max(2, len(estimates)):
        return summary
    deviations = [summarise(each).std or 0.0 for each in numbers.values()]
    return replace(summary, std=math.hypot(*deviations) / len(deviations), bounds=average(known).interval())


def _differences(values: ByTask, reference: ByTask) -> dict[str, dict[int, float]]:
    """value − reference for each task, over the seeds that every task has of both."""
    common = over_tasks(values).keys() & over_tasks(reference).keys()
    return {task: {seed: values[task][seed] - reference[task][seed] for seed in sorted(common)} for task in values}


def _floor(line: Line | None) -> float:
    """The floor of a difference of a task's scores, which are means over its metrics."""
    floors = [score.floor for score in line.scores] if line else []
    return math.fsum(floors) / len(floors) if floors else 0.0


def _lines(sections: Sequence[Section]) -> Iterator[Line]:
    return (line for section in sections for track in section.tracks for entry in track.levels for line in entry.lines)


def _seed_means(line: Line | None, runs: str, expected: set[int]) -> dict[int, float]:
    """The mean over a task's metrics and evaluations for each of these seeds that has all of them.

    `runs` is "values" for the method's own scores, "dense" or "equal" for those of dense runs.
    """
    if line is None:
        return {}
    means = {seed: _mean([getattr(score, runs).get(seed) for score in line.scores]) for seed in sorted(expected)}
    return {seed: mean for seed, mean in means.items() if mean is not None}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(values) if len(known) == len(values) else None
