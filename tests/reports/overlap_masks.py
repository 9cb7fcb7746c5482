"""Small masks of two matrices, for the tests of the overlap of masks."""

from __future__ import annotations

import numpy as np

from prunebench.models.families import FAMILIES
from prunebench.pruning import bitmask
from prunebench.reports.overlap.masks import MethodMask, locate

SHAPES = {
    "bert.encoder.layer.0.attention.self.query.weight": (4, 3),
    "bert.encoder.layer.1.output.dense.weight": (3, 5),
}
LOCATIONS = {name: locate(name, FAMILIES[0]) for name in SHAPES}


def make_mask(method, task, seed, bits, unit="weight", heads=0):
    packed = bitmask.unpack(bitmask.pack(bits))
    locations = {name: locate(name, FAMILIES[0]) for name in bits}
    return MethodMask(method, task, seed, unit, packed, locations, heads)


def random_bits(generator, share=0.5, shapes=SHAPES):
    """Bits of which about `share` are set."""
    return {name: generator.random(shape) < share for name, shape in shapes.items()}


def two_methods():
    """The masks of two methods on two tasks with two seeds. Method b has the same mask everywhere."""
    generator = np.random.default_rng(1)
    fixed = random_bits(generator)
    return [
        make_mask(method, task, seed, fixed if method == "b" else random_bits(generator))
        for method in ("a", "b")
        for task in ("x", "y")
        for seed in (0, 1)
    ]
