"""Test splits of GLUE, which have no labels: only what GLUE's test server is sent is made from them.

They are read from where a task's other splits are read, and nothing that trains or prunes imports this. Imports neither
torch nor `datasets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.tasks.glue import hub, tsv
from prunebench.tasks.glue.layout import AX, LAYOUTS, Layout
from prunebench.tasks.task import DataSource


@dataclass(frozen=True)
class Unlabelled:
    """Texts in columns, and the number by which the server knows each row."""

    texts: tuple[list[str], ...]
    index: list[int]

    def __len__(self) -> int:
        return len(self.index)


def load_tests(config: str, source: DataSource) -> dict[str, Unlabelled]:
    """The test splits of a task of GLUE, or of "ax", by the hub's names of them.

    Raises PrunebenchError where one is not there, or is not as GLUE has it.
    """
    layout = next(layout for layout in (*LAYOUTS, AX) if layout.config == config)
    if source.glue_dir is None:
        found: Any = hub.load(layout)
        return {name: _from_hub(layout, found, name) for name in layout.tests}
    for folder in (source.glue_dir / layout.config, source.glue_dir):
        if (folder / "dataset_dict.json").is_file():
            saved = hub.saved(folder)
            return {name: _from_hub(layout, saved, name) for name in layout.tests}
    return {name: _from_tsv(layout, source.glue_dir / layout.folder, files) for name, files in layout.tests.items()}


def _from_hub(layout: Layout, found: Mapping[str, Any], name: str) -> Unlabelled:
    if name not in found:
        raise PrunebenchError(f"{layout.config} has no split {name!r}", f"splits there: {', '.join(map(str, found))}")
    split = found[name]
    for column in (*layout.texts, "idx"):
        if column not in split.column_names:
            raise PrunebenchError(f"{layout.config}, split {name}, has no column {column!r}")
    columns = split.select_columns([*layout.texts, "idx"]).with_format(None)[:]
    return _checked(tuple(columns[text] for text in layout.texts), columns["idx"], f"{layout.config}, split {name}")


def _from_tsv(layout: Layout, folder: Path, files: tuple[str, ...]) -> Unlabelled:
    path = next((folder / file for file in files if (folder / file).is_file()), folder / files[0])
    header, rows = tsv.table(path)
    texts_at = [tsv.position(column, header, path) for column in layout.tsv_texts]
    texts = tuple([row[at] for row in rows] for at in texts_at)
    if layout.index in header:
        at = header.index(layout.index)
        try:
            index = [int(row[at]) for row in rows]
        except ValueError as error:
            raise PrunebenchError(f"{path} has a row whose {layout.index!r} is no number: {error}") from None
    elif path.name == files[0]:
        raise PrunebenchError(f"{path} line 1 names no column {layout.index!r}", f"columns there: {', '.join(header)}")
    else:
        index = list(range(len(rows)))
    return _checked(texts, index, str(path))


def _checked(texts: tuple[list[Any], ...], index: list[int], where: str) -> Unlabelled:
    """White space at the ends of texts is dropped, as it is in training."""
    if not index:
        raise PrunebenchError(f"no examples in {where}")
    if len(set(index)) < len(index):
        raise PrunebenchError(f"two rows of {where} have the same number")
    for column in texts:
        for row, text in enumerate(column):
            if not isinstance(text, str):
                raise PrunebenchError(f"{where}, row {row} has no text")
    return Unlabelled(tuple([text.strip() for text in column] for column in texts), index)
