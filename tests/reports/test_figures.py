"""Figures for papers against computations by hand, their files, and `prunebench figures`."""

from __future__ import annotations

import random
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import invoke
from lab import Lab, golden_lab, method_lab

from prunebench import PrunebenchError
from prunebench.reports.figures import pictures, ranks, scores, write
from prunebench.reports.figures.style import Style, settings
from prunebench.reports.leaderboard import build
from prunebench.reports.leaderboard.report import Page
from prunebench.reports.leaderboard.retention import Retention, retention_points, sections_with_tasks


@pytest.fixture(scope="module")
def page() -> Page:
    return build(golden_lab().rows())


def section_and_track(page: Page, name: str) -> Any:
    (section,) = [section for section in page.sections if section.name == name]
    return section, section.tracks[0]


def test_every_task_and_track_has_its_pictures(page: Page) -> None:
    assert set(pictures(page)) == {
        f"{kind}-{name}-{track}"
        for track in ("unstructured", "structured")
        for kind, names in {
            "score": ("average", "rte", "mrpc-accuracy", "mrpc-F1"),
            "seeds": ("average", "rte", "mrpc-accuracy", "mrpc-F1"),
            "retained": ("average", "rte", "mrpc"),
        }.items()
        for name in names
    }


def test_means_bands_and_reference_lines(page: Page) -> None:
    section, track = section_and_track(page, "rte")
    picture = scores.against_sparsity(section, track, 0, Style.of(page))
    (axes,) = picture.axes
    names = [text.get_text() for text in picture.legends[0].get_texts()]
    lines = dict(zip(names, axes.get_lines(), strict=True))
    # 61, 62, 66 and 57, 58, 59.
    assert list(lines["imp"].get_xdata()) == [0.3, 0.5]
    assert list(lines["imp"].get_ydata()) == pytest.approx([63, 58])
    assert list(lines["dense"].get_ydata()) == pytest.approx([62, 62])
    assert list(lines["majority class"].get_ydata()) == pytest.approx([55, 55])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (min(band), max(band)) == (pytest.approx(57), pytest.approx(63 + 7**0.5))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("sparsity", "accuracy × 100")


def test_every_seed_is_a_point(page: Page) -> None:
    section, track = section_and_track(page, "rte")
    first, second = scores.seeds(section, track, 0, Style.of(page)).axes[:2]
    points = [list(line.get_xdata()) for line in first.get_lines() if len(line.get_xdata()) == 3]
    assert points == [pytest.approx([60, 62, 64]), pytest.approx([61, 62, 66]), pytest.approx([55, 53, 57])]
    assert (first.get_title(), second.get_title()) == ("sparsity 0.3", "sparsity 0.5")
    assert [text.get_text() for text in first.get_yticklabels()] == ["dense", "imp", "random-pruning"]


def test_a_task_that_is_only_planned_has_empty_axes_and_no_legend(tmp_path: Path) -> None:
    lab = method_lab("imp")
    for seed in range(3):
        lab.plan("wnli", "dense", 0.0, seed)
        lab.plan("wnli", "imp", 0.5, seed)
    page = build(lab.rows())
    section, track = section_and_track(page, "wnli")
    picture = scores.against_sparsity(section, track, 0, Style.of(page))
    (axes,) = picture.axes
    assert not axes.get_lines() and not picture.legends
    assert "score-wnli-unstructured.svg" in {path.name for path in write(page, tmp_path, ["svg"])}


def test_score_retained_against_parameters_left(page: Page) -> None:
    by_section = {section.name: retention_points(section, group) for section, group in sections_with_tasks(page)}
    points = [point for point in by_section["rte"] if point.track == "unstructured"]
    (axes,) = scores.retained(points, Style.of(page)).axes
    imp = axes.containers[0].lines[0]
    # 1,300 and 1,100 of 1,600 parameters; 58 of 62 at sparsity 0.5, 55 of which is chance.
    assert list(imp.get_xdata()) == pytest.approx([81.25, 68.75])
    assert imp.get_ydata()[1] == pytest.approx(100 * 3 / 7)
    assert axes.xaxis_inverted()


def test_seconds_of_two_machines_are_not_compared() -> None:
    lab = Lab()
    for seed in range(2):
        lab.done("rte", "dense", 0.0, seed, 0.9)
        lab.done("rte", "imp", 0.5, seed, 0.8)

    def points() -> list[Retention]:
        for record in lab.records.values():
            record["seconds"] = {"load": 0.0, "train": 2.0, "prune": 0.0, "evaluate": 0.5}
        return retention_points(*sections_with_tasks(build(lab.rows()))[0])

    assert all(point.seconds for point in points())
    # The trainings that lead to a mask count, too.
    lab.records[lab.cells[-1]["trainings"][1]]["environment"] = {"hardware": "A GPU"}
    assert {point.seconds for point in points()} == {None}
    assert all(point.steps for point in points())


def six_tasks() -> Lab:
    """Three methods in the same order on six tasks."""
    lab = Lab()
    for name in ("rte", "sst2", "qnli", "a", "b", "c"):
        for seed in range(3):
            lab.done(name, "dense", 0.0, seed, 0.9)
            for i, label in enumerate(("imp", "magnitude", "random-pruning")):
                lab.done(name, label, 0.5, seed, 0.8 - i / 10 + seed / 1000)
    return lab


def test_a_critical_difference_diagram() -> None:
    page = build(six_tasks().rows())
    (name,) = [name for name in pictures(page) if name.startswith("ranks")]
    assert name == "ranks-unstructured-0.5"
    (axes,) = ranks.critical_difference(page.rankings[0].standings[0].across).axes
    texts = [text.get_text() for text in axes.texts]
    # CD = 2.343·√(3·4/36); ranks 1 to 3 in every task.
    assert texts == ["1", "2", "3", "CD = 1.35", "imp (1.00)", "magnitude (2.00)", "random-pruning (3.00)"]
    bars = [sorted(line.get_xdata()) for line in axes.get_lines() if line.get_linewidth() == 3]
    assert bars == [pytest.approx([0.96, 2.04]), pytest.approx([1.96, 3.04])]
    # The best is at the right.
    assert axes.get_xlim()[0] > axes.get_xlim()[1]


def test_two_tasks_have_no_critical_difference(page: Page) -> None:
    assert not [name for name in pictures(page) if name.startswith("ranks")]


@pytest.mark.parametrize(
    ("kind", "make", "files"),
    [("svg", golden_lab, 22), ("pdf", lambda: method_lab("imp"), 3), ("png", lambda: method_lab("imp"), 3)],
    ids=["svg", "pdf", "png"],
)
def test_files_do_not_depend_on_the_order_of_results(
    kind: str, make: Callable[[], Lab], files: int, tmp_path: Path
) -> None:
    lab, other = make(), make()
    random.Random(1).shuffle(other.cells)
    other.records = dict(reversed(other.records.items()))
    first = write(build(lab.rows()), tmp_path / "one", [kind])
    second = write(build(other.rows()), tmp_path / "two", [kind])
    assert len(first) == files
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    head = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[kind]
    assert all(path.read_bytes().startswith(head) and b"CreationDate" not in path.read_bytes() for path in first)


def test_names_are_not_taken_for_formulas_or_markup(tmp_path: Path) -> None:
    lab = method_lab("imp")
    names = ["$x^2$ and $y", "</svg><script>alert(1)</script>", "a--b-->c", "中文\n\x1b[31m", "_private", "x" * 200]
    for name in names:
        for seed in range(3):
            lab.done("rte", name, 0.3, seed, 0.5 + seed / 100)
    for path in write(build(lab.rows()), tmp_path, ["svg"]):
        root = ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    page = build(lab.rows())
    section, track = section_and_track(page, "rte")
    with settings():
        picture = scores.against_sparsity(section, track, 0, Style.of(page))
    shown = {text.get_text() for text in picture.legends[0].get_texts()}
    assert {"$x^2$ and $y", "_private", "x" * 33 + "…", "中文 [31m"} <= shown


def test_tasks_with_similar_names_have_different_files() -> None:
    lab = Lab()
    for name in ("a b", "a-b", "a/b", "../x"):
        lab.done(name, "imp", 0.5, 0, 0.5, benchmark="")
    names = [name for name in pictures(build(lab.rows())) if name.startswith("score")]
    assert names == ["score-x-unstructured", *(f"score-a-b-unstructured{more}" for more in ("", "-2", "-3"))]


def test_drawing_needs_no_window_and_no_torch() -> None:
    code = (
        "import sys, tempfile; sys.path.insert(0, sys.argv[1])\n"
        "from lab import method_lab\nfrom pathlib import Path\n"
        "from prunebench.reports.figures import write\nfrom prunebench.reports.leaderboard import build\n"
        "with tempfile.TemporaryDirectory() as folder: write(build(method_lab('imp').rows()), Path(folder), ['png'])\n"
        "print({'matplotlib.pyplot', 'torch', 'tkinter'} & set(sys.modules))"
    )
    arguments = [sys.executable, "-c", code, str(Path(__file__).parents[1])]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    from prunebench.store.store import Store

    lab, store = golden_lab(), Store.create(tmp_path / "store")
    lab.write(store)
    return store.backend.folder


def run(*arguments: str | Path) -> Any:
    """`prunebench figures` with these arguments."""
    from prunebench.cli.figures import figures

    return invoke(figures, [str(argument) for argument in arguments])


def test_the_command_writes_the_chosen_figures(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures"
    result = run("--store", store, "--out", out, "--format", "svg,png", "--tasks", "rte", "--strategies", "imp")
    assert result.exception is None
    names = {f"{kind}-rte-unstructured.{end}" for kind in ("score", "seeds", "retained") for end in ("svg", "png")}
    assert {path.name for path in out.iterdir()} == names
    assert result.output.splitlines()[-1] == f"Written: 6 files in {out}, score-rte-unstructured.svg and others"


def test_the_command_warns_of_mixed_settings(tmp_path: Path) -> None:
    """And of everything else that a page of these results warns of."""
    from prunebench.store.store import Store

    lab, store = Lab(), Store.create(tmp_path / "store")
    for label, sparsity in (("dense", 0.0), ("imp", 0.5)):
        lab.done("rte", label, sparsity, 0, 0.6)
    key = {"key": "other", "trainings": ["other"]}
    lab.done("rte", "imp", 0.5, 0, 0.5, setting={"precision": "bf16"}, environment={"torch": "3"}, **key)
    lab.write(store)
    arguments = ("--store", store.backend.folder, "--out", tmp_path / "figures", "--format", "svg")
    assert "pass --allow-mixed" in str(run(*arguments).exception)
    mixed = run(*arguments, "--allow-mixed")
    assert mixed.exception is None
    assert mixed.stderr.splitlines() == [
        "warning: Mixed: 2 precisions for rte: 'bf16', 'fp32'.",
        "warning: The results of rte were made with 2 kinds of torch: 2.13.0+cpu; 3.",
    ]
    assert "imp {precision=bf16}" in (tmp_path / "figures" / "score-rte-unstructured.svg").read_text()


def test_the_command_refuses_an_unknown_format(store: Path, tmp_path: Path) -> None:
    error = run("--store", store, "--out", tmp_path / "figures", "--format", "gif").exception
    assert isinstance(error, PrunebenchError) and "unknown format 'gif'" in str(error)
    assert run("--store", store).exit_code == 2
    assert not (tmp_path / "figures").exists()
