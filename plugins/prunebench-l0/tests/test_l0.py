"""Gates against their distribution, their penalty against sums by hand, their end against a gated model, and runs."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from prunebench_l0.cofi import CoFi, Distillation, DistilledGates, divergence, layer_loss, taught_layers
from prunebench_l0.gates import GateOptions, Gates
from prunebench_l0.hard_concrete import presence, sample, without_noise

import prunebench
from prunebench import Compact, Rewind, Train
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.pruning import masks, structures
from prunebench.testing import context
from prunebench.training.callbacks import TrainingProgress

# In `context`: 3 × (4 × 8 + 4) + 8 × 4 parameters of a head, 8 + 1 + 8 of a neuron.
HEAD, NEURON = 140, 17
OPTIONS = GateOptions(reach=30.0, multiplier_reach=30.0, start=2.0, warmup=0.5, coarse=True)


def gates_on(unit="head+neuron", budget="parameters", options=OPTIONS, step=0, level=0.5):
    """Gates with random log α on a small model, after `step` of 10 steps."""
    ctx = context(unit=unit, budget=budget)
    ctx.progress, ctx.level = TrainingProgress(step, 10, 1e-3), level
    gates = Gates(ctx, options)
    gates.begin(SimpleNamespace(progress=ctx.progress))
    generator = torch.Generator().manual_seed(0)
    for log_alpha in (*gates.fine.values(), *gates.coarse.values()):
        log_alpha.data.uniform_(-3, 3, generator=generator)
    return gates


def logits(model, ctx):
    with torch.no_grad():
        return torch.cat([model(**{k: v for k, v in b.items() if k != "labels"}).logits for b in ctx.batches()])


# --- the distribution ---


def test_samples_follow_the_equations_and_presence_is_the_share_that_is_not_zero():
    uniform = torch.rand(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for log_alpha in (-2.0, 0.0, 1.5):
        gates = sample(torch.full_like(uniform, log_alpha), uniform)
        u = uniform[:50].numpy()
        s = 1 / (1 + np.exp(-(np.log(u) - np.log(1 - u) + log_alpha) * 3 / 2))
        np.testing.assert_allclose(gates[:50], np.clip(1.2 * s - 0.1, 0, 1), atol=1e-12)
        # Five standard deviations of a binomial.
        assert float((gates > 0).double().mean()) == pytest.approx(presence(torch.tensor(log_alpha)).item(), abs=0.0056)
    assert presence(torch.tensor(0.0)).item() == pytest.approx(1 / (1 + 11 ** (-2 / 3)))
    assert without_noise(torch.tensor([-3.0, 0.0, 3.0])).tolist() == [0.0, 0.5, 1.0]


# --- the penalty ---


def test_the_expected_sparsity_is_the_sum_over_all_parameters():
    """1 − Σ_i Σ_j size · P(z_coarse ≠ 0) · P(z_fine ≠ 0) / M, term by term; without coarse gates each counts alone."""
    for coarse in (True, False):
        gates = gates_on(options=GateOptions(30.0, 30.0, 2.0, 0.5, coarse))
        left = 0.0
        for name, log_alphas in gates.fine.items():
            layer = 1 / (1 + 11 ** (-2 / 3) * math.exp(-gates.coarse[name].item())) if coarse else 1
            for log_alpha in log_alphas.tolist():
                unit = 1 / (1 + 11 ** (-2 / 3) * math.exp(-log_alpha))
                left += (HEAD if name.endswith("heads") else NEURON) * layer * unit
        expected = 1 - left / (2 * (2 * HEAD + 12 * NEURON))
        assert gates.expected_sparsity().item() == pytest.approx(expected, abs=1e-6)
        with torch.no_grad():
            gates.multipliers.copy_(torch.tensor([3.0, 7.0]))
        excess = expected - gates.target()
        assert gates.penalty().item() == pytest.approx(3 * excess + 7 * excess**2, abs=1e-5)


def test_the_target_grows_during_the_warmup():
    targets = [gates_on(step=step, level=0.4).target() for step in (0, 1, 4, 5, 9)]
    assert targets == pytest.approx([0, 0.08, 0.32, 0.4, 0.4])


def test_each_layer_has_its_own_gates_and_they_stay_for_a_step():
    gates, later = gates_on(step=3), gates_on(step=4)
    for name, fine in gates.fine.items():
        both = gates.sampled(name)
        assert torch.equal(both, gates.sampled(name))
        assert not torch.equal(alone := gates.sampled_alone(fine, name), later.sampled_alone(fine, name))
        assert torch.allclose(both, alone * gates.sampled_alone(gates.coarse[name], f"all {name}"))


# --- the end ---


@pytest.mark.parametrize(("unit", "budget", "coarse"), [("head", "units", False), ("head+neuron", "parameters", True)])
def test_the_last_model_is_that_of_the_gates_without_noise(unit, budget, coarse):
    gates = gates_on(unit, budget, GateOptions(30.0, 30.0, 2.0, 0.5, coarse))
    ctx = gates.ctx
    probabilities = {name: gates.presence(name).detach() for name in gates.fine}
    values = {
        name: without_noise(fine.detach()) * (without_noise(gates.coarse[name].detach()) if coarse else 1)
        for name, fine in gates.fine.items()
    }
    model = ctx.model
    untouched = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    mask = gates.final_mask()
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, untouched[name])}
    assert {name.split(".", 4)[4] for name in changed} <= {"attention.output.dense.weight", "output.dense.weight"}
    assert mask.keys() == probabilities.keys()
    lowest = max(float(probabilities[name][~keep].max()) for name, keep in mask.items() if not keep.all())
    assert lowest <= min(float(probabilities[name][keep].min()) for name, keep in mask.items() if keep.any())
    if budget == "units":
        assert masks.pruned(mask) == 2
    else:
        costs = [(HEAD if name.endswith("heads") else NEURON) * int((~keep).sum()) for name, keep in mask.items()]
        assert 0 <= sum(costs) - 0.5 * 2 * (2 * HEAD + 12 * NEURON) < HEAD
    structures.apply(model.float(), structures.expand(mask, ctx._groups, ctx._subject))
    own = logits(model, ctx)
    for name, parameter in model.named_parameters():
        parameter.data.copy_(untouched[name])
    with ctx.gates(lambda name: values[name] * mask[name]):
        gated = logits(model, ctx)
    torch.testing.assert_close(own, gated, rtol=1e-5, atol=1e-5)
    assert (gated - logits(model, ctx)).abs().max() > 0.01


# --- distillation ---


def test_each_taught_layer_is_compared_with_the_nearest_one():
    generator = np.random.default_rng(0)
    own, others = generator.normal(size=(3, 5, 4)), generator.normal(size=(2, 5, 4))
    matrix = generator.normal(size=(4, 4))
    expected = sum(min(((states @ matrix.T - other) ** 2).mean() for states in own) for other in others)
    tensors = [torch.tensor(each) for each in own], [torch.tensor(each) for each in others]
    assert layer_loss(*tensors, torch.tensor(matrix)).item() == pytest.approx(expected)
    assert taught_layers(list(range(1, 13))) == [3, 6, 9, 12]
    assert [taught_layers(list(range(1, n + 1))) for n in (1, 2, 6)] == [[1], [1, 2], [2, 3, 4, 6]]


def test_layers_without_a_feed_forward_network_learn_nothing():
    """All layers of the student but the second are far away; it counts only while it exists."""
    ctx = context(unit="head+neuron")
    states = [torch.full((2, 3, 8), value) for value in (0.0, 9.0, 1.0)]
    taught = [torch.full((2, 3, 8), value) for value in (0.0, 1.0, 1.0)]
    ctx.teacher = lambda batch, hidden_states: SimpleNamespace(hidden_states=taught, logits=torch.zeros(2, 3))
    batch = {"attention_mask": torch.tensor([[1, 1, 0], [1, 1, 1]])}
    outputs = SimpleNamespace(hidden_states=states, logits=torch.zeros(2, 3))
    losses = []
    for exists in ([0, 1], [0], []):
        callback = Distillation(ctx, CoFi(distil=0.25), exists.__contains__)
        losses.append(callback.loss(None, outputs, batch).item())
    assert losses == pytest.approx([0.0, 0.75 * 2 * 64.0, 0.0])


def test_the_divergence_is_that_of_the_softened_predictions():
    student, teacher = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, 1.0]]), np.array([[0.0, 1.0, 0.5], [1.0, 1.0, -1.0]])
    softened = [np.exp(each / 2) / np.exp(each / 2).sum(axis=1, keepdims=True) for each in (student, teacher)]
    expected = 4 * (softened[1] * np.log(softened[1] / softened[0])).sum(axis=1).mean()
    assert divergence(torch.tensor(student), torch.tensor(teacher), 2.0).item() == pytest.approx(expected, rel=1e-5)
    assert divergence(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [1.0]]), 2.0).item() == 2.5


# --- runs ---


@pytest.fixture
def ends(monkeypatch):
    """The expected sparsity at the end of each training with gates."""
    sparsities, real = [], Gates.final_mask
    monkeypatch.setattr(
        Gates, "final_mask", lambda gates: sparsities.append(gates.expected_sparsity().item()) or real(gates)
    )
    return sparsities


def test_the_penalty_reaches_the_level_and_the_mask_has_it_exactly(run_smoke, ends):
    store, cells = run_smoke("l0-heads,cofi,cofi[budget=flops]", "0.5")
    assert [len(cell.trainings) for cell in cells] == [3, 3, 3]
    for cell in cells:
        record = store.record(cell.key)
        checks = ("count_exact", "pruned_weights_zero", "compact_agrees")
        assert all(record.checks[name] for name in checks)
    sparsity = store.record(cells[0].key).sparsity
    assert (sparsity.units, sparsity.pruned) == (16, 8)
    parameters = store.record(cells[1].key).parameters
    assert parameters.in_model == parameters.left < parameters.total


def test_the_expected_sparsity_follows_the_target(run, ends):
    """4 heads and 25 steps. Without the penalty it would be 0.02, or 0.05 with coarse gates."""
    for strategy, sparsity in (("l0-heads", "0.5"), ("cofi", "0.7")):
        run(strategy, sparsity)
        assert ends.pop() == pytest.approx(float(sparsity), abs=0.12)


def test_an_interrupted_training_goes_on_bit_for_bit(check_resume):
    check_resume(Gates, "cofi", 13)


def test_recipes_can_be_rewound_and_name_their_teacher():
    registry = Registry()
    phases = [step.phase for step in Method("l0-heads[rewind=init]", registry).steps(0.5)]
    assert phases == [Train(), Train(0.5, callback=True), Rewind(), Train(), Compact()]
    phases = [step.phase for step in Method("cofi", registry).steps(0.5)]
    assert [phase.taught_by for phase in phases] == ["", "dense", "dense", ""]


def test_the_entry_point_provides_the_strategies():
    for name in ("l0-heads", "cofi"):
        entry = Registry().entry("strategies", name)
        assert (entry.plugin.distribution, entry.plugin.origin) == ("prunebench-l0", "entry point prunebench_l0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            ("l0-heads[reach=0]", "reach > 0"),
            ("l0-heads[warmup=1]", "warmup < 1"),
            ("l0-heads[start=9]", "start at 9"),
        ),
        *(
            ("cofi[budget=weights]", "unknown budget"),
            ("cofi[distil=2]", "distil <= 1"),
            ("cofi[scope=layer]", "scope"),
        ),
    ],
)
def test_bad_options_are_errors(text, message):
    with pytest.raises(prunebench.PrunebenchError, match=message):
        Registry().strategy(text)


def test_the_gates_of_a_layer_say_whether_it_exists():
    ctx = context(unit="head+neuron", budget="parameters")
    ctx.progress, ctx.level = TrainingProgress(2, 10, 1e-3), 0.5
    gates = DistilledGates(ctx, CoFi())
    gates.begin(SimpleNamespace(progress=ctx.progress))
    gates.coarse["layer.0.neurons"].data.fill_(-30.0)
    gates.coarse["layer.1.neurons"].data.fill_(30.0)
    assert [gates.distillation.exists(layer) for layer in (0, 1)] == [False, True]
