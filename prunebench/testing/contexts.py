"""A context on a small random encoder and random examples, to call a method's `score` or `prune` by hand."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor

from prunebench.execution.context import Context
from prunebench.models.encoder import PrunableModel, describe
from prunebench.models.families import FAMILIES
from prunebench.models.fast.device import accelerate
from prunebench.pruning import masks, structures
from prunebench.recipes.axes import Selection
from prunebench.recipes.phase import final_selection
from prunebench.training.batching import EncodedSplit

TOKENS, EXAMPLES, LONGEST, CLASSES = 20, 12, 8, 3
SIZES = {"num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 12, "vocab_size": TOKENS}
DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def context(
    strategy: Any = None,
    *,
    unit: str | None = None,
    budget: str | None = None,
    layers: int = 2,
    examples: int = EXAMPLES,
    seed: int = 0,
    kind: type[Context] = Context,
    **sizes: int,
) -> Context:
    """What `strategy.score(ctx)` and `strategy.prune(ctx, sparsity)` are given, on a model that fits on a page.

    The model is a BERT of two heads of size 4 and 12 neurons in each of its `layers`, in float64, without dropout, with
    the attention of real runs; `sizes` are other arguments of its `BertConfig`. There are `examples` of 3 to 8 tokens,
    in batches of 4, each of one of three classes. Two calls give the same numbers; `seed` decides only what
    `ctx.generator` draws.

    Args:
        strategy: an instance of the method, which says the unit and, by its recipe, the scope, pattern and budget.
        unit: such as "weight" or "head+neuron", in place of the strategy's own.
        budget: what a level is a fraction of: "units", "parameters" or "flops", in place of the recipe's own.
        kind: `Context`, or a class below it that watches what is asked of it.
    """
    selection = final_selection(strategy.recipe(0.5)) if hasattr(strategy, "recipe") else Selection()
    if budget is not None:
        selection = Selection.parse("global", "", budget)
    name = unit or str(getattr(strategy, "unit", "weight"))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        prunable = _model(layers, sizes)
        data = _examples(examples)
    groups = structures.structure_of(name).groups(prunable)
    return kind(
        prunable,
        masks.full({name: group.shape for name, group in groups.items()}),
        name,
        data,
        selection=selection,
        initial={name: value.detach().clone() for name, value in prunable.model.named_parameters()},
        seed=seed,
        batch_size=4,
        precision="fp32",
        device="cpu",
    )


def _model(layers: int, sizes: dict[str, int]) -> PrunableModel:
    values: dict[str, Any] = {**SIZES, **sizes, **DROPOUT}
    config = transformers.BertConfig(num_hidden_layers=layers, num_labels=CLASSES, **values)
    model = transformers.BertForSequenceClassification(config).double().eval()
    for parameter in model.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    accelerate(model, "cpu")
    return describe(model, next(each for each in FAMILIES if each.name == "bert"))


def _examples(number: int) -> EncodedSplit:
    lengths = torch.arange(number) % 6 + 3
    attention: Tensor = (torch.arange(LONGEST) < lengths[:, None]).int()
    ids = torch.randint(TOKENS, (number, LONGEST), dtype=torch.int32) * attention
    labels = torch.randint(CLASSES, (number,))
    return EncodedSplit({"input_ids": ids, "attention_mask": attention}, labels, lengths)
