"""Whether as many units are pruned as a recipe requires, or as much of their cost."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.planning.graph import Node, phases_of
from prunebench.recipes.phase import final_selection, final_sparsity
from prunebench.recipes.schedules import required_cost
from prunebench.store.schema import Sparsity


def count_fault(nodes: Sequence[Node], pruned: int, units: int) -> str:
    """Why so many of `units` cannot be pruned at the end of these nodes, or "" if they can.

    Under a budget of parameters or FLOPs any number may be right: it depends on what they cost.
    """
    phases = phases_of(nodes)
    selection, sparsity = final_selection(phases), final_sparsity(phases)
    if selection.budget != "units":
        return "" if pruned <= units else f"has {pruned} of {units} units pruned"
    expected = selection.count(sparsity, units)
    return "" if pruned == expected else f"has {pruned} of {units} units pruned, expected {expected}"


def cost_fault(sparsity: Sparsity, nodes: Sequence[Node]) -> str:
    """Why the pruned units cannot cost what a record says, or "" if they can."""
    phases = phases_of(nodes)
    budget = final_selection(phases).budget
    if sparsity.budget != budget:
        return f"has a budget of {sparsity.budget}, and its recipe one of {budget}"
    if budget == "units":
        return ""
    required, pruned = required_cost(final_sparsity(phases), sparsity.cost), sparsity.cost_pruned
    if not required <= pruned <= sparsity.cost or (pruned and pruned - sparsity.cost_largest >= required):
        return f"has {pruned} of {sparsity.cost} {budget} pruned, expected at least {required} and one unit less above"
    return ""
