"""The tables of a page about masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from prunebench.reports.overlap.pairs import Mean
from prunebench.reports.overlap.profile import Head
from prunebench.reports.overlap.report import UnitMasks
from prunebench.reports.render.blocks import Table
from prunebench.reports.render.formatting import DASH, count
from prunebench.results.statistics import Summary

# What chance gives to masks that share as much with θ0's largest weights.
NULL = "given θ0's magnitudes"


def task_table(unit: UnitMasks, method: str) -> Table:
    """Jaccard between tasks, and between seeds on the diagonal."""
    means = unit.by_task[method]
    body = tuple((one, *(_jaccard(means.get((one, other))) for other in unit.tasks)) for one in unit.tasks)
    return Table(method, (method, *unit.tasks), "l" + "r" * len(unit.tasks), body, notes=_chance(means.values()))


def method_table(unit: UnitMasks) -> Table:
    """Jaccard between methods."""
    body = tuple(
        (one, *("1" if one == other else _jaccard(unit.by_method.get((one, other))) for other in unit.methods))
        for one in unit.methods
    )
    notes = _chance(unit.by_method.values())
    return Table("Between methods", ("method", *unit.methods), "l" + "r" * len(unit.methods), body, notes=notes)


def agreement_table(unit: UnitMasks) -> Table:
    """Every comparison of `task_table` and `method_table` with all its numbers."""
    rows = []
    for method, means in unit.by_task.items():
        for (one, other), mean in means.items():
            if unit.tasks.index(one) <= unit.tasks.index(other):
                between = f"seeds of {one}" if one == other else f"{one} and {other}"
                rows.append((method, between, *_numbers(mean)))
    for (one, other), mean in unit.by_method.items():
        if unit.methods.index(one) < unit.methods.index(other):
            rows.append((f"{one} and {other}", "same task and seed", *_numbers(mean)))
    headers: tuple[str, ...] = ("method", "between", "pairs", "Jaccard", "by chance", NULL, "agreement", "by chance")
    if not unit.knows_magnitudes:
        headers, rows = _without(headers, headers), [_without(headers, row) for row in rows]
    return Table("Agreement and chance", headers, "ll" + "r" * (len(headers) - 2), tuple(rows))


def _without(headers: tuple[str, ...], row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(entry for name, entry in zip(headers, row, strict=True) if name != NULL)


def location_table(unit: UnitMasks, method: str) -> Table:
    """Jaccard by layer and matrix: between tasks, or between seeds if there is only one task."""
    kind = "tasks" if len(unit.tasks) > 1 else "seeds"
    means = unit.by_layer_and_matrix(kind, method)
    columns = [*unit.matrices, None] if len(unit.matrices) > 1 else [*unit.matrices]
    body = tuple(
        (layer_name(layer), *(_beside_chance(means.get((layer, matrix))) for matrix in columns))
        for layer in (*unit.layers, None)
    )
    headers = (f"{method}, layer", *("all" if matrix is None else matrix_name(matrix) for matrix in columns))
    return Table(f"{method}: overlap between {kind}", headers, "l" + "r" * len(columns), body)


def layer_tables(unit: UnitMasks) -> Iterator[Table]:
    """For each method a table of its overlap by layer with the methods after it.

    Layers go down and methods across, so that the tables of many methods stay readable.
    """
    for number, method in enumerate(unit.methods, 1):
        others = [other for other in unit.methods[number:] if (method, other) in unit.by_method]
        if not others:
            continue
        by_layer = [unit.by_layer(method, other) for other in others]
        body = tuple(
            (layer_name(layer), *(_beside_chance(means.get(layer)) for means in by_layer))
            for layer in (*unit.layers, None)
        )
        title = f"{method}: overlap with other methods by layer"
        yield Table(title, (f"{method}, layer", *others), "l" + "r" * len(others), body)


def sparsity_table(unit: UnitMasks, method: str) -> Table:
    """The sparsity of each matrix, with layers down and matrices across."""
    summaries = {(location.layer, location.matrix): summary for location, summary in unit.sparsities(method).items()}
    body = tuple(
        (layer_name(layer), *(_spread(summaries[layer, m]) if (layer, m) in summaries else DASH for m in unit.matrices))
        for layer in unit.layers
    )
    headers = (f"{method}, layer", *map(matrix_name, unit.matrices))
    return Table(f"{method}: sparsity", headers, "l" + "r" * len(unit.matrices), body)


def silent_head_table(unit: UnitMasks) -> Table:
    """For each method and task the number of silent heads, and the head with the fewest weights left."""
    rows = []
    for method, task, by_seed in _heads_by_task(unit):
        silent = fmean(sum(head.silent for head in heads) for heads in by_seed)
        head = min((head for heads in by_seed for head in heads), key=lambda head: head.remaining / head.units)
        smallest = f"layer {head.layer}, head {head.head}: {100 * (head.remaining / head.units):.1f} %"
        rows.append((method, task, f"{silent:.1f} of {len(by_seed[0])}", smallest))
    return Table("Heads", ("method", "task", "silent heads", "the fewest weights left"), "llrl", tuple(rows))


def head_table(unit: UnitMasks) -> Table:
    """For each method and task the number of seeds that keep each head, with a column for each layer."""
    rows = [
        (method, task, count(len(by_seed)), *_seeds_by_layer(by_seed, unit.layers))
        for method, task, by_seed in _heads_by_task(unit)
    ]
    headers = ("method", "task", "seeds", *(f"layer {layer}" for layer in unit.layers))
    return Table("Heads", headers, "llr" + "l" * len(unit.layers), tuple(rows))


def _heads_by_task(unit: UnitMasks) -> Iterator[tuple[str, str, list[tuple[Head, ...]]]]:
    """Each method and task that has heads, with the heads of every seed."""
    for method in unit.methods:
        for task in unit.tasks:
            by_seed = [heads for (m, t, _), heads in unit.heads.items() if (m, t) == (method, task)]
            if by_seed:
                yield method, task, by_seed


def _seeds_by_layer(by_seed: Sequence[Sequence[Head]], layers: Iterable[int]) -> Iterator[str]:
    """`3 0 2`: for each layer how many seeds keep its heads 0, 1 and 2."""
    for layer in layers:
        seeds: dict[int, int] = {}
        for heads in by_seed:
            for head in heads:
                if head.layer == layer:
                    seeds[head.head] = seeds.get(head.head, 0) + head.remaining
        yield " ".join(str(seeds[head]) for head in sorted(seeds))


def layer_name(layer: int | None) -> str:
    return "all" if layer is None else (str(layer) if layer >= 0 else DASH)


def matrix_name(matrix: str) -> str:
    return matrix.replace("_", " ")


def _fraction(value: float) -> str:
    return f"{value:.3f}"


def _spread(summary: Summary) -> str:
    return _fraction(summary.mean) + ("" if summary.std is None else f" ± {_fraction(summary.std)}")


def _jaccard(mean: Mean | None) -> str:
    return _spread(mean.jaccard) if mean else DASH


def _beside_chance(mean: Mean | None) -> str:
    return f"{_fraction(mean.jaccard.mean)} ({_fraction(mean.chance)})" if mean else DASH


def _numbers(mean: Mean) -> tuple[str, ...]:
    chance, chance_agreement = _fraction(mean.chance), _fraction(mean.chance_agreement)
    null = DASH if mean.given_magnitudes is None else _fraction(mean.given_magnitudes)
    return count(mean.jaccard.n), _spread(mean.jaccard), chance, null, _spread(mean.agreement), chance_agreement


def _chance(means: Iterable[Mean]) -> tuple[str, ...]:
    """What chance gives, alone and given θ0's magnitudes, from the smallest to the largest value in the table."""
    means = list(means)
    nulls = [mean.given_magnitudes for mean in means if mean.given_magnitudes is not None]
    return (*_range("By chance", [mean.chance for mean in means]), *_range("Given θ0's magnitudes", nulls))


def _range(what: str, values: Sequence[float]) -> tuple[str, ...]:
    if not values:
        return ()
    low, high = _fraction(min(values)), _fraction(max(values))
    return (f"{what}: {low}" + (f" to {high}" if low != high else ""),)
