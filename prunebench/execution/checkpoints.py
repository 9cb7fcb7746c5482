"""Checkpoints of a long training: when its state is written to the store, and how another run takes it up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from prunebench.errors import PrunebenchError
from prunebench.pruning.masks import Mask
from prunebench.store.store import InputMissing, Store, StoreError
from prunebench.training.resume import Checkpointing, saved_mask

T = TypeVar("T")


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training. With `minutes` None there are none."""

    store: Store
    key: str
    minutes: float | None

    def load(self, snapshots: Iterable[str]) -> tuple[bytes | None, Mask]:
        """The last checkpoint and the mask in it, if an earlier run wrote one.

        Not where `snapshots`, weights that the training had stored on its way, are gone since: only a training from
        the start makes these again.
        """
        if self.minutes is None or not all(self.store.has("weights", name) for name in snapshots):
            return None, {}
        try:
            return self.store.load("checkpoints", self.key, lambda data: (data, saved_mask(data)))
        except InputMissing:
            return None, {}

    def during_training(self, mask: Callable[[], Mask], data: bytes | None) -> Checkpointing:
        """What writes the state every few `minutes`, with the `mask` of that moment; `data` is where it resumes."""
        assert self.minutes is not None
        pause, last = 60 * self.minutes, time.perf_counter()

        def keep(state: bytes) -> None:
            nonlocal last
            self.store.write_checkpoint(self.key, state)
            last = time.perf_counter()

        return Checkpointing(lambda: time.perf_counter() - last >= pause, keep, mask, data)

    def discard_on_failure(self, train: Callable[[], T]) -> T:
        """What `train` returns. Where it fails by itself, as by diverging, its checkpoint is useless and discarded."""
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
