"""Read GLUE with `datasets`: from the hub, from its cache, or from a `save_to_disk` copy.

Labels are class indices, so the `label` column must name the classes in the hub's order. Data with another order is an
error, because every score on it would be wrong.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.tasks.glue.layout import SCORES, Layout
from prunebench.tasks.task import Split

REPOSITORY = "nyu-mll/glue"


def from_hub(layout: Layout, repository: str = REPOSITORY) -> dict[str, Split]:
    """All labelled splits of a task from the hub or its local cache, with prunebench's names of the splits.

    `repository` is a dataset repository on the hub, or a local folder with the layout of one. Raises PrunebenchError
    if it cannot be reached and is not in the cache, or if it does not contain the data of this task.
    """
    return _splits(layout, load(layout, repository), f"{repository} ({layout.config})")


def from_cache(layout: Layout) -> dict[str, Split]:
    """The same from the hub's local cache, without any request. Raises PrunebenchError if it is not there."""
    # Before `datasets` is imported, which takes a second.
    if not (_cache() / REPOSITORY.replace("/", "___") / layout.config).is_dir():
        raise PrunebenchError(f"{REPOSITORY} ({layout.config}) is not in the hub's cache", "--glue-dir names a copy")
    with _offline():
        return from_hub(layout)


def _cache() -> Path:
    """The folder in which `datasets` keeps what it has downloaded."""
    folder = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(os.environ.get("HF_DATASETS_CACHE") or Path(folder, "datasets")).expanduser()


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Both libraries read HF_HUB_OFFLINE once, when they are imported."""
    import datasets
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def from_disk(layout: Layout, folder: Path) -> dict[str, Split]:
    """The same from a `DatasetDict.save_to_disk` folder with the hub's columns.

    Raises PrunebenchError if the folder cannot be read or does not contain the data of this task.
    """
    return _splits(layout, load_copy(folder), str(folder))


def load(layout: Layout, repository: str = REPOSITORY) -> Any:
    """The unchanged DatasetDict of a task from the hub or its local cache."""
    import datasets

    try:
        return datasets.load_dataset(repository, layout.config)
    except (OSError, ValueError) as error:
        raise PrunebenchError(
            f"cannot load {repository} ({layout.config}) from the hub or its cache: {_line(error)}",
            "without a network, give a local copy with --glue-dir",
        ) from error


def load_copy(folder: Path) -> Any:
    """The unchanged DatasetDict of a `save_to_disk` folder."""
    import datasets

    try:
        return datasets.load_from_disk(str(folder))
    except (OSError, ValueError, LookupError) as error:
        raise PrunebenchError(
            f"cannot read {folder} as a save_to_disk copy of a DatasetDict: {_line(error)}",
            "a split is empty or damaged, so save the copy again",
        ) from error


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _splits(layout: Layout, data: Mapping[str, Any], source: str) -> dict[str, Split]:
    splits = {}
    for name, (hub_name, _) in layout.splits.items():
        if hub_name not in data:
            raise PrunebenchError(f"{source} has no split {hub_name!r}", f"its splits: {', '.join(map(str, data))}")
        splits[name] = _split(layout, data[hub_name], f"{source}, split {hub_name}")
    return splits


def _split(layout: Layout, dataset: Any, source: str) -> Split:
    columns = [*layout.texts, "label"]
    for column in columns:
        if column not in dataset.column_names:
            raise PrunebenchError(
                f"{source} has no column {column!r}", f"its columns: {', '.join(dataset.column_names)}"
            )
    names = tuple(getattr(dataset.features["label"], "names", ()))
    if names != layout.labels:
        expected = ", ".join(layout.labels) or "scores"
        raise PrunebenchError(
            f"{source} has the classes {', '.join(names) or 'unnamed'}, expected {expected}",
            f"expected the data of {layout.config}, with the hub's ClassLabel" if layout.labels else "",
        )
    # A saved copy may have a format such as "torch", which would convert the rows.
    rows = dataset.select_columns(columns).with_format(None)[:]
    texts = tuple(rows[column] for column in layout.texts)
    _check(texts, rows["label"], len(layout.labels), source)
    return Split(texts, rows["label"])


def _check(texts: tuple[list[Any], ...], labels: list[Any], classes: int, source: str) -> None:
    if not labels:
        raise PrunebenchError(f"no examples in {source}")
    for column in texts:
        for row, text in enumerate(column):
            if not isinstance(text, str):
                raise PrunebenchError(f"{source}, row {row} has no text")
    low, high = (0, classes - 1) if classes else SCORES
    for row, label in enumerate(labels):
        if label is None or not low <= label <= high:
            raise PrunebenchError(f"{source}, row {row} has the label {label}", f"expected {low} to {high}")
