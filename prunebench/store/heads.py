"""The head of a store, `store.json`: the format of its files, the version that wrote it, and a random id.

The first command that writes into a store of an earlier format seals its files and raises the format, so that earlier
versions refuse the store instead of taking its files for damaged ones.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.runtime.environment import version
from prunebench.store import seals, serialization
from prunebench.store.backends import Backend, Damaged
from prunebench.store.files import HEAD, SUFFIX
from prunebench.store.schema import FORMAT, text
from prunebench.store.serialization import SEALS_SINCE

_RESULT = re.compile(r"records/[0-9a-f]{2}/[0-9a-f]{32}\.json|plans/[0-9a-f]{16}\.json")


class HeadDamaged(PrunebenchError):
    """The head of a store cannot be read."""


def read(backend: Backend) -> int:
    """The format of a store.

    Raises:
        FileNotFoundError: if there is no head.
        HeadDamaged: if it is damaged.
        PrunebenchError: if it is of a newer version.
    """
    data = backend.read(HEAD)
    try:
        head = _parse(data)
        written = int(head["format"])
        if written < 1:
            raise ValueError(f"format {written}")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise HeadDamaged(
            f"cannot read {backend.location(HEAD)}: {error}",
            f"expected the {HEAD} of a prunebench store; `prunebench doctor` writes a new one",
        ) from None
    if written > FORMAT:
        raise PrunebenchError(
            f"the store {backend.url!r} was written by prunebench {head.get('prunebench')} in format {written}",
            f"this version reads format {FORMAT}: upgrade prunebench, or name another --store",
        )
    return written


def _parse(data: bytes) -> dict[str, Any]:
    # All versions since format 3 seal this file in the same way.
    if seals.is_sealed(data):
        data = seals.unseal_json(HEAD, data)
        return dict(json.loads(data))
    head = dict(json.loads(data))
    if head["format"] == SEALS_SINCE:
        raise Damaged("it has no checksum")
    return head


def no_store(backend: Backend) -> PrunebenchError:
    """The error where there is no head."""
    if is_headless(backend):
        return PrunebenchError(f"{backend.location(HEAD)} is missing", "`prunebench doctor` writes a new one")
    return PrunebenchError(f"no store in {backend.url!r}", "`prunebench run` makes one; --store names it")


def create(backend: Backend) -> None:
    """Write the head of a new store unless there is one. Raises PrunebenchError where files of others are."""
    if backend.exists(HEAD):
        return
    # A run that was killed at this point leaves a temporary file and nothing else; another run may have created the
    # store since.
    if not backend.is_empty() and not backend.exists(HEAD):
        if is_headless(backend):
            raise no_store(backend)
        raise PrunebenchError(f"{backend.url!r} is not empty and no store", "name an empty or new folder")
    backend.create(HEAD, encode())


def encode(written: int = FORMAT) -> bytes:
    """The head of a new store of that format; its id tells it from another store at the same URL."""
    head = {"format": written, "prunebench": version()}
    if written < SEALS_SINCE:
        return text(head)
    return seals.seal_json(HEAD, text(head | {"id": uuid.uuid4().hex}))


def rebuild(backend: Backend) -> str:
    """Write a new head in place of a damaged or missing one; returns in words what was done."""
    done = f"{backend.set_aside(HEAD)}, and written anew" if backend.exists(HEAD) else "written anew"
    plans = backend.read_all([name for name in backend.names("plans") if name.endswith(SUFFIX["plans"])])
    is_old = plans and not any(map(seals.is_sealed, plans.values()))
    backend.write(HEAD, encode(SEALS_SINCE - 1 if is_old else FORMAT))
    return done


def is_headless(backend: Backend) -> bool:
    """Whether records or plans are there without a head."""
    return not backend.exists(HEAD) and any(
        _RESULT.fullmatch(name) for kind in ("records", "plans") for name in backend.names(kind)
    )


def upgrade(backend: Backend) -> None:
    """Seal every sound file of a store of an earlier format, and raise its format.

    Weights and checkpoints are not worth it: the next run makes them again.
    """
    for kind, check in _checks().items():
        for name in backend.names(kind):
            if name.endswith(SUFFIX[kind]) and not seals.is_sealed(data := backend.read(name)):
                try:
                    check(name, data)
                except Exception:
                    # It stays without a seal, and is reported when it is read.
                    continue
                backend.write(name, (seals.seal_json if SUFFIX[kind] == ".json" else seals.seal_tensors)(name, data))
    backend.write(HEAD, encode())


def _checks() -> dict[str, Callable[[str, bytes], object]]:
    """By kind of file, what raises an error for one that is damaged."""
    import safetensors

    from prunebench.pruning import bitmask

    return {
        "plans": lambda name, data: serialization.parse_plan(name, data, needs_seal=False),
        "failures": lambda name, data: serialization.parse_failure(name, data, needs_seal=False),
        "masks": lambda _, data: bitmask.unpack(data),
        "models": lambda _, data: safetensors.deserialize(data),
    }
