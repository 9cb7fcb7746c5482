"""L0 gates on attention heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Compact, Phase, Train, TrainingCallback, Unit
from prunebench_l0.gates import GateOptions, Gates


@dataclass(frozen=True)
class L0Heads:
    """Learn a gate on each head while the model trains, remove the heads of the least gates, and train on.

    Gates multiply the outputs of heads and follow the hard concrete distribution (Voita et al. 2019, section 5, after
    Louizos et al. 2018). The trained model is trained again with them. Voita et al. add λ times the expected number of
    heads to the loss, and search for the λ of a number; here λ is learned (Wang et al. 2020, see `Gates`), so that the
    expected number is the one that the sparsity asks for. The last training has no gates.

    `reach` and `multiplier_reach` say how far log α and the multipliers can move in the training, `start` is log α at
    first, and the target grows during the fraction `warmup`.
    """

    name: ClassVar[str] = "l0-heads"
    unit: ClassVar[Unit] = "head"

    reach: float = 30.0
    multiplier_reach: float = 30.0
    start: float = 2.0
    warmup: float = 0.5

    def __post_init__(self) -> None:
        self.gates()  # raises an error for a bad option

    def gates(self) -> GateOptions:
        return GateOptions(self.reach, self.multiplier_reach, self.start, self.warmup)

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(), Train(sparsity, callback=True), Train(), Compact()]

    def training(self, ctx: Any) -> TrainingCallback:
        return Gates(ctx, self.gates())
