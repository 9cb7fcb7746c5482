"""Masks as tables: for a page, and in short for the terminal. Imports `report`, and how leaderboards are laid out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from prunebench.reports.leaderboard.summary import plain
from prunebench.reports.overlap.pairs import Mean
from prunebench.reports.overlap.profile import Head
from prunebench.reports.overlap.report import Report, Unit
from prunebench.reports.render.blocks import Block, Caution, Commands, Heading, Paragraph, Table, one_line
from prunebench.reports.render.numbers import NONE, count, level
from prunebench.results.statistics import Summary

ABOUT = (
    "Jaccard is, of the units that either mask keeps, the fraction that both keep; agreement the fraction of all units "
    "on which they say the same. Chance is what two independent random masks have in common on average that keep as "
    "many units in each matrix as these do: with k and l of n units kept, what both keep is hypergeometric, with the "
    "mean k·l/n. Numbers are mean ± std (ddof = 1) over pairs of masks. Controls are left out: they have their "
    "method's mask, or one that is drawn at random and not kept."
)
TASKS = (
    "Jaccard between the masks that {method} finds on two tasks with the same seed; on the diagonal, on one task "
    "with different seeds."
)
LAYERS = "The same by layer, with chance in brackets; a pair of methods stands once."
WHERE = "Jaccard between tasks (or, of one task, seeds) by layer and matrix, with chance in brackets."
SPARSITY = "The fraction of each matrix that is gone, over all tasks and seeds."
SILENT = (
    "Heads of which no weight is left in the value rows or in the output columns, so that nothing but biases comes out "
    "of them, of all heads of the encoder, over the seeds; and what is left of the head that has the least."
)
SURVIVE = "How many of the seeds keep each head, layer by layer, head 0 first."


def blocks(report: Report, pictures: dict[str, str], command: str) -> Iterator[Block | str]:
    """The whole page; a text stands for a line of Markdown, which is a picture. `pictures` gives files by name."""
    yield Heading(1, f"Masks at sparsity {level(report.sparsity)}")
    yield Table("Setting", ("setting", "value"), "ll", report.setting)
    yield from map(Caution, report.warnings)
    if report.lost:
        yield Caution(f"{count(report.lost)} masks were planned and are not in the store: they are left out.")
    yield Paragraph(ABOUT)
    for unit in report.units:
        yield Heading(2, f"Masks of {unit.unit}s")
        yield from _unit(unit, pictures)
    yield Heading(2, "Commands")
    yield Commands((command,))


def _unit(unit: Unit, pictures: dict[str, str]) -> Iterator[Block | str]:
    def shown(name: str, what: str) -> Iterator[str]:
        if file := pictures.get(f"{name}-{unit.unit}"):
            yield f"![{what}]({file})"

    yield Heading(3, "Between tasks and seeds")
    yield from shown("tasks", "Overlap between tasks")
    for method in unit.methods:
        yield Paragraph(TASKS.format(method=method))
        yield between_tasks(unit, method)
    if len(unit.methods) > 1:
        yield Heading(3, "Between methods")
        yield Paragraph("Jaccard between the masks of two methods on the same task with the same seed.")
        yield from shown("methods", "Overlap between methods")
        yield between_methods(unit)
        if unit.by_method:
            yield Paragraph(LAYERS)
            yield from by_layer(unit)
    yield Heading(3, "Agreement and chance")
    yield agreement(unit)
    yield Heading(3, "By layer and matrix")
    yield Paragraph(WHERE)
    for method in unit.methods:
        yield where(unit, method)
    yield Paragraph(SPARSITY)
    yield from shown("sparsity", "Sparsity of each matrix")
    for method in unit.methods:
        yield sparsities(unit, method)
    if unit.heads:
        yield Heading(3, "Heads")
        yield Paragraph(SURVIVE if unit.unit == "head" else SILENT)
        yield from shown("heads", "Heads that stay")
        yield survivors(unit) if unit.unit == "head" else silent(unit)


def fraction(value: float) -> str:
    return f"{value:.3f}"


def _spread(summary: Summary) -> str:
    return fraction(summary.mean) + ("" if summary.std is None else f" ± {fraction(summary.std)}")


def between_tasks(unit: Unit, method: str) -> Table:
    found = unit.by_task[method]
    body = tuple((one, *(_jaccard(found.get((one, other))) for other in unit.tasks)) for one in unit.tasks)
    return Table(method, (method, *unit.tasks), "l" + "r" * len(unit.tasks), body, notes=_chance(found.values()))


def between_methods(unit: Unit) -> Table:
    body = tuple(
        (one, *("1" if one == other else _jaccard(unit.by_method.get((one, other))) for other in unit.methods))
        for one in unit.methods
    )
    notes = _chance(unit.by_method.values())
    return Table("Between methods", ("method", *unit.methods), "l" + "r" * len(unit.methods), body, notes=notes)


def _jaccard(mean: Mean | None) -> str:
    return _spread(mean.jaccard) if mean else NONE


def _chance(means: Iterable[Mean]) -> tuple[str, ...]:
    """What chance gives, from the least to the greatest of these fields."""
    found = sorted(mean.chance for mean in means)
    if not found:
        return ()
    low, high = fraction(found[0]), fraction(found[-1])
    return (f"By chance: {low}" + (f" to {high}" if low != high else ""),)


def agreement(unit: Unit) -> Table:
    """Every comparison with all its numbers."""
    rows = []
    for method, found in unit.by_task.items():
        for (one, other), mean in found.items():
            if unit.tasks.index(one) <= unit.tasks.index(other):
                what = f"seeds of {one}" if one == other else f"{one} and {other}"
                rows.append((method, what, *_numbers(mean)))
    for (one, other), mean in unit.by_method.items():
        if unit.methods.index(one) < unit.methods.index(other):
            rows.append((f"{one} and {other}", "same task and seed", *_numbers(mean)))
    headers = ("method", "between", "pairs", "Jaccard", "by chance", "agreement", "by chance")
    return Table("Agreement and chance", headers, "llrrrrr", tuple(rows))


def _numbers(mean: Mean) -> tuple[str, ...]:
    chance, both = fraction(mean.chance), fraction(mean.chance_agreement)
    return count(mean.jaccard.n), _spread(mean.jaccard), chance, _spread(mean.agreement), both


def where(unit: Unit, method: str) -> Table:
    """Between tasks; where there is one task only, between its seeds."""
    kind = "tasks" if len(unit.tasks) > 1 else "seeds"
    found = unit.where(kind, method)

    columns = [*unit.matrices, None] if len(unit.matrices) > 1 else [*unit.matrices]
    body = tuple(
        (layer_name(layer), *(_beside_chance(found.get((layer, matrix))) for matrix in columns))
        for layer in (*unit.layers, None)
    )
    headers = (f"{method}, layer", *("all" if matrix is None else matrix_name(matrix) for matrix in columns))
    return Table(f"{method}: overlap between {kind}", headers, "l" + "r" * len(columns), body)


def by_layer(unit: Unit) -> Iterator[Table]:
    """For each method a table of its overlap with those after it: layers down, so that many methods stay readable."""
    for number, method in enumerate(unit.methods, 1):
        others = [other for other in unit.methods[number:] if (method, other) in unit.by_method]
        if not others:
            continue
        found = [unit.by_layer(method, other) for other in others]
        body = tuple(
            (layer_name(layer), *(_beside_chance(means.get(layer)) for means in found))
            for layer in (*unit.layers, None)
        )
        title = f"{method}: overlap with other methods by layer"
        yield Table(title, (f"{method}, layer", *others), "l" + "r" * len(others), body)


def _beside_chance(mean: Mean | None) -> str:
    return f"{fraction(mean.jaccard.mean)} ({fraction(mean.chance)})" if mean else NONE


def sparsities(unit: Unit, method: str) -> Table:
    """Layers down, matrices across."""
    found = {(place.layer, place.matrix): summary for place, summary in unit.sparsities(method).items()}
    body = tuple(
        (layer_name(layer), *(_spread(found[layer, m]) if (layer, m) in found else NONE for m in unit.matrices))
        for layer in unit.layers
    )
    headers = (f"{method}, layer", *map(matrix_name, unit.matrices))
    return Table(f"{method}: sparsity", headers, "l" + "r" * len(unit.matrices), body)


def layer_name(layer: int | None) -> str:
    return "all" if layer is None else (str(layer) if layer >= 0 else NONE)


def matrix_name(matrix: str) -> str:
    return matrix.replace("_", " ")


def silent(unit: Unit) -> Table:
    """For each method and task how many heads have gone silent, and what the poorest has left."""
    rows = []
    for method in unit.methods:
        for task in unit.tasks:
            found = [heads for (m, t, _), heads in unit.heads.items() if (m, t) == (method, task)]
            if found:
                gone = fmean(sum(head.silent for head in heads) for heads in found)
                least = min((head.kept / head.units, head) for heads in found for head in heads)
                poorest = f"layer {least[1].layer}, head {least[1].head}: {100 * least[0]:.1f} %"
                rows.append((method, task, f"{gone:.1f} of {len(found[0])}", poorest))
    return Table("Heads", ("method", "task", "silent heads", "the least that is left"), "llrl", tuple(rows))


def survivors(unit: Unit) -> Table:
    """A row for each method and task, a column for each layer: of the seeds, how many keep each of its heads."""
    rows = []
    for method in unit.methods:
        for task in unit.tasks:
            found = [heads for (m, t, _), heads in unit.heads.items() if (m, t) == (method, task)]
            if found:
                rows.append((method, task, count(len(found)), *_kept_by_layer(found, unit.layers)))
    headers = ("method", "task", "seeds", *(f"layer {layer}" for layer in unit.layers))
    return Table("Heads", headers, "llr" + "l" * len(unit.layers), tuple(rows))


def _kept_by_layer(found: Sequence[Sequence[Head]], layers: Iterable[int]) -> Iterator[str]:
    for layer in layers:
        stays: dict[int, int] = {}
        for heads in found:
            for head in heads:
                if head.layer == layer:
                    stays[head.head] = stays.get(head.head, 0) + head.kept
        yield " ".join(str(stays[head]) for head in sorted(stays))


def terminal(report: Report) -> str:
    """The overlap between tasks and between methods in a few lines."""
    parts = [f"Masks at sparsity {level(report.sparsity)}: Jaccard, mean ± std over pairs; diagonals are between seeds"]
    for unit in report.units:
        tables = [between_tasks(unit, method) for method in unit.methods]
        tables += [between_methods(unit)] if len(unit.methods) > 1 else []
        parts += ["\n".join([plain(table), *map(one_line, table.notes)]) for table in tables]
    return "\n\n".join([*parts, *(f"warning: {one_line(said)}" for said in report.warnings)])
