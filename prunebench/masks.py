"""Masks: exact top-k, random masks with equal counts, one bit a unit on disk, overlap. Knows tensors, not models.

A mask maps a group's name to a boolean tensor; True stays. Scores have the same names and shapes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.phases import pruned_count as pruned_count

Mask = dict[str, Tensor]


def units(mask: Mapping[str, Tensor]) -> int:
    return sum(keep.numel() for keep in mask.values())


def pruned(mask: Mapping[str, Tensor]) -> int:
    """The number of units that are gone."""
    return units(mask) - sum(int(keep.sum()) for keep in mask.values())


def full(shapes: Mapping[str, tuple[int, ...]]) -> Mask:
    """The mask of an unpruned model."""
    return {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}


def top_k(scores: Mapping[str, Tensor], mask: Mapping[str, Tensor], gone: int) -> Mask:
    """The mask in which exactly `gone` units are pruned: those of `mask`, and then the lowest scores of all groups.

    Equal scores go in the order of the groups and of the units in them. Raises PrunebenchError where names or shapes
    differ, a score is NaN, or more than `gone` units are pruned already.
    """
    _check(scores, mask)
    alive = {name: keep.flatten().numpy() for name, keep in mask.items()}
    values = np.concatenate([scores[name].detach().float().flatten().cpu().numpy()[alive[name]] for name in mask])
    if np.isnan(values).any():
        raise PrunebenchError("a score is NaN", "every unit that stands needs a number")
    more = gone - pruned(mask)
    if more < 0 or more > values.size:
        raise PrunebenchError(f"cannot prune to {gone} units: {pruned(mask)} of {units(mask)} are gone already")
    stays = np.ones(values.size, dtype=bool)
    if more:
        threshold = np.partition(values, more - 1)[more - 1]
        stays = values > threshold
        ties = np.flatnonzero(values == threshold)
        stays[ties[more - int((values < threshold).sum()) :]] = True
    result: Mask = {}
    start = 0
    for name, keep in mask.items():
        kept = alive[name].copy()
        count = int(kept.sum())
        kept[kept] = stays[start : start + count]
        result[name] = torch.from_numpy(kept).view(keep.shape)
        start += count
    return result


def _check(scores: Mapping[str, Tensor], mask: Mapping[str, Tensor]) -> None:
    missing, extra = sorted(set(mask) - set(scores)), sorted(set(scores) - set(mask))
    if missing or extra:
        what = f"no score for {missing[0]!r}" if missing else f"a score for {extra[0]!r}, which is not prunable here"
        raise PrunebenchError(what, f"expected one for each of {', '.join(list(mask)[:3])}, …")
    for name, keep in mask.items():
        if scores[name].shape != keep.shape:
            raise PrunebenchError(
                f"the score of {name!r} has shape {tuple(scores[name].shape)}", f"expected {tuple(keep.shape)}"
            )


def shuffle(mask: Mapping[str, Tensor], counts: str, generator: torch.Generator) -> Mask:
    """A random mask with the counts of `mask` in each group (`layer`) or over all groups (`global`).

    Units are ranked by numbers drawn from `generator` alone, so masks of one seed are nested across sparsities.
    """
    ranks = {name: torch.rand(keep.shape, generator=generator, dtype=torch.float64) for name, keep in mask.items()}
    everything = full({name: tuple(keep.shape) for name, keep in mask.items()})
    if counts == "global":
        return top_k(ranks, everything, pruned(mask))
    return {
        name: top_k({name: ranks[name]}, {name: everything[name]}, pruned({name: keep}))[name]
        for name, keep in mask.items()
    }


def pack(mask: Mapping[str, Tensor]) -> bytes:
    """A safetensors file with one bit a unit; shapes and a checksum of the bits are in its metadata."""
    shapes = {name: list(keep.shape) for name, keep in mask.items()}
    bits = {name: np.packbits(keep.flatten().numpy()) for name, keep in mask.items()}
    about = json.dumps({"shapes": shapes, "sha256": _digest(bits)})
    return bytes(safetensors.numpy.save(bits, metadata={"mask": about}))


def unpack(data: bytes) -> Mask:
    """The inverse of `pack`, the order of the groups included. Raises ValueError where the bits are not as written."""
    bits, shapes = _bits(data)
    return {
        name: torch.from_numpy(np.unpackbits(bits[name], count=math.prod(shape)).astype(bool)).view(*shape)
        for name, shape in shapes.items()
    }


def metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file, which its library gives for a path only."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return dict(header["__metadata__"])


def described(data: bytes) -> dict[str, Any]:
    """What a packed mask says in short: the checksum of its bits, its units, and how many of them are gone."""
    bits, shapes = _bits(data)
    number = sum(map(math.prod, shapes.values()))
    kept = sum(int(np.bitwise_count(values).sum(dtype=np.int64)) for values in bits.values())
    return {"sha256": _digest({name: bits[name] for name in shapes}), "units": number, "pruned": number - kept}


def _bits(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    """The packed bits and the shape of each group."""
    bits = safetensors.numpy.load(data)
    about = json.loads(metadata(data)["mask"])
    if _digest({name: bits[name] for name in about["shapes"]}) != about["sha256"]:
        raise ValueError("the bits of a mask do not match their checksum")
    return bits, about["shapes"]


@dataclass(frozen=True)
class Overlap:
    """How many of `units` two masks both keep, and how many at least one of them keeps."""

    units: int
    both: int
    either: int

    @property
    def jaccard(self) -> float:
        """Of the units that either keeps, the fraction that both keep; 1 where neither keeps any."""
        return self.both / self.either if self.either else 1.0

    @property
    def agreement(self) -> float:
        """The fraction of units on which the masks say the same."""
        return 1 - (self.either - self.both) / self.units


def overlap(one: bytes, other: bytes) -> dict[str, Overlap]:
    """The overlap of two packed masks in each group, counted on their bits as they are.

    Raises ValueError where they are of other groups or shapes.
    """
    (bits, shapes), (others, other_shapes) = _bits(one), _bits(other)
    if shapes != other_shapes:
        raise ValueError("the masks are not of the same groups and shapes")
    return {
        name: Overlap(
            math.prod(shape),
            int(np.bitwise_count(bits[name] & others[name]).sum(dtype=np.int64)),
            int(np.bitwise_count(bits[name] | others[name]).sum(dtype=np.int64)),
        )
        for name, shape in shapes.items()
    }


def _digest(bits: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, values in bits.items():
        digest.update(name.encode() + b"\0" + values.tobytes())
    return digest.hexdigest()
