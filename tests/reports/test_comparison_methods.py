"""Which methods, units and settings may be compared."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab
from reports.comparison_lab import at, compare_lab, page, report

from prunebench import PrunebenchError


def test_each_method_is_compared_with_the_reference_and_dense_runs_count_at_every_sparsity() -> None:
    result = report(None, "imp", "magnitude", reference="dense")
    pairs = list(dict.fromkeys((entry.a, entry.b) for entry in result.over_seeds))
    assert pairs == [("imp", "magnitude"), ("imp", "dense"), ("magnitude", "dense")]
    imp = [entry for entry in result.over_seeds if (entry.a, entry.b, entry.condition.task) == ("imp", "dense", "rte")]
    assert [entry.condition.sparsity for entry in imp] == [0.3, 0.5, 0.9]
    assert [entry.mean_b for entry in imp] == [pytest.approx(0.62)] * 3
    assert report(None, "imp", reference="dense").methods == ("imp",)


def test_the_same_trainings_are_not_compared() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.5, seed, 0.5 + seed / 100)
        # IMP at 0 is the dense run, as in a plan.
        lab.cells[-2]["key"] = lab.cells[-3]["key"]
    result = report(lab.rows(), "imp", "dense")
    assert [entry.condition.sparsity for entry in result.over_seeds] == [0.5]
    assert result.notes[0] == "At 0, imp and dense are the same trainings, so there is nothing to compare."


def test_a_strategy_names_its_only_variant() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "imp[rate=0.2]", 0.5, seed, 0.5)
        lab.done("rte", "magnitude", 0.5, seed, 0.4 + seed / 100)
    assert report(lab.rows(), "imp", "magnitude").methods == ("imp[rate=0.2]", "magnitude")
    lab.done("rte", "imp[rate=0.3]", 0.5, 0, 0.5)
    with pytest.raises(PrunebenchError, match=r"'imp' is ambiguous \(expected 'imp\[rate=0.2\]' or 'imp\[rate=0.3\]'"):
        report(lab.rows(), "imp", "magnitude")


@pytest.mark.parametrize(
    ("methods", "options", "message"),
    [
        (("imp", "magnitud"), {}, r"these results have no .magnitud. \(did you mean 'magnitude'"),
        (("imp", "imp"), {}, r"cannot compare 'imp', 'imp' \(expected at least two different methods"),
        (("imp",), {}, r"cannot compare 'imp' \(expected at least two different methods"),
        (("imp", "magnitude"), {"reference": "imp"}, "cannot compare 'imp', 'magnitude', 'imp'"),
        (("imp", "heads"), {}, r"sparsities are fractions of different units: heads \(heads\); weights \(imp\)"),
        (("imp", "magnitude"), {"sparsities": [0.4]}, r"no results at sparsity 0.4 \(expected some of 0.3, 0.5, 0.9"),
        (("imp", "heads"), {"mixed": True}, "nothing can be compared: heads at 0.25; imp at 0.3, 0.5, 0.9"),
    ],
)
def test_methods_that_cannot_be_compared(methods: tuple[str, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        report(None, *methods, **options)


def test_different_units_are_compared_with_allow_mixed() -> None:
    lab = compare_lab()
    for seed in range(5):
        lab.done("rte", "heads", 0.5, seed, 0.5 + seed / 100)
    result = report(lab.rows(), "imp", "heads", mixed=True)
    assert result.warnings == ("Mixed: sparsities are fractions of different units: heads (heads); weights (imp).",)


def test_different_settings_are_compared_with_allow_mixed() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "imp", 0.5, seed, 0.5 + seed / 100)
        lab.done("rte", "imp", 0.5, seed, 0.6, setting={"precision": "bf16"}, key=f"b{seed}", trainings=[f"b{seed}"])
    with pytest.raises(PrunebenchError, match="2 precisions for rte"):
        report(lab.rows(), "imp", "imp")
    result = report(lab.rows(), "imp", "imp {precision=fp32}", mixed=True)
    assert result.warnings[0] == "Mixed: 2 precisions for rte: 'bf16', 'fp32'."
    assert at(result, "rte", 0.5).comparison.summary is not None
    assert at(result, "rte", 0.5).comparison.differences == (0.1, 0.09, 0.08)


def test_several_protocols_are_named_with_their_tasks() -> None:
    lab = compare_lab()
    for seed in range(3):
        for label in ("imp", "magnitude"):
            lab.done("wnli", label, 0.5, seed, 0.5 + seed / 100, setting={"protocol": "glue-1"})
    result = report(lab.rows(), "imp", "magnitude", mixed=True)
    assert dict(result.setting)["protocol"] == "glue-1 for wnli; glue-1 with epochs=1 for mrpc, mnli, rte"
    assert "| glue-1 for wnli; glue-1 with epochs=1 for mrpc, mnli, rte |" in page(result)
    assert dict(report().setting)["protocol"] == "glue-1 with epochs=1"


def test_other_methods_in_the_store_do_not_matter() -> None:
    lab = compare_lab()
    lab.done("rte", "heads", 0.5, 0, 0.5, setting={"precision": "bf16"})
    assert report(lab.rows()) == report()
