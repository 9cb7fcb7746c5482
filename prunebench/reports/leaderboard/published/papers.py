"""The rows of a source as a table: methods below each other, tasks side by side."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.errors import unknown_name
from prunebench.reports.leaderboard.published.scores import PublishedScore, Strict, scores, sources
from prunebench.reports.render.formatting import listing

ALL = "all"


class Column(Strict):
    """A metric of a task, and the sparsity of all its methods if the paper has one for each task."""

    task: str
    evaluation: str
    metric: str
    sparsity: float | None = None


class Reported(Strict):
    """A row of a table, × 100 as printed there. None where nothing is printed.

    sparsity: that of all its scores, or None if columns have theirs or none is stated.
    distilled: whether the training had a teacher; None if that is not said.
    """

    method: str
    track: str
    model: str
    sparsity: float | None
    distilled: bool | None
    mean: tuple[float | None, ...]
    std: tuple[float | None, ...]

    @property
    def label(self) -> str:
        """The method with its sparsity and its teacher: "movement, 90 %, distilled"."""
        level = "" if not self.sparsity else f"{100 * self.sparsity:.3g} %"
        teacher = {True: "distilled", False: "not distilled", None: ""}[self.distilled]
        return ", ".join(filter(None, (self.method, level, teacher)))


class Paper(Strict):
    """What a source published, and in what setting.

    split, seeds: in words, as they may differ between rows.
    spread: what ± stands for.
    denominator: what the sparsities are fractions of.
    """

    name: str
    citation: str
    url: str
    primary: bool
    models: tuple[str, ...]
    split: str
    seeds: str
    spread: str
    denominator: str
    columns: tuple[Column, ...]
    rows: tuple[Reported, ...]


def names() -> list[str]:
    """The names of all sources, sorted."""
    return sorted(sources())


def papers(selection: tuple[str, ...]) -> tuple[Paper, ...]:
    """The tables of the sources with these names, sorted by name; `all` selects every one.

    Raises `PrunebenchError` for an unknown name.
    """
    known = names()
    for name in selection:
        if name not in (*known, ALL):
            raise unknown_name("published table", name, [*known, ALL])
    return tuple(map(_paper, known if ALL in selection else sorted(set(selection))))


def _paper(name: str) -> Paper:
    source = sources()[name]
    own = [score for score in scores() if score.source == name]
    columns = _columns(own)
    seeds = {score.seeds for score in own}
    return Paper(
        name=name,
        citation=source.citation,
        url=source.url,
        primary=source.primary,
        models=tuple(dict.fromkeys(score.model for score in own)),
        split=listing(dict.fromkeys(score.split or "not said" for score in own)),
        seeds=listing(f"{n} seeds" for n in sorted(filter(None, seeds))) if None not in seeds else "seeds not said",
        spread=source.spread,
        denominator=listing(dict.fromkeys(score.sparsity_of for score in own if score.sparsity_of)) or "none",
        columns=columns,
        rows=tuple(_rows(own, columns)),
    )


def _columns(own: Sequence[PublishedScore]) -> tuple[Column, ...]:
    """The columns. They have a sparsity if each is at a single one, and they differ."""
    levels: dict[tuple[str, str, str], set[float | None]] = {}
    for score in own:
        levels.setdefault(_metric_of(score), set()).update({score.sparsity} if score.sparsity != 0 else set())
    by_column = all(len(each) <= 1 for each in levels.values()) and len(set.union(*levels.values())) > 1
    return tuple(
        Column(task=task, evaluation=evaluation, metric=metric, sparsity=next(iter(each), None) if by_column else None)
        for (task, evaluation, metric), each in levels.items()
    )


def _metric_of(score: PublishedScore) -> tuple[str, str, str]:
    return score.task, score.evaluation, score.metric


def _rows(own: Sequence[PublishedScore], columns: Sequence[Column]) -> list[Reported]:
    """The rows. Scores of one method and level share one, unless they stand in one column: then each has its own."""
    index = {(column.task, column.evaluation, column.metric): i for i, column in enumerate(columns)}
    by_column = any(column.sparsity for column in columns)
    lines: dict[tuple[object, ...], list[dict[int, PublishedScore]]] = {}
    for score in own:
        sparsity = None if by_column else score.sparsity
        key = (score.model, score.method, score.track, sparsity, score.distilled)
        column, group = index[_metric_of(score)], lines.setdefault(key, [])
        line = next((line for line in group if column not in line), None)
        if line is None:
            line = {}
            group.append(line)
        line[column] = score
    return [_row(line, len(columns), by_column) for group in lines.values() for line in group]


def _row(line: dict[int, PublishedScore], width: int, by_column: bool) -> Reported:
    first = next(iter(line.values()))
    entries = [line.get(i) for i in range(width)]
    return Reported(
        method=first.method,
        track=first.track,
        model=first.model,
        sparsity=None if by_column else first.sparsity,
        distilled=first.distilled,
        mean=tuple(score.value if score else None for score in entries),
        std=tuple(score.std if score else None for score in entries),
    )
