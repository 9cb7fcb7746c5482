"""The end of the last layer for the first token only: the same gradients and logits."""

from dataclasses import replace

import torch
from models.checkpoints import FAMILIES, families, loaded, source_of

from prunebench.models.encoder import load
from prunebench.models.fast import first_token


def batch_of(model, length=9):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, model.config.vocab_size, (3, length), generator=generator)
    mask = (torch.arange(length) < torch.tensor([length, 5, 2])[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask}


def gradients(model):
    model.zero_grad()
    model(**batch_of(model), labels=torch.tensor([0, 1, 1])).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@families
def test_training_with_the_first_token_only_has_the_same_gradients(tiny_models, family):
    pm = loaded(tiny_models[family])
    for module in pm.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    tokens = []
    for layer in pm.layers:
        pm.model.get_submodule(layer.output).register_forward_pre_hook(
            lambda _, tensors: tokens.append(tensors[0].shape[1])
        )
    expected = gradients(pm.model.eval())
    assert tokens == [9, 9]
    actual = gradients(pm.model.train())
    assert tokens[2:] == [9, 1]
    assert expected.keys() == actual.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(actual[name], gradient, rtol=1e-4, atol=1e-7)


@families
def test_predicting_with_the_first_token_only_has_the_same_logits(tiny_models, family):
    pm = loaded(tiny_models[family])
    pm.model.eval()
    tokens = []
    pm.model.get_submodule(pm.layers[-1].output).register_forward_pre_hook(
        lambda _, tensors: tokens.append(tensors[0].shape[1])
    )
    with torch.no_grad():
        expected = pm.model(**batch_of(pm.model)).logits
        with first_token.only():
            actual = pm.model(**batch_of(pm.model)).logits
        assert torch.equal(pm.model(**batch_of(pm.model)).logits, expected)
    assert tokens == [9, 1, 9]
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_family_without_after_attention_is_trained_on_all_tokens(tiny_bert):
    source = source_of(tiny_bert)
    pm = load(source, replace(FAMILIES["bert"], after_attention=""), num_labels=2, regression=False, seed=0)
    assert pm.model.bert.train()(**batch_of(pm.model)).last_hidden_state.shape[1] == 9
