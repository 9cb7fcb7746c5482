"""Every metric of a bundle, computed anew from its predictions and the task's own data. Imports no torch.

Labels are not in a bundle: they come from where a run takes them, and are the ones that were scored if the fingerprint
of the data is that of the records.
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

# Sums of floating-point numbers may round otherwise in another build of numpy; nobody gains by a hundred thousandth
# of a millionth of a point.
ROUNDING = 1e-12


@dataclass
class Recomputed:
    """What is wrong, how many records were recomputed, and which tasks could not be, with the reason."""

    wrong: list[str] = field(default_factory=list)
    records: int = 0
    without_data: dict[str, str] = field(default_factory=dict)


def recompute(bundle: Bundle, registry: Registry, glue_dir: str | None) -> Recomputed:
    """Compare the metrics of all records, the majority row and what is said of undefined values with what comes out."""
    found = Recomputed()
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for line in bundle.lines.values():
        experiment = line.record.experiment
        limits = experiment.protocol.get("train_limit"), experiment.protocol.get("eval_limit")
        group = experiment.task, experiment.data, limits, tuple(sorted(experiment.sizes.items()))
        groups[group].append(line.record)
    for (task, data, limits, sizes), records in sorted(groups.items(), key=lambda group: str(group[0])):
        try:
            checker = Checker.load(registry, task, data, limits, glue_dir)
        except PrunebenchError as error:
            found.without_data[task] = str(error)
            continue
        if checker.data.sizes() != dict(sizes):
            found.wrong.append(
                f"records of {task} say that there are {dict(sizes)} examples, not {checker.data.sizes()}"
            )
            continue
        for record in records:
            found.records += 1
            found.wrong += checker.compare(bundle, record)
    return found


@dataclass(frozen=True)
class Checker:
    """A task with its data as it was limited, its metric, and the scores of its most frequent class."""

    task: Task
    data: TaskData
    scorer: Scorer
    majorities: Mapping[str, Mapping[str, float]]

    @classmethod
    def load(
        cls, registry: Registry, name: str, fingerprint: str, limits: Sequence[Any], glue_dir: str | None
    ) -> Checker:
        """Raises PrunebenchError where task, metric or data are not at hand, or the data are others."""
        task: Task = registry.get("tasks", name)
        scorer = Scorer.from_spec(task, registry.get("metrics", task.metric))
        data = task.load(DataSource(Path(glue_dir) if glue_dir else None))
        if data.fingerprint() != fingerprint:
            raise PrunebenchError(f"the data of {name} here is {data.fingerprint()}, and the bundle's is {fingerprint}")
        data = data.limit(*limits)
        guess = {
            evaluation: majority_scores(labels(data.train), labels(split), scorer)
            for evaluation, split in data.evaluations.items()
        }
        return cls(task, data, scorer, guess)

    def compare(self, bundle: Bundle, record: Record) -> Iterator[str]:
        for evaluation, said in record.evaluations.items():
            if evaluation not in self.data.evaluations:
                yield f"the record {record.key} has the evaluation {evaluation!r}, which {self.task.name} has not"
                continue
            split = self.data.evaluations[evaluation]
            for what, here, there in self._pairs(bundle, record.key, evaluation, said, split):
                if not same(here, there):
                    yield f"the record {record.key} says {what} {there} of {evaluation}; its predictions give {here}"

    def _pairs(
        self, bundle: Bundle, key: str, evaluation: str, said: Evaluation, split: Split
    ) -> Iterator[tuple[str, Any, Any]]:
        """What is said, what comes out, and what was said."""
        array = bundle.predictions(key)[evaluation]
        if (array.dtype.kind == "f") != self.task.is_regression or len(array) != len(split):
            yield "predictions of", f"{len(split)} examples of another kind", f"{len(array)} examples"
            return
        if not self.task.is_regression and int(array.max()) >= len(self.task.labels):
            yield "a class", f"one of {len(self.task.labels)}", int(array.max())
            return
        predicted, expected = array.tolist(), labels(split)
        found = self.scorer(predicted, expected)
        yield "metrics", fill_undefined(found), said.metrics
        yield "degenerate", undefined_keys(found), said.degenerate
        yield "majority", self.majorities[evaluation], said.majority
        yield "examples", len(split), said.examples


def labels(split: Split) -> list[Any]:
    """The labels as they are scored: scores in single precision."""
    if all(isinstance(label, int) for label in split.labels):
        return list(split.labels)
    return list(np.asarray(split.labels, dtype=np.float32).tolist())


def same(here: Any, there: Any) -> bool:
    """Equal, but for rounding in sums."""
    if not isinstance(here, Mapping):
        return bool(here == there)
    return here.keys() == there.keys() and all(abs(here[name] - there[name]) <= ROUNDING for name in here)
