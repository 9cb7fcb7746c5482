"""Scopes and patterns as text, and the counts that they require."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.recipes.axes import NM, Blocks, check_level, check_scope, parse_pattern, required_count


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("2:4", NM(2, 4)), ("1:16", NM(1, 16)), ("4x1", Blocks(4, 1)), ("1x2", Blocks(1, 2)), (" 32x32 ", Blocks(32, 32))],
)
def test_patterns_are_read_from_text(text, pattern):
    assert parse_pattern(text) == pattern
    assert str(pattern) == text.strip()


@given(st.integers(1, 64), st.integers(1, 64))
def test_a_pattern_is_its_text(first, second):
    if first < second:
        assert parse_pattern(str(NM(first, second))) == NM(first, second)
    if first * second > 1:
        assert parse_pattern(str(Blocks(first, second))) == Blocks(first, second)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "cannot read pattern") for text in ("", "2", "2:", "2;4", "2:4:8", "-2:4", "2.0:4", "4×1", "٢:4")),
        *((text, "needs 0 < n < m") for text in ("4:4", "0:4", "5:4")),
        *((text, "at least two weights") for text in ("1x1", "0x4", "4x0")),
    ],
)
def test_bad_patterns_are_one_clear_line(text, message):
    with pytest.raises(PrunebenchError, match=message) as caught:
        parse_pattern(text)
    assert "\n" not in str(caught.value)


def test_n_of_m_has_one_sparsity():
    assert [NM(2, 4).level, NM(1, 4).level, NM(4, 8).level] == [0.5, 0.75, 0.5]
    assert check_level(NM(2, 4), 0.5) == ""
    assert check_level(NM(2, 4), 0.7) == "pattern 2:4 has sparsity 0.5, not 0.7"
    assert check_level(NM(1, 3), 0.6666666667) == ""
    assert check_level(NM(1, 3), 0.6667) == "pattern 1:3 has sparsity 0.6666666667, not 0.6667"
    assert check_level(Blocks(4, 1), 0.7) == check_level(None, 0.7) == ""


def test_required_counts_by_hand():
    shapes = {"a": (4, 8), "b": (8, 4)}  # 64 weights
    assert required_count(None, 0.33, shapes) == 21  # 21.12
    assert required_count(NM(1, 4), 0.75, shapes) == 48
    assert required_count(NM(1, 3), 0.6666666667, {"a": (1, 6)}) == 4
    assert required_count(Blocks(4, 1), 0.33, shapes) == 20  # 5.28 of 16 blocks
    assert required_count(Blocks(4, 4), 0.375, shapes) == 32  # 1.5 of 4 blocks, rounded half up
    assert required_count(None, 0.5, {"heads": (3,)}) == 2


@pytest.mark.parametrize(
    ("pattern", "shape", "message"),
    [
        (NM(2, 4), (4, 6), r"2:4 does not divide 'b', whose shape is \(4, 6\)"),
        (NM(2, 4), (12,), "2:4 needs matrices, but 'b' has shape"),
        (Blocks(4, 1), (6, 4), "4x1 does not divide 'b'"),
        (Blocks(1, 4), (4, 6), "1x4 does not divide 'b'"),
    ],
)
def test_a_pattern_must_divide_every_matrix(pattern, shape, message):
    with pytest.raises(PrunebenchError, match=message):
        required_count(pattern, 0.5, {"a": (4, 4), "b": shape})


def test_a_pattern_refuses_more_sparsity_than_it_has():
    assert required_count(NM(2, 4), 0.3, {"a": (4, 4)}) == 5  # 4.8
    with pytest.raises(PrunebenchError, match=r"2:4 has at most sparsity 0\.5, not 0\.6"):
        required_count(NM(2, 4), 0.6, {"a": (4, 4)})


def test_scopes_are_checked_by_name_and_shape():
    heads = {"layer.0.heads": (12,)}
    check_scope("global", heads)
    check_scope("layer", heads)
    check_scope("erk", {"a": (2, 3)})
    for scope in ("row", "erk"):
        with pytest.raises(PrunebenchError, match=f"scope '{scope}' needs matrices, but 'layer.0.heads'"):
            check_scope(scope, heads)
    with pytest.raises(PrunebenchError, match=r"unknown scope 'rows' .did you mean 'row'"):
        check_scope("rows", {})
