"""The sizes of the pruned models, the costs of the methods, and how fast the models predict."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.reports.leaderboard.report import Line, Section, Track
from prunebench.reports.leaderboard.speed import measured_speed, relative_speed
from prunebench.reports.leaderboard.tables.scores import in_ranking_order, table_title
from prunebench.reports.render.blocks import Table
from prunebench.reports.render.formatting import DASH, count, level, percent, value_range

# About the columns of FLOPs, which pages of earlier versions lack.
FLOPS = (
    "FLOPs are those of one forward pass of {} tokens, two for each multiply-add, as a share of the dense model's and "
    "in G (billions). Pruned weights save FLOPs only if they are skipped. Heads and neurons also save some if they "
    "leave the model. Zeros skipped is what would be left if everything that is pruned were skipped."
)
# About the column of the methods' own time, which pages of earlier versions lack.
OWN_SECONDS = (
    "Own seconds is what the method's own code took from the pre-trained weights on: its scores, masks and callbacks."
)


def size_table(section: Section, track: Track) -> Table:
    """Size, FLOPs, cost and speed: a row for each sparsity and method.

    FLOPs and own seconds are left out where no record has them.
    """
    labels = in_ranking_order(track, {line.label for entry in track.levels for line in entry.lines})
    lines = [
        (entry.sparsity, line)
        for entry in track.levels
        for line in sorted(entry.lines, key=lambda line: labels.index(line.label))
    ]
    rows = [*((0.0, line) for line in (section.dense, *section.references)), *lines]
    lengths = [outcome.flops.length for _, line in rows for outcome in line.outcomes if outcome.flops]
    flops = ("FLOPs", "zeros skipped") if lengths else ()
    timed = any(outcome.strategy_seconds is not None for _, line in rows for outcome in line.outcomes)
    own = ("own seconds",) if timed else ()
    sizes = ("sparsity", "method", "removed", "encoder", "parameters left")
    return Table(
        title=table_title(section, track, "size and cost"),
        headers=(*sizes, *flops, "trainings", "steps", *own, "speed"),
        aligns="rlrrr" + "r" * len(flops) + "rr" + "r" * len(own) + "r",
        body=tuple(
            (
                level(sparsity),
                line.label,
                *_sizes(line),
                *(_flops(line) if flops else ()),
                *_costs(line),
                *(_own_seconds(line) for _ in own),
                _speed(section.dense, line),
            )
            for sparsity, line in rows
        ),
        notes=(*([FLOPS.format(value_range(lengths, count))] if lengths else ()), *((OWN_SECONDS,) if own else ())),
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


def _flops(line: Line) -> Iterator[str]:
    known = [outcome.flops for outcome in line.outcomes if outcome.flops]
    for field in ("scored", "skipping_zeros"):
        share = value_range((getattr(flops, field) / flops.dense for flops in known), percent)
        amount = value_range((getattr(flops, field) for flops in known), lambda number: f"{number / 1e9:.3g}")
        yield f"{share} ({amount} G)" if known else DASH


def _costs(line: Line) -> Iterator[str]:
    outcomes = line.outcomes
    for amount in ("trainings", "steps"):
        find = value_range((getattr(outcome.find, amount) for outcome in outcomes), count)
        train = value_range((getattr(outcome.train, amount) for outcome in outcomes), count)
        yield f"{find} + {train}" if outcomes else DASH


def _own_seconds(line: Line) -> str:
    seconds = (outcome.strategy_seconds for outcome in line.outcomes)
    return value_range(seconds, lambda number: f"{number:,.2f}" if number < 10 else f"{number:,.0f}")


def _speed(dense: Line, line: Line) -> str:
    """`1.43 ± 0.05 × (446 ± 9/s)`: the speed as a multiple of the dense model's, and in examples per second.

    A dash where the multiple is not known to a tenth, or the two ran on different hardware or numbers of threads.
    """
    own, multiple = measured_speed(line.outcomes), relative_speed(line.outcomes, dense.outcomes)
    if own is None or (multiple is None and line is not dense):
        return DASH
    text = f"{multiple.mean:.2f} ± {multiple.std:.2f}" if multiple and line is not dense else "1.00"
    return f"{text} × ({own.mean:,.0f} ± {own.std:,.0f}/s)"
