"""A table of pruning as people script it today: transformers' Trainer and torch.nn.utils.prune, run after run.

Dense, IMP with rewinding (10 % of the weights a round, over all matrices), and for each level a random mask with the
same counts and the same mask on random weights. It is no straw man: the dense run is round 0 of IMP, the rounds run
once for all levels, and the controls take their masks from them. Prints a JSON line for each score; see `table.py`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from typing import Any

import plain_trainer
import torch
from torch.nn.utils import prune
from transformers import AutoConfig, AutoModelForSequenceClassification, set_seed

Masks = list[torch.Tensor]
ROUND = 0.1


def linears(model: Any) -> list[torch.nn.Linear]:
    """The six of each layer of the encoder."""
    return [module for module in model.base_model.encoder.modules() if isinstance(module, torch.nn.Linear)]


def masked(model: Any, masks: Masks) -> Any:
    for module, mask in zip(linears(model), masks, strict=True):
        prune.custom_from_mask(module, "weight", mask)
    return model


def shuffled(masks: Masks) -> Masks:
    return [mask.flatten()[torch.randperm(mask.numel())].view_as(mask) for mask in masks]


class Table:
    """The runs of one seed."""

    def __init__(self, subject: plain_trainer.Subject, seed: int) -> None:
        self.subject = subject
        self.seed = seed

    def pretrained(self) -> Any:
        set_seed(self.seed)
        return AutoModelForSequenceClassification.from_pretrained(self.subject.folder, num_labels=self.subject.labels)

    def random(self) -> Any:
        set_seed(self.seed)
        config = AutoConfig.from_pretrained(self.subject.folder, num_labels=self.subject.labels)
        return AutoModelForSequenceClassification.from_config(config)

    def run(self, method: str, level: float, model: Any) -> None:
        with tempfile.TemporaryDirectory() as output:
            trainer = plain_trainer.make(self.subject, model, self.seed, output)
            score = plain_trainer.train_and_evaluate(trainer, self.subject)
        print(json.dumps({"method": method, "level": level, "seed": self.seed, "score": score}), flush=True)

    def fill(self, levels: list[float]) -> None:
        model = self.pretrained()
        self.run("dense", 0.0, model)
        total = sum(module.weight.numel() for module in linears(model))
        gone = 0
        for number in range(1, round(max(levels) / ROUND) + 1):
            level = round(number * ROUND, 10)
            more, gone = round(level * total) - gone, round(level * total)
            weights = [(module, "weight") for module in linears(model)]
            prune.global_unstructured(weights, prune.L1Unstructured, amount=more)
            masks = [module.weight_mask.clone() for module in linears(model)]
            model = masked(self.pretrained(), masks)
            self.run("imp", level, model)
            if level in levels:
                self.run("random-pruning", level, masked(self.pretrained(), shuffled(masks)))
                self.run("random-reinit", level, masked(self.random(), masks))


def main() -> None:
    parser = argparse.ArgumentParser()
    plain_trainer.add_options(parser)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--sparsities")
    parser.add_argument("--padding")
    options = parser.parse_args()
    subject = plain_trainer.load(plain_trainer.suite_of(options, 0), options.padding)
    for seed in range(options.seeds):
        Table(subject, seed).fill([float(level) for level in options.sparsities.split(",")])


if __name__ == "__main__":
    main()
