"""What a record says: scores, sizes, checks, cost. Everything is read off the model, nothing off what was asked for."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.execution.workspace import Subject
from prunebench.pruning import masks, structures
from prunebench.recipes.phases import Phase, level
from prunebench.recipes.strategy import Unit
from prunebench.store.serialization import SECONDS
from prunebench.tasks.metrics import filled, majority, undefined
from prunebench.training.evaluation import decide, predict
from prunebench.training.loop import Outcome

# The largest difference of a logit between a compacted and a masked model, in float32, that counts as agreement.
TOLERANCE = 1e-5
# On so many examples it is seen whether two models say the same.
COMPARED = 64


@dataclass
class Seconds:
    """Where the time of a job went since its last record.

    `strategy` is what its own code took, `prune` masks, their storing, and checks, as of a compacted model.
    """

    load: float = 0.0
    train: float = 0.0
    strategy: float = 0.0
    prune: float = 0.0
    evaluate: float = 0.0
    _since: float = field(default_factory=time.perf_counter, repr=False)

    def add(self, part: str) -> None:
        """Book the time since the last booking under `part`."""
        now = time.perf_counter()
        setattr(self, part, getattr(self, part) + now - self._since)
        self._since = now

    @contextlib.contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Book the time of the block under `part`, and what was before it where it will be booked."""
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            setattr(self, part, getattr(self, part) + spent)
            self._since += spent

    def to_json(self) -> dict[str, float]:
        return {name: round(getattr(self, name), 4) for name in SECONDS}


def evaluate(subject: Subject, model: nn.Module, root: Mapping[str, Any]) -> tuple[dict[str, Any], bytes, float]:
    """The scores of `model` on every evaluation of its task, the logits behind them as an npz file, and the seconds
    that it took to predict alone."""
    evaluations, logits = {}, {}
    seconds = 0.0
    for name, data in subject.evaluations.items():
        begun = time.perf_counter()
        logits[name] = predict(model, data, precision=root["precision"], device=root["device"])
        seconds += time.perf_counter() - begun
        if not np.isfinite(logits[name]).all():
            raise PrunebenchError("the model's logits are not finite: its training diverged")
        labels = data.labels.tolist()
        found = subject.scorer(decide(subject.task, logits[name]), labels)
        evaluations[name] = {
            "examples": len(data),
            "metrics": filled(found),
            "degenerate": undefined(found),
            "majority": majority(subject.train.labels.tolist(), labels, subject.scorer),
        }
    with io.BytesIO() as file:
        np.savez_compressed(file, allow_pickle=False, **logits)
        return evaluations, file.getvalue(), seconds


def cost(outcome: Outcome | None) -> dict[str, Any]:
    """What the node itself was trained for; a node that is no training cost none."""
    if outcome is None:
        return {"steps": 0, "tokens": 0, "loss": None}
    return {"steps": outcome.steps, "tokens": outcome.tokens, "loss": outcome.loss}


def sizes(
    subject: Subject,
    mask: masks.Mask | None,
    unit: Unit,
    keep: Mapping[str, Tensor],
    model: nn.Module,
    encoder_before: float,
) -> dict[str, Any]:
    """Units, encoder weights and parameters: how many there are, and how many are gone.

    `encoder_before` and `encoder_after` are the shares of exact zeros in the prunable matrices where the job's
    training began, and now.
    """
    prunable = subject.prunable
    mask = mask or masks.full({name: group.shape for name, group in structures.groups(prunable, unit).items()})
    named = dict(prunable.model.named_parameters())
    weights = sum(named[name].numel() for name in prunable.prunable)
    total = sum(parameter.numel() for parameter in named.values())
    return {
        "sparsity": {
            "unit": unit,
            "units": masks.units(mask),
            "pruned": masks.pruned(mask),
            "realised": masks.pruned(mask) / masks.units(mask),
            "encoder_weights": weights,
            "encoder_before": encoder_before,
            "encoder_after": structures.encoder_sparsity(prunable),
        },
        "encoder": {"layers": len(prunable.layers), "heads": prunable.heads, "head_size": prunable.head_size},
        "parameters": {
            "total": total,
            "left": total - sum(int((~kept).sum()) for kept in keep.values()),
            "in_model": sum(parameter.numel() for parameter in model.parameters()),
        },
    }


def checks(
    subject: Subject, path: Sequence[Phase], mask: masks.Mask | None, keep: Mapping[str, Tensor]
) -> dict[str, Any]:
    """What must hold of every cell: the count that was asked for is met, and what is pruned is exactly zero."""
    named = dict(subject.model.named_parameters())
    zero = not any(named[name].detach().ne(0).gt(kept).any() for name, kept in keep.items())
    wanted = masks.pruned_count(level(path), masks.units(mask)) if mask else 0
    return {"count_exact": (masks.pruned(mask) if mask else 0) == wanted, "pruned_weights_zero": zero}


def agreement(subject: Subject, model: nn.Module, device: str) -> dict[str, Any]:
    """Whether a compacted model says what the masked one says: the largest difference of a logit, in float32.

    That is over the first `COMPARED` examples of the first evaluation.
    """
    if model is subject.model:
        return {}
    data = next(iter(subject.evaluations.values())).first(COMPARED)
    compact, masked = (predict(each, data, precision="fp32", device=device) for each in (model, subject.model))
    difference = float(np.abs(compact - masked).max())
    return {"compact_difference": difference, "compact_agrees": difference <= TOLERANCE}
