"""Exact selection among the 84,934,656 prunable weights of BERT-base, packing, and the memory they take."""

from __future__ import annotations

import resource

import torch
from interleaved import compare

from prunebench.pruning import masks
from prunebench.pruning.bitmask import overlap, unpack
from prunebench.pruning.selection import select
from prunebench.recipes.axes import NM, Blocks

SHAPES = {
    f"layer.{layer}.{name}": shape
    for layer in range(12)
    for name, shape in {
        **dict.fromkeys(("query", "key", "value", "attention_output"), (768, 768)),
        "intermediate": (3072, 768),
        "output": (768, 3072),
    }.items()
}


def main() -> None:
    torch.manual_seed(0)
    scores = {name: torch.randn(shape).abs_() for name, shape in SHAPES.items()}
    full = masks.full(SHAPES)
    total = masks.units(full)
    before = peak()
    half = masks.top_k(scores, full, masks.pruned_count(0.5, total))
    print(f"{total:,} weights; top-k added {peak() - before:.0f} MB at its peak")
    packed = masks.pack(half)
    print(f"packed: {len(packed) * 8 / total:.4f} bits a weight")
    other = masks.pack(masks.top_k(scores, half, masks.pruned_count(0.9, total)))
    things = {
        "top-k to 50 %": lambda: masks.top_k(scores, full, masks.pruned_count(0.5, total)),
        "top-k from 50 % to 90 %": lambda: masks.top_k(scores, half, masks.pruned_count(0.9, total)),
        "layer scope to 50 %": lambda: select(scores, full, 0.5, "layer"),
        "row scope to 50 %": lambda: select(scores, full, 0.5, "row"),
        "row scope from 50 % to 90 %": lambda: select(scores, half, 0.9, "row"),
        "2:4": lambda: select(scores, full, 0.5, pattern=NM(2, 4)),
        "4x1 to 50 %": lambda: select(scores, full, 0.5, pattern=Blocks(4, 1)),
        "pack": lambda: masks.pack(half),
        "unpack": lambda: masks.unpack(packed),
        "overlap of two packed": lambda: overlap(unpack(packed), unpack(other)),
    }
    compare("masks of BERT-base", things, rounds=5)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
