"""Sentences on what a reader of some rows must be warned of: several environments, results that are left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prunebench.results.rows import Row
from prunebench.runtime.progress import plural


def environment(rows: Iterable[Row]) -> dict[str, list[str]]:
    """For each entry of the records' environments (hardware, versions of libraries) all its values."""
    values: dict[str, set[str]] = defaultdict(set)
    for outcome in {id(row.outcome): row.outcome for row in rows}.values():
        for name, value in (outcome.environment if outcome else {}).items():
            values[name].add(value)
    return {name: sorted(each) for name, each in values.items()}


def warnings(by_task: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """A sentence for each difference of environments within a task, and for each method with results left out.

    Scores from two machines may share a ranking, with this warning, because hardware moves them less than a seed does.
    Seconds from two machines are not compared; see `leaderboard.retention`.
    """
    for task, rows in by_task.items():
        for name, values in sorted(environment(rows).items()):
            if len(values) > 1:
                yield f"The results of {task} were made with {len(values)} kinds of {name}: {'; '.join(values)}."
    yield from older_versions(row for rows in by_task.values() for row in rows)


def older_versions(rows: Iterable[Row]) -> Iterator[str]:
    """A sentence for each method with cells that are left out because they are of an older version."""
    versions: dict[str, dict[int, str]] = defaultdict(dict)
    for row in rows:
        if row.older_version:
            versions[row.cell.label][id(row.cell)] = row.older_version
    for label, by_cell in sorted(versions.items()):
        names = ", ".join(sorted(set(by_cell.values())))
        yield (
            f"{plural(len(by_cell), 'cell')} of {label} {'is' if len(by_cell) == 1 else 'are'} left out, made by an "
            f"older version of its source ({names}); --all-versions shows them as a method of their own."
        )
