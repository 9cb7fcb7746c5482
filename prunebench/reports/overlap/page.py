"""A page about masks, and the few tables of it that a terminal shows."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.recipes.strategy import plural
from prunebench.reports.overlap.report import Report, UnitMasks
from prunebench.reports.overlap.tables import (
    agreement_table,
    head_table,
    layer_tables,
    location_table,
    method_table,
    silent_head_table,
    sparsity_table,
    task_table,
)
from prunebench.reports.render.blocks import Block, Caution, Commands, Heading, Paragraph, Table, one_line
from prunebench.reports.render.formatting import count, level
from prunebench.reports.render.terminal import terminal_table

ABOUT = (
    "Jaccard is the number of units that both masks keep, divided by the number that at least one of them keeps. "
    "Agreement is the fraction of all units that both keep or both remove. Chance is the expected value for two "
    "independent random masks that keep as many units in each matrix as these: with k and l of n units kept, the "
    "number that both keep is hypergeometric with mean k·l/n. Numbers are mean ± std (ddof = 1) over pairs of masks. "
    "Controls are left out, because they have their method's mask or a random one that is not stored."
)
MAGNITUDES = (
    "Most methods prefer weights that are large in θ0, and so share much by that alone. “Given θ0's magnitudes” is the "
    "expected value for two random masks that keep as many units in each matrix as these, and as many of those that "
    "the mask of `magnitude-init` keeps: if that keeps m of n units, and the two keep a and b of these, they share "
    "a·b/m inside it and (k−a)·(l−b)/(n−m) outside. What is above it is not due to θ0's magnitudes."
)
NO_MAGNITUDES = (
    "Most methods prefer weights that are large in θ0, and so share much by that alone. With the strategy "
    "`magnitude-init` in the run, the overlap is set against that too."
)
TASKS = (
    "Jaccard between the masks of {method} on two tasks with the same seed; on the diagonal, on one task with "
    "different seeds."
)
LAYERS = "The same by layer, with chance in brackets. Each pair of methods appears once."
LOCATIONS = "Jaccard between tasks (between seeds, if there is one task) by layer and matrix, with chance in brackets."
SPARSITY = "The fraction of each matrix that is pruned, over all tasks and seeds."
SILENT = (
    "A head is silent if none of its weights is left in the value rows or in the output columns, because only biases "
    "come out of it then. The table has the number of silent heads of all heads of the encoder, as a mean over the "
    "seeds, and the head with the smallest fraction of its weights left."
)
HEADS = "How many of the seeds keep each head, layer by layer, starting with head 0."


def blocks(report: Report, pictures: dict[str, str], command: str) -> Iterator[Block | str]:
    """The whole page. `pictures` maps names of pictures to files; a `str` among the blocks is a line of Markdown."""
    yield Heading(1, f"Masks at sparsity {level(report.sparsity)}")
    yield Table("Setting", ("setting", "value"), "ll", report.setting)
    yield from map(Caution, report.warnings)
    if report.missing:
        yield Caution(f"{count(report.missing)} masks were planned and are not in the store; they are left out.")
    yield Paragraph(ABOUT)
    for unit in report.units:
        yield Heading(2, f"Masks of {plural(unit.unit)}")
        if unit.unit == "weight" and unit.pairs:
            yield Paragraph(MAGNITUDES if unit.knows_magnitudes else NO_MAGNITUDES)
        yield from _overlap(unit, pictures)
        yield from _locations(unit, pictures)
        yield from _heads(unit, pictures)
    yield Heading(2, "Commands")
    yield Commands((command,))


def _picture(unit: UnitMasks, pictures: dict[str, str], name: str, text: str) -> Iterator[str]:
    if file := pictures.get(f"{name}-{unit.unit}"):
        yield f"![{text}]({file})"


def _overlap(unit: UnitMasks, pictures: dict[str, str]) -> Iterator[Block | str]:
    """Between tasks, seeds and methods."""
    yield Heading(3, "Between tasks and seeds")
    yield from _picture(unit, pictures, "tasks", "Overlap between tasks")
    for method in unit.methods:
        yield Paragraph(TASKS.format(method=method))
        yield task_table(unit, method)
    if len(unit.methods) > 1:
        yield Heading(3, "Between methods")
        yield Paragraph("Jaccard between the masks of two methods on the same task with the same seed.")
        yield from _picture(unit, pictures, "methods", "Overlap between methods")
        yield method_table(unit)
        if unit.by_method:
            yield Paragraph(LAYERS)
            yield from layer_tables(unit)
    yield Heading(3, "Agreement and chance")
    yield agreement_table(unit)


def _locations(unit: UnitMasks, pictures: dict[str, str]) -> Iterator[Block | str]:
    """Overlap and sparsity by layer and matrix."""
    yield Heading(3, "By layer and matrix")
    yield Paragraph(LOCATIONS)
    for method in unit.methods:
        yield location_table(unit, method)
    yield Paragraph(SPARSITY)
    yield from _picture(unit, pictures, "sparsity", "Sparsity of each matrix")
    for method in unit.methods:
        yield sparsity_table(unit, method)


def _heads(unit: UnitMasks, pictures: dict[str, str]) -> Iterator[Block | str]:
    if unit.heads:
        yield Heading(3, "Heads")
        yield Paragraph(HEADS if unit.unit == "head" else SILENT)
        yield from _picture(unit, pictures, "heads", "Remaining heads")
        yield head_table(unit) if unit.unit == "head" else silent_head_table(unit)


def terminal(report: Report) -> str:
    """The overlap between tasks, seeds and methods."""
    parts = [f"Masks at sparsity {level(report.sparsity)}: Jaccard, mean ± std over pairs; diagonals are between seeds"]
    for unit in report.units:
        tables = [task_table(unit, method) for method in unit.methods]
        tables += [method_table(unit)] if len(unit.methods) > 1 else []
        parts += ["\n".join([terminal_table(table), *map(one_line, table.notes)]) for table in tables]
    return "\n\n".join([*parts, *(f"warning: {one_line(warning)}" for warning in report.warnings)])
