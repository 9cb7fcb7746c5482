"""One-shot pruning with calibration examples as a prunebench plugin: Wanda, Wanda with OWL, and Fisher pruning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, PrunebenchError, Train, Unit, hookimpl


def one_shot(prune: Prune, retrain: bool) -> list[Phase]:
    """Train, prune, and train on unless the pruned model is scored as it is."""
    return [Train(), prune, *([Train()] if retrain else [])]


@dataclass(frozen=True)
class Wanda:
    """Prune by |W_ij| · ‖X_j‖₂, the weight times the norm of its input feature (Sun et al. 2023, equation 1).

    Scores are compared within each row of a matrix, as in the paper, or within another `scope`; with a pattern such as
    2:4 the scope is "global". `examples` is the number of training examples that give the norms (None: all). Without
    `retrain` the pruned model is scored as it is, as in the paper. Difference from the paper: all norms are those of
    the dense model. The paper prunes layer by layer, and a layer sees the outputs of pruned ones.
    """

    name: ClassVar[str] = "wanda"
    unit: ClassVar[Unit] = "weight"

    examples: int | None = 128
    scope: str = "row"
    retrain: bool = True

    def __post_init__(self) -> None:
        Prune(0.5, scope=self.scope)  # raises an error for an unknown scope

    def recipe(self, sparsity: float) -> list[Phase]:
        return one_shot(Prune(sparsity, scope=self.scope), self.retrain)

    def score(self, ctx: Any) -> dict[str, Any]:
        return importance(ctx, self.examples)


def importance(ctx: Any, examples: int | None) -> dict[str, Any]:
    norms = ctx.input_norms(examples)
    return {name: weight.abs() * norms[name] for name, weight in ctx.weights.items()}


@dataclass(frozen=True)
class OWL:
    """Wanda in which layers with many outliers keep more of their weights (Yin et al. 2023, section 3.2).

    The outlier ratio D of a layer is the fraction of its scores |W_ij| · ‖X_j‖₂ that exceed `outlier` times their mean
    (M of the paper). The sparsity of a layer falls in proportion to D, within `spread` of the mean (λ of the paper):
    from the one with the lowest D to the one with the highest it falls by 2λ, and the mean is the sparsity asked for.
    All rows of a layer have its sparsity. A layer is a layer of the encoder, with all its matrices.

    Differences from the paper: norms are those of the dense model, and the pruned model is trained on unless `retrain`
    is off. Sparsities outside [0, 1] are moved to these bounds. The total count is exact.
    """

    name: ClassVar[str] = "owl"
    unit: ClassVar[Unit] = "weight"

    examples: int | None = 128
    outlier: float = 5.0
    spread: float = 0.08
    retrain: bool = True

    def __post_init__(self) -> None:
        if not (self.outlier > 0 and self.spread >= 0):
            raise PrunebenchError("owl needs outlier > 0 and spread >= 0")

    def recipe(self, sparsity: float) -> list[Phase]:
        return one_shot(Prune(sparsity), self.retrain)

    def prune(self, ctx: Any, sparsity: float) -> dict[str, Any]:
        scores = importance(ctx, self.examples)
        layers = {f"{linear}.weight": layer.index for layer in ctx.layers for linear in layer.linears}
        ratios = outlier_ratios(scores, layers, self.outlier)
        shares = allocation(ratios, sparsity, self.spread)
        # A weight is the r-th lowest of n in its row. (r + ½) / n counts how far a row of each layer is pruned before
        # this weight goes; below the share of the layer it goes. `select` rounds the total.
        order = {name: ranks(score) / shares[layers.get(name, -1)] for name, score in scores.items()}
        return ctx.select(order, sparsity)


def outlier_ratios(scores: dict[str, Any], layers: dict[str, int], outlier: float) -> dict[int, float]:
    """The fraction of outliers by layer; a matrix outside the layers (the pooler) is the layer −1."""
    import torch

    groups: dict[int, list[Any]] = {}
    for name, score in scores.items():
        groups.setdefault(layers.get(name, -1), []).append(score.flatten())
    joined = {layer: torch.cat(parts) for layer, parts in groups.items()}
    return {layer: float((values > outlier * values.mean()).double().mean()) for layer, values in joined.items()}


def allocation(ratios: dict[int, float], sparsity: float, spread: float) -> dict[int, float]:
    """The sparsity of each layer. The smallest possible share stands for 0, by which `prune` divides."""
    low, high = min(ratios.values()), max(ratios.values())
    density = {layer: 2 * spread * (ratio - low) / ((high - low) or 1) for layer, ratio in ratios.items()}
    mean = sum(density.values()) / len(density)
    return {layer: min(max(sparsity + mean - value, 1e-9), 1.0) for layer, value in density.items()}


def ranks(score: Any) -> Any:
    """How far up in its row each score is, in (0, 1), of the shape of the matrix."""
    return (score.argsort(dim=1, stable=True).argsort(dim=1) + 0.5) / score.shape[1]


@dataclass(frozen=True)
class Fisher:
    """Prune by ½ F_ii w_i², the rise of the loss by its second order, and train on.

    This is optimal brain damage (LeCun, Denker & Solla 1990, saliency ½ h_kk u_k²) with the diagonal of the empirical
    Fisher information in place of the diagonal of the Hessian, as in Fisher pruning (Theis et al. 2018): F_ii is the
    mean over `examples` training examples (None: all) of the squared gradient of one example's loss.

    Differences from the papers: LeCun et al. compute h_kk itself, and both prune and train in turns; here
    `schedule=ladder` or `schedule=cubic` does so.
    """

    name: ClassVar[str] = "fisher"
    unit: ClassVar[Unit] = "weight"

    examples: int | None = 512
    retrain: bool = True

    def recipe(self, sparsity: float) -> list[Phase]:
        return one_shot(Prune(sparsity), self.retrain)

    def score(self, ctx: Any) -> dict[str, Any]:
        squares = ctx.squared_gradients(self.examples)
        return {name: weight.square() * squares[name] / 2 for name, weight in ctx.weights.items()}


@hookimpl
def prunebench_strategies() -> list[type[Any]]:
    return [Wanda, OWL, Fisher]
