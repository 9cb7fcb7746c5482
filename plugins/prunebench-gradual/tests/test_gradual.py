"""The installed plugin: its entry point, its runs, and its sparsities against the equation of the paper."""

from __future__ import annotations

import pytest

from prunebench.hooks.registry import Registry
from prunebench.pruning import masks
from prunebench.training import callbacks


@pytest.fixture(scope="module")
def run(run_methods):
    """A function that runs strategies and returns the cells, each with its record."""

    def run_all(strategies, sparsities):
        results = run_methods(strategies, sparsities)
        return [(cell, results.store.record(cell.key)) for cell in results.run.plan.cells]

    return run_all


def test_the_entry_point_provides_the_strategy():
    entry = Registry().entry("strategies", "gradual")
    assert (entry.plugin.distribution, entry.plugin.origin) == (
        "prunebench-gradual",
        "entry point prunebench_gradual",
    )


def test_counts_are_exact_and_a_cell_costs_one_training(run):
    for cell, record in run("gradual", "0.3,0.5,0.83"):
        units = 2 * (4 * 16 * 16 + 2 * 16 * 32)
        assert record.sparsity.units == units
        assert record.sparsity.pruned == masks.pruned_count(cell.sparsity, units)
        assert record.sparsity.encoder_after == record.sparsity.pruned / units
        assert len(cell.trainings) == 1
        assert record.steps == 25


def test_the_sparsity_follows_the_cubic_of_the_paper(run, monkeypatch):
    """s_t = s_f + (s_i − s_f)(1 − (t − t₀)/(nΔt))³ for 20 updates over 70 % of 25 steps."""
    pruned = {}
    real = callbacks.Ramp.__init__

    def spy(ramp, masks_):
        def counted(step, make):
            def wrapper():
                mask = make()
                pruned[step] = sum(int((~keep).sum()) for keep in mask.values())
                return mask

            return wrapper

        real(ramp, {step: counted(step, make) for step, make in masks_.items()})

    monkeypatch.setattr(callbacks.Ramp, "__init__", spy)
    run("gradual", "0.8")
    sparsities = {max(1, round(0.7 * (n + 1) / 20 * 25)): 0.8 - 0.8 * (1 - (n + 1) / 20) ** 3 for n in range(20)}
    assert pruned == {step: masks.pruned_count(sparsity, 4096) for step, sparsity in sparsities.items()}


def test_a_control_has_the_same_final_counts(run):
    cells = run("gradual,random-pruning[of=gradual]", "0.5")
    own, control = (record.sparsity for cell, record in cells if not cell.is_dense)
    counts = ("units", "pruned", "realised", "encoder_after")
    assert [getattr(own, name) for name in counts] == [getattr(control, name) for name in counts]
    # The ramp starts dense, and its control with the final mask.
    assert (own.encoder_before, control.encoder_before) == (0.0, 0.5)


def test_bad_options_are_errors():
    from prunebench import PrunebenchError
    from prunebench.planning.methods import Method

    with pytest.raises(PrunebenchError, match="begin < end"):
        Method("gradual[begin=0.9]", Registry()).steps(0.5)
