"""A plan becomes jobs: what runs together, what each job needs from others, and what the store already holds.

A job is a stretch of a tree. It starts at an *anchor*, a `Train` or a phase that sets the weights anew, and ends before
the next anchor. So a job is at most one training with all the pruning that directly follows it:

    Train ─┬─ Prune(.1) ─┬─ Rewind ── Train ── …          job 1: Train, Prune(.1), Prune(.5)
           │             └─ Reinit ── Train               job 2: (Rewind) Train …
           └─ Prune(.5) ─── Train                         job 3: (Reinit) Train      job 4: Train

Jobs hand on masks and scores. Full weights go through the store only where another job trains on from them, as job 4
does; a `Rewind` or a `Reinit` without results of its own is replayed by the job behind it, as its `lead`.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prunebench.planning.graph import Node, Plan, phases_of
from prunebench.planning.job_spec import JobSpec, PluginFile
from prunebench.recipes.phase import Phase
from prunebench.runtime.memory import without_collection
from prunebench.store.schema import Location, WeightsRef

# The kinds of things that stay in a store, of those that a job makes.
RESULTS = ("records", "masks", "models")


class Contents(Protocol):
    """What a store can answer without opening a file."""

    def has(self, kind: str, name: str) -> bool: ...


class ContentsWithFailures(Contents, Protocol):
    """The same, and why jobs failed, by key."""

    @property
    def failures(self) -> Mapping[str, str]: ...


@dataclass(eq=False)
class Job:
    """A stretch of a tree: its anchor, all its nodes, and the weights that other jobs want from it.

    `lead` are the phases before the anchor that no other job runs, such as a rewind. `reads` are the stored weights
    that it starts from, and those of teachers, `models` the keys of nodes whose weights are kept for good. When a job
    was split, its parts that follow the anchor set `resumes`, because its training ran in another part; the anchor is
    not among their nodes.
    """

    anchor: Node
    nodes: list[Node]
    weights: set[WeightsRef] = field(default_factory=set)
    needs: set[Job] = field(default_factory=set)
    reads: set[WeightsRef] = field(default_factory=set)
    lead: list[Node] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    resumes: bool = False

    @property
    def key(self) -> str:
        return self.anchor.key

    @property
    def after_training(self) -> WeightsRef:
        """The weights at the anchor."""
        return WeightsRef(training=self.anchor.key)

    @property
    def trains(self) -> bool:
        return self.anchor.phase is not None and self.anchor.phase.trains and not self.resumes

    @property
    def first(self) -> list[Node]:
        """The nodes whose parent is not in the job; of a job that resumes there may be several."""
        return [node for node in self.nodes if node.parent not in self.nodes]

    @property
    def phases(self) -> list[Node]:
        return [node for node in [*self.lead, *self.nodes] if node.step is not None]

    @property
    def records(self) -> list[str]:
        return [node.key for node in self.nodes if node.scored or (node.phase and node.phase.trains)]

    @property
    def masks(self) -> list[str]:
        return [node.key for node in self.nodes if makes_mask(node)]

    def missing(self, store: Contents, kinds: Sequence[str] = (*RESULTS, "weights")) -> bool:
        """Whether the store lacks anything of these kinds that the job makes."""
        outputs: dict[str, Collection[str]] = {
            "records": self.records,
            "masks": self.masks,
            "models": self.models,
            "weights": [weights.name for weights in self.weights],
        }
        return any(not store.has(kind, name) for kind in kinds for name in outputs[kind])

    def to_spec(
        self,
        where: Location,
        plugins: Sequence[PluginFile] = (),
        minutes: float | None = None,
        timeout: float | None = None,
        job_minutes: float | None = None,
        plan: str = "",
    ) -> JobSpec:
        """All that a worker needs. `plugins` are plugin files with their texts.

        `minutes` lie between two checkpoints of a training; None writes none. `timeout` limits the seconds of one call
        of a strategy, `job_minutes` the whole job. `plan` is the commitment of the plan.
        """
        return JobSpec(
            experiment=self.anchor.experiment,
            where=where,
            path=[node.to_spec() for node in self.anchor.path()],
            tree=[node.to_spec() for node in self.nodes if node is not self.anchor],
            anchor=self.anchor.key,
            resumes=self.resumes,
            scored=[node.key for node in self.nodes if node.scored],
            reads=sorted(self.reads, key=lambda weights: weights.name),
            weights=sorted(self.weights, key=lambda weights: weights.name),
            models=sorted(self.models),
            plugins=list(plugins),
            checkpoint_minutes=minutes,
            strategy_timeout=timeout,
            job_minutes=job_minutes,
            plan=plan,
        )


def split(job: Job) -> list[Job]:
    """The same work in smaller jobs: the anchor alone, and one job for each strategy's phases behind it.

    The seconds of a part without a scored node are in no record.
    """
    branches: dict[Any, list[Node]] = {}
    branch: dict[Node, Any] = {}
    for node in job.nodes[1:]:
        assert node.parent is not None
        # Phases of one strategy may share its scores, so they stay together.
        branch[node] = branch.get(node.parent, node.strategy or node)
        branches.setdefault(branch[node], []).append(node)
    start = _part(job, [job.anchor], lead=job.lead, reads=set(job.reads), needs=set(job.needs))
    if job.trains and branches:
        start.weights.add(job.after_training)
    started = [start] if start.records or start.masks or start.models else []
    reads = {*job.reads, job.after_training} if job.trains else job.reads
    needs = {*job.needs, *started}
    rest = [_part(job, nodes, reads=set(reads), needs=set(needs), resumes=True) for nodes in branches.values()]
    if not started:
        rest[0].lead = [*job.lead, job.anchor]
    return started + rest


def _part(job: Job, nodes: list[Node], **fields: Any) -> Job:
    keys = {node.key for node in nodes}
    weights = {weights for weights in job.weights if weights.training in keys}
    return Job(job.anchor, nodes, weights=weights, models=job.models & keys, **fields)


def is_anchor(node: Node) -> bool:
    return node.phase is None or node.phase.starts_job


def makes_mask(node: Node) -> bool:
    """Whether the mask after the node is stored; a shuffled one is drawn again from the one before it."""
    return bool(node.strategy)


def weights_before(path: Sequence[Node]) -> WeightsRef | None:
    """The stored weights that the state at the end of `path` starts from; None where it starts from θ0 or anew."""
    first = next((node.key for node in path if node.phase and node.phase.trains), "")
    for node in reversed(path):
        if node.phase is None:
            continue
        if node.phase.rewinds_to:
            return WeightsRef(training=first, at=node.phase.rewinds_to)
        if node.phase.sets_weights:
            return None
        if node.phase.trains or node.moves:
            return WeightsRef(training=node.key)
    return None


def failed_before(plan: Plan, store: ContentsWithFailures) -> dict[Node, str]:
    """The nodes that failed in an earlier run and those behind them, with the reason."""
    reasons = store.failures
    failed: dict[Node, str] = {}
    for tree in plan.trees if reasons else ():
        for node in tree.walk():
            cause = next((each for each in (node.parent, *node.inputs.values()) if each in failed), None)
            if cause is not None:
                failed[node] = failed[cause]
            elif node.key in reasons and not store.has("records", node.key):
                failed[node] = reasons[node.key]
    return failed


@without_collection()
def jobs_to_run(plan: Plan, store: Contents, skip: Container[Node] = (), keep: Collection[Node] = ()) -> list[Job]:
    """The jobs whose results the store lacks, each after those that it needs; nodes in `skip` are left out.

    `keep` are nodes whose weights are wanted for good.
    """
    jobs, owner = _stretches(plan, skip)
    for node in keep:
        if node in owner:
            owner[node].models.add(node.key)
    needed: list[Job] = []
    # Later jobs first: whether a training must run again for its weights depends on the jobs that train on from them.
    for job in reversed(jobs):
        if not job.missing(store):
            continue
        needed.append(job)
        path = job.anchor.path()
        before = path[:-1] if job.trains else path
        weights = weights_before(before)
        if weights is not None:
            source = next(node for node in before if node.key == weights.training)
            owner[source].weights.add(weights)
            job.reads.add(weights)
            job.needs.add(owner[source])
        job.needs.update(owner[node] for node in before if makes_mask(node) and owner[node] is not job)
        job.needs.update(owner[node.mask_source] for node in before if node.mask_source)
        for source in _weights_read(job, before):
            owner[source].weights.add(WeightsRef(training=source.key))
            job.reads.add(WeightsRef(training=source.key))
            job.needs.add(owner[source])
    running = set(needed)
    for job in needed:
        job.needs &= running
    return needed[::-1]


def _weights_read(job: Job, before: Sequence[Node]) -> Iterator[Node]:
    """The trainings whose weights the phases of a job read, and those that change weights on the path `before` it."""
    repeated = [node for node in before if node.phase and node.phase.changes_weights]
    for node in [*repeated, *job.phases]:
        yield from (source for each, source in node.inputs.items() if each.kind == "weights")


def stagger(jobs: list[Job], earlier: int, runs: int) -> list[Job]:
    """The same jobs in an order in which each of so many concurrent `runs` begins with different trees.

    `earlier` is how many of the runs began before this one. Each then finds much of the rest done by the others.
    """
    trees = list(dict.fromkeys(id(job.anchor.experiment) for job in jobs))
    first = earlier * len(trees) // runs
    order = {tree: number for number, tree in enumerate(trees[first:] + trees[:first])}
    return sorted(jobs, key=lambda job: order[id(job.anchor.experiment)])


def _stretches(plan: Plan, skip: Container[Node]) -> tuple[list[Job], dict[Node, Job]]:
    """All jobs that make results, and the job of every node."""
    jobs: list[Job] = []
    owner: dict[Node, Job] = {}
    for tree in plan.trees:
        for node in tree.walk():
            if node in skip:
                continue
            if is_anchor(node):
                owner[node] = Job(node, [node])
                jobs.append(owner[node])
            else:
                assert node.parent is not None
                owner[node] = owner[node.parent]
                owner[node].nodes.append(node)
    # A stretch without results is replayed by the job behind it.
    idle = {job.anchor: job for job in jobs if not (job.records or job.masks)}
    working = [job for job in jobs if job.anchor not in idle]
    for job in working:
        above = job.anchor.parent
        while above is not None and owner[above].anchor in idle:
            job.lead += idle.pop(owner[above].anchor).nodes
            above = owner[above].anchor.parent
    return working, owner


def describe(node: Node) -> str:
    """A few words for a progress line: the task, the seed, the cell that the work is for, and the last phases."""
    words = [_word(phase) for phase in phases_of(node.path())][-3:]
    experiment = node.experiment
    return f"{experiment.task}, seed {experiment.seed}, {node.purpose or 'θ0'}: {' '.join(words) or 'untrained'}"


def stage(node: Node) -> str:
    """What a job is at while it applies the phase of that node: `Prune(0.5) of mine`."""
    word = _word(node.phase) if node.phase else "θ0"
    return f"{word} of {node.strategy}" if node.strategy else word


def _word(phase: Phase) -> str:
    name = type(phase).__name__
    return name if phase.level is None or phase.trains else f"{name}({phase.level:g})"
