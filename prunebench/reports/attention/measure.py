"""A model's attention: maps of chosen texts, and measures over a split. Computed in float32, without dropout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunebench.reports.attention.result import MEASURES, Map
from prunebench.training import batching

TOKENS = 2048


@contextmanager
def showing(model: Any) -> Iterator[Any]:
    """The model with its attention written out, which is the only kind that gives weights; then as it was."""
    before, training = model.config._attn_implementation, model.training
    model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            yield model.eval()
    finally:
        model.set_attn_implementation(before)
        model.train(training)


def attentions(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Shape (layers, batch, heads, tokens, tokens), float32, of a model that is `showing`."""
    found = model(**batch, output_attentions=True).attentions
    return torch.stack([layer.float() for layer in found])


def measures(model: Any, data: batching.Encoded, separator: int, first: int) -> dict[str, np.ndarray]:
    """Every measure of every head over a split, shape (layers, heads): see `result`.

    `separator` and `first` are the ids of [SEP] and [CLS].
    """
    sums: Tensor | None = None
    rows = 0
    with showing(model):
        for indices in batching.in_order(data, TOKENS):
            batch = data.batch(indices)
            batch.pop("labels")
            found, count = of_batch(attentions(model, batch), batch, separator, first)
            sums = found if sums is None else sums + found
            rows += count
    assert sums is not None
    return dict(zip(MEASURES, (sums / rows).cpu().numpy(), strict=True))


def of_batch(weights: Tensor, batch: dict[str, Tensor], separator: int, first: int) -> tuple[Tensor, int]:
    """Sums over the rows of real tokens, shape (measures, layers, heads) in float64, and how many rows there are."""
    ids, real = batch["input_ids"], batch["attention_mask"].bool()
    place = torch.arange(ids.shape[1], device=ids.device)
    apart = (place[:, None] - place[None, :]).abs().float()
    of_rows = torch.stack(
        [
            torch.special.entr(weights).sum(-1),
            (weights * apart).sum(-1),
            (weights * (ids == separator)[None, :, None, None, :]).sum(-1),
            (weights * (ids == first)[None, :, None, None, :]).sum(-1),
        ]
    )
    kept = of_rows.double() * real[None, None, :, None, :]
    return kept.sum(dim=(2, 4)), int(real.sum())


def maps(model: Any, tokenizer: Any, texts: Sequence[tuple[str, ...]], length: int, device: str) -> list[Map]:
    """A map for each text, which may be a pair."""
    found = []
    with showing(model):
        for text in texts:
            table = tokenizer(*text, truncation=True, max_length=length, return_tensors="pt")
            batch = {name: table[name].to(device) for name in tokenizer.model_input_names if name in table}
            weights = attentions(model, batch)[:, 0].cpu().numpy()
            found.append(Map(tuple(tokenizer.convert_ids_to_tokens(table["input_ids"][0])), weights))
    return found
