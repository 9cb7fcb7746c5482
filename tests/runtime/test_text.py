"""Messages of plugins and stores: one line, no control characters, never too long."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.runtime.text import DETAILS_LIMIT, LIMIT, clean, clean_lines, error_text, one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("as it  is: θ0 × 2", "as it  is: θ0 × 2"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07rest", "rest"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("a\nb\r\nc\td", "a b c d"),
        ("a\0b", "a b"),
        ("a\u202eb\u2066c", "a b c"),
        ("a\u2028b", "a b"),
        ("a\ud800b", "a b"),
        ("\x9b31mred", "red"),
    ],
)
def test_what_a_terminal_would_obey_is_left_out(text, expected):
    assert clean(text) == expected


anything = st.text(st.sampled_from("\x1b[]0;mHJ\x07\x9b\n\r\t\0\u202eé中 a") | st.characters(), max_size=60)


@given(anything, st.integers(1, 400))
def test_any_message_is_one_short_line(text, times):
    line = clean(text * times)
    assert len(line.encode()) <= LIMIT
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert clean(line) == line


@given(anything)
def test_a_line_keeps_all_that_is_printable(text):
    visible = [character for character in text if character.isprintable() and character != " "]
    assert [character for character in one_line(text) if character != " "] == visible


def test_a_long_message_ends_in_dots_at_a_whole_character():
    line = clean("é" * LIMIT)
    assert line == "é" * ((LIMIT - 3) // 2) + "…"


def test_a_traceback_keeps_its_lines_and_both_ends():
    text = "first\n    \x1b[31mindented\0\n" + "x" * (2 * DETAILS_LIMIT) + "\nlast\n"
    lines = clean_lines(text).splitlines()
    assert lines[:2] == ["first", "    indented "] and lines[-1] == "last"
    assert len(clean_lines(text).encode()) < DETAILS_LIMIT + 100


@pytest.mark.parametrize("fault", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_whose_text_raises_has_a_text(fault):
    class Mute(Exception):
        def __str__(self):
            raise fault

    assert error_text(Mute()) == f"(no message: its __str__ raised {type(fault).__name__})"
