"""Ask a strategy for a mask of an exact sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.execution import strategy_calls
from prunebench.execution.calibration import evaluation_mode
from prunebench.execution.context import Context
from prunebench.execution.session import Session, State
from prunebench.planning.graph import Node
from prunebench.pruning import masks
from prunebench.recipes.axes import Selection
from prunebench.training.distillation import TeacherModel


class Pruner:
    """Prunes by the strategies of a job's nodes. Levels of one method below one node share its scores."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._scores: tuple[tuple[str, str], Mapping[str, Tensor], float] = ("", ""), {}, 0.0

    def prune(self, node: Node, sparsity: float, state: State, selection: Selection) -> masks.Mask:
        """The mask of the node's strategy, with exactly the units pruned that `sparsity` and `selection` require."""
        session = self.session
        strategy = self.strategy(node, state)
        assert state.mask is not None
        context = self.context(state, selection)
        moves = hasattr(strategy, "prune")
        # A ramp prunes in the middle of a training, whose dropout is not for strategies.
        evaluation = evaluation_mode(session.workspace.model)
        with evaluation, session.fence(strategy, moves=moves):
            if moves:
                with session.strategy_time(state):
                    return strategy_calls.prune_with(strategy, context, sparsity)
            scores = self._scores_of(node, strategy, context, state)
        return strategy_calls.keep_highest(strategy, scores, state.mask, sparsity, selection, context.budget)

    def _scores_of(self, node: Node, strategy: Any, context: Context, state: State) -> Mapping[str, Tensor]:
        """The strategy's scores at the node. Each level that shares them needs them, and is charged their seconds."""
        key = node.parent.key if node.parent else "", node.strategy
        # During a training the weights change between two calls; behind a node they do not.
        if (node.phase and node.phase.trains) or self._scores[0] != key:
            watch = self.session.seconds
            before = watch.strategy
            with watch.of("strategy"):
                scores = strategy_calls.scores(strategy, context)
            self._scores = key, scores, watch.strategy - before
        state.add_strategy_seconds(self._scores[2])
        return self._scores[1]

    def strategy(self, node: Node, state: State) -> Any:
        """The strategy of the node, after the mask of `state` has become one of its units.

        Raises PrunebenchError if it was edited since it was planned, or prunes other units than those of the mask.
        """
        session = self.session
        assert node.step is not None
        strategy = session.registry.strategy(node.strategy)
        if session.registry.identity(strategy)["source"] != node.step.code:
            raise PrunebenchError(
                f"strategy {node.strategy!r} was edited after it was planned", "run the same command again"
            )
        if state.mask is None:
            state.structure = session.structure(strategy.unit)
            groups = state.structure.groups(session.workspace.prunable)
            state.mask = masks.full({name: group.shape for name, group in groups.items()})
        if state.unit != strategy.unit:
            raise PrunebenchError(
                f"strategy {node.strategy!r} prunes units {strategy.unit!r} of a mask of {state.unit!r}"
            )
        return strategy

    def context(self, state: State, selection: Selection, teacher: TeacherModel | None = None) -> Context:
        """What the strategy is given, for the model as it stands, and in a training that has one its teacher."""
        workspace, experiment = self.session.workspace, self.session.experiment
        assert state.mask is not None
        return Context(
            workspace.prunable,
            state.mask,
            state.structure,
            workspace.train,
            selection=selection,
            initial=workspace.theta0,
            seed=experiment.seed,
            batch_size=workspace.protocol.batch_size,
            precision=experiment.precision,
            device=experiment.device,
            teacher=teacher,
        )
