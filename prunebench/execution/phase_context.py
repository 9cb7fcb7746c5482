"""What a phase is given to apply itself: the model as it stands, its mask, and what only the core may do to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.execution.trainer import train
from prunebench.execution.workspace import Workspace
from prunebench.models.encoder import PrunableModel
from prunebench.models.initialisation import permute_layers, reinitialise
from prunebench.planning.graph import phases_of
from prunebench.pruning import compaction, masks
from prunebench.pruning.budgets import budget_of
from prunebench.pruning.selection import shuffle
from prunebench.recipes.axes import Pattern, Selection
from prunebench.recipes.inputs import Input
from prunebench.recipes.phase import final_selection, final_sparsity
from prunebench.recipes.phases import Train
from prunebench.recipes.strategy import Unit
from prunebench.runtime.seeds import derive
from prunebench.store.schema import WeightsRef
from prunebench.training.loop import Outcome

if TYPE_CHECKING:
    from prunebench.execution.pruner import Pruner
    from prunebench.execution.session import Session, State
    from prunebench.planning.graph import Node


# The lowest scores of all groups go.
ANY = Selection()


class PhaseContext:
    """What `Phase.apply(ctx)` is given.

    A phase that changes weights changes the parameters of `model` in place; one that draws a mask sets `mask`; one
    that ends a recipe may set `network`, the model that is scored: `model`, or what the phase before has made of it.
    Pruned weights are set to zero after the phase.

    Attributes:
        seed: the seed of the run. `generator` gives random numbers that depend on it.
        outcome: what a training cost, once `train` was called.
    """

    def __init__(self, workspace: Workspace, seed: int, state: State) -> None:
        self.seed = seed
        self.network: nn.Module = state.network or workspace.model
        self.outcome: Outcome | None = None
        self._workspace = workspace
        self._state = state

    @property
    def prunable(self) -> PrunableModel:
        """The model with the names of its layers and of its prunable matrices."""
        return self._workspace.prunable

    @property
    def model(self) -> nn.Module:
        """The model of transformers, on its device, in evaluation or training mode as it stands."""
        return self._workspace.model

    @property
    def unit(self) -> Unit:
        """What the mask is a mask of."""
        return self._state.unit

    @property
    def mask(self) -> masks.Mask | None:
        """The mask by group name (True stays), or None before anything is pruned."""
        return self._state.mask

    @mask.setter
    def mask(self, mask: masks.Mask) -> None:
        self._state.mask = mask

    def generator(self, purpose: str) -> torch.Generator:
        """A CPU generator that depends on the run's seed and on `purpose`, and on nothing else."""
        return torch.Generator().manual_seed(derive(self.seed, purpose))

    def reinitialise(self) -> None:
        """Draw every parameter from the model's own initialiser."""
        reinitialise(self.prunable, self.seed)

    def permute_layers(self) -> None:
        """Put the encoder's layers into a random order."""
        permute_layers(self.prunable, self.seed)

    def shuffle_mask(self, counts: str, pattern: Pattern | None = None) -> None:
        """Draw a random mask with the counts of the present one in each group ("layer") or overall ("global").

        It follows `pattern`, if the present mask does.
        """
        if self.mask is not None:  # at sparsity 0 there is nothing to shuffle
            self.mask = shuffle(self.mask, counts, self.generator("shuffle"), pattern)

    def compact(self) -> None:
        """Score a model without the pruned heads, neurons or layers."""
        if self.mask is not None:
            self.network = compaction.compact(self.prunable, self.mask, self._state.structure)

    def prune(self, sparsity: float, selection: Selection = ANY) -> None:
        """Take the mask that the strategy chooses, with exactly the units pruned that `sparsity` requires."""
        raise PrunebenchError("this phase cannot prune here")

    def train(self, options: Train | None = None) -> None:
        """Train by the task's protocol, as `options` say."""
        raise PrunebenchError("this phase cannot train here")

    def take_mask(self, key: str, unit: Unit) -> None:
        """Take the stored mask of the node `key`, a mask of such units."""
        raise PrunebenchError("this phase cannot take a mask here")

    def weights_of(self, source: Input) -> Mapping[str, Tensor]:
        """The weights that one of the phase's `inputs` names, by parameter name, on the CPU."""
        raise PrunebenchError("this phase cannot read weights here")


class JobContext(PhaseContext):
    """A context in a job, where masks are stored and a strategy can be asked."""

    def __init__(self, session: Session, pruner: Pruner | None, node: Node, state: State) -> None:
        super().__init__(session.workspace, session.experiment.seed, state)
        self._session = session
        self._pruner = pruner
        self._node = node

    def prune(self, sparsity: float, selection: Selection = ANY) -> None:
        if self._pruner is None or not self._node.strategy:
            super().prune(sparsity, selection)
        else:
            self.mask = self._pruner.prune(self._node, sparsity, self._state, selection)
            self._session.store_mask(self._node.key, self._state)

    def train(self, options: Train | None = None) -> None:
        if self._pruner is None or self.outcome is not None:
            super().train(options)
        else:
            options = options or Train()
            teachers = [self.weights_of(source) for source in options.inputs]
            self.outcome = train(self._session, self._pruner, self._node, self._state, options, teachers)

    def weights_of(self, source: Input) -> Mapping[str, Tensor]:
        return self._session.load_weights(WeightsRef(training=self._node.inputs[source].key))

    def shuffle_mask(self, counts: str, pattern: Pattern | None = None) -> None:
        phases = phases_of(self._node.path())
        budget = budget_of(self.prunable, self._state.structure, final_selection(phases).budget)
        # The same counts in each group cost the same, unless units are part of others.
        if self.mask is None or budget is None or (counts == "layer" and not budget.containers):
            super().shuffle_mask(counts, pattern)
        else:
            ranks, whole = masks.random_ranks(self.mask, self.generator("shuffle"))
            self.mask = budget.select(ranks, whole, final_sparsity(phases))

    def take_mask(self, key: str, unit: Unit) -> None:
        self._state.structure = self._session.structure(unit)
        self._session.load_mask(key, self._state)
