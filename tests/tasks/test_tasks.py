"""The nine GLUE tasks against a table, and data: fingerprints, sizes and subsets."""

import json
import subprocess
import sys

import pytest

from prunebench import Protocol, Split, TaskData
from prunebench.hooks.registry import Registry
from prunebench.tasks.plugin import prunebench_metrics, prunebench_tasks

YES_NO = ("entailment", "not_entailment")
TABLE = {
    "cola": (("unacceptable", "acceptable"), ("matthews_correlation",)),
    "sst2": (("negative", "positive"), ("accuracy",)),
    "mrpc": (("not_equivalent", "equivalent"), ("accuracy", "f1")),
    "qqp": (("not_duplicate", "duplicate"), ("accuracy", "f1")),
    "stsb": ((), ("pearson", "spearmanr")),
    "mnli": (("entailment", "neutral", "contradiction"), ("accuracy",)),
    "qnli": (YES_NO, ("accuracy",)),
    "rte": (YES_NO, ("accuracy",)),
    "wnli": (("not_entailment", "entailment"), ("accuracy",)),
}


GLUE = [task for task in prunebench_tasks() if task.benchmark == "GLUE"]


def test_nine_tasks_with_the_labels_of_the_hub_and_the_metrics_of_glue():
    assert {task.name: (task.labels, task.metrics) for task in GLUE} == TABLE
    assert {task.name: task.metric_config for task in GLUE} == {name: name for name in TABLE}
    assert {task.metric for task in GLUE} == {"glue"} == {metric.name for metric in prunebench_metrics()}


def test_only_mnli_has_two_evaluations_and_only_stsb_is_regression():
    evaluations = {task.name: task.evaluations for task in GLUE}
    assert evaluations.pop("mnli") == ("matched", "mismatched")
    assert set(evaluations.values()) == {("validation",)}
    assert [task.name for task in GLUE if task.is_regression] == ["stsb"]


def test_protocol_and_documentation():
    for task in GLUE:
        assert task.protocol == Protocol(epochs=3, lr=2e-5, batch_size=32, max_length=128)
    for task in prunebench_tasks():
        assert task.doc and "\n" not in task.doc
        assert task.split == "dev"


def test_the_tasks_are_registered():
    registry = Registry()
    assert set(registry.entries("tasks")) > set(TABLE)
    assert registry.get("metrics", "glue").name == "glue"


def test_importing_the_tasks_loads_no_heavy_library():
    code = (
        "import sys, json, prunebench.tasks.plugin as t; t.prunebench_tasks(); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "datasets", "evaluate", "scipy", "transformers"} & set(json.loads(done.stdout))


def data(rows, labels, name="validation"):
    split = Split(tuple(list(column) for column in zip(*rows, strict=True)), labels)
    return TaskData(split, {name: split})


@pytest.mark.parametrize(
    "other",
    [
        data([("b", "a"), ("c", "d")], [0, 1]),
        data([("c", "d"), ("a", "b")], [1, 0]),
        data([("a", "b"), ("c", "d")], [1, 1]),
        data([("a", "b"), ("c", "d")], [0.0, 1.0]),
        data([("a", "b"), ("c", "d")], [0, 1], name="matched"),
        data([("a", "b")], [0]),
    ],
    ids=["texts", "order", "label", "kind of label", "name", "length"],
)
def test_fingerprints_of_different_data_differ(other):
    assert data([("a", "b"), ("c", "d")], [0, 1]).fingerprint() != other.fingerprint()


def test_fingerprint_keeps_columns_apart():
    assert data([("a\x1fb", "c")], [0]).fingerprint() != data([("a", "b\x1fc")], [0]).fingerprint()
    assert data([("a", "b")], [0]).fingerprint() == data([("a", "b")], [0]).fingerprint()


def test_sizes():
    train = Split((["a", "b", "c"],), [0, 1, 0])
    dev = Split((["a"],), [0])
    assert TaskData(train, {"matched": dev, "mismatched": train}).sizes() == {
        "train": 3,
        "matched": 1,
        "mismatched": 3,
    }


def test_a_limited_split_keeps_rows_together_and_in_order():
    split = Split(([f"a{i}" for i in range(50)], [f"b{i}" for i in range(50)]), list(range(50)))
    subset = split.limit(7)
    assert len(subset) == 7 == len(set(subset.labels))
    assert subset.labels == sorted(subset.labels)
    assert subset.texts == ([f"a{i}" for i in subset.labels], [f"b{i}" for i in subset.labels])
    assert subset == split.limit(7)
    assert split.limit(50) is split is split.limit(None)
