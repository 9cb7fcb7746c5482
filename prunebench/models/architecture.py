"""A family of encoders, as data: the names of its parts. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

# The Linears of a layer, in the order in which data meets them: the fields of `Architecture` that name them.
LINEARS = ("query", "key", "value", "attention_output", "intermediate", "output")


@dataclass(frozen=True)
class Architecture:
    """Where a family of encoders keeps its matrices.

    `model_types` are the values of `config.model_type` that it covers. `layers` is the path of the list of layers
    below the base model (`model.base_model`); the other paths lead from one layer to a Linear, and `attention` to the
    module that owns query, key and value and is replaced when a layer loses all its heads. `pooler` is the path of
    the pooler's Linear below the base model, or "" where the family has none. `after_attention` is the first module of
    a layer behind which no token meets another; a family that names it says that its classifier reads the first token
    alone, and in training the last layer goes on with that one from there. `positions_after_padding` says that
    positions are counted from the padding token's index on, so that the first are never used. `examples` are
    well-known hub names.
    """

    name: str
    doc: str
    model_types: tuple[str, ...]
    layers: str
    attention: str
    query: str
    key: str
    value: str
    attention_output: str
    intermediate: str
    output: str
    pooler: str = ""
    after_attention: str = ""
    positions_after_padding: bool = False
    examples: tuple[str, ...] = ()
