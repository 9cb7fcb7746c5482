"""Checks of what short runs came to.

The engine itself finds most faults of a method while it runs, and its message names them. Each belongs to one check, so
that one fault fails one check, and the others say that they have nothing to look at.
"""

from __future__ import annotations

import re

from prunebench.pruning import masks
from prunebench.recipes.phase import final_selection
from prunebench.testing.check import Check, Fault, Inapplicable, Subject, check
from prunebench.testing.evidence import OTHER_SEED, CellEvidence
from prunebench.testing.models import FAMILIES

# What the engine's message says, by the check that the fault belongs to.
MESSAGES = {
    "nothing else changes": r" changed (?!the mask)",
    "exact counts": r"pruned \d+ units|has pruned|broke the pattern|, expected \d+ ",
    "masks": r"brought pruned units back|other names or shapes|as a mask",
    "scores": r"\bNaN\b|no score for|a score for|the score of|as scores| for '.*' as scores",
}
RUNS = "runs"
TOLERANCE = 1e-5


def belongs_to(reason: str) -> str:
    """The name of the check that the engine's message belongs to."""
    return next((name for name, pattern in MESSAGES.items() if re.search(pattern, reason)), RUNS)


def _cells(subject: Subject, name: str) -> dict[float, CellEvidence]:
    """The cells of the own run by sparsity. Raises Fault for a failure of this check, or Inapplicable without any."""
    cells = dict(subject.evidence.own(subject.method).cells)
    for level, cell in cells.items():
        if cell.failure and belongs_to(cell.failure) == name:
            raise Fault(f"at {level:g}: {cell.failure}")
    done = {level: cell for level, cell in cells.items() if cell.record is not None}
    if not done:
        raise Inapplicable("no cell was scored")
    return done


def _dense(subject: Subject) -> str:
    return "" if subject.method.prunes else "it prunes nothing"


def _not_structured(subject: Subject) -> str:
    phases = [step.phase for step in subject.method.steps(subject.evidence.level(subject.method))]
    return "" if phases[-1].shrinks_model else "nothing leaves the model"


@check(RUNS, "every cell is scored, in trainings of two steps")
def runs(subject: Subject) -> str:
    fresh = subject.evidence.fresh(subject.method)
    if fresh.failure and belongs_to(fresh.failure) == RUNS:
        raise Fault(fresh.failure)
    done = _cells(subject, RUNS)
    return f"{len(done)} cells at {', '.join(f'{level:g}' for level in done)}"


@check("exact counts", "the number of pruned units, or their cost, that each level asks for", _dense)
def exact_counts(subject: Subject) -> str:
    actual = []
    for level, cell in _cells(subject, "exact counts").items():
        assert cell.record is not None
        sparsity = cell.record.sparsity
        if not cell.record.checks["count_exact"]:
            raise Fault(f"{sparsity.pruned} of {sparsity.units} units at {level:g}")
        if cell.record.checks.get("pattern_followed") is False:
            raise Fault(f"a mask at {level:g} that does not follow the pattern")
        actual.append(f"{sparsity.pruned}")
    return f"{', '.join(actual)} of {sparsity.units} units"


@check("nothing else changes", "weights, biases, norms, hooks, modules, flags and torch's state are left as they were")
def nothing_else(subject: Subject) -> str:
    done = _cells(subject, "nothing else changes")
    return f"no change around any call in {len(done)} cells"


@check("masks", "masks of the right shapes, each a part of the one before it unless the method regrows", _dense)
def nested(subject: Subject) -> str:
    done = _cells(subject, "masks")
    masked = {level: cell.mask for level, cell in done.items() if cell.mask}
    if getattr(subject.strategy, "regrows", False):
        return f"regrows = True; {len(masked)} masks, whose counts were exact at each step"
    shared = [level for level in masked if _passes(subject, level, max(masked))]
    for level in shared:
        back = sum(int((masked[max(masked)][name] & ~keep).sum()) for name, keep in masked[level].items())
        if back:
            raise Fault(f"{back} units that are pruned at {level:g} are there at {max(masked):g}")
    return f"{len(masked)} masks, {len(shared)} of which the last one goes on from"


def _passes(subject: Subject, level: float, last: float) -> bool:
    """Whether the recipe of the last level passes through the mask of another one, or prunes by the same scores."""
    if level == last or hasattr(subject.strategy, "prune") or not hasattr(subject.strategy, "score"):
        return False
    one, other = ([step.phase for step in subject.method.steps(each)] for each in (level, last))
    first = next(i for i, phase in enumerate(one) if phase.changes_mask)
    is_global = final_selection(one).scope == "global" and final_selection(one).pattern is None
    alike = one[:first] == other[:first] and not one[first].trains
    return is_global and alike and (other[first] == one[first] or len([p for p in one if p.changes_mask]) == 1)


@check("zeros after training", "pruned weights are exactly zero in the scored model", _dense)
def zeros(subject: Subject) -> str:
    done = _cells(subject, "zeros after training")
    for level, cell in done.items():
        if cell.record is not None and not cell.record.checks["pruned_weights_zero"]:
            raise Fault(f"pruned weights that are not zero at {level:g}")
    return f"so in {len(done)} cells"


@check("compacted = masked", f"logits of the smaller model differ by at most {TOLERANCE:g}", _not_structured)
def compacted(subject: Subject) -> str:
    differences = [
        float(cell.record.checks["compact_difference"] or 0.0)
        for cell in _cells(subject, "compacted = masked").values()
        if cell.record is not None and "compact_difference" in cell.record.checks
    ]
    if not differences:
        raise Inapplicable("no model became smaller")
    if max(differences) > TOLERANCE:
        raise Fault(f"a difference of {max(differences):.2g}")
    return f"a difference of {max(differences):.2g}"


@check("state", "no state on the class or in the module: all of it is in the callback")
def state(subject: Subject) -> str:
    changed = subject.evidence.own(subject.method).changed_state
    if changed:
        raise Fault(f"a run has changed {', '.join(changed)}")
    return "nothing has changed"


@check("silence", "nothing is printed, and no warning is raised")
def silence(subject: Subject) -> str:
    output = subject.evidence.own(subject.method).output
    if output:
        raise Fault(f"{output[0]!r}" + (f" and {len(output) - 1} more lines" if len(output) > 1 else ""))
    return "nothing was printed"


def _own(subject: Subject) -> CellEvidence:
    """The cell of comparisons. Raises Inapplicable where it failed."""
    cell = subject.evidence.own(subject.method).cells[subject.evidence.level(subject.method)]
    if cell.record is None:
        raise Inapplicable("the cell was not scored")
    return cell


@check("same seed, same result", "the same bits after a run of another seed, in the same process")
def same_seed(subject: Subject) -> str:
    if _own(subject).difference(subject.evidence.again(subject.method)):
        difference = _own(subject).difference(subject.evidence.again_with_the_same_labels(subject.method))
        if difference:
            raise Fault(f"{difference}: nothing but the seed may decide, no clock, no order of a set, no other run")
    return f"the same after seed {OTHER_SEED}"


@check("no peek", "the same bits where every label of dev is another one")
def no_peek(subject: Subject) -> str:
    difference = _own(subject).difference(subject.evidence.again(subject.method))
    if not difference:
        return "the same with other labels"
    if _own(subject).difference(subject.evidence.again_with_the_same_labels(subject.method)):
        raise Inapplicable("results differ with the same labels too")
    raise Fault(f"{difference}: the method has read the labels that it is scored by")


@check("--jobs 2", "the same key and the same bits in one of two worker processes")
def two_jobs(subject: Subject) -> str:
    own, fresh = _own(subject), subject.evidence.fresh(subject.method)
    if fresh.failure:
        raise Fault(fresh.failure)
    if own.key != fresh.key:
        raise Fault("another key")
    if difference := own.difference(fresh):
        raise Fault(difference)
    return "the same key and bits"


def _no_callback(subject: Subject) -> str:
    return "" if hasattr(subject.kind, "training") else "it has no training(ctx)"


@check("resume", "the same bits from a training that is interrupted after its first step, and goes on", _no_callback)
def resume(subject: Subject) -> str:
    cell, interrupted = subject.evidence.interrupted(subject.method)
    if difference := _own(subject).difference(cell):
        raise Fault(f"{difference}: state_dict() lacks what one step leaves for a later one")
    return f"the same, with {interrupted} trainings interrupted"


@check("families", f"runs on {', '.join(FAMILIES[:-1])} and {FAMILIES[-1]}")
def families(subject: Subject) -> str:
    _own(subject)
    for family in FAMILIES[1:]:
        cell = subject.evidence.family(subject.method, family)
        if cell.record is None:
            raise Fault(f"on {family}: {cell.failure}")
        if not (cell.record.checks["count_exact"] and cell.record.checks["pruned_weights_zero"]):
            raise Fault(f"on {family}: {masks.pruned(cell.mask)} units pruned, or pruned weights that are not zero")
    return f"so on all {len(FAMILIES)}"


CHECKS: list[Check] = [
    *(runs, exact_counts, nothing_else, nested, zeros, compacted, state, silence),
    *(same_seed, no_peek, two_jobs, resume, families),
]
