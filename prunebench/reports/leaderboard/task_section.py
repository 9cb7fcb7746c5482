"""The section of one task, from its rows: a line for each method, grouped by track and sparsity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from prunebench.planning.levels import unsupported_levels
from prunebench.recipes.strategy import denominator, plural
from prunebench.reports.leaderboard.report import Level, Line, Score, Section, Track
from prunebench.reports.render.formatting import count, listing, metric_name, percent, seeds, value_range
from prunebench.results.rows import Outcome, Row
from prunebench.results.statistics import Summary, paired_difference, summarise
from prunebench.results.statistics.crossed import over_seeds, rounding_floor
from prunebench.results.statistics.summary import differences
from prunebench.store.schema import Cell

TRACKS = ("unstructured", "structured")

Column = tuple[str, str]
# A track, a sparsity and a label.
MethodKey = tuple[str, float, str]


def task_section(task: str, rows: Sequence[Row]) -> Section:
    """The section of a task. The rows are sorted and have one setting."""
    columns = list(dict.fromkeys((row.evaluation, row.metric) for row in rows))
    dense = [row for row in rows if row.cell.is_plain_dense]
    references: dict[str, list[Row]] = {}
    for row in rows:
        if row.cell.is_dense and not row.cell.is_plain_dense:
            references.setdefault(row.cell.label, []).append(row)
    methods: dict[MethodKey, list[Row]] = {}
    for row in rows:
        if not row.cell.is_dense:
            methods.setdefault((row.cell.track, row.cell.sparsity, row.cell.label), []).append(row)
    # A seed that only dense runs have is not a gap of the methods.
    expected = {row.cell.seed for group in methods.values() for row in group}
    every = expected | {row.cell.seed for row in rows}
    tracks: dict[str, dict[float, list[Line]]] = {}
    for (track, sparsity, label), group in methods.items():
        tracks.setdefault(track, {}).setdefault(sparsity, []).append(method_line(label, group, columns, expected))
    if not tracks:
        # Dense runs alone make a page too.
        tracks["dense"] = {0.0: []}
    first = rows[0].cell
    # A task belongs to GLUE unless its title says otherwise.
    source = first.split if first.benchmark in ("", "GLUE") else f"{first.benchmark}, {first.split}"
    return Section(
        name=task,
        title=f"{task} ({source})",
        about=_about([row for row in rows if not row.cell.other_model]),
        columns=tuple(_column_title(first, column) for column in columns),
        seeds=tuple(sorted(every)),
        dense=method_line("dense", dense, columns, every),
        majority=tuple(_majority(rows, column) for column in columns),
        tracks=tuple(_track(name, tracks[name], methods) for name in _in_order(tracks)),
        benchmark=first.benchmark,
        split=first.split,
        references=tuple(
            replace(
                method_line(label, references[label], columns, expected),
                other_model=references[label][0].cell.other_model,
            )
            for label in sorted(references, key=lambda label: _reference_order(references[label][0].cell))
        ),
    )


def _reference_order(cell: Cell) -> tuple[str, float]:
    """The dense runs of the methods' own model come first, by their number of trainings."""
    trainings = cell.options.get("trainings", 1)
    return cell.other_model, float(trainings) if isinstance(trainings, int | float) else 1.0


def _column_title(cell: Cell, column: Column) -> str:
    evaluation, metric = column
    return f"{metric_name(metric)} {cell.suffix(evaluation)}".strip()


def _in_order(tracks: Iterable[str]) -> list[str]:
    return sorted(tracks, key=lambda name: (TRACKS.index(name) if name in TRACKS else len(TRACKS), name))


def _track(name: str, levels: dict[float, list[Line]], methods: dict[MethodKey, list[Row]]) -> Track:
    rows = [row for (track, _, _), group in methods.items() if track == name for row in group]
    sorted_levels = tuple(make_level(sparsity, levels[sparsity]) for sparsity in sorted(levels))
    unsupported = unsupported_levels((row.cell, row.cell.sparsity) for row in rows)
    about = (*_denominators(rows), *teacher_note(line for lines in levels.values() for line in lines))
    return Track(name, about, sorted_levels, unsupported=unsupported)


def teacher_note(lines: Iterable[Line]) -> tuple[str, ...]:
    """Which of the lines had a teacher, in a sentence; none if none had."""
    by_teacher: dict[str, set[str]] = {}
    for line in lines:
        if line.teacher:
            by_teacher.setdefault(line.teacher, set()).add(line.label)
    return tuple(
        f"Trained with a teacher, the {teacher} model of the same seed: {listing(sorted(labels))}."
        for teacher, labels in sorted(by_teacher.items())
    )


def method_line(label: str, rows: Sequence[Row], columns: Sequence[Column], expected: Iterable[int]) -> Line:
    """The line of a method at one sparsity. `expected` are the seeds that a complete line has."""
    by_column: dict[Column, list[Row]] = {column: [] for column in columns}
    outcomes: dict[int, Outcome] = {}
    failures: dict[str, set[int]] = {}
    for row in rows:
        seed = row.cell.seed
        if row.status == "done":
            by_column[row.evaluation, row.metric].append(row)
        elif row.status != "missing":
            failures.setdefault(row.status.removeprefix("failed: "), set()).add(seed)
        if row.outcome is not None:
            outcomes[seed] = row.outcome
    complete = set.intersection(*({row.cell.seed for row in group} for group in by_column.values()))
    failed = set().union(*failures.values())
    missing = set(expected) - complete - failed
    checks = {seed: outcome.failed_checks for seed, outcome in outcomes.items() if outcome.failed_checks}
    gaps = [f"missing {seeds(missing)}"] if missing else []
    gaps += [f"failed {seeds(failed)}"] if failed else []
    gaps += [f"check failed {seeds(checks)}"] if checks else []
    reasons = [f"{seeds(numbers)} failed: {reason}" for reason, numbers in sorted(failures.items())]
    reasons += [f"seed {seed} failed the check {listing(names)}" for seed, names in sorted(checks.items())]
    scores = tuple(_score(group) for group in by_column.values())
    by_seed = tuple(outcomes[seed] for seed in sorted(outcomes))
    return Line(label, scores, tuple(gaps), tuple(reasons), frozenset(missing | failed), by_seed)


def _score(rows: Sequence[Row]) -> Score:
    values = {row.cell.seed: row.value for row in rows if row.value is not None}
    dense = {row.cell.seed: row.dense for row in rows if row.dense is not None}
    equal = {row.cell.seed: row.equal for row in rows if row.equal is not None}
    examples = min((row.examples for row in rows if row.examples), default=0)
    by_seed = dict(sorted(values.items()))
    floor = rounding_floor(examples) if examples else 0.0
    return Score(
        by_seed,
        summarise(by_seed.values()) if by_seed else None,
        _difference(by_seed, dense, floor),
        frozenset(row.cell.seed for row in rows if row.degenerate),
        dense=dense,
        equal=equal,
        difference_equal=_difference(by_seed, equal, floor),
        floor=floor,
    )


def _difference(values: dict[int, float], reference: dict[int, float], floor: float) -> Summary | None:
    """The summary of value − reference, whose interval believes no spread below the floor."""
    summary = paired_difference(values, reference)
    if summary is None or summary.std is None or summary.std >= floor:
        return summary
    estimate = over_seeds([*differences(values, reference).values()], floor)
    return replace(summary, bounds=estimate.interval()) if estimate else summary


def make_level(sparsity: float, lines: Iterable[Line]) -> Level:
    """Sort lines by the mean of their first score, lines with gaps last."""
    ordered = sorted(lines, key=lambda line: (bool(line.gaps), -_first_mean(line), line.label))
    return Level(sparsity, tuple(ordered))


def _first_mean(line: Line) -> float:
    summary = line.scores[0].summary
    return float("-inf") if summary is None else summary.mean


def _majority(rows: Sequence[Row], column: Column) -> float | None:
    """The score of the most frequent class. It depends on the data alone, so any record has it."""
    values = (row.majority for row in rows if (row.evaluation, row.metric) == column and row.majority is not None)
    return next(values, None)


def _about(rows: Sequence[Row]) -> tuple[str, ...]:
    settings = {row.cell.setting for row in rows}
    protocols, data = ({getattr(setting, name) for setting in settings} for name in ("protocol", "data"))
    train = value_range((row.outcome.train_examples for row in rows if row.outcome), count)
    names = dict.fromkeys((row.evaluation, row.split) for row in rows)
    sizes = [
        f"{value_range((row.examples for row in rows if row.evaluation == evaluation), count)} {split}"
        for evaluation, split in names
    ]
    return (
        f"Protocol {listing(sorted(protocols))}. {train} training and {' and '.join(sizes)} examples, "
        f"data fingerprint {listing(sorted(data))}.",
    )


def _denominators(rows: Sequence[Row]) -> tuple[str, ...]:
    """What the sparsities of a track are fractions of, in a sentence for each unit."""
    cells = {}
    for row in rows:
        outcome = row.outcome
        if outcome is not None:
            sizes = outcome.units, outcome.encoder_weights, outcome.parameters_total
            cells[row.cell.unit, *sizes, outcome.budget] = row.cell
    sentences = []
    for (unit, units, weights, total, budget), cell in sorted(cells.items(), key=lambda item: item[0]):
        share = f"{percent(weights / total)} of all {count(total)} parameters"
        base = f"{count(weights)} {cell.setting.prunable} weights ({share})"
        amount = f"{count(units)} {plural(unit)}" if budget == "units" else f"the {denominator(unit, budget)}"
        if unit == "weight" and units == weights:
            sentences.append(f"Sparsity is the removed fraction of {base}.")
        else:
            sentences.append(f"Sparsity is the removed fraction of {amount}; encoder sparsity is a fraction of {base}.")
    return tuple(sentences)
