"""The attention of a dense and a pruned model, as numbers.

The attention of a head is a matrix: p_ij is how much token i attends to token j, and each row sums to 1 (Vaswani et
al. 2017). A measure of a head is a mean over rows: those of all tokens of all examples, special tokens included and
padding left out. A longer example therefore weighs more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# The measures by name, with their definitions as pages print them.
MEASURES: dict[str, str] = {
    "entropy": "−Σ_j p_ij ln p_ij in nats: 0 if a token attends to one token only, ln n if it attends to n tokens "
    "equally (Clark et al. 2019, section 3.3).",
    "distance": "Σ_j p_ij |i − j|: how many tokens away the attended tokens are on average.",
    "to [SEP]": "Σ_j p_ij over the separators j (Clark et al. 2019, section 3.2).",
    "to [CLS]": "p_ij for the first token j.",
}


@dataclass(frozen=True, eq=False)
class Map:
    """The attention of one text: its n tokens, and weights of shape (layers, heads, n, n)."""

    tokens: tuple[str, ...]
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Model:
    """The attention of one model.

    `measures` maps each measure to an array of shape (layers, heads), `maps` has a map for each text. Both are NaN for
    a pruned head. `score` is what the model scores now, and `check` says how that compares with the model's record.
    """

    name: str
    measures: Mapping[str, np.ndarray]
    maps: tuple[Map, ...]
    check: str
    score: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class AttentionComparison:
    """The dense and the pruned model, in this order, of one task and seed on the same texts."""

    task: str
    seed: int
    split: str
    examples: int
    setting: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]
    models: tuple[Model, Model]
