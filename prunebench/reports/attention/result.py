"""What is measured of attention, as numbers alone. Imports no torch.

Attention is a matrix for each head: p_ij is what token i takes from token j, and each row sums to 1 (Vaswani et al.
2017). Measures of a head are means over the rows of all real tokens, special ones included and padding left out, of all
examples; so a longer example weighs more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# A measure, and what it says.
MEASURES: dict[str, str] = {
    "entropy": "−Σ_j p_ij ln p_ij in nats: 0 where all comes from one token, ln n where it comes from n alike "
    "(Clark et al. 2019, section 3.3).",
    "distance": "Σ_j p_ij |i − j|: how many tokens away it comes from on average.",
    "to [SEP]": "Σ_j p_ij over the separators j (Clark et al. 2019, section 3.2).",
    "to [CLS]": "p_ij for the first token j.",
}


@dataclass(frozen=True, eq=False)
class Map:
    """The attention of one text: its tokens, and weights of shape (layers, heads, tokens, tokens)."""

    tokens: tuple[str, ...]
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Model:
    """A model that was looked at: by measure an array of shape (layers, heads), and a map for each text.

    What belongs to a head that is gone is NaN. `check` says how the model compares with the record that it stands for.
    """

    name: str
    measures: Mapping[str, np.ndarray]
    maps: tuple[Map, ...]
    check: str
    score: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The dense and the pruned model of one task and seed on the same texts."""

    task: str
    seed: int
    split: str
    examples: int
    setting: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]
    models: tuple[Model, Model]
