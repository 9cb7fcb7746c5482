"""The attention of one model: maps of single texts, and measures over a split. Computed in float32, without dropout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunebench.reports.attention.result import MEASURES, Map
from prunebench.training import batching

# The tokens of one batch, padding included.
TOKENS = 2048


@contextmanager
def eager_attention(model: Any) -> Iterator[Any]:
    """The model in eval mode with eager attention; its own mode and attention return afterwards.

    Eager attention is the only implementation that returns its weights.
    """
    implementation, training = model.config._attn_implementation, model.training
    model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            yield model.eval()
    finally:
        model.set_attn_implementation(implementation)
        model.train(training)


def attentions(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """The attention of a batch, float32 of shape (layers, batch, heads, tokens, tokens).

    The model must be in `eager_attention`.
    """
    by_layer = model(**batch, output_attentions=True).attentions
    return torch.stack([layer.float() for layer in by_layer])


def measures(model: Any, data: batching.EncodedSplit, separator: int, first: int) -> dict[str, np.ndarray]:
    """Every measure of `result.MEASURES` over a split, each of shape (layers, heads).

    `separator` and `first` are the token ids of [SEP] and [CLS].
    """
    total: Tensor | None = None
    rows = 0
    with eager_attention(model):
        for indices in batching.evaluation_batches(data, TOKENS):
            batch = data.batch(indices)
            batch.pop("labels")
            sums, count = batch_sums(attentions(model, batch), batch, separator, first)
            total = sums if total is None else total + sums
            rows += count
    assert total is not None
    return dict(zip(MEASURES, (total / rows).cpu().numpy(), strict=True))


def batch_sums(weights: Tensor, batch: dict[str, Tensor], separator: int, first: int) -> tuple[Tensor, int]:
    """The measures summed over the rows of all tokens that are not padding, and the number of these rows.

    The sums are float64 of shape (measures, layers, heads), in the order of `result.MEASURES`.
    """
    ids, real = batch["input_ids"], batch["attention_mask"].bool()
    positions = torch.arange(ids.shape[1], device=ids.device)
    distances = (positions[:, None] - positions[None, :]).abs().float()
    by_row = torch.stack(
        [
            torch.special.entr(weights).sum(-1),
            (weights * distances).sum(-1),
            (weights * (ids == separator)[None, :, None, None, :]).sum(-1),
            (weights * (ids == first)[None, :, None, None, :]).sum(-1),
        ]
    )
    # A split has so many rows that a float32 sum would lose digits.
    real_rows = by_row.double() * real[None, None, :, None, :]
    return real_rows.sum(dim=(2, 4)), int(real.sum())


def maps(model: Any, tokenizer: Any, texts: Sequence[tuple[str, ...]], length: int, device: str) -> list[Map]:
    """A map for each text or pair of texts, cut to `length` tokens."""
    result = []
    with eager_attention(model):
        for text in texts:
            encoded = tokenizer(*text, truncation=True, max_length=length, return_tensors="pt")
            batch = {name: encoded[name].to(device) for name in tokenizer.model_input_names if name in encoded}
            weights = attentions(model, batch)[:, 0].cpu().numpy()
            result.append(Map(tuple(tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])), weights))
    return result
