"""The global state of torch: every switch is seen, named and set again, so that numbers stay what they were."""

from __future__ import annotations

import os

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from prunebench.errors import PrunebenchError
from prunebench.execution.process_state import read_state, restore_state, state_changes, unchanged_state

# Contexts that are entered and never left; without this list they would end as nobody holds them.
ENTERED = []


class Modest(TorchDispatchMode):
    def __torch_dispatch__(self, function, kinds, arguments=(), options=None):
        return function(*arguments, **(options or {}))


def enter(context):
    ENTERED.append(context)
    context.__enter__()


SWITCHES = {
    "a default device": (lambda: torch.set_default_device("meta"), "the default device, or a mode of torch"),
    "a device that is entered": (lambda: enter(torch.device("meta")), "the default device, or a mode of torch"),
    "a mode that is entered": (lambda: enter(Modest()), "the default device, or a mode of torch"),
    "inference": (lambda: enter(torch.inference_mode()), "the mode of inference"),
    "gradients": (lambda: torch.set_grad_enabled(False), "the switch for gradients"),
    "dtype": (lambda: torch.set_default_dtype(torch.float64), "the default dtype"),
    "threads": (lambda: torch.set_num_threads(torch.get_num_threads() + 1), "the number of threads"),
    "deterministic": (lambda: torch.use_deterministic_algorithms(True), "the switch for deterministic algorithms"),
    "deterministic, with warnings": (
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
        "the switch for deterministic algorithms",
    ),
    "products": (lambda: torch.set_float32_matmul_precision("medium"), "the precision of float32 products"),
    "mkldnn": (lambda: torch.backends.mkldnn.set_flags(False), "the switch for mkldnn"),
    "cuDNN": (lambda: setattr(torch.backends.cudnn, "benchmark", True), "the switches of cuDNN"),
    "attention": (lambda: torch.backends.cuda.enable_flash_sdp(False), "the switches of attention"),
    "autocast": (lambda: enter(torch.autocast("cpu", torch.bfloat16)), "autocast"),
    "anomalies": (lambda: torch.set_anomaly_enabled(True), "the detection of anomalies"),
    "denormal": (lambda: torch.set_flush_denormal(True), "the switch for denormal numbers"),
    "folder": (lambda: os.chdir("/"), "the working folder"),
    "random": (lambda: torch.rand(1), "torch's random state; ctx.generator() gives random numbers"),
}
if hasattr(torch.backends.mkldnn.matmul, "fp32_precision"):
    # Now the old switch contradicts the new one, and raises an error when it is read.
    SWITCHES["products, by a new name"] = (
        lambda: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
        "the precision of float32 products",
    )


def gradient():
    """The gradient of a small model in float32, which depends on most switches."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(32, 32, generator=generator).requires_grad_()
    (torch.tanh(torch.randn(8, 32, generator=generator) @ weight).sum() * torch.tensor(1e-30)).backward()
    return weight.grad


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_is_seen_and_set_again(switch):
    change, name = SWITCHES[switch]
    expected, before = gradient(), read_state()
    assert not list(state_changes(before))
    change()
    try:
        assert name in list(state_changes(before))
    finally:
        restore_state(before)
    assert not list(state_changes(before))
    assert torch.equal(gradient(), expected)
    assert torch.ones(1).device.type == "cpu"


def test_no_cast_of_a_weight_is_kept_after_an_autocast_that_was_never_left():
    """torch would compute with the first cast for ever, and a training in bf16 would not see its own steps."""
    weight, before = torch.nn.Parameter(torch.ones(2, 2)), read_state()
    enter(torch.autocast("cpu", torch.bfloat16))
    restore_state(before)
    for value in (1.0, 2.0):
        weight.data.fill_(value)
        with torch.autocast("cpu", torch.bfloat16):
            product = torch.ones(1, 2) @ weight
        assert product.tolist() == [[2 * value, 2 * value]]


def test_a_state_that_is_left_alone_is_no_change():
    with unchanged_state("phase 'Noise'"):
        torch.rand(1)


@pytest.mark.parametrize("ends", [True, False])
def test_a_phase_is_charged_with_its_change(ends):
    before = torch.get_num_threads()

    def apply():
        torch.set_num_threads(before + 1)
        if not ends:
            raise ValueError("no")

    message = "phase 'Noise' changed the number of threads" if ends else "no"
    with pytest.raises(PrunebenchError if ends else ValueError, match=message), unchanged_state("phase 'Noise'"):
        apply()
    assert torch.get_num_threads() == before
