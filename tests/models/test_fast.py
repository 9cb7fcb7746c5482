"""What makes a training fast on a CPU, against what it stands for: attention, dropout, and batches in parts."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers.models.bert.modeling_bert import eager_attention_forward

from prunebench.models import sources
from prunebench.models.encoder import load
from prunebench.models.families import FAMILIES
from prunebench.models.fast.attention import attend, put_on
from prunebench.models.fast.dropout import SOURCE, Dropout, only
from prunebench.training import batching

SHAPE = (2, 3, 5, 4)


def tensors(dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(SHAPE, generator=generator, dtype=torch.float64).to(dtype) for _ in range(3)]
    mask = torch.zeros(SHAPE[0], 1, SHAPE[2], SHAPE[2])
    mask[0, ..., 3:] = torch.finfo(torch.float32).min
    return [tensor.requires_grad_() for tensor in made], mask


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 3e-2)]
)
@pytest.mark.parametrize("masked", [True, False])
def test_attention_is_that_of_transformers(dtype, tolerance, masked):
    found, wanted = [], []
    for way, results in ((attend, found), (eager_attention_forward, wanted)):
        inputs, mask = tensors(torch.float64 if results is wanted else dtype)
        output, _ = way(nn.Module(), *inputs, mask if masked else None, scaling=0.7)
        output.double().square().sum().backward()
        results += [output, *(tensor.grad for tensor in inputs)]
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=tolerance)


def test_attention_that_drops_has_the_gradients_of_what_it_gave():
    """Finite differences in float64, with the same numbers drawn each time."""
    inputs, mask = tensors(torch.float64)
    state = SOURCE.state()

    def again(*tensors):
        SOURCE.restore(state)
        return attend(nn.Module(), *tensors, mask, dropout=0.4)[0]

    assert torch.autograd.gradcheck(again, inputs)
    assert not torch.equal(again(*inputs), attend(nn.Module(), *inputs, mask, dropout=0.4)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_keeps_what_it_says_and_scales_it(dtype):
    """Counts lie within five standard deviations of the binomial distribution; the mean stays what it was."""
    p, size = 0.3, (400, 500)
    module = Dropout(p).train()
    values = torch.ones(size, dtype=dtype, requires_grad=True)
    SOURCE.seed(1)
    dropped = module(values)
    assert dropped.dtype == torch.float32
    kept = dropped != 0
    assert dropped[kept].unique().tolist() == pytest.approx([1 / (1 - p)], rel=1e-6)
    for counts, number in ((kept.sum()[None], kept.numel()), (kept.sum(0), 400), (kept.sum(1), 500)):
        assert ((counts - (1 - p) * number).abs() < 5 * math.sqrt(p * (1 - p) * number)).all()
    # Neighbours are independent: both are dropped as often as they should be.
    both = (~kept[:, 1:] & ~kept[:, :-1]).double().mean()
    assert both == pytest.approx(p * p, abs=5 * math.sqrt(p * p / kept.numel()))
    dropped.sum().backward()
    torch.testing.assert_close(values.grad.float(), dropped.detach(), rtol=4e-3, atol=0)


def test_dropout_does_nothing_out_of_training_and_where_its_rate_is_zero():
    values = torch.randn(3, 4)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(Dropout(0.0).train()(values), values)


def test_the_generator_goes_on_from_its_state_and_a_seed_names_it():
    SOURCE.seed(7)
    first = SOURCE.kept(torch.Size([9, 11]), 0.5)
    state = SOURCE.state()
    second = SOURCE.kept(torch.Size([9, 11]), 0.5)
    SOURCE.restore(state)
    assert torch.equal(SOURCE.kept(torch.Size([9, 11]), 0.5), second)
    SOURCE.seed(7)
    assert torch.equal(SOURCE.kept(torch.Size([9, 11]), 0.5), first)
    assert not torch.equal(first, second)


def test_bits_of_bfloat16_are_masked_as_numbers_are():
    values = torch.randn(7, 33, generator=torch.Generator().manual_seed(0)).bfloat16()
    kept = SOURCE.kept(values.shape, 0.5)
    assert torch.equal(only(values, kept).float(), values.float() * kept)


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_a_model_says_the_same_as_with_the_attention_of_transformers(tiny_models, family):
    source = sources.resolve(str(tiny_models[family]), FAMILIES)
    made = load(source, next(f for f in FAMILIES if f.name == family), num_labels=2, regression=False, seed=0)
    model = made.model.eval()
    ids = torch.randint(5, 100, (3, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, 7:] = mask[1, 2:] = 0
    model.set_attn_implementation("eager")
    with torch.no_grad():
        wanted = model(input_ids=ids, attention_mask=mask).logits
        put_on(model, "cpu")
        found = model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(module, nn.Dropout) for module in model.modules())


def split(lengths):
    rows = torch.zeros(len(lengths), 64, dtype=torch.int32)
    return batching.Encoded({"input_ids": rows}, torch.zeros(len(lengths)), torch.tensor(lengths))


def cost(widths, cuts, price):
    bounds = itertools.pairwise([0, *cuts, len(widths)])
    return sum((end - start) * widths[end - 1] + price for start, end in bounds)


@given(st.lists(st.integers(1, 64), min_size=1, max_size=9), st.sampled_from([1, 16, 100]))
def test_parts_of_a_batch_are_the_cheapest_of_all_cuts(lengths, price):
    """Against every way to cut the sorted batch."""
    encoded, batch = split([5, *lengths]), [*range(1, len(lengths) + 1)]
    found = batching.parts(encoded, batch, price)
    assert sorted(itertools.chain(*found)) == batch
    widths = sorted(-(-length // 8) * 8 for length in lengths)
    ways = (cuts for number in range(len(lengths)) for cuts in itertools.combinations(range(1, len(lengths)), number))
    spent = sum(encoded.batch(part)["input_ids"].numel() + price for part in found)
    assert spent == min(cost(widths, cuts, price) for cuts in ways)
