"""Pruning as one sparse regression over all weights, as a prunebench plugin: CHITA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, PrunebenchError, Train, Unit, hookimpl


@dataclass(frozen=True)
class Chita:
    """Choose weights, and move those that stay, such that a quadratic model of the loss is least (Benbaki et al. 2023).

    The Hessian of the model is the empirical Fisher information of all weights, AᵀA / n, where A has the gradients of
    `examples` training examples. It is never formed, because the problem is a regression (section 3.1):

        min ½ ‖b − A w‖² + ½ n λ ‖w − w̄‖²   with as many zeros in w as the sparsity asks for

    w̄ are the trained weights, b is A w̄, and λ is `damping`. Iterative hard thresholding improves w, from the largest
    weights on: a step against the gradient of the problem, after which the largest weights stay, at most `steps` times.
    Then the weights that stay are set to the exact solution for them, or the largest of w̄ if these give a better one.

    Differences from the paper: b lacks the term of the loss's gradient, A w̄ − 1, which lets each loss fall by 1 and so
    moves a trained model far. A step has the length that is best for the present support (Blumensath & Davies 2010),
    and is halved until the objective falls, where the paper searches over changes of the support. All weights are one
    block, and there is one stage.
    """

    name: ClassVar[str] = "chita"
    unit: ClassVar[Unit] = "weight"
    axes: ClassVar[tuple[str, ...]] = ("scope", "pattern")
    known_failures: ClassVar[dict[str, str]] = {"memory": "the regression holds the gradient of each example"}

    examples: int = 64
    damping: float = 1e-4
    steps: int = 20
    retrain: bool = True

    def __post_init__(self) -> None:
        if self.examples < 1 or self.damping <= 0 or self.steps < 0:
            raise PrunebenchError("chita needs examples >= 1, damping > 0 and steps >= 0")

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(), Prune(sparsity), *([Train()] if self.retrain else [])]

    def prune(self, ctx: Any, sparsity: float) -> dict[str, Any]:
        import torch

        rows = gradients(ctx, self.examples)
        center = torch.cat([weight.flatten() for weight in ctx.weights.values()])
        problem = Regression(rows, rows @ center, center, self.damping * len(rows))

        def largest(weights: Any) -> Any:
            mask = ctx.select(by_matrix(ctx, weights.abs()), sparsity)
            return torch.cat([mask[name].flatten() for name in ctx.weights]).to(center.device)

        weights, keep = problem.improve(largest, self.steps)
        for name, weight in by_matrix(ctx, weights).items():
            ctx.weights[name].copy_(weight)
        return {name: each.bool().cpu() for name, each in by_matrix(ctx, keep).items()}


@dataclass(frozen=True)
class Regression:
    """½ ‖b − A w‖² + ½ ρ ‖w − w̄‖²: `rows` is A, (examples, weights), `target` is b, `center` is w̄, `ridge` is ρ."""

    rows: Any
    target: Any
    center: Any
    ridge: float

    def objective(self, weights: Any) -> float:
        residual, move = self.target - self.rows @ weights, weights - self.center
        return float(residual @ residual + self.ridge * move @ move) / 2

    def gradient(self, weights: Any) -> Any:
        return self.rows.T @ (self.rows @ weights - self.target) + self.ridge * (weights - self.center)

    def improve(self, largest: Callable[[Any], Any], steps: int) -> tuple[Any, Any]:
        """The weights after hard thresholding, and which of them stay; `largest` gives the mask of the largest ones."""
        keep = first = largest(self.center)
        weights = self.center * keep
        for _ in range(steps):
            slope, before = self.gradient(weights), self.objective(weights)
            length = self.best_length(slope * keep)
            # Halved ten times, a step is too short to change the support.
            for trial in range(10):
                support = largest(step := weights - length / 2**trial * slope)
                if self.objective(step * support) < before:
                    break
            else:
                break
            weights, keep = step * support, support
        solutions = [(self.solve(support), support) for support in (first, keep)]
        return min(solutions, key=lambda solution: self.objective(solution[0]))

    def best_length(self, direction: Any) -> float:
        """The length of a step against the gradient `direction` after which the objective is least."""
        image, square = self.rows @ direction, float(direction @ direction)
        return square / (float(image @ image) + self.ridge * square) if square else 0.0

    def solve(self, keep: Any) -> Any:
        """The weights that are best among those with zeros where `keep` is 0, by a system as large as the examples."""
        import torch

        rows = self.rows * keep
        residual = (self.target - rows @ self.center).double()
        system = (rows @ rows.T).double() + self.ridge * torch.eye(len(rows), dtype=torch.float64, device=rows.device)
        return (self.center + rows.T @ torch.linalg.solve(system, residual).to(rows.dtype)) * keep


def gradients(ctx: Any, examples: int) -> Any:
    """The gradient of each example's loss for all weights, zero for pruned ones: (examples, weights)."""
    import torch

    parameters = [ctx.model.get_parameter(name) for name in ctx.weights]
    keep = torch.cat([ctx.mask[name].flatten() for name in ctx.weights]).to(ctx.device)
    rows = []
    for batch in ctx.batches(examples):
        for i in range(len(batch["labels"])):
            loss = ctx.loss({key: values[i : i + 1] for key, values in batch.items()})
            rows.append(torch.cat([slope.flatten() for slope in torch.autograd.grad(loss, parameters)]) * keep)
    return torch.stack(rows)


def by_matrix(ctx: Any, values: Any) -> dict[str, Any]:
    """A vector over all weights as matrices by name."""
    parts = values.split([weight.numel() for weight in ctx.weights.values()])
    return {name: part.view_as(weight) for (name, weight), part in zip(ctx.weights.items(), parts, strict=True)}


@hookimpl
def prunebench_strategies() -> list[type[Chita]]:
    return [Chita]
