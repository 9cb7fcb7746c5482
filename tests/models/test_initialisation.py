"""The controls θ0′ and θ0″: parameters drawn again, and layers permuted."""

import pytest
import torch
from models.checkpoints import FAMILIES, families, head_of, loaded, same, variant, weights

from prunebench import PrunebenchError
from prunebench.models.encoder import describe
from prunebench.models.initialisation import permute_layers, reinitialise


@families
def test_reinitialise_draws_every_parameter(tiny_models, family):
    pm, again, other = (loaded(tiny_models[family], seed=0) for _ in range(3))
    before = weights(pm.model)
    identities = {name: id(parameter) for name, parameter in pm.model.named_parameters()}
    reinitialise(pm, 7)
    reinitialise(again, 7)
    reinitialise(other, 8)
    assert same(weights(pm.model), weights(again.model))
    assert {name: id(parameter) for name, parameter in pm.model.named_parameters()} == identities
    for name, parameter in pm.model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name.lower():
            assert (parameter == 1).all(), name
        else:
            assert not torch.equal(parameter, before[name]), name
            assert not torch.equal(parameter, other.model.get_parameter(name)), name
            assert abs(parameter.std().item() / 0.02 - 1) < 5 / (2 * parameter.numel()) ** 0.5 + 0.01, name
    assert same(head_of(pm.model), head_of(loaded(tiny_models[family], seed=7).model))


def test_a_parent_module_overwrites_the_draws_of_its_children(tiny_models, tmp_path):
    """The parent of DistilBERT's position table sets its sinusoids (Vaswani et al. 2017, section 3.5)."""
    pm = loaded(variant(tiny_models["distilbert"], tmp_path / "waves", sinusoidal_pos_embds=True))
    reinitialise(pm, 0)
    positions = pm.model.distilbert.embeddings.position_embeddings.weight
    angles = torch.arange(64.0)[:, None] / 10000 ** (torch.arange(0, 32, 2) / 32)
    assert torch.allclose(positions[:, 0::2], angles.sin(), atol=1e-5)
    assert torch.allclose(positions[:, 1::2], angles.cos(), atol=1e-5)


def test_no_two_parameters_get_the_same_values(tiny_bert):
    pm = loaded(tiny_bert)
    reinitialise(pm, 0)
    firsts = [tuple(p.flatten()[:4].tolist()) for name, p in pm.model.named_parameters() if p.std() > 0]
    assert len(set(firsts)) == len(firsts)


@families
def test_permute_layers_moves_whole_layers(tiny_models, family):
    pm = loaded(tiny_models[family])
    before = weights(pm.model)
    base = pm.layers[0].query.split(".0.")[0]
    permutation = permute_layers(pm, 0)
    assert permutation == [1, 0]
    moved = 0
    for name, parameter in pm.model.named_parameters():
        origin = name
        if name.startswith(f"{base}."):
            index, rest = name.removeprefix(f"{base}.").split(".", 1)
            origin = f"{base}.{permutation[int(index)]}.{rest}"
            moved += not torch.equal(parameter, before[name])
        assert torch.equal(parameter, before[origin]), name
    assert moved == 2 * 16


def test_permutations_are_seeded_and_never_the_identity():
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"num_attention_heads": 1, "hidden_size": 4, "intermediate_size": 4, "vocab_size": 5}
    pm = describe(BertForSequenceClassification(BertConfig(num_hidden_layers=3, **sizes)), FAMILIES["bert"])
    drawn = [permute_layers(pm, seed) for seed in range(40)]
    assert drawn == [permute_layers(pm, seed) for seed in range(40)]
    assert {tuple(permutation) for permutation in drawn} == {(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)}
    one = describe(BertForSequenceClassification(BertConfig(num_hidden_layers=1, **sizes)), FAMILIES["bert"])
    with pytest.raises(PrunebenchError, match="one layer"):
        permute_layers(one, 0)
