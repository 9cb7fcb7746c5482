"""The share retained and its error: by hand, and against simulation."""

import math

import numpy as np
import pytest

from prunebench.results.statistics.ratio import retained, retained_by_seed


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
