"""Pages that are drawn from a bundle say whether it was verified."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from commands import call
from lab import Lab
from PIL import Image

from prunebench import api
from prunebench.reports.comparison import build
from prunebench.reports.figures.comparison import draw_ranks
from prunebench.reports.leaderboard import FORMATS
from prunebench.sharing.bundle import reader, stamp

FILES = [file for name, (file, _) in FORMATS.items() if name != "csv"]


@pytest.fixture
def path(good, tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(good)
    return path


def draw(path):
    """The texts of all pages that have a verification, by file."""
    assert call("leaderboard", "--bundle", path, "--out", path.parent / "out").status == 0
    return {name: (path.parent / "out" / name).read_text() for name in FILES}


def plain(text):
    """Text without the marks of Markdown, LaTeX and HTML."""
    return re.sub(r"\\texttt\{|[`\\{}]|&#39;|&#x27;", "", text)


def test_a_page_of_a_bundle_without_a_stamp_says_unverified(path):
    assert all("Unverified: nobody has stamped this bundle" in plain(text) for text in draw(path).values())


def test_a_page_of_a_stamped_bundle_says_when_and_how_it_was_verified(path, tiny_glue):
    status, out, _ = call("verify", path, "--glue-dir", tiny_glue, "--stamp")
    assert status == 0 and f"Written: {path.parent}/b.verified.json" in out
    date = json.loads((path.parent / "b.verified.json").read_text())["date"]
    for text in draw(path).values():
        assert f"Verified on {date} by prunebench" in plain(text)
        assert "0 of 20 cells were trained again; 0 of 20 planned cells are missing" in plain(text)
    assert "Verified on" in api.load(path).leaderboard().to_text()


def test_a_page_of_a_store_says_neither(store, tmp_path):
    assert call("leaderboard", "--store", store, "--out", tmp_path).status == 0
    assert "erified" not in (tmp_path / "README.md").read_text()
    assert json.loads((tmp_path / "results.json").read_text())["verification"] == ""


def test_comparisons_and_figures_of_a_bundle_say_whether_it_was_verified(path, tiny_glue, tmp_path):
    compared = ("compare", "imp", "random-pruning", "--bundle", path)
    unverified = stamp.UNVERIFIED
    assert plain(unverified) in plain(call(*compared, "--format", "md").out)
    assert plain(unverified) in plain(" ".join(call(*compared).out.split()))
    assert json.loads(call(*compared, "--format", "json").out)["verification"] == unverified
    table = call(*compared, "--format", "csv")
    assert unverified in table.err and unverified not in table.out
    assert unverified in call("figures", "--bundle", path, "--format", "svg", "--out", tmp_path / "before").out
    assert call("verify", path, "--glue-dir", tiny_glue, "--stamp").status == 0
    assert "Verified on" in call(*compared).out
    drawn = call("figures", "--bundle", path, "--format", "svg,png,pdf", "--out", tmp_path / "after")
    verified = reader.open_bundle(path).verification
    assert verified.startswith("Verified on") and f"\n{verified}\n" in f"\n{drawn.out}"
    for folder, sentence in (("before", unverified), ("after", verified)):
        for picture in (tmp_path / folder).glob("*.svg"):
            assert f"<dc:description>{sentence}</dc:description>" in picture.read_text()
    for picture in (tmp_path / "after").glob("*.png"):
        assert Image.open(picture).text["Description"] == verified
    assert all(
        f"/Subject ({verified[:20]}".encode() in file.read_bytes() for file in (tmp_path / "after").glob("*.pdf")
    )
    assert all(list((tmp_path / "after").glob(f"*.{kind}")) for kind in ("svg", "png", "pdf"))


def test_comparisons_and_figures_of_a_store_say_neither(store, tmp_path):
    for command in (("compare", "imp", "random-pruning"), ("figures", "--format", "svg", "--out", tmp_path)):
        result = call(*command, "--store", store)
        assert result.status == 0 and "erified" not in result.out + result.err
    assert not any("description" in file.read_text() for file in tmp_path.glob("*.svg"))


def test_the_ranks_of_a_comparison_say_whether_the_bundle_was_verified():
    """Ranks need four tasks or so, which the bundle does not have."""
    lab = Lab()
    for task, label, seed in itertools.product("abcd", ("imp", "magnitude", "heads"), range(2)):
        lab.done(task, label, 0.5, seed, 0.5 + len(label) / 100 + seed / 1000)
    report = build(lab.rows(), ("imp", "magnitude", "heads"), mixed=True, verification=stamp.UNVERIFIED)
    assert stamp.UNVERIFIED in draw_ranks(report, "svg").decode()


def test_a_stamp_without_data_says_so(path, tmp_path):
    (tmp_path / "empty").mkdir()
    assert call("verify", path, "--glue-dir", tmp_path / "empty", "--no-data", "--stamp").status == 0
    assert "the metrics of rte, stsb were not recomputed" in plain(draw(path)["README.md"])


def test_what_is_refused_gets_no_stamp(path, tmp_path):
    (tmp_path / "empty").mkdir()
    assert call("verify", path, "--glue-dir", tmp_path / "empty", "--stamp").status == 2
    assert not stamp.stamp_path(path).exists()


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"retrained": -1}, {"more": 1}, {"date": "yesterday"}, None])
def test_a_stamp_that_is_not_of_this_bundle_counts_for_nothing(path, tiny_glue, change):
    assert call("verify", path, "--glue-dir", tiny_glue, "--stamp").status == 0
    file = stamp.stamp_path(path)
    file.write_text("no JSON" if change is None else json.dumps(json.loads(file.read_text()) | change))
    assert "Unverified" in draw(path)["README.md"]
