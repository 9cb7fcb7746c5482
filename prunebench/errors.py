"""The error that the command line prints as one line, with exit status 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PrunebenchError(Exception):
    """An error that the user can fix. All other exceptions keep their traceback.

    `message` says what is wrong and what was expected, in lower case and without a full stop; `hint` says what to do.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    # Without this, an error that a worker process sends would lose its hint.
    def __reduce__(self) -> tuple[type[PrunebenchError], tuple[str, str]]:
        return type(self), (self.message, self.hint)


def unknown_name(kind: str, name: str, known: Iterable[str], note: str = "") -> PrunebenchError:
    """The error for a name that does not exist. It suggests the nearest known name, or lists all names.

    `note` is appended to the hint.
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(names) or 'none'}"
    return PrunebenchError(f"unknown {kind} {name!r}", f"{hint}; {note}" if note else hint)
