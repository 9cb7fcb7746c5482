"""Strategies that act while the model trains: their masks are exact, and what they do wrong is their own."""

from __future__ import annotations

import numpy as np
import pytest
from execution.runs import records_of, same_records, start_command
from execution.test_resume import PRINTS_STEPS, kill_and_go_on

from prunebench.store.store import Store

# Moves its mask at random at every step, as sparse training does; dropped weights come back with learned values.
CODE = '''
import torch
from dataclasses import dataclass
from prunebench import Cubic, Prune, Train, TrainingCallback, hookimpl

@dataclass(frozen=True)
class Mine:
    """My own method."""

    name = "mine"
    unit = "weight"
    regrows = True

    def recipe(self, sparsity):
        return RECIPE

    def score(self, ctx):
        return {name: weight.abs() for name, weight in ctx.weights.items()}

    def training(self, ctx):
        return ANSWER

class Moving(TrainingCallback):
    def __init__(self, ctx):
        self.ctx = ctx
        self.generator = ctx.generator("moves")
        self.ages = {name: torch.zeros(keep.shape) for name, keep in ctx.mask.items()}
        self.values = torch.nn.Parameter(torch.zeros(3))

    def parameters(self):
        yield {"params": [self.values], "lr": 0.01}

    def loss(self, loss, outputs, batch):
        return loss * (1 + self.values.sum()) * (1 + self.ctx.progress.step / 1000)

    def random_mask(self, pruned):
        ranks = torch.rand(sum(age.numel() for age in self.ages.values()), generator=self.generator)
        ranks -= torch.cat([age.flatten() for age in self.ages.values()]) / 1000
        keep = torch.ones(len(ranks), dtype=torch.bool)
        keep[ranks.argsort()[:pruned]] = False
        parts = keep.split([age.numel() for age in self.ages.values()])
        return {name: part.view(age.shape) for (name, age), part in zip(self.ages.items(), parts)}

    def after_step(self, step):
        assert step == self.ctx.progress.step
        for name, keep in self.ctx.mask.items():
            self.ages[name][keep] += 1
        pruned = sum(int((~keep).sum()) for keep in self.ctx.mask.values())
        mask = self.random_mask(pruned)
        EXTRA
        return mask

    def state_dict(self):
        return {**self.ages, "generator": self.generator.get_state()}

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])
        for name, age in self.ages.items():
            age.copy_(state[name])

@hookimpl
def prunebench_strategies():
    return [Mine]
'''
SPARSE = "[Prune(sparsity), Train(callback=True)]"


def plugin(tmp_path, recipe=SPARSE, answer="Moving(ctx)", extra="pass", text=CODE):
    file = tmp_path / "mine.py"
    file.write_text(text.replace("RECIPE", recipe).replace("ANSWER", answer).replace("EXTRA", extra))
    return file


@pytest.fixture(scope="module")
def undisturbed(run_at, tmp_path_factory):
    """The store and the plan of a run of another method. Tests do not change it."""
    store, plan, _ = run_at(tmp_path_factory.mktemp("alone") / "store", "magnitude-init", "0.3", epochs="1")
    return store, plan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": "mask = None; self.ctx.model.classifier.bias.requires_grad_(False)"}, "changed requires_grad of"),
        ({"extra": "self.ctx.model.classifier.register_forward_hook(lambda *a: None)"}, "changed hooks of classifier"),
        ({"extra": "self.ctx.level = 0.0; mask = self.random_mask(0)"}, "pruned 0 units (expected 4915)"),
        ({"extra": "mask = 3"}, "gave 3 as a mask"),
        ({"extra": "raise SystemExit"}, "raised SystemExit"),
        ({"extra": "1 / 0"}, "raised ZeroDivisionError"),
        ({"answer": "None"}, "gave NoneType as its callback"),
        ({"recipe": "[Train(sparsity, callback=True)]"}, "expected 4915"),
        ({"text": CODE.replace("regrows = True", "regrows = False")}, "brought pruned units back"),
    ],
)
def test_what_a_callback_does_wrong_fails_its_own_method(run, undisturbed, tmp_path, changes, message):
    alone, expected = undisturbed
    store, plan, report = run("mine,magnitude-init", "0.3", plugins=[plugin(tmp_path, **changes)], epochs="1")
    [reason] = report.failures.values()
    assert reason.startswith("strategy 'mine'") and message in reason, reason
    assert {label for (label, _, _), record in records_of(store, plan).items() if record is None} == {"mine"}
    for cell in expected.cells:
        assert np.array_equal(store.logits(cell.leaf.key)["validation"], alone.logits(cell.leaf.key)["validation"]), (
            cell.method.label
        )


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("[Train(), Prune(sparsity), Train()]", "has a training(ctx), and no Train(callback=True) in its recipe"),
        ("[Train(sparsity)]", "along no schedule"),
        ("[Train(callback=True)]", "at sparsity 0.3 prunes to 0"),
    ],
)
def test_recipes_that_cannot_be_meant_are_refused(run, tmp_path, recipe, message):
    from prunebench import PrunebenchError

    with pytest.raises(PrunebenchError) as error:
        run("mine", "0.3", plugins=[plugin(tmp_path, recipe)])
    assert message in str(error.value)


def test_a_killed_training_with_a_callback_goes_on_with_the_same_bits(tmp_path, tiny_bert, tiny_glue):
    """SIGKILL in the middle of a training with learned parameters, a generator and a mask that moves at every step."""
    text = PRINTS_STEPS + CODE
    where = ["--model", str(tiny_bert), "--glue-dir", str(tiny_glue), "--device", "cpu", "--precision", "fp32"]
    words = [
        "run",
        "--tasks",
        "rte",
        "--seeds",
        "1",
        "--epochs",
        "5",
        "--batch-size",
        "4",
        "--executor",
        "here",
        *where,
    ]
    words += ["--strategies", "mine", "--sparsities", "0.5", "--plugin", str(plugin(tmp_path, text=text))]
    with start_command(words, tmp_path / "whole") as process:
        assert process.wait() == 0, process.stderr.read()
    kill_and_go_on(words, tmp_path / "cut")
    whole, cut = Store.open(tmp_path / "whole"), Store.open(tmp_path / "cut")
    assert same_records(cut) == same_records(whole)
    for key in same_records(whole):
        assert np.array_equal(cut.logits(key)["validation"], whole.logits(key)["validation"])
