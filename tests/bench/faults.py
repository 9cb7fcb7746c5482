"""Faults in a finished store: what the next commands make of each. Run it by hand.

A fault is a line of `FAULTS`: a class, a name, and a function that does damage to the folder of a store with a random
generator. After each, `run` and `doctor` are called, and the store and the tables on the way are compared with those of
the undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from small_run import contents, make_words, show, show_header

from prunebench import cli
from prunebench.hooks import registry
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
    contents: dict[str, Any]
    table: set[tuple[str, ...]]

    @classmethod
    def of(cls, words: list[str], folder: Path) -> Whole:
        folder.parent.mkdir()
        with contextlib.chdir(folder.parent):
            status, out, err = call("run", *words, "--store", "store")
        assert status == 0, out + err
        return cls(words, folder, contents(folder), table(folder))

    def equals(self, folder: Path) -> bool:
        """Whether that store has the same results, bit for bit."""
        return contents(folder) == self.contents


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tries", type=int, default=21, help="of each class and kind of file; more where TIMES says so"
    )
    parser.add_argument("--only", default="", help="classes whose name has this in it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    show_header()
    with tempfile.TemporaryDirectory() as name:
        classes = {label: faults for label, faults in FAULTS.items() if options.only in label}
        words = [*make_words(Path(name)), "--strategies", "imp,magnitude", "--executor", "here"]
        whole, stores = make_stores(Path(name), [*words, "--checkpoint-minutes", "60"])
        for label, faults in classes.items():
            random, total = Random(f"{label} {options.seed}"), Counter()
            for kind, fault in faults.items():
                for number in range(options.tries * TIMES.get(label, 1)):
                    counts = trial(whole, stores[kind], fault, random)
                    if counts["healed"] != 1 or counts["silently wrong"] or counts["tracebacks"]:
                        print(f"{label}, {kind}, try {number}", file=sys.stderr, flush=True)
                    total += counts
            show(label, total)


if __name__ == "__main__":
    main()
