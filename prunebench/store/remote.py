"""Object storage as the backend of a store: anything that fsspec reaches by a URL."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.store.backends import PART, FileInfo, StoreError, damaged_name, is_temporary

# Python's own errors that fsspec's drivers raise, beside errors of their own.
_DRIVER_ERRORS = (OSError, ValueError, NotImplementedError)


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
        return all(map(is_temporary, self._names(paths)))

    def names(self, folder: str) -> list[str]:
        with self._errors_explained():
            try:
                paths = self._fresh().find(self._path(folder))
            except FileNotFoundError:
                return []
        return sorted(name for name in self._names(paths) if not is_temporary(name))

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
        existing = sorted({name for folder in folders for name in self.names(folder)}.intersection(names))
        contents = {}
        with self._errors_explained():
            paths = [self._path(name) for name in existing]
            results = self.fs.cat_ranges(paths, None, None, on_error="return")
            for name, data in zip(existing, results, strict=True):
                if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                    raise data
                if not isinstance(data, Exception):
                    contents[name] = bytes(data)
        return contents

    def write(self, name: str, data: bytes) -> None:
        with self._errors_explained():
            try:
                self.fs.pipe_file(self._path(name), data)
            except FileNotFoundError as error:
                raise self._failed(error) from error

    def create(self, name: str, data: bytes) -> bool:
        if self.exists(name):
            return False
        with self._errors_explained():
            try:
                self.fs.pipe_file(self._path(name), data, mode="create")
                return True
            except FileExistsError:
                return False
            except Exception:
                # Another writer was first, or the service has no such put: then the last writer wins.
                if self.exists(name):
                    return False
        self.write(name, data)
        return True

    def remove(self, name: str) -> None:
        with self._errors_explained(), contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self._path(name))

    def set_aside(self, name: str) -> str:
        aside = damaged_name(name)
        try:
            self.write(aside, self.read(name))
            self.remove(name)
        except FileNotFoundError:
            return "it is gone"
        except StoreError as error:
            return f"it cannot be moved aside: {error.message}"
        return f"moved to {aside.rpartition('/')[2]}"

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


def _reason(error: Exception) -> str:
    """The text of a driver's error, as the end of a line."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".") or type(error).__name__
    text = text if text[1:2].isupper() else text[:1].lower() + text[1:]
    return f"no permission: {text}" if isinstance(error, PermissionError) else text
