"""Files that are imported are written where nobody else can write, whatever others have prepared there."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest
from hooks.test_files import write_plugin
from hooks.test_notebook import Scaled

from prunebench.hooks.files import local_copy, sibling_texts
from prunebench.hooks.notebook import plugin_file
from prunebench.hooks.private import write_privately

FILES = [("mine.py", "X = 1\n")]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache, with nothing in it yet."""
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def check_private(folder: Path) -> None:
    """Nobody else can enter the folder, or what is above it up to the user's cache."""
    assert (folder / "mine.py").read_text() == "X = 1\n"
    root = folder.parent.lstat()
    assert stat.S_ISDIR(root.st_mode) and root.st_mode & 0o077 == 0 and root.st_uid == os.geteuid()


def test_the_folder_is_in_the_cache_of_the_user(cache):
    folder = write_privately(FILES)
    check_private(folder)
    assert folder.parent == cache / "prunebench"
    assert write_privately(FILES) == folder
    assert write_privately([("mine.py", "X = 2\n")]) != folder
    assert not list(folder.glob("*.part"))


def plant_link(cache):
    (cache.parent / "theirs").mkdir()
    (cache / "prunebench").symlink_to(cache.parent / "theirs")


def plant_open_folder(cache):
    (cache / "prunebench").mkdir()
    (cache / "prunebench").chmod(0o777)


def plant_file(cache):
    (cache / "prunebench").touch()


def plant_folder_of_another_user(cache):
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")
    (cache / "prunebench").mkdir(mode=0o700)
    os.chown(cache / "prunebench", 65534, 65534)


def open_the_cache(cache):
    cache.chmod(0o777)


@pytest.mark.parametrize(
    "attack", [plant_link, plant_open_folder, plant_file, plant_folder_of_another_user, open_the_cache]
)
def test_what_others_can_reach_is_not_used(cache, attack):
    attack(cache)
    folder = write_privately(FILES)
    check_private(folder)
    assert cache not in folder.parents
    assert not list(cache.rglob("mine.py")) and not list(cache.parent.glob("theirs/*"))


def test_a_shared_folder_with_the_sticky_bit_will_do(cache):
    cache.chmod(0o1777)
    assert write_privately(FILES).parent == cache / "prunebench"


def test_without_a_cache_the_folder_is_a_temporary_one(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    folder = write_privately(FILES)
    check_private(folder)
    assert folder.parent.parent == Path(tempfile.gettempdir())
    assert write_privately(FILES) == folder


def test_plugins_and_notebooks_are_written_there(cache, tmp_path):
    file = write_plugin(tmp_path)
    text, texts = file.read_text(), sibling_texts(file)
    file.unlink()
    for path in (local_copy(file, text, texts), plugin_file(Scaled)):
        assert path.is_file() and path.parent.parent == cache / "prunebench"
