"""Sparsities that were asked for, and of which a method has no model: which, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prunebench.store.schema import MethodInfo


def unsupported_levels(cells: Iterable[tuple[MethodInfo, float]]) -> dict[str, dict[float, str]]:
    """By label and sparsity, why a method has no model there. A cell is given as its method and its sparsity.

    A sparsity at which the method has a cell is left out: its code may have changed since the plan that lacks it.
    """
    reasons: dict[str, dict[float, str]] = {}
    planned = set()
    for method, sparsity in cells:
        planned.add((method.label, sparsity))
        for level, reason in method.unsupported.items():
            reasons.setdefault(method.label, {})[float(level)] = reason
    left = {
        label: {level: by_level[level] for level in sorted(by_level) if (label, level) not in planned}
        for label, by_level in reasons.items()
    }
    return {label: by_level for label, by_level in sorted(left.items()) if by_level}


def describe_unsupported(label: str, reasons: Mapping[float, str]) -> str:
    """`imp[pattern=2:4] has no model at 0.3, 0.7: pattern 2:4 has sparsity 0.5`; other reasons follow."""
    levels: dict[str, list[str]] = {}
    for sparsity, reason in sorted(reasons.items()):
        levels.setdefault(reason, []).append(f"{sparsity:g}")
    return f"{label} has no model " + "; ".join(f"at {', '.join(each)}: {reason}" for reason, each in levels.items())
