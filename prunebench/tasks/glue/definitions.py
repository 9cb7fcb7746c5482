"""The nine GLUE tasks, and where their data is read from.

A task reads its data from the hub, from the official TSV files or from a `save_to_disk` copy. These differ in details,
so texts and labels are normalised to give the same data the same fingerprint:

- White space at the ends of a text is removed. SST-2 has it after every sentence, and MRPC has it on the hub but not in
  its TSV files. Nothing else in a text changes.
- Scores are rounded to single precision, as on the hub, and represented by the shortest decimal with that value (3.8,
  not 3.799999952316284).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.tasks.glue.hub import from_cache, from_disk, from_hub
from prunebench.tasks.glue.layout import LAYOUTS, Layout
from prunebench.tasks.glue.metrics import GLUE_KEYS
from prunebench.tasks.glue.tsv import from_tsv
from prunebench.tasks.task import DataSource, Split, Task, TaskData

_DOCS = {
    "cola": "CoLA: is the sentence acceptable English? (Warstadt et al. 2019)",
    "sst2": "SST-2: is the film review's sentence positive? (Socher et al. 2013)",
    "mrpc": "MRPC: do two news sentences mean the same? (Dolan and Brockett 2005)",
    "qqp": "QQP: do two Quora questions ask the same? (Iyer et al. 2017)",
    "stsb": "STS-B: how similar are two sentences, from 0 to 5? (Cer et al. 2017)",
    "mnli": "MNLI: does the premise entail or contradict the hypothesis, or neither? (Williams et al. 2018)",
    "qnli": "QNLI: does the sentence answer the question? (Rajpurkar et al. 2016, as recast by GLUE)",
    "rte": "RTE: does the first sentence entail the second? (RTE-1, 2, 3 and 5, joined by GLUE)",
    "wnli": "WNLI: does the sentence entail it with the pronoun replaced? (Levesque et al. 2011, as recast by GLUE)",
}


def glue_tasks() -> list[Task]:
    """The nine tasks, named like their configurations on the hub."""
    return [_task(layout) for layout in LAYOUTS]


def _task(layout: Layout) -> Task:
    return Task(
        name=layout.config,
        doc=_DOCS[layout.config],
        labels=layout.labels,
        metric="glue",
        metric_config=layout.config,
        metrics=GLUE_KEYS[layout.config],
        load=partial(load, layout),
        evaluations=tuple(name for name in layout.splits if name != "train"),
    )


def load(layout: Layout, source: DataSource) -> TaskData:
    """Read the data of one task from the hub, or from `source.glue_dir` if it is given.

    Raises PrunebenchError if the data is missing or malformed.
    """
    if source.glue_dir is None:
        splits = from_cache(layout) if source.offline else from_hub(layout)
    elif (copy := saved_copy(layout, source.glue_dir)) is not None:
        splits = from_disk(layout, copy)
    else:
        splits = from_tsv(layout, _folder(layout, source.glue_dir))
    splits = {name: _normalise(split, regression=not layout.labels) for name, split in splits.items()}
    return TaskData(splits.pop("train"), splits)


def saved_copy(layout: Layout, glue_dir: Path) -> Path | None:
    """The folder of this task's `save_to_disk` copy, if there is one. It takes precedence over TSV files."""
    folders = (glue_dir / layout.config, glue_dir)
    return next((folder for folder in folders if (folder / "dataset_dict.json").is_file()), None)


def _folder(layout: Layout, glue_dir: Path) -> Path:
    """The folder of this task's TSV files."""
    if not glue_dir.is_dir():
        raise PrunebenchError(f"no GLUE folder {str(glue_dir)!r}", "expected a folder with CoLA, SST-2, … in it")
    folder = glue_dir / layout.folder
    if folder.is_dir():
        return folder
    tasks = [
        other.folder
        for other in LAYOUTS
        if (glue_dir / other.folder).is_dir() or (glue_dir / other.config / "dataset_dict.json").is_file()
    ]
    hint = f"its tasks: {', '.join(tasks) or 'none'}"
    if (glue_dir / "train.tsv").is_file():
        hint = f"it contains train.tsv, so give the folder above: {glue_dir.absolute().parent}"
    raise PrunebenchError(
        f"GLUE folder {str(glue_dir)!r} lacks the task {layout.config}: expected the subfolder {layout.folder!r} with"
        f" TSV files, or {layout.config!r} with a save_to_disk copy",
        hint,
    )


def _normalise(split: Split, regression: bool) -> Split:
    texts = tuple([text.strip() for text in column] for column in split.texts)
    return Split(texts, _single_precision(split.labels) if regression else split.labels)


def _single_precision(scores: list[int] | list[float]) -> list[float]:
    import numpy as np

    return [float(str(score)) for score in np.asarray(scores, dtype=np.float32)]
