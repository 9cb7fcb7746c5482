"""Texts to token ids, and token ids to batches. Encoded once, padded to the longest of each batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prunebench.tasks.task import Split

# A chunk of this many batches is sorted by length: less padding, and an order that is still nearly random.
CHUNK = 50


@dataclass(frozen=True)
class Encoded:
    """A split as token ids: `inputs[name][i]` is example i's list; labels are class indices or scores, shape (n,)."""

    inputs: dict[str, list[list[int]]]
    labels: Tensor
    padding: dict[str, int]

    def __len__(self) -> int:
        return len(self.labels)

    def lengths(self) -> Tensor:
        return torch.tensor([len(ids) for ids in self.inputs["input_ids"]])

    def batch(self, indices: Sequence[int], device: str) -> dict[str, Tensor]:
        """Tensors of shape (batch, longest), the longest rounded up to a multiple of 8; `labels` of shape (batch,)."""
        longest = max(len(self.inputs["input_ids"][i]) for i in indices)
        width = -(-longest // 8) * 8
        tensors = {
            name: torch.tensor([rows[i] + [self.padding[name]] * (width - len(rows[i])) for i in indices])
            for name, rows in self.inputs.items()
        }
        tensors["labels"] = self.labels[torch.as_tensor(indices)]
        return {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}


def encode(tokenizer: Any, split: Split, max_length: int) -> Encoded:
    """Tokenise a split; pairs are cut from the longer text first until they fit `max_length` tokens."""
    table = tokenizer(*split.texts, truncation=True, max_length=max_length)
    padding = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "token_type_ids": 0}
    inputs = {name: table[name] for name in padding if name in table}
    is_class = not split.labels or isinstance(split.labels[0], int)
    labels = torch.tensor(split.labels, dtype=torch.long if is_class else torch.float32)
    return Encoded(inputs, labels, padding)


def shuffled(encoded: Encoded, batch_size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """One epoch of batches of indices: shuffled, cut into chunks, sorted by length inside each, and dealt out again."""
    order = torch.randperm(len(encoded), generator=generator)
    lengths = encoded.lengths()
    for chunk in order.split(batch_size * CHUNK):
        batches = chunk[lengths[chunk].argsort(stable=True)].split(batch_size)
        for which in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[which].tolist()


def in_order(encoded: Encoded, batch_size: int) -> Iterator[list[int]]:
    """Every example once, the longest first: for evaluation, where the order does not matter."""
    for batch in encoded.lengths().argsort(descending=True, stable=True).split(batch_size):
        yield batch.tolist()
