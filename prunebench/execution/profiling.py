"""The seconds and the memory that the code of strategies takes, by method and function: `prunebench run --profile`."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from prunebench.runtime.text import clean


class PeakBytes(TorchDispatchMode):
    """A context that counts the bytes of the tensors that are made in it: those that live now, and the most so far."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        answer = function(*args, **(kwargs or {}))
        for value in tree_iter(answer):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        return answer

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return
        self._alive.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size


@dataclass
class CallCost:
    """What the calls of one function cost: their number, their seconds, and the most bytes of new tensors in one."""

    calls: int = 0
    seconds: float = 0.0
    peak: int = 0


@dataclass
class Profile:
    """The cost of every function of every strategy that is called while `measured` is entered."""

    costs: dict[tuple[str, str], CallCost] = field(default_factory=dict)

    @contextmanager
    def measured(self) -> Iterator[Profile]:
        """A context in which calls of strategies in this process are measured."""
        _active.append(self)
        try:
            yield self
        finally:
            _active.remove(self)

    def call(self, who: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of `who`, and add what it costs."""
        cost = self.costs.setdefault((who, function.__name__), CallCost())
        start = time.perf_counter()
        try:
            with PeakBytes() as memory:
                return function(*arguments)
        finally:
            cost.calls += 1
            cost.seconds += time.perf_counter() - start
            cost.peak = max(cost.peak, memory.peak)

    def to_text(self) -> str:
        """A table with a line for each function, and for all of each strategy."""
        from tabulate import tabulate

        rows: list[tuple[str, str, str, str, str]] = []
        for who in dict.fromkeys(name for name, _ in self.costs):
            own = {function: cost for (name, function), cost in self.costs.items() if name == who}
            rows += [_row(clean(who), function, cost) for function, cost in own.items()]
            total = CallCost(
                sum(cost.calls for cost in own.values()),
                sum(cost.seconds for cost in own.values()),
                max(cost.peak for cost in own.values()),
            )
            rows.append(_row(clean(who), "in all", total))
        head = ("method", "function", "calls", "seconds", "most memory, MB")
        return tabulate(rows, head, colalign=("left", "left", "right", "right", "right"), disable_numparse=True)


_active: list[Profile] = []


def profiled_call(who: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of `who`, measured where a profile is active."""
    return _active[-1].call(who, function, *arguments) if _active else function(*arguments)


def _row(who: str, function: str, cost: CallCost) -> tuple[str, str, str, str, str]:
    return who, function, str(cost.calls), f"{cost.seconds:.3f}", f"{cost.peak / 1e6:.1f}"
