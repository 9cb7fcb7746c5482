"""Versions and hardware, as records name them."""

from __future__ import annotations

import functools
import importlib.metadata
import platform

from prunebench.runtime.devices import cores, cpu_flags, cpu_info


@functools.cache
def version() -> str:
    """The version of the installed prunebench, read once: a process that gives up its rights may not read it later."""
    return importlib.metadata.version("prunebench")


def hardware(device: str) -> str:
    """The GPU, or the processor with its fastest instruction set and its number of cores."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    name = cpu_info().get("model name") or platform.processor() or platform.machine()
    best = next((flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in cpu_flags()), "")
    return f"{name}{f' ({best})' if best else ''}, {cores()} cores"


def environment(device: str) -> dict[str, str | int]:
    """Versions, hardware and the number of threads, for a record."""
    import torch

    return {
        **_versions(),
        "python": platform.python_version(),
        "platform": platform.system(),
        "hardware": hardware(device),
        "threads": torch.get_num_threads(),
    }


@functools.cache
def _versions() -> dict[str, str]:
    names = ("prunebench", "torch", "transformers", "datasets", "numpy")
    return {name: importlib.metadata.version(name) for name in names}
