"""Plugins in a single file: `--plugin mine.py`."""

from __future__ import annotations

import pytest
from commands import call, cell_states, contents, refused
from plugin_files import PLUGIN, plugin_file

from prunebench.store.store import Store


def test_a_plugin_file_is_listed_planned_and_run(store, words, trainings, tmp_path):
    file = plugin_file(tmp_path)
    lines = call("list", "strategies", "--plugin", file).out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("mine  (mine.py "))
    assert lines[at + 1 : at + 3] == ["    My own method.", "    power: float = 1.5"]
    options = [*words, "--strategies", "mine,mine[power=2]", "--store", "store", "--plugin", "mine.py"]
    assert "To run:        5 phases, 3 trainings, 1 of them again" in call("plan", *options).out
    result = call("run", *options)
    assert (result.status, len(trainings)) == (0, 3)
    assert set(cell_states(store)) == {
        ("dense", 0.0, 0),
        ("dense[trainings=2]", 0.0, 0),
        ("mine", 0.2, 0),
        ("mine[power=2.0]", 0.2, 0),
    }
    assert set(cell_states(store).values()) == {"done"}
    refused(call("run", *words, "--strategies", "mine", "--store", "store"), "unknown strategy 'mine'")
    file.write_text(file.read_text() + "# Another version.\n")
    assert "To run:        5 phases, 3 trainings" in call("plan", *options).out, "an edited plugin is another method"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("import nosuchmodule", ["plugin mine.py cannot be used", "No module named 'nosuchmodule'"]),
        ("1 / 0", ["plugin mine.py cannot be used", "ZeroDivisionError"]),
        ("def f(:", ["plugin mine.py cannot be used", "SyntaxError", "line 1"]),
        (PLUGIN.replace("_strategies", "_strategy"), ["'prunebench_strategy'", "'prunebench_strategies'"]),
        (PLUGIN.replace("@hookimpl", ""), ["prunebench_strategies is not marked as a hook", "@hookimpl"]),
        (PLUGIN.replace("strategies()", "strategies(model)"), ["cannot be used", "prunebench_strategies(model)"]),
        (PLUGIN.replace("[Mine]", "[1 / 0]"), ["plugin mine.py cannot be used", "ZeroDivisionError"]),
        (PLUGIN.replace('"mine"', '"magnitude"'), ["'magnitude' is given twice", "mine.py", "built in"]),
        (PLUGIN.replace('"weight"', '"block"'), ["unknown structure 'block'", "head, layer, neuron, weight"]),
        (PLUGIN.replace("RECIPE", "1 / 0"), ["'mine'", "recipe", "ZeroDivisionError"]),
        (PLUGIN.replace("RECIPE", "None"), ["'mine'", "recipe", "TypeError"]),
    ],
    ids=["import", "top", "syntax", "hook", "mark", "arguments", "gives", "twice", "unit", "recipe", "no recipe"],
)  # fmt: skip
def test_a_broken_plugin_is_one_line(store, words, tmp_path, text, parts):
    untouched = contents(store)
    file = plugin_file(tmp_path, text=text)
    result = call("run", *words, "--strategies", "magnitude,mine", "--store", "store", "--plugin", file)
    assert refused(result, *parts) == []
    assert contents(store) == untouched


METRIC = """
from dataclasses import replace
from prunebench import MetricSpec, hookimpl
from prunebench.tasks.plugin import prunebench_tasks as built_in

def load(config):
    import datasets
    import evaluate

    class Errors(evaluate.Metric):
        def _info(self):
            columns = {name: datasets.Value("int64") for name in ("predictions", "references")}
            return evaluate.MetricInfo("How many are wrong.", "", datasets.Features(columns))

        def _compute(self, predictions, references):
            return {"KEY": sum(one != other for one, other in zip(predictions, references)), "all": [len(references)]}

    return Errors(config_name=config, keep_in_memory=True)

@hookimpl
def prunebench_metrics():
    return [MetricSpec("errors", "How many are wrong.", load)]

@hookimpl
def prunebench_tasks():
    [rte] = [task for task in built_in() if task.name == "rte"]
    return [replace(rte, name="counted", metric="errors", metric_config="all", metrics=("errors",))]
"""


def test_a_plugin_metric_made_with_evaluate(words, tmp_path):
    file = plugin_file(tmp_path, text=METRIC.replace("KEY", "errors"))
    options = [*words, "--tasks", "rte,counted", "--store", tmp_path / "store", "--plugin", file]
    assert call("run", *options).status == 0
    scores = {}
    for record in Store.open(tmp_path / "store").records():
        scores.setdefault(record.experiment.task, []).append(record.evaluations["validation"].to_json())
    assert len(scores["counted"]) == len(scores["rte"]) > 1
    for counted, rte in zip(*(sorted(scores[name], key=str) for name in ("counted", "rte")), strict=True):
        assert counted["degenerate"] == []
        for what in ("metrics", "majority"):
            right = rte["examples"] - counted[what]["errors"]
            assert right / rte["examples"] == pytest.approx(rte[what]["accuracy"])


def test_a_metric_that_lacks_a_value_is_one_line(words, tmp_path):
    file = plugin_file(tmp_path, text=METRIC.replace("KEY", "error"))
    result = call("run", *words, "--tasks", "counted", "--store", tmp_path / "store", "--plugin", file)
    failed = [line for line in refused(result) if line.startswith("failed: ")]
    assert "the metric 'errors' of the task 'counted' gives no 'errors' (it gives 'error', 'all')" in failed[0]
