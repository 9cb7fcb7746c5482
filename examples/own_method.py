"""Run a suite, look at the results, compare methods, and try a method of your own: `python examples/own_method.py`."""

from __future__ import annotations

from dataclasses import dataclass

import prunebench as pb
from prunebench import Prune, Train


@dataclass(frozen=True)
class Wanda:
    """Magnitude times the norm of the input feature (Sun et al. 2023), one shot, then trained on."""

    name = "my-wanda"
    unit = "weight"

    examples: int = 64

    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]

    def score(self, ctx):
        norms = ctx.input_norms(self.examples)
        return {name: weight.abs() * norms[name] for name, weight in ctx.weights.items()}


def main() -> None:
    store = ".prunebench"
    methods = ["imp", "random-pruning", Wanda, Wanda(examples=128)]
    results = pb.run("smoke", strategies=methods, sparsities=[0.1, 0.2], seeds=3, store=store)
    print(results)
    print(results.frame()[["label", "sparsity", "seed", "value", "dense"]])
    print(results.compare("my-wanda", "random-pruning"))
    results.plot().figure.savefig("scores.png")
    print("Written:", *results.leaderboard().write("leaderboard"))


if __name__ == "__main__":
    main()
