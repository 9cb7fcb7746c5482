"""What all parts of a job share: its spec, the store, the workspace, and where the time went."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.execution.fence import Snapshot
from prunebench.execution.measurements import Stopwatch
from prunebench.execution.workspace import Workspace, forget_model, workspace
from prunebench.hooks.files import local_copy
from prunebench.hooks.registry import Registry
from prunebench.planning.job_spec import JobSpec, PluginFile
from prunebench.pruning import bitmask, masks, structures
from prunebench.pruning.groups import Structure
from prunebench.recipes.strategy import Unit
from prunebench.runtime import devices, memory
from prunebench.store.schema import Experiment, WeightsRef
from prunebench.store.store import Store

Weights = dict[str, Tensor]


@dataclass
class State:
    """Where a recipe stands: its mask, what that is a mask of, and whether the weights are θ0 under that mask.

    `strategy_seconds` is what the code of strategies took on the way from θ0; None if a mask on it does not say.
    `network` is the model that phases at the end of a recipe have made, and `exact` the last one whose logits are those
    of the masked model; None while that is the workspace's model.
    """

    mask: masks.Mask | None = None
    structure: Structure = structures.WEIGHTS
    rewound: bool = False
    strategy_seconds: float | None = 0.0
    network: nn.Module | None = None
    exact: nn.Module | None = None

    @property
    def unit(self) -> Unit:
        """The name of the structure."""
        return self.structure.name

    def copy(self) -> State:
        return replace(self)

    def take_network(self, network: nn.Module, approximates: bool) -> None:
        """Go on with a model that a phase at the end of a recipe has made."""
        self.network = network
        if not approximates:
            self.exact = network

    def add_strategy_seconds(self, seconds: float) -> None:
        if self.strategy_seconds is not None:
            self.strategy_seconds += seconds


class Session:
    """A job at work. `workspace.model` is the one model of the process; its weights are set as the phases require.

    `encoder_before` is the share of zeros in the prunable matrices when the job's training began, `rewound_exactly`
    whether the weights were θ0 bit for bit then; None where they were not meant to be.
    """

    def __init__(self, job: JobSpec, store: Store) -> None:
        self.job = job
        self.store = store
        self.registry = _registry(tuple(job.plugins))
        devices.check_device(job.experiment.device)
        memory.reset_peak_memory(job.experiment.device)
        self.seconds = Stopwatch()
        self.workspace = self._load_workspace()
        self.encoder_before = 0.0
        self.rewound_exactly: bool | None = None
        self._remaining: tuple[masks.Mask | None, Weights] = None, {}

    @property
    def experiment(self) -> Experiment:
        return self.job.experiment

    @memory.without_collection()
    def _load_workspace(self) -> Workspace:
        return workspace(self.job.experiment, self.job.where, self.registry)

    def kept_weights(self, state: State) -> Weights:
        """Which entries of which parameters stay, as booleans on the model's device."""
        if state.mask is None:
            return {}
        if state.mask is not self._remaining[0]:
            groups = state.structure.groups(self.workspace.prunable)
            remaining = structures.expand(state.mask, groups, self.workspace.prunable)
            self._remaining = state.mask, {name: keep.to(self.experiment.device) for name, keep in remaining.items()}
        return self._remaining[1]

    def structure(self, unit: Unit) -> Structure:
        """The structure that a strategy's unit names."""
        return structures.look_up(unit, self.registry)

    def apply_mask(self, state: State) -> None:
        """Set pruned weights to zero, and skip pruned layers and no others."""
        structures.apply(self.workspace.model, self.kept_weights(state))

    @contextlib.contextmanager
    def fence(self, strategy: Any, *, moves: bool = False, training: bool = False) -> Iterator[None]:
        """A context for the strategy's own code, after which the model is what it was, or is loaded anew.

        Raises PrunebenchError, naming the change, where the code changed anything but the prunable weights, if it
        `moves` them, or all weights and the random state of torch, if it surrounds a `training`.
        """
        before = Snapshot.of(self.workspace.model, contents=not training)
        changes: list[str] = []
        try:
            yield
        finally:
            changes = sorted(before.changes(self.workspace.prunable.prunable if moves else (), randomness=training))
            if changes:
                before.restore_process()
                forget_model()
                self.workspace = self._load_workspace()
        if changes:
            more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
            raise PrunebenchError(
                f"strategy {strategy.name!r} changed {changes[0]}{more}",
                "a callback may change weights while it is entered, and leaves everything else as it was"
                if training
                else "prune(ctx, sparsity) may change the weights in ctx.weights, and nothing may change anything else",
            )

    @contextlib.contextmanager
    def strategy_time(self, state: State) -> Iterator[None]:
        """A context for the strategy's own code, whose time is booked at the recipe that stands at `state`."""
        before = self.seconds.strategy
        try:
            with self.seconds.of("strategy"):
                yield
        finally:
            state.add_strategy_seconds(self.seconds.strategy - before)

    def store_mask(self, key: str, state: State) -> None:
        """Store the mask of `state`, with the seconds that strategies took to find it."""
        assert state.mask is not None
        seconds = state.strategy_seconds
        self.store.add_bytes("masks", key, masks.pack(state.mask, None if seconds is None else round(seconds, 4)))

    def load_mask(self, key: str, state: State) -> None:
        """Make a stored mask the one of `state`."""
        packed = self.store.load("masks", key, bitmask.unpack)
        state.mask, state.strategy_seconds = masks.from_bits(packed), packed.seconds

    def store_weights(self, *references: WeightsRef) -> None:
        """Store the model's weights under those of the names that other jobs, or the user, want."""
        requested = {"weights": {weights.name for weights in self.job.weights}, "models": set(self.job.models)}
        for kind, weights in itertools.product(requested, references):
            if weights.name in requested[kind]:
                tensors = {name: tensor.contiguous().cpu() for name, tensor in self.workspace.copy().items()}
                self.store.add_bytes(kind, weights.name, safetensors.torch.save(tensors))

    def load_weights(self, reference: WeightsRef) -> Mapping[str, Tensor]:
        return self.store.load("weights", reference.name, safetensors.torch.load)


def forget_plugins() -> None:
    """Import plugin files anew for the next job of this process."""
    _registry.cache_clear()


@functools.lru_cache(maxsize=1)
def _registry(plugins: tuple[PluginFile, ...]) -> Registry:
    return Registry([local_copy(Path(plugin.path), plugin.text, plugin.siblings) for plugin in plugins])
