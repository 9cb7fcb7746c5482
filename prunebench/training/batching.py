"""Texts to token ids, token ids to batches, and batches to parts of similar length.

**Padding.** A split is tokenised once. A batch is cut from it to the length of its longest text, rounded up to a
multiple of 8 so that few shapes occur. On texts of varied length most of a random batch is still padding: one text of
128 tokens pads 31 others to 128.

**Parts of a batch.** Batches of similar length would avoid that, but they are not random batches, and with few batches
per epoch they cost accuracy. So batches stay random, and on a CPU each one is computed in parts of similar length whose
gradients add up to the gradient of the batch. More parts mean less padding, but each part has a fixed cost: its
gradients must be added, and its operations called. `part_cost` expresses that cost as a number of tokens, and `parts`
finds the cheapest split. Example, five texts of padded widths 8, 8, 16, 64 and 64 with a cost of 40 tokens per part:

    one part       5 × 64 + 40              = 360
    {8, 8, 16} {64, 64}   3 × 16 + 40  +  2 × 64 + 40  = 256     the cheapest
    {8, 8} {16} {64, 64}  2 × 8 + 40  +  1 × 16 + 40  +  2 × 64 + 40  = 280

The minimum is over all cuts of the texts sorted by length, by dynamic programming: the cheapest split of the first i
texts ends with a part from some s to i after the cheapest split of the first s texts,

    least(i) = min over s < i of  least(s) + (i − s) · width(i) + cost
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prunebench.tasks.task import Split

# Widths of batches are multiples of this.
MULTIPLE = 8


@dataclass(frozen=True)
class EncodedSplit:
    """A split as token ids.

    Attributes:
        inputs: arguments of the model by name, each of shape (examples, longest), int32, padded.
        labels: class indices (int64) or scores (float32), shape (examples,).
        lengths: the number of tokens of each example, shape (examples,). Always on the CPU.
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str) -> EncodedSplit:
        """Copy the split to a device. Batches are then cut there, and a training loop never waits for them."""
        inputs = {name: rows.to(device) for name, rows in self.inputs.items()}
        return EncodedSplit(inputs, self.labels.to(device), self.lengths)

    def without_labels(self) -> EncodedSplit:
        """The same split with zeros as labels."""
        return EncodedSplit(self.inputs, torch.zeros_like(self.labels), self.lengths)

    def first(self, number: int) -> EncodedSplit:
        """The first `number` examples."""
        inputs = {name: rows[:number] for name, rows in self.inputs.items()}
        return EncodedSplit(inputs, self.labels[:number], self.lengths[:number])

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The arguments of the model, each of shape (batch, width), int64, and `labels` of shape (batch,)."""
        rows = torch.tensor(indices)
        width = _width(int(self.lengths[rows].max()))
        rows = rows.to(self.labels.device, non_blocking=True)
        tensors = {name: values[rows, :width].long() for name, values in self.inputs.items()}
        return {**tensors, "labels": self.labels[rows]}


def encode(tokenizer: Any, split: Split, max_length: int) -> EncodedSplit:
    """Tokenise a split. Pairs are truncated to `max_length` tokens, the longer text first."""
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
    return EncodedSplit(inputs, labels, lengths)


def training_batches(encoded: EncodedSplit, batch_size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """The batches of one epoch of training, as indices in random order."""
    for batch in torch.randperm(len(encoded), generator=generator).split(batch_size):
        yield batch.tolist()


def evaluation_batches(encoded: EncodedSplit, tokens: int) -> Iterator[list[int]]:
    """Batches for evaluation: every example once, the longest first, at most `tokens` tokens with padding."""
    order = encoded.lengths.argsort(descending=True, stable=True).tolist()
    while order:
        size = max(1, tokens // _width(int(encoded.lengths[order[0]])))
        yield order[:size]
        del order[:size]


def part_cost(weights: int) -> int:
    """The fixed cost of a part, in tokens, for a model whose Linears have `weights` weights.

    Adding gradients takes as long as computing 64 tokens, whatever the model. Calling the operations takes a constant
    time, which is many tokens of a small model and few of a large one. Both constants were found by trials on a CPU
    (`tests/bench/README.md`).
    """
    return 64 + 500_000_000 // weights


def parts(encoded: EncodedSplit, batch: Sequence[int], cost: int) -> list[list[int]]:
    """Split a batch into parts of similar length, so that its computation is cheapest.

    A part costs its size times its width, plus `cost` tokens.
    """
    lengths = encoded.lengths[list(batch)]
    order = lengths.argsort(stable=True)
    widths = [_width(length) for length in lengths[order].tolist()]
    # least[i] is the lowest cost of the first i texts, and the start of their last part. Only an i before a greater
    # width can be a start: to cut between texts of the same width saves nothing.
    least = [(0, 0)]
    starts = [0]
    for i, width in enumerate(widths, 1):
        least.append(min((least[start][0] + (i - start) * width + cost, start) for start in starts))
        if i == len(widths) or widths[i] > width:
            starts.append(i)
    result = []
    end = len(widths)
    while end:
        start = least[end][1]
        result.append([batch[i] for i in order[start:end].tolist()])
        end = start
    return result


def _width(longest: int) -> int:
    return -(-longest // MULTIPLE) * MULTIPLE
