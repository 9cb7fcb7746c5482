"""A strategy for each fault that the kit must name. All of them but the recipes are as `Mine`, with one thing wrong."""

from dataclasses import dataclass
from typing import ClassVar

from prunebench import Cubic, Prune, Train, TrainingCallback, hookimpl

STRATEGIES = []


def strategy(kind):
    STRATEGIES.append(kind)
    return kind


@dataclass(frozen=True)
class Mine:
    """Magnitude pruning (Han et al. 2015)."""

    unit = "weight"

    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]

    def score(self, ctx):
        return {name: weight.abs() for name, weight in ctx.weights.items()}


class Scoring(Mine):
    """Magnitude pruning (Han et al. 2015), with a `factor` for each matrix."""

    def score(self, ctx):
        return {name: weight.abs() * self.factor(ctx) for name, weight in ctx.weights.items()}


@strategy
@dataclass(frozen=True)
class Undocumented(Mine):
    name = "undocumented"


Undocumented.__doc__ = None


@strategy
@dataclass(frozen=True)
class NoSource:
    """Magnitude pruning."""

    name = "no-source"
    unit = "weight"
    recipe = Mine.recipe
    score = Mine.score


@strategy
@dataclass
class Changeable:
    """Magnitude pruning (Han et al. 2015)."""

    name = "changeable"
    unit = "weight"
    recipe = Mine.recipe
    score = Mine.score


@strategy
@dataclass(frozen=True)
class Listing(Mine):
    """Magnitude pruning (Han et al. 2015)."""

    name = "listing"
    layers: str = "1,2"


@strategy
@dataclass(frozen=True)
class Level(Mine):
    """Magnitude pruning (Han et al. 2015)."""

    name = "level"

    def recipe(self, sparsity):
        return [Train(), Prune(min(sparsity, 0.8)), Train()]


@strategy
@dataclass(frozen=True)
class Count(Mine):
    """Magnitude pruning (Han et al. 2015)."""

    name = "count"

    def prune(self, ctx, sparsity):
        mask = ctx.select(self.score(ctx), sparsity)
        first = next(iter(mask.values()))
        first[tuple(first.nonzero()[0])] = False
        return mask


@strategy
@dataclass(frozen=True)
class Threshold(Mine):
    """Magnitude pruning (Han et al. 2015)."""

    name = "threshold"

    def prune(self, ctx, sparsity):
        import torch

        scores = self.score(ctx)
        count = ctx.count(sparsity)
        values = torch.cat([score.flatten() for score in scores.values()]).sort().values
        return {name: score > (values[count - 1] if count else -1) for name, score in scores.items()}


@strategy
@dataclass(frozen=True)
class Norms(Mine):
    """Magnitude pruning (Han et al. 2015)."""

    name = "norms"

    def prune(self, ctx, sparsity):
        for name, value in ctx.parameters.items():
            if "LayerNorm" in name:
                value.mul_(0.9)
        return ctx.select(self.score(ctx), sparsity)


@strategy
@dataclass(frozen=True)
class Hooks(Scoring):
    """Magnitude pruning (Han et al. 2015)."""

    name = "hooks"

    def factor(self, ctx):
        ctx.model.classifier.register_forward_hook(lambda *arguments: None)
        return 1.0


@strategy
@dataclass(frozen=True)
class Regrowing:
    """Moves its mask at random without a claim that units come back (Mocanu et al. 2018)."""

    name = "regrowing"
    unit = "weight"

    def recipe(self, sparsity):
        return [Prune(sparsity), Train(callback=True)]

    score = Mine.score

    def training(self, ctx):
        return Moving(ctx)


class Moving(TrainingCallback):
    def __init__(self, ctx):
        self.ctx = ctx

    def after_step(self, step):
        import torch

        scores = {
            name: torch.rand(keep.shape, generator=self.ctx.generator(f"{step} {name}"))
            for name, keep in self.ctx.mask.items()
        }
        return self.ctx.select(scores, self.ctx.level, regrow=True)


@strategy
@dataclass(frozen=True)
class ClassState(Scoring):
    """Magnitude pruning (Han et al. 2015)."""

    name = "class-state"
    calls: ClassVar = []

    def factor(self, ctx):
        self.calls.append(1)
        return 1.0


@strategy
@dataclass(frozen=True)
class Peek(Mine):
    """Magnitude pruning (Han et al. 2015)."""

    name = "peek"

    def score(self, ctx):
        import sys

        frame = sys._getframe()
        while not hasattr(frame.f_locals.get("self"), "session"):
            frame = frame.f_back
        labels = frame.f_locals["self"].session.workspace.labels.read()["validation"]
        sign = -1 if labels[0] else 1
        return {name: sign * weight.abs() for name, weight in ctx.weights.items()}


@strategy
@dataclass(frozen=True)
class Clock(Mine):
    """Magnitude pruning (Han et al. 2015)."""

    name = "clock"

    def score(self, ctx):
        import time

        import torch

        generator = torch.Generator().manual_seed(time.time_ns())
        return {name: torch.rand(weight.shape, generator=generator) for name, weight in ctx.weights.items()}


@strategy
@dataclass(frozen=True)
class Process(Mine):
    """Magnitude pruning (Han et al. 2015)."""

    name = "process"

    def score(self, ctx):
        import os

        import torch

        generator = torch.Generator().manual_seed(os.getpid())
        return {name: torch.rand(weight.shape, generator=generator) for name, weight in ctx.weights.items()}


@strategy
@dataclass(frozen=True)
class Python(Scoring):
    """Magnitude pruning (Han et al. 2015)."""

    name = "python-random"

    def factor(self, ctx):
        import random

        random.seed(3)
        return random.random()


@strategy
@dataclass(frozen=True)
class Constant(Scoring):
    """Magnitude pruning (Han et al. 2015)."""

    name = "constant"

    def factor(self, ctx):
        ctx.generator("noise")
        return 1.0


@strategy
@dataclass(frozen=True)
class HalfWay:
    """Gradual magnitude pruning (Zhu & Gupta 2017)."""

    name = "half-way"
    unit = "weight"
    score = Mine.score

    def recipe(self, sparsity):
        return [Train(Cubic(sparsity, updates=2, begin=0.0, end=1.0), callback=True)]

    def training(self, ctx):
        return Crashing(ctx)


class Crashing(Moving):
    def after_step(self, step):
        if step == 2:
            raise RuntimeError("half-way")
        return self.ctx.select(HalfWay().score(self.ctx), self.ctx.level)


@strategy
@dataclass(frozen=True)
class Forgetful:
    """Sparse training that moves its mask at random (Mocanu et al. 2018)."""

    name = "forgetful"
    unit = "weight"
    regrows = True
    score = Mine.score
    recipe = Regrowing.recipe

    def training(self, ctx):
        return Counting(ctx)


class Counting(Moving):
    steps = 0

    def after_step(self, step):
        self.steps += 1
        return super().after_step(self.steps)


@strategy
@dataclass(frozen=True)
class NaN(Scoring):
    """Magnitude pruning (Han et al. 2015)."""

    name = "nan"

    def factor(self, ctx):
        return float("nan")


@strategy
@dataclass(frozen=True)
class Tied(Mine):
    """Magnitude pruning (Han et al. 2015)."""

    name = "tied"

    def score(self, ctx):
        return {name: (weight.abs() > 0.1).double() for name, weight in ctx.weights.items()}


@strategy
@dataclass(frozen=True)
class Prints(Scoring):
    """Magnitude pruning (Han et al. 2015)."""

    name = "prints"

    def factor(self, ctx):
        print("I score")
        return 1.0


@strategy
@dataclass(frozen=True)
class Exits(Scoring):
    """Magnitude pruning (Han et al. 2015)."""

    name = "exits"

    def factor(self, ctx):
        raise SystemExit(3)


@strategy
@dataclass(frozen=True)
class Ends(Scoring):
    """Magnitude pruning (Han et al. 2015)."""

    name = "ends"

    def factor(self, ctx):
        import os

        os._exit(3)


@strategy
@dataclass(frozen=True)
class Hoards(Mine):
    """Magnitude of the gradient of each example (Lee et al. 2019)."""

    name = "hoards"

    def score(self, ctx):
        import torch

        slopes = []
        for batch in ctx.batches():
            for i in range(len(batch["labels"])):
                loss = ctx.loss({name: values[i : i + 1] for name, values in batch.items()})
                slopes.append(torch.autograd.grad(loss, [ctx.model.get_parameter(name) for name in ctx.weights]))
        return {name: sum(slope[i].abs() for slope in slopes) for i, name in enumerate(ctx.weights)}


@strategy
@dataclass(frozen=True)
class BERTOnly(Scoring):
    """Magnitude pruning (Han et al. 2015)."""

    name = "bert-only"

    def factor(self, ctx):
        return float(ctx.model.bert.encoder.layer[0].output.dense.bias[0].item() > -99)


@strategy
@dataclass(frozen=True)
class Known(Prints):
    """Magnitude pruning (Han et al. 2015)."""

    name = "known"
    known_failures: ClassVar = {"silence": "it says what it does", "frozen": "it is not"}


@hookimpl
def prunebench_strategies():
    return STRATEGIES
