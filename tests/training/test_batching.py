"""Batches in parts of similar length."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebench.training import batching


def encoded_texts(lengths):
    rows = torch.zeros(len(lengths), 64, dtype=torch.int32)
    return batching.EncodedSplit({"input_ids": rows}, torch.zeros(len(lengths)), torch.tensor(lengths))


def cost_of(widths, cuts, price):
    bounds = itertools.pairwise([0, *cuts, len(widths)])
    return sum((end - start) * widths[end - 1] + price for start, end in bounds)


@given(st.lists(st.integers(1, 64), min_size=1, max_size=9), st.sampled_from([1, 16, 100]))
def test_parts_of_a_batch_are_the_cheapest_of_all_cuts(lengths, price):
    """Against every way to cut the sorted batch."""
    encoded, batch = encoded_texts([5, *lengths]), [*range(1, len(lengths) + 1)]
    parts = batching.parts(encoded, batch, price)
    assert sorted(itertools.chain(*parts)) == batch
    widths = sorted(-(-length // 8) * 8 for length in lengths)
    cuts = (cuts for number in range(len(lengths)) for cuts in itertools.combinations(range(1, len(lengths)), number))
    actual = sum(encoded.batch(part)["input_ids"].numel() + price for part in parts)
    assert actual == min(cost_of(widths, cut, price) for cut in cuts)


def test_the_example_of_the_documentation():
    encoded = encoded_texts([8, 5, 13, 64, 60])
    assert [sorted(part) for part in batching.parts(encoded, range(5), 40)] == [[3, 4], [0, 1, 2]]
