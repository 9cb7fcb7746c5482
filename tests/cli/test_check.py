"""`prunebench check`: a table of the checks, and exit status 1 where one fails."""

from __future__ import annotations

import pytest
from commands import call, refused
from plugin_files import plugin_file


def test_a_faulty_file_is_shown_and_fails(tmp_path):
    file = plugin_file(tmp_path, score="print('I score') or {n: w.abs() ** self.power for n, w in ctx.weights.items()}")
    result = call("check", file)
    assert result.status == 1
    rows = {line[:24].strip(): line for line in result.out.splitlines()}
    assert result.out.splitlines()[0] == "mine: 20 passed, 2 failed, 3 not needed"
    assert "failed" in rows["silence"] and "'mine: I score'" in rows["silence"]
    # The docstring of the file's method names no source.
    assert "failed" in rows["source"]
    assert "passed" in rows["exact counts"] and "0, 2048, 3686 of 4096 units" in rows["exact counts"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os\nos._exit(3)\n", "cannot be checked: the import ends the process: exit status 3"),
        ("raise SystemExit(2)\n", "cannot be checked: the import ends the process"),
        ("import prunebench\n", "it has no hooks"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_line(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    refused(call("check", tmp_path / "mine.py"), message)


def test_a_slow_import_is_named(tmp_path):
    from prunebench.hooks.registry import Registry
    from prunebench.testing.check import FAILED
    from prunebench.testing.imports import quick_import
    from prunebench.testing.kit import subjects

    file = plugin_file(tmp_path)
    for line, text in (("import time; time.sleep(1.1)", "1.1 s"), ("import scipy", "it imports scipy")):
        other = tmp_path / f"{text[3:6].strip()}.py"
        other.write_text(f"{line}\n{file.read_text()}")
        (subject,) = subjects(["mine"], Registry([other]))
        outcome = quick_import(subject)
        assert outcome.status == FAILED and text in outcome.actual


@pytest.mark.parametrize(
    ("words", "message"),
    [(["nothing.py"], "no plugin file"), ([], "nothing to check"), (["magnitud"], "did you mean 'magnitude'?")],
)
def test_what_is_not_there_is_an_error(words, message):
    refused(call("check", *words), message)
