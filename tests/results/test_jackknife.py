"""Values of examples without computing each score anew: against the plain jackknife, scipy and GLUE's own formulas."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from prunebench.results.statistics import jackknife
from prunebench.results.statistics.crossed import GROUPS, group_values, pseudo_values
from prunebench.tasks.glue.metrics import GLUE_KEYS, scores

CONFIG = {"accuracy": "rte", "f1": "mrpc", "matthews_correlation": "cola", "pearson": "stsb", "spearmanr": "stsb"}


def glue(metric):
    """The score as a run computes it; NaN where it is undefined."""

    def score(predictions, labels):
        value = scores(CONFIG[metric], predictions, labels)[metric]
        return np.nan if value is None else value

    return score


@given(st.sampled_from(["accuracy", "f1", "matthews_correlation"]), st.integers(4, 60), st.integers(0, 99))
def test_values_of_classes_are_those_of_leaving_out_each_example(metric, n, draw):
    predicted, expected = np.random.default_rng(draw).integers(0, 2, (2, n))
    whole = glue(metric)(predicted, expected)
    if not np.isfinite(whole):
        assert jackknife.values(metric, predicted, expected) is None
        return
    score, values = jackknife.values(metric, predicted, expected)
    plain = pseudo_values(glue(metric), predicted, expected)
    assert score == pytest.approx(whole)
    assert values == pytest.approx(plain - plain.mean() + whole)


@given(st.sampled_from(["pearson", "spearmanr"]), st.sampled_from([12, 40, GROUPS + 37, 300]), st.integers(0, 99))
def test_values_of_numbers_are_those_of_leaving_out_each_group(metric, n, draw):
    rng = np.random.default_rng(draw)
    # Labels with many ties, as similarities from 0 to 5 in steps of a half have them.
    expected = rng.integers(0, 11, n) / 2
    predicted = expected + rng.normal(0, 2, n)
    score, values = jackknife.values(metric, predicted, expected)
    plain = group_values(glue(metric), predicted, expected)
    assert score == pytest.approx(glue(metric)(predicted, expected))
    assert values == pytest.approx(plain - plain.mean() + score)


def test_ranks_without_some_numbers_are_those_of_scipy():
    numbers = np.random.default_rng(0).integers(0, 6, 30).astype(float)
    weights = np.random.default_rng(1).integers(0, 2, (7, 30))
    for row, ranks in zip(weights, jackknife._ranks(numbers, weights.astype(float)), strict=True):
        assert ranks[row == 1] == pytest.approx(scipy.stats.rankdata(numbers[row == 1]))


@pytest.mark.parametrize("n", [jackknife.MOST, jackknife.MOST + 1, 5463, 40_430])
def test_many_examples_are_grouped_without_a_change_of_mean_and_error(n):
    numbers = np.random.default_rng(n).normal(0.7, 0.4, n)
    groups = jackknife.grouped(numbers)
    assert jackknife.MOST / 2 - 1 <= len(groups) <= jackknife.MOST
    assert groups.mean() == pytest.approx(numbers.mean())
    errors = [values.std(ddof=1) / np.sqrt(len(values)) for values in (numbers, groups)]
    assert errors[1] == pytest.approx(errors[0], rel=0.08)


@pytest.mark.parametrize(
    ("metric", "predictions", "labels"),
    [("rouge", [0, 1], [0, 1]), ("f1", [0, 2, 1], [1, 2, 0]), ("f1", [0, 0], [0, 1]), ("pearson", [1, 1], [0, 1])],
)
def test_what_has_no_values(metric, predictions, labels):
    assert jackknife.values(metric, predictions, labels) is None


def test_every_metric_of_glue_has_values():
    keys = {key for keys in GLUE_KEYS.values() for key in keys}
    assert keys == jackknife.KNOWN
