"""The columns, labels and files of each GLUE task, on the hub and in the official TSV files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCORES = (0.0, 5.0)
"""The range of scores in STS-B, the one regression task."""


@dataclass(frozen=True)
class Layout:
    """Where the data of one GLUE task is, and in which form.

    - `config`, `folder`: the task's name on the hub, and its folder in the official download
    - `texts`, `labels`: the text columns on the hub, and the class names in the order of their indices (() for
      regression)
    - `tsv_texts`, `tsv_label`: the same columns in the TSV files
    - `tsv_labels`: how the TSV files write the classes, in the order of `labels`
    - `header`: the column names, for TSV files without a header
    - `splits`: from prunebench's name of a labelled split to its name on the hub and its TSV file
    - `skips_short`: whether rows with too few columns are skipped, as the hub's loader does
    - `tests`: from the hub's name of a split without labels to possible TSV files; the first one that exists is read
    - `index`: the column of row numbers in these files
    """

    config: str
    folder: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    tsv_texts: tuple[str, ...]
    tsv_label: str = "label"
    tsv_labels: tuple[str, ...] = ("0", "1")
    header: tuple[str, ...] = ()
    splits: Mapping[str, tuple[str, str]] = field(
        default_factory=lambda: {"train": ("train", "train.tsv"), "validation": ("validation", "dev.tsv")}
    )
    skips_short: bool = False
    tests: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"test": ("test.tsv",)})
    index: str = "index"


_ENTAILMENT = ("entailment", "not_entailment")
_PAIR = ("sentence1", "sentence2")

LAYOUTS = (
    Layout(
        "cola",
        "CoLA",
        texts=("sentence",),
        labels=("unacceptable", "acceptable"),
        tsv_texts=("sentence",),
        header=("source", "label", "mark", "sentence"),
    ),
    Layout("sst2", "SST-2", texts=("sentence",), labels=("negative", "positive"), tsv_texts=("sentence",)),
    Layout(
        "mrpc",
        "MRPC",
        texts=_PAIR,
        labels=("not_equivalent", "equivalent"),
        tsv_texts=("#1 String", "#2 String"),
        tsv_label="Quality",
        # The second one is Microsoft's own file, which has labels and no row numbers.
        tests={"test": ("test.tsv", "msr_paraphrase_test.txt")},
    ),
    Layout(
        "qqp",
        "QQP",
        texts=("question1", "question2"),
        labels=("not_duplicate", "duplicate"),
        tsv_texts=("question1", "question2"),
        tsv_label="is_duplicate",
        skips_short=True,
        index="id",
    ),
    Layout("stsb", "STS-B", texts=_PAIR, labels=(), tsv_texts=_PAIR, tsv_label="score", tsv_labels=()),
    Layout(
        "mnli",
        "MNLI",
        texts=("premise", "hypothesis"),
        labels=("entailment", "neutral", "contradiction"),
        tsv_texts=_PAIR,
        tsv_label="gold_label",
        tsv_labels=("entailment", "neutral", "contradiction"),
        splits={
            "train": ("train", "train.tsv"),
            "matched": ("validation_matched", "dev_matched.tsv"),
            "mismatched": ("validation_mismatched", "dev_mismatched.tsv"),
        },
        tests={"test_matched": ("test_matched.tsv",), "test_mismatched": ("test_mismatched.tsv",)},
    ),
    Layout(
        "qnli",
        "QNLI",
        texts=("question", "sentence"),
        labels=_ENTAILMENT,
        tsv_texts=("question", "sentence"),
        tsv_labels=_ENTAILMENT,
    ),
    Layout("rte", "RTE", texts=_PAIR, labels=_ENTAILMENT, tsv_texts=_PAIR, tsv_labels=_ENTAILMENT),
    Layout("wnli", "WNLI", texts=_PAIR, labels=("not_entailment", "entailment"), tsv_texts=_PAIR),
)

AX = Layout(
    "ax",
    "diagnostic",
    texts=("premise", "hypothesis"),
    labels=("entailment", "neutral", "contradiction"),
    tsv_texts=_PAIR,
    tests={"test": ("diagnostic.tsv", "../MNLI/diagnostic.tsv", "../diagnostic.tsv")},
)
"""GLUE's diagnostic set. It has no training split; models trained on MNLI predict it."""
