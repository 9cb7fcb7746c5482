"""Which results may share a page: one setting, or several on request, and what a selection keeps."""

from __future__ import annotations

import pytest
from lab import Lab, golden_lab
from pages import page

from prunebench import PrunebenchError
from prunebench.reports.leaderboard import Selection, build, select, summarise_rows
from prunebench.results.rows import Row


def mixed_rows(**setting: str) -> list[Row]:
    """One cell, once under the usual setting (score 0.5) and once under a changed one (0.6)."""
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    cell = lab.done("rte", "imp", 0.5, 0, 0.6, setting=setting, trainings=["other"], key="other")
    assert cell["key"] == "other"
    return lab.rows()


@pytest.mark.parametrize(
    ("setting", "message", "option"),
    [
        ({"protocol": "glue-1"}, "2 protocols for rte: 'glue-1', 'glue-1 with epochs=1'", "--protocol"),
        ({"precision": "bf16"}, "2 precisions for rte: 'bf16', 'fp32'", "--precision"),
        ({"device": "cuda"}, "2 devices for rte: 'cpu', 'cuda'", "--device"),
        ({"data": "other"}, "2 versions of the data for rte: 'data of rte', 'other'", "--data"),
        ({"model_fingerprint": "beef"}, "2 fingerprints of the model for rte: 'beef', 'f00d'", "--model"),
        ({"model": "big", "model_fingerprint": "beef"}, "2 models for rte: 'big', 'tiny/bert'", "--model"),
        (
            {"device": "cuda", "precision": "bf16"},
            "2 precisions for rte: 'bf16', 'fp32'; 2 devices for rte: 'cpu', 'cuda'",
            "--precision, --device",
        ),
    ],
)
def test_settings_never_mix(setting: dict[str, str], message: str, option: str) -> None:
    with pytest.raises(PrunebenchError) as error:
        build(mixed_rows(**setting))
    assert error.value.message == f"the store holds results under {message}"
    assert error.value.hint == f"one page shows one of them: choose with {option}, or pass --allow-mixed"


def calibrated_rows(*settings: tuple[str, str]) -> list[Row]:
    """A dense cell for each pair of a task and the values of its protocol."""
    lab = Lab()
    for i, (task, values) in enumerate(settings):
        protocol = {"protocol": f"calibrated-1 with {values}"}
        lab.done(task, "dense", 0.0, 0, 0.5, setting=protocol, trainings=[f"dense {i}"], key=f"dense {i}")
    return lab.rows()


def test_calibrated_protocols_differ_between_tasks_and_not_within_one() -> None:
    rows = calibrated_rows(("rte", "epochs=2"), ("wnli", "epochs=4"))
    setting = dict(build(rows).setting)
    assert setting["protocols"] == "rte: calibrated-1 with epochs=2; wnli: calibrated-1 with epochs=4"
    assert build(select(rows, Selection(protocol="calibrated-1"))).sections == build(rows).sections
    with pytest.raises(PrunebenchError, match="2 protocols for rte"):
        build(calibrated_rows(("rte", "epochs=2"), ("rte", "epochs=4")))


def test_a_page_says_which_tasks_a_model_may_have_seen() -> None:
    lab = Lab()
    known = {"model": "all_minilm_l6_v2", "model_fingerprint": "2dfdcbcd51980946"}
    lab.done("mnli", "dense", 0.0, 0, 0.5, setting=known)
    rows = lab.rows()
    seen = "may have seen mnli (MultiNLI), qnli (SQuAD 2.0), qqp (Quora question triplets)"
    assert dict(build(rows).setting)["training of the model"] == seen
    (warning,) = build(rows).warnings
    assert "may have been trained on data of mnli (MultiNLI)." in warning
    other = golden_lab().rows()
    assert "training of the model" not in dict(build(other).setting)


@pytest.mark.parametrize(
    ("setting", "selection"),
    [
        ({"protocol": "glue-1"}, Selection(protocol="glue-1")),
        ({"device": "cuda"}, Selection(device="cuda")),
        ({"model": "dir/big", "model_fingerprint": "beef"}, Selection(model="big")),
        ({"model_fingerprint": "beef"}, Selection(model="beef")),
        ({"model_revision": "v2"}, Selection(model="v2")),
        ({"data": "other"}, Selection(data="other")),
    ],
)
def test_a_selection_of_one_setting_makes_a_page(setting: dict[str, str], selection: Selection) -> None:
    (row,) = build(select(mixed_rows(**setting), selection)).rows
    assert row.value == 0.6


def test_tasks_of_one_benchmark_may_differ_in_data_but_not_in_protocol_or_model() -> None:
    other = Lab()
    other.done("rte", "imp", 0.5, 0, 0.5)
    other.done("mrpc", "imp", 0.5, 0, 0.5, 0.5, setting={"protocol": "glue-1"})
    with pytest.raises(PrunebenchError, match=r"2 protocols for GLUE: 'glue-1', 'glue-1 with epochs=1' \(one page"):
        build(other.rows())
    assert "Mixed: 2 protocols for GLUE" in build(other.rows(), mixed=True).warnings[0]
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.done("mrpc", "imp", 0.5, 0, 0.5, 0.5, setting={"protocol": "glue-1"}, benchmark="")
    assert "| protocols" in page(lab)
    lab.done("wnli", "imp", 0.5, 0, 0.5, setting={"model": "big"})
    with pytest.raises(PrunebenchError, match=r"under 2 models: 'big', 'tiny/bert' \(one page"):
        build(lab.rows())


def test_a_setting_without_results_is_ignored() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.plan("rte", "imp", 0.5, 0, setting={"protocol": "glue-1"})
    assert len(build(lab.rows()).rows) == 1


def test_selection_by_task_and_strategy_keeps_dense() -> None:
    table = golden_lab().rows()
    labels = {row.cell.label for row in select(table, Selection(tasks=("rte",), strategies=("heads",)))}
    assert labels == {"dense", "heads"}
    assert {row.cell.task for row in select(table, Selection(tasks=("rte",)))} == {"rte"}


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(tasks=("rte", "mrcp")), "unknown task 'mrcp' (did you mean 'mrpc'?"),
        (Selection(strategies=("head",)), "unknown strategy 'head' (did you mean 'heads'?"),
        (
            Selection(protocol="glue-1 with epochs=2"),
            "unknown protocol 'glue-1 with epochs=2' (did you mean 'glue-1 with epochs=1'?",
        ),
    ],
)
def test_a_selection_that_matches_nothing_is_an_error_with_the_nearest_name(selection: Selection, message: str) -> None:
    with pytest.raises(PrunebenchError) as error:
        select(golden_lab().rows(), selection)
    assert str(error.value).startswith(message)


def test_different_hardware_is_a_visible_warning() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.done("rte", "imp", 0.5, 1, 0.5, environment={"hardware": "A GPU"})
    text = page(lab)
    kinds = "The results of rte were made with 2 kinds of hardware: A GPU; Some CPU, 2 cores."
    assert f"> **Warning:** {kinds}" in text
    assert f"warning: {kinds}" in summarise_rows(lab.rows())
    assert "Warning" not in page(golden_lab())


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(PrunebenchError, match="there are no results to show"):
        build([])
    lab = Lab()
    key = lab.plan("rte", "imp", 0.5, 0)["key"]
    with pytest.raises(PrunebenchError, match="1 cells are planned and none is done"):
        build(lab.rows())
    lab.failures[key] = {"key": key, "reason": "no memory"}
    with pytest.raises(PrunebenchError, match="the first reason: no memory"):
        build(lab.rows())
    assert "no memory" in summarise_rows(lab.rows())
