"""Which methods can be told apart, by hand and against scipy."""

from __future__ import annotations

import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from prunebench.reports.leaderboard.significance import as_good_as_best, tied_ranks


def seeds(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_tied_ranks_by_hand() -> None:
    # A − B: 0.01, 0.02, −0.01: p = 0.53. A − C and B − C are about 0.2 each time.
    values = {"a": seeds(0.61, 0.62, 0.60), "b": seeds(0.60, 0.60, 0.61), "c": seeds(0.40, 0.41, 0.402)}
    assert scipy.stats.ttest_rel([0.61, 0.62, 0.60], [0.60, 0.60, 0.61]).pvalue > 0.5
    assert tied_ranks(values) == {"a": 1, "b": 1, "c": 3}
    assert as_good_as_best(values) == {"a", "b"}


def test_holm_is_over_the_whole_family() -> None:
    """p = 0.03 is significant for a single pair, but not as the smallest of three pairs."""
    a, b = seeds(0.50, 0.52, 0.54, 0.50), seeds(0.49, 0.50, 0.51, 0.485)
    p = scipy.stats.ttest_rel(list(a.values()), list(b.values())).pvalue
    assert 0.05 / 3 < p < 0.05
    assert tied_ranks({"a": a, "b": b}) == {"a": 1, "b": 2}
    assert tied_ranks({"a": a, "b": b, "c": b}) == {"a": 1, "b": 1, "c": 1}


def test_fewer_than_three_common_seeds_tie_all_methods() -> None:
    values = {"a": seeds(0.9, 0.91), "b": seeds(0.1, 0.12)}
    assert tied_ranks(values) == {"a": 1, "b": 1}
    assert as_good_as_best(values) == set()


def test_a_difference_that_is_the_same_for_every_seed_is_significant() -> None:
    assert tied_ranks({"a": seeds(0.6, 0.7, 0.8), "b": seeds(0.5, 0.6, 0.7)}) == {"a": 1, "b": 2}
    assert tied_ranks({"a": seeds(0.6, 0.7, 0.8), "b": seeds(0.6, 0.7, 0.8)}) == {"a": 1, "b": 1}


scores = st.lists(st.integers(0, 20).map(lambda hit: hit / 20), min_size=4, max_size=4).map(
    lambda values: seeds(*values)
)


@given(st.dictionaries(st.sampled_from("abcde"), scores, min_size=2))
def test_tied_ranks_against_scipy(values: dict[str, dict[int, float]]) -> None:
    """1 + the number of better methods, by scipy's paired t test and Holm's steps written out."""
    names = sorted(values)
    tests = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            differences = [round(values[a][seed] - values[b][seed], 9) for seed in range(4)]
            if min(differences) == max(differences):
                p = 0.0 if differences[0] else 1.0
            else:
                p = float(scipy.stats.ttest_1samp(differences, 0).pvalue)
            tests.append((p, a, b, sum(differences)))
    better = dict.fromkeys(names, 0)
    for step, (p, a, b, total) in enumerate(sorted(tests)):
        if p * (len(tests) - step) >= 0.05:
            break
        better[b if total > 0 else a] += 1
    assert tied_ranks(values) == {name: 1 + better[name] for name in names}
