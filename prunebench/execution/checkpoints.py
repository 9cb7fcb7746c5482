"""When the state of a training under way is kept in the store, and taken up again by another run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from prunebench.errors import PrunebenchError
from prunebench.pruning.masks import Mask
from prunebench.store.store import InputMissing, Store, StoreError
from prunebench.training.resume import Midway, mask_in

T = TypeVar("T")


@dataclass(frozen=True)
class Checkpoints:
    """Those of one training; with `minutes` None there are none."""

    store: Store
    key: str
    minutes: float | None

    def begun(self, on_the_way: Iterable[str]) -> tuple[bytes | None, Mask]:
        """The last one and its mask, if the training was under way before.

        Not where the weights that it had kept `on_the_way` are gone since: they are only made again from the start.
        """
        if self.minutes is None or not all(self.store.has("weights", name) for name in on_the_way):
            return None, {}
        try:
            return self.store.load("checkpoints", self.key, lambda data: (data, mask_in(data)))
        except InputMissing:
            return None, {}

    def midway(self, mask: Callable[[], Mask], data: bytes | None) -> Midway | None:
        """What keeps the state every so many minutes, with the `mask` of that moment, from that of `data` on."""
        if self.minutes is None:
            return None
        pause, last = 60 * self.minutes, time.perf_counter()

        def keep(state: bytes) -> None:
            nonlocal last
            self.store.keep_checkpoint(self.key, state)
            last = time.perf_counter()

        return Midway(lambda: time.perf_counter() - last >= pause, keep, mask, data)

    def guarding(self, train: Callable[[], T]) -> T:
        """What `train` gives. Where it fails by itself, as by diverging, its state before is of no use any more."""
        try:
            return train()
        except (StoreError, InputMissing):
            raise
        except PrunebenchError:
            self.discard()
            raise

    def discard(self) -> None:
        if self.minutes is not None:
            self.store.discard_checkpoint(self.key)
