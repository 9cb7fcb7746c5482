"""Movement pruning against a training loop in which autograd derives the scores, and in real runs."""

from __future__ import annotations

import copy

import pytest
import torch
from prunebench_movement import Scores

import prunebench
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.pruning import masks
from prunebench.training.loop import loss_of

UNITS = 2 * (4 * 16 * 16 + 2 * 16 * 32)
STEPS = 25


class Recorder:
    """Looks on while the plugin works: its model at the start, its batches, its masks and scores after each step."""

    def __init__(self, monkeypatch):
        self.batches, self.masks, self.scores = [[]], [], []
        real = {name: getattr(Scores, name) for name in ("__init__", "loss", "after_step", "final_mask")}

        def start(callback, ctx, options):
            real["__init__"](callback, ctx, options)
            self.callback, self.model = callback, copy.deepcopy(ctx.model)

        def loss(callback, value, outputs, batch):
            self.batches[-1].append(batch)
            return real["loss"](callback, value, outputs, batch)

        def after_step(callback, step):
            self.batches.append([])
            self.masks.append(real["after_step"](callback, step))
            self.scores.append({name: score.detach().clone() for name, score in callback.scores.items()})
            return self.masks[-1]

        for name, function in (("__init__", start), ("loss", loss), ("after_step", after_step)):
            monkeypatch.setattr(Scores, name, function)

    @property
    def counts(self):
        return [masks.pruned({name: keep.cpu() for name, keep in mask.items()}) for mask in self.masks]


@pytest.fixture
def recorder(monkeypatch):
    return Recorder(monkeypatch)


def highest(scores, count):
    """The masks without the `count` lowest scores of all matrices."""
    values = torch.cat([score.detach().flatten() for score in scores.values()])
    keep = torch.ones_like(values)
    keep[values.argsort()[:count]] = 0
    parts = keep.split([score.numel() for score in scores.values()])
    return {name: part.view_as(score) for (name, score), part in zip(scores.items(), parts, strict=True)}


def cubic(step, final, begin, end):
    """v_f − v_f (1 − (t − t_i) / (t_f − t_i))³ between t_i and t_f."""
    share = min(max((step / STEPS - begin) / (end - begin), 0), 1)
    return final - final * (1 - share) ** 3


@pytest.mark.parametrize("soft", [False, True])
def test_scores_weights_and_masks_are_those_of_a_loop_with_autograd(run, recorder, monkeypatch, soft):
    """In the loop, autograd sees W ⊙ (M(S) + S − S.detach()): the value of the mask, with the gradient of S.

    With a large ε for the scores, their steps are nearly in proportion to the gradients, so that few are tied.
    """
    real = Scores.parameters
    monkeypatch.setattr(Scores, "parameters", lambda callback: [{**group, "eps": 1e-2} for group in real(callback)])
    rate, penalty, threshold = (20.0, 0.1, 0.49) if soft else (2.0, 400.0, 0.1)
    run(f"movement[soft={soft},lr={rate},penalty={penalty},threshold={threshold}]")
    model = recorder.model.train()
    parameters = {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}
    scores = {name: torch.zeros_like(parameters[name]).requires_grad_() for name in recorder.scores[0]}
    keep = {name: torch.ones_like(score) for name, score in scores.items()}
    groups = [{"params": list(parameters.values())}, {"params": list(scores.values()), "eps": 1e-2}]
    optimizer = torch.optim.AdamW(groups, eps=1e-8, weight_decay=0.0)
    for step, parts in enumerate(recorder.batches[:STEPS]):
        for group, start in zip(optimizer.param_groups, (1e-3, rate), strict=True):
            group["lr"] = start * (1 - step / STEPS)
        optimizer.zero_grad()
        effective = parameters | {n: parameters[n] * (keep[n] + s - s.detach()) for n, s in scores.items()}
        examples = sum(len(part["labels"]) for part in parts)
        for part in parts:
            inputs = {name: value for name, value in part.items() if name != "labels"}
            outputs = torch.func.functional_call(model, effective, kwargs=inputs)
            loss = loss_of(outputs.logits, part["labels"]) * (len(part["labels"]) / examples)
            loss.backward(retain_graph=True)
        if soft:
            strength = penalty * cubic(step, threshold, 0.1, 0.8) / threshold
            (strength * torch.stack([torch.sigmoid(score).mean() for score in scores.values()]).mean()).backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        if soft:
            level = cubic(step + 1, threshold, 0.1, 0.8)
            keep = {name: (torch.sigmoid(score) > level).float() for name, score in scores.items()}
        else:
            keep = highest(scores, masks.pruned_count(cubic(step + 1, 0.8, 0.1, 0.8), UNITS))
        for name in scores:
            for moment in ("exp_avg", "exp_avg_sq"):
                optimizer.state[parameters[name]][moment] *= keep[name]
        for name, score in scores.items():
            torch.testing.assert_close(recorder.scores[step][name], score.detach(), rtol=1e-2, atol=1e-4)
            assert (recorder.masks[step][name] == keep[name].bool()).all(), (step, name)
    assert max(float(score.detach().abs().max()) for score in scores.values()) > 0.02
    back = sum(
        int((later[name] & ~earlier[name]).sum())
        for earlier, later in zip(recorder.masks, recorder.masks[1:], strict=False)
        for name in scores
    )
    assert recorder.counts[-1] > 2000 and back > (10 if soft else 50), "weights come back, with their values"
    for name, dense in recorder.callback.dense.items():
        torch.testing.assert_close(dense, parameters[name].detach(), rtol=1e-2, atol=1e-5)


def test_the_sparsity_follows_the_cubic_of_the_paper(run, recorder):
    """v_f + (v_i − v_f)(1 − (t − t_i)/(N Δt))³ from the fraction 0.1 of 25 steps to the fraction 0.8."""
    run("movement")
    assert recorder.counts == [masks.pruned_count(cubic(step, 0.8, 0.1, 0.8), UNITS) for step in range(1, STEPS + 1)]
    assert recorder.counts[1] == 0 and recorder.counts[19] == recorder.counts[24] == round(0.8 * UNITS)


def test_a_scope_gives_each_matrix_the_same_sparsity(run, recorder):
    run("movement[scope=layer]", "0.75")
    assert {int((~keep).sum()) / keep.numel() for keep in recorder.masks[-1].values()} == {0.75}


@pytest.mark.parametrize(("pattern", "sparsity"), [("2:4", "0.5"), ("4x1", "0.75")])
@pytest.mark.parametrize("soft", ["false", "true"])
def test_masks_follow_a_pattern(run, recorder, pattern, sparsity, soft):
    """The hard variant follows it at every step, the soft one in its last mask."""
    store, cell, record = run(f"movement[pattern={pattern},soft={soft}]", sparsity)
    assert record.checks["pattern_followed"] and record.checks["count_exact"]
    assert record.sparsity.pruned == round(float(sparsity) * UNITS)
    for mask in [store.load("masks", cell.mask, masks.unpack), *(recorder.masks if soft == "false" else [])]:
        for keep in mask.values():
            if pattern == "2:4":
                assert (keep.reshape(-1, 4).sum(dim=1) >= 2).all()
            else:
                blocks = keep.reshape(keep.shape[0] // 4, 4, keep.shape[1]).sum(dim=1)
                assert ((blocks == 0) | (blocks == 4)).all()


@pytest.mark.parametrize("soft", ["false", "true"])
def test_a_teacher_changes_the_outcome(run, soft):
    logits = []
    for teacher in ("none", "dense"):
        store, cell, record = run(f"movement[teacher={teacher},soft={soft}]")
        assert record.checks["count_exact"]
        logits.append(store.logits(cell.key)["validation"])
    assert (logits[0] != logits[1]).any()


@pytest.mark.parametrize("option", ["schedule=ladder", "budget=flops"])
def test_other_options_of_every_method_are_refused_in_a_line(option):
    with pytest.raises(prunebench.PrunebenchError, match=f"'movement' takes no option '{option.split('=')[0]}'"):
        Method(f"movement[{option}]", Registry())


def test_a_larger_penalty_leaves_fewer_weights(run, recorder):
    """This is the soft variant. The final mask is exact all the same."""
    counts = []
    for penalty in (0, 1000):
        _, _, record = run(f"movement[soft=true,lr=0.5,penalty={penalty}]", "0.5")
        counts.append(recorder.counts[-1])
        assert record.sparsity.pruned == UNITS // 2
    assert counts[0] < counts[1]


@pytest.mark.parametrize("strategy", ["movement", "movement[soft=true]"])
@pytest.mark.parametrize("sparsity", ["0.3", "0.97"])
def test_the_final_count_is_exact_and_pruned_weights_are_zero(run, strategy, sparsity):
    store, cell, record = run(strategy, sparsity)
    assert (record.sparsity.units, record.sparsity.pruned) == (UNITS, masks.pruned_count(float(sparsity), UNITS))
    assert record.checks["count_exact"] and record.checks["pruned_weights_zero"]
    assert (len(cell.trainings), record.steps) == (1, STEPS)
    assert masks.pruned(store.load("masks", cell.mask, masks.unpack)) == record.sparsity.pruned


@pytest.mark.parametrize("strategy", ["movement[lr=0.5]", "movement[soft=true,lr=0.5]"])
def test_an_interrupted_training_goes_on_bit_for_bit(check_resume, strategy):
    check_resume(Scores, strategy, 13)


def test_the_entry_point_provides_the_strategy():
    entry = Registry().entry("strategies", "movement")
    assert (entry.plugin.distribution, entry.plugin.origin) == (
        "prunebench-movement",
        "entry point prunebench_movement",
    )


@pytest.mark.parametrize("option", ["lr=0", "threshold=0", "threshold=1", "penalty=-1"])
def test_bad_options_are_errors(option):
    with pytest.raises(prunebench.PrunebenchError, match="movement needs"):
        Registry().strategy(f"movement[{option}]")
