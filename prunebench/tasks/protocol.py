"""How a model is trained on a task: settings with a name and a version."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from prunebench.errors import PrunebenchError

# The name of protocols that `prunebench calibrate` makes, and the version of its rule, which stands in keys.
CALIBRATED = "calibrated"
CALIBRATION_VERSION = 1
CALIBRATED_VALUES = ("epochs", "lr", "warmup")
NAMES = ("name", "version")


def family(label: str) -> str:
    """The part of a protocol's label that tasks on one page share.

    It is the whole label, but for calibrated protocols, whose values differ by task: `calibrated-1`.
    """
    return label.partition(" with ")[0] if label.startswith(f"{CALIBRATED}-") else label


@dataclass(frozen=True)
class Protocol:
    """The training settings of a task: AdamW, linear decay of the learning rate to zero, gradients clipped by norm.

    The defaults are the GLUE values of Chen et al. 2020 (arXiv:2007.12223, section 3). `warmup` is a fraction of the
    training. `train_limit` and `eval_limit` reduce a split to a subset, the same one for all seeds. Results of
    different protocols are never shown in one table.
    """

    name: str = "glue"
    version: int = 1
    epochs: int = 3
    lr: float = 2e-5
    batch_size: int = 32
    max_length: int = 128
    weight_decay: float = 0.0
    warmup: float = 0.0
    clip: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    train_limit: int | None = None
    eval_limit: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "lr", "batch_size", "max_length", "clip", "train_limit", "eval_limit"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise PrunebenchError(f"{name.replace('_', '-')} must be above 0, got {value}")
        if not 0 <= self.warmup < 1:
            raise PrunebenchError(f"warmup is a fraction of the training in [0, 1), got {self.warmup}")

    def override(self, **changes: Any) -> Protocol:
        """A copy with new values; None keeps the old one."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def label(self, standard: Protocol) -> str:
        """`glue-1`, or `glue-1 with epochs=1` if it differs from `standard`, the task's own protocol.

        A calibrated protocol always names the values that were calibrated.
        """
        always, never = (CALIBRATED_VALUES, NAMES) if self.name == CALIBRATED else ((), ())
        changes = [
            f"{name}={getattr(self, name)}"
            for name in (field.name for field in fields(self))
            if name in always or (name not in never and getattr(self, name) != getattr(standard, name))
        ]
        return f"{self.name}-{self.version}" + (f" with {', '.join(changes)}" if changes else "")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
