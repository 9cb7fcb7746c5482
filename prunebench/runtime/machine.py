"""This machine: its devices, its number formats, and what a record says of it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib.metadata
import os
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError

# Ends the name of a precision where the model is trained through torch.compile.
COMPILED = "+compile"


def resolve_device(device: str) -> str:
    """`cpu` or `cuda`; `auto` takes a GPU where there is one. One that is named may be elsewhere."""
    if device == "auto":
        return "cuda" if _has_gpu() else "cpu"
    return device


def check_device(device: str) -> None:
    """Raise unless this process can compute on it."""
    if device == "cuda" and not _has_gpu():
        raise PrunebenchError("there is no CUDA device here", "use --device cpu or auto")


def _has_gpu() -> bool:
    # A build without CUDA says so in its version, and to import it takes a second.
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        if importlib.metadata.version("torch").endswith("+cpu"):
            return False
    import torch

    return torch.cuda.is_available()


def resolve_precision(precision: str, device: str) -> str:
    """`fp32` or `bf16`; `auto` takes bf16 where the processor multiplies in it."""
    if precision != "auto":
        return precision
    if device == "cuda":
        if not _has_gpu():
            elsewhere = "for jobs on machines that have one, say --precision bf16"
            raise PrunebenchError("there is no CUDA device here", f"use --device cpu or auto; {elsewhere}")
        import torch

        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    flags = _cpu_flags()
    return "bf16" if {"avx512_bf16", "amx_bf16"} & flags else "fp32"


@functools.cache
def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def _cpu_flags() -> set[str]:
    return set(_cpuinfo().get("flags", "").split())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int | None:
    """Bytes that this process may still take, of the machine or of its container; None where nobody says."""
    found = []
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max" where the container has no limit
        group = Path("/sys/fs/cgroup")
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return min(found, default=None)


# What a worker takes before it has a model, and for each byte of the model's weights: θ0, the weights, their gradients,
# two moments, and the activations of a batch of 32, measured with MiniLM.
WORKER_BYTES, BYTES_PER_WEIGHT_BYTE = 500_000_000, 25


def default_jobs(device: str, weights: int) -> int:
    """How many jobs to run at a time with a model whose weight files have so many bytes.

    One on each GPU; else one for each core, as far as memory goes: small matrices keep one core busy better than two.
    (How many fill a GPU is for `--jobs` to say: tests/bench/gpu.py measures it.)
    """
    if device != "cpu":
        import torch

        return max(1, torch.cuda.device_count())
    memory = free_memory()
    fit = cores() if memory is None else memory // (WORKER_BYTES + BYTES_PER_WEIGHT_BYTE * weights)
    return max(1, min(cores(), fit))


# What glibc calls mallopt's numbers for the memory that it gives back, and for what it asks the system for by itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20


@functools.cache
def _libc() -> Any:
    """The C library where it is glibc."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def keep_memory() -> None:
    """Let this process keep what it frees for what it needs next: each page that it gets anew costs a fault.

    The tensors of a training come and go with every part of a batch. What is kept is given back where the next job
    begins (`reset_peak_memory`).
    """
    if libc := _libc():
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Leave garbage alone where what is made lives on: to look through it costs a quarter of the time of imports.

    Of a plan, which is one large web, it costs as much as the plan itself.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def take_gpu(number: int) -> None:
    """Let the worker of that number compute on a GPU of its own, or share one where there are more workers."""
    import torch

    if torch.cuda.device_count() > 1:
        torch.cuda.set_device(number % torch.cuda.device_count())


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python says that no more memory could be had, here or on a GPU."""
    import torch

    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
        return True
    return isinstance(error, MemoryError | torch.OutOfMemoryError)


def is_lost(error: BaseException) -> bool:
    """Whether after that error a GPU answers this process no more, as after an access to memory that is not there.

    CUDA gives such an error again for whatever it is asked from then on. That its memory is full is none of them.
    """
    import torch

    return isinstance(error, torch.AcceleratorError)


def hardware(device: str) -> str:
    """What the numbers were made on, in words."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    name = _cpuinfo().get("model name") or platform.processor() or platform.machine()
    best = next((flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in _cpu_flags()), "")
    return f"{name}{f' ({best})' if best else ''}, {cores()} cores"


def version() -> str:
    """The version of prunebench that is installed."""
    return importlib.metadata.version("prunebench")


@functools.cache
def _versions() -> dict[str, str]:
    names = ("prunebench", "torch", "transformers", "datasets", "numpy")
    return {name: importlib.metadata.version(name) for name in names}


def environment(device: str) -> dict[str, str | int]:
    """Versions and hardware for a record."""
    import torch

    return {
        **_versions(),
        "python": platform.python_version(),
        "platform": platform.system(),
        "hardware": hardware(device),
        "threads": torch.get_num_threads(),
    }


def reset_peak_memory(device: str) -> None:
    """Begin to measure peak memory anew, where the system can."""
    if libc := _libc():
        libc.malloc_trim(0)
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb(device: str) -> float:
    """The most memory held since the last reset, in MB: on the GPU where it computes there, else resident.

    Where the system has no /proc, the most that this process has ever held.
    """
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6
