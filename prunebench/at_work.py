"""Which runs are at work on a store: each says so in a file of `runs/`, as long as it lasts. Imports no torch."""

from __future__ import annotations

import contextlib
import datetime
import json
import platform
import uuid
from collections.abc import Iterator

from prunebench.places import Place, StoreError


@contextlib.contextmanager
def announced(place: Place) -> Iterator[tuple[int, int]]:
    """Say so as long as the block lasts; gives how many runs began earlier, and how many there are.

    One that was killed counts for a day, which does no harm.
    """
    begun = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
    name = f"runs/{uuid.uuid4().hex}.json"
    place.write(name, json.dumps({"begun": begun, "host": platform.node()}).encode())
    try:
        found = _found(place)
        yield sorted(found, key=lambda run: (found[run], run)).index(name), len(found)
    finally:
        with contextlib.suppress(StoreError):
            place.remove(name)


def _found(place: Place) -> dict[str, str]:
    """When each run began that says it is at work; what says so for more than a day is removed."""
    yesterday = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)).isoformat()
    found = {}
    # Beside them may lie the temporary file of one that is just being written.
    names = [name for name in place.names("runs") if name.endswith(".json")]
    for name, data in place.read_all(names).items():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found[name] = str(json.loads(data)["begun"])
    for name in [name for name, begun in found.items() if begun < yesterday]:
        place.remove(name)
        del found[name]
    return found
