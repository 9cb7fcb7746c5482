"""The methods that a comparison is about: from the names on the command line to labels and rows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from prunebench.errors import PrunebenchError
from prunebench.recipes.strategy import plural
from prunebench.reports.render.formatting import level, listing
from prunebench.results.filters import allow_mixed, no_results, one_setting
from prunebench.results.rows import Row, sort_key


def select_methods(
    rows: Sequence[Row], names: Sequence[str], mixed: bool
) -> tuple[list[str], list[Row], tuple[str, ...]]:
    """The labels of the methods called `names`, their rows in a fixed order, and a sentence for whatever is mixed.

    Raises PrunebenchError if a name is unknown or ambiguous, if two names mean one method, or if nothing is done yet.
    Without `mixed` it also raises if settings or units of the methods differ.
    """
    plain_names = {_without_braces(name) for name in names}
    candidates = [row for row in rows if {row.cell.label, row.cell.strategy} & plain_names]
    candidates, mixtures = allow_mixed(candidates) if mixed else (one_setting(candidates), ())
    labels = [_label(candidates, name, rows) for name in names]
    if len(set(labels)) < max(2, len(labels)):
        raise PrunebenchError(f"cannot compare {listing(map(repr, names))}", "expected at least two different methods")
    selected = sorted((row for row in candidates if row.cell.label in labels), key=sort_key)
    if not any(row.status == "done" for row in selected):
        raise no_results(selected)
    return labels, selected, mixtures + _mixed_units(selected, mixed)


def check_sparsities(rows: Iterable[Row], sparsities: Iterable[float]) -> None:
    """Raise PrunebenchError for a sparsity that no pruned row has."""
    known = {row.cell.sparsity for row in rows if not row.cell.is_dense}
    for sparsity in sorted(set(sparsities) - known):
        raise PrunebenchError(
            f"no results at sparsity {level(sparsity)}", f"expected some of {listing(map(level, sorted(known)))}"
        )


def _without_braces(name: str) -> str:
    """The name without the ` {precision=bf16}` that `allow_mixed` adds to it."""
    return name.partition(" {")[0]


def _label(rows: Iterable[Row], name: str, all_rows: Iterable[Row]) -> str:
    """The label called `name`: that very label, or the only label of the strategy `name`."""
    strategies = {row.cell.label: row.cell.strategy for row in rows}
    if name in strategies:
        return name
    matches = sorted(label for label, strategy in strategies.items() if strategy == name)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise PrunebenchError(f"{name!r} is ambiguous", f"expected {' or '.join(map(repr, matches))}")
    known = {row.cell.label for row in all_rows} | strategies.keys()
    nearest = difflib.get_close_matches(name, known, n=1)
    raise PrunebenchError(
        f"these results have no {name!r}",
        f"did you mean {nearest[0]!r}?"
        if nearest
        else f"they have {', '.join(sorted(known))}; --suite or --all adds more",
    )


def _mixed_units(rows: Sequence[Row], mixed: bool) -> tuple[str, ...]:
    """A sentence if the methods remove different units; an error unless `mixed`."""
    labels_by_unit: dict[str, list[str]] = {}
    for label, unit in sorted({(row.cell.label, row.cell.unit) for row in rows if not row.cell.is_dense}):
        labels_by_unit.setdefault(unit, []).append(label)
    if len(labels_by_unit) < 2:
        return ()
    units = "; ".join(f"{plural(unit)} ({listing(labels)})" for unit, labels in labels_by_unit.items())
    message = f"sparsities are fractions of different units: {units}"
    if not mixed:
        raise PrunebenchError(message, "compare methods of one unit, or pass --allow-mixed")
    return (f"Mixed: {message}.",)
