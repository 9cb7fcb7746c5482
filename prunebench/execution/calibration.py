"""Statistics of training examples that a strategy's scores rest on. `Context` documents what each function returns.

**Precision.** The model computes in the precision of the run. Statistics are added up in float32, products of inputs
in float64.

**Squared gradients of single examples.** The loss of a batch is the mean of the losses of its examples, and no
operation of an encoder mixes examples. So row b of the gradient δ of a Linear's output, times the number of examples,
belongs to example b alone, and the gradient of that example's loss is a product over its tokens t:

    ∂L_b/∂W = Σ_t δ_bt x_btᵀ        x: the input of the Linear, (examples, tokens, in); δ: (examples, tokens, out)

One backward pass gives δ for a whole batch. The product is formed for a few examples at a time, then squared and added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from prunebench.models.architecture import LINEARS
from prunebench.training.loop import autocast, loss_of

# The gradients of single examples that exist at a time have at most this many entries (64 MiB), or are of one example.
ENTRIES = 1 << 24

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Calibration:
    """A model, and the training examples that it is shown. `batches` may be called several times.

    Functions here run the model in evaluation mode, and leave it in the mode in which it was.
    """

    model: nn.Module
    batches: Callable[[], Iterator[Batch]]
    precision: str
    device: str


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """A context in which the model is in evaluation mode."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def loss(model: nn.Module, batch: Mapping[str, Tensor], precision: str, device: str) -> Tensor:
    """The mean loss of a batch, with its graph, in the mode in which the model is."""
    inputs = {name: values for name, values in batch.items() if name != "labels"}
    with autocast(precision, device):
        return loss_of(model(**inputs).logits, batch["labels"])


def gradients(calibration: Calibration, names: Sequence[str]) -> dict[str, Tensor]:
    """The gradient of the mean loss over all examples."""
    parameters = _parameters(calibration, names)
    sums = [torch.zeros_like(parameter) for parameter in parameters]
    number = 0
    for mean, count in _losses(calibration):
        torch._foreach_add_(sums, _gradients(mean * count, parameters))
        number += count
    return {name: total / number for name, total in zip(names, sums, strict=True)}


def squared_batch_gradients(calibration: Calibration, names: Sequence[str]) -> dict[str, Tensor]:
    """The mean over batches of the squared gradient of a batch's mean loss."""
    parameters = _parameters(calibration, names)
    sums = [torch.zeros_like(parameter) for parameter in parameters]
    number = 0
    for mean, _ in _losses(calibration):
        slopes = _gradients(mean, parameters)
        torch._foreach_addcmul_(sums, slopes, slopes)
        number += 1
    return {name: total / number for name, total in zip(names, sums, strict=True)}


def squared_example_gradients(calibration: Calibration, names: Sequence[str]) -> dict[str, Tensor]:
    """The mean over examples of the squared gradient of an example's loss. Each name is the weight of a Linear."""
    sums = {name: torch.zeros_like(parameter) for name, parameter in _named(calibration, names).items()}
    embeddings: list[Tensor] = []

    def remember(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        embeddings[:] = [output]

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            values = args[0].detach()

            def add(slope: Tensor) -> None:
                sums[name] += _sum_of_squares(slope, values)

            output.register_hook(add)

        return hook

    model: Any = calibration.model
    handles = [model.get_input_embeddings().register_forward_hook(remember)]
    handles += [model.get_submodule(_linear(name)).register_forward_hook(watch(name)) for name in names]
    number = 0
    with _removed_afterwards(handles):
        for mean, count in _losses(calibration):
            # Every Linear is between the embeddings and the loss, so this computes the gradient of each output, hands
            # it to `add` and frees it. Gradients of the weights are not computed.
            torch.autograd.grad(mean * count, embeddings)
            number += count
    return {name: total / number for name, total in sums.items()}


def _sum_of_squares(slope: Tensor, values: Tensor) -> Tensor:
    """Σ_b (Σ_t δ_bt x_btᵀ)² of shape (out, in), float32; without tokens (two dimensions) there is one t."""
    with torch.autocast(slope.device.type, enabled=False):
        if slope.dim() == 2:
            return slope.float().square().T @ values.float().square()
        number = max(1, ENTRIES // (slope.shape[-1] * values.shape[-1]))
        total = torch.zeros(slope.shape[-1], values.shape[-1], device=slope.device)
        for some, inputs in zip(slope.split(number), values.split(number), strict=True):
            total += torch.bmm(some.float().transpose(1, 2), inputs.float()).square_().sum(dim=0)
        return total


def gate_gradients(calibration: Calibration, points: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """The gradient for a gate on each unit, for each example: shape (examples, units) by group.

    `points` names the module with the gates of a group (see `Structure.gate_points`), and `sizes` the number of its
    units.
    """
    columns: dict[str, list[Tensor]] = {name: [] for name in points}
    linears = {
        name: path for name, path in points.items() if isinstance(calibration.model.get_submodule(path), nn.Linear)
    }
    others = {name: path for name, path in points.items() if name not in linears}
    with _inputs_of(calibration.model, points) as inputs, _outputs_of(calibration.model, others) as outputs:
        for mean, count in _losses(calibration):
            # A gate multiplies `values`, and what it hands on is `gated`, up to a constant.
            gated = {name: outputs.get(name, inputs[name]) for name in points}
            slopes = _gradients(mean * count, list(gated.values()))
            for name, slope in zip(points, slopes, strict=True):
                values = inputs[name] if name in linears else outputs[name] - inputs[name]
                product = (values.detach().float() * slope.float()).sum(dim=1)
                columns[name].append(product.view(count, sizes[name], -1).sum(dim=-1))
    return {name: torch.cat(parts) for name, parts in columns.items()}


def input_norms(calibration: Calibration, names: Sequence[str]) -> dict[str, Tensor]:
    """The L2 norm of each input feature over all tokens that are not padding."""
    sums: dict[str, Tensor] = {}
    for inputs in _inputs(calibration, names):
        for name, tokens in inputs.items():
            sums[name] = sums.get(name, 0) + tokens.float().square().sum(dim=0)
    return {name: total.sqrt() for name, total in sums.items()}


def input_products(calibration: Calibration, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """XᵀX of the inputs of each matrix, in the order of `names`, which is the order of the forward pass."""
    rest = list(names)
    while rest:
        # Only matrices of one layer share an input. To look at more would hold the inputs of the whole model.
        shared, products = _products(calibration, rest[: len(LINEARS)])
        for name in shared:
            yield name, products.clone()
        rest = [name for name in rest if name not in shared]


def _products(calibration: Calibration, names: Sequence[str]) -> tuple[list[str], Tensor]:
    """XᵀX of the first of `names`, and those of the names whose input is the very same tensor."""
    shared, total = list(names), torch.zeros(())
    for inputs in _inputs(calibration, names):
        first = inputs[names[0]]
        shared = [name for name in shared if inputs[name] is first]
        total = total.to(first.device) + (first.float().T @ first.float()).double()
    return shared, total


def _inputs(calibration: Calibration, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """For each batch, the inputs of the named matrices by name: (tokens, in), without padding, as computed.

    Matrices with a common input get the same tensor.
    """
    linears = {name: _linear(name) for name in names}
    for batch in calibration.batches():
        with torch.no_grad(), evaluation_mode(calibration.model), _inputs_of(calibration.model, linears) as inputs:
            loss(calibration.model, batch, calibration.precision, calibration.device)
        real = batch["attention_mask"].bool()
        tokens = {id(values): values[real] if values.dim() == 3 else values for values in inputs.values()}
        yield {name: tokens[id(values)] for name, values in inputs.items()}


def _losses(calibration: Calibration) -> Iterator[tuple[Tensor, int]]:
    """The mean loss of each batch, with its graph, and the number of its examples."""
    with evaluation_mode(calibration.model):
        for batch in calibration.batches():
            # The caller's backward pass belongs into this block too: it computes in the precision of the run.
            with autocast(calibration.precision, calibration.device):
                yield loss(calibration.model, batch, calibration.precision, calibration.device), len(batch["labels"])


@contextmanager
def _removed_afterwards(handles: Sequence[RemovableHandle]) -> Iterator[None]:
    """A context after which the hooks are gone."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _inputs_of(model: nn.Module, modules: Mapping[str, str]) -> Iterator[dict[str, Tensor]]:
    """The inputs of the named modules in the latest forward pass, by the names that `modules` gives them."""
    inputs: dict[str, Tensor] = {}

    def remember(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            inputs[name] = args[0]

        return hook

    handles = [model.get_submodule(path).register_forward_pre_hook(remember(name)) for name, path in modules.items()]
    with _removed_afterwards(handles):
        yield inputs


@contextmanager
def _outputs_of(model: nn.Module, modules: Mapping[str, str]) -> Iterator[dict[str, Tensor]]:
    """The outputs of the named modules in the latest forward pass; the first one of a module with several."""
    outputs: dict[str, Tensor] = {}

    def remember(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Any) -> None:
            outputs[name] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [model.get_submodule(path).register_forward_hook(remember(name)) for name, path in modules.items()]
    with _removed_afterwards(handles):
        yield outputs


def _gradients(value: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The gradients of a number; zeros for what it does not depend on, as the weights of a skipped layer."""
    return torch.autograd.grad(value, tensors, allow_unused=True, materialize_grads=True)


def _named(calibration: Calibration, names: Sequence[str]) -> dict[str, nn.Parameter]:
    named = dict(calibration.model.named_parameters())
    return {name: named[name] for name in names}


def _parameters(calibration: Calibration, names: Sequence[str]) -> list[nn.Parameter]:
    return list(_named(calibration, names).values())


def _linear(name: str) -> str:
    """The Linear of a weight."""
    return name.removesuffix(".weight")
