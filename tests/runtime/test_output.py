"""What the code of a plugin prints and warns is reported under its name, and nothing else is."""

from __future__ import annotations

import sys
import threading
import warnings

import pytest

from prunebench.runtime import progress
from prunebench.runtime.output import named_output


@pytest.fixture
def texts():
    reports = []
    with progress.temporary_listener(lambda report: reports.append(report.text)):
        yield reports


def test_lines_of_both_streams_carry_the_name(texts, capsys):
    with named_output("mine"):
        print("one\n\ntwo", end=" ")
        print("still two")
        print("three", file=sys.stderr)
        sys.stdout.write("no end")
    print("after")
    assert texts == ["mine: one", "mine: two still two", "mine: three", "mine: no end"]
    assert capsys.readouterr() == ("after\n", "")


def test_a_bar_is_reported_as_it_ends(texts):
    with named_output("mine"):
        for percent in (0, 50, 100):
            sys.stderr.write(f"\r{percent} %")
        sys.stderr.write("\n")
    assert texts == ["mine: 100 %"]


def test_warnings_carry_the_name_and_where_they_come_from(texts, recwarn):
    line = sys._getframe().f_lineno
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with named_output("mine"):
            warnings.warn("too few", stacklevel=1)
        warnings.warn("of the test", stacklevel=1)
    assert texts == [f"mine: UserWarning: too few (test_output.py, line {line + 4})"]


def test_streams_are_restored_after_an_error():
    before = sys.stdout, sys.stderr, warnings.showwarning
    with pytest.raises(ValueError, match="no"), named_output("mine"):
        raise ValueError("no")
    assert before == (sys.stdout, sys.stderr, warnings.showwarning)


def test_a_listener_prints_to_the_stream_itself(capsys):
    """In this process, a display prints while a method's streams are replaced."""
    with progress.temporary_listener(lambda report: print(report.text, file=sys.stderr)), named_output("mine"):
        print("one")
        with named_output("other"):
            print("two")
    assert capsys.readouterr() == ("", "mine: one\nother: two\n")


def test_other_threads_keep_their_output(texts, capsys):
    def work():
        print("of another thread")
        with named_output("mine"):
            print("nor is this named")

    with named_output("mine"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert texts == []
    assert capsys.readouterr().out == "of another thread\nnor is this named\n"


def test_without_a_listener_lines_are_printed(capsys):
    with named_output("mine"):
        print("one")
    assert capsys.readouterr().out == "mine: one\n"
