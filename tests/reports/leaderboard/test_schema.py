"""results.json against its schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab import golden_lab
from pages import GOLDEN

from prunebench import PrunebenchError
from prunebench.reports.leaderboard import parse_options, render
from prunebench.reports.leaderboard.ranking_rules import RULES
from prunebench.reports.leaderboard.schema import FORMAT, Results, read


def test_the_golden_file_fits_the_schema() -> None:
    results = read(GOLDEN / "results.json")
    assert results.format == FORMAT
    assert (len(results.rows), len(results.ranking)) == (63, 2)


def test_every_rule_and_paper_fits_the_schema(tmp_path: Path) -> None:
    for rule in RULES:
        render(golden_lab().rows(), tmp_path, ["json"], parse_options(rule, published="all"))
        assert read(tmp_path / "results.json").rank_by == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1}', "has format 1, expected 4"),
        ("[]", "has format None, expected 4"),
        ("{", "is not JSON"),
        ('{"format": 4}', "does not fit format 4: suites: field required"),
    ],
)
def test_a_file_of_another_format_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(PrunebenchError) as error:
        read(tmp_path / "results.json")
    assert message in error.value.message


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="no such file"):
        read(tmp_path / "results.json")


def test_a_number_as_text_is_refused(tmp_path: Path) -> None:
    data = json.loads((GOLDEN / "results.json").read_text(encoding="utf-8"))
    data["rows"][3]["value"] = "much"
    (tmp_path / "results.json").write_text(json.dumps(data))
    with pytest.raises(PrunebenchError, match=r"rows\.3\.value"):
        read(tmp_path / "results.json")


def test_an_unknown_field_is_refused() -> None:
    data = json.loads((GOLDEN / "results.json").read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="extra_forbidden"):
        Results.model_validate(data | {"more": 1})
