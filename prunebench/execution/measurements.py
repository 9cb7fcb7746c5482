"""What a record says: scores, sizes, checks and cost. All is measured on the model, nothing taken from the request."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.execution.workspace import Workspace
from prunebench.models.loading import positions
from prunebench.pruning import masks, structures
from prunebench.pruning.budgets import budget_of
from prunebench.pruning.costs import LENGTH
from prunebench.pruning.flops import forward_flops
from prunebench.pruning.groups import Structure
from prunebench.pruning.selection import satisfies
from prunebench.recipes.axes import BudgetName
from prunebench.recipes.phase import Phase, final_selection, final_sparsity, shrinks
from prunebench.store.schema import SECONDS, Encoder, Evaluation, Experiment, FLOPs, Parameters, Sparsity
from prunebench.store.serialization import encode_arrays
from prunebench.tasks.metrics import fill_undefined, majority_scores, undefined_keys
from prunebench.training.evaluation import predict, predictions
from prunebench.training.loop import Outcome

# The largest difference of a logit between a compacted and a masked model, in float32, that counts as agreement.
TOLERANCE = 1e-5
# The number of examples on which two models are compared.
COMPARED = 64


@dataclass
class Stopwatch:
    """Where the time of a job went since its last record, in seconds.

    `strategy` is the strategy's own code; `prune` is masks, their storing, and checks such as that of a compacted
    model.
    """

    load: float = 0.0
    train: float = 0.0
    strategy: float = 0.0
    prune: float = 0.0
    evaluate: float = 0.0
    # A lambda, so that a test can replace `time`.
    _since: float = field(default_factory=lambda: time.perf_counter(), repr=False)

    def add(self, part: str) -> None:
        """Book the time since the last booking under `part`."""
        now = time.perf_counter()
        setattr(self, part, getattr(self, part) + now - self._since)
        self._since = now

    @contextlib.contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Book the time of the block under `part`; the time before it stays to be booked."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            setattr(self, part, getattr(self, part) + spent)
            self._since += spent

    def to_json(self) -> dict[str, float]:
        return {name: round(getattr(self, name), 4) for name in SECONDS}


def evaluate(
    workspace: Workspace, model: nn.Module, experiment: Experiment
) -> tuple[dict[str, Evaluation], bytes, float]:
    """Score `model` on every evaluation of its task.

    Returns the scores, the logits as an npz file, and the seconds of prediction alone. Raises PrunebenchError where
    logits are not finite.
    """
    evaluations, logits = {}, {}
    seconds = 0.0
    for name, data in workspace.evaluations.items():
        start = time.perf_counter()
        logits[name] = predict(model, data, precision=experiment.precision, device=experiment.device)
        seconds += time.perf_counter() - start
        if not np.isfinite(logits[name]).all():
            raise PrunebenchError("the model's logits are not finite: its training diverged")
    # After all predictions, so that no code of a model runs while they are in memory.
    labels = workspace.labels.read()
    for name, data in workspace.evaluations.items():
        scores = workspace.scorer(predictions(workspace.task, logits[name]), labels[name])
        evaluations[name] = Evaluation(
            examples=len(data),
            metrics=fill_undefined(scores),
            degenerate=undefined_keys(scores),
            majority=majority_scores(workspace.train.labels.tolist(), labels[name], workspace.scorer),
        )
    return evaluations, encode_arrays(logits), seconds


def cost(outcome: Outcome | None) -> dict[str, Any]:
    """What the training of the node itself cost; a node that does not train costs nothing."""
    if outcome is None:
        return {"steps": 0, "tokens": 0, "loss": None}
    return {"steps": outcome.steps, "tokens": outcome.tokens, "loss": outcome.loss}


def sizes(
    workspace: Workspace,
    mask: masks.Mask | None,
    structure: Structure,
    budget: BudgetName,
    remaining: Mapping[str, Tensor],
    model: nn.Module,
    encoder_before: float,
) -> dict[str, Any]:
    """Units, encoder weights and parameters: how many there are, and how many are pruned.

    `remaining` are the entries of each parameter that stay, `encoder_before` the share of zeros in the prunable
    matrices when the job's training began.
    """
    prunable = workspace.prunable
    mask = mask or masks.full({name: group.shape for name, group in structure.groups(prunable).items()})
    named = dict(prunable.model.named_parameters())
    total = sum(parameter.numel() for parameter in named.values())
    return {
        "sparsity": Sparsity(
            unit=structure.name,
            units=masks.units(mask),
            pruned=masks.pruned(mask),
            realised=masks.pruned(mask) / masks.units(mask),
            encoder_weights=sum(named[name].numel() for name in prunable.prunable),
            encoder_before=encoder_before,
            encoder_after=structures.encoder_sparsity(prunable),
            **_costs(workspace, mask, structure, budget),
        ),
        "encoder": Encoder(layers=len(prunable.layers), heads=prunable.heads, head_size=prunable.head_size),
        "parameters": Parameters(
            total=total,
            left=total - sum(int((~keep).sum()) for keep in remaining.values()),
            in_model=sum(parameter.numel() for parameter in model.parameters()),
        ),
    }


def flops(workspace: Workspace, path: Sequence[Phase], mask: masks.Mask | None) -> FLOPs | None:
    """The FLOPs of one example: dense, of the scored model, and without all that is pruned. Nothing is run.

    None for the structure of a plugin, of which it is not known what its units take part in.
    """
    prunable = workspace.prunable
    if mask and mask.keys() - structures.known_groups(prunable):
        return None
    network: Any = prunable.model
    length = min(LENGTH, positions(network.config.to_dict(), prunable.architecture))
    dense, pruned = forward_flops(prunable, length, {}), forward_flops(prunable, length, mask or {})
    # A masked model multiplies by the zeros of its heads and neurons until they leave it.
    scored = pruned.total if shrinks(path) else dense.total
    return FLOPs(length=length, dense=dense.total, scored=scored, skipping_zeros=pruned.skipping_zeros)


def _costs(workspace: Workspace, mask: masks.Mask, structure: Structure, name: BudgetName) -> dict[str, Any]:
    """What the units cost, where a level is a fraction of that."""
    budget = budget_of(workspace.prunable, structure, name)
    if budget is None:
        return {}
    return {
        "budget": name,
        "cost": budget.total,
        "cost_pruned": budget.pruned(mask),
        "cost_largest": budget.largest(mask),
    }


def checks(
    workspace: Workspace,
    path: Sequence[Phase],
    mask: masks.Mask | None,
    structure: Structure,
    remaining: Mapping[str, Tensor],
) -> dict[str, bool | float | None]:
    """What must hold of every cell: the level is exact, pruned weights are exactly zero, and a pattern is followed."""
    named = dict(workspace.model.named_parameters())
    zero = not any(named[name].detach().ne(0).gt(keep).any() for name, keep in remaining.items())
    selection = final_selection(path)
    result = {"count_exact": _is_exact(workspace, path, mask, structure), "pruned_weights_zero": zero}
    if selection.pattern is None:
        return {**result}
    return {**result, "pattern_followed": satisfies(mask or {}, selection.pattern)}


def _is_exact(workspace: Workspace, path: Sequence[Phase], mask: masks.Mask | None, structure: Structure) -> bool:
    """Whether the mask has the level at the end of the path: the number of its units, or their cost."""
    selection, sparsity = final_selection(path), final_sparsity(path)
    if mask is None:
        return not sparsity
    budget = budget_of(workspace.prunable, structure, selection.budget)
    if budget is not None:
        return not budget.fault(mask, sparsity)
    return masks.pruned(mask) == selection.count(sparsity, masks.units(mask))


def agreement(workspace: Workspace, exact: nn.Module, model: nn.Module, device: str) -> dict[str, bool | float | None]:
    """Whether a compacted model agrees with the masked one: the largest difference of a logit, in float32.

    Compared on the first `COMPARED` examples of the first evaluation. `exact` is the compacted model, and `model` what
    is scored: the same, or an approximation of it, of which only the difference is given.
    """
    if model is exact is workspace.model:
        return {}
    data = next(iter(workspace.evaluations.values())).first(COMPARED)
    models = list({id(each): each for each in (workspace.model, exact, model)}.values())
    logits = {id(each): predict(each, data, precision="fp32", device=device) for each in models}

    def difference(one: nn.Module, other: nn.Module) -> float:
        return float(np.abs(logits[id(one)] - logits[id(other)]).max())

    result: dict[str, bool | float | None] = {}
    if exact is not workspace.model:
        result["compact_difference"] = difference(exact, workspace.model)
        result["compact_agrees"] = difference(exact, workspace.model) <= TOLERANCE
    if model is not exact:
        result["approximation_difference"] = difference(model, exact)
    return result
