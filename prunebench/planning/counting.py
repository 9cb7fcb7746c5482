"""How much work a plan is: phases requested by its cells, left after sharing, in the store, and still to run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from prunebench.planning.graph import Node, Plan, phases_of
from prunebench.planning.jobs import Contents, Job
from prunebench.runtime.memory import without_collection


@dataclass(frozen=True)
class Count:
    """How a plan's work divides up. `again` counts trainings with a record whose masks or weights are gone."""

    requested: int
    requested_trainings: int
    distinct: int
    distinct_trainings: int
    stored: int
    failed: int
    jobs: int
    trainings: int
    again: int


@without_collection()
def count(plan: Plan, jobs: list[Job], store: Contents, skip: Collection[Node] = ()) -> Count:
    """Phases that all cells ask for, distinct phases, those in the store, and the trainings that are left.

    `skip` are the nodes that failed in an earlier run, and are not run again.
    """
    spent = _phases_and_trainings(plan)
    nodes = list(plan.nodes())
    left = {node for job in jobs for node in job.phases}
    return Count(
        requested=sum(spent[cell.leaf][0] for cell in plan.cells),
        requested_trainings=sum(spent[cell.leaf][1] for cell in plan.cells),
        distinct=len(nodes),
        distinct_trainings=sum(node.phase is not None and node.phase.trains for node in nodes),
        stored=sum(node not in left and node not in skip for node in nodes),
        failed=len(skip),
        jobs=len(jobs),
        trainings=sum(job.trains for job in jobs),
        again=sum(job.trains and all(store.has("records", key) for key in job.records) for job in jobs),
    )


def _phases_and_trainings(plan: Plan) -> dict[Node, tuple[int, int]]:
    """How many phases each node's lineage has, and how many of them are trainings."""
    spent: dict[Node, tuple[int, int]] = {}
    with_inputs: set[Node | None] = set()
    for tree in plan.trees:
        for node in tree.walk():
            if node.inputs or node.parent in with_inputs:
                with_inputs.add(node)
                own, (phases, trainings) = phases_of(node.lineage()), (0, 0)
            else:
                own = phases_of([node])
                phases, trainings = spent[node.parent] if node.parent is not None else (0, 0)
            spent[node] = phases + len(own), trainings + sum(phase.trains for phase in own)
    return spent
