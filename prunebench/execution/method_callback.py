"""The callback of a strategy in a training: its calls are timed and charged to it, and its masks are checked."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.execution import strategy_calls
from prunebench.execution.context import Context
from prunebench.pruning import masks
from prunebench.recipes.axes import Pattern
from prunebench.recipes.schedules import Cubic
from prunebench.training.callbacks import Training, TrainingCallback

if TYPE_CHECKING:
    from prunebench.execution.session import Session, State, Weights


class MethodCallback(TrainingCallback):
    """Stands between the loop and what `strategy.training(ctx)` returns. Masks are by group there, by parameter here.

    `sparsity` says how much is pruned on the way: what the recipe has pruned `before` (None), what the cubic has at
    that step, or what the strategy likes until the end, where the model has that sparsity (a number). Under a budget
    of parameters or FLOPs it is the cost of the units that counts.
    """

    def __init__(
        self,
        strategy: Any,
        session: Session,
        context: Context,
        state: State,
        sparsity: Cubic | float | None,
        before: float = 0.0,
    ) -> None:
        self.strategy = strategy
        self.session = session
        self.context = context
        self.state = state
        self.sparsity = sparsity
        self.before = before
        self.regrows = bool(getattr(strategy, "regrows", False))
        self.begins_with, self.units = masks.pruned(context.mask), masks.units(context.mask)
        self.selection, self.budget = context.selection, context.budget

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.session.fence(self.strategy, training=True))
            self.callback: TrainingCallback = self._call(self.strategy.training, self.context)
            if not isinstance(self.callback, TrainingCallback):
                raise PrunebenchError(
                    f"strategy {self.strategy.name!r} gave {type(self.callback).__name__} as its callback",
                    "training(ctx) returns a prunebench.TrainingCallback",
                )
            self._call(self.callback.__enter__)
            stack.push(self._exit)
            self.stack = stack.pop_all()
        return self

    def _exit(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._call(self.callback.__exit__, kind, value, traceback)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stack.__exit__(kind, value, traceback)

    def parameters(self) -> Iterable[Mapping[str, Any]]:
        return list(self._call(self.callback.parameters))

    def begin(self, training: Training) -> None:
        self.run = training
        self.hidden_states = self.callback.hidden_states
        self._look_up()
        self._call(self.callback.begin, training)

    def loss(self, loss: Tensor, outputs: Any, batch: Mapping[str, Tensor]) -> Tensor:
        if not self._has("loss"):
            return loss
        self._look_up()
        answer: Tensor = self._call(self.callback.loss, loss, outputs, batch)
        return answer

    def after_backward(self, step: int) -> None:
        if self._has("after_backward"):
            self._call(self.callback.after_backward, step)

    def after_step(self, step: int) -> Weights | None:
        self._look_up()
        answer = self._call(self.callback.after_step, step) if self._has("after_step") else None
        if answer is None:
            return None
        when = f"after step {step} of {self.run.total}"
        return self._adopt(answer, when, None if isinstance(self.sparsity, int | float) else self._fault())

    def final_mask(self) -> Weights:
        """The final mask, whose count is exact; it is applied even if the strategy never changed it."""
        answer = self._call(self.callback.final_mask)
        mask = self.context.mask if answer is None else answer
        return self._adopt(mask, "at the end of the training", self._fault(), self.selection.pattern)

    def state_dict(self) -> dict[str, Tensor]:
        answer: dict[str, Tensor] = self._call(self.callback.state_dict)
        return answer

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._call(self.callback.load_state_dict, state)

    def _look_up(self) -> None:
        """Tell the context how far the training is. A checkpoint may have moved it since the last call."""
        self.context.progress, self.context.level = self.run.progress, self._level

    @property
    def _level(self) -> float:
        """The sparsity that a mask must have now, or at the end if it is free until then."""
        if isinstance(self.sparsity, Cubic):
            progress = self.run.progress
            return self.sparsity.at(progress.step / progress.total)
        if self.sparsity is not None:
            return self.sparsity
        return self.before if self.budget is not None else self.begins_with / self.units

    def _fault(self) -> Callable[[masks.Mask], str]:
        """What says why a mask does not have that level. The context is the strategy's own, and is not asked."""
        if self.budget is not None:
            return functools.partial(self.budget.fault, sparsity=self._level)
        if self.sparsity is None:
            return functools.partial(masks.count_fault, self.begins_with)
        return functools.partial(masks.count_fault, self.selection.count(self._level, self.units))

    def _adopt(
        self, answer: Any, when: str, fault: Callable[[masks.Mask], str] | None, pattern: Pattern | None = None
    ) -> Weights:
        """Check a mask by group, and make it the mask of the training. An error says `when` the mask came."""
        assert self.state.mask is not None
        try:
            mask = strategy_calls.checked_mask(self.strategy, answer, self.state.mask, fault, pattern, self.regrows)
        except PrunebenchError as error:
            raise PrunebenchError(f"{error.message}, {when}", error.hint) from error
        self.state.mask = mask
        self.context.mask = dict(mask)
        return self.session.kept_weights(self.state)

    def _has(self, name: str) -> bool:
        """Whether the callback defines that method; a call costs 0.05 ms, several times in each step."""
        return getattr(type(self.callback), name) is not getattr(TrainingCallback, name)

    def _call(self, function: Any, *arguments: Any) -> Any:
        with self.session.strategy_time(self.state):
            return strategy_calls.call(self.strategy, function, *arguments)
