"""How many trainings at a time give the most on one GPU, and what share of its arithmetic a training uses.

`python gpu.py --model FOLDER [--task rte --glue-dir FOLDER] [--jobs 1,2,4,8] [--compile] [--peak 989]`

`--peak` is the card's dense bf16 peak in TFLOP/s (989 for an H100 SXM). The share counts 6 × encoder weights × tokens
without padding of a batch beyond its longest text (Kaplan et al. 2020, section 2.1, attention's own products left out).
transformers' Trainer runs with `bf16=True` and its defaults, one training at a time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import plain_trainer
import torch
from interleaved import show
from transformers import AutoModelForSequenceClassification, set_seed

from prunebench.store import Store


def prunebench(options: argparse.Namespace, jobs: int, compiled: bool) -> tuple[float, float]:
    """Trainings per hour of the whole command, and the share of the peak while it trained."""
    words = ["--tasks", options.task, "--model", options.model, "--strategies", "imp,random-pruning,random-reinit"]
    words += ["--sparsities", "0.3,0.5", "--seeds", str(options.seeds), "--device", "cuda", "--jobs", str(jobs)]
    words += ["--compile", "on" if compiled else "off"]
    for name in ("glue_dir", "epochs", "train_limit"):
        if getattr(options, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).parent / "prunebench"), "run", *words, "--store", f"{folder}/store"]
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        wall = time.perf_counter() - started
        found = [record for record in Store.open(f"{folder}/store").records() if record["steps"]]
    work = sum(6 * record["sparsity"]["encoder_weights"] * record["tokens"] for record in found)
    seconds = sum(record["seconds"]["train"] for record in found) / jobs
    return 3600 * len(found) / wall, 100 * work / seconds / (options.peak * 1e12)


def trainer(options: argparse.Namespace) -> float:
    """Trainings per hour of the Trainer, loading left out."""
    subject = plain_trainer.load(plain_trainer.suite_of(options, 0), "longest")
    set_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(subject.folder, num_labels=subject.labels)
    with tempfile.TemporaryDirectory() as output:
        loop = plain_trainer.make(subject, model, 0, output, bf16=True)
        started = time.perf_counter()
        plain_trainer.train_and_evaluate(loop, subject)
    return 3600 / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser()
    plain_trainer.add_options(parser, task="rte")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", default="1,2,4,8")
    parser.add_argument("--compile", action="store_true", help="also through torch.compile")
    parser.add_argument("--peak", type=float, default=989.0)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device here")
    hourly, shares = {}, {}
    for compiled in (False, True) if options.compile else (False,):
        for jobs in map(int, options.jobs.split(",")):
            name = f"--jobs {jobs}{', compiled' if compiled else ''}"
            rate, share = prunebench(options, jobs, compiled)
            hourly[name], shares[name] = [rate], [share]
    hourly["Trainer, bf16"] = [trainer(options)]
    show(f"{options.task} on {torch.cuda.get_device_name()}, trainings per hour", hourly, "/h")
    show("share of the bf16 peak while training", shares, "%")


if __name__ == "__main__":
    main()
