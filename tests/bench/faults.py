"""Faults in a finished store: what the next commands make of each. Run it by hand.

A fault is a line of `FAULTS`: a class, a name, and a function that does damage to the folder of a store with a random
generator. After each, `doctor`, `results`, `run` and `doctor` are called, and the store and the table are compared with
those of the undisturbed run. Kills are no damage but a run that is killed and started again.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import safetensors
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from prunebench import cli
from prunebench.hooks import registry
from prunebench.pruning import bitmask
from prunebench.store.store import Store

KINDS = {
    "records": "records/*/*.json",
    "logits": "records/*/*.npz",
    "weights": "weights/*",
    "models": "models/*",
    "masks": "masks/*",
    "checkpoints": "checkpoints/*",
    "plans": "plans/*",
    "failures": "failures/*",
    "store.json": "store.json",
}
Fault = Callable[[Path, Random], None]
COLUMNS = ("tries", "silently wrong", "tracebacks", "healed")


def choose(folder: Path, kind: str, random: Random, number: int = 1) -> list[Path]:
    files = sorted(folder.glob(KINDS[kind]))
    return random.sample(files, number) if len(files) >= number else []


def flip(kind: str) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        for file in choose(folder, kind, random):
            data = bytearray(file.read_bytes())
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
            file.write_bytes(data)

    return damage


def truncate(kind: str) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        for file in choose(folder, kind, random):
            os.truncate(file, random.randrange(file.stat().st_size))

    return damage


def swap(kind: str) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        files = choose(folder, kind, random, 2)
        for file, data in zip(files, [file.read_bytes() for file in reversed(files)], strict=True):
            file.write_bytes(data)

    return damage


def overwrite(kind: str, content: bytes) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        for file in choose(folder, kind, random):
            file.write_bytes(content)

    return damage


def link(kind: str) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        for file in choose(folder, kind, random):
            file.unlink()
            file.symlink_to(file.name)

    return damage


def link_nowhere(kind: str) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        for file in choose(folder, kind, random):
            file.unlink()
            file.symlink_to("nothing")

    return damage


def make_folder(kind: str) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        for file in choose(folder, kind, random):
            file.unlink()
            file.mkdir()

    return damage


def remove(kind: str) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        for file in choose(folder, kind, random):
            file.unlink()

    return damage


MALFORMED = {
    "empty object": b"{}",
    "deep JSON": b"[" * 200_000 + b"]" * 200_000,
    "1e400": b'{"format": 1e400, "checksum": 1e400}',
    "no text": b"\xff\x00",
}
# Of these kinds a store has several files.
SEVERAL = [kind for kind in KINDS if kind not in ("store.json", "plans", "weights", "checkpoints")]
FAULTS: dict[str, dict[str, Fault]] = {
    **{f"flipped bit: {kind}": {kind: flip(kind)} for kind in KINDS},
    "cut file": {kind: truncate(kind) for kind in KINDS},
    "swapped masks": {"masks": swap("masks")},
    "other swapped files": {kind: swap(kind) for kind in SEVERAL if kind != "masks"},
    **{name: {kind: overwrite(kind, content) for kind in KINDS} for name, content in MALFORMED.items()},
    "symlink loop": {kind: link(kind) for kind in KINDS},
    "link to nothing": {kind: link_nowhere(kind) for kind in KINDS},
    "folder in place of a file": {kind: make_folder(kind) for kind in KINDS},
    "removed file": {kind: remove(kind) for kind in KINDS},
}
# How many times as many tries as of the others.
TIMES = {"flipped bit: weights": 10, "flipped bit: plans": 20, "swapped masks": 5}


# Loading them takes most of the time of a short command, and no method of theirs is used in this process.
registry.installed_plugins = lambda: iter(())


def call(*words: object) -> tuple[int, str, str]:
    """Exit status and outputs of a command in this process; an error that is no line of prunebench is a traceback."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main([str(word) for word in words])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException as error:
            err.write(f"Traceback: {type(error).__name__}: {error}")
    return status, out.getvalue(), err.getvalue()


def records(folder: Path) -> dict[str, Any]:
    varying = {"seconds", "peak_memory_mb", "environment"}
    return {record.key: record.model_dump(exclude=varying) for record in Store.open(folder).records()}


def files(folder: Path) -> dict[str, Any]:
    """The bits of the masks and the weights of the models in a store. Masks hold seconds, which vary."""
    store = Store.open(folder)
    readers = {"masks": bitmask.summary, "models": lambda data: sorted(safetensors.deserialize(data))}
    return {f"{kind}/{key}": store.load(kind, key, read) for kind, read in readers.items() for key in store.keys(kind)}


def table(folder: Path) -> set[tuple[str, ...]]:
    """The scores of the long table."""
    _, out, _ = call("results", "--all", "--store", folder)
    columns = ("task", "strategy", "sparsity", "seed", "metric", "value")
    return {tuple(row[name] for name in columns) for row in csv.DictReader(io.StringIO(out)) if row.get("value")}


@dataclass(frozen=True)
class Whole:
    """What an undisturbed run of the options `words` gives, in the store `folder`."""

    words: list[str]
    folder: Path
    records: dict[str, Any]
    files: dict[str, Any]
    table: set[tuple[str, ...]]

    @classmethod
    def of(cls, words: list[str], folder: Path) -> Whole:
        folder.parent.mkdir()
        with contextlib.chdir(folder.parent):
            status, out, err = call("run", *words, "--store", "store")
        assert status == 0, out + err
        return cls(words, folder, records(folder), files(folder), table(folder))

    def equals(self, folder: Path) -> bool:
        """Whether that store has the same results, bit for bit."""
        try:
            return records(folder) == self.records and files(folder) == self.files
        except Exception:
            return False


def trial(whole: Whole, store: Path, fault: Fault, random: Random) -> Counter[str]:
    """One fault in a copy of `store`, which the same command then finishes: what it counts for in the columns.

    Every other time `doctor` looks first, so that the run itself meets the damage as often.
    """
    # Plans hold the command with its path, so every copy has the same.
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path("store")
        shutil.copytree(store, folder, symlinks=True)
        fault(folder, random)
        run, doctor = ("run", *whole.words), ("doctor",)
        commands = [doctor, run, doctor] if random.random() < 0.5 else [run, doctor]
        wrong_table, outputs = False, []
        for command in commands:
            wrong_table |= not table(folder) <= whole.table
            outputs.append(call(*command, "--store", folder))
        silent = outputs[-1][0] == outputs[-2][0] == 0 and not whole.equals(folder)
        if outputs[-1][0]:  # what doctor has moved aside is made again
            outputs += [call(*command, "--store", folder) for command in (run, doctor)]
        counts = Counter(
            {
                "tries": 1,
                "silently wrong": int(wrong_table or silent),
                "tracebacks": int(any("Traceback" in out + err for _, out, err in outputs)),
                "healed": int(outputs[-1][0] == 0 and whole.equals(folder)),
            }
        )
        if counts["silently wrong"] or counts["tracebacks"] or not counts["healed"]:
            print(dict(counts), *outputs, sep="\n", file=sys.stderr, flush=True)
        return counts


def start(words: list[str], folder: Path, executor: str) -> subprocess.Popen[str]:
    """Start a run with checkpoints in a process of its own, and wait until it has made its store."""
    options = ("--checkpoint-minutes", "0", "--executor", executor, "--jobs", "1", "--store", folder)
    command = [sys.executable, "-m", "prunebench", "run", *words, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (folder / "store.json").exists() and process.poll() is None:
        time.sleep(0.02)
    return process


def killed(whole: Whole, executor: str, seconds: float, random: Random) -> Counter[str]:
    """A run that is killed at a random moment within `seconds`, and then goes on.

    Workers of a run that is killed end by themselves; the next run does not wait for that.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name) / "store"
        process = start(whole.words, folder, executor)
        time.sleep(random.uniform(0, seconds))
        process.send_signal(signal.SIGKILL)
        process.wait()
        stored, checkpoints = (len(list(folder.glob(KINDS[kind]))) for kind in ("records", "checkpoints"))
        print(f"{executor}: {stored} of {len(whole.records)} records, {checkpoints} checkpoints", file=sys.stderr)
        process = start(whole.words, folder, executor)
        _, err = process.communicate()
        equal = process.returncode == 0 and whole.equals(folder)
        if not equal:
            print(err, file=sys.stderr, flush=True)
        return Counter(
            {
                "tries": 1,
                "silently wrong": int(process.returncode == 0 and not equal),
                "tracebacks": int("Traceback" in err),
                "healed": int(equal),
            }
        )


def kill_often(whole: Whole, number: int, random: Random) -> Counter[str]:
    """So many kills of runs, every other one of a run with a worker process."""
    total: Counter[str] = Counter()
    for executor in ("here", "processes"):
        with tempfile.TemporaryDirectory() as name:
            process = start(whole.words, Path(name) / "store", executor)
            begin = time.monotonic()
            process.communicate()
            seconds = time.monotonic() - begin
            assert process.returncode == 0 and whole.equals(Path(name) / "store")
        for _ in range(number // 2):
            total += killed(whole, executor, seconds, random)
    return total


def make_stores(folder: Path, words: list[str]) -> tuple[Whole, dict[str, Path]]:
    """A finished run, and by kind of file the store to damage: the finished one, or one that was stopped."""
    whole = Whole.of(words, folder / "whole/store")
    finished, stopped = folder / "finished", folder / "stopped"
    shutil.copytree(whole.folder, finished)
    for number in range(2):
        Store.open(finished).add_failure(f"{number}" * 32, f"reason {number}", "a traceback")
    real = Store.write_checkpoint

    def write_and_stop(store: Store, key: str, data: bytes) -> None:
        real(store, key, data)
        if store.keys("weights"):
            raise KeyboardInterrupt

    Store.write_checkpoint = write_and_stop  # type: ignore[method-assign]
    stopped.mkdir()
    with contextlib.chdir(stopped):
        call("run", *words, "--checkpoint-minutes", "0", "--store", "store")
    stopped /= "store"
    Store.write_checkpoint = real  # type: ignore[method-assign]
    assert Store.open(stopped).keys("weights") and Store.open(stopped).keys("checkpoints")
    return whole, {kind: stopped if kind in ("weights", "checkpoints") else finished for kind in KINDS}


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


FAULT_STRATEGIES = "imp,magnitude"
KILL_STRATEGIES = "imp,random-reinit,magnitude,magnitude[teacher=dense],magnitude[schedule=cubic],heads"


def show(label: str, counts: Counter[str]) -> None:
    print(f"| {label} |" + "".join(f" {counts[column]:,} |" for column in COLUMNS), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tries", type=int, default=21, help="of each class and kind of file; more where TIMES says so"
    )
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--only", default="", help="classes whose name has this in it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| class | " + " | ".join(COLUMNS) + " |")
    print("|---|" + "---:|" * len(COLUMNS))
    with tempfile.TemporaryDirectory() as name:
        small = make_words(Path(name))
        classes = {label: faults for label, faults in FAULTS.items() if options.only in label}
        if classes:
            words = [*small, "--strategies", FAULT_STRATEGIES, "--executor", "here", "--checkpoint-minutes", "60"]
            whole, stores = make_stores(Path(name), words)
        for label, faults in classes.items():
            random, total = Random(f"{label} {options.seed}"), Counter()
            for kind, fault in faults.items():
                for number in range(options.tries * TIMES.get(label, 1)):
                    counts = trial(whole, stores[kind], fault, random)
                    if counts["healed"] != 1 or counts["silently wrong"] or counts["tracebacks"]:
                        print(f"{label}, {kind}, try {number}", file=sys.stderr, flush=True)
                    total += counts
            show(label, total)
        if options.only in "kill" and options.kills:
            words = [*small, "--strategies", KILL_STRATEGIES, "--epochs", "12"]
            whole = Whole.of([*words, "--executor", "here"], Path(name) / "killed/store")
            show("kill -9", kill_often(replace(whole, words=words), options.kills, Random(options.seed)))


if __name__ == "__main__":
    main()
