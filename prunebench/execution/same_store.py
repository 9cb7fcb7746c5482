"""The store of a run stays the one that it began with: one that is removed, renamed or replaced ends the run.

A folder that is gone would otherwise come back with the next file that is written, as half a store.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from prunebench.store.backends import LocalBackend, StoreError
from prunebench.store.files import HEAD
from prunebench.store.store import Store

HINT = "put it back, or run the same command again"


class StoreGone(StoreError):
    """The store of a run is no longer there, or is another one."""


class SameFolder(LocalBackend):
    """A folder that is never created: every file is written to the folder that was there at first."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._identity = self._identify()

    def _identify(self) -> tuple[int, int] | None:
        """The device and the number of the folder; None where there is no store in it."""
        try:
            (self.folder / HEAD).stat()
            stat = self.folder.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def confirm(self) -> None:
        """Raise StoreGone unless the folder is the one that was there at first."""
        now = self._identify()
        if now is None:
            raise StoreGone(f"the store {self.url!r} is gone: it was removed or renamed during the run", HINT)
        if now != self._identity:
            raise StoreGone(f"the store {self.url!r} was replaced by another one during the run", HINT)

    def write(self, name: str, data: bytes) -> None:
        self.confirm()
        super().write(name, data)

    def create(self, name: str, data: bytes) -> bool:
        self.confirm()
        return super().create(name, data)

    def read(self, name: str) -> bytes:
        try:
            return super().read(name)
        except OSError:
            self.confirm()
            raise


def same_store(store: Store) -> Store:
    """The same store, which can be written only as long as it is there; one in object storage as it is."""
    if type(store.backend) is LocalBackend:
        return Store(SameFolder(store.backend.folder), store.format)
    return store


def confirm_store(store: Store, running: Collection[str]) -> None:
    """Raise StoreGone, naming what was `running`, if the store is no longer there."""
    if not isinstance(store.backend, SameFolder):
        return
    try:
        store.backend.confirm()
    except StoreGone as error:
        first, *more = running or ["nothing"]
        rest = f" and {len(more)} more" if more else ""
        raise StoreGone(f"{error.message}; {first}{rest} was running", error.hint) from None
