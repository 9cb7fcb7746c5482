"""What a task is, as data. Imports no torch and no `datasets`."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from prunebench.tasks.protocol import Protocol


@dataclass(frozen=True)
class Split:
    """Examples in columns: `texts` holds one list for each text column, `labels` a class index or a score for each."""

    texts: tuple[list[str], ...]
    labels: list[int] | list[float]

    def __len__(self) -> int:
        return len(self.labels)

    def limited(self, limit: int | None) -> Split:
        """At most `limit` examples, in their order, drawn once: the same ones for every seed and method."""
        if limit is None or limit >= len(self):
            return self
        keep = sorted(random.Random(f"limit {len(self)}").sample(range(len(self)), limit))
        return Split(tuple([column[i] for i in keep] for column in self.texts), [self.labels[i] for i in keep])


@dataclass(frozen=True)
class TaskData:
    """The training split and every split that is evaluated, by the evaluation's name."""

    train: Split
    evaluations: dict[str, Split]

    def limited(self, train: int | None, evaluation: int | None) -> TaskData:
        """At most so many examples of the training split, and of each that is evaluated."""
        evaluations = {name: split.limited(evaluation) for name, split in self.evaluations.items()}
        return TaskData(self.train.limited(train), evaluations)

    def sizes(self) -> dict[str, int]:
        return {"train": len(self.train), **{name: len(split) for name, split in self.evaluations.items()}}

    def fingerprint(self) -> str:
        """A digest of all texts and labels in their order: the same for the same data, wherever it was read from.

        JSON, because it keeps apart what a plain join would run together: ("a b", "c") and ("a", "b c").
        """
        digest = hashlib.sha256()
        for name, split in (("train", self.train), *sorted(self.evaluations.items())):
            digest.update(f"\x1e{name}\x1e{len(split)}".encode())
            for row in zip(*split.texts, split.labels, strict=True):
                digest.update(json.dumps(row).encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class DataSource:
    """Where the person wants data to come from; None means the hub (or its cache) for GLUE."""

    glue_dir: Path | None = None


@dataclass(frozen=True)
class Task:
    """A task: texts in, a class or a score out.

    `labels` are the class names in the order of their indices, or () for regression. `metric` names a registered
    metric and `metric_config` its configuration; `metrics` are the keys that it gives, the first being the one that
    curves are drawn of. `evaluations` are the names of the splits that one training is evaluated on. `split` is what
    pages call them ("dev"). `load` reads the data.
    """

    name: str
    doc: str
    labels: tuple[str, ...]
    metric: str
    metric_config: str
    metrics: tuple[str, ...]
    load: Callable[[DataSource], TaskData]
    evaluations: tuple[str, ...] = ("validation",)
    split: str = "dev"
    benchmark: str = "GLUE"
    protocol: Protocol = field(default_factory=Protocol)

    @property
    def is_regression(self) -> bool:
        return not self.labels


def load_data(task: Task, glue_dir: str | None) -> TaskData:
    """The data of a task, from the folder `glue_dir` where one is given."""
    return task.load(DataSource(Path(glue_dir) if glue_dir else None))
