"""Where the files of a store lie: a folder of this machine, or anything else that fsspec reaches by a URL.

Names are relative paths with slashes. A file is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from prunebench.errors import PrunebenchError

PART = ".part-"
STALE_SECONDS = 24 * 3600
# To read more files than this, their folders are listed first.
FEW = 16
# Why a file cannot be written or read, by the number of the system's error.
WRITE_REASONS = {
    errno.ENOSPC: "no space is left on its disk",
    errno.EDQUOT: "its disk quota is used up",
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "there is no permission to write there",
    errno.EROFS: "its disk is read-only",
    errno.EIO: "its disk has an input/output error",
    errno.ENOTDIR: "a part of its path is a file",
    errno.EISDIR: "a folder is in the place of a file",
    errno.ENOTEMPTY: "a folder is in the place of a file",
    errno.ELOOP: "a link leads to itself",
    errno.EEXIST: "a file is in its place",
}
READ_REASONS = {
    errno.EACCES: "there is no permission to read",
    errno.EPERM: "there is no permission to read",
    errno.EIO: "its disk has an input/output error",
    errno.ESTALE: "its network disk is gone",
    errno.ENOTCONN: "its network disk is gone",
    errno.ENOTDIR: "a part of the path is a file",
    errno.ELOOP: "a link leads to itself",
}
# Errors of file systems that have no hard links.
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class FileInfo(NamedTuple):
    """The bytes of a file, and the seconds since it was written; infinite where the backend does not say."""

    size: int
    age: float = math.inf


class Backend(Protocol):
    """The files of a store. `url` is the folder or URL that the user named."""

    url: str

    def location(self, name: str) -> str:
        """The full path or URL of a file, for messages."""

    def check(self) -> None:
        """Raise PrunebenchError where no store can be, such as at the path of a file."""

    def prepare(self) -> None:
        """Raise StoreError unless files can be written here, and remove old files of killed writers."""

    def is_empty(self) -> bool:
        """Whether nothing is here, temporary files of killed writers aside."""

    def names(self, folder: str) -> list[str]:
        """The names of all files below that folder, sorted, temporary ones aside."""

    def files(self) -> dict[str, FileInfo]:
        """Every file by name, sorted, temporary and damaged ones too."""

    def exists(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """The bytes of a file; none of a folder or a broken link in its place. Raises FileNotFoundError."""

    def read_all(self, names: Collection[str]) -> dict[str, bytes]:
        """The bytes of those files that exist, by name."""

    def write(self, name: str, data: bytes) -> None: ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one, and return whether it was written. The first of two writers wins."""

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""

    def set_aside(self, name: str) -> str:
        """Rename a damaged file, and return in words what became of it."""


class StoreError(PrunebenchError):
    """The store cannot be written, read or reached: no job can go on."""


class Damaged(ValueError):
    """A file is not as it was written; the message says how."""


def at(text: str | Path) -> Backend:
    """The backend for a folder or a URL."""
    scheme, _, rest = str(text).rpartition("://")
    if not scheme:
        return LocalBackend(Path(text))
    return LocalBackend(Path(rest)) if scheme in ("file", "local") else _remote(str(text))


def _remote(url: str) -> Backend:
    from prunebench.store.remote import RemoteBackend

    return RemoteBackend(url)


class LocalBackend:
    """A folder. A file is written under a temporary name in the same folder, flushed to disk and renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = str(folder)

    def location(self, name: str) -> str:
        return str(self.folder / name)

    def check(self) -> None:
        for path in (self.folder, *self.folder.parents):
            if path.is_dir():
                return
            if path.exists():
                raise PrunebenchError(f"cannot use {self.url!r} as a store: {str(path)!r} is a file", "name a folder")

    def prepare(self) -> None:
        with self._errors_explained():
            handle, probe = tempfile.mkstemp(dir=self.folder, prefix=PART)
            os.close(handle)
            os.unlink(probe)
            for part in self.folder.rglob(f"{PART}*"):
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - part.stat().st_mtime > STALE_SECONDS:
                        part.unlink()

    def is_empty(self) -> bool:
        with self._errors_explained("read"):
            return not self.folder.is_dir() or all(path.name.startswith(PART) for path in self.folder.iterdir())

    def names(self, folder: str) -> list[str]:
        return [name for name in self._walk(folder) if not is_temporary(name)]

    def _walk(self, folder: str) -> list[str]:
        """The names of all files, and of folders in the place of files: those whose name has an ending."""
        names: list[str] = []

        def raise_error(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        with self._errors_explained("read"):
            for above, folders, files in os.walk(self.folder / folder, onerror=raise_error):
                wrong = [name for name in folders if Path(name).suffix]
                folders[:] = [name for name in folders if name not in wrong]
                names += [Path(above, name).relative_to(self.folder).as_posix() for name in (*files, *wrong)]
        return sorted(names)

    def files(self) -> dict[str, FileInfo]:
        files, now = {}, time.time()
        for name in self._walk(""):
            with contextlib.suppress(FileNotFoundError):
                path = self.folder / name
                # A link may lead to itself.
                stat = path.stat() if path.exists() else path.lstat()
                if not path.is_dir():
                    files[name] = FileInfo(stat.st_size, now - stat.st_mtime)
        return files

    def exists(self, name: str) -> bool:
        with self._errors_explained("read"):
            return (self.folder / name).exists()

    def read(self, name: str) -> bytes:
        with self._errors_explained("read"):
            path = self.folder / name
            try:
                return path.read_bytes()
            except OSError as error:
                # A link that leads nowhere is listed like a file, so it must not count as absent.
                nowhere = error.errno == errno.ENOENT and path.is_symlink()
                if nowhere or error.errno in (errno.EISDIR, errno.ELOOP):
                    return b""
                raise

    def read_all(self, names: Collection[str]) -> dict[str, bytes]:
        if len(names) > FEW:
            there: set[str] = set()
            for folder in {name.rpartition("/")[0] for name in names}:
                with self._errors_explained("read"), contextlib.suppress(FileNotFoundError):
                    there.update(f"{folder}/{name}" for name in os.listdir(self.folder / folder))
            names = [name for name in names if name in there]
        contents = {}
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                contents[name] = self.read(name)
        return contents

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        with self._errors_explained(), self._temporary(path, data) as temporary:
            if path.is_dir():
                self.set_aside(name)
            os.replace(temporary, path)

    def create(self, name: str, data: bytes) -> bool:
        path = self.folder / name
        with self._errors_explained(), self._temporary(path, data) as temporary:
            # A folder, or a link that leads nowhere.
            if not path.is_file() and os.path.lexists(path):
                self.set_aside(name)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                if path.exists():
                    return False
                os.replace(temporary, path)
        return True

    @contextlib.contextmanager
    def _temporary(self, path: Path, data: bytes) -> Iterator[str]:
        """A temporary file with `data` beside `path`, which is removed at the end unless it was renamed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=PART)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            # Temporary files are private to their owner; results are for everybody who may read the folder.
            os.chmod(temporary, 0o644)
            yield temporary
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def remove(self, name: str) -> None:
        with self._errors_explained():
            (self.folder / name).unlink(missing_ok=True)

    def set_aside(self, name: str) -> str:
        aside = damaged_name(name)
        try:
            os.replace(self.folder / name, self.folder / aside)
        except FileNotFoundError:
            return "it is gone"
        except OSError as error:
            return f"it cannot be moved aside: {WRITE_REASONS.get(error.errno or 0, error.strerror)}"
        return f"moved to {aside.rpartition('/')[2]}"

    @contextlib.contextmanager
    def _errors_explained(self, action: str = "write to") -> Iterator[None]:
        """Turn errors of the system into one line. A file that is not there is for the caller to explain."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            reasons = WRITE_REASONS if action == "write to" else READ_REASONS
            if error.errno not in reasons:
                raise
            what = f" at {error.filename!r}" if action == "read" and error.filename else ""
            raise StoreError(
                f"cannot {action} the store {self.url!r}: {reasons[error.errno]}{what}",
                "what is stored is safe; the same command with --retry-failed goes on from there"
                if action == "write to"
                else "the same command works once its files can be read",
            ) from error


def is_temporary(name: str) -> bool:
    """Whether a file is being written, or its writer was killed."""
    return name.rpartition("/")[2].startswith(PART)


def damaged_name(name: str) -> str:
    return f"{name}.damaged"
