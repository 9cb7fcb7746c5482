"""Checks that call `score` or `prune` by hand, on the context of a small model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.execution.context import Context
from prunebench.execution.profiling import PeakBytes
from prunebench.hooks.plugins import error_line
from prunebench.pruning import masks
from prunebench.runtime import progress
from prunebench.runtime.output import named_output
from prunebench.testing.check import Check, Fault, Inapplicable, Subject, check
from prunebench.testing.contexts import context

# A method may keep something for each example, but not a gradient of all weights.
SHARE_PER_EXAMPLE = 0.5
FEW, MANY = 8, 32


class Watched(Context):
    """A context that remembers for which purposes the method itself asks for random numbers."""

    def __init__(self, *arguments: Any, **values: Any) -> None:
        super().__init__(*arguments, **values)
        self.purposes: list[str] = []

    def generator(self, purpose: str = "score") -> torch.Generator:
        self.purposes.append(purpose)
        return super().generator(purpose)

    def batches(self, examples: int | None = None, stream: str = "batches") -> Iterator[dict[str, Tensor]]:
        before = list(self.purposes)
        answer = super().batches(examples, stream)
        self.purposes = before
        return answer


def _not_called(subject: Subject) -> str:
    if subject.is_control:
        return "it takes the masks of another method"
    has_call = hasattr(subject.kind, "score") or hasattr(subject.kind, "prune")
    return "" if has_call else "it has no score(ctx) or prune(ctx, sparsity)"


def _no_score(subject: Subject) -> str:
    moves = hasattr(subject.kind, "prune") or not hasattr(subject.kind, "score")
    return _not_called(subject) or ("it has no score(ctx)" if moves else "")


def answer(subject: Subject, ctx: Context) -> Mapping[str, Tensor]:
    """The scores of the strategy, or its mask at the level of comparisons. An error in its code is a fault."""
    subject.evidence.check_alive(subject.method)
    strategy = subject.strategy
    level = subject.evidence.level(subject.method)
    state = torch.get_rng_state()
    try:
        with progress.temporary_listener(lambda report: None), named_output(strategy.name):
            result = strategy.prune(ctx, level) if hasattr(strategy, "prune") else strategy.score(ctx)
    except (Exception, SystemExit) as error:
        raise Fault(f"{'prune' if hasattr(strategy, 'prune') else 'score'} raised {error_line(error)}") from error
    finally:
        torch.set_rng_state(state)
    if not isinstance(result, Mapping) or not all(isinstance(value, Tensor) for value in result.values()):
        raise Fault(f"no mapping of names to tensors, but {type(result).__name__}")
    return result


@check("scores", "scores without NaN, of which no more than half are ties", _no_score)
def scores(subject: Subject) -> str:
    ctx = context(subject.strategy)
    result = answer(subject, ctx)
    if result.keys() != ctx.mask.keys():
        raise Fault(f"scores for {', '.join(list(result)[:2])}, not for {', '.join(list(ctx.mask)[:2])}")
    values = torch.cat([value.detach().double().flatten().cpu() for value in result.values()])
    if values.isnan().any():
        raise Fault(f"{int(values.isnan().sum())} of {len(values)} scores are NaN")
    ties = 1 - len(values.unique()) / len(values)
    actual = f"{len(values)} scores, {int(values.isinf().sum())} of them infinite, {ties:.0%} of them ties"
    if ties > 0.5:
        raise Fault(f"{actual}: ties go by position")
    return actual


@check("ties", "an exact count where all weights are equal", _not_called)
def ties(subject: Subject) -> str:
    ctx = context(subject.strategy)
    for weight in ctx.weights.values():
        weight.fill_(0.1)
    level = subject.evidence.level(subject.method)
    result = answer(subject, ctx)
    if not hasattr(subject.strategy, "prune"):
        try:
            result = ctx.select(result, level)
        except PrunebenchError as error:
            raise Fault(str(error)) from None
    if ctx.budget is not None:
        fault = ctx.budget.fault(dict(result), level)
    else:
        fault = masks.count_fault(ctx.count(level), result)
    if fault:
        raise Fault(fault)
    return f"{masks.pruned(result)} of {masks.units(result)} units pruned at {level:g}"


@check("generators", "the generators of Python and numpy are left alone; ctx.generator() gives random numbers")
def generators(subject: Subject) -> str:
    used = subject.evidence.own(subject.method).used_generators
    if used:
        raise Fault(f"random numbers from {' and '.join(used)}")
    return "neither of them was used"


@check(
    "other seed, other result", "another answer at another seed from a method that draws random numbers", _not_called
)
def other_seed(subject: Subject) -> str:
    contexts = [context(subject.strategy, seed=seed, kind=Watched) for seed in (0, 1)]
    one, other = (answer(subject, ctx) for ctx in contexts)
    purposes = dict.fromkeys(contexts[0].purposes)  # type: ignore[attr-defined]
    if not purposes:
        raise Inapplicable("it draws no random numbers when it scores")
    if all(torch.equal(one[name], other[name]) for name in one):
        raise Fault(f"the same answer, although it draws random numbers for {', '.join(map(repr, purposes))}")
    return f"other answers; it draws random numbers for {', '.join(map(repr, purposes))}"


@check("memory", "no more than half a copy of the weights is kept for each further example", _not_called)
def memory(subject: Subject) -> str:
    peaks = []
    for examples in (FEW, MANY):
        ctx = context(subject.strategy, examples=examples)
        size = sum(weight.nbytes for weight in ctx.weights.values())
        with PeakBytes() as bytes_:
            answer(subject, ctx)
        peaks.append(bytes_.peak / size)
    growth = (peaks[1] - peaks[0]) / (MANY - FEW)
    actual = f"{peaks[1]:.1f} copies of the weights at most, {max(growth, 0):.2f} for each example"
    if growth > SHARE_PER_EXAMPLE:
        raise Fault(actual)
    return actual


CHECKS: list[Check] = [scores, ties, generators, other_seed, memory]
