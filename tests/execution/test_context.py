"""The context of a strategy, against finite differences, and against loops and hooks written in another way."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.pruning import structures
from prunebench.runtime.seeds import derive
from prunebench.training.batching import evaluation_batches, training_batches

EXAMPLES = 10


def losses(context, prunable):
    """The loss of each example alone, in the order of `ctx.batches`, in float64."""
    model = prunable.model.eval()
    each = []
    for batch in context.batches(EXAMPLES):
        labels = batch.pop("labels")
        with torch.no_grad():
            logits = model(**batch).logits
        each.append(torch.nn.functional.cross_entropy(logits, labels, reduction="none"))
    return torch.cat(each)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
@pytest.mark.parametrize("unit", ["head", "neuron"])
def test_gate_gradients_are_finite_differences_of_the_gate(context_on, family, unit):
    """Scale one head (or neuron) by 1 ± ε by hand, and see how the loss of every example changes."""
    context, prunable, _ = context_on(family, unit)
    prunable.model.double()
    slopes = context.gate_gradients(EXAMPLES)
    epsilon = 1e-5
    for group, point in structures.gate_points(prunable, unit).items():
        linear = prunable.model.get_submodule(point)
        number = context.mask[group].numel()
        width = linear.in_features // number
        assert slopes[group].shape == (EXAMPLES, number)
        for index in range(0, number, max(1, number // 4)):
            sides = []
            for gate in (1 + epsilon, 1 - epsilon):

                def scale(module, args, gate=gate, index=index, width=width):
                    values = args[0].clone()
                    values[..., index * width : (index + 1) * width] *= gate
                    return (values,)

                handle = linear.register_forward_pre_hook(scale)
                sides.append(losses(context, prunable))
                handle.remove()
            difference = (sides[0] - sides[1]) / (2 * epsilon)
            torch.testing.assert_close(slopes[group][:, index].double(), difference, rtol=1e-3, atol=1e-6)


def test_head_importance_is_the_mean_of_absolute_slopes(context_on):
    """Not the absolute value of the mean, and nothing is left over from an earlier batch or call."""
    context, _, _ = context_on()
    strategy = Registry().strategy("heads[normalize=false,examples=10]")
    first, second = strategy.score(context), strategy.score(context)
    slopes = context.gate_gradients(EXAMPLES)
    for group in context.mask:
        torch.testing.assert_close(first[group], slopes[group].abs().sum(dim=0) / EXAMPLES)
        assert torch.equal(first[group], second[group])
    normal = Registry().strategy("heads[examples=10]").score(context)
    for group in context.mask:
        torch.testing.assert_close(normal[group].norm(), torch.tensor(1.0))
        torch.testing.assert_close(normal[group] * first[group].norm(), first[group])


def test_gradients_are_gradients_of_the_mean_loss(context_on):
    context, prunable, _ = context_on(unit="weight")
    gradients = context.gradients(EXAMPLES)
    total = 0
    for batch in context.batches(EXAMPLES):
        labels = batch.pop("labels")
        total = total + torch.nn.functional.cross_entropy(
            prunable.model.eval()(**batch).logits, labels, reduction="sum"
        )
    (total / EXAMPLES).backward()
    for name, parameter in prunable.model.named_parameters():
        if name in prunable.prunable:
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-7)
        else:
            assert name not in gradients


def test_scoring_leaves_the_model_as_it_was(context_on):
    context, prunable, _ = context_on()
    before = {name: value.clone() for name, value in prunable.model.state_dict().items()}

    def number_of_hooks():
        return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in prunable.model.modules())

    hooks = number_of_hooks()
    state = torch.get_rng_state()
    prunable.model.train()
    context.gate_gradients(EXAMPLES)
    context.gradients(EXAMPLES)
    context.input_norms(EXAMPLES)
    context.squared_gradients(EXAMPLES)
    context.squared_gradients(EXAMPLES, per="batch")
    next(context.input_products(EXAMPLES))
    assert prunable.model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in prunable.model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in prunable.model.state_dict().items())
    assert number_of_hooks() == hooks


def test_input_norms_against_one_example_at_a_time(context_on):
    context, prunable, _ = context_on(unit="weight")
    norms = context.input_norms(EXAMPLES)
    sums = {name: 0.0 for name in prunable.prunable}
    for batch in context.batches(EXAMPLES):
        for i, real in enumerate(batch["attention_mask"].sum(dim=1).tolist()):
            alone = {name: value[i : i + 1, :real] for name, value in batch.items() if name != "labels"}
            for name in prunable.prunable:
                linear = prunable.model.get_submodule(name.removesuffix(".weight"))
                inputs = []
                handle = linear.register_forward_pre_hook(lambda module, args, inputs=inputs: inputs.append(args[0]))
                with torch.no_grad():
                    prunable.model.eval()(**alone)
                handle.remove()
                sums[name] = sums[name] + inputs[0][0].square().sum(dim=0)
    for name in prunable.prunable:
        torch.testing.assert_close(norms[name], sums[name].sqrt(), rtol=1e-4, atol=1e-5)


def test_batches_come_from_the_training_split_in_an_order_of_the_seed(context_on):
    context, _, encoded = context_on()

    def rows_of(batches):
        return [
            ids[: sum(real)]
            for batch in batches
            for ids, real in zip(batch["input_ids"].tolist(), batch["attention_mask"].tolist(), strict=True)
        ]

    rows = rows_of(context.batches())
    texts = zip(encoded.inputs["input_ids"].tolist(), encoded.lengths.tolist(), strict=True)
    assert sorted(rows) == sorted(ids[:length] for ids, length in texts)
    again = rows_of(context.batches())
    assert rows == again
    assert sum(len(batch["labels"]) for batch in context.batches(7)) == 7
    assert context.generator("a").initial_seed() != context.generator("b").initial_seed()
    # The order on which the results of 0.1 rest.
    first = torch.randperm(len(encoded), generator=torch.Generator().manual_seed(derive(0, "strategy", "batches")))[0]
    assert rows[0] == encoded.inputs["input_ids"][first][: encoded.lengths[first]].tolist()
    other = rows_of(context.batches(stream="other"))
    assert other != rows and sorted(other) == sorted(rows)
    with pytest.raises(PrunebenchError, match="cannot draw 0 examples"):
        context.batches(0)


def test_a_context_does_not_hold_the_evaluation_split(context_on):
    context, _, encoded = context_on()
    assert not [name for name in vars(context) if "eval" in name]
    held = [value for value in vars(context).values() if type(value) is type(encoded)]
    assert held == [encoded]


def test_batches_hold_every_example_once_and_pad_little(context_on):
    _, _, encoded = context_on()
    epoch = list(training_batches(encoded, 8, torch.Generator().manual_seed(0)))
    assert sorted(i for batch in epoch for i in batch) == list(range(len(encoded)))
    assert epoch != list(training_batches(encoded, 8, torch.Generator().manual_seed(1)))
    assert epoch == list(training_batches(encoded, 8, torch.Generator().manual_seed(0)))
    every = list(evaluation_batches(encoded, 100))
    assert sorted(i for batch in every for i in batch) == list(range(len(encoded)))
    assert all(encoded.batch(batch)["input_ids"].numel() <= 100 or len(batch) == 1 for batch in every)
    assert all(encoded.batch([*batch, after[0]])["input_ids"].numel() > 100 for batch, after in pairwise(every))
    assert all(max(encoded.lengths[after]) <= min(encoded.lengths[batch]) for batch, after in pairwise(every))
    for batch in epoch:
        lengths = encoded.lengths[batch].tolist()
        tensors = encoded.batch(batch)
        assert tensors["input_ids"].shape == (len(batch), -(-max(lengths) // 8) * 8)
        assert tensors["attention_mask"].sum(dim=1).tolist() == lengths
        assert tensors["labels"].tolist() == encoded.labels[batch].tolist()
