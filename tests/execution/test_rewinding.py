"""Which weights each training starts from: rewound ones bit for bit, and those of the controls."""

from __future__ import annotations

import safetensors.torch
import torch

from prunebench.execution.workspace import Workspace, workspace
from prunebench.hooks.registry import Registry
from prunebench.models.encoder import load
from prunebench.models.families import FAMILIES
from prunebench.models.loading import model_source
from prunebench.planning import experiment
from prunebench.planning.suite import Suite, merge
from prunebench.pruning import masks
from prunebench.recipes.phase import trains_from_theta0

EMBEDDINGS = "bert.embeddings.word_embeddings.weight"


def test_rewound_weights_are_those_of_the_file_bit_for_bit(run, weights_of_trainings, tiny_bert):
    """Every round starts from the checkpoint under its mask, with the same fresh head: nothing is aliased."""
    run("imp", "0.3")
    file = safetensors.torch.load_file(tiny_bert / "model.safetensors")
    assert len(weights_of_trainings) == 4
    first = weights_of_trainings[0][0]
    for number, (before, after) in enumerate(weights_of_trainings):
        pruned = 0
        for name, weight in before.items():
            origin = file.get(name.removeprefix("bert."), first[name])
            stays = weight != 0
            assert torch.equal(weight[stays], origin[stays])
            pruned += int((~stays & (origin != 0)).sum())
        assert pruned == masks.pruned_count(0.1 * number, 16384)
        assert any(not torch.equal(before[name], after[name]) for name in before)


def test_rewinding_to_a_fraction_is_rewinding_to_that_step(run, weights_of_trainings):
    """Half of 6 steps is step 3, and neither θ0 nor the end nor step 1."""
    _, _, report = run("imp[rewind=3],imp[rewind=0.5],imp[rewind=1]", "0.1")
    assert not report.failures
    (start, trained), (three, _), (half, _), (one, _) = weights_of_trainings
    assert all(torch.equal(three[name], half[name]) for name in three)
    for other in (start, trained, one):
        assert not torch.equal(three["classifier.weight"], other["classifier.weight"])


def test_rewinding_to_the_last_step_is_no_rewinding(run, weights_of_trainings):
    run("imp[rewind=6],imp[rewind=none]", "0.1")
    (_, trained), *rest = weights_of_trainings
    for before, _ in rest:
        for name, weight in before.items():
            stays = weight != 0
            assert torch.equal(weight[stays], trained[name][stays])
    assert len(rest) == 3, "IMP twice, and dense[trainings=2]"


def test_a_structured_ticket_is_theta0_without_its_heads(run, weights_of_trainings):
    """So may its random control be a ticket. The mask is that of `heads` without a rewind."""
    store, plan, report = run("heads,heads[rewind=init],random-pruning[of=heads[rewind=init]]", "0.5")
    assert not report.failures
    theta0 = weights_of_trainings[0][0]
    records = {cell.method.label: store.record(cell.leaf.key) for cell in plan.cells}
    rewound = 0
    for before, _ in weights_of_trainings[1:]:
        changes = {name for name, weight in before.items() if not torch.equal(weight, theta0[name])}
        rewound += "bert.pooler.dense.bias" not in changes
        if "bert.pooler.dense.bias" not in changes:
            assert {name.split(".")[4] for name in changes} == {"attention"}
            assert all(
                torch.equal(before[name][before[name] != 0], theta0[name][before[name] != 0]) for name in changes
            )
    assert rewound == 2
    for label, is_ticket in (("heads", False), ("heads[rewind=init]", True)):
        record = records[label]
        assert trains_from_theta0(record.recipe) is is_ticket
        assert record.checks["rewound_exactly"] is (True if is_ticket else None)
        assert record.checks["compact_agrees"] and record.checks["count_exact"]
    assert trains_from_theta0(records["random-pruning[of=heads[rewind=init]]"].recipe)


# Controls


def standing(weights):
    """Which prunable weights of a model are not zero, by name."""
    return {name: weight != 0 for name, weight in weights.items() if weight.dim() == 2 and ".layer." in name}


def test_controls_change_what_they_claim_and_nothing_else(run, weights_of_trainings):
    """Against the pre-trained weights, and against the mask of IMP that each control starts from."""
    run("imp,random-pruning,random-pruning[counts=global],random-reinit,layer-shuffle", "0.1")
    dense, imp, *controls = [before for before, _ in weights_of_trainings]
    reinit, permuted, in_layers, in_all = sorted(controls, key=lambda control: _order(control, dense, imp))
    counts = {name: int(keep.sum()) for name, keep in standing(imp).items()}

    for random in (in_layers, in_all):
        kept = standing(random)
        assert any(not torch.equal(kept[name], keep) for name, keep in standing(imp).items())
        assert all(torch.equal(random[name][keep], dense[name][keep]) for name, keep in kept.items())
        assert sum(int(keep.sum()) for keep in kept.values()) == sum(counts.values())
    assert {name: int(keep.sum()) for name, keep in standing(in_layers).items()} == counts
    assert {name: int(keep.sum()) for name, keep in standing(in_all).items()} != counts

    assert all(torch.equal(keep, standing(imp)[name]) for name, keep in standing(reinit).items())
    assert not torch.equal(reinit[EMBEDDINGS], dense[EMBEDDINGS])

    assert torch.equal(permuted[EMBEDDINGS], dense[EMBEDDINGS])
    for name, keep in standing(permuted).items():
        other = (
            name.replace(".layer.0.", ".layer.x.").replace(".layer.1.", ".layer.0.").replace(".layer.x.", ".layer.1.")
        )
        assert torch.equal(permuted[name][keep], dense[other][keep]), "each of two layers has the other's weights"
        assert torch.equal(keep, standing(imp)[name] & (dense[other] != 0))
    for control in controls:
        assert torch.equal(control["classifier.weight"], dense["classifier.weight"]), "the head is the seed's"


def _order(control, dense, imp):
    """Which control this is, by what only it has: other embeddings, other layers, IMP's counts, other counts."""
    if not torch.equal(control[EMBEDDINGS], dense[EMBEDDINGS]):
        return 0
    norm = "bert.encoder.layer.0.output.LayerNorm.weight"
    if not torch.equal(control[norm], dense[norm]):
        return 1
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    return 2 if int((control[name] != 0).sum()) == int((imp[name] != 0).sum()) else 3


# θ0


def test_seeds_differ_and_methods_of_a_seed_start_alike(run, weights_of_trainings):
    run("magnitude-init", "0.2", seeds="2")
    heads = [before["classifier.weight"] for before, _ in weights_of_trainings]
    dense_0, dense_1, init_0, init_1 = heads[0], heads[2], heads[1], heads[3]
    assert torch.equal(dense_0, init_0)
    assert torch.equal(dense_1, init_1)
    assert not torch.equal(dense_0, dense_1)


def test_weights_that_are_not_theta0_are_recorded_as_such(planned, monkeypatch):
    real = Workspace.load

    def off(self, weights):
        real(self, weights)
        with torch.no_grad():
            next(self.model.parameters()).view(-1)[0] += 1e-6

    monkeypatch.setattr(Workspace, "load", off)
    plan, store, finish = planned("imp")
    finish()
    assert store.record(plan.cells[-1].leaf.key).checks["rewound_exactly"] is False


def test_seeds_share_one_model_and_each_has_its_own_head(tiny_bert, tiny_glue):
    """θ0 is bit for bit what loading with that seed gives, whatever was trained before."""
    options = {"tasks": "rte", "seeds": "2", "model": str(tiny_bert), "glue_dir": str(tiny_glue), "device": "cpu"}
    registry = Registry()
    suite = merge(Suite(), options)
    experiments, where = experiment.experiments(suite, registry), experiment.location(suite)
    source = model_source(str(tiny_bert), registry)
    models = []
    for each in (*experiments, experiments[0]):
        sample = workspace(each, where, registry)
        models.append(sample.model)
        expected = load(source, FAMILIES[0], num_labels=2, regression=False, seed=each.seed).model
        assert all(torch.equal(sample.theta0[name], weight) for name, weight in expected.named_parameters())
        with torch.no_grad():
            for parameter in sample.model.parameters():
                parameter.fill_(7)
    assert models[0] is models[1] is models[2]
    head = "classifier.weight"
    assert not torch.equal(*(workspace(each, where, registry).theta0[head] for each in experiments))
