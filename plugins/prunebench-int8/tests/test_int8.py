"""8-bit products against a computation by hand, and real runs of quantised models."""

from __future__ import annotations

import pytest
import torch
from prunebench_int8 import Int8, encoder_linears, quantise
from torch import nn

from prunebench import Compact, Train
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.testing import context


def by_hand(weight, bias, x):
    """Weights of 8 bits with a scale for each row, activations of 7 bits (as torch has them on x86) for the batch."""
    scale = weight.abs().amax(dim=1, keepdim=True) / 127.5
    w = (weight / scale).round().clamp(-128, 127) * scale
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    step = (high - low) / 127
    zero = round(-low / step)
    q = (x / step).round().add(zero).clamp(0, 127).sub(zero) * step
    return q @ w.T + bias


def test_a_linear_by_hand():
    torch.manual_seed(0)
    linear, x = nn.Linear(24, 10), torch.randn(6, 24)
    quantised = quantise(nn.ModuleDict({"only": linear}), {"only"})
    with torch.no_grad():
        result, exact = quantised["only"](x), linear(x)
        torch.testing.assert_close(result, by_hand(linear.weight, linear.bias, x), atol=4e-3, rtol=0)
    assert 0.005 < (result - exact).abs().max() < 0.2
    assert isinstance(linear, nn.Linear) and type(linear) is nn.Linear


def test_zeros_stay_zeros():
    linear = nn.Linear(8, 4, bias=False)
    with torch.no_grad():
        linear.weight[:, ::2] = 0
    x = torch.zeros(1, 8)
    x[0, ::2] = 5.0
    assert not quantise(nn.ModuleDict({"only": linear}), {"only"})["only"](x).any()


def test_only_linears_of_the_encoder():
    ctx = context()
    names = encoder_linears(ctx.model)
    assert names == {name for name, each in ctx.model.named_modules() if type(each) is nn.Linear and ".layer." in name}
    assert len(names) == 6 * len(ctx.model.bert.encoder.layer)
    after = {name: type(each) for name, each in quantise(ctx.model, names).named_modules()}
    assert after["classifier"] is nn.Linear
    assert all(after[name] is not nn.Linear for name in names)


def test_recipes():
    registry = Registry()
    phases = [step.phase for step in Method("int8[of=heads]", registry).steps(0.5)]
    assert phases[-2:] == [Compact(), Int8()]
    phases = [step.phase for step in Method("int8[of=imp]", registry).steps(0.5)]
    assert phases[-2:] == [Train(), Int8()]


@pytest.fixture(scope="module")
def results(run_methods):
    return run_methods("magnitude,int8[of=magnitude],heads,int8[of=heads]", "0.5")


def records_by_label(results):
    return {cell.label: results.store.record(cell.key) for cell in results.run.plan.cells}


def test_quantised_models_are_close_and_say_how_far(results):
    records = records_by_label(results)
    for method in ("magnitude", "heads"):
        plain, quantised = records[method], records[f"int8[of={method}]"]
        assert 0 < quantised.checks["approximation_difference"] < 0.5
        assert "approximation_difference" not in plain.checks
        assert quantised.parameters == plain.parameters and quantised.flops == plain.flops
        assert quantised.sparsity == plain.sparsity
        assert quantised.checks.get("compact_agrees") is plain.checks.get("compact_agrees")
    assert records["int8[of=heads]"].checks["compact_agrees"] is True
    assert records["int8[of=heads]"].parameters.in_model < records["int8[of=heads]"].parameters.total


def test_the_quantised_model_alone_is_the_same(results, run_methods):
    """Whether the compacted model before it is new or stored: the quantised one has the same logits."""
    store = results.store
    cells = {cell.label: cell for cell in results.run.plan.cells}
    key = cells["int8[of=heads]"].key
    before, record = store.logits(key)["validation"], store.record(key)
    for suffix in ("json", "npz"):
        store.backend.remove(f"records/{key[:2]}/{key}.{suffix}")
    again = run_methods("magnitude,int8[of=magnitude],heads,int8[of=heads]", "0.5", store=store.name)
    assert again.run.report.done
    assert (again.store.logits(key)["validation"] == before).all()
    assert again.store.record(key).parameters == record.parameters
