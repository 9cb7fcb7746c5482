"""The global state of this process that decides numbers: how to read it, and how to set it again.

The generators of `random` and numpy are left out: other threads, such as those of Dask, draw from them, and no training
does. The number of threads between operators is left out too, as torch sets it once only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, overrides
from torch.utils import _python_dispatch as dispatch

from prunebench.errors import PrunebenchError

HINT = "; ctx.generator() gives random numbers"
State = dict[str, Any]

# A mode of inference that a call leaves is undone by another one, which lasts as long as it is in this list.
_inference: list[torch.inference_mode] = []


def _bytes(state: bytes) -> Tensor:
    return torch.frombuffer(bytearray(state), dtype=torch.uint8)


def _set_inference(enabled: bool) -> None:
    _inference.append(torch.inference_mode(enabled))
    _inference[-1].__enter__()


def _modes() -> tuple[Any, ...]:
    """The modes that act on every function of torch, such as the default device, outermost first."""
    return *overrides._get_current_function_mode_stack(), *dispatch._get_current_dispatch_mode_stack()


def _set_modes(modes: tuple[Any, ...]) -> None:
    """Leave all modes that were entered since there were these."""
    while dispatch._get_current_dispatch_mode_stack() and _modes()[-1] not in modes:
        dispatch._pop_mode()
    if torch.get_default_device() != torch.device("cpu") and not any(map(_is_device, modes)):
        torch.set_default_device(None)
    while (stack := overrides._get_current_function_mode_stack()) and stack[-1] not in modes:
        overrides._pop_mode()


def _is_device(mode: Any) -> bool:
    return hasattr(mode, "device")


def _autocast() -> tuple[Any, ...]:
    """The switches, and how many contexts are open: torch keeps its casts of weights until the outermost one ends."""
    kinds = ("cpu", "cuda")
    return _open_contexts(), [(kind, torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in kinds]


def _open_contexts() -> int:
    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())


def _set_autocast(state: tuple[Any, ...]) -> None:
    contexts, kinds = state
    while _open_contexts() > contexts:
        torch.autocast_decrement_nesting()
    while _open_contexts() < contexts:
        torch.autocast_increment_nesting()
    torch.clear_autocast_cache()
    for kind, enabled, dtype in kinds:
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)


def _precision_switches() -> list[Any]:
    """The objects whose `fp32_precision` is a switch, in versions of torch that have it."""
    mkldnn, cuda = torch.backends.mkldnn, torch.backends.cuda
    every = [torch.backends, mkldnn, getattr(mkldnn, "matmul", None), getattr(cuda, "matmul", None)]
    return [each for each in every if hasattr(each, "fp32_precision")]


def _precision() -> tuple[str, ...]:
    """The old switch and the new ones, of which the old one cannot be read where they contradict each other."""
    try:
        old = torch.get_float32_matmul_precision()
    except RuntimeError:
        old = "mixed"
    return old, *(each.fp32_precision for each in _precision_switches())


def _set_precision(state: tuple[str, ...]) -> None:
    old, *new = state
    if old != "mixed":
        torch.set_float32_matmul_precision(old)
    for each, value in zip(_precision_switches(), new, strict=True):
        each.fp32_precision = value


def _attention() -> tuple[bool, ...]:
    """Which of its ways `scaled_dot_product_attention` may take."""
    cuda = torch.backends.cuda
    return cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()


def _set_attention(state: tuple[bool, ...]) -> None:
    cuda = torch.backends.cuda
    for enable, value in zip(
        (cuda.enable_flash_sdp, cuda.enable_mem_efficient_sdp, cuda.enable_math_sdp), state, strict=True
    ):
        enable(value)


def _keeps_denormal() -> bool:
    """Whether numbers below the normal range stay as they are; torch has no function that says so."""
    return float(torch.full((), 1e-310, dtype=torch.float64, device="cpu") * 1.0) != 0


def _cudnn() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    return bool(cudnn.enabled), bool(cudnn.benchmark), bool(cudnn.deterministic)


def _set_cudnn(state: tuple[bool, ...]) -> None:
    torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = state


# What it is called, how to read it, and how to set it. Modes come first: they change what the other functions do.
PROCESS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "the default device, or a mode of torch": (_modes, _set_modes),
    "the mode of inference": (torch.is_inference_mode_enabled, _set_inference),
    "the switch for gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "the switch for deterministic algorithms": (
        torch.get_deterministic_debug_mode,
        torch.set_deterministic_debug_mode,
    ),
    "the precision of float32 products": (_precision, _set_precision),
    "the switch for mkldnn": (
        lambda: bool(torch.backends.mkldnn.enabled),
        lambda enabled: torch.backends.mkldnn.set_flags(enabled),
    ),
    "the switches of cuDNN": (_cudnn, _set_cudnn),
    "the switches of attention": (_attention, _set_attention),
    "autocast": (_autocast, _set_autocast),
    "the detection of anomalies": (
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda state: torch.set_anomaly_enabled(*state),
    ),
    "the switch for denormal numbers": (_keeps_denormal, lambda keeps: torch.set_flush_denormal(not keeps)),
    "the working folder": (os.getcwd, os.chdir),
    f"torch's random state{HINT}": (
        lambda: torch.get_rng_state().numpy().tobytes(),
        lambda state: torch.set_rng_state(_bytes(state)),
    ),
    f"the random state of the GPU{HINT}": (
        lambda: torch.cuda.get_rng_state().numpy().tobytes() if torch.cuda.is_initialized() else b"",
        lambda state: torch.cuda.set_rng_state(_bytes(state)) if state else None,
    ),
}


def read_state() -> State:
    """The state now, by what it is called."""
    return {name: _read(read) for name, (read, _) in PROCESS.items()}


def state_changes(before: State, *, randomness: bool = False) -> Iterator[str]:
    """What differs from `before`, by name; the random state of torch may differ with `randomness`."""
    for name, (read, _) in PROCESS.items():
        if not (randomness and HINT in name) and _read(read) != before[name]:
            yield name


def restore_state(before: State) -> None:
    """Set what differs to what it was."""
    for name, (read, write) in PROCESS.items():
        if _read(read) != before[name]:
            write(before[name])


@contextmanager
def unchanged_state(who: str) -> Iterator[None]:
    """A context for code of `who`, after which the state is what it was, the random state of torch aside.

    Raises PrunebenchError, naming the change, where the code changed anything.
    """
    before = read_state()
    changes: list[str] = []
    try:
        yield
    finally:
        if changes := list(state_changes(before, randomness=True)):
            restore_state(before)
    if changes:
        raise PrunebenchError(f"{who} changed {changes[0]}", "it leaves the state of the process as it was")


def _read(read: Callable[[], Any]) -> Any:
    """What `read` gives; an error that it raises is a state of its own, such as a folder that is gone."""
    try:
        return read()
    except (RuntimeError, OSError) as error:
        return type(error).__name__
