"""The grid of a transfer against computations by hand, its heat map and its files."""

from __future__ import annotations

import csv
import dataclasses
import io
import random
import statistics
import subprocess
import sys

import pytest
from reports.transfer_grid import (
    COMMAND,
    DIFFERENCES,
    GOLDEN,
    SETTING,
    TASKS,
    make_grid,
    make_row,
    make_rows,
    question,
)

from prunebench.reports.leaderboard import parse_delta
from prunebench.reports.render.blocks import Paragraph, Table
from prunebench.reports.transfer import build, terminal, write
from prunebench.reports.transfer.files import to_csv
from prunebench.reports.transfer.page import blocks, header_blocks
from prunebench.reports.transfer.plots import heat_map


@pytest.fixture(scope="module")
def grid():
    return make_grid()


def test_a_field_is_the_mean_and_std_of_paired_differences_of_task_scores(grid):
    targets = {target.name: target for target in grid.targets}
    for (mask, task), by_seed in DIFFERENCES.items():
        factor = 1.5 if task == "mrpc" else 1  # the mean of 1 and 2
        difference = grid.scores[mask, task].difference(targets[task].dense)
        assert difference.mean == pytest.approx(factor * statistics.mean(by_seed))
        assert difference.std == pytest.approx(factor * statistics.stdev(by_seed), abs=1e-12)
    assert targets["mrpc"].dense.summary().mean == pytest.approx(0.81 + 0.01)
    assert targets["mrpc"].columns == ("score", "accuracy", "f1")
    assert targets["rte"].columns == ("score",)


def universal_lines(grid):
    """The lines of the terminal's table of universal masks, by mask."""
    lines = terminal(grid).partition("Universal masks")[2].splitlines()
    return {line.split()[0]: line for line in lines[3:]}


def test_universal_is_judged_against_the_own_mask_of_the_other_tasks(grid):
    """By hand. mrpc's mask minus the own one: on rte (.02, −.01, .02), on cola (.05, .05, .05)."""
    assert grid.universal_counts("mrpc") == {
        "strict": (2, 2),  # means .01 and .05
        "each-seed": (1, 2),  # one seed of rte is worse
        "one-std": (2, 2),
        "non-inferior": (1, 2),  # rte: .01 ± 4.303 · .0173 / √3 reaches below −.01
    }
    # rte's mask: on mrpc 1.5 · .01 above the own; on cola .01 above it.
    assert set(grid.universal_counts("rte").values()) == {(2, 2)}
    # cola's mask: on rte far below; on mrpc −.0015, less than a point and than a std of .01.
    assert grid.universal_counts("cola") == {
        "strict": (0, 2),
        "each-seed": (0, 2),
        "one-std": (1, 2),
        "non-inferior": (1, 2),
    }
    lines = universal_lines(grid)
    assert lines["mrpc"].split("  ")[1:] and lines["mrpc"].count("universal (2 of 2)") == 2
    assert "universal" not in lines["cola"]


def test_the_mask_of_theta0_is_judged_on_every_task_and_a_random_one_on_none():
    """By hand: magnitude-init is at least .18 below the own mask everywhere, until it has the own mask's scores."""
    of_tasks = {(mask, task): DIFFERENCES[mask, task] for mask, task in DIFFERENCES if mask in TASKS}
    for verdict, share in (("0 of 3", 1), ("universal (3 of 3)", 0)):
        init = {("magnitude-init", t): tuple(m - share * 0.2 for m in of_tasks[t, t]) for t in TASKS}
        random_masks = {("random-pruning", t): of_tasks[t, t] for t in TASKS}
        grid = build(make_rows({**of_tasks, **init, **random_masks}), question(sparsity=0.7))
        lines = [line.split("  ") for line in terminal(grid).partition("Universal masks")[2].splitlines()]
        names = [[part.strip() for part in line if part] for line in lines if line[0] in grid.masks]
        assert [name for name, *_ in names] == [*TASKS, "magnitude-init"]
        assert names[-1][1:] == [verdict] * 4
        page = " ".join(block.text for block in blocks(grid, "") if isinstance(block, Paragraph))
        assert "magnitude-init, the mask that θ0 alone gives" in page
    without = build(make_rows(of_tasks), question(sparsity=0.7, controls=()))
    assert "magnitude-init" not in terminal(without) + str(list(blocks(without, "")))


def test_matching_is_judged_against_dense(grid):
    cola = next(target for target in grid.targets if target.name == "cola")
    assert grid.matches_dense("mrpc", cola) == dict.fromkeys(("strict", "each-seed", "one-std", "non-inferior"), True)
    # −.01 on a dense std of .01: within it, and not above −δ.
    assert grid.matches_dense("rte", cola) == {
        "strict": False,
        "each-seed": False,
        "one-std": True,
        "non-inferior": False,
    }


def test_delta_is_what_a_non_inferior_mask_may_lose_and_the_page_states_it(tmp_path):
    """rte's mask on cola is .01 below dense for every seed, cola's on rte .1 and more."""
    verdicts = {}
    for points in (1, 2):
        grid = build(make_rows(), question(sparsity=0.7, controls=("magnitude-init",)), parse_delta(points))
        cola = next(target for target in grid.targets if target.name == "cola")
        verdicts[points] = (
            grid.matches_dense("rte", cola)["non-inferior"],
            grid.universal_counts("mrpc")["non-inferior"],
        )
        write(grid, tmp_path, ("md",), "prunebench transfer")
        delta = f"δ is {points} point{'s' if points > 1 else ''} of 100."
        page = (tmp_path / "README.md").read_text()
        assert f"Here {delta}" in page and page.count(delta) == 2 and terminal(grid).count(delta) == 1
    # mrpc's on rte: the interval of .01 ± .043 lies above neither.
    assert verdicts == {1: (False, (1, 2)), 2: (True, (1, 2))}


def test_missing_scores_are_named_and_the_mask_is_not_universal():
    rows = [r for r in make_rows() if not (r.cell.mask_from == "mrpc" and r.cell.task == "rte")]
    rows += [make_row("rte", "mrpc", seed, None, 0.6, status="missing") for seed in range(3)]
    incomplete = build(rows, question(sparsity=0.7, controls=("magnitude-init",)))
    assert incomplete.universal_counts("mrpc")["strict"] == (1, 1)
    text = terminal(incomplete)
    assert "mrpc on rte, seeds 0, 1, 2: missing" in text
    line = next(line for line in text.partition("Universal")[2].splitlines() if line.startswith("mrpc"))
    assert line.split()[1:4] == ["1", "of", "1"]


def test_a_failed_seed_is_left_out_of_the_difference():
    rows = [r for r in make_rows() if (r.cell.mask_from, r.cell.task, r.cell.seed) != ("mrpc", "rte", 1)]
    rows.append(make_row("rte", "mrpc", 1, None, 0.62, status="failed: it diverged"))
    grid = build(rows, question(sparsity=0.7, controls=("magnitude-init",)))
    scores = grid.scores["mrpc", "rte"]
    assert scores.gaps == {1: "failed: it diverged"}
    assert scores.difference(grid.targets[0].dense).mean == pytest.approx(0.03)
    assert "+3.00 ± 1.41 (2)" in terminal(grid)


def test_the_csv_holds_every_number(grid):
    lines = list(csv.DictReader(io.StringIO(to_csv(grid))))
    assert len(lines) == len(grid.rows)
    [line] = [
        line for line in lines
        if (line["mask"], line["task"], line["metric"], line["seed"]) == ("rte", "mrpc", "f1", "2")
    ]  # fmt: skip
    assert float(line["value"]) == pytest.approx(0.82 + 0.02 + 0.02)
    assert (float(line["dense"]), float(line["own"])) == pytest.approx((0.84, 0.84))


def test_colours_diverge_at_zero_and_controls_do_not_widen_the_scale(grid):
    picture = heat_map(grid)
    axes, _ = picture.axes
    [image] = axes.get_images()
    # The farthest mask of a task is cola's on rte, 11 points below: the next round number is 15.
    assert (image.norm.vmin, image.norm.vcenter, image.norm.vmax) == (-15, 0, 15)
    red, green, blue, _ = image.cmap(image.norm(0))
    assert min(red, green, blue) > 0.9, "zero is nearly white"
    worse, better = image.cmap(image.norm(-15)), image.cmap(image.norm(15))
    assert worse[0] > worse[2] and better[2] > better[0], "red is worse, blue is better"
    assert image.cmap(image.norm(-30)) == worse, "a control outside the scale has the last colour"
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels[0] == "rte\n(dev)\ndense 62.00\n± 2.00"
    texts = {tuple(map(round, text.get_position())): text.get_text() for text in axes.texts}
    assert texts[1, 0] == "+1.50\n± 0.00"
    assert texts[0, 3] == "−30.00\n± 10.00"
    assert len(texts) == 12


def test_every_number_can_be_read_on_its_colour(grid):
    """WCAG: a contrast of at least 4.5, from the definition of relative luminance."""
    axes = heat_map(grid).axes[0]
    [image] = axes.get_images()
    for text in axes.texts:
        x, y = text.get_position()
        background = image.cmap(image.norm(image.get_array()[round(y), round(x)]))[:3]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in background]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        dark, bright = sorted((luminance, 0.0 if text.get_color() == "black" else 1.0))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5


def test_files_are_the_same_each_time(grid, tmp_path):
    kinds = ("md", "csv", "png", "svg", "pdf")
    one, other = (write(grid, tmp_path / name, kinds, "prunebench transfer") for name in ("one", "other"))
    assert [path.name for path in one] == ["transfer.png", "transfer.svg", "transfer.pdf", "transfer.csv", "README.md"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert "![Heat map of the differences from dense](transfer.svg)" in (tmp_path / "one" / "README.md").read_text()


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_rows_changes_no_file(seed, tmp_path):
    """With two metrics of one task, and protocols that differ by task."""
    settings = {task: SETTING.model_copy(update={"protocol": f"protocol of {task}"}) for task in TASKS}
    rows = [
        dataclasses.replace(r, cell=r.cell.model_copy(update=dict(setting=settings[r.cell.task]))) for r in make_rows()
    ]
    transfer_question = question(sparsity=0.7, controls=("magnitude-init",))
    shuffled = random.Random(seed).sample(rows, len(rows))
    grids = {"one": build(rows, transfer_question), "other": build(shuffled, transfer_question)}
    one, other = (write(grids[name], tmp_path / name, ("md", "csv", "svg"), "prunebench transfer") for name in grids)
    assert [path.name for path in one] == ["transfer.svg", "transfer.csv", "README.md"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert terminal(grids["one"]) == terminal(grids["other"])


def test_every_table_names_its_split(grid):
    """In its own title, headers or notes, so that it can be cut out of the page."""
    tables = [block for block in (*header_blocks(grid), *blocks(grid, "")) if isinstance(block, Table)]
    assert ("split", "dev") in tables[0].body
    others = [table for table in tables[1:] if table.title != "Criteria"]
    assert len(others) == 3 + len(TASKS)
    for table in others:
        text = " ".join((table.title, *table.headers, *table.notes))
        names = [task for task in TASKS if f"{task} (dev)" in text]
        assert names == ([table.title.split()[0]] if "every seed" in table.title else list(TASKS))


@pytest.mark.parametrize("name", ["README.md", "transfer.csv"])
def test_golden(grid, name, tmp_path):
    write(grid, tmp_path, ("md", "csv"), COMMAND)
    hint = "to accept the new text: PYTHONPATH=tests python tests/reports/transfer_grid.py"
    assert (tmp_path / name).read_text() == (GOLDEN / name).read_text(), hint


def test_names_are_escaped(tmp_path):
    rows = [
        dataclasses.replace(
            r, cell=r.cell.model_copy(update=dict(mask_from=r.cell.mask_from.replace("magnitude-init", "<b>$x|")))
        )
        for r in make_rows()
    ]
    grid = build(rows, question(sparsity=0.7))
    write(grid, tmp_path, ("md", "svg"), "prunebench transfer")
    text = (tmp_path / "README.md").read_text()
    assert "&lt;b&gt;&#36;x\\|" in text and "<b>" not in text
    assert "<b>" not in (tmp_path / "transfer.svg").read_text()


def test_drawing_needs_no_torch():
    code = "import sys, prunebench.reports.transfer, prunebench.reports.transfer.plots; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
