"""Gates against the model without its units, against gradients, and against the definition for a layer."""

from __future__ import annotations

import pytest
import torch

from prunebench import PrunebenchError
from prunebench.execution.gates import gated
from prunebench.models.fast import first_token
from prunebench.pruning import structures
from prunebench.testing import context


def logits(ctx):
    with torch.no_grad():
        return [ctx.model(**{k: v for k, v in batch.items() if k != "labels"}).logits for batch in ctx.batches()]


@pytest.mark.parametrize("unit", ["head", "neuron", "head+neuron"])
def test_gates_of_a_mask_are_the_model_with_its_units_at_zero(unit):
    ctx, generator = context(unit=unit), torch.Generator().manual_seed(1)
    mask = {name: torch.rand(keep.shape, generator=generator) > 0.5 for name, keep in ctx.mask.items()}
    before = logits(ctx)
    with ctx.gates(lambda name: mask[name].double()):
        masked = logits(ctx)
    structures.apply(ctx.model.float(), structures.expand(mask, ctx._groups, ctx._subject))
    for gates, zeros, dense in zip(masked, logits(ctx), before, strict=True):
        torch.testing.assert_close(gates, zeros.double(), rtol=1e-5, atol=1e-5)
        assert (gates - dense).abs().max() > 0.01


@pytest.mark.parametrize("unit", ["head", "neuron", "layer"])
def test_their_derivative_is_the_gradient_of_a_gate(unit):
    ctx = context(unit=unit)
    gates = {name: torch.ones(keep.shape, dtype=torch.float64, requires_grad=True) for name, keep in ctx.mask.items()}
    expected = {name: slopes.sum(dim=0).double() for name, slopes in ctx.gate_gradients().items()}
    with ctx.gates(gates.__getitem__):
        total = sum(ctx.loss(batch) * len(batch["labels"]) for batch in ctx.batches())
    for (name, gate), slope in zip(gates.items(), torch.autograd.grad(total, list(gates.values())), strict=True):
        assert slope.shape == gate.shape
        torch.testing.assert_close(slope, expected[name], rtol=1e-4, atol=1e-6)


def test_half_a_layer_is_half_of_what_it_adds():
    """The next layer reads x + ½ (y − x). In training mode, the last layer computes the first token only."""
    ctx = context(unit="layer")
    first_token.install(ctx._subject)
    batch = next(iter(ctx.batches()))
    inputs = {name: values for name, values in batch.items() if name != "labels"}
    gates = {"layer.0.layer": torch.tensor([0.5]), "layer.1.layer": torch.tensor([0.0])}
    whole = ctx.model(**inputs, output_hidden_states=True).hidden_states
    with ctx.gates(gates.__getitem__):
        last = ctx.model.bert(**inputs).last_hidden_state
        logits = ctx.model(**inputs).logits
        trained = ctx.model.train()(**inputs).logits
    torch.testing.assert_close(last, whole[0] + (whole[1] - whole[0]) / 2)
    torch.testing.assert_close(trained, logits)


def test_hooks_are_gone_afterwards():
    ctx = context(unit="head+neuron")
    hooks = [len(module._forward_pre_hooks) for module in ctx.model.modules()]
    with pytest.raises(ZeroDivisionError), ctx.gates(lambda name: torch.ones(len(ctx.mask[name]))):
        assert [len(module._forward_pre_hooks) for module in ctx.model.modules()] != hooks
        raise ZeroDivisionError
    assert [len(module._forward_pre_hooks) for module in ctx.model.modules()] == hooks


def test_weights_and_compiled_models_have_no_gates():
    with pytest.raises(PrunebenchError, match="units of kind 'weight' have no gate"):
        context().gates(torch.ones)
    with pytest.raises(PrunebenchError, match="a compiled model has no gates"), gated(None, {}, None, "bf16+compile"):
        pass
