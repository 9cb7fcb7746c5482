"""The committed leaderboards: each bundle is verified, and its pages are exactly what the bundle gives.

Metrics on GLUE are recomputed only if GLUE's files lie beside the project.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from commands import call

from prunebench.hooks.registry import Registry
from prunebench.reports.leaderboard import FORMATS
from prunebench.reports.leaderboard.schema import read
from prunebench.sharing.bundle.reader import open_bundle
from prunebench.sharing.bundle.verify import verify

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
GLUE = Path(__file__).parents[3] / "shared" / "glue"
FOLDERS = sorted(path for path in LEADERBOARDS.iterdir() if path.is_dir())
# Options of `prunebench leaderboard` for the pages of a folder, if they are not the default ones.
OPTIONS: dict[str, list[str]] = {}
# The files that every page has; the charts and the files of the tasks depend on the results.
FILES = sorted(name for name, _ in FORMATS.values())


def faults(folder: Path, scratch: Path) -> list[str]:
    """What is wrong with a folder's bundle, and which files differ from what the bundle gives."""
    registry = Registry()
    bundle = open_bundle(folder / "bundle.zip")
    verdict = verify(bundle, registry, str(GLUE) if GLUE.is_dir() else None)
    with_data = {name for name in bundle.manifest.summary.tasks
            if GLUE.is_dir() or registry.get("tasks", name).benchmark != "GLUE"}  # fmt: skip
    result = [*verdict.wrong, *(f"no data of {name}" for name in with_data & verdict.without_data.keys())]
    status, _, err = call(
        "leaderboard", "--bundle", folder / "bundle.zip", "--out", scratch, *OPTIONS.get(folder.name, [])
    )
    if status:
        return [*result, err]
    names = {str(path.relative_to(scratch)) for path in scratch.rglob("*") if path.is_file()}
    for name in sorted(names | {*FILES}):
        if not (folder / name).is_file() or (folder / name).read_bytes() != (scratch / name).read_bytes():
            result.append(f"{name} is not what `prunebench leaderboard --bundle {folder.name}/bundle.zip` writes")
    read(folder / "results.json")
    return [*result, *transfer_faults(folder, scratch / "transfer")]


def transfer_faults(folder: Path, scratch: Path) -> list[str]:
    """Which of the folder's transfer pages, if any, differ from what its suite and its bundle give."""
    if not (folder / "transfer").is_dir():
        return []
    words = ("transfer", folder / f"{folder.name}.toml", "--bundle", folder / "bundle.zip", "--out", scratch)
    status, _, err = call(*words)
    if status:
        return [err]
    names = {path.name for pages in (folder / "transfer", scratch) for path in pages.iterdir()}
    return [
        f"transfer/{name} is not what `prunebench transfer {folder.name}.toml --bundle bundle.zip` writes"
        for name in sorted(names)
        if not (folder / "transfer" / name).is_file()
        or not (scratch / name).is_file()
        or (folder / "transfer" / name).read_bytes() != (scratch / name).read_bytes()
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_committed_leaderboard_is_what_its_bundle_gives(folder, tmp_path):
    assert faults(folder, tmp_path) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_committed_leaderboard_reads_at_a_glance(folder):
    text = (folder / "README.md").read_text()
    assert len(text.splitlines()) < 300
    assert text.split("\n\n")[2].startswith("![") and (folder / "glance.svg").is_file()
    links = re.findall(r"\]\((?!#)([^)]+)\)", text)
    assert len(links) > 1 and all((folder / link).is_file() for link in links)
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.*)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(.*?)\)", text)) == headings
    assert (folder / "index.html").stat().st_size < 1_000_000


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder like the committed ones, after a few trainings on the generated language."""
    folder = tmp_path_factory.mktemp("sound")
    store, bundle = folder / "store", folder / "mine" / "bundle.zip"
    limits = ("--train-limit", "32", "--eval-limit", "32", "--epochs", "1", "--executor", "here")
    options = ("--tasks", "sentiment", "--strategies", "imp", "--sparsities", "0.1", "--seeds", "2", *limits)
    assert call("run", *options, "--model", "quick-bert", "--store", store)[0] == 0
    assert call("bundle", "--store", store, "--out", bundle)[0] == 0
    assert call("leaderboard", "--bundle", bundle, "--out", folder / "mine")[0] == 0
    return folder / "mine"


def test_a_folder_written_from_its_bundle_is_sound(sound, tmp_path):
    assert faults(sound, tmp_path) == []


@pytest.mark.parametrize("name", [*FILES, "tasks/sentiment.md", "glance.svg"])
def test_a_number_changed_by_hand_is_a_fault(sound, tmp_path, name):
    folder = shutil.copytree(sound, tmp_path / "mine")
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("5", "6", 1))
    assert faults(folder, tmp_path / "again") == [
        f"{name} is not what `prunebench leaderboard --bundle mine/bundle.zip` writes"
    ]


def test_a_transfer_that_the_bundle_does_not_hold_is_a_fault(sound, tmp_path):
    folder = shutil.copytree(sound, tmp_path / "mine")
    (folder / "transfer").mkdir()
    (folder / "mine.toml").write_text('tasks = ["sentiment", "entailment"]\nmodel = "quick-bert"\n')
    (fault,) = faults(folder, tmp_path / "again")
    assert "holds no transfer of imp at 0.7 to entailment" in fault


def test_a_missing_page_is_a_fault(sound, tmp_path):
    folder = shutil.copytree(sound, tmp_path / "mine")
    (folder / "results.csv").unlink()
    assert len(faults(folder, tmp_path / "again")) == 1
