"""Whatever a method raises, every place that shows it shows one clean, short line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import call, refused
from plugin_files import plugin_file

EVIL = """
class Evil(Exception):
    def __str__(self):
        CODE
def score(ctx):
    print("\\x1b[31mI print\\x1b[0m")
    raise Evil
"""
MESSAGES = {
    "a text for the terminal": (r"return '\x1b[2J\x1b[31mred\x1b[0m\nnext\0\u202e' + 'x' * 100_000", "Evil: red next"),
    "a lone surrogate": (r"return 'a\ud800b'", "Evil: a b (mine.py"),
    "no text": ("raise ValueError", "Evil: (no message: its __str__ raised ValueError) (mine.py"),
    "no text, and an end": ("raise SystemExit(3)", "Evil: (no message: its __str__ raised SystemExit) (mine.py"),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_is_clean_wherever_it_is_shown(words, tmp_path, monkeypatch, kind):
    code, expected = MESSAGES[kind]
    monkeypatch.chdir(tmp_path)
    file = plugin_file(tmp_path, score="score(ctx)")
    file.write_text(file.read_text() + EVIL.replace("CODE", code))
    result = call("run", *words, "--strategies", "mine", "--store", "store", "--plugin", file)
    lines = refused(result, "1 failure")
    [failed] = [line for line in lines if line.startswith("failed: ")]
    assert f"strategy 'mine' raised {expected}" in failed
    assert "(mine.py, line " in failed and len(failed.encode()) <= 2048
    assert "mine: I print" in lines
    for path in Path("store/failures").iterdir():
        stored = json.loads(path.read_bytes())
        assert expected in stored["reason"] and len(stored["reason"].encode()) <= 2048
        assert all(line.isprintable() for line in stored["details"].splitlines())
    doctor = call("doctor", "--store", "store")
    table = call("results", "--store", "store", "--format", "csv")
    for text in (result.out, result.err, doctor.out, doctor.err, table.out):
        assert all(line.isprintable() for line in text.splitlines())
    assert expected in doctor.out and expected in table.out
    assert call("leaderboard", "--store", "store", "--out", "pages").status == 0
    for path in Path("pages").rglob("*.*"):
        if path.suffix in (".md", ".csv", ".html", ".svg", ".tex"):
            assert not {"\x1b", "\0", "\u202e", "\x9b"} & set(path.read_text(encoding="utf-8")), path
