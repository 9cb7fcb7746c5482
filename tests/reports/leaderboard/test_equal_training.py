"""Dense runs of equal training in rows and on a page: whose value a row is compared with, and where it is shown."""

from __future__ import annotations

import csv
import io
import json

import pytest
from lab import Lab, golden_lab
from pages import by_method, page_text, paper_text, tables

from prunebench.reports import comparison
from prunebench.reports.leaderboard import build, parse_options, summary
from prunebench.reports.leaderboard.export import to_csv, to_json
from prunebench.reports.leaderboard.page import EQUAL
from prunebench.reports.leaderboard.ranking_rules import EQUAL_RETAINED
from prunebench.reports.leaderboard.report import Page
from prunebench.reports.leaderboard.schema import Results
from prunebench.reports.leaderboard.tables.matching import EQUAL as CRITERIA_EQUAL
from prunebench.reports.leaderboard.web import html
from prunebench.reports.leaderboard.web.chart_data import chart_data
from prunebench.reports.render.formatting import DASH
from prunebench.results.filters import Selection, select
from prunebench.results.rows import Row

TWICE = "dense[trainings=2]"
DENSE, EQUALLY = "Δ dense [95 %]", "Δ equal [95 %]"
# Accuracies of three seeds. Magnitude beats dense by a point and loses one to the dense run of equal training.
SCORES = {
    ("dense", 0.0): (0.60, 0.62, 0.64),
    (TWICE, 0.0): (0.62, 0.64, 0.66),
    ("magnitude", 0.5): (0.61, 0.63, 0.65),
    ("rewound", 0.5): (0.58, 0.61, 0.64),
}


def equal_lab(*tasks: str) -> Lab:
    """A method that trains twice, and one that rewinds to θ0 and so trains once."""
    lab = Lab()
    for task in tasks or ("rte",):
        for (label, sparsity), values in SCORES.items():
            for seed, value in enumerate(values):
                options = {"trainings": 2 if label == TWICE else 1} if label.startswith("dense") else {}
                record = lab.done(task, label, sparsity, seed, value, options=options)
                if label == "rewound":
                    record["phases"].insert(-1, {"phase": "Rewind", "to": 0, "strategy": ""})
    return lab


def page_of(lab: Lab) -> Page:
    return build(lab.rows())


def rows_of(rows: list[Row], label: str) -> list[Row]:
    return [row for row in rows if row.cell.label == label]


def test_a_row_has_the_value_of_equal_training_of_its_own_seed() -> None:
    rows = equal_lab().rows()
    values = {(row.cell.label, row.cell.seed): (row.equal_trainings, row.dense, row.equal) for row in rows}
    for seed in range(3):
        dense, twice = SCORES["dense", 0.0][seed], SCORES[TWICE, 0.0][seed]
        assert values["magnitude", seed] == (2, dense, twice)
        assert values["rewound", seed] == (1, dense, dense)
        assert values["dense", seed] == (1, dense, dense)
        assert values[TWICE, seed] == (2, dense, twice)


def test_without_such_a_run_there_is_no_value() -> None:
    lab = equal_lab()
    for cell in lab.cells:
        if cell["label"] == TWICE and cell["seed"] == 1:
            del lab.records[cell["key"]]
    assert [row.equal for row in rows_of(lab.rows(), "magnitude")] == [0.62, None, 0.66]
    # Heads train twice, and IMP without a rewind four times; nobody planned a dense run for them.
    for row in golden_lab().rows():
        assert row.equal == (row.dense if row.cell.label == "dense" else None)


def test_a_record_with_a_phase_of_a_plugin() -> None:
    """Such a phase counts as no training, and where one of them trains nothing is known."""
    lab = equal_lab()
    for seed in range(3):
        for label, phases in {"scores": ("Train", "Own", "Train"), "trains": ("Train", "Own")}.items():
            lab.done("rte", label, 0.5, seed, 0.5)["phases"] = [{"phase": name, "strategy": ""} for name in phases]
    rows = lab.rows()
    assert [(row.equal_trainings, row.equal) for row in rows_of(rows, "scores")] == [(2, 0.62), (2, 0.64), (2, 0.66)]
    assert [(row.equal_trainings, row.equal) for row in rows_of(rows, "trains")] == [(None, None)] * 3


def test_exports_have_both_columns() -> None:
    page = page_of(equal_lab())
    table = [row for row in csv.DictReader(io.StringIO(to_csv(page))) if row["seed"] == "0"]
    assert {row["label"]: (row["equal_trainings"], row["dense"], row["equal_dense"]) for row in table} == {
        **{"dense": ("1.0", "0.6", "0.6"), TWICE: ("2.0", "0.6", "0.62")},
        **{"magnitude": ("2.0", "0.6", "0.62"), "rewound": ("1.0", "0.6", "0.6")},
    }
    data = json.loads(to_json(page))
    Results.model_validate(data)
    entries = {entry["label"]: entry for entry in data["summary"]}
    assert entries["magnitude"]["difference"]["mean"] == pytest.approx(0.01)
    assert entries["magnitude"]["difference_equal"]["mean"] == pytest.approx(-0.01)
    assert (entries[TWICE]["track"], entries[TWICE]["sparsity"]) == (None, 0)
    assert [method["label"] for method in data["methods"] if method["reference"]] == ["dense", TWICE]


def test_the_share_retained_is_of_both_in_exports() -> None:
    page = page_of(equal_lab())
    rows = {(row["label"], row["seed"]): row for row in csv.DictReader(io.StringIO(to_csv(page)))}
    magnitude, rewound = rows["magnitude", "0"], rows["rewound", "0"]
    assert float(magnitude["ratio"]) == pytest.approx(0.61 / 0.60)
    assert float(magnitude["ratio_equal"]) == pytest.approx(0.61 / 0.62)
    assert rewound["ratio"] == rewound["ratio_equal"] == str(0.58 / 0.60)
    data = json.loads(to_json(page))
    [places] = [standing["places"] for ranking in data["ranking"] for standing in ranking["standings"]]
    means = {each["label"]: [each[name]["mean"] for name in ("summary", "of_dense", "of_equal")] for each in places}
    # The majority class has 55. Above it, magnitude has 8 points, rewound 6, dense 7, and dense of equal training 9.
    assert means["magnitude"] == pytest.approx([8 / 9, 8 / 7, 8 / 9])
    assert means["rewound"] == pytest.approx([6 / 7] * 3)


def test_files_without_the_share_retained_can_be_read() -> None:
    data = json.loads(to_json(page_of(equal_lab())))
    for row in data["rows"]:
        del row["ratio"], row["ratio_equal"]
    for place in (place for ranking in data["ranking"] for each in ranking["standings"] for place in each["places"]):
        del place["of_dense"], place["of_equal"]
    assert Results.model_validate(data).rows[0].ratio_equal is None


def test_a_score_of_nearly_zero_is_retained_by_nobody() -> None:
    lab = Lab()
    lab.done("rte", "dense", 0.0, 0, 0.04)
    lab.done("rte", "rewound", 0.5, 0, 0.4)["phases"].insert(-1, {"phase": "Rewind", "to": 0, "strategy": ""})
    [row] = rows_of(lab.rows(), "rewound")
    assert (row.dense, row.equal, row.ratio, row.ratio_equal) == (0.04, 0.04, None, None)


def test_the_ranking_compares_with_the_run_of_equal_training() -> None:
    """Magnitude beats dense and not the run of equal training. Brackets have the share of plain dense for all."""
    page = page_of(equal_lab())
    text = page_text(page)
    ranking = {row["unstructured"]: row["0.5"] for row in tables(text, "rte (dev), unstructured, ranking")[0]}
    # r = 8/9 of equal training; the residuals m − r·d are 2·(1 − r) apart, so their deviation is that / 9 points.
    # Magnitude is 8/7 of dense. Rewound is 6/7 of dense, with residuals 3 − 2·6/7 apart, of 7 points.
    assert ranking["magnitude"] == rf"**\#1= 88.89 ± {100 * 2 * (1 - 8 / 9) / 9:.2f} (dense: 114.29)**"
    assert ranking["rewound"] == rf"\#1= 85.71 ± {100 * (3 - 2 * 6 / 7) / 7:.2f} (dense: 85.71)"
    assert EQUAL_RETAINED in text and EQUAL_RETAINED in " ".join(summary(page).split())
    assert "88.89 ± 2.47 (dense: 114.29)" in summary(page)
    assert "88.89 ± 2.47 (dense: 114.29)" in html(page)
    assert "of what dense learned, after equal training." in paper_text(page)
    score = page_text(build(equal_lab().rows(), parse_options(rank_by="score")))
    assert EQUAL_RETAINED not in score and "(dense:" not in score


def test_criteria_compare_with_the_run_of_equal_training() -> None:
    """Magnitude would match dense; the run of equal training is a point better on every seed."""
    page = page_of(equal_lab())
    text = page_text(page)
    matching = by_method(tables(text, "rte (dev), unstructured")[0])
    assert (matching["magnitude"]["strict"], matching["magnitude"]["one-std"]) == (DASH, "0.5")
    assert CRITERIA_EQUAL in text and CRITERIA_EQUAL in html(page)
    lab = equal_lab()
    lab.cells = [cell for cell in lab.cells if cell["label"] != TWICE]
    plain = page_text(page_of(lab))
    assert by_method(tables(plain, "rte (dev), unstructured")[0])["magnitude"]["strict"] == "0.5"
    assert CRITERIA_EQUAL not in plain


def test_one_method_without_such_a_run_means_dense_for_all_methods() -> None:
    """Gradual trains three times, and no dense run does. Then magnitude is not compared with its own run either."""
    lab = equal_lab()
    for seed in range(3):
        phases = [{"phase": "Train", "strategy": ""}] * 3
        lab.done("rte", "gradual", 0.5, seed, SCORES["magnitude", 0.5][seed])["phases"] = phases
    [ranking] = page_of(lab).rankings
    [standing] = ranking.standings
    summaries = {each.label: each.summary for each in standing.placements}
    assert summaries["gradual"] == summaries["magnitude"], "equal scores have equal shares, and so equal ranks"
    rows = {
        row["unstructured"]: row["0.5"]
        for row in tables(page_text(page_of(lab)), "rte (dev), unstructured, ranking")[0]
    }
    assert rows["magnitude"].endswith("(equal: 88.89)") and "114.29" in rows["magnitude"]
    assert rows["rewound"].endswith("(equal: 85.71)") and "(" not in rows["gradual"]
    # Without gradual the same ranking is one of equal training.
    [alone] = page_of(equal_lab()).rankings
    magnitude = next(each for each in alone.standings[0].placements if each.label == "magnitude")
    assert magnitude.summary == magnitude.of_equal != magnitude.of_dense


def test_one_seed_without_such_a_run_means_dense_for_the_whole_ranking() -> None:
    lab = equal_lab("rte", "wnli")
    lab.cells = [cell for cell in lab.cells if (cell["task"], cell["label"], cell["seed"]) != ("wnli", TWICE, 1)]
    page = page_of(lab)
    [ranking] = [each for each in page.rankings if len(each.tasks) == 2]
    places = {placement.label: placement for placement in ranking.standings[0].placements}
    magnitude = places["magnitude"]
    assert magnitude.of_equal is None and magnitude.summary == magnitude.of_dense is not None
    assert magnitude.summary.mean == pytest.approx(8 / 7)
    note = (
        "All methods are compared with plain dense: not every task and seed has a dense run as long as the training of "
        "magnitude."
    )
    assert note in ranking.notes
    # RTE alone has them all.
    [alone] = [each for each in page.rankings if each.tasks == ("rte",)]
    assert alone.notes == () and alone.standings[0].placements[0].of_equal is not None


def test_the_score_table_compares_with_both() -> None:
    scores, seeds = tables(page_text(page_of(equal_lab())), "rte (dev), unstructured, sparsity 0.5")
    assert [row["method"] for row in scores] == ["dense", TWICE, "majority class", "magnitude", "rewound"]
    assert [row["method"] for row in seeds] == ["dense", TWICE, "majority class", "magnitude", "rewound"]
    lines = by_method(scores)
    assert lines["dense"] == {"method": "dense", "accuracy": "62.00 ± 2.00 (3)", DENSE: DASH, EQUALLY: DASH}
    # The differences are the same for each seed. The deviation of the rounding to one of 277 examples is 100/(277·√6),
    # so that the interval reaches 4.303·100/(277·√6·√3) = 0.37 to both sides.
    twice = {"method": TWICE, "accuracy": "64.00 ± 2.00 (3)", DENSE: "+2.00 [+1.63, +2.37]", EQUALLY: DASH}
    assert lines[TWICE] == twice
    assert lines["magnitude"][DENSE] == "+1.00 [+0.63, +1.37]"
    assert lines["magnitude"][EQUALLY] == "−1.00 [−1.37, −0.63]"
    # −2, −1, 0: −1 ± 4.303·1/√3, from both, because it trains once.
    assert lines["rewound"][DENSE] == lines["rewound"][EQUALLY] == "−1.00 [−3.48, +1.48]"
    assert by_method(seeds)[TWICE]["seed 2"] == "66.00"


def test_it_is_no_method() -> None:
    page = page_of(equal_lab())
    [section] = page.sections
    assert [line.label for line in section.references] == [TWICE]
    assert [level.sparsity for track in section.tracks for level in track.levels] == [0.5]
    [ranking] = page.rankings
    ranked = {placement.label for standing in ranking.standings for placement in standing.placements}
    assert ranked == {"magnitude", "rewound"}
    assert not any(score.best for line in section.references for score in line.scores)
    answers = {check.question: check.details for check in page.checklist}
    assert answers["structured and unstructured pruning"] == "unstructured"
    text = page_text(page)
    assert {row["method"]: row["role"] for row in tables(text, "Methods")[0]}[TWICE] == "reference"


def test_overviews_sizes_and_the_terminal_have_a_line_for_it() -> None:
    lab = equal_lab()
    for seed in range(3):
        lab.done("rte", "magnitude", 0.7, seed, 0.5)
    page = page_of(lab)
    text = page_text(page)
    overview = tables(text, "rte (dev), unstructured")[0]
    assert [row["unstructured"] for row in overview] == ["dense", TWICE, "majority class", "magnitude", "rewound"]
    assert (overview[1]["0.5"], overview[1]["0.7"]) == ("64.00 ± 2.00", "64.00 ± 2.00")
    sizes = tables(text, "rte (dev), unstructured, size and cost")[0]
    assert [(row["method"], row["trainings"]) for row in sizes[:3]] == [
        *(("dense", "0 + 1"), (TWICE, "0 + 2"), ("magnitude", "1 + 1")),
    ]
    assert TWICE in summary(page)
    assert EQUAL in text.replace(r"\[", "[").replace(r"\]", "]")


def test_averages_over_tasks() -> None:
    page = page_of(equal_lab("rte", "wnli"))
    average = page.averages[0]
    assert [line.label for line in average.references] == [TWICE]
    [level] = average.tracks[0].levels
    score = {line.label: line.scores[0] for line in level.lines}["magnitude"]
    assert score.difference is not None and score.difference_equal is not None
    assert (score.difference.mean, score.difference_equal.mean) == (pytest.approx(0.01), pytest.approx(-0.01))


def test_an_average_has_only_what_every_task_has() -> None:
    lab = equal_lab("rte", "wnli")
    lab.cells = [cell for cell in lab.cells if (cell["task"], cell["label"]) != ("wnli", TWICE)]
    page = page_of(lab)
    assert [bool(section.references) for section in page.sections] == [True, False]
    assert page.averages[0].references == ()


def test_bootstrap_intervals_are_for_both_differences() -> None:
    page = build(equal_lab().rows(), parse_options(interval="bootstrap"))
    line = next(line for line in page.sections[0].tracks[0].levels[0].lines if line.label == "rewound")
    score = line.scores[0]
    assert score.difference is not None and score.difference_equal is not None
    assert score.difference.bounds == score.difference_equal.bounds is not None


def test_a_page_without_such_runs_does_not_mention_them() -> None:
    text = page_text(build(golden_lab().rows()))
    assert "equal training" not in text and "Δ equal" not in text


def test_the_chart_data_begin_with_the_plain_dense_run() -> None:
    data = chart_data(page_of(equal_lab()))
    labels = [method["label"] for method in data["methods"]]
    assert labels == ["dense", "magnitude", "rewound", TWICE]
    dense = [entry for entry in data["entries"] if data["tracks"][entry[2]] == "dense"]
    assert [labels[entry[4]] for entry in dense] == ["dense", TWICE]


def test_a_selection_keeps_the_dense_runs_that_it_is_compared_with() -> None:
    rows = equal_lab().rows()
    chosen = {
        label: {row.cell.label for row in select(rows, Selection(strategies=(label,)))}
        for label in ("magnitude", "rewound")
    }
    assert chosen == {"magnitude": {"dense", TWICE, "magnitude"}, "rewound": {"dense", "rewound"}}


def test_a_comparison_with_dense_names_the_dense_run_of_equal_training() -> None:
    rows = equal_lab().rows()
    report = comparison.build(rows, ["magnitude", "rewound"], "dense")
    sentence = f"magnitude was trained 2 times from θ0 and dense once; {TWICE} is the dense model of equal training."
    assert report.notes[0] == sentence
    report = comparison.build(rows, ["magnitude", TWICE])
    [entry] = report.over_seeds
    assert (entry.condition.sparsity, entry.mean_a - entry.mean_b) == (0.5, pytest.approx(-0.01))
    assert not any("equal training" in note for note in report.notes)
