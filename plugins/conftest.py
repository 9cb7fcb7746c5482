"""A model of one word a token, its task, and runs of a method on them: what the tests of all plugins share."""

from __future__ import annotations

import signal

import pytest

import prunebench
from prunebench.execution.executors.resources import Resources
from prunebench.pruning import masks
from prunebench.testing import write_tiny_task
from prunebench.testing.models import WORDS

# Each training of `run` has as many.
STEPS = 25


@pytest.fixture(scope="session")
def word_model(tmp_path_factory):
    """A random BERT without dropout, with 2 layers of width 16 and 32 neurons, and a tokenizer of whole words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        encoder = BertModel(BertConfig(vocab_size=len(vocabulary), **sizes, **dropout))
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        encoder.save_pretrained(folder)
    BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def word_glue(tmp_path_factory):
    """SST-2 with 40 training rows and 16 dev rows, in the official layout."""
    return write_tiny_task(tmp_path_factory.mktemp("glue"))


@pytest.fixture(scope="session")
def run_methods(word_model, word_glue, tmp_path_factory):
    """A function that runs methods on the model of words, in trainings of 25 steps; returns the results."""

    def run(strategies, sparsities, store=None, **options):
        results = prunebench.run(
            strategies=strategies,
            sparsities=sparsities,
            tasks="sst2",
            seeds="1",
            model=str(word_model),
            glue_dir=str(word_glue),
            device="cpu",
            precision="fp32",
            epochs="5",
            batch_size="8",
            lr="1e-3",
            store=store or tmp_path_factory.mktemp("store") / "store",
            resources=Resources(executor="here"),
            progress=False,
            **options,
        )
        assert not results.failures
        return results

    return run


@pytest.fixture(scope="session")
def run(run_methods):
    """A function that runs one method at one sparsity; returns the store, its cell and its record."""

    def run_one(strategy, sparsity="0.8", **options):
        results = run_methods(strategy, sparsity, **options)
        (cell,) = [cell for cell in results.run.plan.cells if not cell.is_dense]
        return results.store, cell, results.store.record(cell.key)

    return run_one


@pytest.fixture
def run_smoke(tmp_path):
    """A function that runs methods on `quick-bert` with 32 training examples; returns the store and their cells."""

    def run(strategies, sparsity):
        results = prunebench.run(
            "smoke",
            strategies=strategies,
            sparsities=sparsity,
            seeds="1",
            device="cpu",
            precision="fp32",
            train_limit="32",
            eval_limit="16",
            store=tmp_path / "store",
            resources=Resources(executor="here"),
            progress=False,
        )
        assert not results.failures
        return results.store, [cell for cell in results.run.plan.cells if not cell.is_dense]

    return run


@pytest.fixture
def check_resume(run, monkeypatch, tmp_path):
    """A function that interrupts a method at a step, continues it, and compares all bits with an undisturbed run."""

    def check(callback, strategy, step, sparsity="0.8"):
        store, cell, whole = run(strategy, sparsity)
        real = callback.after_step

        def interrupt(self, number):
            if number == step:
                signal.raise_signal(signal.SIGINT)
            return real(self, number)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(callback, "after_step", interrupt)
            run(strategy, sparsity, store=tmp_path / "cut", checkpoint_minutes=0)
        steps = []
        monkeypatch.setattr(callback, "after_step", lambda self, number: steps.append(number) or real(self, number))
        other, _, cut = run(strategy, sparsity, store=tmp_path / "cut", checkpoint_minutes=0)
        assert steps == list(range(step, STEPS + 1))
        assert cut.evaluations == whole.evaluations and cut.loss == whole.loss
        expected, mask = (each.load("masks", cell.mask, masks.unpack) for each in (store, other))
        assert all(mask[name].equal(keep) for name, keep in expected.items())
        assert (store.logits(cell.key)["validation"] == other.logits(cell.key)["validation"]).all()

    return check
