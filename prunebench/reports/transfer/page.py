"""The tables of a transfer: the whole page, and a few of them for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.planning.transfer import THETA0
from prunebench.recipes.strategy import plural
from prunebench.reports.render.blocks import Block, Bold, Caution, Commands, Heading, Paragraph, Table, one_line
from prunebench.reports.render.formatting import DASH, difference, level, listing, loss, points, seeds, spread
from prunebench.reports.render.provenance import environment, environment_entries, setting, splits
from prunebench.reports.render.terminal import terminal_table
from prunebench.reports.transfer.grid import Grid, Scores, Target
from prunebench.results.statistics.matching import CRITERIA

DEGENERATE = (
    "* A metric is undefined for some seed's predictions, for example because all are the same; it counts as 0 there."
)
ABOUT = (
    "Each row is a mask: the one that the method found on that task, or a control. Each column is the task on which θ0 "
    "was trained under that mask, with a new task head. All trainings of a seed start from the same head and see the "
    "same batches. A number is the score minus the score of the dense run of the same task and seed, × 100, as "
    "mean ± std over the seeds (ddof = 1). The score of a task is the mean of its metrics. The target's own mask is "
    "bold."
)
MATCHING = "The criteria by which a mask is as good as the dense model of the same seeds, judged by the task's score:"
UNIVERSAL = (
    "A mask is universal by a criterion if, on every other task, it is at least as good as that task's own mask (Chen "
    "et al. 2020, section 4.1). The criteria are the same, with the own mask in place of the dense model. A number "
    "counts the other tasks on which the mask is as good, of those for which that is known."
)
UNIVERSAL_THETA0 = f" {THETA0}, the mask that θ0 alone gives, belongs to no task and is judged on all of them."


def header_blocks(grid: Grid) -> Iterator[Block]:
    """The page above the picture."""
    yield Heading(1, f"Transfer of masks: {grid.method} at sparsity {level(grid.question.sparsity)}")
    yield Table("Setting", ("setting", "value"), "ll", tuple(_setting(grid)))
    if grid.verification:
        yield Paragraph(grid.verification)
    yield from map(Caution, cautions(grid))
    yield Paragraph(ABOUT)


def blocks(grid: Grid, command: str) -> Iterator[Block]:
    """The page below the picture."""
    yield difference_table(grid)
    yield Heading(2, "Masks that match the dense model")
    yield Paragraph(MATCHING)
    yield matching_table(grid)
    yield Table("Criteria", ("criterion", "requirement"), "lp", tuple(CRITERIA.items()))
    yield Paragraph(f"Here δ is {loss(grid.delta)}.")
    yield Heading(2, "Universal masks")
    yield Paragraph(UNIVERSAL + UNIVERSAL_THETA0 * (THETA0 in grid.universal_candidates))
    yield universal_table(grid)
    yield Heading(2, "Every metric and every seed")
    for target in grid.targets:
        yield Heading(3, target.title)
        yield seed_table(grid, target)
    yield Heading(2, "Commands")
    yield Commands((command,))


def difference_table(grid: Grid) -> Table:
    """The difference of each mask from the dense model on each target, below the scores of the dense model."""
    dense = ("dense", *(spread(target.dense.summary(), n=False) + _star(target.dense) for target in grid.targets))
    majority = ("majority class", *(points(target.majority) for target in grid.targets))
    body = [(mask, *(_difference(grid, mask, target) for target in grid.targets)) for mask in grid.masks]
    starred = any(scores.degenerate for scores in (*grid.scores.values(), *(target.dense for target in grid.targets)))
    return Table(
        title=f"{grid.method} at sparsity {level(grid.question.sparsity)}: difference from dense × 100",
        headers=("mask of", *(target.title for target in grid.targets)),
        aligns="l" + "r" * len(grid.targets),
        body=(dense, majority, *body),
        notes=(
            "The rows dense and majority class are scores, the others are differences from dense.",
            *[DEGENERATE] * starred,
        ),
        rule=2,
    )


def _difference(grid: Grid, mask: str, target: Target) -> str:
    scores = grid.scores.get((mask, target.name))
    if scores is None:
        return DASH
    if scores.summary() is None:
        return "failed" if any(reason != "missing" for reason in scores.gaps.values()) else "missing"
    text = difference(scores.difference(target.dense), len(grid.seeds)) + _star(scores)
    return Bold(text) if mask == target.name else text


def _star(scores: Scores) -> str:
    return "*" if scores.degenerate else ""


def matching_table(grid: Grid) -> Table:
    """The criteria by which each mask matches the dense model of each target."""
    body = [(mask, *(_criteria(grid, mask, target) for target in grid.targets)) for mask in grid.masks]
    headers = ("mask of", *(target.title for target in grid.targets))
    return Table("Masks that match the dense model", headers, "l" + "l" * len(grid.targets), tuple(body))


def _criteria(grid: Grid, mask: str, target: Target) -> str:
    match = grid.matches_dense(mask, target)
    if all(holds is None for holds in match.values()):
        return DASH
    return ", ".join(name for name, holds in match.items() if holds) or "none"


def universal_table(grid: Grid) -> Table:
    """For each candidate and criterion: universal, or on how many other targets it is as good as their own masks."""
    body = []
    for mask in grid.universal_candidates:
        others = sum(target.name != mask for target in grid.targets)
        body.append((mask, *(_count(good, known, others) for good, known in grid.universal_counts(mask).values())))
    note = f"Judged on {listing([target.title for target in grid.targets])}; δ is {loss(grid.delta)}."
    return Table("Universal masks", ("mask of", *CRITERIA), "l" + "l" * len(CRITERIA), tuple(body), notes=(note,))


def _count(good: int, known: int, others: int) -> str:
    if not known:
        return DASH
    return f"universal ({good} of {others})" if good == others else f"{good} of {known}"


def seed_table(grid: Grid, target: Target) -> Table:
    """Every column of a target for dense and each mask: mean ± std, the difference from dense, and each seed."""
    several = len(target.columns) > 1
    masks = [(mask, grid.scores[mask, target.name]) for mask in grid.masks if (mask, target.name) in grid.scores]
    body = []
    for column in target.columns:
        for name, scores in [("dense", target.dense), *masks]:
            values = scores.values[column]
            by_seed = [points(values.get(seed)) + "*" * (seed in scores.degenerate) for seed in grid.seeds]
            gap = difference(scores.difference(target.dense, column), len(grid.seeds))
            gap = DASH if scores is target.dense else gap
            body.append((name, *(column,) * several, spread(scores.summary(column)), gap, *by_seed))
    metric = ("metric",) * several
    return Table(
        title=f"{target.title}, every seed",
        headers=("mask of", *metric, "mean ± std (n)", "Δ dense", *(f"seed {seed}" for seed in grid.seeds)),
        aligns="l" + "l" * several + "r" * (2 + len(grid.seeds)),
        body=tuple(body),
    )


def cautions(grid: Grid) -> Iterator[str]:
    """A line for whatever is missing, failed a check, or was produced in different environments."""
    every = {("dense", target.name): target.dense for target in grid.targets} | dict(grid.scores)
    for (mask, target), scores in every.items():
        for reason in sorted(set(scores.gaps.values())):
            yield f"{mask} on {target}, {seeds(s for s, status in scores.gaps.items() if status == reason)}: {reason}"
    checks = {name for row in grid.rows if row.outcome for name in row.outcome.failed_checks}
    if checks:
        yield f"some cells failed a check: {listing(sorted(checks))}"
    for name, values in environment(grid.rows).items():
        if len(values) > 1:
            yield f"these results come from {len(values)} kinds of {name}: {'; '.join(values)}"


def _setting(grid: Grid) -> Iterator[tuple[str, str]]:
    yield "masks found by", f"{grid.method}, {level(grid.question.sparsity)} of the {plural(grid.unit)} pruned"
    yield from setting(row.cell for row in grid.rows)
    yield from splits(row.cell for row in grid.rows)
    yield from environment_entries(grid.rows)


def terminal(grid: Grid) -> str:
    """The differences from dense, the universal masks and the cautions."""
    parts = ["\n".join([one_line(table.title), terminal_table(table), *map(one_line, table.notes)])
             for table in (difference_table(grid), universal_table(grid))]  # fmt: skip
    return "\n\n".join([*parts, *(f"warning: {one_line(caution)}" for caution in cautions(grid))])
