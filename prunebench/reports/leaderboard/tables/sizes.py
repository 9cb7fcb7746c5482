"""The sizes of the pruned models, the costs of the methods, and how fast the models predict."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from statistics import median

from prunebench.reports.leaderboard.report import Line, Section, Track
from prunebench.reports.leaderboard.tables.scores import table_title
from prunebench.reports.render.blocks import Table
from prunebench.reports.render.formatting import DASH, count, level, percent, value_range


def size_table(section: Section, track: Track) -> Table:
    """Size, cost and speed: a row for each sparsity and method."""
    by_label = attrgetter("label")
    lines = [(entry.sparsity, line) for entry in track.levels for line in sorted(entry.lines, key=by_label)]
    return Table(
        title=table_title(section, track, "size and cost"),
        headers=("sparsity", "method", "removed", "encoder", "parameters left", "trainings", "steps", "speed"),
        aligns="rlrrrrrr",
        body=tuple(
            (level(sparsity), line.label, *_sizes(line), _speed(section.dense, line))
            for sparsity, line in [*((0.0, line) for line in (section.dense, *section.references)), *lines]
        ),
        rule=1 + len(section.references),
    )


def _sizes(line: Line) -> Iterator[str]:
    outcomes = line.outcomes
    yield value_range((outcome.realised for outcome in outcomes), percent)
    before = value_range((outcome.encoder_before for outcome in outcomes), percent)
    after = value_range((outcome.encoder_after for outcome in outcomes), percent)
    yield f"{before} → {after}" if outcomes else DASH
    left = value_range((outcome.parameters_left for outcome in outcomes), count)
    share = value_range((outcome.parameters_left / outcome.parameters_total for outcome in outcomes), percent)
    yield f"{left} ({share})" if outcomes else DASH
    for amount in ("trainings", "steps"):
        find = value_range((getattr(outcome.find, amount) for outcome in outcomes), count)
        train = value_range((getattr(outcome.train, amount) for outcome in outcomes), count)
        yield f"{find} + {train}" if outcomes else DASH


def _speed(dense: Line, line: Line) -> str:
    """`1.43 × (446/s)`: the median of examples per second, as a multiple of the dense model's.

    A dash if either was not measured, or if the two ran on several kinds of hardware or numbers of threads.
    """
    rates = [[outcome.speed for outcome in each.outcomes if outcome.speed is not None] for each in (dense, line)]
    machines = {
        (outcome.environment.get("hardware"), outcome.environment.get("threads"))
        for outcome in (*dense.outcomes, *line.outcomes)
    }
    if not all(rates) or len(machines) > 1:
        return DASH
    of_dense, own = map(median, rates)
    return f"{own / of_dense:.2f} × ({own:,.0f}/s)"
