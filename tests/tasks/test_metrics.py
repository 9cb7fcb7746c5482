"""GLUE's metrics against scikit-learn and scipy, on random and on degenerate predictions."""

import math
import os
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from prunebench import PrunebenchError
from prunebench.tasks.glue.metrics import GLUE_METRIC, scores
from prunebench.tasks.metrics import MetricSpec, Scorer, majority_scores, undefined_keys
from prunebench.tasks.plugin import prunebench_tasks

TASKS = {task.name: task for task in prunebench_tasks()}
KEYS = {
    "cola": ["matthews_correlation"],
    "sst2": ["accuracy"],
    "mrpc": ["accuracy", "f1"],
    "qqp": ["accuracy", "f1"],
    "stsb": ["pearson", "spearmanr"],
    "mnli": ["accuracy"],
    "mnli_matched": ["accuracy"],
    "mnli_mismatched": ["accuracy"],
    "qnli": ["accuracy"],
    "rte": ["accuracy"],
    "wnli": ["accuracy"],
    "hans": ["accuracy"],
    "ax": ["accuracy"],
}
METRICS = {config: GLUE_METRIC.load(config) for config in KEYS}
SCORERS = {task.metric_config: Scorer.from_spec(task, GLUE_METRIC) for task in TASKS.values()}


def lists_of_pairs(values, min_size=1):
    return st.lists(st.tuples(values, values), min_size=min_size, max_size=30).map(lambda rows: list(zip(*rows)))  # noqa: B905


def compute(config, predictions, references):
    return METRICS[config].compute(predictions=list(predictions), references=list(references))


def degenerate(config, predictions, references):
    return undefined_keys(scores(config, list(predictions), list(references)))


@pytest.mark.parametrize("config", KEYS)
def test_keys_and_perfect_predictions(config):
    references = [0.0, 1.5, 5.0] if config == "stsb" else [0, 1, 1]
    assert compute(config, references, references) == pytest.approx(dict.fromkeys(KEYS[config], 1.0), abs=1e-12)
    assert degenerate(config, references, references) == []


def test_tasks_list_the_keys_of_their_metric():
    assert {name: list(task.metrics) for name, task in TASKS.items()} == {
        name: KEYS[task.metric_config] for name, task in TASKS.items()
    }


def test_an_unknown_configuration_suggests_the_nearest_one():
    with pytest.raises(PrunebenchError, match=r"unknown configuration .* 'mnli_match' .*did you mean 'mnli_matched'"):
        GLUE_METRIC.load("mnli_match")


@given(lists_of_pairs(st.integers(0, 1)))
@settings(deadline=None, max_examples=60)
def test_classification_against_sklearn(pair):
    predictions, references = pair
    values = compute("mrpc", predictions, references) | compute("cola", predictions, references)
    with warnings.catch_warnings():
        # scikit-learn warns if all labels are the same. GLUE's metric must not, so it is called outside this block.
        warnings.simplefilter("ignore", UserWarning)
        expected = {
            "accuracy": accuracy_score(references, predictions),
            "f1": f1_score(references, predictions, zero_division=0.0),
            "matthews_correlation": matthews_corrcoef(references, predictions),
        }
    assert values == pytest.approx(expected, abs=1e-12)
    undefined_f1 = 1 not in predictions or 1 not in references
    assert degenerate("mrpc", predictions, references) == (["f1"] if undefined_f1 else [])
    undefined_matthews = len(set(predictions)) == 1 or len(set(references)) == 1
    assert degenerate("cola", predictions, references) == (["matthews_correlation"] if undefined_matthews else [])


@given(lists_of_pairs(st.integers(0, 2)))
@settings(deadline=None, max_examples=30)
def test_accuracy_of_three_classes_against_sklearn(pair):
    predictions, references = pair
    expected = accuracy_score(references, predictions)
    assert compute("mnli", predictions, references) == {"accuracy": pytest.approx(expected, abs=1e-12)}
    assert degenerate("mnli", predictions, references) == []


# Multiples of 1/8: ties are frequent, and a list is either constant or far from constant.
@given(lists_of_pairs(st.integers(0, 40).map(lambda eighths: eighths / 8), min_size=2))
@settings(deadline=None, max_examples=60)
def test_regression_against_scipy(pair):
    predictions, references = pair
    values = compute("stsb", predictions, references)
    if len(set(predictions)) == 1 or len(set(references)) == 1:
        assert values == {"pearson": 0.0, "spearmanr": 0.0}
        assert degenerate("stsb", predictions, references) == ["pearson", "spearmanr"]
        return
    assert values["pearson"] == pytest.approx(stats.pearsonr(references, predictions).statistic, abs=1e-9)
    assert values["spearmanr"] == pytest.approx(stats.spearmanr(references, predictions).statistic, abs=1e-9)
    assert degenerate("stsb", predictions, references) == []


@given(lists_of_pairs(st.floats()))
@settings(deadline=None, max_examples=200)
def test_any_floats_give_finite_scores_without_a_warning(pair):
    predictions, references = pair
    values = compute("stsb", predictions, references)
    undefined_keys = degenerate("stsb", predictions, references)
    assert all(type(value) is float and -1 - 1e-12 <= value <= 1 + 1e-12 for value in values.values())
    assert all(values[key] == 0.0 for key in undefined_keys)
    if not all(map(math.isfinite, predictions)):
        assert undefined_keys == ["pearson", "spearmanr"]


def test_hand_computed_values():
    # tp 2, fp 1, fn 1, tn 2: precision = recall = 2/3; Matthews (4 − 1) / 9
    predictions, references = [1, 1, 1, 0, 0, 0], [1, 1, 0, 1, 0, 0]
    assert compute("qqp", predictions, references) == {"accuracy": 4 / 6, "f1": pytest.approx(2 / 3)}
    assert compute("cola", predictions, references) == {"matthews_correlation": pytest.approx(1 / 3)}
    # deviations (−1, 0, 1) and (−5/3, −2/3, 7/3): 4 / √(2 · 78/9)
    assert compute("stsb", [1, 2, 3], [0, 1, 4])["pearson"] == pytest.approx(4 / math.sqrt(2 * 78 / 9))


def test_a_score_of_zero_can_be_defined():
    assert compute("mrpc", [1, 0], [0, 1]) == {"accuracy": 0.0, "f1": 0.0}
    assert degenerate("mrpc", [1, 0], [0, 1]) == []
    assert compute("cola", [1, 1, 0, 0], [1, 0, 1, 0]) == {"matthews_correlation": 0.0}
    assert degenerate("cola", [1, 1, 0, 0], [1, 0, 1, 0]) == []


@pytest.mark.parametrize("config", ["cola", "sst2", "mrpc", "stsb", "mnli"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_predictions_that_are_not_finite(config, value):
    assert compute(config, [1, value, 0], [1, 0, 0]) == dict.fromkeys(KEYS[config], 0.0)
    assert degenerate(config, [1, value, 0], [1, 0, 0]) == KEYS[config]


def test_scores_are_compared_in_double_precision():
    # In single precision the two predictions are equal, and the correlation would be undefined.
    predictions = [1.0, 1.0 + 1e-9]
    assert compute("stsb", predictions, [0.0, 1.0]) == pytest.approx({"pearson": 1.0, "spearmanr": 1.0})
    assert degenerate("stsb", predictions, [0.0, 1.0]) == []


def test_one_example_has_no_correlation():
    assert compute("stsb", [3.0], [3.0]) == {"pearson": 0.0, "spearmanr": 0.0}
    assert degenerate("stsb", [3.0], [3.0]) == ["pearson", "spearmanr"]


def test_predictions_that_are_not_classes_are_errors():
    with pytest.raises(ValueError, match=r"class indices, got 0\.7"):
        compute("sst2", [0.7, 1], [1, 1])
    with pytest.raises(ValueError, match=r"class indices, got 0\.7"):
        scores("sst2", [1, 1], [0.7, 1])
    with pytest.raises(ValueError, match="classes 0 and 1 only"):
        compute("mrpc", [2, 1], [1, 1])
    with pytest.raises(ValueError, match="equally long"):
        degenerate("sst2", [1], [1, 1])


def test_batches_accumulate_until_the_score_is_computed():
    metric = GLUE_METRIC.load("sst2")
    metric.add_batch(predictions=[1, 0], references=[1, 1])
    metric.add_batch(predictions=[1, 1], references=[1, 1])
    assert metric.compute() == {"accuracy": 0.75}
    assert metric.compute(predictions=[0], references=[0]) == {"accuracy": 1.0}


def test_processes_compute_at_the_same_time_and_leave_no_file(tmp_path):
    code = (
        "import os\n"
        "from prunebench.tasks.glue.metrics import GLUE_METRIC\n"
        "GLUE_METRIC.load('mrpc')  # imports what takes long\n"
        "other = os.fork()\n"
        "first, second = GLUE_METRIC.load('mrpc'), GLUE_METRIC.load('mrpc')\n"
        "first.add_batch(predictions=[1], references=[1])\n"
        "print(second.compute(predictions=[1, 0], references=[1, 1])['accuracy'])\n"
        "print(first.compute()['accuracy'], flush=True)\n"
        "os._exit(os.waitpid(other, 0)[1] if other else 0)\n"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["0.5", "0.5", "1.0", "1.0"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not (tmp_path / "metrics").exists()


def test_majority_of_classes():
    references = [1, 1, 1, 0]
    assert majority_scores([0, 1, 1], references, SCORERS["mrpc"]) == {
        "accuracy": 0.75,
        "f1": pytest.approx(2 * 0.75 / 1.75),
    }
    assert majority_scores([0, 0, 1], references, SCORERS["mrpc"]) == {"accuracy": 0.25, "f1": 0.0}
    assert majority_scores([0, 1, 1], references, SCORERS["cola"]) == {"matthews_correlation": 0.0}


def test_majority_takes_the_lowest_class_on_ties_and_ignores_the_references():
    assert majority_scores([2, 1, 1, 2], [2, 2, 1], SCORERS["mnli"]) == {"accuracy": pytest.approx(1 / 3)}


def test_majority_of_regression_predicts_the_mean_and_has_no_correlation():
    calls = []

    def spy(config, predictions, references):
        calls.append(predictions)
        return scores(config, predictions, references)

    scorer = Scorer.from_spec(TASKS["stsb"], replace(GLUE_METRIC, scores=spy))
    assert majority_scores([0.1] * 3 + [4.9], [0.0, 2.0, 5.0], scorer) == {"pearson": 0.0, "spearmanr": 0.0}
    assert calls == [[pytest.approx(1.3)] * 3]


@given(lists_of_pairs(st.integers(0, 1)))
@settings(deadline=None, max_examples=60)
def test_the_formulas_agree_with_the_metric_of_evaluate(pair):
    for config in ("mrpc", "cola", "stsb"):
        slow = Scorer.from_spec(TASKS[config], replace(GLUE_METRIC, scores=None))
        fast = SCORERS[config](*pair)
        assert slow(*pair) == {key: value or 0.0 for key, value in fast.items()}


class Constant:
    """A metric that always returns the same values, of any type that metrics of `evaluate` return."""

    def __init__(self, values):
        self.values = values

    def compute(self, predictions, references):
        return self.values


def constant_scorer(values):
    return Scorer.from_spec(TASKS["mrpc"], MetricSpec("constant", "Always the same.", lambda config: Constant(values)))


def test_a_metric_of_evaluate_needs_nothing_but_compute():
    values = {"accuracy": np.float64(0.5), "f1": np.float32("nan"), "support": [1, 2]}
    scores = constant_scorer(values)([0, 1], [0, 0])
    assert scores == {"accuracy": 0.5, "f1": None}
    assert type(scores["accuracy"]) is float
    assert constant_scorer({"accuracy": None, "f1": math.inf})([0], [0]) == {"accuracy": None, "f1": None}


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"accuracy": 1.0, "F1": 0.5}, ["gives no 'f1'", "it gives 'accuracy', 'F1'"]),
        ({"accuracy": 1.0, "f1": [0.5, 0.5]}, ["gives [0.5, 0.5] for 'f1'", "expected one number"]),
    ],
)
def test_a_metric_that_does_not_return_what_its_task_lists_is_an_error(values, parts):
    with pytest.raises(PrunebenchError) as error:
        constant_scorer(values)([0], [0])
    for part in ("the metric 'glue' of the task 'mrpc'", *parts):
        assert part in str(error.value)
