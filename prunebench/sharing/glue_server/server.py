"""What GLUE's test server (gluebenchmark.com) takes: a flat zip of TSV files with a header, an index and an answer.

File names, answers and row counts are those of the GLUE paper's tasks (Wang et al. 2019, table 1) and of the server's
instructions. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.sharing.bundle import archive
from prunebench.tasks.glue.layout import AX, LAYOUTS, SCORES


@dataclass(frozen=True)
class ServerFile:
    """One file: whose `split` it answers with the models of which `task`, and in which words.

    `answers` stand in the order of the task's classes; none means a score. `rows` is the official number of them, and
    `filler` what stands in every row of a file that is filled without a model: the most frequent class of the training
    split, or the mean of its scores; where all are as frequent, one of them.
    """

    name: str
    task: str
    split: str
    answers: tuple[str, ...]
    rows: int
    filler: str

    @property
    def source(self) -> str:
        """The task whose test split it is: the diagnostic set has no models of its own."""
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
    wanted = set(tasks)
    for task in sorted(wanted - set(TASKS)):
        raise unknown_name("task of GLUE's test server", task, TASKS)
    return [file for file in FILES if file.task in wanted]


def answered(file: ServerFile, index: Sequence[int], decided: Sequence[float]) -> bytes:
    """The file with an answer for each row: a class by its number, or a score, which is kept to 0 to 5."""
    if len(index) != len(decided):
        raise PrunebenchError(f"{file.name} would have {len(decided)} answers for {len(index)} rows")
    low, high = SCORES
    said = [
        file.answers[int(value)] if file.answers else f"{min(max(value, low), high):.3f}"
        for value in decided
    ]  # fmt: skip
    return _text(zip(index, said, strict=True))


def filled(file: ServerFile) -> bytes:
    """The file with the same answer in every row, for a task without a model."""
    return _text((row, file.filler) for row in range(file.rows))


def _text(rows: Iterable[tuple[int, str]]) -> bytes:
    return "".join(["index\tprediction\n", *(f"{number}\t{answer}\n" for number, answer in rows)]).encode()


def zipped(files: Mapping[str, bytes]) -> bytes:
    """The submission: all files in one flat zip, the same bytes for the same answers."""
    return archive.write(files)
