"""The fixtures, and the checks as parameters of a test."""

from __future__ import annotations

import pytest

from prunebench import PrunebenchError
from prunebench.pruning.masks import pruned_count
from prunebench.testing import models, strategy_checks
from prunebench.testing.check import PASSED


def test_a_context_is_called_by_hand(context):
    """The same numbers twice, and the unit of the strategy."""
    one, other = context(), context()
    assert all(weight.equal(other.weights[name]) for name, weight in one.weights.items())
    assert one.count(0.5) == sum(weight.numel() for weight in one.weights.values()) // 2
    assert {tuple(keep.shape) for keep in context(unit="head").mask.values()} == {(2,)}
    assert one.generator("x").initial_seed() != context(seed=1).generator("x").initial_seed()


def test_a_run_gives_the_long_table(run):
    frame = run("magnitude", "0.3,0.7").set_index(["label", "sparsity"])
    for level in (0.3, 0.7):
        row = frame.loc["magnitude", level]
        assert (row["units"], row["pruned"]) == (models.WEIGHTS, pruned_count(level, models.WEIGHTS))
        assert row["status"] == "done" and not row["failed_checks"]
    with pytest.raises(PrunebenchError, match="unknown strategy"):
        run("magnitudes", "0.3")


def test_checks_are_parameters_with_names():
    parameters = strategy_checks("magnitude", "heads")
    names = [parameter.id for parameter in parameters]
    assert "magnitude-exact counts" in names and "heads-compacted = masked" in names
    # Nothing leaves the model, and there are no options.
    assert not {"magnitude-compacted = masked", "magnitude-options round-trip"} & set(names)
    (source,) = [parameter.values[0] for parameter in parameters if parameter.id == "heads-source"]
    source()
    assert source.check(source.subject).status == PASSED
