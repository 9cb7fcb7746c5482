"""The test splits of GLUE, which have no labels: a submission to GLUE's server predicts them.

They are read from the same source as the other splits. No code that trains or prunes imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.tasks.glue import hub, tsv
from prunebench.tasks.glue.definitions import saved_copy
from prunebench.tasks.glue.layout import AX, LAYOUTS, Layout
from prunebench.tasks.task import DataSource


@dataclass(frozen=True)
class UnlabelledSplit:
    """A split without labels: texts in columns, and the server's number of each row."""

    texts: tuple[list[str], ...]
    index: list[int]

    def __len__(self) -> int:
        return len(self.index)


def load_test_splits(config: str, source: DataSource) -> dict[str, UnlabelledSplit]:
    """The test splits of a GLUE task or of the diagnostic set "ax", with the hub's names of the splits.

    Raises PrunebenchError if a split is missing or malformed.
    """
    layout = next(layout for layout in (*LAYOUTS, AX) if layout.config == config)
    if source.glue_dir is None:
        return _from_hub(layout, hub.load(layout))
    if (copy := saved_copy(layout, source.glue_dir)) is not None:
        return _from_hub(layout, hub.load_copy(copy))
    return {name: _from_tsv(layout, source.glue_dir / layout.folder, files) for name, files in layout.tests.items()}


def _from_hub(layout: Layout, data: Mapping[str, Any]) -> dict[str, UnlabelledSplit]:
    return {name: _hub_split(layout, data, name) for name in layout.tests}


def _hub_split(layout: Layout, data: Mapping[str, Any], name: str) -> UnlabelledSplit:
    if name not in data:
        raise PrunebenchError(f"{layout.config} has no split {name!r}", f"its splits: {', '.join(map(str, data))}")
    split = data[name]
    for column in (*layout.texts, "idx"):
        if column not in split.column_names:
            raise PrunebenchError(f"{layout.config}, split {name}, has no column {column!r}")
    columns = split.select_columns([*layout.texts, "idx"]).with_format(None)[:]
    return _check(tuple(columns[text] for text in layout.texts), columns["idx"], f"{layout.config}, split {name}")


def _from_tsv(layout: Layout, folder: Path, files: tuple[str, ...]) -> UnlabelledSplit:
    path = next((folder / file for file in files if (folder / file).is_file()), folder / files[0])
    header, rows = tsv.read_table(path)
    text_columns = [tsv.column_index(column, header, path) for column in layout.tsv_texts]
    texts = tuple([row[column] for row in rows] for column in text_columns)
    if layout.index in header:
        index_column = header.index(layout.index)
        try:
            index = [int(row[index_column]) for row in rows]
        except ValueError as error:
            raise PrunebenchError(f"{path} has a row whose {layout.index!r} is no number: {error}") from None
    elif path.name == files[0]:
        raise PrunebenchError(f"{path} line 1 names no column {layout.index!r}", f"its columns: {', '.join(header)}")
    else:
        index = list(range(len(rows)))
    return _check(texts, index, str(path))


def _check(texts: tuple[list[Any], ...], index: list[int], source: str) -> UnlabelledSplit:
    """The split, without white space at the ends of texts, as in training."""
    if not index:
        raise PrunebenchError(f"no examples in {source}")
    if len(set(index)) < len(index):
        raise PrunebenchError(f"two rows of {source} have the same number")
    for column in texts:
        for row, text in enumerate(column):
            if not isinstance(text, str):
                raise PrunebenchError(f"{source}, row {row} has no text")
    return UnlabelledSplit(tuple([text.strip() for text in column] for column in texts), index)
