"""A task and its data, in plain Python."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prunebench.tasks.protocol import Protocol


@dataclass(frozen=True)
class Split:
    """Examples in columns. `texts` has one list per text column; `labels` are class indices, or scores."""

    texts: tuple[list[str], ...]
    labels: list[int] | list[float]

    def __len__(self) -> int:
        return len(self.labels)

    def limit(self, limit: int | None) -> Split:
        """A random subset of at most `limit` examples, in their order; the same one for every seed and method."""
        if limit is None or limit >= len(self):
            return self
        return self.choose(sorted(random.Random(f"limit {len(self)}").sample(range(len(self)), limit)))

    def choose(self, indices: Sequence[int]) -> Split:
        """The examples with these indices, in that order."""
        return Split(tuple([column[i] for i in indices] for column in self.texts), [self.labels[i] for i in indices])


@dataclass(frozen=True)
class TaskData:
    """The training split, and the evaluation splits by name."""

    train: Split
    evaluations: dict[str, Split]

    def limit(self, train: int | None, evaluation: int | None) -> TaskData:
        """The same with at most `train` training examples, and at most `evaluation` in each evaluation split."""
        evaluations = {name: split.limit(evaluation) for name, split in self.evaluations.items()}
        return TaskData(self.train.limit(train), evaluations)

    def sizes(self) -> dict[str, int]:
        """The number of examples in each split."""
        return {"train": len(self.train), **{name: len(split) for name, split in self.evaluations.items()}}

    def fingerprint(self) -> str:
        """A digest of all texts and labels in their order. It does not depend on the source of the data.

        Rows are digested as JSON, because joined texts would be ambiguous: ("a b", "c") and ("a", "b c").
        """
        digest = hashlib.sha256()
        for name, split in (("train", self.train), *sorted(self.evaluations.items())):
            digest.update(f"\x1e{name}\x1e{len(split)}".encode())
            for row in zip(*split.texts, split.labels, strict=True):
                digest.update(json.dumps(row).encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class DataSource:
    """Where to read data from: a folder with GLUE's files, or the Hugging Face hub (or its cache) if it is None.

    If it is `offline`, nothing is fetched from a network.
    """

    glue_dir: Path | None = None
    offline: bool = False


@dataclass(frozen=True)
class Task:
    """A task: classification of texts, or regression on them.

    `labels` are the class names in the order of their indices, or () for regression. `metric` is the name of a metric
    and `metric_config` its configuration. `metrics` are the keys of its scores; charts show the first one.
    `evaluations` are the names of the splits that a model is evaluated on, and `split` is the word for them on pages
    ("dev"). `load` reads the data.
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
    """The data of a task, from the folder `glue_dir` if it is given."""
    return task.load(DataSource(Path(glue_dir) if glue_dir else None))
