"""Call a strategy for scores or a mask. An error in its code is reported under its name, in one line."""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.execution.context import Context
from prunebench.execution.profiling import profiled_call
from prunebench.hooks.plugins import error_line
from prunebench.pruning import masks
from prunebench.pruning.budgets import Budget
from prunebench.pruning.selection import select, violations
from prunebench.recipes.axes import Pattern, Selection
from prunebench.runtime.debugging import is_debugging
from prunebench.runtime.limits import Expired, watched_call
from prunebench.runtime.output import named_output
from prunebench.runtime.signals import received_signals
from prunebench.runtime.text import LIMIT, clean


class PluginError(PrunebenchError):
    """The code of `who`, a strategy or a phase, raised. The traceback is kept with the failure."""

    def __init__(self, who: str, error: BaseException) -> None:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f"{Path(frame.tb_frame.f_code.co_filename).name}, line {frame.tb_lineno}" if frame else ""
        # Short enough for the place in the file to remain.
        super().__init__(f"{who} raised {clean(error_line(error), LIMIT - 256)}", where)

    def __reduce__(self) -> tuple[type[PrunebenchError], tuple[str, str]]:
        return PrunebenchError, (self.message, self.hint)


@contextmanager
def plugin_code(kind: str, name: str) -> Iterator[None]:
    """A context for the code of a strategy or phase, whose output is reported under its name.

    Whatever it raises becomes a PluginError, even SystemExit and KeyboardInterrupt. A PrunebenchError passes, and so
    do the end of a job at its limit and the KeyboardInterrupt of a signal that this process has received. For a
    debugger nothing is changed.
    """
    if is_debugging():
        yield
        return
    with received_signals() as signals, named_output(name):
        try:
            yield
        except (PrunebenchError, Expired):
            raise
        except BaseException as error:
            if signals:
                raise
            raise PluginError(f"{kind} {name!r}", error) from error


def scores(strategy: Any, context: Context) -> dict[str, Tensor]:
    """The scores of every group by `strategy.score`."""
    return _tensors(strategy, call(strategy, strategy.score, context), "scores")


def keep_highest(
    strategy: Any,
    scores: Mapping[str, Tensor],
    mask: masks.Mask,
    sparsity: float,
    selection: Selection,
    budget: Budget | None = None,
) -> masks.Mask:
    """The mask in which the units of lowest score are gone, as many as sparsity and selection or budget require."""
    result: masks.Mask
    if budget is not None:
        result = call(strategy, budget.select, scores, mask, sparsity)
        return result
    result = call(strategy, select, scores, mask, sparsity, selection.scope, selection.pattern)
    return result


def prune_with(strategy: Any, context: Context, sparsity: float) -> masks.Mask:
    """The mask of a strategy that defines `prune(ctx, sparsity)`, which may also move the weights that stay.

    Raises PrunebenchError unless the mask has the required count and pattern, and all that was gone still is.
    """
    # The strategy gets a copy: what it does to its mask in place must not reach other branches.
    before, context.mask = context.mask, {name: keep.clone() for name, keep in context.mask.items()}
    answer = call(strategy, strategy.prune, context, sparsity)
    pattern = context.selection.pattern
    return checked_mask(strategy, answer, before, level_fault(context, sparsity), pattern)


def checked_mask(
    strategy: Any,
    answer: Any,
    before: masks.Mask,
    fault: Callable[[masks.Mask], str] | None,
    pattern: Pattern | None = None,
    regrows: bool = False,
) -> masks.Mask:
    """The mask that a strategy gave in place of the mask `before`, on the CPU, in its own storage.

    Raises PrunebenchError unless its names and shapes are those of `before`, `fault` finds none in its level (None: any
    level, and any pattern), it follows the pattern, and all units that were gone before still are, unless the strategy
    `regrows`.
    """
    tensors = _tensors(strategy, answer, "a mask")
    mask = {name: tensors[name].detach().to("cpu", dtype=torch.bool, copy=True) for name in before if name in tensors}
    if tensors.keys() != before.keys() or any(mask[name].shape != keep.shape for name, keep in before.items()):
        raise PrunebenchError(f"strategy {strategy.name!r} gave a mask of other names or shapes than ctx.mask")
    if fault is not None and (reason := fault(mask)):
        raise PrunebenchError(f"strategy {strategy.name!r} {reason}")
    if pattern is not None and fault is not None and (wrong := violations(mask, pattern)):
        name, number = next(iter(wrong.items()))
        raise PrunebenchError(
            f"strategy {strategy.name!r} broke the pattern {pattern} {number} times in {name!r}",
            "ctx.select(scores, sparsity) gives masks that follow it",
        )
    if not regrows and any((keep & ~before[name]).any() for name, keep in mask.items()):
        raise PrunebenchError(
            f"strategy {strategy.name!r} brought pruned units back",
            "what is gone stays gone, unless the class has regrows = True and does it while it trains",
        )
    return mask


def level_fault(context: Context, sparsity: float) -> Callable[[masks.Mask], str]:
    """The `fault` of `checked_mask` for that sparsity: another number of pruned units, or another cost of them."""
    if context.budget is not None:
        return functools.partial(context.budget.fault, sparsity=sparsity)
    return functools.partial(masks.count_fault, context.count(sparsity))


def _tensors(strategy: Any, answer: Any, what: str) -> dict[str, Tensor]:
    """The answer of a strategy, if it is a mapping of names to tensors."""
    if not isinstance(answer, Mapping):
        raise PrunebenchError(
            f"strategy {strategy.name!r} gave {reprlib.repr(answer)} as {what}", "expected a tensor for each name"
        )
    for name, value in answer.items():
        if not isinstance(value, Tensor):
            raise PrunebenchError(
                f"strategy {strategy.name!r} gave {type(value).__name__} for {name!r} as {what}", "expected a tensor"
            )
    return dict(answer)


def call(strategy: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a strategy; whatever it raises is reported under the name of the strategy."""
    with plugin_code("strategy", strategy.name), _time_limit(strategy):
        try:
            # The core selects by the scores for the strategy.
            is_own = getattr(function, "__name__", "") != select.__name__
            return profiled_call(strategy.name, function, *arguments) if is_own else function(*arguments)
        except PrunebenchError as error:
            raise PrunebenchError(f"strategy {strategy.name!r}: {error.message}", error.hint) from error


def _time_limit(strategy: Any) -> AbstractContextManager[None]:
    """The limit of a call of the strategy; a debugger has none."""
    return nullcontext() if is_debugging() else watched_call(f"strategy {strategy.name!r}")
