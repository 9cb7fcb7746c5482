"""The store of a run stays the one that it began with: one that is removed, renamed or replaced ends the run.

It would otherwise come back with the next file that is written, as half a store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from pathlib import Path

from prunebench.store.backends import LocalBackend, StoreError
from prunebench.store.files import HEAD
from prunebench.store.remote import RemoteBackend
from prunebench.store.store import Store

HINT = "put it back, or run the same command again"


class StoreGone(StoreError):
    """The store of a run is no longer there, or is another one."""


class Identity:
    """The store that was at a URL at first; `identify` gives what no other store has, or None where there is none."""

    def __init__(self, url: str, identify: Callable[[], Hashable]) -> None:
        self._url = url
        self._identify = identify
        self._first = identify()

    def confirm(self) -> None:
        """Raise StoreGone unless the store is the one that was there at first."""
        now = self._identify()
        if now is None:
            raise StoreGone(f"the store {self._url!r} is gone: it was removed or renamed during the run", HINT)
        if now != self._first:
            raise StoreGone(f"the store {self._url!r} was replaced by another one during the run", HINT)


class SameFolder(LocalBackend):
    """A folder that is never created: every file is written to the folder that was there at first."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.identity = Identity(self.url, self._identify)

    def _identify(self) -> tuple[int, int] | None:
        """The device and the number of the folder."""
        try:
            (self.folder / HEAD).stat()
            stat = self.folder.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def write(self, name: str, data: bytes) -> None:
        self.identity.confirm()
        super().write(name, data)

    def create(self, name: str, data: bytes) -> bool:
        self.identity.confirm()
        return super().create(name, data)

    def read(self, name: str) -> bytes:
        try:
            return super().read(name)
        except OSError:
            self.identity.confirm()
            raise


class SameObjects(RemoteBackend):
    """Object storage in which every file is written to the store that was there at first."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.identity = Identity(self.url, self._identify)

    def _identify(self) -> bytes | None:
        """The head of the store, which has a random id in it."""
        try:
            return super().read(HEAD)
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        self.identity.confirm()
        super().write(name, data)

    def create(self, name: str, data: bytes) -> bool:
        self.identity.confirm()
        return super().create(name, data)

    def read(self, name: str) -> bytes:
        try:
            return super().read(name)
        except FileNotFoundError:
            self.identity.confirm()
            raise


def same_store(store: Store) -> Store:
    """The same store, which can be written only as long as it is there."""
    backend = store.backend
    if type(backend) is LocalBackend:
        return Store(SameFolder(backend.folder), store.format)
    if type(backend) is RemoteBackend:
        return Store(SameObjects(backend.url), store.format)
    return store


def confirm_store(store: Store, running: Collection[str]) -> None:
    """Raise StoreGone, naming what was `running`, if the store is no longer there."""
    if not isinstance(store.backend, SameFolder | SameObjects):
        return
    try:
        store.backend.identity.confirm()
    except StoreGone as error:
        first, *more = running or ["nothing"]
        rest = f" and {len(more)} more" if more else ""
        raise StoreGone(f"{error.message}; {first}{rest} was running", error.hint) from None
