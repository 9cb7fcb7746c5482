"""Averages over the tasks of a benchmark: inside a task first, then over tasks, seed by seed. Imports `section`.

GLUE has two, with and without WNLI.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from prunebench.reports.leaderboard.model import Line, Section, Track
from prunebench.reports.leaderboard.section import ranked, score
from prunebench.reports.render.formatting import level, listing, seeds
from prunebench.results.rows import Row

GLUE = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli")


def task_order(task: str) -> tuple[int, str]:
    """GLUE's tasks in the order of the GLUE paper, then the others by name."""
    return (GLUE.index(task) if task in GLUE else len(GLUE), task)


def by_task(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of every task, in the order that tasks are printed in."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.cell.task, []).append(row)
    return {task: found[task] for task in sorted(found, key=task_order)}


def groups(sections: Sequence[Section]) -> list[tuple[str, list[Section]]]:
    """The sections of each benchmark, with and without WNLI where it is among them; one alone where it has none."""
    by_benchmark: dict[tuple[str, str], list[Section]] = {}
    for section in sections:
        alone = "" if section.benchmark else section.name
        by_benchmark.setdefault((section.benchmark, alone), []).append(section)
    found = []
    for (benchmark, _), group in by_benchmark.items():
        without = [section for section in group if section.name != "wnli"]
        found += [(benchmark, each) for each in ([group, without] if 0 < len(without) < len(group) else [group])]
    return found


def averages(sections: Sequence[Section]) -> tuple[Section, ...]:
    """The averages over the tasks of each benchmark: none for a single task, two where WNLI is among them."""
    return tuple(_average(benchmark, group) for benchmark, group in groups(sections) if len(group) > 1)


def _average(benchmark: str, sections: Sequence[Section]) -> Section:
    names = [section.name for section in sections]
    every = {seed for section in sections for seed in section.seeds}
    dense = _line("dense", {section.name: section.dense for section in sections}, names, every)
    expected = {seed for line in _lines(sections) for seed in line.scores[0].values.keys() | line.absent}
    tracks = list(dict.fromkeys(track.name for section in sections for track in section.tracks))
    majorities = [_mean(section.majority) for section in sections]
    found = [_track(name, sections, names, expected) for name in tracks]
    lost = sorted({sparsity for _, sparsities in found for sparsity in sparsities})
    return Section(
        name="average",
        title=title(benchmark, sections),
        about=_about(names, lost),
        columns=("average",),
        seeds=tuple(sorted(every)),
        dense=dense,
        majority=(_mean(majorities),),
        tracks=tuple(track for track, _ in found if track.levels),
        benchmark=benchmark,
        split=_splits(sections),
    )


def title(benchmark: str, sections: Sequence[Section]) -> str:
    """What the average over these tasks of a benchmark is called."""
    names = {section.name for section in sections}
    if names == set(GLUE):
        what = "GLUE average, 9 tasks"
    elif names == set(GLUE) - {"wnli"}:
        what = "GLUE average without WNLI, 8 tasks"
    else:
        what = f"Average of {len(names)} {benchmark} tasks"
    return f"{what} ({_splits(sections)})"


def _splits(sections: Sequence[Section]) -> str:
    return listing(sorted({section.split for section in sections}))


def _about(names: Sequence[str], lost: Sequence[float]) -> tuple[str, ...]:
    about = (
        "Mean over the metrics and evaluations of a task first, then over the tasks, for every seed. "
        f"The tasks are {listing(names)}."
    )
    if not lost:
        return (about,)
    return (about, f"Not every task was planned at sparsity {listing(map(level, lost))}, so there is no average.")


def _track(
    name: str, sections: Sequence[Section], names: Sequence[str], expected: set[int]
) -> tuple[Track, list[float]]:
    """The average's track, and the sparsities that it cannot have because a task was never planned there."""
    lines: dict[float, dict[str, dict[str, Line]]] = {}
    planned: dict[float, set[str]] = {}
    for section in sections:
        for found in (entry for track in section.tracks if track.name == name for entry in track.levels):
            planned.setdefault(found.sparsity, set()).add(section.name)
            for line in found.lines:
                lines.setdefault(found.sparsity, {}).setdefault(line.label, {})[section.name] = line
    shared = [sparsity for sparsity in sorted(planned) if len(planned[sparsity]) == len(names)]
    levels = tuple(
        ranked(
            sparsity,
            [_line(label, by_task, names, expected) for label, by_task in lines.get(sparsity, {}).items()],
        )
        for sparsity in shared
    )
    return Track(name, (), levels), sorted(set(planned) - set(shared))


def _line(label: str, by_task: Mapping[str, Line], names: Sequence[str], expected: set[int]) -> Line:
    values, dense = {}, {}
    gaps: dict[str, set[int]] = {name: set() for name in names}
    for seed in expected:
        means = {name: _at(by_task[name], "values", seed) if name in by_task else None for name in names}
        for name in names:
            if means[name] is None:
                gaps[name].add(seed)
        mean = _mean(tuple(means.values()))
        if mean is not None:
            values[seed] = mean
        reference = _mean([_at(by_task[name], "dense", seed) if name in by_task else None for name in names])
        if reference is not None:
            dense[seed] = reference
    said = [
        f"missing {name}" if len(lacking) == len(expected) else f"missing {name} {seeds(lacking)}"
        for name, lacking in gaps.items()
        if lacking
    ]
    checks = [f"check failed on {name}" for name, line in by_task.items() if line.gaps and not gaps[name]]
    absent = frozenset(seed for lacking in gaps.values() for seed in lacking)
    degenerate = {seed for line in by_task.values() for entry in line.scores for seed in entry.degenerate}
    average = score(values, dense, frozenset(degenerate & values.keys()))
    return Line(label, (average,), (*said, *checks), (), absent)


def _lines(sections: Sequence[Section]) -> Iterator[Line]:
    return (line for section in sections for track in section.tracks for found in track.levels for line in found.lines)


def _at(line: Line, which: Literal["values", "dense"], seed: int) -> float | None:
    """The mean over a task's metrics and evaluations of its own or of the dense runs, or None unless all are there."""
    return _mean(tuple(getattr(entry, which).get(seed) for entry in line.scores))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(values) if len(known) == len(values) else None
