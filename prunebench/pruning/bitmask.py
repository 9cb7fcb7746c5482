"""Masks as they lie on disk: one bit a unit, in a safetensors file. Imports no torch.

A mask maps a group's name to bits in the order of its units; a set bit stays.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy


@dataclass(frozen=True, eq=False)
class Packed:
    """A mask: the bits of each group, eight to a byte with the last byte filled up by zeros, and its shape."""

    bits: Mapping[str, np.ndarray]
    shapes: Mapping[str, tuple[int, ...]]

    @cached_property
    def kept(self) -> dict[str, int]:
        """The number of units of each group that stay."""
        return {name: int(np.bitwise_count(bits).sum(dtype=np.int64)) for name, bits in self.bits.items()}

    def units(self, name: str) -> int:
        return math.prod(self.shapes[name])

    def group(self, name: str) -> np.ndarray:
        """A group as booleans in its shape."""
        return np.unpackbits(self.bits[name], count=self.units(name)).astype(bool).reshape(self.shapes[name])


def pack(mask: Mapping[str, np.ndarray]) -> bytes:
    """A safetensors file with one bit a unit; shapes and a checksum of the bits are in its metadata."""
    shapes = {name: list(keep.shape) for name, keep in mask.items()}
    bits = {name: np.packbits(keep.reshape(-1)) for name, keep in mask.items()}
    about = json.dumps({"shapes": shapes, "sha256": _digest(bits)})
    return bytes(safetensors.numpy.save(bits, metadata={"mask": about}))


def unpack(data: bytes) -> Packed:
    """The inverse of `pack`, the order of the groups included. Raises ValueError where the bits are not as written."""
    bits = safetensors.numpy.load(data)
    about = json.loads(metadata(data)["mask"])
    shapes = {name: tuple(shape) for name, shape in about["shapes"].items()}
    found = {name: bits[name] for name in shapes}
    if _digest(found) != about["sha256"]:
        raise ValueError("the bits of a mask do not match their checksum")
    return Packed(found, shapes)


def described(data: bytes) -> dict[str, Any]:
    """A mask in short: the checksum of its bits, its units, and how many of them are gone."""
    mask = unpack(data)
    units = sum(map(mask.units, mask.shapes))
    return {"sha256": _digest(mask.bits), "units": units, "pruned": units - sum(mask.kept.values())}


def metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file, which its library gives for a path only."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return dict(header["__metadata__"])


@dataclass(frozen=True)
class Overlap:
    """Of `units` one mask keeps `one`, the other `other`, and `both` are kept by both."""

    units: int
    one: int
    other: int
    both: int

    @property
    def either(self) -> int:
        """How many at least one of them keeps."""
        return self.one + self.other - self.both

    @property
    def jaccard(self) -> float:
        """Of the units that either keeps, the fraction that both keep; 1 where neither keeps any."""
        return self.both / self.either if self.either else 1.0

    @property
    def agreement(self) -> float:
        """The fraction of units on which the masks say the same."""
        return 1 - (self.either - self.both) / self.units


def overlap(one: Packed, other: Packed) -> dict[str, Overlap]:
    """The overlap of two masks in each group, counted on their bits as they are.

    Raises ValueError where they are of other groups or shapes.
    """
    if one.shapes != other.shapes:
        raise ValueError("the masks are not of the same groups and shapes")
    return {
        name: Overlap(
            one.units(name),
            one.kept[name],
            other.kept[name],
            int(np.bitwise_count(one.bits[name] & other.bits[name]).sum(dtype=np.int64)),
        )
        for name in one.shapes
    }


def _digest(bits: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, values in bits.items():
        digest.update(name.encode() + b"\0" + values.tobytes())
    return digest.hexdigest()
