"""Pruning at initialisation as a prunebench plugin: SNIP, GraSP and SynFlow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, PrunebenchError, Train, Unit, hookimpl


@dataclass(frozen=True)
class SNIP:
    """Prune θ0 by connection sensitivity |∂L/∂c| for a gate c = 1 on each weight, then train once (Lee et al. 2019).

    The gradient for a gate is w · ∂L/∂w (equation 4); dividing by the sum over all weights (equation 5) leaves the
    order as it is. `examples` is the number of training examples (None: all). Differences from the paper: θ0 is a
    pre-trained encoder with a new classifier, and not a random network.
    """

    name: ClassVar[str] = "snip"
    unit: ClassVar[Unit] = "weight"

    examples: int | None = 128

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Prune(sparsity), Train()]

    def score(self, ctx: Any) -> dict[str, Any]:
        gradients = ctx.gradients(self.examples)
        return {name: (weight * gradients[name]).abs() for name, weight in ctx.weights.items()}


@dataclass(frozen=True)
class GraSP:
    """Prune θ0 such that the norm of its gradient stays large, then train once (Wang et al. 2020, algorithms 1 and 2).

    Without weight i, the squared norm of the gradient g changes by about −2 θ_i (Hg)_i, where H is the Hessian. The
    paper removes the weights with the highest −θ ⊙ Hg. `examples` is the number of training examples (None: all).
    Differences from the paper: θ0 is a pre-trained encoder with a new classifier, and logits are not divided by a
    temperature, which is 200 in the released code.
    """

    name: ClassVar[str] = "grasp"
    unit: ClassVar[Unit] = "weight"

    examples: int | None = 128

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Prune(sparsity), Train()]

    def score(self, ctx: Any) -> dict[str, Any]:
        # Imported here, so that the command line starts without it.
        import torch

        gradients = ctx.gradients(self.examples)
        named = dict(ctx.model.named_parameters())
        weights = [named[name] for name in gradients]
        products, number = [torch.zeros_like(weight) for weight in weights], 0
        with eager_attention(ctx.model):
            for batch in ctx.batches(self.examples):
                count = len(batch["labels"])
                slopes = torch.autograd.grad(ctx.loss(batch) * count, weights, create_graph=True)
                inner = sum((slope * gradients[name]).sum() for name, slope in zip(gradients, slopes, strict=True))
                torch._foreach_add_(products, torch.autograd.grad(inner, weights))
                number += count
        return {name: named[name].detach() * hg / number for name, hg in zip(gradients, products, strict=True)}


@contextmanager
def eager_attention(model: Any) -> Iterator[None]:
    """A context in which attention is computed by plain operations, of which torch knows the second derivative.

    The attention of prunebench for CPUs has a first derivative only, and torch would take its weights as constant.
    """
    usual = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


@dataclass(frozen=True)
class SynFlow:
    """Prune θ0 by synaptic flow in many small steps, without data, then train once (Tanaka et al. 2020, algorithm 1).

    R is the sum of the outputs of a linear network with the weights |θ| for an input of ones, and the score of a
    weight is |θ| · ∂R/∂|θ|: the part of the flow that passes it. After step k of `iterations`, the density is
    ρ^(k/iterations), and the flow of the rest is computed anew.

    The paper has networks of linear layers and ReLU. Here the linear network has the residual connections and the six
    matrices of each layer of the encoder. Normalisation, GELU and biases are left out. With one input, softmax hides
    query and key, so the flow goes through query, key and value side by side, and then through the attention output.
    """

    name: ClassVar[str] = "synflow"
    unit: ClassVar[Unit] = "weight"
    axes: ClassVar[tuple[str, ...]] = ("scope", "pattern")

    iterations: int = 100

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise PrunebenchError("synflow needs iterations >= 1")

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Prune(sparsity), Train()]

    def prune(self, ctx: Any, sparsity: float) -> dict[str, Any]:
        mask: dict[str, Any] = ctx.mask
        for step in range(1, self.iterations + 1):
            last = step == self.iterations
            level = sparsity if last else 1 - (1 - sparsity) ** (step / self.iterations)
            # Pruned weights have a flow of 0, as others may have. They go first.
            flow = {name: score.masked_fill(~mask[name].to(score.device), -1) for name, score in flows(ctx, mask)}
            mask = ctx.select(flow, level)
        return mask


def flows(ctx: Any, mask: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The synaptic flow |θ| · ∂R/∂|θ| of every weight, by parameter name, in float64."""
    import torch

    weights = {name: (weight.double().abs() * mask[name].to(weight.device)) for name, weight in ctx.weights.items()}
    for weight in weights.values():
        weight.requires_grad_()
    flow = torch.ones(weights[f"{ctx.layers[0].query}.weight"].shape[1], dtype=torch.float64, device=ctx.device)
    for layer in ctx.layers:
        query, key, value, output, up, down = (weights[f"{linear}.weight"] for linear in layer.linears)
        flow = flow + output @ ((query + key + value) @ flow)
        flow = flow + down @ (up @ flow)
        # The flow grows with each layer. Dividing it by a constant divides all scores by that constant.
        flow = flow / flow.sum().detach()
    encoder = {f"{linear}.weight" for layer in ctx.layers for linear in layer.linears}
    for name in weights.keys() - encoder:  # a pooler, if that is pruned too
        flow = weights[name] @ flow
    slopes = torch.autograd.grad(flow.sum(), list(weights.values()))
    return ((name, weight.detach() * slope) for (name, weight), slope in zip(weights.items(), slopes, strict=True))


@hookimpl
def prunebench_strategies() -> list[type[Any]]:
    return [SNIP, GraSP, SynFlow]
