"""Whether records that were made again agree with those of a bundle.

On the same processor, with the same number of threads and the same libraries, training is reproducible bit for bit. A
bundle says where it was made, but the comparison does not rely on that: if one training comes out bit for bit, this
machine does the same arithmetic, and everything must. Otherwise sums round differently here and trainings drift apart.
Then the counts must be equal, and two things about the scores are tested:

- No score may be farther away than the tolerance, which comes from the drift of the dense models in the same rerun.
- The mean difference of each method, with its sign, must not be significant, because drift has no direction (a
  one-sample t test against 0, with Holm's correction over the methods and all of them together).
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from prunebench.planning.graph import ENGINE
from prunebench.pruning import bitmask
from prunebench.results.statistics.comparison import holm
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.recompute import ROUNDING
from prunebench.sharing.bundle.schema import CellLine
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import Record
from prunebench.store.store import Store

# Two runs whose environments agree in these do the same arithmetic.
SAME_ARITHMETIC = ("hardware", "threads", "platform", "torch", "transformers", "numpy")
# The error that the test of mean differences may make, and the quantile of the drift that scores may reach.
ALPHA, QUANTILE = 0.01, 0.995
# Two examples more or less are no sign of anything.
LEAST_EXAMPLES = 2


@dataclass(frozen=True)
class Comparison:
    """A new record against the one of the bundle.

    faults: counts that must be equal on any machine, and are not.
    differences: what is not equal bit for bit.
    exact: whether a training came out bit for bit, its loss included, on a CPU.
    must_be_exact: whether the record says that it was made by the same arithmetic.
    distance: the largest distance of a score.
    step: two examples of the smallest evaluation, as a difference of scores.
    trainings: the number of trainings that the scores result from.
    """

    key: str
    faults: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    exact: bool = False
    must_be_exact: bool = False
    distance: float = 0.0
    step: float = 0.0
    trainings: int = 1


@dataclass
class Agreement:
    """Sentences on records that were made again: everything `wrong` with them, and what they `confirmed`."""

    wrong: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)


def compare(bundle: Bundle, trees: Trees, key: str, store: Store) -> Comparison:
    """Compare the record in `store`, which was made again, with the record in the bundle."""
    old, new = bundle.records[key], store.record(key)
    if new is None:
        return Comparison(key, ("could not be made again",))
    differences = tuple(_compare_bits(bundle, trees, old, new, store))
    on_cpu = old.experiment.device == "cpu"
    return Comparison(
        key,
        tuple(_compare_counts(old, new)),
        differences,
        exact=on_cpu and not differences and old.loss is not None,
        must_be_exact=on_cpu and _does_same_arithmetic(old, new),
        distance=max(abs(old_score - new_score) for old_score, new_score in _scores(old, new)),
        step=LEAST_EXAMPLES / min(scores.examples for scores in old.evaluations.values()),
        trainings=sum(bool(node.phase and node.phase.trains) for node in trees.nodes[key].lineage()),
    )


def gain(bundle: Bundle, cell: CellLine, store: Store) -> float | None:
    """By how much the scores in the bundle are above those that were made again, as a mean; None where there are none.

    A GPU or another machine moves it in either direction; a lie moves it in one.
    """
    new = store.record(cell.key)
    if new is None:
        return None
    return statistics.fmean(old_score - new_score for old_score, new_score in _scores(bundle.records[cell.key], new))


def _scores(old: Record, new: Record) -> Iterator[tuple[float, float]]:
    for name, scores in old.evaluations.items():
        for metric, value in scores.metrics.items():
            yield value, new.evaluations[name].metrics[metric]


def _does_same_arithmetic(old: Record, new: Record) -> bool:
    """Whether the record claims a machine on which results must be equal."""
    same = all(str(old.environment.get(name)) == str(new.environment.get(name)) for name in SAME_ARITHMETIC)
    return same and old.experiment.code.partition(",")[0] == f"engine {ENGINE}"


def _compare_counts(old: Record, new: Record) -> Iterator[str]:
    for name in ("steps", "tokens"):
        if getattr(old, name) != getattr(new, name):
            yield f"has {getattr(new, name)} {name} instead of {getattr(old, name)}"
    for name in ("unit", "units", "pruned", "encoder_weights", "budget", "cost_pruned"):
        if getattr(old.sparsity, name) != getattr(new.sparsity, name):
            yield f"says {name} {getattr(new.sparsity, name)} instead of {getattr(old.sparsity, name)}"
    if old.parameters.total != new.parameters.total:
        yield f"has {new.parameters.total} parameters instead of {old.parameters.total}"


def _compare_bits(bundle: Bundle, trees: Trees, old: Record, new: Record, store: Store) -> Iterator[str]:
    """Compare what is equal bit for bit under the same arithmetic: scores, predictions, loss, sizes and masks."""
    # Another build of numpy rounds a correlation of the same predictions differently.
    if (distance := max(abs(old_score - new_score) for old_score, new_score in _scores(old, new))) > ROUNDING:
        yield f"has scores that are {distance:.4f} away"
    predictions = bundle.predictions(old.key)
    for evaluation, array in store.predictions(new.key).items():
        if not np.array_equal(array, predictions[evaluation]):
            yield f"has other predictions for {evaluation}"
    if old.loss != new.loss:
        yield f"has the loss {new.loss} instead of {old.loss}"
    if old.sparsity != new.sparsity or old.parameters != new.parameters:
        yield "has other sizes"
    if old.flops not in (None, new.flops):
        yield "has other FLOPs"
    for node in trees.nodes[old.key].path():
        if node.phase is None or not node.phase.finds_mask:
            continue
        mask_key = node.phase.mask_from or node.key
        mask = store.load("masks", mask_key, bitmask.summary)
        if mask != bundle.masks[mask_key].model_dump(exclude={"key"}):
            yield f"has another mask {mask_key}"


def judge(
    comparisons: Sequence[Comparison], dense: Sequence[str], gains: Sequence[tuple[str, float]], limit: float
) -> Agreement:
    """Judge all records that were made again.

    `dense` are the keys of dense runs among them, whose drift gives the tolerance, which is at most `limit`. `gains`
    are the labels of cells with the difference of their scores.
    """
    result = Agreement()
    result.wrong += [_sentence(each.key, fault) for each in comparisons for fault in each.faults]
    exact = sum(each.exact for each in comparisons)
    for each in comparisons:
        if exact or each.must_be_exact:
            result.wrong += [_sentence(each.key, difference) for difference in each.differences]
    different = sum(bool(each.differences) for each in comparisons)
    if exact and different:
        result.wrong.append(
            f"{exact} records were made again bit for bit, so that this machine does the arithmetic of the bundle, but"
            f" {different} came out differently; a bundle of one machine is all of one kind"
        )
    if not different:
        result.confirmed.append(f"{len(comparisons)} records were made again bit for bit")
    elif not result.wrong:
        _judge_drift(comparisons, dense, gains, limit, result)
    return result


def _sentence(key: str, fault: str) -> str:
    return f"the record {key}, made again, {fault}" if not fault.startswith("could") else f"the record {key} {fault}"


def _judge_drift(
    comparisons: Sequence[Comparison],
    dense: Sequence[str],
    gains: Sequence[tuple[str, float]],
    limit: float,
    result: Agreement,
) -> None:
    """Test the distances and the mean differences of records that need not be equal."""
    drift = [each.distance for each in comparisons if each.key in dense]
    for each in comparisons:
        tolerance = measured_tolerance(drift, each, limit)
        if each.distance > tolerance:
            result.wrong.append(
                _sentence(each.key, f"has scores that are {each.distance:.4f} away, expected at most {tolerance:.4f}")
            )
    tests = mean_tests(gains)
    result.wrong += [
        f"the scores of {label} are {mean:+.4f} from those made again, in the mean of {number} cells,"
        f" which is no drift (one-sample t test, p = {p:.2g} after Holm's correction)"
        for label, mean, number, p in tests
        if p < ALPHA
    ]
    largest = max(each.distance for each in comparisons)
    result.confirmed.append(
        f"{len(comparisons)} records were made again, not bit for bit: their counts are the same, and their scores at"
        f" most {largest:.4f} away, while those of {len(drift)} dense runs are up to {max(drift, default=0.0):.4f} away"
    )
    means = ", ".join(f"{label} {mean:+.4f} (n = {number}, p = {p:.2g})" for label, mean, number, p in tests)
    if means:
        result.confirmed.append(f"no mean difference is significant (one-sample t test, Holm): {means}")


def measured_tolerance(drift: Sequence[float], comparison: Comparison, limit: float) -> float:
    """How far a score may be away, given how far those of the dense runs are: a quantile of Student's t around 0.

    The root of their mean square estimates the standard deviation of the drift, which grows with the square root of the
    number of trainings behind a score. The tolerance is at least two examples, and at most `limit`.
    """
    from scipy.stats import t

    if not drift:
        return limit
    spread = math.sqrt(math.fsum(distance**2 for distance in drift) / len(drift) * max(comparison.trainings, 1))
    return min(limit, max(comparison.step, float(t.ppf(QUANTILE, len(drift))) * spread))


def mean_tests(gains: Sequence[tuple[str, float]]) -> list[tuple[str, float, int, float]]:
    """The mean difference of each method with two cells or more, and of all, with the number of cells and p.

    p is that of a two-sided one-sample t test against 0, corrected by Holm's method.
    """
    groups: dict[str, list[float]] = defaultdict(list)
    for label, value in gains:
        groups[label].append(value)
    if len(groups) > 1:
        groups["all methods"] = [value for _, value in gains]
    tested = {label: values for label, values in sorted(groups.items()) if len(values) > 1}
    corrected = holm([_p(values) for values in tested.values()])
    return [
        (label, statistics.fmean(values), len(values), 1.0 if p is None else p)
        for (label, values), p in zip(tested.items(), corrected, strict=True)
    ]


def _p(values: Sequence[float]) -> float:
    from scipy.stats import ttest_1samp

    values = [round(value, 12) for value in values]
    if len(set(values)) == 1:
        # The test is not defined. Two equal differences may be a coincidence, and three are not.
        return 1.0 if not values[0] or len(values) < 3 else 0.0
    return float(ttest_1samp(values, 0.0).pvalue)
