"""GLUE through `datasets`: from the hub, from its cache, or from a `save_to_disk` copy. Imports `datasets` when called.

Classes are known by their index alone, so a copy whose `label` column does not name the classes in the hub's order
is refused: with swapped names it would be scored, and wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.tasks.glue.layout import SCORES, Layout
from prunebench.tasks.task import Split

REPOSITORY = "nyu-mll/glue"


def from_hub(layout: Layout, repository: str = REPOSITORY) -> dict[str, Split]:
    """All splits of a task from the hub or its local cache, by our names of the splits.

    `repository` is a dataset repository of the hub, or a local folder in such a repository's layout.
    Raises `PrunebenchError` if it cannot be reached and is not cached, or does not hold what GLUE holds.
    """
    return _splits(layout, load(layout, repository), f"{repository} ({layout.config})")


def from_disk(layout: Layout, folder: Path) -> dict[str, Split]:
    """All splits of a task from a `DatasetDict.save_to_disk` folder with the hub's columns.

    Raises `PrunebenchError` if the copy is damaged or does not hold what GLUE holds.
    """
    return _splits(layout, saved(folder), str(folder))


def load(layout: Layout, repository: str = REPOSITORY) -> Any:
    """The DatasetDict of a task from the hub or its local cache, as it is there."""
    import datasets

    try:
        return datasets.load_dataset(repository, layout.config)
    except (OSError, ValueError) as error:
        raise PrunebenchError(
            f"cannot load {repository} ({layout.config}) from the hub or its cache: {_line(error)}",
            "with no network, give a local copy with --glue-dir",
        ) from error


def saved(folder: Path) -> Any:
    """The DatasetDict of a `save_to_disk` folder, as it is there."""
    import datasets

    try:
        return datasets.load_from_disk(str(folder))
    except (OSError, ValueError, LookupError) as error:
        raise PrunebenchError(
            f"{folder} is no readable save_to_disk copy of a DatasetDict: {_line(error)}",
            "a split of it is empty or damaged, save it again",
        ) from error


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _splits(layout: Layout, found: Mapping[str, Any], where: str) -> dict[str, Split]:
    result = {}
    for name, (hub_name, _) in layout.splits.items():
        if hub_name not in found:
            raise PrunebenchError(f"{where} has no split {hub_name!r}", f"splits there: {', '.join(map(str, found))}")
        result[name] = _split(layout, found[hub_name], f"{where}, split {hub_name}")
    return result


def _split(layout: Layout, dataset: Any, where: str) -> Split:
    wanted = [*layout.texts, "label"]
    for column in wanted:
        if column not in dataset.column_names:
            there = ", ".join(dataset.column_names)
            raise PrunebenchError(f"{where} has no column {column!r}", f"columns there: {there}")
    names = tuple(getattr(dataset.features["label"], "names", ()))
    if names != layout.labels:
        expected = ", ".join(layout.labels) or "scores"
        raise PrunebenchError(
            f"{where} has the classes {', '.join(names) or 'unnamed'}, expected {expected}",
            f"expected the data of {layout.config}, with the hub's ClassLabel" if layout.labels else "",
        )
    # A saved copy may carry a format such as "torch" and an index mapping: plain Python rows are wanted.
    columns = dataset.select_columns(wanted).with_format(None)[:]
    texts = tuple(columns[column] for column in layout.texts)
    _check(texts, columns["label"], len(layout.labels), where)
    return Split(texts, columns["label"])


def _check(texts: tuple[list[Any], ...], labels: list[Any], classes: int, where: str) -> None:
    if not labels:
        raise PrunebenchError(f"no examples in {where}")
    for column in texts:
        for row, text in enumerate(column):
            if not isinstance(text, str):
                raise PrunebenchError(f"{where}, row {row} has no text")
    low, high = (0, classes - 1) if classes else SCORES
    for row, label in enumerate(labels):
        if label is None or not low <= label <= high:
            raise PrunebenchError(f"{where}, row {row} has the label {label}", f"expected {low} to {high}")
