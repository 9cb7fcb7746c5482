"""A run of seconds on a tiny model, and whether a store has its results bit for bit: for `faults.py` and `kills.py`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import safetensors
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from prunebench.pruning import bitmask
from prunebench.store.store import Store

COLUMNS = ("tries", "silently wrong", "tracebacks", "healed")


def make_words(folder: Path) -> list[str]:
    """The options of a small run: a random BERT of 2 layers of width 16, and 40 texts to train on."""
    words = ("the", "a", "dog", "cat", "bird", "king", "ship", "song", "sees", "finds", "likes", "old", "young")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(folder / "model")
    BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(folder / "model")
    random = Random(0)
    (folder / "glue" / "SST-2").mkdir(parents=True)
    for split, rows in (("train", 40), ("dev", 16)):
        lines = ["sentence\tlabel", *(f"{' '.join(random.choices(words, k=5))}\t{i % 2}" for i in range(rows))]
        (folder / "glue" / "SST-2" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return [
        *("--model", str(folder / "model"), "--glue-dir", str(folder / "glue"), "--tasks", "sst2", "--seeds", "1"),
        *("--sparsities", "0.2", "--epochs", "2", "--batch-size", "8", "--device", "cpu", "--precision", "fp32"),
        *("--cpus-per-job", "1", "--keep-models"),
    ]


def records(folder: Path) -> dict[str, Any]:
    """The records of a store, without what varies between two runs."""
    varying = {"seconds", "peak_memory_mb", "environment"}
    return {record.key: record.model_dump(exclude=varying) for record in Store.open(folder).records()}


def files(folder: Path) -> dict[str, Any]:
    """The bits of the masks and the weights of the models in a store. Masks hold seconds, which vary."""
    store = Store.open(folder)
    readers = {"masks": bitmask.summary, "models": lambda data: sorted(safetensors.deserialize(data))}
    return {f"{kind}/{key}": store.load(kind, key, read) for kind, read in readers.items() for key in store.keys(kind)}


def contents(folder: Path) -> dict[str, Any]:
    """All results of a store; none if they cannot be read."""
    try:
        return records(folder) | files(folder)
    except Exception:
        return {}


def show_header() -> None:
    print("| class | " + " | ".join(COLUMNS) + " |")
    print("|---|" + "---:|" * len(COLUMNS), flush=True)


def show(label: str, counts: Counter[str]) -> None:
    print(f"| {label} |" + "".join(f" {counts[column]:,} |" for column in COLUMNS), flush=True)
