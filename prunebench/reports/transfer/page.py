"""A transfer as tables: for a page, and in short for the terminal. Imports `grid` and how leaderboards are laid out."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.planning.transfer import THETA0
from prunebench.reports.render.blocks import Block, Bold, Caution, Commands, Heading, Paragraph, Table, one_line
from prunebench.reports.render.formatting import NONE, difference, level, listing, loss, points, spread
from prunebench.reports.render.formatting import seeds as seeds_of
from prunebench.reports.render.provenance import environment, made_with, setting, splits
from prunebench.reports.render.terminal import terminal_table
from prunebench.reports.transfer.grid import Grid, Scores, Target
from prunebench.results.statistics.matching import CRITERIA

DEGENERATE = "* For some seed's predictions a metric is undefined (one class for all, say) and counts as 0."
ABOUT = (
    "A row is a mask: the one that the method found on that task, or a control. A column is the task on which θ0 under "
    "that mask, with a fresh task head, was trained. All trainings of a seed start from the same head and see the same "
    "batches. A number is the score less that of the dense run of the same task and seed, × 100, as mean ± std over "
    "the seeds (ddof = 1). The score of a task is the mean of its metrics. Bold is the target's own mask."
)
MATCHING = "By which criteria a mask is as good as the dense model of the same seeds, in every task's score:"
UNIVERSAL = (
    "A mask is universal by a criterion if on every other task it is at least as good as that task's own mask (Chen "
    "et al. 2020, section 4.1): the same criteria, with the own mask in place of the dense model. A number is on how "
    "many of the other tasks it is as good, of those where that can be said."
)
THETA0_TOO = f" {THETA0}, the mask that θ0 alone gives, is of no task, and judged on all of them."


def opening(grid: Grid) -> Iterator[Block]:
    """What stands above the picture."""
    yield Heading(1, f"Transfer of masks: {grid.method} at sparsity {level(grid.question.sparsity)}")
    yield Table("Setting", ("setting", "value"), "ll", tuple(_setting(grid)))
    yield from map(Caution, cautions(grid))
    yield Paragraph(ABOUT)


def blocks(grid: Grid, command: str) -> Iterator[Block]:
    """The rest of the page."""
    yield matrix(grid)
    yield Heading(2, "Masks that match the dense model")
    yield Paragraph(MATCHING)
    yield matching(grid)
    yield Table("Criteria", ("criterion", "what it asks"), "lp", tuple(CRITERIA.items()))
    yield Paragraph(f"Here δ is {loss(grid.delta)}.")
    yield Heading(2, "Universal masks")
    yield Paragraph(UNIVERSAL + THETA0_TOO * (THETA0 in grid.travelling))
    yield universal(grid)
    yield Heading(2, "Every metric and every seed")
    for target in grid.targets:
        yield Heading(3, target.title)
        yield every(grid, target)
    yield Heading(2, "Commands")
    yield Commands((command,))


def matrix(grid: Grid) -> Table:
    """Differences to dense; the scores of the dense model stand above them."""
    dense = ("dense", *(spread(target.dense.summary(), n=False) + _star(target.dense) for target in grid.targets))
    majority = ("majority class", *(points(target.majority) for target in grid.targets))
    body = [(mask, *(_difference(grid, mask, target) for target in grid.targets)) for mask in grid.masks]
    noted = any(scores.degenerate for scores in (*grid.scores.values(), *(target.dense for target in grid.targets)))
    return Table(
        title=f"{grid.method} at sparsity {level(grid.question.sparsity)}: difference to dense × 100",
        headers=("mask of", *(target.title for target in grid.targets)),
        aligns="l" + "r" * len(grid.targets),
        body=(dense, majority, *body),
        notes=("Dense and majority class are scores, the rest are differences to dense.", *[DEGENERATE] * noted),
        rule=2,
    )


def _difference(grid: Grid, mask: str, target: Target) -> str:
    scores = grid.scores.get((mask, target.name))
    if scores is None:
        return NONE
    if scores.summary() is None:
        return "failed" if any(reason != "missing" for reason in scores.gaps.values()) else "missing"
    text = difference(scores.difference(target.dense), len(grid.seeds)) + _star(scores)
    return Bold(text) if mask == target.name else text


def _star(scores: Scores) -> str:
    return "*" if scores.degenerate else ""


def matching(grid: Grid) -> Table:
    """By which criteria each mask matches the dense model of each target."""
    body = [(mask, *(_matched(grid, mask, target) for target in grid.targets)) for mask in grid.masks]
    headers = ("mask of", *(target.title for target in grid.targets))
    return Table("Masks that match the dense model", headers, "l" + "l" * len(grid.targets), tuple(body))


def _matched(grid: Grid, mask: str, target: Target) -> str:
    found = grid.matching(mask, target)
    if all(said is None for said in found.values()):
        return NONE
    return ", ".join(name for name, said in found.items() if said) or "none"


def universal(grid: Grid) -> Table:
    """For each mask that travels and each criterion: universal, or on how many others it is as good as their own."""
    body = []
    for mask in grid.travelling:
        asked = sum(target.name != mask for target in grid.targets)
        body.append((mask, *(_count(*found, asked) for found in grid.universal(mask).values())))
    judged = f"Judged on {listing([target.title for target in grid.targets])}; δ is {loss(grid.delta)}."
    return Table("Universal masks", ("mask of", *CRITERIA), "l" + "l" * len(CRITERIA), tuple(body), notes=(judged,))


def _count(good: int, said: int, asked: int) -> str:
    if not said:
        return NONE
    return f"universal ({good} of {asked})" if good == asked else f"{good} of {said}"


def every(grid: Grid, target: Target) -> Table:
    """Each column of a target as mean ± std and by seed, for dense and each mask."""
    several = len(target.columns) > 1
    masks = [(mask, grid.scores[mask, target.name]) for mask in grid.masks if (mask, target.name) in grid.scores]
    body = []
    for column in target.columns:
        for name, scores in [("dense", target.dense), *masks]:
            values = scores.values[column]
            seeds = [points(values.get(seed)) + "*" * (seed in scores.degenerate) for seed in grid.seeds]
            gap = difference(scores.difference(target.dense, column), len(grid.seeds))
            gap = NONE if scores is target.dense else gap
            body.append((name, *(column,) * several, spread(scores.summary(column)), gap, *seeds))
    metric = ("metric",) * several
    return Table(
        title=f"{target.title}, every seed",
        headers=("mask of", *metric, "mean ± std (n)", "Δ dense", *(f"seed {seed}" for seed in grid.seeds)),
        aligns="l" + "l" * several + "r" * (2 + len(grid.seeds)),
        body=tuple(body),
    )


def cautions(grid: Grid) -> Iterator[str]:
    """What is missing and why, and what was not made alike."""
    named = {("dense", target.name): target.dense for target in grid.targets} | dict(grid.scores)
    for (mask, target), scores in named.items():
        for reason in sorted(set(scores.gaps.values())):
            gone = [seed for seed, said in scores.gaps.items() if said == reason]
            yield f"{mask} on {target}, {seeds_of(gone)}: {reason}"
    checks = {name for row in grid.rows if row.outcome for name in row.outcome.failed_checks}
    if checks:
        yield f"some cells failed a check: {listing(sorted(checks))}"
    for name, values in environment(grid.rows).items():
        if len(values) > 1:
            yield f"these results were made with {len(values)} kinds of {name}: {'; '.join(values)}"


def _setting(grid: Grid) -> Iterator[tuple[str, str]]:
    yield "masks found by", f"{grid.method}, {level(grid.question.sparsity)} of the {grid.unit}s gone"
    yield from setting(row.cell for row in grid.rows)
    yield from splits(row.cell for row in grid.rows)
    yield from made_with(grid.rows)


def terminal(grid: Grid) -> str:
    """The matrix and the universal masks in a few lines."""
    parts = ["\n".join([one_line(table.title), terminal_table(table), *map(one_line, table.notes)])
             for table in (matrix(grid), universal(grid))]  # fmt: skip
    return "\n\n".join([*parts, *(f"warning: {one_line(said)}" for said in cautions(grid))])
