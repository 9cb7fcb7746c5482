"""Quantisation to 8 bits after pruning: weights once, activations as they come, products by torch's int8 kernels."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from prunebench import Phase, PrunebenchError, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.execution.phase_context import PhaseContext


@dataclass(frozen=True)
class Int8(Phase):
    """Replace the Linears of the encoder by ones with 8-bit products (dynamic quantisation; Zafrir et al. 2019).

    A weight is q·s with q from −128 to 127, and s = max|w| / 127.5 for each row of its matrix. An activation has 7 or 8
    bits, with one scale for the whole batch. Zeros stay zeros.
    """

    ends_recipe: ClassVar[bool] = True
    approximates: ClassVar[bool] = True

    def apply(self, ctx: PhaseContext) -> None:
        """Set `ctx.network`. Raises PrunebenchError for a model on a GPU, where torch has no such products."""
        if ctx.model.device.type != "cpu":
            raise PrunebenchError(f"8-bit products on {ctx.model.device.type}", "expected --device cpu")
        ctx.network = quantise(ctx.network, encoder_linears(ctx.network))


def encoder_linears(model: nn.Module) -> set[str]:
    """The names of the Linears in the layers of the encoder, also of a compacted one."""
    from torch import nn

    encoder = getattr(model, str(getattr(model, "base_model_prefix", "")), model)
    names = {id(module): name for name, module in model.named_modules()}
    layers = (module for module in encoder.modules() if isinstance(module, nn.ModuleList))
    return {names[id(each)] for layer in layers for each in layer.modules() if isinstance(each, nn.Linear)}


def quantise(model: nn.Module, names: set[str]) -> nn.Module:
    """A copy of the model whose Linears with these names have 8-bit products."""
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    with warnings.catch_warnings():
        # torch points to torchao, which has no such kernels for a CPU without compiling.
        warnings.simplefilter("ignore")
        result: nn.Module = quantize_dynamic(copy.deepcopy(model), dict.fromkeys(names, per_channel_dynamic_qconfig))
    for name in names:
        result.get_submodule(name).register_forward_pre_hook(_to_float32)
    return result


def _to_float32(module: nn.Module, tensors: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The kernels take float32 alone; in a bf16 run activations arrive in bf16."""
    return tuple(tensor.float() for tensor in tensors)


@dataclass(frozen=True)
class QuantisedMethod:
    """The model of another method with 8-bit products: what quantisation costs on top of pruning."""

    name: ClassVar[str] = "int8"

    of: str = "imp"

    def tail(self, rest: Sequence[Phase]) -> list[Phase]:
        return [*rest, Int8()]


@hookimpl
def prunebench_phases() -> list[type[Phase]]:
    return [Int8]


@hookimpl
def prunebench_strategies() -> list[type[QuantisedMethod]]:
    return [QuantisedMethod]
