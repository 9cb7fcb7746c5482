"""Suites: files merged with the options of a command line, and what is refused."""

from __future__ import annotations

import datetime

import pytest

from prunebench import Protocol, PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.suite import Suite, load, merge


@pytest.fixture
def read(tmp_path):
    """A function that reads a suite from the text of a file."""

    def read_text(text):
        file = tmp_path / "mine.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(str(file), Registry())

    return read_text


def test_a_file_has_the_same_options_as_the_command_line(read):
    suite = read(
        'doc = "Two tasks."\ntasks = ["rte", "mrpc", "rte"]\nstrategies = "imp[rate=0.2,of=remaining],heads"\n'
        'sparsities = [0.7, 0.3, 0.3]\nseeds = 2\nmodel = "some/model"\nglue-dir = "glue"\nbatch-size = 16\n'
        'max_length = 64\nlr = 1e-3\ntrain-limit = 10\neval-limit = 5\nepochs = 1\nprecision = "fp32"\n'
        'device = "cpu"\nprunable = "encoder+pooler"\n'
    )
    assert suite == Suite(
        name="mine",
        doc="Two tasks.",
        tasks=("rte", "mrpc"),
        strategies=("imp[rate=0.2,of=remaining]", "heads"),
        sparsities={"": (0.3, 0.7)},
        seeds=(0, 1),
        model="some/model",
        glue_dir="glue",
        precision="fp32",
        device="cpu",
        prunable="encoder+pooler",
        epochs=1,
        lr=1e-3,
        batch_size=16,
        max_length=64,
        train_limit=10,
        eval_limit=5,
    )


def test_sparsities_may_differ_by_task(read):
    suite = read("[sparsities]\nrte = [0.6, 0.2]\nmrpc = 0.5\n")
    assert suite.levels("rte") == (0.2, 0.6)
    assert suite.levels("mrpc") == (0.5,)
    assert merge(suite, {"sparsities": "0.9"}).levels("rte") == (0.9,)


@pytest.mark.parametrize(
    ("value", "seeds"),
    [
        ("1", (0,)),
        ("5", (0, 1, 2, 3, 4)),
        ("3,17", (3, 17)),
        (" 17 , 3,17", (17, 3)),
        ("3,", (3,)),
        (2, (0, 1)),
        ([3, 17], (3, 17)),
        ([7], (7,)),
    ],
)
def test_seeds_are_a_number_or_a_list(value, seeds):
    assert merge(Suite(), {"seeds": value}).seeds == seeds


def test_options_win_over_the_file_and_absent_ones_change_nothing():
    suite = Suite(tasks=("rte",), seeds=(3,), epochs=2)
    assert merge(suite, {"tasks": None, "seeds": None, "epochs": None}) == suite
    assert merge(suite, {"epochs": "1", "tasks": "mrpc,cola"}) == Suite(tasks=("mrpc", "cola"), seeds=(3,), epochs=1)


def test_overrides_make_another_protocol():
    standard = Protocol()
    assert Suite().with_changes(standard) == standard
    suite = merge(Suite(), {"epochs": "1", "lr": "5e-5"})
    assert suite.with_changes(standard) == Protocol(epochs=1, lr=5e-5)
    assert suite.with_changes(standard).label(standard) == "glue-1 with epochs=1, lr=5e-05"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": "0.5"}, r"unknown option 'sparsity' \(did you mean 'sparsities'\?\)"),
        ({"batchsize": "8"}, r"unknown option 'batchsize' \(did you mean 'batch-size'\?\)"),
        ({"name": "mine"}, "unknown option 'name'"),
        ({"train-limit": 1, "train_limit": 2}, "'train_limit' stands twice"),
        ({"tasks": 5}, "bad tasks 5"),
        ({"tasks": ["rte", 5]}, "bad tasks"),
        ({"strategies": {"imp": 1}}, "bad strategies"),
        ({"sparsities": "1"}, r"sparsity 1\.0 is outside \[0, 1\)"),
        ({"sparsities": [-0.1]}, r"sparsity -0\.1 is outside"),
        ({"sparsities": 70}, r"sparsity 70\.0 is outside"),
        ({"sparsities": "nan"}, "sparsity nan is outside"),
        ({"sparsities": "0.99999999999"}, r"sparsity 1\.0 is outside"),
        ({"sparsities": "half"}, r"bad sparsity 'half' \(expected a number\)"),
        ({"sparsities": {"rte": [1.5]}}, r"sparsity 1\.5 is outside"),
        ({"sparsities": ","}, "no sparsities are given"),
        ({"sparsities": []}, "no sparsities are given"),
        ({"sparsities": True}, "bad sparsity True"),
        ({"seeds": "0"}, "bad seeds '0'"),
        ({"seeds": -1}, "bad seeds -1"),
        ({"seeds": "3,-1"}, "bad seeds '3,-1'"),
        ({"seeds": "3,x"}, r"bad seed 'x' \(expected a whole number\)"),
        ({"seeds": "1.5"}, "bad seeds '1.5'"),
        ({"seeds": ""}, "bad seeds ''"),
        ({"seeds": ","}, "bad seeds ','"),
        ({"seeds": []}, r"bad seeds \[\]"),
        ({"seeds": 3.5}, "bad seeds 3.5"),
        ({"seeds": True}, "bad seeds True"),
        ({"seeds": datetime.date(2024, 1, 1)}, "bad seeds"),
        ({"seeds": {"rte": 1}}, "bad seeds"),
        ({"epochs": "two"}, r"bad epochs 'two' \(expected a whole number\)"),
        ({"epochs": 1.5}, "bad epochs 1.5"),
        ({"epochs": float("inf")}, "bad epochs inf"),
        ({"epochs": True}, "bad epochs True"),
        ({"batch_size": "8.5"}, "bad batch-size '8.5'"),
        ({"lr": "fast"}, r"bad lr 'fast' \(expected a number\)"),
        ({"model": 5}, "bad model 5"),
        ({"glue_dir": ["glue"]}, "bad glue-dir"),
        ({"device": "gpu"}, r"unknown device 'gpu' \(expected auto, cpu, cuda\)"),
        ({"precision": "fp16"}, r"unknown precision 'fp16' \(expected auto, fp32, bf16\)"),
        ({"prunable": "all"}, r"unknown prunable 'all' \(expected encoder, encoder\+pooler\)"),
    ],
)
def test_an_unreadable_option_is_named(options, message):
    with pytest.raises(PrunebenchError, match=message):
        merge(Suite(), options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('taskss = ["rte"]', r"suite mine\.toml: unknown option 'taskss' \(did you mean 'tasks'\?\)"),
        ('store = "here"', r"suite mine\.toml: unknown option 'store'"),
        ("sparsities = [1.5]", r"suite mine\.toml: sparsity 1\.5 is outside"),
        ("seeds = 0", r"suite mine\.toml: bad seeds 0"),
        ('tasks = ["rte"', r"mine\.toml' is not TOML: Unclosed array"),
        ("seeds = 1\nseeds = 2", r"mine\.toml' is not TOML: Cannot overwrite a value"),
        (b"doc = '\xff'", r"mine\.toml' is not TOML: 'utf-8' codec"),
    ],
)
def test_an_error_in_a_file_names_the_file(read, text, message):
    with pytest.raises(PrunebenchError, match=message):
        read(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PrunebenchError, match=r"no suite file .*none\.toml"):
        load(str(tmp_path / "none.toml"), Registry())
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(PrunebenchError, match=r"cannot read suite .*folder\.toml': is a directory"):
        load(str(tmp_path / "folder.toml"), Registry())


def test_a_suite_is_found_by_its_name():
    with pytest.raises(PrunebenchError, match=r"unknown suite 'gleu' \(did you mean 'glue'\?\)"):
        load("gleu", Registry())


def test_the_suite_glue_is_all_nine_tasks():
    suite = load("glue", Registry())
    assert set(suite.tasks) == {"cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli"}
    assert suite.model == "google-bert/bert-base-uncased"
    assert len(suite.seeds) == 5
    assert {"imp", "magnitude", "random-pruning", "random-reinit", "heads"} <= set(suite.strategies)
    assert suite.with_changes(Protocol()) == Protocol()


def test_the_suite_chen2020_is_table_2_of_the_paper():
    """Sparsities of Table 2 of arXiv:2007.12223; the settings of its section 3; the pooler pruned as in its code."""
    suite = load("chen2020", Registry())
    published = {"mnli": 0.7, "qqp": 0.9, "stsb": 0.5, "wnli": 0.9, "qnli": 0.7, "mrpc": 0.5, "rte": 0.6, "sst2": 0.6}
    assert {task: suite.levels(task) for task in suite.tasks} == {
        task: (sparsity,) for task, sparsity in {**published, "cola": 0.5}.items()
    }
    assert suite.model == "google-bert/bert-base-uncased"
    assert suite.prunable == "encoder+pooler"
    assert {"imp", "random-pruning", "random-reinit"} <= set(suite.strategies)
    protocol = suite.with_changes(Protocol())
    settings = protocol.lr, protocol.batch_size, protocol.max_length, protocol.epochs, protocol.weight_decay
    assert settings == (2e-5, 32, 128, 3, 0.0)
    assert (protocol.warmup, protocol.clip) == (0.0, 1.0)


@pytest.mark.parametrize("name", ["chen2020", "glue"])
def test_a_suite_names_existing_tasks_and_strategies(name):
    registry = Registry()
    suite = load(name, registry)
    assert suite.doc
    for task in suite.tasks:
        assert registry.get("tasks", task).name == task
        assert suite.levels(task)
    for text in suite.strategies:
        registry.strategy(text)
