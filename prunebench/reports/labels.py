"""The labels of evaluations: from the store, or else from the data of the task. Bundles hold none.

Nothing is fetched from a network unless that is asked for: a page must not wait for a download.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.store.labels import labels_name, read_labels
from prunebench.store.schema import Cell
from prunebench.store.store import Store
from prunebench.tasks.carving import find_task
from prunebench.tasks.task import DataSource, Task, TaskData

Arrays = Mapping[str, np.ndarray]


class Labels:
    """The labels of each evaluation, read once. With `online`, data may come from the network.

    `source` is the store or bundle of the results; `glue_dir` is a folder with GLUE.
    """

    def __init__(
        self, source: object, registry: Registry, glue_dir: str | None = None, *, online: bool = False
    ) -> None:
        self._store = source if isinstance(source, Store) else None
        self._registry = registry
        self._source = DataSource(Path(glue_dir) if glue_dir else None, offline=not online)
        self._data: dict[str, TaskData | PrunebenchError] = {}
        self._labels: dict[tuple[str, int | None], Arrays | PrunebenchError] = {}

    def task(self, cell: Cell) -> Task:
        """The definition of a cell's task."""
        return find_task(cell.task, self._registry)

    def of(self, cell: Cell, limit: int | None) -> Arrays:
        """The labels of a cell's evaluations, shape (examples,), of at most `limit` examples each.

        Raises PrunebenchError where they are not to be had.
        """
        key = cell.setting.data, limit
        if key not in self._labels:
            try:
                self._labels[key] = self._read(cell, limit)
            except PrunebenchError as error:
                self._labels[key] = error
        labels = self._labels[key]
        if isinstance(labels, PrunebenchError):
            raise labels
        return labels

    def _read(self, cell: Cell, limit: int | None) -> Arrays:
        if self._store is not None:
            try:
                stored = read_labels(self._store, labels_name(cell.setting.data, limit))
            except PrunebenchError as error:
                self._store.complaints.append(error.message)
                stored = None
            if stored is not None:
                return stored
        data = self._load(cell.task)
        if data.fingerprint() != cell.setting.data:
            raise PrunebenchError(
                f"the data of {cell.task!r} is not what these results were made with",
                f"expected fingerprint {cell.setting.data}; --glue-dir says where GLUE lies",
            )
        return {name: np.array(split.labels) for name, split in data.limit(None, limit).evaluations.items()}

    def _load(self, name: str) -> TaskData:
        """The data of a task. A plugin may raise anything, and a page must not fail for it."""
        if name not in self._data:
            try:
                self._data[name] = find_task(name, self._registry).load(self._source)
            except PrunebenchError as error:
                self._data[name] = error
            except Exception as error:
                self._data[name] = PrunebenchError(f"cannot load the data of {name!r}: {error}")
        data = self._data[name]
        if isinstance(data, PrunebenchError):
            raise data
        return data
