"""Encoder sparsity and FLOPs beside the level.

A level is a fraction of weights, heads or neurons. Half of the heads of BERT-base are a sixth of the encoder's weights,
so tables that compare levels say what is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from prunebench.reports.leaderboard.report import Level, Line, Ranking, Section, Size
from prunebench.reports.render.formatting import DASH, level
from prunebench.results.rows import Outcome

ENCODER, FLOPS = "encoder sparsity", "FLOPs left"
# A smaller difference between a level and the encoder sparsity comes from rounding to whole units.
SAME = 0.005
ABOUT_ENCODER = (
    f"Beside a level, {ENCODER} is the share of the encoder's weights that are zero or removed in the scored models. "
    "It is shown where it is not the level itself."
)
ABOUT_FLOPS = (
    f"{FLOPS} are those of one forward pass if everything pruned were skipped, as a share of the dense model's. They "
    "are means over tasks and seeds, from the least to the greatest of the methods."
)


def describe_sizes(sections: Iterable[Section]) -> tuple[str, ...]:
    """What a page with these sections says about the sizes beside its levels."""
    lines = (line for each in sections for track in each.tracks for entry in track.levels for line in entry.lines)
    return ABOUT_ENCODER, *((ABOUT_FLOPS,) if any(line_size(line).flops is not None for line in lines) else ())


def line_size(line: Line) -> Size:
    """The size of a method at a level, as means over its seeds and tasks."""
    outcomes = line.outcomes or line.of_tasks
    return Size(
        _mean(outcomes, lambda outcome: outcome.encoder_after),
        _mean(outcomes, lambda outcome: outcome.flops.skipping_zeros / outcome.flops.dense if outcome.flops else None),
    )


def level_sizes(entry: Level) -> tuple[Size, ...]:
    """The sizes of the methods at a level, without those of which nothing is known."""
    return tuple(size for size in map(line_size, entry.lines) if size != Size())


def with_sizes(ranking: Ranking, sections: Iterable[Section]) -> Ranking:
    """The ranking with the sizes of its methods at every level."""
    (section,) = (each for each in sections if each.title == ranking.title)
    levels = {
        entry.sparsity: entry for track in section.tracks if track.name == ranking.track for entry in track.levels
    }
    standings = tuple(replace(each, sizes=level_sizes(levels[each.sparsity])) for each in ranking.standings)
    return replace(ranking, standings=standings)


def size_rows(sizes: Sequence[tuple[float, Sequence[Size]]]) -> Iterator[tuple[str, list[str]]]:
    """The reference rows of a table by sparsity: a name, and a text for each level. Rows without news are left out."""
    encoder = [
        (sparsity, [size.encoder for size in of_level if size.encoder is not None]) for sparsity, of_level in sizes
    ]
    flops = [[size.flops for size in of_level if size.flops is not None] for _, of_level in sizes]
    if any(abs(value - sparsity) > SAME for sparsity, values in encoder for value in values):
        yield ENCODER, [_range(values) for _, values in encoder]
    if any(flops):
        yield FLOPS, [_range(values) for values in flops]


def size_columns(sparsity: float, lines: Sequence[Line], references: int) -> Iterator[tuple[str, list[str]]]:
    """The columns of a table at one sparsity: a name, and a text for each line. Columns without news are left out.

    The first `references` of the lines are dense runs.
    """
    sizes = [line_size(line) for line in lines]
    if any(abs(size.encoder - sparsity) > SAME for size in sizes[references:] if size.encoder is not None):
        yield ENCODER, [_range([] if size.encoder is None else [size.encoder]) for size in sizes]
    if any(size.flops is not None for size in sizes):
        yield FLOPS, [_range([] if size.flops is None else [size.flops]) for size in sizes]


def level_with_encoder(sparsity: float, line: Line | None) -> str:
    """`0.5 (encoder 17 %)`: a level, with the encoder sparsity of the method there if that is another one."""
    encoder = line_size(line).encoder if line else None
    text = level(sparsity)
    return text if encoder is None or abs(encoder - sparsity) <= SAME else f"{text} (encoder {100 * encoder:.0f} %)"


def _mean(outcomes: Sequence[Outcome], value: Callable[[Outcome], float | None]) -> float | None:
    known = [amount for outcome in outcomes if (amount := value(outcome)) is not None]
    return fmean(known) if known else None


def _range(shares: Sequence[float]) -> str:
    """The least and the greatest share in percent, or one number if they are equal."""
    if not shares:
        return DASH
    low, high = (f"{100 * share:.1f}" for share in (min(shares), max(shares)))
    return f"{low} %" if low == high else f"{low} to {high} %"
