"""Let a layer pass its input on unchanged, as if it were not there.

A layer of a post-LayerNorm encoder whose matrices are zero still normalises its input: LN(x + 0) is not x. A pruned
layer is therefore skipped. `install` adds a forward hook to each layer, which does nothing until `skip` finds that a
mask keeps no entry of the layer's parameters. The products of a skipped layer are still computed, like those of any
masked unit; `pruning.compaction` takes the layer out of the model.

The hook is on the layer from the start, so that a mask that comes during a training changes no module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.models.encoder import PrunableModel

# The attribute of a model that holds its skips, by the path of the layer.
ATTRIBUTE = "layer_skips"


class LayerSkip:
    """A forward hook that returns the layer's input, while it is `active`."""

    def __init__(self, parameters: tuple[str, ...]) -> None:
        self.parameters = parameters
        self.active = False

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if not self.active:
            return None
        return (args[0], *output[1:]) if isinstance(output, tuple) else args[0]


def install(pm: PrunableModel) -> None:
    """Add a skip that is not active to each layer of a model."""
    skips: dict[str, LayerSkip] = {}
    for layer in pm.layers:
        module = pm.model.get_submodule(layer.path)
        names = [f"{layer.path}.{name}" for name, _ in module.named_parameters()]
        skips[layer.path] = LayerSkip(tuple(names))
        module.register_forward_hook(skips[layer.path])
    setattr(pm.model, ATTRIBUTE, skips)


def skip(model: nn.Module, keep: Mapping[str, Tensor]) -> None:
    """Skip exactly the layers of which `keep`, masks by parameter, has all parameters and keeps no entry.

    {} skips none. A model without skips is left as it is.
    """
    for layer_skip in getattr(model, ATTRIBUTE, {}).values():
        layer_skip.active = all(name in keep and not keep[name].any() for name in layer_skip.parameters)


def skip_zero_layers(model: nn.Module) -> None:
    """Skip exactly the layers whose parameters are all zero, their layer norms included. Only a pruned layer is."""
    for layer_skip in getattr(model, ATTRIBUTE, {}).values():
        layer_skip.active = not any(bool(model.get_parameter(name).any()) for name in layer_skip.parameters)
