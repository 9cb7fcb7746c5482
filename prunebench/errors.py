"""The one error that the command line turns into one line and exit status 2. Imports nothing of the project."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PrunebenchError(Exception):
    """Something that the person at the keyboard can mend.

    `message` says what is wrong and what was expected, in lower case and without a full stop;
    `hint` says what to do about it. Everything else that goes wrong keeps its traceback.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[type[PrunebenchError], tuple[str, str]]:
        return type(self), (self.message, self.hint)


def unknown(kind: str, name: str, known: Iterable[str], note: str = "") -> PrunebenchError:
    """The error for a name that is not there, with the nearest name that is."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return PrunebenchError(f"unknown {kind} {name!r}", f"{hint}; {note}" if note else hint)
