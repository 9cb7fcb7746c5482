"""Moderated variances: their prior from many draws, and the two ends of it."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from prunebench.results.statistics.moderation import _inverse_trigamma, moderate


@given(st.floats(1e-4, 1e4))
def test_the_inverse_of_trigamma_is_the_root_that_scipy_finds(value):
    root = scipy.optimize.brentq(lambda x: scipy.special.polygamma(1, x) - value, 1e-5, 1e6, xtol=1e-12, rtol=1e-12)
    assert _inverse_trigamma(value) == pytest.approx(root, rel=1e-6)


@pytest.mark.parametrize(("prior", "scale", "degrees"), [(4, 2.0, 2), (10, 0.5, 4), (3, 7.0, 9)])
def test_the_prior_is_found_from_many_variances(prior, scale, degrees):
    rng = np.random.default_rng(0)
    truth = scale * prior / rng.chisquare(prior, 20_000)
    observed = truth * rng.chisquare(degrees, 20_000) / degrees
    moderated, freedom = moderate(observed, degrees, 1e9)
    assert freedom == pytest.approx(prior + degrees, rel=0.1)
    assert moderated == pytest.approx((prior * scale + degrees * observed) / (prior + degrees), rel=0.1)
    # The mean of each truth, given what was observed, has two degrees of freedom less below it.
    errors = [np.abs(np.log(each / truth)).mean() for each in (moderated, observed, np.full(20_000, observed.mean()))]
    assert errors[0] == min(errors)


def test_variances_that_scatter_by_chance_alone_become_their_mean():
    observed = np.array([1.0, 1.2, 0.8, 1.1])
    moderated, freedom = moderate(observed, 2, 6)
    assert moderated == pytest.approx(np.full(4, 1.025))
    assert freedom == pytest.approx(np.full(4, 6.0))


def test_one_large_variance_does_not_hide_the_small_ones():
    observed = np.array([1.0, 1.0, 1.0, 1.0, 1e6])
    moderated, freedom = moderate(observed, 9, 36)
    assert moderated[:4].max() < observed.mean() / 1000
    assert moderated[4] == pytest.approx(1e6, rel=0.1)
    assert freedom == pytest.approx(np.full(5, 9.0), abs=0.5)


@pytest.mark.parametrize("observed", [[2.0], [0.0, 0.0], []])
def test_nothing_to_share(observed):
    moderated, freedom = moderate(np.array(observed), 2, 8)
    assert moderated.tolist() == observed
    assert freedom.tolist() == [2.0] * len(observed)
