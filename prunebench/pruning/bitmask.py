"""Masks as files: one bit per unit, in the safetensors format.

A mask has a name and a shape for each group of units; a set bit stays. Bits are in the order of the units, eight per
byte, the first one highest, and the last byte is filled with zeros. A mask of BERT-base (84,934,656 weights) takes
1.0008 bits per weight and 12 ms to pack (`tests/bench/README.md`). Example:

    data = pack({"layer.0.heads": np.array([True, False, True, True])})     # the bits 1011 0000
    unpack(data).group("layer.0.heads")                                     # array([True, False, True, True])

Counts and overlaps are computed on the bits as they are.
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
class Bitmask:
    """A mask in memory: by group, its bits (uint8) and its shape.

    `seconds` is what strategies took to find it, from θ0 on; None where the file does not say.
    """

    bits: Mapping[str, np.ndarray]
    shapes: Mapping[str, tuple[int, ...]]
    seconds: float | None = None

    @cached_property
    def kept_units(self) -> dict[str, int]:
        """By group, the number of units that stay."""
        return {name: int(np.bitwise_count(bits).sum(dtype=np.int64)) for name, bits in self.bits.items()}

    def units(self, name: str) -> int:
        """The number of units of a group."""
        return math.prod(self.shapes[name])

    def group(self, name: str) -> np.ndarray:
        """A group as booleans in its shape."""
        return np.unpackbits(self.bits[name], count=self.units(name)).astype(bool).reshape(self.shapes[name])


def pack(mask: Mapping[str, np.ndarray], seconds: float | None = None) -> bytes:
    """A mask of booleans as a file. Its metadata has the shapes, a checksum of the bits, and the `seconds` if known."""
    shapes = {name: list(keep.shape) for name, keep in mask.items()}
    bits = {name: np.packbits(keep.reshape(-1)) for name, keep in mask.items()}
    about = {"shapes": shapes, "sha256": _digest(bits)} | ({} if seconds is None else {"seconds": seconds})
    return bytes(safetensors.numpy.save(bits, metadata={"mask": json.dumps(about)}))


def unpack(data: bytes) -> Bitmask:
    """The inverse of `pack`, including the order of the groups.

    Raises:
        ValueError: if the bits do not match their checksum.
    """
    tensors = safetensors.numpy.load(data)
    about = json.loads(metadata(data)["mask"])
    shapes = {name: tuple(shape) for name, shape in about["shapes"].items()}
    bits = {name: tensors[name] for name in shapes}
    if _digest(bits) != about["sha256"]:
        raise ValueError("the bits of a mask do not match their checksum")
    return Bitmask(bits, shapes, about.get("seconds"))


def summary(data: bytes) -> dict[str, Any]:
    """A summary of a mask: the checksum of its bits, its units, and the number of them that are pruned."""
    mask = unpack(data)
    units = sum(map(mask.units, mask.shapes))
    return {"sha256": _digest(mask.bits), "units": units, "pruned": units - sum(mask.kept_units.values())}


def metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file in memory; the library reads it from a path only."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return dict(header["__metadata__"])


@dataclass(frozen=True)
class Overlap:
    """How many of `units` units one mask keeps, how many the other keeps, and how many `both` keep."""

    units: int
    one: int
    other: int
    both: int

    @property
    def either(self) -> int:
        """The number of units that at least one mask keeps."""
        return self.one + self.other - self.both

    @property
    def jaccard(self) -> float:
        """The Jaccard index of the sets of units that the masks keep; 1 if both are empty."""
        return self.both / self.either if self.either else 1.0

    @property
    def agreement(self) -> float:
        """The fraction of units that both masks keep or both prune."""
        return 1 - (self.either - self.both) / self.units


def overlap(one: Bitmask, other: Bitmask) -> dict[str, Overlap]:
    """The overlap of two masks, by group.

    Raises:
        ValueError: if the masks have different groups or shapes.
    """
    if one.shapes != other.shapes:
        raise ValueError("the masks do not have the same groups and shapes")
    return {
        name: Overlap(
            one.units(name),
            one.kept_units[name],
            other.kept_units[name],
            int(np.bitwise_count(one.bits[name] & other.bits[name]).sum(dtype=np.int64)),
        )
        for name in one.shapes
    }


def _digest(bits: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, values in bits.items():
        digest.update(name.encode() + b"\0" + values.tobytes())
    return digest.hexdigest()
