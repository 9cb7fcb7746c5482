"""Values of examples over several metrics and evaluations: by hand, and against one long table."""

import numpy as np
import pytest

from prunebench.results.statistics.crossed import crossed
from prunebench.results.statistics.examples import ExampleValues, mean_of_columns


def values(table, name="dev"):
    table = np.asarray(table, dtype=float)
    return ExampleValues(dict(enumerate(table)), ((name, table.shape[1]),))


def test_metrics_of_one_evaluation_are_averaged_example_by_example():
    one, other = np.random.default_rng(0).random((2, 3, 8))
    joint = mean_of_columns([values(one), values(other)])
    assert joint.table([0, 1, 2]) == pytest.approx((one + other) / 2)
    assert joint.blocks == (("dev", 8),)


def test_evaluations_stand_side_by_side_and_count_alike():
    """4 and 400 examples: the mean is that of both means, and the error that of their independent errors."""
    rng = np.random.default_rng(1)
    small, large = rng.normal(0.9, 0.3, (2, 40)), rng.normal(0.2, 0.3, (2, 400))
    joint = mean_of_columns([values(small, "matched"), values(large, "mismatched")])
    for seed in (0, 1):
        assert joint.by_seed[seed].mean() == pytest.approx((small[seed].mean() + large[seed].mean()) / 2)
    by_example = joint.table([0, 1]).mean(axis=0)
    errors = [table.mean(axis=0).std() / np.sqrt(table.shape[1]) for table in (small, large)]
    assert by_example.std() / np.sqrt(440) == pytest.approx(np.hypot(*errors) / 2, rel=0.01)


def test_a_difference_is_that_of_the_same_seeds_and_examples():
    one, other = np.random.default_rng(2).random((2, 3, 8))
    assert values(one).difference(values(other), [0, 2]) == crossed(one[[0, 2]] - other[[0, 2]])
    assert values(one).estimate([0, 1, 2]) == crossed(one)
    assert values(one).estimate([0, 3]) is None
    assert values(one).estimate([]) is None
    assert values(one).difference(values(other, "test"), [0, 2]) is None


def test_a_column_without_values_leaves_none():
    table = np.ones((2, 3))
    assert mean_of_columns([values(table), None]) is None
    assert mean_of_columns([]) is None
    assert mean_of_columns([values(table), values(np.ones((2, 2)))]) is None


def test_the_floor_of_a_difference():
    """Three seeds that differ by the same example: the error of the floor is std/√3."""
    table = np.zeros((3, 2))
    assert crossed(table, 0.3).error == pytest.approx(0.3 / np.sqrt(3))
