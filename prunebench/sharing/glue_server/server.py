"""The files that GLUE's test server takes: a flat zip of TSV files with a header, an index and an answer.

File names, answers and numbers of rows follow the GLUE paper (Wang et al. 2019, table 1) and the server's instructions
at gluebenchmark.com.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.sharing.bundle import archive
from prunebench.tasks.glue.layout import AX, LAYOUTS, SCORES


@dataclass(frozen=True)
class ServerFile:
    """A file with the answers of a model of `task` to the test split `split`.

    `answers` are the words for the classes, in the order of the task's classes; an empty tuple stands for a score.
    `rows` is the official number of rows. `filler` is the constant answer of a file without a model: the most frequent
    class of the training split (one of them if they are equally frequent), or the mean of its scores.
    """

    name: str
    task: str
    split: str
    answers: tuple[str, ...]
    rows: int
    filler: str

    @property
    def source(self) -> str:
        """The task that the split belongs to. The diagnostic set is answered by models of another task."""
        return AX.config if self.name == "AX.tsv" else self.task


_CLASSES = {layout.config: layout.labels for layout in LAYOUTS}
_BINARY = ("0", "1")

FILES = (
    ServerFile("CoLA.tsv", "cola", "test", _BINARY, 1063, "1"),
    ServerFile("SST-2.tsv", "sst2", "test", _BINARY, 1821, "1"),
    ServerFile("MRPC.tsv", "mrpc", "test", _BINARY, 1725, "1"),
    ServerFile("STS-B.tsv", "stsb", "test", (), 1379, "2.701"),
    ServerFile("MNLI-m.tsv", "mnli", "test_matched", _CLASSES["mnli"], 9796, "contradiction"),
    ServerFile("MNLI-mm.tsv", "mnli", "test_mismatched", _CLASSES["mnli"], 9847, "contradiction"),
    ServerFile("QNLI.tsv", "qnli", "test", _CLASSES["qnli"], 5463, "entailment"),
    ServerFile("QQP.tsv", "qqp", "test", _BINARY, 390965, "0"),
    ServerFile("RTE.tsv", "rte", "test", _CLASSES["rte"], 3000, "entailment"),
    ServerFile("WNLI.tsv", "wnli", "test", _BINARY, 146, "0"),
    ServerFile("AX.tsv", "mnli", "test", _CLASSES["mnli"], 1104, "contradiction"),
)
TASKS = tuple(dict.fromkeys(file.task for file in FILES))


def files_of(tasks: Iterable[str]) -> list[ServerFile]:
    """The files that models of these tasks answer. Raises PrunebenchError for a task that the server does not have."""
    names = set(tasks)
    for name in sorted(names - set(TASKS)):
        raise unknown_name("task of GLUE's test server", name, TASKS)
    return [file for file in FILES if file.task in names]


def write_answers(file: ServerFile, index: Sequence[int], predictions: Sequence[float]) -> bytes:
    """The file with one answer per row. Predictions are class indices, or scores, which are clipped to [0, 5]."""
    if len(index) != len(predictions):
        raise PrunebenchError(f"{file.name} has {len(predictions)} answers, expected {len(index)} (one per row)")
    low, high = SCORES
    answers = [
        file.answers[int(value)] if file.answers else f"{min(max(value, low), high):.3f}" for value in predictions
    ]
    return _to_tsv(zip(index, answers, strict=True))


def write_filler(file: ServerFile) -> bytes:
    """The file with the same answer in every row, for a task without a model."""
    return _to_tsv((row, file.filler) for row in range(file.rows))


def _to_tsv(rows: Iterable[tuple[int, str]]) -> bytes:
    return "".join(["index\tprediction\n", *(f"{index}\t{answer}\n" for index, answer in rows)]).encode()


def write_zip(files: Mapping[str, bytes]) -> bytes:
    """The submission: all files in one flat zip. Equal answers give equal bytes."""
    return archive.write(files)
