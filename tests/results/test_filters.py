"""What may be compared, and how a mixture is told apart where it is asked for. More stands in test_leaderboard."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from commands import invoke
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab

from prunebench import PrunebenchError
from prunebench.cli.leaderboard import leaderboard
from prunebench.reports.leaderboard import build, summarise_rows
from prunebench.reports.leaderboard.page import blocks
from prunebench.reports.render.blocks import Caution
from prunebench.results.filters import allow_mixed, one_setting
from prunebench.results.rows import Row
from prunebench.store.store import Store


def add(lab: Lab, label: str, sparsity: float, seed: int, value: float, task: str = "rte", **setting: str) -> None:
    name = f"{task} {label} {sparsity} {seed} {setting}"
    lab.done(task, label, sparsity, seed, value, value, setting=setting, key=name, trainings=[name])


def two_precisions() -> Lab:
    """Dense and IMP with two seeds in fp32, both and heads with one in bf16."""
    lab = Lab()
    for seed in (0, 1):
        add(lab, "dense", 0.0, seed, 0.60)
        add(lab, "imp", 0.5, seed, 0.61)
    add(lab, "dense", 0.0, 0, 0.70, precision="bf16")
    add(lab, "imp", 0.5, 0, 0.55, precision="bf16")
    add(lab, "heads", 0.5, 0, 0.71, precision="bf16")
    return lab


def test_a_mixture_is_told_apart_by_name_and_keeps_its_own_dense_runs() -> None:
    rows, said = allow_mixed(two_precisions().rows())
    assert said == ("Mixed: 2 precisions for rte: 'bf16', 'fp32'.",)
    found = {(row.cell.label, row.cell.seed): (row.value, row.dense, row.cell.is_dense) for row in rows}
    assert found == {
        ("dense", 0): (0.60, 0.60, True),
        ("dense", 1): (0.60, 0.60, True),
        ("imp", 0): (0.61, 0.60, False),
        ("imp", 1): (0.61, 0.60, False),
        ("dense {precision=bf16}", 0): (0.70, 0.70, False),
        ("imp {precision=bf16}", 0): (0.55, 0.70, False),
        ("heads {precision=bf16}", 0): (0.71, 0.70, False),
    }


def test_the_page_of_a_mixture_says_so_and_loses_nothing() -> None:
    rows = two_precisions().rows()
    with pytest.raises(PrunebenchError, match="2 precisions for rte"):
        build(rows)
    page = build(rows, mixed=True)
    warning = "Mixed: 2 precisions for rte: 'bf16', 'fp32'."
    assert warning in page.warnings and Caution(warning) in list(blocks(page))
    assert dict(page.setting)["precision"] == "bf16; fp32"
    (section,) = page.sections
    assert section.dense.scores[0].values == {0: 0.60, 1: 0.60}
    lines = {
        (line.label, entry.sparsity): line.scores[0]
        for track in section.tracks
        for entry in track.levels
        for line in entry.lines
    }
    assert set(lines) == {
        ("imp", 0.5),
        ("imp {precision=bf16}", 0.5),
        ("heads {precision=bf16}", 0.5),
        ("dense {precision=bf16}", 0.0),
    }
    difference = lines["imp {precision=bf16}", 0.5].difference
    assert difference is not None and difference.mean == pytest.approx(-0.15)


def test_the_command_refuses_a_mixture_or_says_it(tmp_path: Path) -> None:
    lab, place = two_precisions(), Store.create(tmp_path / "store")
    lab.write(place)
    arguments = ["--store", str(tmp_path / "store")]
    refused = invoke(leaderboard, arguments).exception
    assert isinstance(refused, PrunebenchError) and "choose with --precision, or pass --allow-mixed" in str(refused)
    shown = invoke(leaderboard, [*arguments, "--allow-mixed"]).output
    assert "warning: Mixed: 2 precisions for rte: 'bf16', 'fp32'." in shown
    assert "imp {precision=bf16}" in shown


def test_what_is_not_mixed_is_left_as_it_is() -> None:
    lab = Lab()
    add(lab, "imp", 0.5, 0, 0.5)
    add(lab, "imp", 0.5, 0, 0.5, task="mrpc", data="another")
    assert allow_mixed(lab.rows()) == (lab.rows(), ())
    assert build(lab.rows(), mixed=True) == build(lab.rows())


def test_every_field_that_differs_has_its_sentence() -> None:
    lab = two_precisions()
    add(lab, "imp", 0.5, 0, 0.5, device="cuda", precision="bf16")
    add(lab, "imp", 0.5, 0, 0.5, task="wnli", model="big", model_fingerprint="beef")
    rows, said = allow_mixed(lab.rows())
    assert said == (
        "Mixed: 2 models: 'big', 'tiny/bert'.",
        "Mixed: 2 precisions for rte: 'bf16', 'fp32'.",
        "Mixed: 2 devices for rte: 'cpu', 'cuda'.",
    )
    labels = {row.cell.label for row in rows}
    # Of the tasks each has its own usual setting: between them there is only the sentence.
    assert {"imp", "imp {precision=bf16}", "imp {precision=bf16,device=cuda}"} <= labels
    assert not any("big" in label for label in labels)


@pytest.mark.parametrize(
    ("codes", "stand_together"),
    [
        (("engine 4", "engine 4, mine of mine.py 65debd2f, errors of mine.py 65debd2f"), True),
        (("engine 4, a of a.py 65debd2f", "engine 4, b of b.py 0123abcd"), True),
        (("engine 3", "engine 4"), False),
        (("engine 3", "engine 4, mine of mine.py 65debd2f"), False),
        (("engine 4, fam of fam.py 65debd2f, a of a.py 1", "engine 4, fam of fam.py 0123abcd"), False),
    ],
)
def test_tasks_of_several_plugins_stand_on_one_page(codes: tuple[str, str], stand_together: bool) -> None:
    lab = Lab()
    for task, code in zip(("rte", "mine"), codes, strict=True):
        add(lab, "imp", 0.5, 0, 0.5, task=task, code=code)
    if stand_together:
        assert one_setting(lab.rows()) == lab.rows()
    else:
        with pytest.raises(PrunebenchError, match="2 versions of the code"):
            one_setting(lab.rows())
    for code in codes:
        add(lab, "imp", 0.5, 1, 0.5, code=code)
    with pytest.raises(PrunebenchError, match="2 versions of the code for rte"):
        one_setting(lab.rows())


def test_one_field_of_several_tasks_is_one_sentence() -> None:
    lab = Lab()
    for task in ("rte", "mrpc", "wnli"):
        add(lab, "imp", 0.5, 0, 0.5, task=task)
        if task != "wnli":
            add(lab, "imp", 0.5, 0, 0.5, task=task, precision="bf16")
    with pytest.raises(PrunebenchError) as error:
        one_setting(lab.rows())
    assert error.value.message == "the store holds results under 2 precisions for mrpc, rte: 'bf16', 'fp32'"


@given(st.randoms(use_true_random=False))
def test_names_do_not_depend_on_order(rng: random.Random) -> None:
    rows: list[Row] = two_precisions().rows()
    expected, said = allow_mixed(rows)
    rng.shuffle(rows)
    found, again = allow_mixed(rows)

    def key(row: Row) -> Any:
        return row.cell.label, row.cell.seed

    assert (sorted(found, key=key), again) == (sorted(expected, key=key), said)


def test_scores_of_two_machines_are_a_warning() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    assert "warning" not in summarise_rows(lab.rows())
    lab.done("rte", "imp", 0.5, 1, 0.5, environment={"hardware": "A GPU"})
    said = "2 kinds of hardware: A GPU; Some CPU, 2 cores"
    assert f"warning: The results of rte were made with {said}." in summarise_rows(lab.rows())


@pytest.mark.parametrize("other", [{"model": "other/bert", "model_fingerprint": "beef"}, {"precision": "bf16"}])
def test_what_was_only_planned_with_another_model_blocks_nothing(other: dict[str, str]) -> None:
    lab = Lab()
    add(lab, "dense", 0.0, 0, 0.6)
    lab.plan("mrpc", "dense", 0.0, 0, setting=other)
    assert {row.cell.task for row in one_setting(lab.rows())} == {"rte"}


def test_a_task_without_results_of_the_same_run_is_shown_as_missing() -> None:
    lab = Lab()
    add(lab, "dense", 0.0, 0, 0.6)
    lab.plan("mrpc", "dense", 0.0, 0)
    lab.plan("mnli", "dense", 0.0, 0, setting={"protocol": "glue-1"})
    assert {row.cell.task for row in one_setting(lab.rows())} == {"rte", "mrpc"}
