"""Versions of a method: the results under one label may come from several versions of its source.

They may not be averaged. For each label and setting, the version in the newest plan that has it counts. A cell of an
older version counts as missing, or stands under a label of its own, such as `mine @ 3f2a91c0`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prunebench.store.schema import Cell, Command, StoredPlan, StrategyCode

UNKNOWN = "unknown"
# A label, and what its cells must have in common to be averaged over tasks and seeds.
Group = tuple[str, str, tuple[str, ...]]
Newest = Mapping[Group, StrategyCode | None]


@dataclass(frozen=True, slots=True)
class VersionedCell:
    """A cell, the command that planned it, and its version where that is not the newest, else "".

    `of` is the version of the method that a control controls.
    """

    cell: Cell
    command: Command
    own: str = ""
    of: str = ""

    @property
    def older(self) -> str:
        """The version as pages name it: a part of the digest of the source that has been edited."""
        return "+".join(dict.fromkeys(filter(None, (self.own, self.of))))


def versioned_cells(plans: Sequence[StoredPlan], *, all_versions: bool = False) -> list[VersionedCell]:
    """The cells of `plans` (the newest last), one for each method, task, sparsity, seed and setting.

    The newest plan's cell is used. A cell of an older version is used only where the newest version has none, or, with
    `all_versions`, always, under a label that names its version.
    """
    cells: dict[tuple[object, ...], VersionedCell] = {}
    for each in _with_versions(plans, _newest_codes(plans)):
        cell = each.cell
        identity = (cell.label, cell.task, cell.sparsity, cell.seed, cell.setting, each.older if all_versions else "")
        if not each.older or identity not in cells or cells[identity].older:
            cells[identity] = each
    return [_renamed(each) if all_versions and each.older else each for each in cells.values()]


def _newest_codes(plans: Iterable[StoredPlan]) -> Newest:
    """The code of each method in the newest plan that has it, or a control of it; None where plans do not say."""
    newest = {}
    for plan in plans:
        for cell in plan.cells:
            for label in filter(None, (cell.label, cell.control_of)):
                newest[_group(label, cell)] = plan.strategies.get(label)
    return newest


def _group(label: str, cell: Cell) -> Group:
    return label, cell.benchmark, tuple(value for name, value in cell.setting if name != "data")


def _with_versions(plans: Iterable[StoredPlan], newest: Newest) -> Iterator[VersionedCell]:
    for plan in plans:
        command = Command(suite=plan.suite, command=plan.command, written=plan.written)
        # Sorted, so that the order of a plan's cells has no effect even if it lists one twice.
        for cell in sorted(plan.cells, key=lambda cell: cell.key):
            # The keys of the dense model hold no code.
            labels = ("", None) if cell.is_dense else (cell.label, cell.control_of)
            own, of = (
                _version(plan.strategies.get(label), newest[_group(label, cell)]) if label else "" for label in labels
            )
            yield VersionedCell(cell, command, own, of)


def _version(code: StrategyCode | None, newest: StrategyCode | None) -> str:
    """The name of a version, or "" if it is the newest."""
    if code is None or newest is None:
        return UNKNOWN if code is not newest else ""
    if code.identity == newest.identity:
        return ""
    return code.version if code.source == newest.source else code.source[:8]


def _renamed(each: VersionedCell) -> VersionedCell:
    cell = each.cell
    control_of = f"{cell.control_of} @ {each.of}" if each.of else cell.control_of
    update = {"label": f"{cell.label} @ {each.older}", "control_of": control_of}
    return VersionedCell(cell.model_copy(update=update), each.command)
