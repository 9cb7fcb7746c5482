"""Methods whose recipe is a word, and an observer of everything that their trainings do. Tests import it by this name.

Each letter is a phase. `T` trains, `P` prunes, `R` and `r` rewind to θ0 and to step 1, `I` draws all weights anew, `L`
permutes layers, `S` and `G` shuffle the mask (by group, or over all groups), and `C` compacts. The callback of a method
acts in `M` (at a constant count), `V` (along a cubic) and `F` (freely until the end).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from prunebench.execution import phase_context
from prunebench.pruning import masks
from prunebench.training import loop
from prunebench.training.callbacks import TrainingCallback

METHODS = '''
from dataclasses import dataclass
import torch
from prunebench import (
    Compact, Cubic, PermuteLayers, Prune, Reinit, Rewind, Shuffle, Train, TrainingCallback, hookimpl
)

@dataclass(frozen=True)
class Scored:
    """Prunes by magnitude, in coarse steps, so that there are ties."""

    name = "scored"
    unit = "weight"
    word: str = "TPT"
    scope: str = "global"
    pattern: str = ""
    budget: str = "units"

    def recipe(self, sparsity):
        levels = [0.0]
        number = sum(letter in "PVF" for letter in self.word)
        for letter in self.word:
            if letter in "PVF":
                last = len(levels) == number
                levels.append(sparsity if last else round(sparsity * len(levels) / number, 3))
            yield self.phase(letter, *levels[-2:])

    def phase(self, letter, before, level=0.0):
        how = {"scope": self.scope, "pattern": self.pattern, "budget": self.budget}
        makers = {
            "T": lambda: Train(),
            "P": lambda: Prune(level, **how),
            "R": lambda: Rewind(),
            "r": lambda: Rewind(1),
            "I": lambda: Reinit(),
            "L": lambda: PermuteLayers(),
            "S": lambda: Shuffle("layer", pattern=self.pattern),
            "G": lambda: Shuffle("global", pattern=self.pattern),
            "C": lambda: Compact(),
            "M": lambda: Train(callback=True),
            "V": lambda: Train(Cubic(level, initial=before), callback=True),
            "F": lambda: Train(level, callback=True),
        }
        return makers[letter]()

    def score(self, ctx):
        return ctx.unit_sums({name: (64 * value.double().abs()).round() for name, value in ctx.parameters.items()})

@dataclass(frozen=True)
class Units(Scored):
    name = "units"
    unit = "head+neuron"

@dataclass(frozen=True)
class Everything(Scored):
    name = "everything"
    unit = "head+neuron+layer"

@dataclass(frozen=True)
class Moving(Scored):
    """Draws a mask at every step, and learns a factor of the loss; at step `wrong` it prunes `more` too many."""

    name = "moving"
    unit = "weight"
    regrows = True
    wrong: int = 0
    more: int = 1

    def training(self, ctx):
        return Draws(ctx, self)

class Draws(TrainingCallback):
    def __init__(self, ctx, options):
        self.ctx, self.options = ctx, options
        self.generator = ctx.generator("draws")
        self.factor = torch.nn.Parameter(torch.ones(()))
        self.units = sum(keep.numel() for keep in ctx.mask.values())

    def parameters(self):
        yield {"params": [self.factor], "lr": 0.1}

    def loss(self, loss, outputs, batch):
        return loss * self.factor.square()

    def draw(self, pruned):
        keep = (torch.randperm(self.units, generator=self.generator) >= pruned).split(
            [keep.numel() for keep in self.ctx.mask.values()]
        )
        return {name: part.view(self.ctx.mask[name].shape) for name, part in zip(self.ctx.mask, keep)}

    def after_step(self, step):
        free = self.options.word.endswith("F")
        count = int(torch.randint(self.units, (), generator=self.generator)) if free else self.ctx.count(self.ctx.level)
        return self.draw(count + self.options.more * (step == self.options.wrong))

    def final_mask(self):
        last = self.ctx.progress.step == self.options.wrong - 1
        return self.draw(self.ctx.count(self.ctx.level) + self.options.more * last)

@hookimpl
def prunebench_strategies():
    return [Scored, Units, Everything, Moving]
'''


@dataclass
class Training:
    """What one training did: weights and mask, by group, before it, after each of its steps, and at its end."""

    node: object
    mask: dict
    before: dict = field(default_factory=dict)
    steps: dict = field(default_factory=dict)
    end: tuple = ()


class Watch(TrainingCallback):
    """Notes weights and mask after each step, when all other callbacks have changed them."""

    def __init__(self, training, look):
        self.training, self.look = training, look

    def begin(self, training):
        self.look = training.on_whole_model(self.look)

    def after_step(self, step):
        self.training.steps[step] = self.look()


class Observer:
    """The trainings of this process, and the masks that `Shuffle` drew, both by the key of their node."""

    def __init__(self, patch):
        self.trainings, self.shuffled = {}, {}
        train, shuffle, real = phase_context.train, phase_context.JobContext.shuffle_mask, loop.train

        def watched(session, pruner, node, state, *arguments):
            training = Training(node, state.mask)

            def look():
                return session.workspace.copy(), state.mask

            def spy(*positional, callbacks, **options):
                training.before, _ = look()
                return real(*positional, callbacks=[*callbacks, Watch(training, look)], **options)

            with pytest.MonkeyPatch.context() as inner:
                inner.setattr(loop, "train", spy)
                outcome = train(session, pruner, node, state, *arguments)
            training.end = look()
            assert node.key not in self.trainings, "a training runs once"
            self.trainings[node.key] = training
            return outcome

        def drawn(context, counts, pattern=None):
            shuffle(context, counts, pattern)
            mask = self.shuffled.setdefault(context._node.key, context.mask)
            assert same(mask, context.mask), "a mask is drawn again as it was"

        patch.setattr(phase_context, "train", watched)
        patch.setattr(phase_context.JobContext, "shuffle_mask", drawn)


def same(one, other):
    """Whether masks or weights are equal bit for bit, but for the sign of zeros; both may be None."""
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(value.equal(other[name]) for name, value in one.items())


def counts(mask):
    """The number of pruned units of each group."""
    return {name: masks.pruned({name: keep}) for name, keep in mask.items()}
