"""How strong the dense models are: a row for each task and metric."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.reports.leaderboard.report import Baseline
from prunebench.reports.render.blocks import Table
from prunebench.reports.render.formatting import DASH, listing, percent, points, signed, signed_brackets
from prunebench.results.statistics import Interval

TITLE = "Strength of the dense models"
ABOUT = (
    "What methods are compared with. A dense model that does not beat the majority class for certain (lower limit of "
    "the 95 % interval above 0) has learnt nothing that pruning could lose. The loss is that of the last tenth of the "
    "training, as a share of the entropy of the labels: at 100 % only the frequency of the classes is learnt. If dense "
    "gains from a second training, methods that train longer gain too."
)


def baseline_table(baselines: Sequence[Baseline]) -> Table:
    """The table, without the columns that no task has, and a note on each metric that nothing is ranked by."""
    columns = {
        "dense": [points(each.mean) for each in baselines],
        "majority class": [points(each.majority) for each in baselines],
        "dense − majority [95 %]": [_difference(each.above) for each in baselines],
        "for certain": ["yes" if each.learnt else "no" for each in baselines],
        "loss / entropy": [percent(each.loss) if each.loss is not None else DASH for each in baselines],
        "trained twice − dense [95 %]": [_difference(each.twice) for each in baselines],
        "published dense": [_published(each) for each in baselines],
    }
    printed = {head: column for head, column in columns.items() if set(column) != {DASH}}
    names = [(each.task, each.column) for each in baselines]
    return Table(
        title=TITLE,
        headers=("task", "metric", *printed),
        aligns="ll" + "r" * len(printed),
        body=tuple((*name, *texts) for name, texts in zip(names, zip(*printed.values(), strict=True), strict=True)),
        notes=tuple(_not_learnt(each) for each in baselines if not each.learnt),
    )


def _difference(value: tuple[float, Interval | None] | None) -> str:
    if value is None:
        return DASH
    mean, interval = value
    return f"{signed(mean)} {signed_brackets(interval)}" if interval else signed(mean)


def _published(baseline: Baseline) -> str:
    scores = [f"{points(value)} ({paper})" for paper, value in baseline.published.items()]
    return listing(scores) or "none published"


def _not_learnt(baseline: Baseline) -> str:
    return (
        f"{baseline.task}, {baseline.column}: nothing is ranked, bold, a match or a winning ticket, because dense does "
        "not beat the majority class for certain."
    )
