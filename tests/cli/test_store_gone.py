"""A store that is removed, renamed or replaced in the middle of a run ends it with one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import call, contents, refused
from plugin_files import plugin_file
from samples import tensors

from prunebench.store.backends import StoreError
from prunebench.store.store import Store

DAMAGE = """
import os, shutil
def score(ctx):
    if os.path.exists("CHANGE"):
        os.remove("CHANGE")
        DAMAGE
    return {name: weight.abs() for name, weight in ctx.weights.items()}
"""
WAYS = {
    "removed": ("shutil.rmtree('store')", "the store 'store' is gone: it was removed or renamed during the run"),
    "renamed": ("os.rename('store', 'other')", "the store 'store' is gone: it was removed or renamed during the run"),
    "emptied": (
        "[shutil.rmtree(e) if e.is_dir() else os.remove(e) for e in os.scandir('store')]",
        "the store 'store' is gone",
    ),
    "replaced": ("os.rename('store', 'other'); os.rename('new', 'store')", "the store 'store' was replaced by another"),
}


@pytest.fixture
def damage(tmp_path, monkeypatch):
    """Writes a plugin that does something to the store as it scores for the first time."""
    monkeypatch.chdir(tmp_path)
    Store.create("new")
    Path("CHANGE").touch()

    def write(code):
        file = plugin_file(tmp_path, score="score(ctx)")
        file.write_text(file.read_text() + DAMAGE.replace("DAMAGE", code))
        return ["--strategies", "mine", "--store", "store", "--plugin", file]

    return write


@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_goes_away_ends_the_run(words, damage, way):
    code, message = WAYS[way]
    others = refused(call("run", *words, *damage(code)), message, "rte, seed 0, dense: Train was running")
    assert not [line for line in others if line.startswith("failed")]
    if way == "replaced":
        assert list(contents(Path("store"))) == ["store.json"], "nothing was written to the other store"
    else:
        assert not Path("store").exists() or not list(Path("store").iterdir()), "it did not come back as half a store"


def test_workers_notice_it_too(words, damage):
    options = [*words, *damage("os.rename('store', 'other')"), "--executor", "processes", "--jobs", "1"]
    refused(call("run", *options), WAYS["renamed"][1], "rte, seed 0, dense: Train was running")
    assert not Path("store").exists()
    shutil.move("other", "store")
    for claim in Path("store/runs").iterdir():  # they end with the process of a run, which goes on here
        claim.unlink()
    assert call("run", *options).status == 0, "put back, the store goes on"


REMOTE_WAYS = {
    "removed": ("fs.rm(root, recursive=True)", "is gone: it was removed or renamed during the run"),
    "replaced": (
        "fs.rm(root, recursive=True); from prunebench.store.store import Store; Store.create(URL)",
        "was replaced by another one during the run",
    ),
}


@pytest.mark.parametrize("way", REMOTE_WAYS)
@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_a_store_in_object_storage_that_goes_away_ends_the_run(words, damage, lab_at, request, kind, way):
    url = request.getfixturevalue("bucket").folder() if kind == "s3" else f"memory://{way}"
    code, message = REMOTE_WAYS[way]
    look_up = f"from fsspec.core import url_to_fs; URL = {url!r}; fs, root = url_to_fs(URL); "
    options = [*words, *damage(look_up + code), "--store", url]
    others = refused(call("run", *options), f"the store {url!r} {message}", "rte, seed 0, dense: Train was running")
    assert not [line for line in others if line.startswith("failed")]
    assert lab_at(url).names() == (["store.json"] if way == "replaced" else []), "nothing was written there"
    assert call("run", *options).status == 0, "the same command starts again"


def test_a_store_that_is_left_alone_is_confirmed(tmp_path):
    from prunebench.execution.same_store import confirm_store, same_store

    store = same_store(Store.create(tmp_path / "store"))
    store.add_bytes("masks", "a", tensors(b"x"))
    confirm_store(store, [])
    (tmp_path / "store").rename(tmp_path / "other")
    for act in (lambda: store.add_bytes("masks", "b", tensors(b"x")), lambda: store.load("masks", "a", bytes)):
        with pytest.raises(StoreError, match="is gone"):
            act()
    with pytest.raises(StoreError, match=r"gone.*; one and 1 more was running"):
        confirm_store(store, ["one", "two"])
