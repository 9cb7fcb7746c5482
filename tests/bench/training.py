"""One training with its evaluation: prunebench's loop against transformers' Trainer.

`python training.py --model FOLDER --glue-dir FOLDER [--task rte] [--seeds 3] [--epochs N] [--train-limit N]`

`plain_trainer.py` says how the Trainer is set. Data and model are loaded before the clock starts. Each training is a
process of its own with all cores; memory is the most that this process ever held.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from statistics import fmean, stdev

import plain_trainer
from interleaved import show
from transformers import AutoModelForSequenceClassification, set_seed

from prunebench.execution import measurements
from prunebench.execution.workspace import workspace
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment
from prunebench.planning.suite import Suite, merge
from prunebench.runtime import devices, memory
from prunebench.training import loop

Timed = tuple[float, float]


def prunebench(suite: Suite, precision: str) -> Timed:
    """Seconds and the dev score, by the functions that a worker calls."""
    registry = Registry()
    merged = merge(suite, {"precision": precision})
    first = experiment.experiments(merged, registry)[0]
    subject = workspace(first, experiment.location(merged), registry)
    subject.load(subject.theta0)
    started = time.perf_counter()
    arithmetic = {"precision": first.precision, "device": first.device}
    loop.train(subject.model, subject.train, subject.protocol, first.seed, {}, **arithmetic)
    evaluations, _, _ = measurements.evaluate(subject, subject.model, first)
    seconds = time.perf_counter() - started
    return seconds, 100 * evaluations[subject.task.evaluations[0]].metrics[subject.task.metrics[0]]


def trainer(suite: Suite, padding: str) -> Timed:
    """Seconds and the dev score, by the Trainer."""
    subject = plain_trainer.load(suite, padding)
    seed = suite.seeds[0]
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(subject.folder, num_labels=subject.labels)
    with tempfile.TemporaryDirectory() as output:
        loop = plain_trainer.make(subject, model, seed, output)
        started = time.perf_counter()
        score = plain_trainer.train_and_evaluate(loop, subject)
        return time.perf_counter() - started, score


WAYS = {
    "prunebench": (prunebench, "auto"),
    "prunebench, fp32": (prunebench, "fp32"),
    "Trainer, padded to the longest": (trainer, "longest"),
    "Trainer, padded to max_length": (trainer, "max_length"),
}


def one(options: argparse.Namespace) -> None:
    way, how = WAYS[options.way]
    seconds, score = way(suite_of(options), how)
    print(json.dumps({"s": seconds, "MB": memory.peak_memory_mb("cpu"), "score": score}))


def suite_of(options: argparse.Namespace) -> Suite:
    return plain_trainer.suite_of(options, options.seeds)


def main() -> None:
    parser = argparse.ArgumentParser()
    plain_trainer.add_options(parser, task="rte")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--way", help=argparse.SUPPRESS)  # with the one seed that --seeds then names
    options = parser.parse_args()
    if options.way:
        return one(options)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(options.seeds):
        for way in WAYS:
            command = [sys.executable, __file__, *sys.argv[1:], "--way", way, "--seeds", str(seed)]
            said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
            print(f"seed {seed}, {way}: {said}", file=sys.stderr, flush=True)
            for name, value in json.loads(said).items():
                found[name][way].append(value)
    show(f"{options.task}, one training and its evaluation, {devices.cores()} cores", found["s"], "s")
    show("the most memory that its process held", found["MB"], "MB")
    print("dev scores, mean ± standard deviation over seeds")
    for way, scores in found["score"].items():
        spread = f" ± {stdev(scores):.2f}" if len(scores) > 1 else ""
        print(f"  {way:40} {fmean(scores):9.2f}{spread}")


if __name__ == "__main__":
    main()
