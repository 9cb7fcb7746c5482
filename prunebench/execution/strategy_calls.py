"""Ask a strategy for scores or a mask. What goes wrong in its code is told as its own, in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.execution.context import Context
from prunebench.pruning import masks


class StrategyError(PrunebenchError):
    """A strategy's own code raised. The traceback is kept with the failure."""

    def __init__(self, name: str, error: Exception) -> None:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f"{Path(frame.tb_frame.f_code.co_filename).name}, line {frame.tb_lineno}" if frame else ""
        super().__init__(f"strategy {name!r} raised {type(error).__name__}: {error}", where)

    def __reduce__(self) -> tuple[type[PrunebenchError], tuple[str, str]]:
        return PrunebenchError, (self.message, self.hint)


def scores(strategy: Any, context: Context) -> dict[str, Tensor]:
    """What `strategy.score` says of every group. It may look at the weights, and must leave them as they are."""
    versions = [weight._version for weight in context.weights.values()]
    found: dict[str, Tensor] = _ask(strategy, lambda: strategy.score(context))
    if not isinstance(found, Mapping):
        raise PrunebenchError(f"strategy {strategy.name!r} gave {found!r} as scores", "expected a tensor for each name")
    if [weight._version for weight in context.weights.values()] != versions:
        raise PrunebenchError(f"strategy {strategy.name!r} changed weights in score()", "prune(ctx, sparsity) may")
    return found


def lowest(strategy: Any, found: Mapping[str, Tensor], mask: masks.Mask, gone: int) -> masks.Mask:
    """The mask without the `gone` units of lowest score."""
    kept: masks.Mask = _ask(strategy, masks.top_k, found, mask, gone)
    return kept


def moved(strategy: Any, context: Context, sparsity: float, gone: int) -> masks.Mask:
    """The mask of a strategy that prunes by itself and may move the weights that stay: `prune(ctx, sparsity)`."""
    # Whatever it does to its mask in place, that of its siblings stays.
    before, context.mask = context.mask, {name: keep.clone() for name, keep in context.mask.items()}
    answer = _ask(strategy, strategy.prune, context, sparsity)
    mask = {name: keep.cpu().bool() for name, keep in answer.items()}
    if {name: keep.shape for name, keep in mask.items()} != {name: keep.shape for name, keep in before.items()}:
        raise PrunebenchError(f"strategy {strategy.name!r} gave a mask of other names or shapes than ctx.mask")
    if masks.pruned(mask) != gone:
        raise PrunebenchError(f"strategy {strategy.name!r} pruned {masks.pruned(mask)} units", f"expected {gone}")
    if any((keep & ~before[name]).any() for name, keep in mask.items()):
        raise PrunebenchError(f"strategy {strategy.name!r} brought pruned units back", "what is gone stays gone")
    return mask


def _ask(strategy: Any, question: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return question(*arguments)
    except PrunebenchError as error:
        raise PrunebenchError(f"strategy {strategy.name!r}: {error.message}", error.hint) from error
    except Exception as error:
        raise StrategyError(strategy.name, error) from error
