"""While a model is trained, its table of word embeddings holds the tokens that it meets, and no others.

A row that no text needs has no gradient, so that without weight decay no step moves it; but clipping, Adam and each
backward pass go over the whole table: of MiniLM, half of all its weights. (Kept out are its rows alone; what is trained
is the same model.)
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

# The table is cut where so many times the rows that are met are fewer than all.
SHARE = 2


class Met:
    """The model's table cut down to the rows of `tokens`, as long as the block lasts; then it is whole again.

    Where most rows are met it is left as it is.
    """

    def __init__(self, model: Any, tokens: Tensor) -> None:
        self.table: nn.Embedding = model.get_input_embeddings()
        self.full = self.table.weight
        met = torch.zeros(len(self.full), dtype=torch.bool, device=self.full.device)
        met[tokens.flatten().long()] = True
        self.rows = met.nonzero().squeeze(1)
        self.places = met.cumsum(0) - 1
        self.pays = SHARE * len(self.rows) < len(self.full)

    def __enter__(self) -> Met:
        if self.pays:
            self.part = nn.Parameter(self.full.detach()[self.rows])
            self._cut()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.pays:
            self._mend()

    def whole(self, look: Callable[[], Any]) -> Callable[[], Any]:
        """The function `look` as it is to be called from within the block, so that it sees the whole table."""

        def seeing() -> Any:
            self._mend()
            try:
                return look()
            finally:
                self._cut()

        return seeing if self.pays else look

    def _cut(self) -> None:
        self.table.weight = self.part
        self.hook = self.table.register_forward_pre_hook(lambda table, ids: (self.places[ids[0]],))

    @torch.no_grad()
    def _mend(self) -> None:
        self.full[self.rows] = self.part
        self.table.weight = self.full
        self.hook.remove()
