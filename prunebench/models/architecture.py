"""A family of encoders as data: the names of its parts."""

from __future__ import annotations

from dataclasses import dataclass

# The fields of `Architecture` that name the Linears of a layer, in the order of the forward pass.
LINEARS = ("query", "key", "value", "attention_output", "intermediate", "output")


@dataclass(frozen=True)
class Architecture:
    """Where a family of encoders keeps its matrices.

    All names are dotted paths of submodules, as in `torch.nn.Module.get_submodule`. Families whose layers have another
    structure than six Linears (ALBERT shares one layer, DeBERTa has matrices for positions) cannot be described.

    Attributes:
        model_types: the values of `model_type` in a `config.json` that belong to the family.
        layers: the list of layers, below the base model (`model.base_model`).
        attention: the module of a layer that owns query, key and value. It is replaced when a layer loses all heads.
        query, key, value, attention_output, intermediate, output: the Linears of a layer, below the layer.
        pooler: the Linear of the pooler, below the base model, or "" if the family's classifier has none.
        after_attention: the first module of a layer after which tokens no longer interact, below the layer. Naming it
            asserts that the classifier reads the first token only: in training the last layer then computes the rest
            for that token alone (`models.fast.first_token`). Leave it "" if unsure.
        positions_after_padding: whether positions start after the padding token's index, as in RoBERTa, so that the
            first ones are never used.
        examples: well-known models of the hub, for suggestions when a name is misspelt.
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
