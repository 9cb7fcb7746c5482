"""A context on a small random encoder and random examples, for tests of methods. Tests import it by this name."""

from __future__ import annotations

import torch
import transformers

from prunebench.execution.context import Context
from prunebench.models.encoder import describe
from prunebench.models.families import FAMILIES
from prunebench.models.fast.device import accelerate
from prunebench.pruning import masks, structures
from prunebench.recipes.axes import Selection
from prunebench.training.batching import EncodedSplit

TOKENS, EXAMPLES, LONGEST = 20, 12, 8
SIZES = {"num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 12, "vocab_size": TOKENS}
DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def small_context(unit: str = "weight", layers: int = 2, budget: str = "units", **sizes: int) -> Context:
    """A BERT of two heads of size 4 and 12 neurons in each layer, in float64, with the attention of real runs.

    12 examples of 3 to 8 tokens, in batches of 4, each of one of three classes.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        config = transformers.BertConfig(num_hidden_layers=layers, num_labels=3, **(SIZES | sizes), **DROPOUT)
        model = transformers.BertForSequenceClassification(config).double().eval()
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        lengths = torch.arange(EXAMPLES) % 6 + 3
        attention = (torch.arange(LONGEST) < lengths[:, None]).int()
        ids = torch.randint(TOKENS, (EXAMPLES, LONGEST), dtype=torch.int32) * attention
        labels = torch.randint(3, (EXAMPLES,))
    accelerate(model, "cpu")
    prunable = describe(model, next(each for each in FAMILIES if each.name == "bert"))
    groups = structures.structure_of(unit).groups(prunable)
    return Context(
        prunable,
        masks.full({name: group.shape for name, group in groups.items()}),
        unit,
        EncodedSplit({"input_ids": ids, "attention_mask": attention}, labels, lengths),
        selection=Selection.parse("global", "", budget),
        initial={name: parameter.detach().clone() for name, parameter in model.named_parameters()},
        seed=0,
        batch_size=4,
        precision="fp32",
        device="cpu",
    )
