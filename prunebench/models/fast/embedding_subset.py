"""Train only the rows of the word embeddings that occur in the data.

A row of a token that no text contains has no gradient, and without weight decay no step moves it. Yet clipping, Adam
and every backward pass go over the whole table, which is half of all weights of MiniLM. During a training the model
therefore has a smaller table: the rows of the tokens in the data, with token ids mapped to their index in it. Example,
for a table of six rows and the tokens 1, 4 and 5:

    rows  = [1, 4, 5]               the rows of the small table
    index = [·, 0, ·, ·, 1, 2]      maps a token id to its row there

At the end the rows are written back. Whatever looks at the model in the middle of a training (snapshots, masks of a
ramp) must see the whole table: wrap it in `on_whole_table`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

# The table is cut only if it has more than this many times the rows that occur.
SHARE = 2


class EmbeddingSubset:
    """A context in which the model's table has only the rows of `tokens`, a tensor of token ids of any shape.

    If at least half of the rows occur, the table is left whole.
    """

    def __init__(self, model: Any, tokens: Tensor) -> None:
        self.table: nn.Embedding = model.get_input_embeddings()
        self.full = self.table.weight
        occurs = torch.zeros(len(self.full), dtype=torch.bool, device=self.full.device)
        occurs[tokens.flatten().long()] = True
        self.rows = occurs.nonzero().squeeze(1)
        self.index = occurs.cumsum(0) - 1
        self.cuts = SHARE * len(self.rows) < len(self.full)

    def __enter__(self) -> EmbeddingSubset:
        if self.cuts:
            self.part = nn.Parameter(self.full.detach()[self.rows])
            self.hook = self.table.register_forward_pre_hook(self._to_rows)
            self._cut()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.cuts:
            self._restore()
            self.hook.remove()

    def on_whole_table(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """Wrap a function that is called within the context, so that it sees the whole table."""

        def wrapper() -> Any:
            self._restore()
            try:
                return function()
            finally:
                self._cut()

        return wrapper if self.cuts else function

    def _cut(self) -> None:
        self.table.weight = self.part

    @torch.no_grad()
    def _restore(self) -> None:
        self.full[self.rows] = self.part
        self.table.weight = self.full

    def _to_rows(self, table: nn.Module, ids: tuple[Tensor]) -> tuple[Tensor] | None:
        """The rows of token ids in the small table.

        This hook stays while the table is whole, so that the fence around a callback sees no other hooks.
        """
        return (self.index[ids[0]],) if self.table.weight is self.part else None
