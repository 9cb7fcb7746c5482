"""The nine GLUE tasks: their definitions, and where their data is found. Imports neither torch nor `datasets`.

The same task object reads the hub, the official TSV files or a `save_to_disk` copy. What is read is brought to one
form, so that the same data has one fingerprint: white space at the ends of a text is dropped (SST-2 has it behind
every sentence, and the script that writes MRPC's TSV files strips what the hub keeps), nothing else of a text is
touched; scores are rounded to single precision, which is what the hub stores, and written as the shortest decimal
that stands for it (3.8, not 3.799999952316284).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.tasks.glue.hub import from_disk, from_hub
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
    """The nine tasks, under the hub's names of their configurations."""
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
    """Read one task from the hub, or from `source.glue_dir` if that is given.

    Raises `PrunebenchError` for everything that is wrong with what is found, or not found, there.
    """
    if source.glue_dir is None:
        splits = from_hub(layout)
    elif (saved := _saved_copy(layout, source.glue_dir)) is not None:
        splits = from_disk(layout, saved)
    else:
        splits = from_tsv(layout, _folder(layout, source.glue_dir))
    splits = {name: _one_form(split, scored=not layout.labels) for name, split in splits.items()}
    return TaskData(splits.pop("train"), splits)


def _saved_copy(layout: Layout, glue_dir: Path) -> Path | None:
    """The `save_to_disk` copy that holds this task, if one is there. It goes before TSV files of the same task."""
    folders = (glue_dir / layout.config, glue_dir)
    return next((folder for folder in folders if (folder / "dataset_dict.json").is_file()), None)


def _folder(layout: Layout, glue_dir: Path) -> Path:
    """The folder of this task's TSV files."""
    if not glue_dir.is_dir():
        raise PrunebenchError(f"no GLUE folder {str(glue_dir)!r}", "expected a folder with CoLA, SST-2, … in it")
    folder = glue_dir / layout.folder
    if folder.is_dir():
        return folder
    there = [
        other.folder
        for other in LAYOUTS
        if (glue_dir / other.folder).is_dir() or (glue_dir / other.config / "dataset_dict.json").is_file()
    ]
    hint = f"tasks there: {', '.join(there) or 'none'}"
    if (glue_dir / "train.tsv").is_file():
        hint = f"train.tsv lies in it, so give the folder above: {glue_dir.absolute().parent}"
    raise PrunebenchError(
        f"GLUE folder {str(glue_dir)!r} lacks the task {layout.config}: expected the subfolder {layout.folder!r} with"
        f" TSV files, or {layout.config!r} with a save_to_disk copy",
        hint,
    )


def _one_form(split: Split, scored: bool) -> Split:
    """The same examples without white space at the ends of texts, and with scores as single precision has them."""
    texts = tuple([text.strip() for text in column] for column in split.texts)
    return Split(texts, _shortest(split.labels) if scored else split.labels)


def _shortest(scores: list[int] | list[float]) -> list[float]:
    import numpy as np

    return [float(str(score)) for score in np.asarray(scores, dtype=np.float32)]
