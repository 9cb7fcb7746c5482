"""The share retained and its error, and the probabilities of a difference: by hand, by scipy, and by simulation."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from prunebench.results.statistics.bayes import Probabilities, probabilities
from prunebench.results.statistics.crossed import Estimate
from prunebench.results.statistics.examples import ExampleValues
from prunebench.results.statistics.ratio import retained, retained_by_example, retained_by_seed


def test_by_hand():
    """0.25 / 0.35; the residuals 0.7 − r·0.8 and 0.8 − r·0.9 differ by 0.1·(1 − r), so their std is that over √2."""
    share = retained({0: 0.7, 1: 0.8, 5: 0.1}, {0: 0.8, 1: 0.9, 6: 0.2}, majority=0.5)
    ratio = 0.25 / 0.35
    assert share.mean == pytest.approx(ratio)
    assert share.error == pytest.approx(0.1 * (1 - ratio) / math.sqrt(2) / math.sqrt(2) / 0.35)
    assert share.degrees == 1


def test_the_seeds_of_the_documentation():
    """71 % + (0.2 − 71 %·0.3) / 0.35 = 67 %, and 71 % + (0.3 − 71 %·0.4) / 0.35 = 76 %."""
    seeds = retained_by_seed({5: 0.1, 1: 0.8, 0: 0.7}, {0: 0.8, 1: 0.9, 6: 0.2}, majority=0.5)
    assert list(seeds) == [0, 1]
    assert seeds == pytest.approx({0: 0.673, 1: 0.755}, abs=5e-4)


def test_without_chance_it_is_the_plain_ratio_of_means():
    assert retained({0: 0.3, 1: 0.6}, {0: 0.5, 1: 1.0}).mean == pytest.approx(0.6)


def test_nothing_can_be_retained_of_a_dense_model_at_the_majority_class():
    assert retained({0: 0.6, 1: 0.6}, {0: 0.54, 1: 0.56}, majority=0.55) is None
    assert retained_by_seed({0: 0.6}, {0: 0.55}, majority=0.55) == {}
    assert retained_by_seed({0: 0.6}, {1: 0.9}) == {}


def test_one_seed_has_a_share_and_no_error():
    assert retained_by_seed({0: 0.6}, {0: 0.8}) == {0: pytest.approx(0.75)}
    assert retained({0: 0.6}, {0: 0.8}) is None


def test_the_error_is_that_of_simulated_ratios():
    rng = np.random.default_rng(0)
    pairs = rng.multivariate_normal([0.8, 0.9], np.array([[4, 2], [2, 3]]) * 1e-4, (4000, 8))
    shares = [retained(dict(enumerate(m)), dict(enumerate(d)), 0.5) for m, d in pairs.transpose(0, 2, 1)]
    assert np.std([share.mean for share in shares]) == pytest.approx(
        np.sqrt(np.mean([share.error**2 for share in shares])), rel=0.05
    )


def test_values_of_examples_have_the_share_as_their_mean_and_the_seeds_as_their_parts():
    """A seed's mean over examples is its value in `retained_by_seed`, and the error is that of simulated shares."""
    rng = np.random.default_rng(0)
    shares, errors = [], []
    for _ in range(300):
        texts = rng.normal(0, 1, 200)
        method, dense = (
            (texts + rng.normal(0, 0.1, (4, 1)) + rng.normal(0, 1, (4, 200)) < 1).astype(float) for _ in range(2)
        )
        majority = (rng.random(200) < 0.5).astype(float)
        own, reference = (ExampleValues(dict(enumerate(table)), (("dev", 200),)) for table in (method, dense))
        values = retained_by_example(own, reference, majority, range(4))
        by_seed = retained_by_seed(
            dict(enumerate(method.mean(axis=1))), dict(enumerate(dense.mean(axis=1))), majority.mean()
        )
        assert {seed: row.mean() for seed, row in values.by_seed.items()} == pytest.approx(by_seed)
        estimate = values.estimate(range(4))
        shares.append(estimate.mean)
        errors.append(estimate.error)
    assert np.std(shares) == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=0.15)


def test_nothing_is_retained_of_examples_at_the_majority_class():
    values = ExampleValues({0: np.array([1.0, 0.0]), 1: np.array([0.0, 1.0])}, (("dev", 2),))
    assert retained_by_example(values, values, 0.5, [0, 1]) is None
    assert retained_by_example(values, values, 0.0, [0, 2]) is None


@given(st.floats(-1, 1), st.floats(0.01, 1), st.integers(1, 30), st.floats(0, 0.5))
def test_probabilities_are_areas_of_the_t_distribution(mean, error, degrees, rope):
    posterior = scipy.stats.t(degrees, mean, error)
    answer = probabilities(Estimate(mean, error, degrees), rope)
    assert answer.worse == pytest.approx(posterior.cdf(-rope), abs=1e-9)
    assert answer.better == pytest.approx(posterior.sf(rope), abs=1e-9)
    assert answer.worse + answer.same + answer.better == pytest.approx(1)


def test_a_difference_without_error():
    assert probabilities(Estimate(0.02, 0.0, 2), 0.01) == Probabilities(0, 0, 1)
    assert probabilities(Estimate(0.01, 0.0, 2), 0.01) == Probabilities(0, 1, 0)
