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
from typing import Any, NamedTuple, Protocol

from prunebench.errors import PrunebenchError

PART = ".part-"
STALE_SECONDS = 24 * 3600
# To read more files than this, their folders are listed first.
FEW = 16
# Python's own errors that fsspec's drivers raise, beside errors of their own.
_DRIVER_ERRORS = (OSError, ValueError, NotImplementedError)


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
        """The names of all files below that folder, sorted."""

    def files(self) -> dict[str, FileInfo]:
        """Every file by name, sorted, temporary and damaged ones too."""

    def exists(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""

    def read_all(self, names: Collection[str]) -> dict[str, bytes]:
        """The bytes of those files that exist, by name."""

    def write(self, name: str, data: bytes) -> None: ...

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""

    def set_aside(self, name: str) -> str:
        """Rename a damaged file, and return its new name."""


class StoreError(PrunebenchError):
    """The store cannot be written or reached: no job can go on."""


def at(text: str | Path) -> Backend:
    """The backend for a folder or a URL."""
    scheme, _, rest = str(text).rpartition("://")
    if not scheme:
        return LocalBackend(Path(text))
    return LocalBackend(Path(rest)) if scheme in ("file", "local") else RemoteBackend(str(text))


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
        with self._errors_explained():
            return not self.folder.is_dir() or all(path.name.startswith(PART) for path in self.folder.iterdir())

    def names(self, folder: str) -> list[str]:
        found = [
            Path(above, file).relative_to(self.folder).as_posix()
            for above, _, files in os.walk(self.folder / folder)
            for file in files
        ]
        return sorted(found)

    def files(self) -> dict[str, FileInfo]:
        files, now = {}, time.time()
        for name in self.names(""):
            with contextlib.suppress(FileNotFoundError):
                stat = (self.folder / name).stat()
                files[name] = FileInfo(stat.st_size, now - stat.st_mtime)
        return files

    def exists(self, name: str) -> bool:
        with self._errors_explained():
            return (self.folder / name).exists()

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def read_all(self, names: Collection[str]) -> dict[str, bytes]:
        if len(names) > FEW:
            folders = {name.rpartition("/")[0] for name in names}
            there = {f"{folder}/{path.name}" for folder in folders for path in (self.folder / folder).glob("*")}
            names = [name for name in names if name in there]
        found = {}
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found[name] = self.read(name)
        return found

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        with self._errors_explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=PART)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                # Temporary files are private to their owner; results are for everybody who may read the folder.
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise

    def remove(self, name: str) -> None:
        with self._errors_explained():
            (self.folder / name).unlink(missing_ok=True)

    def set_aside(self, name: str) -> str:
        aside = _damaged(name)
        with contextlib.suppress(OSError):
            os.replace(self.folder / name, self.folder / aside)
        return aside

    @contextlib.contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reasons = {
                errno.ENOSPC: "no space is left on its disk",
                errno.EDQUOT: "its disk quota is used up",
                errno.EACCES: "there is no permission to write there",
                errno.EPERM: "there is no permission to write there",
                errno.EROFS: "its disk is read-only",
                errno.ENOTDIR: "a part of its path is a file",
                errno.EEXIST: "a file is in its place",
            }
            if error.errno not in reasons:
                raise
            raise StoreError(
                f"cannot write to the store {self.url!r}: {reasons[error.errno]}",
                "what is stored is safe; the same command with --retry-failed goes on from there",
            ) from error


class RemoteBackend:
    """Object storage, through fsspec. One put writes a file, which then appears whole."""

    def __init__(self, url: str) -> None:
        self.url = url if url.endswith("://") else url.rstrip("/")
        with self._errors_explained():
            self.root: str = self._look_up()[1]

    @property
    def fs(self) -> Any:
        # Looked up each time: fsspec caches one per process, and none survives a fork.
        return self._look_up()[0]

    def _look_up(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        try:
            fs, root = url_to_fs(self.url)
        except ImportError as error:
            missing = getattr(error.__cause__, "name", None) or error.name
            hint = f"pip install {missing}" if missing else str(error)
            raise PrunebenchError(f"the store {self.url!r} needs a package that is not installed", hint) from None
        except ValueError as error:
            raise PrunebenchError(
                f"cannot use {self.url!r} as a store: {_reason(error)}",
                "expected a folder or a URL such as s3://bucket/name",
            ) from None
        return fs, str(root)

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def location(self, name: str) -> str:
        return f"{self.url}/{name}"

    def check(self) -> None:
        """Nothing can be told of object storage before it is used."""

    def prepare(self) -> None:
        self.write(f"{PART}probe", b"")
        self.remove(f"{PART}probe")

    def is_empty(self) -> bool:
        with self._errors_explained():
            try:
                paths = self._fresh().ls(self.root, detail=False)
            except FileNotFoundError:
                return True
        return all(name.startswith(PART) for name in self._names(paths))

    def names(self, folder: str) -> list[str]:
        with self._errors_explained():
            try:
                paths = self._fresh().find(self._path(folder))
            except FileNotFoundError:
                return []
        return sorted(self._names(paths))

    def files(self) -> dict[str, FileInfo]:
        with self._errors_explained():
            try:
                details = self._fresh().find(self.root, detail=True)
            except FileNotFoundError:
                return {}
        sizes = {path: int(entry.get("size") or 0) for path, entry in details.items()}
        return {name: FileInfo(sizes[f"{self.root}/{name}"]) for name in sorted(self._names(list(sizes)))}

    def exists(self, name: str) -> bool:
        # Not fs.exists, which takes any error for absence.
        with self._errors_explained():
            try:
                self._fresh().info(self._path(name))
            except FileNotFoundError:
                return False
        return True

    def read(self, name: str) -> bytes:
        with self._errors_explained():
            return bytes(self._fresh().cat_file(self._path(name)))

    def read_all(self, names: Collection[str]) -> dict[str, bytes]:
        folders = {name.partition("/")[0] for name in names}
        wanted = sorted({name for folder in folders for name in self.names(folder)}.intersection(names))
        found = {}
        with self._errors_explained():
            paths = [self._path(name) for name in wanted]
            results = self.fs.cat_ranges(paths, None, None, on_error="return")
            for name, data in zip(wanted, results, strict=True):
                if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                    raise data
                if not isinstance(data, Exception):
                    found[name] = bytes(data)
        return found

    def write(self, name: str, data: bytes) -> None:
        with self._errors_explained():
            try:
                self.fs.pipe_file(self._path(name), data)
            except FileNotFoundError as error:
                raise self._failed(error) from error

    def remove(self, name: str) -> None:
        with self._errors_explained(), contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self._path(name))

    def set_aside(self, name: str) -> str:
        aside = _damaged(name)
        with contextlib.suppress(FileNotFoundError, StoreError):
            self.write(aside, self.read(name))
            self.remove(name)
        return aside

    def _fresh(self) -> Any:
        """The file system without its cached listings, because other processes write here too."""
        fs = self.fs
        fs.invalidate_cache()
        return fs

    def _names(self, paths: list[str]) -> list[str]:
        """The names of files. Some tools mark a folder by an empty object whose path ends in a slash."""
        return [path.removeprefix(f"{self.root}/") for path in paths if not path.endswith("/") and path != self.root]

    @contextlib.contextmanager
    def _errors_explained(self) -> Iterator[None]:
        """Turn errors of the system and of the drivers into one line."""
        try:
            yield
        except (FileNotFoundError, PrunebenchError):
            raise
        except Exception as error:
            if type(error).__module__ == "builtins" and not isinstance(error, _DRIVER_ERRORS):
                raise
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> StoreError:
        return StoreError(
            f"cannot use the store {self.url!r}: {_reason(error)}",
            "credentials and endpoint come from the environment; what is stored is safe, and --retry-failed goes on",
        )


def _damaged(name: str) -> str:
    return f"{name.rpartition('.')[0]}.damaged"


def _reason(error: Exception) -> str:
    """The text of a driver's error, as the end of a line."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".") or type(error).__name__
    text = text if text[1:2].isupper() else text[:1].lower() + text[1:]
    return f"no permission: {text}" if isinstance(error, PermissionError) else text
