"""Devices, number formats and CPU cores, and how many jobs run on them at a time."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.runtime.memory import free_memory

# Appended to the name of a precision when the model is trained through torch.compile.
COMPILE_SUFFIX = "+compile"

# The memory of a worker without a model, in bytes, and per byte of the model's weights: θ0, the weights, their
# gradients, two moments, and the activations of a batch of 32. Measured with MiniLM.
WORKER_BYTES, BYTES_PER_WEIGHT_BYTE = 500_000_000, 25


def resolve_device(device: str) -> str:
    """ "cpu" or "cuda"; "auto" is "cuda" if this machine has a GPU.

    Any other device is returned without a check, because a job may run on another machine.
    """
    if device == "auto":
        return "cuda" if _has_gpu() else "cpu"
    return device


def check_device(device: str) -> None:
    """Raise PrunebenchError unless this process can compute on `device`."""
    if device == "cuda" and not _has_gpu():
        raise PrunebenchError("there is no CUDA device here", "use --device cpu or auto")


def _has_gpu() -> bool:
    # The version of torch tells whether it was built without CUDA; importing torch to ask it takes a second.
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        if importlib.metadata.version("torch").endswith("+cpu"):
            return False
    import torch

    return torch.cuda.is_available()


def resolve_precision(precision: str, device: str) -> str:
    """ "fp32" or "bf16"; "auto" is "bf16" where the processor or GPU multiplies faster in it.

    Raises PrunebenchError for "auto" on a GPU if this machine has none.
    """
    if precision != "auto":
        return precision
    if device == "cuda":
        if not _has_gpu():
            raise PrunebenchError(
                "there is no CUDA device here",
                "use --device cpu or auto; for jobs on machines that have a GPU, set --precision bf16",
            )
        import torch

        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # AVX512-BF16 without AMX doubles the speed of AMD's processors; Intel's take 1.5 times as long with it as without.
    amd = cpu_info().get("vendor_id") == "AuthenticAMD"
    return "bf16" if "amx_bf16" in cpu_flags() or (amd and "avx512_bf16" in cpu_flags()) else "fp32"


@functools.cache
def cpu_info() -> dict[str, str]:
    """The fields of /proc/cpuinfo, or {} on a system without it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def cpu_flags() -> set[str]:
    """The names of the processor's instruction sets."""
    return set(cpu_info().get("flags", "").split())


def cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs(device: str, weights: int) -> int:
    """How many jobs to run at a time; `weights` is the size of the model's weight files in bytes.

    On CPUs one job per core as far as memory allows, because small matrices use one core better than two. On GPUs one
    job per GPU. A GPU may have capacity for more: tests/bench/gpu.py measures how many are worth asking for with
    `--jobs`.
    """
    if device != "cpu":
        import torch

        return max(1, torch.cuda.device_count())
    memory = free_memory()
    fitting = cores() if memory is None else memory // (WORKER_BYTES + BYTES_PER_WEIGHT_BYTE * weights)
    return max(1, min(cores(), fitting))


def select_gpu(number: int) -> None:
    """Assign a GPU to worker `number` of this machine. GPUs are shared if there are more workers than GPUs."""
    import torch

    if torch.cuda.device_count() > 1:
        torch.cuda.set_device(number % torch.cuda.device_count())


def is_fatal_gpu_error(error: BaseException) -> bool:
    """Whether this process can no longer use its GPU after `error`.

    After such an error, an illegal memory access for example, CUDA raises it again on every further call. Running out
    of memory is not one of them.
    """
    import torch

    return isinstance(error, torch.AcceleratorError)
