"""One job: bring the model into the state that its stretch starts from, train if it trains, prune, score, store.

A job is JSON, so that it can run in any process; the registry is rebuilt from names there.
"""

from __future__ import annotations

import functools
import itertools
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.execution import measurements, strategy_calls
from prunebench.execution.checkpoints import Checkpoints
from prunebench.execution.context import Context
from prunebench.execution.replay import State, Step, first_after, snapshots
from prunebench.execution.workspace import Subject, forget, subject
from prunebench.hooks.plugins import at_hand
from prunebench.hooks.registry import Registry
from prunebench.models.encoder import permute_layers, reinitialise
from prunebench.planning.jobs import Failure, weights_before
from prunebench.pruning import compaction, masks, structures
from prunebench.recipes import phases
from prunebench.recipes.phases import Adopt, Compact, PermuteLayers, Prune, Reinit, Shuffle, Train
from prunebench.runtime import devices, memory, progress
from prunebench.runtime.environment import environment
from prunebench.runtime.seeds import derive
from prunebench.store.serialization import FORMAT
from prunebench.store.store import InputMissing, Store, StoreError
from prunebench.training import loop

Weights = dict[str, Tensor]


@functools.lru_cache(maxsize=1)
def _registry(plugins: tuple[tuple[str, str], ...]) -> Registry:
    return Registry([at_hand(Path(path), text) for path, text in plugins])


def run(job: dict[str, Any], store: str) -> list[Failure]:
    """Run a job and put all that it makes into the store; return the branches that failed, if any."""
    memory.keep_memory()
    with progress.working_on(job["anchor"]):
        try:
            worker = Worker(job, Store.open(store))
            worker.run()
        except BaseException as error:
            forget()
            if memory.out_of_memory(error):
                raise PrunebenchError(
                    "it ran out of memory", "fewer --jobs or a smaller --batch-size need less"
                ) from error
            raise
    return worker.failures


class Worker:
    """A job at work. `subject.model` is the one model of the process; its weights are set as the phases say."""

    def __init__(self, job: dict[str, Any], store: Store) -> None:
        self.job = job
        self.store = store
        self.root = job["root"]
        self.seed = self.root["seed"]
        self.registry = _registry(tuple((path, text) for path, text in job["plugins"]))
        devices.check_device(self.root["device"])
        memory.reset_peak_memory(self.root["device"])
        self.seconds = measurements.Seconds()
        self.failures: list[Failure] = []
        self.scores: tuple[tuple[str, str], Mapping[str, Tensor]] = ("", ""), {}
        self.kept: tuple[masks.Mask | None, Weights] = None, {}
        with memory.without_collection():
            self.subject: Subject = subject(self.root, self.registry)
        self.path = [Step.read(data) for data in job["path"]]
        self.tree = [Step.read(data) for data in job["tree"]]
        self.checkpoints = Checkpoints(store, job["anchor"], job["checkpoint_minutes"])
        self.encoder_before = 0.0
        self.rewound_exactly: bool | None = None

    def run(self) -> None:
        at_training = bool(self.path) and isinstance(self.path[-1].phase, Train)
        trains = at_training and not self.job["resumes"]
        state = self.replay(self.path[:-1] if trains else self.path)
        self.encoder_before = structures.encoder_sparsity(self.subject.prunable)
        if at_training and self.job["resumes"]:
            self.recall()
        self.seconds.add("load")
        outcome = self.checkpoints.guarding(functools.partial(self.train, self.path[-1], state)) if trains else None
        scored = trains or self.job["anchor"] in self.job["scored"]
        result = self.score(self.path[-1], self.path, state, self.subject.model, outcome) if scored else None
        try:
            self.keep_weights(self.job["anchor"])
            self.visit(self.job["anchor"], self.path, state)
        finally:
            # Last, so that its seconds hold the pruning that follows it.
            if result is not None:
                self.keep_record(*result)
        self.checkpoints.discard()

    def recall(self) -> None:
        """Say of the training before, which another job has run, what this one would have seen of its start."""
        record = self.store.record(self.job["anchor"])
        if record is None:
            raise InputMissing(f"the record of {self.job['anchor']} is gone")
        self.encoder_before = record["sparsity"]["encoder_before"]
        self.rewound_exactly = record["checks"]["rewound_exactly"]

    # The state at a node

    def replay(self, path: list[Step]) -> State:
        """Put the model into the state at the end of `path` from what is stored, and say what that is."""
        name = weights_before(path)
        theta0 = self.subject.theta0
        self.subject.load(self.store.load("weights", name, safetensors.torch.load) if name else theta0)
        start = first_after(path, name)
        state = State(rewound=name is None)
        # Each stored mask holds those before it.
        masked = phases.last([step.phase for step in path], phases.stores_mask)
        for i, step in enumerate(path):
            if i >= masked or not phases.changes_mask(step.phase):
                self.replay_step(step, state, weights=i >= start)
        self.apply(state)
        return state

    def replay_step(self, step: Step, state: State, weights: bool) -> None:
        """Follow a phase that is over: its mask, and what it did to the weights where they are not stored."""
        phase = step.phase
        if phases.asks_strategy(phase):
            state.unit = self.registry.strategy(step.strategy).unit
            state.mask = self.store.load("masks", step.key, masks.unpack)
        elif isinstance(phase, Adopt):
            state.unit = phase.unit
            state.mask = self.store.load("masks", phase.mask, masks.unpack)
        elif isinstance(phase, Shuffle):
            self.shuffle(phase, state)
        elif isinstance(phase, Reinit) and weights:
            reinitialise(self.subject.prunable, self.seed)
            state.rewound = False
        elif isinstance(phase, PermuteLayers) and weights:
            permute_layers(self.subject.prunable, self.seed)
            state.rewound = False

    def shuffle(self, phase: Shuffle, state: State) -> None:
        if state.mask is None:  # at sparsity 0 there is nothing to shuffle
            return
        generator = torch.Generator().manual_seed(derive(self.seed, "shuffle"))
        state.mask = masks.shuffle(state.mask, phase.counts, generator)

    def keep(self, state: State) -> Weights:
        """Which entries of which parameters stay, on the model's device."""
        if state.mask is None:
            return {}
        if state.mask is not self.kept[0]:
            groups = structures.groups(self.subject.prunable, state.unit)
            kept = structures.expand(state.mask, groups, self.subject.prunable)
            self.kept = state.mask, {name: keep.to(self.root["device"]) for name, keep in kept.items()}
        return self.kept[1]

    def apply(self, state: State) -> None:
        structures.apply(self.subject.model, self.keep(state))

    # The phases

    def train(self, step: Step, state: State) -> loop.Outcome:
        assert isinstance(step.phase, Train)
        self.rewound_exactly = self.subject.is_rewound(self.keep(state)) if state.rewound else None
        steps = loop.steps_of(len(self.subject.train), self.subject.protocol)
        ramp = step.phase.sparsity.steps(steps) if step.phase.sparsity else {}
        begun, mask = self.checkpoints.begun(name for name in self.job["weights"] if name.startswith(f"{step.key}-at-"))
        if mask:
            state.mask = mask
            state.unit = self.registry.strategy(step.strategy).unit if ramp else state.unit
        keep = self.keep(state)

        def remask(sparsity: float) -> Weights:
            state.mask = self.prune(step, sparsity, state)
            return self.keep(state)

        outcome = loop.train(
            self.subject.model,
            self.subject.train,
            self.subject.protocol,
            self.seed,
            keep,
            precision=self.root["precision"],
            device=self.root["device"],
            events=loop.Events(
                masks={at: functools.partial(remask, level) for at, level in ramp.items()},
                snapshots=self.snapshots(step.key, steps),
                midway=self.checkpoints.midway(lambda: state.mask or {}, begun),
            ),
        )
        state.rewound = False
        if ramp and state.mask is not None:
            self.store.add_bytes("masks", step.key, masks.pack(state.mask))
        self.seconds.add("train")
        return outcome

    def snapshots(self, training: str, steps: int) -> dict[int, Callable[[], None]]:
        """What is to be kept of the weights in the middle of the training of so many steps, by step."""
        names = snapshots(self.job["weights"], training, steps)
        return {step: functools.partial(self.keep_weights, *wanted) for step, wanted in names.items()}

    def prune(self, step: Step, sparsity: float, state: State) -> masks.Mask:
        """The strategy's mask with exactly the units gone that `sparsity` asks for."""
        text, place = step.strategy, step.parent
        strategy = self.registry.strategy(text)
        if self.registry.identity(strategy)["source"] != step.code:
            raise PrunebenchError(f"strategy {text!r} was edited after it was planned", "run the same command again")
        groups = structures.groups(self.subject.prunable, strategy.unit)
        if state.mask is None:
            state.unit, state.mask = strategy.unit, masks.full({name: group.shape for name, group in groups.items()})
        if state.unit != strategy.unit:
            raise PrunebenchError(f"strategy {text!r} prunes units {strategy.unit!r} of a mask of {state.unit!r}")
        gone = masks.pruned_count(sparsity, masks.units(state.mask))
        context = Context(
            self.subject.prunable,
            state.mask,
            state.unit,
            self.subject.train,
            initial=self.subject.theta0,
            seed=self.seed,
            batch_size=self.subject.protocol.batch_size,
            precision=self.root["precision"],
            device=self.root["device"],
        )
        with self.seconds.of("strategy"):
            if hasattr(strategy, "prune"):
                return strategy_calls.moved(strategy, context, sparsity, gone)
            # Levels of one method under one node prune by the same scores: the weights and the mask are the same.
            if not place or self.scores[0] != (place, text):
                self.scores = (place, text), strategy_calls.scores(strategy, context)
        return strategy_calls.lowest(strategy, self.scores[1], state.mask, gone)

    def visit(self, key: str, path: list[Step], state: State) -> None:
        """Run what follows the node before the next training; branches start from the same weights.

        A branch that fails by its own strategy's fault costs no other branch anything.
        """
        steps = [step for step in self.tree if step.parent == key]
        before = self.subject.copy() if len(steps) > 1 else None
        for i, step in enumerate(steps):
            if before is not None and i:
                self.subject.load(before)
            try:
                self.step(step, [*path, step], State(state.mask, state.unit, state.rewound))
            except (StoreError, InputMissing):
                raise
            except PrunebenchError as error:
                self.failures.append(Failure(step.key, str(error), "".join(traceback.format_exception(error))))

    def step(self, step: Step, path: list[Step], state: State) -> None:
        phase = step.phase
        model: torch.nn.Module = self.subject.model
        if isinstance(phase, Prune):
            state.mask = self.prune(step, phase.sparsity, state)
            self.store.add_bytes("masks", step.key, masks.pack(state.mask))
        elif isinstance(phase, Shuffle):
            self.shuffle(phase, state)
        elif isinstance(phase, PermuteLayers):
            permute_layers(self.subject.prunable, self.seed)
        elif isinstance(phase, Compact) and state.mask is not None:
            model = compaction.compact(self.subject.prunable, state.mask, state.unit)
        self.apply(state)
        self.keep_weights(step.key)
        self.seconds.add("prune")
        if step.key in self.job["scored"]:
            self.keep_record(*self.score(step, path, state, model, None))
        self.visit(step.key, path, state)

    def score(
        self, step: Step, path: list[Step], state: State, model: torch.nn.Module, outcome: loop.Outcome | None
    ) -> tuple[dict[str, Any], bytes]:
        """Evaluate `model`, which is the subject's or made from it: the record of the node, and its logits."""
        evaluations, logits, seconds = measurements.evaluate(self.subject, model, self.root)
        self.seconds.add("evaluate")
        record = {
            "format": FORMAT,
            "key": step.key,
            "status": "done",
            "root": {name: value for name, value in self.root.items() if name != "where"},
            "phases": [{**phases.to_json(step.phase), "strategy": step.strategy} for step in path],
            "evaluations": evaluations,
            **measurements.cost(outcome),
            **measurements.sizes(self.subject, state.mask, state.unit, self.keep(state), model, self.encoder_before),
            "checks": {
                "rewound_exactly": self.rewound_exactly,
                **measurements.checks(self.subject, [step.phase for step in path], state.mask, self.keep(state)),
                **measurements.agreement(self.subject, model, self.root["device"]),
            },
            "environment": environment(self.root["device"]),
            "seconds": {"predict": round(seconds, 4)},
        }
        self.seconds.add("prune")
        return record, logits

    def keep_record(self, record: dict[str, Any], logits: bytes) -> None:
        """Store a record with the seconds since the last one was stored, and the job's peak memory until now."""
        peak = round(memory.peak_memory_mb(self.root["device"]), 1)
        seconds = self.seconds.to_json() | record["seconds"]
        self.store.add_record({**record, "seconds": seconds, "peak_memory_mb": peak}, logits)
        self.seconds = measurements.Seconds()

    def keep_weights(self, *names: str) -> None:
        for kind, name in itertools.product(("weights", "models"), names):
            if name in self.job[kind]:
                tensors = {key: tensor.contiguous().cpu() for key, tensor in self.subject.copy().items()}
                self.store.add_bytes(kind, name, safetensors.torch.save(tensors))
