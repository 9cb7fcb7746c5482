"""Statistics of examples, against loops over single examples without padding, and against transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from execution.runs import records_of
from plugin_files import plugin_file

from prunebench.errors import PrunebenchError
from prunebench.execution import calibration
from prunebench.recipes.schedules import pruned_count

EXAMPLES = 10


def examples_alone(context):
    """Each example as a batch of its own, without padding."""
    for batch in context.batches(EXAMPLES):
        for i, length in enumerate(batch["attention_mask"].sum(dim=1).tolist()):
            inputs = {name: values[i : i + 1, :length] for name, values in batch.items() if name != "labels"}
            yield {**inputs, "labels": batch["labels"][i : i + 1]}


def prune_some(prunable):
    """Set every third weight to zero, as a mask would."""
    with torch.no_grad():
        for name in prunable.prunable:
            prunable.model.get_parameter(name).flatten()[::3] = 0


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
@pytest.mark.parametrize("entries", [calibration.ENTRIES, 3000, 1])
def test_squared_gradients_are_those_of_single_examples(context_on, monkeypatch, family, entries):
    monkeypatch.setattr(calibration, "ENTRIES", entries)
    context, prunable, _ = context_on(family, "weight", prune_pooler=family == "bert")
    prune_some(prunable)
    squares = context.squared_gradients(EXAMPLES)
    sums = {name: 0 for name in prunable.prunable}
    model = prunable.model.eval()
    for example in examples_alone(context):
        model.zero_grad()
        model(**example).loss.backward()
        for name in sums:
            sums[name] = sums[name] + model.get_parameter(name).grad.square()
    model.zero_grad()
    assert list(squares) == prunable.prunable
    for name, total in sums.items():
        torch.testing.assert_close(squares[name], total / EXAMPLES, rtol=1e-3, atol=1e-12)
        # Pruned weights are included.
        assert squares[name].flatten()[::3].count_nonzero()


def test_squared_gradients_of_batches(context_on):
    context, prunable, _ = context_on(unit="weight", prune_pooler=True)
    squares = context.squared_gradients(EXAMPLES, per="batch")
    batches = list(context.batches(EXAMPLES))
    assert [len(batch["labels"]) for batch in batches] == [4, 4, 2]
    for name in prunable.prunable:
        total = 0
        for batch in batches:
            loss = prunable.model.eval()(**batch).loss
            total = total + torch.autograd.grad(loss, prunable.model.get_parameter(name))[0].square()
        torch.testing.assert_close(squares[name], total / 3, rtol=1e-3, atol=1e-12)
    with pytest.raises(PrunebenchError, match="unknown mean of squared gradients per 'token'"):
        context.squared_gradients(EXAMPLES, per="token")


def test_bf16_gives_about_the_same_numbers(context_on):
    exact, prunable, _ = context_on(unit="weight", prune_pooler=True)
    rounded, _, _ = context_on(unit="weight", prune_pooler=True, precision="bf16")
    for function in ("squared_gradients", "input_products"):
        one, other = (dict(getattr(context, function)(EXAMPLES)) for context in (exact, rounded))
        errors = {name: (one[name] - other[name]).norm() / one[name].norm() for name in prunable.prunable}
        assert 0 < max(errors.values()) < 0.05, errors
        assert all(one[name].dtype == other[name].dtype for name in prunable.prunable)


def test_input_products_against_one_example_at_a_time(context_on):
    context, prunable, _ = context_on(unit="weight", prune_pooler=True)
    prune_some(prunable)
    sums = {name: 0 for name in prunable.prunable}
    for example in examples_alone(context):
        for name in prunable.prunable:
            inputs = []
            linear = prunable.model.get_submodule(name.removesuffix(".weight"))
            handle = linear.register_forward_pre_hook(lambda module, args, inputs=inputs: inputs.append(args[0]))
            with torch.no_grad():
                prunable.model.eval()(**example)
            handle.remove()
            tokens = inputs[0].reshape(-1, linear.in_features).double()
            sums[name] = sums[name] + tokens.T @ tokens
    products = dict(context.input_products(EXAMPLES))
    assert list(products) == prunable.prunable
    for name, total in sums.items():
        assert products[name].dtype == torch.float64
        torch.testing.assert_close(products[name], total, rtol=1e-4, atol=1e-4)
    norms = context.input_norms(EXAMPLES)
    for name in norms:
        torch.testing.assert_close(products[name].diagonal().sqrt().float(), norms[name], rtol=1e-4, atol=1e-5)


def test_products_come_from_the_weights_as_they_then_are(context_on):
    """Change each matrix once its product is there; then compare with the products that the new model has."""
    context, prunable, _ = context_on(unit="weight", prune_pooler=True)
    before, during = dict(context.input_products(EXAMPLES)), {}
    for name, products in context.input_products(EXAMPLES):
        during[name] = products.clone()
        context.weights[name].mul_(0.5)
        # Query, key and value have the same product, but a method may change the one that it gets.
        products.zero_()
    after = dict(context.input_products(EXAMPLES))
    for name in prunable.prunable:
        assert torch.equal(during[name], after[name])
    first = [f"{linear}.weight" for linear in context.layers[0].linears[:3]]
    same = [name for name in prunable.prunable if torch.equal(during[name], before[name])]
    assert same == first


def test_products_cost_a_forward_pass_for_each_common_input(context_on):
    context, prunable, _ = context_on(unit="weight", prune_pooler=True)
    passes = []
    prunable.model.register_forward_pre_hook(lambda *_: passes.append(1))
    batches = len(list(context.batches(EXAMPLES)))
    list(context.input_products(EXAMPLES))
    assert len(passes) == batches * (4 * len(context.layers) + 1)
    passes.clear()
    layer = context.layers[-1]
    some = [f"{layer.output}.weight", f"{layer.key}.weight", f"{layer.value}.weight"]
    assert [name for name, _ in context.input_products(EXAMPLES, of=some)] == [*some[1:], some[0]]
    assert len(passes) == batches * 2
    with pytest.raises(PrunebenchError, match=r"unknown prunable matrix 'classifier\.weight'"):
        context.input_products(of=["classifier.weight"])


def test_the_loss_is_that_of_transformers(context_on):
    context, prunable, _ = context_on(unit="weight")
    for batch in context.batches(EXAMPLES):
        names = set(batch)
        loss = context.loss(batch)
        assert loss.shape == () and loss.requires_grad and set(batch) == names
        torch.testing.assert_close(loss, prunable.model(**batch).loss)


def test_names_lead_to_the_parts_of_the_model(context_on):
    context, prunable, _ = context_on(unit="weight")
    assert context.model is prunable.model
    assert list(context.weights) == [f"{linear}.weight" for layer in context.layers for linear in layer.linears]
    assert context.parameters.keys() == dict(prunable.model.named_parameters()).keys()
    for name, values in context.parameters.items():
        assert values.data_ptr() == prunable.model.get_parameter(name).data_ptr() and not values.requires_grad


def test_select_prunes_the_lowest_scores_of_what_is_left(context_on):
    context, _, _ = context_on(unit="head")
    units = sum(keep.numel() for keep in context.mask.values())
    first = next(iter(context.mask))
    context.mask[first][0] = False
    scores = {name: torch.arange(keep.numel()).float() for name, keep in context.mask.items()}
    assert context.count(0.4) == pruned_count(0.4, units)
    order = sorted((score, group, i) for group, values in enumerate(scores.values()) for i, score in enumerate(values))
    expected = {(0, 0)}
    for _, group, i in order:
        if len(expected) < context.count(0.4):
            expected.add((group, i))
    mask = context.select(scores, 0.4)
    pruned = {(group, i) for group, keep in enumerate(mask.values()) for i in np.flatnonzero(~keep.numpy()).tolist()}
    assert pruned == expected
    assert not context.mask[first].all(), "the current mask is left alone"


@pytest.mark.parametrize("recipe", ["[Train(), Prune(sparsity)]", "[Train(Cubic(sparsity))]"])
def test_a_strategy_sees_the_model_in_evaluation_mode(run, tmp_path, recipe):
    file = plugin_file(tmp_path, recipe=recipe, score="score_in_evaluation(ctx)")
    code = """
from prunebench import Cubic
def score_in_evaluation(ctx):
    assert not any(module.training for module in ctx.model.modules())
    return {name: weight.abs() for name, weight in ctx.weights.items()}
"""
    file.write_text(file.read_text() + code)
    store, plan, report = run("mine", plugins=[file], epochs="1", sparsities="0.2")
    assert not report.failures
    assert None not in records_of(store, plan).values()
