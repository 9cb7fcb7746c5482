"""Texts to token ids, and token ids to batches. Encoded once, padded to the longest of each batch or part of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prunebench.tasks.task import Split

# Widths are multiples of this, so that few shapes occur.
MULTIPLE = 8


@dataclass(frozen=True)
class Encoded:
    """A split as token ids: `inputs[name]` has shape (n, longest), int32, padded; `lengths` has shape (n,).

    `labels` are class indices or scores, shape (n,). `lengths` stays on the CPU, wherever the rest is.
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str) -> Encoded:
        """The split on that device: its batches are then cut there, and a training loop never waits for them."""
        return Encoded(
            {name: rows.to(device) for name, rows in self.inputs.items()}, self.labels.to(device), self.lengths
        )

    def first(self, number: int) -> Encoded:
        """The split's first examples, as many as that."""
        inputs = {name: rows[:number] for name, rows in self.inputs.items()}
        return Encoded(inputs, self.labels[:number], self.lengths[:number])

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Tensors of shape (batch, longest), the longest rounded up to a multiple of 8; `labels` of shape (batch,)."""
        chosen = torch.tensor(indices)
        width = _width(int(self.lengths[chosen].max()))
        chosen = chosen.to(self.labels.device, non_blocking=True)
        tensors = {name: rows[chosen, :width].long() for name, rows in self.inputs.items()}
        return {**tensors, "labels": self.labels[chosen]}


def _width(longest: int) -> int:
    return -(-longest // MULTIPLE) * MULTIPLE


def encode(tokenizer: Any, split: Split, max_length: int) -> Encoded:
    """Tokenise a split; pairs are cut from the longer text first until they fit `max_length` tokens."""
    table = tokenizer(*split.texts, truncation=True, max_length=max_length)
    padding = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "token_type_ids": 0}
    lengths = torch.tensor([len(ids) for ids in table["input_ids"]])
    inputs = {}
    for name in filter(table.__contains__, padding):
        rows = torch.full((len(lengths), _width(int(lengths.max()))), padding[name], dtype=torch.int32)
        for i, ids in enumerate(table[name]):
            rows[i, : len(ids)] = torch.tensor(ids, dtype=torch.int32)
        inputs[name] = rows
    is_class = not split.labels or isinstance(split.labels[0], int)
    labels = torch.tensor(split.labels, dtype=torch.long if is_class else torch.float32)
    return Encoded(inputs, labels, lengths)


def shuffled(encoded: Encoded, batch_size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """One epoch of batches of indices, drawn at random."""
    for batch in torch.randperm(len(encoded), generator=generator).split(batch_size):
        yield batch.tolist()


def part_cost(weights: int) -> int:
    """What a part of a batch costs beside its tokens, as a number of tokens, for a model whose products have `weights`.

    Adding its gradients takes as long as so many tokens whatever the model is; the calls of its operations take a time
    by themselves, which is many tokens of a small model. (By trials on a CPU; see tests/bench/README.md.)
    """
    return 64 + 500_000_000 // weights


def parts(encoded: Encoded, batch: Sequence[int], cost: int) -> list[list[int]]:
    """A batch in parts of like length, each to be padded by itself: the cheapest cuts of it when sorted by length.

    The gradient of the batch is the sum of those of its parts, so that only work on padding is saved. (Batches of like
    length, which save more, are no random batches: with few batches an epoch they cost accuracy.) A part costs its
    size × width, and `cost` tokens besides.
    """
    lengths = encoded.lengths[list(batch)]
    order = lengths.argsort(stable=True)
    widths = [_width(length) for length in lengths[order].tolist()]
    # least[i]: the least cost of the first i texts, and where the last of their parts begins. A part ends where the
    # width grows: to end it earlier would save nothing.
    least = [(0, 0)]
    ends = [0]
    for i, width in enumerate(widths, 1):
        least.append(min((least[start][0] + (i - start) * width + cost, start) for start in ends))
        if i == len(widths) or widths[i] > width:
            ends.append(i)
    found = []
    end = len(widths)
    while end:
        start = least[end][1]
        found.append([batch[i] for i in order[start:end].tolist()])
        end = start
    return found


def in_order(encoded: Encoded, tokens: int) -> Iterator[list[int]]:
    """Every example once, the longest first, in batches of at most so many tokens: where the order does not matter."""
    order = encoded.lengths.argsort(descending=True, stable=True).tolist()
    while order:
        size = max(1, tokens // _width(int(encoded.lengths[order[0]])))
        yield order[:size]
        del order[:size]
