"""Callbacks in a training, against loops written by hand and against a training that was not interrupted."""

from __future__ import annotations

import pytest
import torch
from training.helpers import PROTOCOL, half_masks, ragged, train, weights, without_dropout

from prunebench.models.fast.dropout import GENERATOR
from prunebench.runtime.seeds import derive
from prunebench.training import batching
from prunebench.training.callbacks import Ramp, Training, TrainingCallback
from prunebench.training.resume import Checkpointing, saved_mask


class Learned(TrainingCallback):
    """Learns a factor of the loss and a penalty, counts steps, and moves its mask at random at every step."""

    def __init__(self, pm, clip=False):
        self.pm = pm
        self.clip = clip
        self.factor = torch.nn.Parameter(torch.tensor(1.0))
        self.steps = torch.zeros((), dtype=torch.int64)
        self.calls = []

    def parameters(self):
        yield {"params": [self.factor], "lr": 0.1} | ({"clip": True} if self.clip else {})

    def loss(self, loss, outputs, batch):
        assert batch["labels"].shape == outputs.logits.shape[:1]
        return loss * self.factor.square() + 0.5 * self.factor

    def after_step(self, step):
        self.steps += 1
        generator = torch.Generator().manual_seed(int(self.steps))
        named = dict(self.pm.model.named_parameters())
        self.mask = {name: torch.rand(named[name].shape, generator=generator) > 0.5 for name in self.pm.prunable}
        return self.mask

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps.copy_(state["steps"])


@pytest.mark.parametrize("clip", [False, True])
def test_learned_parameters_and_losses_are_those_of_a_plain_loop(setting, clip):
    """Batches are computed in parts, whose penalties add up to one. Under one norm, the factor takes most of it."""
    pm, data = setting()
    reference, _ = setting()
    data = ragged(data)
    for each in (pm, reference):
        without_dropout(each.model)
    learned = Learned(pm, clip)
    learned.after_step = lambda step: None
    train(pm, data, epochs=1, callbacks=[learned])

    factor = torch.nn.Parameter(torch.tensor(1.0))
    model, total = reference.model, -(-len(data) // 10)
    optimizer = torch.optim.AdamW([{"params": list(model.parameters())}, {"params": [factor], "lr": 0.1}],
                                  lr=PROTOCOL.lr, weight_decay=0.0)  # fmt: skip
    model.train()
    order = torch.Generator().manual_seed(derive(0, "order"))
    for step, indices in enumerate(batching.training_batches(data, 10, order)):
        for group, start in zip(optimizer.param_groups, (PROTOCOL.lr, 0.1), strict=True):
            group["lr"] = start * (1 - step / total)
        batch = data.batch(indices)
        labels = batch.pop("labels")
        loss = torch.nn.functional.cross_entropy(model(**batch).logits, labels) * factor**2 + factor / 2
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*model.parameters(), *([factor] if clip else [])], PROTOCOL.clip)
        optimizer.step()
    assert factor.item() != 1
    torch.testing.assert_close(learned.factor, factor, rtol=1e-4, atol=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(weights(pm)[name], parameter.detach(), rtol=2e-3, atol=2e-5)


def test_gradients_after_backward_are_dense(setting):
    """∂L/∂w of pruned weights, by a model whose matrices are copies of the masked ones."""
    pm, data = setting()
    without_dropout(pm.model)
    keep = half_masks(pm)
    gradients = {}

    class Dense(TrainingCallback):
        def after_backward(self, step):
            if step == 1:
                gradients.update({name: pm.model.get_parameter(name).grad.clone() for name in pm.prunable})

    reference, _ = setting()
    without_dropout(reference.model)
    train(pm, data, keep, epochs=1, callbacks=[Dense()])
    model = reference.model.train()
    with torch.no_grad():
        for name in keep:
            model.get_parameter(name).mul_(keep[name])
    first = next(batching.training_batches(data, 10, torch.Generator().manual_seed(derive(0, "order"))))
    batch = data.batch(first)
    labels = batch.pop("labels")
    torch.nn.functional.cross_entropy(model(**batch).logits, labels).backward()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, model.get_parameter(name).grad, rtol=1e-3, atol=1e-6)
        assert gradient[~keep[name]].abs().sum() > 0


def test_units_that_come_back_start_at_zero_without_momentum(setting):
    """The first step after a unit has come back moves it by one step of Adam from zero: by the learning rate."""
    pm, data = setting()
    first, second = half_masks(pm, 1), half_masks(pm, 2)
    after = {}

    class Watch(TrainingCallback):
        def after_step(self, step):
            after[step] = weights(pm)

    ramp = Ramp({4: lambda: second})
    train(pm, data, first, callbacks=[ramp, Watch()])
    name = pm.prunable[0]
    back, gone = second[name] & ~first[name], first[name] & ~second[name]
    assert back.any() and gone.any()
    assert not after[4][name][back].any() and not after[4][name][gone].any()
    rate = PROTOCOL.lr * (1 - 4 / max(after))
    # From moments of 0, step 5 of Adam is lr · 0.1/(1 − 0.9⁵) / √(0.001/(1 − 0.999⁵)), less where ε counts.
    size = rate * (0.1 / (1 - 0.9**5)) / (0.001 / (1 - 0.999**5)) ** 0.5
    moved = after[5][name][back].abs()
    assert moved.max() <= size * 1.0001
    assert torch.isclose(moved.median(), torch.tensor(size), rtol=1e-2)
    assert not after[max(after)][name][gone].any()


@pytest.mark.parametrize("at", [1, 7])
def test_a_training_with_a_stateful_callback_resumes_bit_for_bit(setting, at):
    saved, steps = [], iter(range(1, 100))
    pm, data = setting()
    learned = Learned(pm)
    due = Checkpointing(lambda: next(steps) == at, saved.append, mask=lambda: learned.mask)
    outcome = train(pm, data, callbacks=[learned, due])
    other, _ = setting()
    torch.manual_seed(123)
    GENERATOR.seed(123)
    again = Learned(other)
    resume = Checkpointing(lambda: False, saved.append, start=saved[0])
    assert train(other, data, saved_mask(saved[0]), callbacks=[again, resume]) == outcome
    assert (again.factor.item(), int(again.steps)) == (learned.factor.item(), int(learned.steps))
    assert all(torch.equal(tensor, weights(other)[name]) for name, tensor in weights(pm).items())


def test_callbacks_are_entered_once_and_left_even_when_a_training_fails(setting):
    pm, data = setting()
    calls = []

    class Recorder(TrainingCallback):
        def __enter__(self):
            calls.append(("enter", pm.model.training))
            return self

        def __exit__(self, *error):
            calls.append(("exit", error[0]))

        def begin(self, training: Training):
            calls.append(("begin", training.progress.step, training.total))

        def after_step(self, step):
            if step == 2:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(pm, data, callbacks=[Recorder()])
    assert calls == [("enter", True), ("begin", 0, 10), ("exit", ZeroDivisionError)]


@pytest.mark.parametrize("steps", [3, 10, 13])
def test_a_training_has_as_many_steps_as_it_is_told(setting, steps):
    """Shorter, as long as, and longer than the protocol; the learning rate decays over all of them."""
    pm, data = setting()
    rates = []

    class Rates(TrainingCallback):
        def begin(self, training):
            self.training = training

        def after_step(self, step):
            rates.append(self.training.progress.learning_rate)

    assert train(pm, data, callbacks=[Rates()], steps=steps).steps == steps
    assert rates == pytest.approx([PROTOCOL.lr * (1 - step / steps) for step in range(1, steps + 1)])


def test_hidden_states_are_there_where_a_callback_needs_them(setting):
    pm, data = setting()
    numbers = []

    class Hidden(TrainingCallback):
        hidden_states = True

        def loss(self, loss, outputs, batch):
            numbers.append(len(outputs.hidden_states))
            assert outputs.hidden_states[-1].shape[:2] == batch["input_ids"].shape, "not of the first token alone"
            return loss

    train(pm, data, epochs=1, callbacks=[Hidden()])
    assert set(numbers) == {len(pm.layers) + 1}
