"""The rows of one task become a section: lines by track and sparsity. Imports `model` and below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from prunebench.reports.leaderboard.apart import as_good_as_best
from prunebench.reports.leaderboard.model import Level, Line, Score, Section, Track
from prunebench.reports.render.numbers import between, count, listing, percent, seeds
from prunebench.results.rows import Outcome, Row
from prunebench.results.statistics import paired, summarise
from prunebench.store.schema import Cell

TRACKS = ("unstructured", "structured")
METRICS = {"f1": "F1", "pearson": "Pearson", "spearmanr": "Spearman", "matthews_correlation": "Matthews"}

Column = tuple[str, str]


def section(task: str, rows: Sequence[Row]) -> Section:
    """The section of a task from its rows, which are sorted and of one setting."""
    columns = list(dict.fromkeys((row.evaluation, row.metric) for row in rows))
    methods: dict[tuple[str, float, str], list[Row]] = {}
    dense: list[Row] = []
    for row in rows:
        cell = row.cell
        (dense if cell.is_dense else methods.setdefault((cell.track, cell.sparsity, cell.label), [])).append(row)
    # Dense runs of other seeds than any method's leave no gap in the methods.
    expected = {row.cell.seed for group in methods.values() for row in group}
    every = expected | {row.cell.seed for row in dense}
    tracks: dict[str, dict[float, list[Line]]] = {}
    for (track, sparsity, label), group in methods.items():
        tracks.setdefault(track, {}).setdefault(sparsity, []).append(line(label, group, columns, expected))
    if not tracks:
        # Dense runs alone make a page too.
        tracks["dense"] = {0.0: []}
    first = rows[0].cell
    # GLUE is what a task belongs to unless its title says otherwise.
    where = first.split if first.benchmark in ("", "GLUE") else f"{first.benchmark}, {first.split}"
    return Section(
        name=task,
        title=f"{task} ({where})",
        about=_about(rows),
        columns=tuple(_title(first, column) for column in columns),
        seeds=tuple(sorted(every)),
        dense=line("dense", dense, columns, every),
        majority=tuple(_majority(rows, column) for column in columns),
        tracks=tuple(_track(name, tracks[name], methods) for name in _in_order(tracks)),
        benchmark=first.benchmark,
        split=first.split,
    )


def _title(cell: Cell, column: Column) -> str:
    evaluation, metric = column
    return f"{METRICS.get(metric, metric)} {cell.suffix(evaluation)}".strip()


def _in_order(tracks: Iterable[str]) -> list[str]:
    return sorted(tracks, key=lambda name: (TRACKS.index(name) if name in TRACKS else len(TRACKS), name))


def _track(name: str, levels: dict[float, list[Line]], methods: dict[tuple[str, float, str], list[Row]]) -> Track:
    rows = [row for (track, _, _), group in methods.items() if track == name for row in group]
    return Track(name, _denominators(rows), tuple(ranked(sparsity, levels[sparsity]) for sparsity in sorted(levels)))


def line(label: str, rows: Sequence[Row], columns: Sequence[Column], expected: Iterable[int]) -> Line:
    """The line of a method at a sparsity, from its rows of all seeds."""
    by_column: dict[Column, list[Row]] = {column: [] for column in columns}
    outcomes: dict[int, Outcome] = {}
    failed: dict[str, set[int]] = {}
    for row in rows:
        seed = row.cell.seed
        if row.status == "done":
            by_column[row.evaluation, row.metric].append(row)
        elif row.status != "missing":
            failed.setdefault(row.status.removeprefix("failed: "), set()).add(seed)
        if row.outcome is not None:
            outcomes[seed] = row.outcome
    whole = set.intersection(*({row.cell.seed for row in found} for found in by_column.values()))
    broken = set().union(*failed.values())
    missing = set(expected) - whole - broken
    checks = {seed: outcome.failed_checks for seed, outcome in outcomes.items() if outcome.failed_checks}
    gaps = [f"missing {seeds(missing)}"] if missing else []
    gaps += [f"failed {seeds(broken)}"] if broken else []
    gaps += [f"check failed {seeds(checks)}"] if checks else []
    reasons = [f"{seeds(numbers)} failed: {reason}" for reason, numbers in sorted(failed.items())]
    reasons += [f"seed {seed} failed the check {listing(names)}" for seed, names in sorted(checks.items())]
    scores = tuple(_score(found) for found in by_column.values())
    kept = tuple(outcomes[seed] for seed in sorted(outcomes))
    return Line(label, scores, tuple(gaps), tuple(reasons), frozenset(missing | broken), kept)


def _score(rows: Sequence[Row]) -> Score:
    values = {row.cell.seed: row.value for row in rows if row.value is not None}
    dense = {row.cell.seed: row.dense for row in rows if row.dense is not None}
    return score(values, dense, frozenset(row.cell.seed for row in rows if row.degenerate))


def score(values: dict[int, float], dense: dict[int, float], degenerate: frozenset[int] = frozenset()) -> Score:
    """A score from its values and the dense values of the same seeds."""
    by_seed = dict(sorted(values.items()))
    summary = summarise(by_seed.values()) if by_seed else None
    return Score(by_seed, summary, paired(by_seed, dense), degenerate, dense=dense)


def ranked(sparsity: float, lines: Iterable[Line]) -> Level:
    """The lines by the mean of their first score, those with gaps last; of the complete ones the best are marked."""
    found = sorted(lines, key=lambda entry: (bool(entry.gaps), -_mean(entry, 0), entry.label))
    complete = [entry for entry in found if not entry.gaps]
    if len(complete) < 2:
        return Level(sparsity, tuple(found))
    columns = range(len(complete[0].scores))
    best = [as_good_as_best({entry.label: entry.scores[i].values for entry in complete}) for i in columns]
    return Level(sparsity, tuple(entry if entry.gaps else _marked(entry, best) for entry in found))


def _mean(entry: Line, column: int) -> float:
    summary = entry.scores[column].summary
    return float("-inf") if summary is None else summary.mean


def _marked(entry: Line, best: Sequence[set[str]]) -> Line:
    scores = (replace(entry.scores[i], best=entry.label in labels) for i, labels in enumerate(best))
    return replace(entry, scores=tuple(scores))


def _majority(rows: Sequence[Row], column: Column) -> float | None:
    """The score of the most frequent class: of the data alone, so any record knows it."""
    found = (row.majority for row in rows if (row.evaluation, row.metric) == column and row.majority is not None)
    return next(found, None)


def _about(rows: Sequence[Row]) -> tuple[str, ...]:
    settings = {row.cell.setting for row in rows}
    protocols, data = ({getattr(setting, name) for setting in settings} for name in ("protocol", "data"))
    train = between((row.outcome.train_examples for row in rows if row.outcome), count)
    names = dict.fromkeys((row.evaluation, row.split) for row in rows)
    sizes = [
        f"{between((row.examples for row in rows if row.evaluation == evaluation), count)} {split}"
        for evaluation, split in names
    ]
    return (
        f"Protocol {listing(sorted(protocols))}. {train} training and {' and '.join(sizes)} examples, "
        f"data fingerprint {listing(sorted(data))}.",
    )


def _denominators(rows: Sequence[Row]) -> tuple[str, ...]:
    """What the sparsities of a track are fractions of, a sentence for each unit."""
    said = {}
    for row in rows:
        outcome = row.outcome
        if outcome is not None:
            said[row.cell.unit, outcome.units, outcome.encoder_weights, outcome.parameters_total] = row.cell
    sentences = []
    for (unit, units, weights, total), cell in sorted(said.items(), key=lambda item: item[0]):
        share = f"{percent(weights / total)} of all {count(total)} parameters"
        of = f"{count(weights)} {cell.setting.prunable} weights, {share}"
        if unit == "weight" and units == weights:
            sentences.append(f"Sparsity is the fraction removed of {of}.")
        else:
            sentences.append(
                f"Sparsity is the fraction removed of {count(units)} {unit}s; encoder sparsity is of {of}."
            )
    return tuple(sentences)
