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
from pathlib import Path
from random import Random
from typing import Any

import safetensors.torch
import torch

from prunebench import cli
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


def replace(kind: str, content: bytes) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        for file in choose(folder, kind, random):
            file.write_bytes(content)

    return damage


def link(kind: str) -> Fault:
    def damage(folder: Path, random: Random) -> None:
        for file in choose(folder, kind, random):
            file.unlink()
            file.symlink_to(file)

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
PAIRS = [kind for kind in KINDS if kind not in ("store.json", "plans")]
FAULTS: dict[str, Fault] = {
    **{f"flip: {kind}": flip(kind) for kind in KINDS},
    **{f"truncate: {kind}": truncate(kind) for kind in KINDS},
    **{f"swap: {kind}": swap(kind) for kind in PAIRS},
    **{f"{name}: {kind}": replace(kind, content) for name, content in MALFORMED.items() for kind in KINDS},
    **{f"symlink loop: {kind}": link(kind) for kind in KINDS},
    **{f"folder: {kind}": make_folder(kind) for kind in KINDS},
    **{f"removed: {kind}": remove(kind) for kind in ("records", "logits", "masks", "store.json")},
}


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


def masks(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("masks/*.safetensors")}


def table(folder: Path) -> set[tuple[str, ...]]:
    """The scores of the long table."""
    _, out, _ = call("results", "--all", "--store", folder)
    columns = ("task", "strategy", "sparsity", "seed", "metric", "value")
    return {tuple(row[name] for name in columns) for row in csv.DictReader(io.StringIO(out)) if row.get("value")}


def trial(template: Path, words: list[str], fault: Fault, random: Random) -> Counter[str]:
    """One fault: what it counts for in the columns of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        shutil.copytree(template, folder, symlinks=True)
        fault(folder, random)
        outputs = [call("doctor", "--store", folder)]
        rows = table(folder)
        outputs += [call("run", *words, "--store", folder), call("doctor", "--store", folder)]
        try:
            equal = records(folder) == records(template) and masks(folder).items() >= masks(template).items()
        except Exception:
            equal = False
        all_clear = outputs[0][0] == 0
        return Counter(
            {
                "tries": 1,
                "silently wrong": int(not rows <= table(template) or (all_clear and not equal)),
                "tracebacks": int(any("Traceback" in out + err for _, out, err in outputs)),
                # A damaged plan is reported until its own command is given again.
                "healed": int(equal and all("plans/" in line for line in outputs[2][2].splitlines()[:-1])),
            }
        )


def killed(template: Path, words: list[str], random: Random) -> Counter[str]:
    """A run with checkpoints that is killed after a random time, and then goes on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        command = [sys.executable, "-m", "prunebench", "run", *words, "--checkpoint-minutes", "0", "--store", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (folder / "store.json").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        time.sleep(random.uniform(0, 6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        result = subprocess.run(command, capture_output=True, text=True)
        equal = result.returncode == 0 and records(folder) == records(template) and masks(folder) == masks(template)
        return Counter(
            {
                "tries": 1,
                "silently wrong": int(result.returncode == 0 and not equal),
                "tracebacks": int("Traceback" in result.stderr),
                "healed": int(equal),
            }
        )


def make_template(folder: Path, words: list[str]) -> None:
    """A finished run, with files of the kinds that it does not leave."""
    status, out, err = call("run", *words, "--keep-models", "--store", folder)
    assert status == 0, out + err
    store = Store.open(folder)
    for number, key in enumerate(store.keys("records")[:2]):
        data = safetensors.torch.save({"w": torch.full((99,), float(number))})
        store.add_bytes("weights", key, data)
        store.write_checkpoint(key, data)
        store.add_failure(f"{number}" * 32, f"reason {number}", "a traceback")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=5, help="of each class")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--only", default="", help="classes whose name has this in it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("words", nargs="*", help="options of a small run, after --")
    options = parser.parse_args()
    words = options.words or [
        *("--tasks", "sentiment", "--model", "quick-bert", "--strategies", "imp,random-pruning", "--sparsities", "0.2"),
        *("--seeds", "1", "--train-limit", "96", "--eval-limit", "32", "--epochs", "1", "--device", "cpu"),
        *("--precision", "fp32", "--executor", "here"),
    ]
    random = Random(options.seed)
    print(f"{'':<28}" + "".join(f"{column:>16}" for column in COLUMNS))
    with tempfile.TemporaryDirectory() as name:
        template = Path(name) / "template"
        make_template(template, words)
        for label, fault in FAULTS.items():
            if options.only in label:
                counts = sum((trial(template, words, fault, random) for _ in range(options.tries)), Counter())
                print(f"{label:<28}" + "".join(f"{counts[column]:>16}" for column in COLUMNS), flush=True)
        if options.only in "kill" and options.kills:
            counts = sum((killed(template, words, random) for _ in range(options.kills)), Counter())
            print(f"{'kill':<28}" + "".join(f"{counts[column]:>16}" for column in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
