"""A tiny task: SST-2 in the layout of GLUE's files, with sentences of random words."""

from __future__ import annotations

import random
from pathlib import Path

from prunebench.testing.models import WORDS

TASK = "sst2"
TRAIN, DEV = 40, 16


def write_tiny_task(folder: Path, *, plant: bool = False) -> Path:
    """Write SST-2 with 40 training rows and 16 dev rows into `folder`, for `glue_dir`, and return the folder.

    With `plant` every label of dev is the other one, and everything else is the same: a method that gives another
    result then has read the labels of dev.
    """
    (folder / "SST-2").mkdir(parents=True)
    rng = random.Random(0)
    for split, rows in (("train", TRAIN), ("dev", DEV)):
        flip = int(plant and split == "dev")
        lines = [f"{' '.join(rng.choices(WORDS, k=5))}\t{(i + flip) % 2}" for i in range(rows)]
        (folder / "SST-2" / f"{split}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    return folder
