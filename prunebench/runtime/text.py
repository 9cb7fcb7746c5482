"""Text that plugins, stores and bundles bring along, made safe to print and to store."""

from __future__ import annotations

import re

# Bytes of one message, and of a traceback.
LIMIT, DETAILS_LIMIT = 2048, 64 * 1024
# What terminals obey and nobody reads: colours, movements of the cursor, titles of windows.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])|\x9b[0-?]*[ -/]*[@-~]")


def one_line(text: str) -> str:
    """The text without line breaks, tabs and unprintable characters.

    These are control characters, NUL, lone surrogates, and characters that reverse the direction of the text.
    """
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


def clean(text: str, limit: int = LIMIT) -> str:
    """A message on one line, of at most so many bytes, without escape sequences and unprintable characters."""
    # Whatever is this long is cut anyway, and an exception may quote a whole tensor.
    text = text[: 8 * LIMIT]
    if not text.isprintable():
        text = one_line(_ESCAPES.sub("", text))
    return _cut(text, limit)


def clean_lines(text: str) -> str:
    """A traceback whose lines are clean; of one longer than `DETAILS_LIMIT` bytes, the beginning and the end."""
    half = DETAILS_LIMIT // 2
    if len(text) > DETAILS_LIMIT:
        text = f"{text[:half]}\n…\n{text[-half:]}"
    return "\n".join(
        line if line.isprintable() else _printable(_ESCAPES.sub("", line)) for line in text.splitlines()
    ) + "\n" * text.endswith("\n")


def error_text(error: BaseException) -> str:
    """The message of an exception, whose own `__str__` may raise."""
    try:
        return str(error)
    except BaseException as fault:
        return f"(no message: its __str__ raised {type(fault).__name__})"


def _printable(line: str) -> str:
    """The line with its indentation, and a space for each unprintable character."""
    return "".join(character if character.isprintable() else " " for character in line)


def _cut(text: str, limit: int) -> str:
    data = text.encode()
    return text if len(data) <= limit else f"{data[: limit - 3].decode(errors='ignore')}…"
