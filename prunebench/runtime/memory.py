"""Free and peak memory, and how this process allocates and frees it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import platform
import resource
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prunebench.runtime.text import error_text

# Parameters of glibc's mallopt: when free memory is returned to the system, and from which size on a block is
# requested from the system by itself. 32 MiB is the largest value that glibc allows for the second.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20


def free_memory() -> int | None:
    """The bytes that this process can still allocate, on this machine or in its container; None if unknown."""
    limits = []
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max" if the container has no limit
        group = Path("/sys/fs/cgroup")
        limits.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return min(limits, default=None)


# Where Linux counts the processes that it has killed for want of memory: in this container, and on this machine.
_OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/proc/vmstat")


def oom_kills(counters: Iterable[str | Path] = _OOM_COUNTERS) -> int:
    """How many processes the system has killed so far because memory ran out; 0 where it does not say."""
    kills = 0
    for counter in counters:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(counter).read_text().splitlines()
            kills += int(next(line for line in lines if line.startswith("oom_kill ")).split()[1])
    return kills


@functools.cache
def _libc() -> Any:
    """The C library if it is glibc, else None."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def keep_memory() -> None:
    """Make this process keep freed memory for its next allocations, because every new page costs a page fault.

    A training allocates and frees tensors with every batch. `reset_peak_memory` returns the memory to the system when
    the next job begins.
    """
    if libc := _libc():
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Disable garbage collection while many long-lived objects are allocated.

    Collection would take a quarter of the time of imports, and as long as building a large plan itself.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, from torch or Python, means that memory ran out, on this machine or on a GPU."""
    import torch

    if isinstance(error, RuntimeError) and "can't allocate memory" in error_text(error):
        return True
    return isinstance(error, MemoryError | torch.OutOfMemoryError)


def reset_peak_memory(device: str) -> None:
    """Return freed memory to the system and restart the measurement of `peak_memory_mb`, if the system supports it."""
    if libc := _libc():
        libc.malloc_trim(0)
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb(device: str) -> float:
    """The largest amount of memory in use since the last reset, in MB.

    On "cuda" this is memory allocated on the GPU, otherwise the resident memory of this process. On a system without
    /proc the measurement covers the whole life of the process.
    """
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6
