"""How a worker process ended, told by its exit status, and what to do about it."""

from __future__ import annotations

import signal
from typing import NamedTuple

OUT_OF_MEMORY = "as the system ran out of memory"
LESS_MEMORY = "fewer --jobs need less memory"
# What a signal means where a process dies of it, and advice.
_SIGNALS = {
    "SIGKILL": ("", f"perhaps memory ran out: {LESS_MEMORY}; or somebody, or a batch system, ended it"),
    "SIGTERM": ("", "somebody, or a batch system, ended it"),
    "SIGSEGV": ("a segmentation fault", "compiled code crashed; PYTHONFAULTHANDLER=1 shows where"),
    "SIGBUS": ("a bus error", "perhaps /dev/shm or the disk is full, or a file was cut while it was read"),
    "SIGABRT": ("an abort", "compiled code gave up; its message stands above, and PYTHONFAULTHANDLER=1 shows where"),
    "SIGFPE": ("an arithmetic error", "compiled code crashed; PYTHONFAULTHANDLER=1 shows where"),
    "SIGILL": ("an illegal instruction", "a package was built for another processor: install it again here"),
    "SIGXCPU": ("its limit of processor time", "`ulimit -t` shows it"),
    "SIGXFSZ": ("its limit of the size of files", "`ulimit -f` shows it"),
}


class Death(NamedTuple):
    """How a process ended, in the words of a sentence about `it`, and advice."""

    reason: str
    hint: str
    out_of_memory: bool = False


def describe_death(code: int, out_of_memory: bool) -> Death:
    """How a process with that exit code ended, which is the negative number of a signal if it died of one.

    `out_of_memory` says that the system has counted a process that it killed for want of memory.
    """
    if code >= 0:
        who = "the code that it ran, such as a plugin, called exit or os._exit"
        return Death(f"it ended with status {code}", who if code != 1 else f"{who}, or its error stands above")
    if code == -signal.SIGKILL and out_of_memory:
        return Death(f"it was killed by SIGKILL (signal 9), {OUT_OF_MEMORY}", LESS_MEMORY, True)
    known = -code in set(signal.Signals)
    name = signal.Signals(-code).name if known else ""
    meaning, hint = _SIGNALS.get(name, ("", ""))
    reason = f"it was killed by {name} (signal {-code})" if known else f"it was killed by signal {-code}"
    return Death(f"{reason}, {meaning}" if meaning else reason, hint)
