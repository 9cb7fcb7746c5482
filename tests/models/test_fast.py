"""Attention and dropout for a CPU against the implementations that they replace."""

from __future__ import annotations

import math

import pytest
import torch
from models.checkpoints import families, loaded
from torch import nn
from transformers.models.bert.modeling_bert import eager_attention_forward

from prunebench.models.fast.attention import attend
from prunebench.models.fast.device import move_and_accelerate
from prunebench.models.fast.dropout import GENERATOR, Dropout, select

SHAPE = (2, 3, 5, 4)


def qkv_and_mask(dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(SHAPE, generator=generator, dtype=torch.float64).to(dtype) for _ in range(3)]
    mask = torch.zeros(SHAPE[0], 1, SHAPE[2], SHAPE[2])
    mask[0, ..., 3:] = torch.finfo(torch.float32).min
    return [tensor.requires_grad_() for tensor in tensors], mask


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 3e-2)]
)
@pytest.mark.parametrize("masked", [True, False])
def test_attention_equals_that_of_transformers(dtype, tolerance, masked):
    results = []
    for function, computed_in in ((attend, dtype), (eager_attention_forward, torch.float64)):
        inputs, mask = qkv_and_mask(computed_in)
        output, _ = function(nn.Module(), *inputs, mask if masked else None, scaling=0.7)
        output.double().square().sum().backward()
        results.append([output, *(tensor.grad for tensor in inputs)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=tolerance)


def test_gradients_of_attention_with_dropout():
    """Against finite differences in float64, with the same random numbers each time."""
    inputs, mask = qkv_and_mask(torch.float64)
    state = GENERATOR.state()

    def attention(*tensors):
        GENERATOR.restore(state)
        return attend(nn.Module(), *tensors, mask, dropout=0.4)[0]

    assert torch.autograd.gradcheck(attention, inputs)
    assert not torch.equal(attention(*inputs), attend(nn.Module(), *inputs, mask, dropout=0.4)[0])


def test_a_second_derivative_is_refused_rather_than_wrong():
    query, key, value = (torch.randn(1, 2, 5, 4, requires_grad=True) for _ in range(3))
    output, _ = attend(nn.Module().eval(), query, key, value, None)
    (slope,) = torch.autograd.grad(output.square().sum(), query, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_at_its_rate_and_scales_the_rest(dtype):
    """Counts are within five standard deviations of the binomial distribution, and the mean is preserved."""
    p, size = 0.3, (400, 500)
    module = Dropout(p).train()
    values = torch.ones(size, dtype=dtype, requires_grad=True)
    GENERATOR.seed(1)
    dropped = module(values)
    assert dropped.dtype == torch.float32
    keep = dropped != 0
    assert dropped[keep].unique().tolist() == pytest.approx([1 / (1 - p)], rel=1e-6)
    for counts, number in ((keep.sum()[None], keep.numel()), (keep.sum(0), 400), (keep.sum(1), 500)):
        assert ((counts - (1 - p) * number).abs() < 5 * math.sqrt(p * (1 - p) * number)).all()
    # Neighbours are independent: both are dropped at the square of the rate.
    both = (~keep[:, 1:] & ~keep[:, :-1]).double().mean()
    assert both == pytest.approx(p * p, abs=5 * math.sqrt(p * p / keep.numel()))
    dropped.sum().backward()
    torch.testing.assert_close(values.grad.float(), dropped.detach(), rtol=4e-3, atol=0)


def test_dropout_changes_nothing_in_evaluation_and_at_rate_zero():
    values = torch.randn(3, 4)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(Dropout(0.0).train()(values), values)


def test_the_generator_is_determined_by_its_seed_and_continues_from_its_state():
    GENERATOR.seed(7)
    first = GENERATOR.keep_mask(torch.Size([9, 11]), 0.5)
    state = GENERATOR.state()
    second = GENERATOR.keep_mask(torch.Size([9, 11]), 0.5)
    GENERATOR.restore(state)
    assert torch.equal(GENERATOR.keep_mask(torch.Size([9, 11]), 0.5), second)
    GENERATOR.seed(7)
    assert torch.equal(GENERATOR.keep_mask(torch.Size([9, 11]), 0.5), first)
    assert not torch.equal(first, second)


def test_selecting_the_bits_of_bfloat16_is_a_product():
    values = torch.randn(7, 33, generator=torch.Generator().manual_seed(0)).bfloat16()
    keep = GENERATOR.keep_mask(values.shape, 0.5)
    assert torch.equal(select(values, keep).float(), values.float() * keep)


@families
def test_an_accelerated_model_has_the_same_logits(tiny_models, family):
    model = loaded(tiny_models[family]).model.eval()
    ids = torch.randint(5, 100, (3, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, 7:] = mask[1, 2:] = 0
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).logits
        move_and_accelerate(model, "cpu")
        actual = model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(module, nn.Dropout) for module in model.modules())
