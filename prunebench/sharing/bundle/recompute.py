"""Every metric of a bundle, computed again from its predictions and the task's own data.

A bundle holds no labels. They are read from where a run reads them, and the fingerprint in the records tells whether
they are the ones that were scored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.sharing.bundle.reader import Bundle
from prunebench.store.schema import Evaluation, Record
from prunebench.tasks.metrics import Scorer, fill_undefined, majority_scores, undefined_keys
from prunebench.tasks.task import DataSource, Split, Task, TaskData

# Fewer examples than this may all be right.
LEAST_EXAMPLES = 10
# Sums of floating-point numbers may round differently in another build of numpy. Nobody gains from 1e-12.
ROUNDING = 1e-12


@dataclass
class MetricCheck:
    """Faults, the number of recomputed records, and for each task without usable data the reason.

    `perfect` are the keys of records whose predictions are the labels.
    """

    faults: list[str] = field(default_factory=list)
    records: int = 0
    without_data: dict[str, str] = field(default_factory=dict)
    perfect: list[str] = field(default_factory=list)


def recompute(bundle: Bundle, registry: Registry, glue_dir: str | None) -> MetricCheck:
    """Compare metrics, majority scores and undefined metrics of all records with what the predictions give."""
    result = MetricCheck()
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in bundle.records.values():
        experiment = record.experiment
        limits = experiment.protocol.get("train_limit"), experiment.protocol.get("eval_limit")
        group = experiment.task, experiment.data, limits, tuple(sorted(experiment.sizes.items()))
        groups[group].append(record)
    for (task, data, limits, sizes), records in sorted(groups.items(), key=lambda group: str(group[0])):
        try:
            checker = Checker.load(registry, task, data, limits, glue_dir)
        except PrunebenchError as error:
            result.without_data[task] = str(error)
            continue
        if checker.data.sizes() != dict(sizes):
            result.faults.append(f"records of {task} say {dict(sizes)} examples, but there are {checker.data.sizes()}")
            continue
        for record in records:
            result.records += 1
            result.faults += checker.compare(bundle, record)
            if checker.is_perfect(bundle, record.key):
                result.perfect.append(record.key)
    return result


@dataclass(frozen=True)
class Checker:
    """A task with its data (limited as in training), its metric, and the scores of its most frequent class."""

    task: Task
    data: TaskData
    scorer: Scorer
    majorities: Mapping[str, Mapping[str, float]]

    @classmethod
    def load(
        cls, registry: Registry, name: str, fingerprint: str, limits: Sequence[Any], glue_dir: str | None
    ) -> Checker:
        """Raises PrunebenchError if task, metric or data are not available, or the data are different ones."""
        task: Task = registry.get("tasks", name)
        scorer = Scorer.from_spec(task, registry.get("metrics", task.metric))
        data = task.load(DataSource(Path(glue_dir) if glue_dir else None))
        if data.fingerprint() != fingerprint:
            raise PrunebenchError(f"the data of {name} here is {data.fingerprint()}, but the bundle's is {fingerprint}")
        data = data.limit(*limits)
        majorities = {
            evaluation: majority_scores(labels(data.train), labels(split), scorer)
            for evaluation, split in data.evaluations.items()
        }
        return cls(task, data, scorer, majorities)

    def compare(self, bundle: Bundle, record: Record) -> Iterator[str]:
        for evaluation, scores in record.evaluations.items():
            if evaluation not in self.data.evaluations:
                yield f"the record {record.key} has the evaluation {evaluation!r}, which {self.task.name} does not have"
                continue
            split = self.data.evaluations[evaluation]
            for name, computed, claimed in self._pairs(bundle, record.key, evaluation, scores, split):
                if not is_same(computed, claimed):
                    yield (
                        f"the record {record.key} says {name} {claimed} of {evaluation};"
                        f" its predictions give {computed}"
                    )

    def is_perfect(self, bundle: Bundle, key: str) -> bool:
        """Whether the predictions of some evaluation are its labels."""
        return any(
            len(array) >= LEAST_EXAMPLES and array.tolist() == labels(self.data.evaluations[name])
            for name, array in bundle.predictions(key).items()
            if name in self.data.evaluations
        )

    def _pairs(
        self, bundle: Bundle, key: str, evaluation: str, recorded: Evaluation, split: Split
    ) -> Iterator[tuple[str, Any, Any]]:
        """Names of values, each with what the predictions give and what the record claims."""
        array = bundle.predictions(key)[evaluation]
        if (array.dtype.kind == "f") != self.task.is_regression or len(array) != len(split):
            yield "predictions of", f"{len(split)} examples of another kind", f"{len(array)} examples"
            return
        if not self.task.is_regression and int(array.max()) >= len(self.task.labels):
            yield "a class", f"one of {len(self.task.labels)}", int(array.max())
            return
        scores = self.scorer(array.tolist(), labels(split))
        yield "metrics", fill_undefined(scores), recorded.metrics
        yield "degenerate", undefined_keys(scores), recorded.degenerate
        yield "majority", self.majorities[evaluation], recorded.majority
        yield "examples", len(split), recorded.examples


def labels(split: Split) -> list[Any]:
    """The labels as they are scored: classes as they are, scores in single precision."""
    if all(isinstance(label, int) for label in split.labels):
        return list(split.labels)
    return list(np.asarray(split.labels, dtype=np.float32).tolist())


def is_same(computed: Any, claimed: Any) -> bool:
    """Whether two values are equal; scores may differ by ROUNDING."""
    if not isinstance(computed, Mapping):
        return bool(computed == claimed)
    return computed.keys() == claimed.keys() and all(
        abs(computed[name] - claimed[name]) <= ROUNDING for name in computed
    )
