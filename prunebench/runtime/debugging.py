"""Whether errors keep their way up, and plugins the terminal: for `prunebench run --debug`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_debugging = False


def is_debugging() -> bool:
    """Whether this process runs a job for a debugger."""
    return _debugging


@contextmanager
def debug_mode(enabled: bool = True) -> Iterator[None]:
    """A context in which an error in the code of a plugin is raised as it is, and ends the run.

    What that code prints goes to the terminal itself, so that `breakpoint()` works, and no call has a time limit.
    """
    global _debugging
    before, _debugging = _debugging, enabled
    try:
        yield
    finally:
        _debugging = before
