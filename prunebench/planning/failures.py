"""What a job says of a branch that could not be run."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from prunebench.hooks.plugins import error_line
from prunebench.runtime.text import clean_lines


@dataclass(frozen=True)
class Failure:
    """A branch of a job that could not be run: the node where it broke off, and why; `details` are a traceback."""

    key: str
    reason: str
    details: str

    @classmethod
    def of(cls, key: str, error: BaseException) -> Failure:
        """The failure of that node by an exception, in clean text."""
        return cls(key, error_line(error), clean_lines("".join(traceback.format_exception(error))))
