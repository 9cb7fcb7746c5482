"""Who is first, what matches, what a reviewer is told, and what papers reported: against hand computation."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab, golden_lab

from prunebench import PrunebenchError
from prunebench.reports.leaderboard import build, choose, render
from prunebench.reports.leaderboard.apart import as_good_as_best, places
from prunebench.reports.leaderboard.checklist import QUESTIONS
from prunebench.reports.leaderboard.layout import FULL, blocks
from prunebench.reports.leaderboard.model import Options, Place, Ranking
from prunebench.reports.leaderboard.published import Paper, papers
from prunebench.reports.leaderboard.ranking import RULES
from prunebench.reports.leaderboard.schema import FORMAT, Results, read
from prunebench.reports.leaderboard.standings import criteria, matching
from prunebench.reports.render.markdown import markdown
from prunebench.results.rows import Row


def ranking(lab: Lab, rule: str = "retained", track: str = "unstructured") -> Ranking:
    (found,) = [each for each in build(lab.rows(), Options(rank_by=rule)).rankings if each.track == track]
    return found


def at(found: Ranking, sparsity: float) -> dict[str, Place]:
    (standing,) = [standing for standing in found.standings if standing.sparsity == sparsity]
    return {place.label: place for place in standing.places}


# --- what is ranked by ---


def test_retained_is_the_ratio_to_the_same_seed_inside_a_task_first() -> None:
    imp = at(ranking(golden_lab()), 0.3)["imp"]
    # Seed 0: RTE 61/60; MRPC the mean of 83/84 and 88/88; then their mean. Not 73.25/73, the ratio of the averages.
    assert imp.values[0] == pytest.approx((61 / 60 + (83 / 84 + 88 / 88) / 2) / 2)
    assert imp.values[2] == pytest.approx((66 / 64 + (85 / 86 + 88 / 90) / 2) / 2)
    assert imp.summary is not None and imp.summary.n == 3


def test_majority_class_retains_too() -> None:
    # Accuracy 0.55, F1 0.7 on every seed.
    expected = []
    for rte, accuracy, f1 in ((0.60, 0.84, 0.88), (0.62, 0.85, 0.89), (0.64, 0.86, 0.90)):
        expected.append((0.55 / rte + (0.55 / accuracy + 0.7 / f1) / 2) / 2)
    assert ranking(golden_lab()).majority == pytest.approx(sum(expected) / 3)
    assert ranking(golden_lab(), "score").majority == pytest.approx((0.55 + (0.55 + 0.7) / 2) / 2)
    assert ranking(golden_lab(), "rank").majority is None


def test_score_ranks_by_the_average_score() -> None:
    assert at(ranking(golden_lab(), "score"), 0.3)["imp"].values == pytest.approx({0: 0.7325, 1: 0.74, 2: 0.7625})


def test_a_ratio_and_a_score_may_rank_differently() -> None:
    """A task of low scores counts for more of what is retained than of the average."""
    lab = Lab()
    for seed in range(5):
        noise = seed / 1e4
        lab.done("rte", "dense", 0.0, seed, 0.8)
        lab.done("wnli", "dense", 0.0, seed, 0.2)
        lab.done("rte", "imp", 0.5, seed, 0.8 + noise)
        lab.done("wnli", "imp", 0.5, seed, 0.1)
        lab.done("rte", "magnitude", 0.5, seed, 0.65 + noise)
        lab.done("wnli", "magnitude", 0.5, seed, 0.2 + noise)
    with_wnli = {rule: build(lab.rows(), Options(rank_by=rule)).rankings[0] for rule in RULES}
    assert [place.label for place in with_wnli["retained"].standings[0].places] == ["magnitude", "imp"]
    assert [place.label for place in with_wnli["score"].standings[0].places] == ["imp", "magnitude"]
    # WNLI stays out of the second ranking, as of GLUE's second average.
    assert [each.tasks for each in build(lab.rows()).rankings] == [("rte", "wnli"), ("rte",)]


def three_tasks(seeds: int = 3) -> Lab:
    lab = Lab()
    order = {"imp": 0.9, "magnitude": 0.8, "heads2": 0.7}
    for task in ("rte", "sst2", "qnli", "t4", "t5", "t6"):
        for seed in range(seeds):
            lab.done(task, "dense", 0.0, seed, 0.9)
            for label, value in order.items():
                lab.done(task, label, 0.5, seed, value + seed / 1000)
    return lab


def test_average_ranks_over_tasks() -> None:
    found = at(ranking(three_tasks(), "rank"), 0.5)
    # Six tasks, three methods, the same order in all: CD = 2.343·√(3·4/36) = 1.353, so 1 and 3 are apart.
    assert {label: (place.rank, place.summary and place.summary.mean) for label, place in found.items()} == {
        "imp": (1, 1.0),
        "magnitude": (1, 2.0),
        "heads2": (2, 3.0),
    }
    standing = ranking(three_tasks(), "rank").standings[0]
    assert standing.across.cd == pytest.approx(1.353, abs=1e-3)
    assert standing.across.groups == (("imp", "magnitude"), ("magnitude", "heads2"))


def test_two_tasks_are_too_few_for_ranks() -> None:
    found = at(ranking(golden_lab(), "rank"), 0.3)
    assert {label: (place.rank, place.tied) for label, place in found.items()} == {
        "imp": (1, True),
        "random-pruning": (1, True),
    }


# --- what has no ratio ---


@pytest.mark.parametrize("value", [0.0, -0.1, 0.0499])
def test_where_a_dense_run_has_next_to_nothing_the_metric_is_left_out_for_all(value: float) -> None:
    lab = golden_lab()
    for seed, dense in enumerate((0.5, value, 0.5)):
        lab.done("wnli", "dense", 0.0, seed, dense)
        lab.done("wnli", "imp", 0.3, seed, 0.9)
        lab.done("wnli", "random-pruning", 0.3, seed, 0.8)
    page = build(lab.rows())
    found = page.rankings[0]
    assert found.tasks == ("mrpc", "rte", "wnli")
    assert at(found, 0.3)["imp"].values == at(ranking(golden_lab()), 0.3)["imp"].values
    note = "Left out for every method: wnli accuracy. Of a dense run with less than 5.00 there is nothing to retain."
    assert note in found.notes
    assert note in markdown(blocks(page))
    # What needs no division ranks it.
    assert at(build(lab.rows(), Options(rank_by="score")).rankings[0], 0.3)["imp"].values[0] != pytest.approx(0.7325)


def test_where_nothing_is_left_nothing_is_ranked() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.0)
        lab.done("rte", "imp", 0.5, seed, 0.5)
    place = at(ranking(lab), 0.5)["imp"]
    assert (place.rank, place.gaps) == (None, ("nothing to rank by",))


def test_a_negative_score_retains_less_than_nothing() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.5)
        lab.done("rte", "imp", 0.5, seed, -0.1)
    assert at(ranking(lab), 0.5)["imp"].values == pytest.approx({0: -0.2, 1: -0.2, 2: -0.2})


def test_a_dense_model_that_learnt_nothing_is_named() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.55)
        lab.done("rte", "imp", 0.5, seed, 0.55)
    assert "no better than the majority class on rte" in ranking(lab).notes[0]


# --- who is not ranked ---


def test_rows_with_gaps_are_shown_without_a_rank_and_say_what_is_missing() -> None:
    found = at(ranking(golden_lab()), 0.5)
    assert (found["imp"].rank, found["random-pruning"].rank) == (1, None)
    assert found["random-pruning"].gaps == ("missing mrpc seed 2",)
    text = markdown(blocks(build(golden_lab().rows())))
    assert "68.82 ± 25.12 (not ranked)" in text
    assert "- random-pruning at 0.5 is not ranked: missing mrpc seed 2." in text


def test_without_a_dense_run_of_its_seed_a_method_is_not_ranked_by_what_it_retains() -> None:
    lab = Lab()
    for seed in range(4):
        if seed:
            lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.5, seed, 0.5)
        lab.done("rte", "magnitude", 0.5, seed, 0.4)
    assert at(ranking(lab), 0.5)["imp"].gaps == ("no dense run of seed 0",)
    assert at(ranking(lab, "score"), 0.5)["imp"].rank == 1


def test_a_failed_check_keeps_a_method_out() -> None:
    lab = golden_lab()
    lab.records["rte glue-1 with epochs=1 0 imp 0.3"]["checks"]["pruned_weights_zero"] = False
    place = at(ranking(lab), 0.3)["imp"]
    assert (place.rank, place.gaps) == (None, ("check failed on rte",))


def test_structured_and_unstructured_methods_are_ranked_apart() -> None:
    found = build(golden_lab().rows()).rankings
    assert [(each.track, sorted({p.label for s in each.standings for p in s.places})) for each in found] == [
        ("unstructured", ["imp", "random-pruning"]),
        ("structured", ["heads"]),
    ]


# --- ties ---


def seeds(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_tied_places_by_hand() -> None:
    # A − B: 0.01, 0.02, −0.01: p = 0.53. A − C and B − C are about 0.2 each time.
    values = {"a": seeds(0.61, 0.62, 0.60), "b": seeds(0.60, 0.60, 0.61), "c": seeds(0.40, 0.41, 0.402)}
    assert scipy.stats.ttest_rel([0.61, 0.62, 0.60], [0.60, 0.60, 0.61]).pvalue > 0.5
    assert places(values) == {"a": 1, "b": 1, "c": 3}
    assert as_good_as_best(values) == {"a", "b"}


def test_holm_is_over_the_whole_family() -> None:
    """p = 0.03 is enough for two methods, and not for three pairs of which it is the least."""
    a, b = seeds(0.50, 0.52, 0.54, 0.50), seeds(0.49, 0.50, 0.51, 0.485)
    p = scipy.stats.ttest_rel(list(a.values()), list(b.values())).pvalue
    assert 0.05 / 3 < p < 0.05
    assert places({"a": a, "b": b}) == {"a": 1, "b": 2}
    assert places({"a": a, "b": b, "c": b}) == {"a": 1, "b": 1, "c": 1}


def test_fewer_than_three_common_seeds_tell_nothing() -> None:
    values = {"a": seeds(0.9, 0.91), "b": seeds(0.1, 0.12)}
    assert places(values) == {"a": 1, "b": 1}
    assert as_good_as_best(values) == set()


def test_a_difference_that_is_always_the_same_is_certain() -> None:
    assert places({"a": seeds(0.6, 0.7, 0.8), "b": seeds(0.5, 0.6, 0.7)}) == {"a": 1, "b": 2}
    assert places({"a": seeds(0.6, 0.7, 0.8), "b": seeds(0.6, 0.7, 0.8)}) == {"a": 1, "b": 1}


scores = st.lists(st.integers(0, 20).map(lambda hit: hit / 20), min_size=4, max_size=4).map(lambda found: seeds(*found))


@given(st.dictionaries(st.sampled_from("abcde"), scores, min_size=2))
def test_places_against_scipy(values: dict[str, dict[int, float]]) -> None:
    """1 + the number of methods that are better, by scipy's paired t test and Holm's steps written out."""
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
    beaten = dict.fromkeys(names, 0)
    for step, (p, a, b, total) in enumerate(sorted(tests)):
        if p * (len(tests) - step) >= 0.05:
            break
        beaten[b if total > 0 else a] += 1
    assert places(values) == {name: 1 + beaten[name] for name in names}


# --- what matches ---


def match_table(lab: Lab, task: str = "rte", **options: Any) -> dict[str, dict[str, str]]:
    page = build(lab.rows(), Options(**options))
    (section,) = [section for section in page.sections if section.name == task]
    table = matching(section, section.tracks[0])
    return {row[0]: dict(zip(table.headers, row, strict=True)) for row in table.body}


def test_largest_matching_sparsity_by_each_criterion() -> None:
    lab = Lab()
    dense = (0.60, 0.62, 0.64)
    # 0.5 is better on the mean but not on each seed; 0.7 is 0.5 points worse each time; 0.9 is 1.5 points worse.
    levels = {0.3: (0.59, 0.62, 0.64), 0.5: (0.65, 0.61, 0.64), 0.7: (0.595, 0.615, 0.635), 0.9: (0.585, 0.605, 0.625)}
    for seed, value in enumerate(dense):
        lab.done("rte", "dense", 0.0, seed, value)
        for sparsity, values in levels.items():
            lab.done("rte", "imp", sparsity, seed, values[seed])
    expected = {"strict": "0.5 (not 0.3)", "each-seed": "—", "one-std": "0.9"}
    found = match_table(lab)["imp"]
    assert {name: found[name] for name in expected} == expected
    assert found["non-inferior"] == "0.7 (not 0.3, 0.5)"
    assert match_table(lab, delta=0.02)["imp"]["non-inferior"] == "0.9 (not 0.5)"
    assert any("δ is 2 points" in sentence for sentence in criteria(0.02))
    assert any("δ is 1 point " in sentence for sentence in criteria(0.01))


def test_a_winning_ticket_is_strict_and_trained_from_theta0() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        for label, phases in (("imp", "Train Prune Rewind Train"), ("magnitude", "Train Prune Train")):
            record = lab.done("rte", label, 0.3, seed, 0.61)
            record["phases"] = [
                {"phase": phase, **({"sparsity": 0.3} if phase == "Prune" else {})} for phase in phases.split()
            ]
    found = match_table(lab)
    assert (found["imp"]["strict"], found["imp"]["winning ticket"]) == ("0.3", "0.3")
    assert (found["magnitude"]["strict"], found["magnitude"]["winning ticket"]) == ("0.3", "n/a")


def test_a_level_with_gaps_matches_nothing() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.3, seed, 0.7)
    for seed in (0, 1):
        lab.done("rte", "imp", 0.5, seed, 0.7)
    lab.plan("rte", "imp", 0.5, 2)
    assert match_table(lab)["imp"]["strict"] == "0.3"


# --- the checklist ---


def answers(lab: Lab) -> dict[str, tuple[bool | None, str]]:
    return {check.what.split(":")[0]: (check.held, check.found) for check in build(lab.rows()).checklist}


def whole_lab() -> Lab:
    """All that the checklist asks for."""
    lab = Lab()
    for seed in range(5):
        for task, values in (("rte", (0.7,)), ("mrpc", (0.8, 0.9)), ("mnli", (0.8, 0.8))):
            lab.done(task, "dense", 0.0, seed, *values)
            for label in ("imp", "random-pruning", "heads"):
                lab.done(task, label, 0.5, seed, *values)
            lab.done(task, "random-reinit", 0.5, seed, *values, control_of="imp")
            lab.done(task, "random-pruning[of=heads]", 0.5, seed, *values, control_of="heads", track="structured")
    for record in lab.records.values():
        record["seconds"] = {"train": 2.0, "predict": 1.0}
    return lab


def test_a_page_that_has_everything() -> None:
    assert {what: held for what, (held, _) in answers(whole_lab()).items() if held is not True} == {}
    assert len(QUESTIONS) == 13


@pytest.mark.parametrize(
    ("what", "held", "found", "change"),
    [
        ("controls", None, "none for better", lambda lab: lab.done("rte", "better", 0.5, 0, 0.7)),
        ("seeds", False, "1 to 5", lambda lab: lab.done("rte", "better", 0.5, 0, 0.7)),
        ("every planned cell", None, "1 are missing", lambda lab: lab.plan("rte", "imp", 0.5, 9)),
        ("compared with the dense run", False, "not for rte seed 9", lambda lab: lab.done("rte", "imp", 0.5, 9, 0.7)),
        (
            "every metric of each task",
            False,
            "not on stsb",
            lambda lab: lab.done("stsb", "imp", 0.5, 0, 0.7, metrics=["pearson"]),
        ),
        (
            "hardware named, one kind",
            None,
            "A GPU; Some CPU",
            lambda lab: lab.done("rte", "heads", 0.5, 0, 0.7, environment={"hardware": "A GPU"}),
        ),
        ("speed measured", None, "of 90 of 91 cells", lambda lab: lab.done("rte", "better", 0.5, 0, 0.7)),
        ("model, data", False, "data", lambda lab: lab.done("wnli", "imp", 0.5, 0, 0.7, setting={"data": ""})),
        ("split named", True, "dev, test", lambda lab: lab.done("wnli", "imp", 0.5, 0, 0.7, split="test")),
        ("dense runs above", False, "not on wnli", lambda lab: lab.done("wnli", "dense", 0.0, 0, 0.5)),
        (
            "counts exact",
            False,
            "imp: pruned_weights_zero",
            lambda lab: lab.done("wnli", "imp", 0.5, 0, 0.5)["checks"].update(pruned_weights_zero=False),
        ),
    ],
)
def test_each_shortcoming_is_named(what: str, held: bool | None, found: str, change: Any) -> None:
    lab = whole_lab()
    change(lab)
    (answer,) = [answer for question, answer in answers(lab).items() if question.startswith(what)]
    assert answer[0] is held and found in answer[1]


# --- what papers reported ---


def test_published_rows_are_marked_and_carry_their_setting() -> None:
    text = markdown(blocks(build(golden_lab().rows(), choose(published="chen2020,prasanna2020"))))
    assert "## Published results" in text
    assert "Reported, not measured here, and never ranked: Chen et al. 2020" in text
    assert "Model bert-base-uncased, split dev, 5 seeds" in text
    (imp,) = [line for line in text.splitlines() if line.startswith("| imp (reported)") and "82.6" in line]
    assert [entry.strip() for entry in imp.strip("|").split("|")][1:4] == ["82.6 ± 0.2", "90.0 ± 0.2", "88.2 ± 0.2"]
    assert "bad, retrained (reported)" in text


def test_published_rows_change_no_ranking() -> None:
    plain, with_papers = build(golden_lab().rows()), build(golden_lab().rows(), choose(published="all"))
    assert with_papers.rankings == plain.rankings and with_papers.sections == plain.sections
    assert [paper.name for paper in with_papers.options.published] == ["chen2020", "prasanna2020"]


def test_what_the_papers_say() -> None:
    """Entries of Chen et al. 2020, table 2, and of Prasanna et al. 2020, picked by hand."""
    chen, prasanna = papers(("all",))
    columns = {(column.task, column.metric): i for i, column in enumerate(chen.columns)}
    rows = {row.method: row for row in chen.rows}
    cola = columns["cola", "matthews_correlation"]
    assert (rows["dense"].mean[cola], rows["imp"].mean[cola], rows["random-reinit"].mean[cola]) == (54.5, 53.8, 0.0)
    assert rows["imp"].std is not None and rows["imp"].std[columns["rte", "accuracy"]] == 2.4
    assert rows["layer-shuffle"].std is None
    assert {column.task: column.sparsity for column in chen.columns}["qqp"] == 0.9
    (bad,) = [row for row in prasanna.rows if row.method == "bad, retrained"]
    assert [column.metric for column, mean in zip(prasanna.columns, bad.mean, strict=True) if mean is None] == ["f1"]


def test_a_paper_with_a_value_too_few_is_refused() -> None:
    data = json.loads((files("prunebench.reports.leaderboard.published") / "chen2020.json").read_text(encoding="utf-8"))
    data["rows"][0]["mean"].pop()
    with pytest.raises(ValueError, match="dense: 11 values are expected"):
        Paper.model_validate(data)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"published": "chen2021"}, "unknown published table 'chen2021' (did you mean 'chen2020'?)"),
        ({"rank_by": "scores"}, "unknown rule of ranking 'scores' (did you mean 'score'?)"),
        ({"delta": 0.0}, "δ is 0 points (expected more than 0 and less than 100)"),
    ],
)
def test_choices_are_checked(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError) as error:
        choose(**choice)
    assert str(error.value) == message


# --- results.json ---

GOLDEN = Path(__file__).parents[1] / "golden" / "leaderboard" / "results.json"


def test_the_golden_file_fits_the_schema() -> None:
    found = read(GOLDEN)
    assert found.format == FORMAT
    assert (len(found.rows), len(found.ranking)) == (63, 2)


def test_every_rule_and_paper_fits_the_schema(tmp_path: Path) -> None:
    for rule in RULES:
        render(golden_lab().rows(), tmp_path, ["json"], choose(rule, published="all"))
        assert read(tmp_path / "results.json").rank_by == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1}', "has format 1, and format 3 is expected"),
        ("[]", "has format None, and format 3 is expected"),
        ("{", "is not JSON"),
        ('{"format": 3}', "does not fit format 3: suites: field required"),
    ],
)
def test_another_file_is_refused_with_a_reason(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(PrunebenchError) as error:
        read(tmp_path / "results.json")
    assert message in error.value.message


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="no such file"):
        read(tmp_path / "results.json")


def test_a_number_as_text_is_refused(tmp_path: Path) -> None:
    data = json.loads(GOLDEN.read_text(encoding="utf-8"))
    data["rows"][3]["value"] = "much"
    (tmp_path / "results.json").write_text(json.dumps(data))
    with pytest.raises(PrunebenchError, match=r"rows\.3\.value"):
        read(tmp_path / "results.json")


def test_what_is_unknown_is_refused() -> None:
    data = json.loads(GOLDEN.read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="extra_forbidden"):
        Results.model_validate(data | {"more": 1})


# --- a page of many rows ---


def many(count: int) -> list[Row]:
    lab = Lab()
    for seed in range(count):
        lab.done("rte", "imp", 0.5, seed, 0.5)
    return lab.rows()


def test_a_long_page_leaves_every_seed_to_the_files() -> None:
    short, long = (markdown(blocks(build(many(count)))) for count in (FULL, FULL + 1))
    assert "<details>" in short and "results.csv and results.json hold all of them" not in short
    assert "<details>" not in long and "results.csv and results.json hold all of them" in long
