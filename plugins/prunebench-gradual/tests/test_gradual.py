"""The installed plugin: found by its entry point, run with a suite, and compared with the paper's equation."""

from __future__ import annotations

import random

import pytest
import torch

from prunebench.execution import scheduler
from prunebench.execution.display import Silent
from prunebench.execution.executors.local import SerialExecutor
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment, jobs
from prunebench.planning.suite import Suite, merge
from prunebench.pruning import masks
from prunebench.store.store import Store
from prunebench.training import loop

WORDS = ("the", "a", "dog", "cat", "bird", "king", "ship", "song", "sees", "finds", "likes", "follows", "old", "young")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A random BERT of 2 layers × 16 with a word tokenizer."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(folder)
    BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
    """SST-2 with 40 and 16 rows, in the official layout."""
    folder = tmp_path_factory.mktemp("glue")
    (folder / "SST-2").mkdir()
    rng = random.Random(0)
    for split, rows in (("train", 40), ("dev", 16)):
        lines = [f"{' '.join(rng.choices(WORDS, k=5))}\t{i % 2}" for i in range(rows)]
        (folder / "SST-2" / f"{split}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    return folder


@pytest.fixture
def run(model, glue, tmp_path):
    """A function that runs a suite in this process and returns the store and the plan."""

    def run_suite(strategies, sparsities):
        registry = Registry()
        setup = {"tasks": "sst2", "seeds": "1", "model": str(model), "glue_dir": str(glue), "device": "cpu"}
        small = {"precision": "fp32", "epochs": "5", "batch_size": "8", "lr": "1e-3"}
        suite = merge(Suite(), {**setup, **small, "strategies": strategies, "sparsities": sparsities})
        plan, store = experiment.plan(suite, registry), Store.create(tmp_path / "store")
        todo = jobs.jobs_to_run(plan, store)
        with SerialExecutor() as executor:
            report = scheduler.run(todo, executor, store, Silent(), scheduler.Dispatch(plan.where))
        assert not report.failures
        return store, plan

    return run_suite


def test_the_plugin_is_found_by_its_entry_point():
    entry = Registry().entry("strategies", "gradual")
    assert (entry.plugin.distribution, entry.plugin.origin) == (
        "prunebench-gradual",
        "entry point prunebench_gradual",
    )


def test_counts_are_exact_and_a_cell_costs_one_training(run):
    store, plan = run("gradual", "0.3,0.5,0.83")
    for cell in plan.cells:
        record = store.record(cell.leaf.key)
        units = 2 * (4 * 16 * 16 + 2 * 16 * 32)
        assert record.sparsity.units == units
        assert record.sparsity.pruned == masks.pruned_count(cell.sparsity, units)
        assert record.sparsity.encoder_after == record.sparsity.pruned / units
        assert len(cell.to_cell().trainings) == 1
        assert record.steps == 25


def test_the_sparsity_follows_the_cubic_of_the_paper(run, monkeypatch):
    """s_t = s_f + (s_i − s_f)(1 − (t − t₀)/(nΔt))³, written out by hand for 20 updates over 70 % of 25 steps."""
    pruned = {}
    real = loop.train

    def spy(model, data, protocol, seed, keep, *, events, **kwargs):
        def counted(step, make):
            def wrapped():
                keep = make()
                pruned[step] = sum(int((~entries).sum()) for entries in keep.values())
                return keep

            return wrapped

        counting = {step: counted(step, make) for step, make in events.masks.items()}
        return real(model, data, protocol, seed, keep, events=loop.Events(counting, events.snapshots), **kwargs)

    monkeypatch.setattr(loop, "train", spy)
    run("gradual", "0.8")
    due = {max(1, round(0.7 * (n + 1) / 20 * 25)): 0.8 - 0.8 * (1 - (n + 1) / 20) ** 3 for n in range(20)}
    assert pruned == {step: masks.pruned_count(sparsity, 4096) for step, sparsity in due.items()}


def test_a_control_takes_its_final_counts(run):
    store, plan = run("gradual,random-pruning[of=gradual]", "0.5")
    own, control = (store.record(cell.leaf.key).sparsity for cell in plan.cells if cell.method.strategy != "dense")
    counts = ("units", "pruned", "realised", "encoder_after")
    assert [getattr(own, name) for name in counts] == [getattr(control, name) for name in counts]
    # The ramp starts dense; its control has the final mask from its first step on.
    assert (own.encoder_before, control.encoder_before) == (0.0, 0.5)


def test_bad_options_are_refused():
    from prunebench import PrunebenchError
    from prunebench.planning.methods import Method

    with pytest.raises(PrunebenchError, match="begin < end"):
        Method("gradual[begin=0.9]", Registry()).steps(0.5)
