"""A folder of this user alone, for files that are imported: whoever writes there has code run.

A folder of a name that others can guess, in a folder that others can write to, may be theirs, or a link of theirs.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_privately(files: Iterable[tuple[str, str]]) -> Path:
    """Write files, given by name and text, to a folder of this user that belongs to their contents, and return it."""
    files = list(files)
    contents = "".join(f"{name} {len(text)}\n{text}" for name, text in files)
    folder = _root() / hashlib.sha256(contents.encode()).hexdigest()[:16]
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in files:
        part = folder / f"{name}.{os.getpid()}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / name)
    return folder


def _root() -> Path:
    """`prunebench` in the user's cache, or a new temporary folder where others could write to that."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return _checked(cache / "prunebench")
    except (OSError, RuntimeError):  # no home, no permission, or a folder of others
        return _temporary_folder()


def _checked(folder: Path) -> Path:
    """The folder, created if needed. Raises OSError unless it is a folder of this user that nobody else can enter."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    above = folder.parent.stat()
    if above.st_uid not in (0, os.geteuid()) or (above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX):
        raise PermissionError(f"others can replace {folder}")
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        raise PermissionError(f"{folder} is not private")
    return folder


@functools.cache
def _temporary_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="prunebench-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
