"""A plan becomes jobs: what is run together, what each needs from others, and what the store already holds.

A stretch of a tree starts at a Train, or where weights are set anew, and ends before the next of these. So a job is at
most one training with all the pruning that follows it directly, and hands on masks and scores; full weights go
through the store only where another job trains on from them.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prunebench.planning.graph import Node, Plan, root_json
from prunebench.recipes.phases import Adopt, Prune, Rewind, Train, sets_weights
from prunebench.runtime.memory import without_collection

# The kinds of things that stay in a store, of those that a job makes.
RESULTS = ("records", "masks", "models")


class Contents(Protocol):
    """What the store can say without opening anything."""

    def has(self, kind: str, name: str) -> bool: ...


class Failed(Contents, Protocol):
    """What the store can also say: why things failed, by key."""

    @property
    def failures(self) -> Mapping[str, str]: ...


@dataclass(eq=False)
class Job:
    """A stretch of a tree: its first node, all its nodes, and the names of the weights that others want of it.

    `lead` are the phases before it that no job of their own runs: a rewind that a training follows. `reads` is the
    name of the stored weights that it starts from. `models` are the keys of nodes whose weights are kept for good.
    Of a job in pieces one `resumes` where another has left its anchor, which is then not among its nodes.
    """

    anchor: Node
    nodes: list[Node]
    weights: set[str] = field(default_factory=set)
    needs: set[Job] = field(default_factory=set)
    reads: str = ""
    lead: list[Node] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    resumes: bool = False

    @property
    def trains(self) -> bool:
        return isinstance(self.anchor.phase, Train) and not self.resumes

    @property
    def first(self) -> list[Node]:
        """The nodes that follow none of the job's: of a job that resumes there may be several."""
        return [node for node in self.nodes if node.parent not in self.nodes]

    @property
    def phases(self) -> list[Node]:
        return [node for node in [*self.lead, *self.nodes] if node.phase is not None]

    @property
    def records(self) -> list[str]:
        return [node.key for node in self.nodes if node.scored or isinstance(node.phase, Train)]

    @property
    def masks(self) -> list[str]:
        return [node.key for node in self.nodes if makes_mask(node)]

    def missing(self, store: Contents, kinds: Sequence[str] = (*RESULTS, "weights")) -> bool:
        """Whether the store lacks anything of these kinds that the job makes."""
        made = {"records": self.records, "masks": self.masks, "models": self.models, "weights": self.weights}
        return any(not store.has(kind, name) for kind in kinds for name in made[kind])

    def to_json(self, plugins: Sequence[tuple[str, str]] = (), minutes: float | None = None) -> dict[str, Any]:
        """All that a worker needs, with nothing but names in it; of `plugins` in files, their paths and texts.

        `minutes` lie between two checkpoints of a training; None keeps none.
        """
        return {
            "root": root_json(self.anchor.root),
            "path": [node.to_json() for node in self.anchor.path()],
            "tree": [
                {**node.to_json(), "parent": node.parent.key}
                for node in self.nodes
                if node is not self.anchor and node.parent
            ],
            "anchor": self.anchor.key,
            "resumes": self.resumes,
            "scored": [node.key for node in self.nodes if node.scored],
            "reads": self.reads,
            "weights": sorted(self.weights),
            "models": sorted(self.models),
            "plugins": list(plugins),
            "checkpoint_minutes": minutes,
        }


def pieces(job: Job) -> list[Job]:
    """The same work in smaller jobs: the anchor by itself, and of each strategy, which may share scores, what follows.

    Of pruning whose end is not scored no record tells the seconds any more.
    """
    branches: dict[Any, list[Node]] = {}
    branch: dict[Node, Any] = {}
    for node in job.nodes[1:]:
        assert node.parent is not None
        branch[node] = branch.get(node.parent, node.strategy or node)
        branches.setdefault(branch[node], []).append(node)
    start = _piece(job, [job.anchor], lead=job.lead, reads=job.reads, needs=set(job.needs))
    if job.trains and branches:
        start.weights.add(job.anchor.key)
    begun = [start] if start.records or start.masks or start.models else []
    reads = job.anchor.key if job.trains else job.reads
    needs = {*job.needs, *begun}
    rest = [_piece(job, nodes, reads=reads, needs=set(needs), resumes=True) for nodes in branches.values()]
    if not begun:
        rest[0].lead = [*job.lead, job.anchor]
    return begun + rest


def _piece(job: Job, nodes: list[Node], **others: Any) -> Job:
    keys = {node.key for node in nodes}
    weights = {name for name in job.weights if name.partition("-at-")[0] in keys}
    return Job(job.anchor, nodes, weights=weights, models=job.models & keys, **others)


@dataclass(frozen=True)
class Failure:
    """A branch of a job that could not be run: the node where it broke off, and why."""

    key: str
    reason: str
    details: str


def is_anchor(node: Node) -> bool:
    return node.phase is None or isinstance(node.phase, Train | Adopt) or sets_weights(node.phase)


def makes_mask(node: Node) -> bool:
    """Whether the mask after the node is kept: a shuffled one is drawn again from the one before it."""
    return bool(node.strategy)


def snapshot_name(first_training: str, to: int | float) -> str:
    return f"{first_training}-at-{to}"


def weights_before(path: list[Any]) -> str | None:
    """The stored weights that the state at the end of `path` starts from, or None if it starts from θ0 or anew.

    `path` holds nodes or their JSON-like twins: objects with `phase`, `key` and `moves`.
    """
    first = next((node.key for node in path if isinstance(node.phase, Train)), "")
    for node in reversed(path):
        if isinstance(node.phase, Rewind) and node.phase.to:
            return snapshot_name(first, node.phase.to)
        if node.phase is not None and sets_weights(node.phase):
            return None
        if isinstance(node.phase, Train) or node.moves:
            return str(node.key)
    return None


def given_up(plan: Plan, store: Failed) -> dict[Node, str]:
    """The nodes that failed in an earlier run and those that come after such, with the reason."""
    reasons = store.failures
    found: dict[Node, str] = {}
    for root in plan.roots if reasons else ():
        for node in root.walk():
            lost = node.parent if node.parent in found else node.adopts
            if lost in found:
                found[node] = found[lost]
            elif node.key in reasons and not store.has("records", node.key):
                found[node] = reasons[node.key]
    return found


@without_collection()
def to_run(plan: Plan, store: Contents, without: Container[Node] = (), keep: Collection[Node] = ()) -> list[Job]:
    """The jobs that the store cannot answer for, each after those that it needs. `without` these nodes.

    `keep` are nodes whose weights are wanted for good.
    """
    jobs, owner = _split(plan, without)
    for node in keep:
        if node in owner:
            owner[node].models.add(node.key)
    needed: list[Job] = []
    # Later jobs first: whether a training must run again for its weights depends on those that train on from them.
    for job in reversed(jobs):
        if not job.missing(store):
            continue
        needed.append(job)
        path = job.anchor.path()
        before = path[:-1] if job.trains else path
        weights = weights_before(before)
        if weights is not None:
            source = _node(before, weights.partition("-at-")[0])
            owner[source].weights.add(weights)
            job.reads = weights
            job.needs.add(owner[source])
        job.needs.update(owner[node] for node in before if makes_mask(node) and owner[node] is not job)
        job.needs.update(owner[node.adopts] for node in before if node.adopts)
    running = set(needed)
    for job in needed:
        job.needs &= running
    return needed[::-1]


def begun_elsewhere(jobs: list[Job], before: int, runs: int) -> list[Job]:
    """The same jobs, but each of so many `runs` on one store begins with other trees, and finds much done in the end.

    `before` is how many of them began earlier.
    """
    trees = list(dict.fromkeys(id(job.anchor.root) for job in jobs))
    first = before * len(trees) // runs
    order = {tree: number for number, tree in enumerate(trees[first:] + trees[:first])}
    return sorted(jobs, key=lambda job: order[id(job.anchor.root)])


def _node(path: list[Node], key: str) -> Node:
    return next(node for node in path if node.key == key)


def _split(plan: Plan, without: Container[Node]) -> tuple[list[Job], dict[Node, Job]]:
    jobs: list[Job] = []
    owner: dict[Node, Job] = {}
    for root in plan.roots:
        for node in root.walk():
            if node in without:
                continue
            if is_anchor(node):
                owner[node] = Job(node, [node])
                jobs.append(owner[node])
            else:
                assert node.parent is not None
                owner[node] = owner[node.parent]
                owner[node].nodes.append(node)
    idle = {job.anchor: job for job in jobs if not (job.records or job.masks)}
    working = [job for job in jobs if job.anchor not in idle]
    for job in working:
        above = job.anchor.parent
        while above is not None and owner[above].anchor in idle:
            job.lead += idle.pop(owner[above].anchor).nodes
            above = owner[above].anchor.parent
    return working, owner


@dataclass(frozen=True)
class Count:
    """How a plan's work divides up."""

    asked: int
    asked_trainings: int
    distinct: int
    distinct_trainings: int
    stored: int
    failed: int
    jobs: int
    trainings: int
    again: int


@without_collection()
def count(plan: Plan, jobs: list[Job], store: Contents, without: Collection[Node] = ()) -> Count:
    """Phases asked for by all cells, distinct ones, those in the store, and the trainings that are left.

    `without` are the nodes that failed in an earlier run, and are not run again.
    """
    spent = _spent(plan)
    nodes = list(plan.nodes())
    left = {node for job in jobs for node in job.phases}
    return Count(
        asked=sum(spent[cell.leaf][0] for cell in plan.cells),
        asked_trainings=sum(spent[cell.leaf][1] for cell in plan.cells),
        distinct=len(nodes),
        distinct_trainings=sum(isinstance(node.phase, Train) for node in nodes),
        stored=sum(node not in left and node not in without for node in nodes),
        failed=len(without),
        jobs=len(jobs),
        trainings=sum(job.trains for job in jobs),
        again=sum(job.trains and all(store.has("records", key) for key in job.records) for job in jobs),
    )


def _spent(plan: Plan) -> dict[Node, tuple[int, int]]:
    """How many phases each node's lineage has, and how many trainings."""
    found: dict[Node, tuple[int, int]] = {}
    for root in plan.roots:
        for node in root.walk():
            phases, trainings = found[node.parent] if node.parent is not None else (0, 0)
            own = [*(node.adopts.lineage() if node.adopts else ()), *([node] if node.phase is not None else ())]
            found[node] = phases + len(own), trainings + sum(isinstance(step.phase, Train) for step in own)
    return found


def describe(node: Node) -> str:
    """A few words for a progress line: the task, the seed, whom the work is for, and the last phases."""
    words = [_word(step.phase) for step in node.path()][-3:]
    return f"{node.root.task}, seed {node.root.seed}, {node.made_for or 'θ0'}: {' '.join(words) or 'untrained'}"


def _word(phase: Any) -> str:
    return f"Prune({phase.sparsity:g})" if isinstance(phase, Prune) else type(phase).__name__
