"""How many trainings at a time give the most on one GPU, and what share of its arithmetic a training uses.

`python gpu.py --model FOLDER [--base] [--task rte --glue-dir FOLDER] [--jobs 1,2,4,8] [--compile] [--peak 989]`

`--base` takes only the tokenizer of that model, and random weights of BERT-base's size: it trains as fast. `--peak` is
the card's dense bf16 peak in TFLOP/s (989 for an H100 SXM). The share counts 6 × the encoder's weights × tokens, those
of a batch's padding too (Kaplan et al. 2020, section 2.1, attention's own products left out); of the last layer, whose
feed-forward part is computed for the first token alone, only what comes before. transformers' Trainer runs with
`bf16=True` and its defaults, one training at a time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import plain_trainer
import torch
from interleaved import show
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForPreTraining,
    set_seed,
)

from prunebench.store.store import Store


def of_base_size(folder: str, model: str) -> str:
    """A folder with a random BERT-base and the tokenizer of another model."""
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    BertForPreTraining(BertConfig()).save_pretrained(folder)
    return folder


def trained(config: Any) -> float:
    """Of the weights of an encoder of BERT's kind, the share that meets every token in training."""
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    each = 4 * width**2 + 2 * width * inner
    return 1 - (width**2 + 2 * width * inner) / (layers * each)


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
        found = [record for record in Store.open(f"{folder}/store").records() if record.steps]
    work = trained(AutoConfig.from_pretrained(options.model)) * sum(
        6 * record.sparsity.encoder_weights * record.tokens for record in found
    )
    seconds = sum(record.seconds["train"] for record in found) / jobs
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
    parser.add_argument("--base", action="store_true", help="random weights of BERT-base's size")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device here")
    hourly, shares = defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        if options.base:
            options.model = of_base_size(folder, options.model)
        for _ in range(options.rounds):
            for compiled in (False, True) if options.compile else (False,):
                for jobs in map(int, options.jobs.split(",")):
                    name = f"--jobs {jobs}{', compiled' if compiled else ''}"
                    rate, share = prunebench(options, jobs, compiled)
                    hourly[name].append(rate)
                    shares[name].append(share)
            hourly["Trainer, bf16"].append(trainer(options))
    show(f"{options.task} on {torch.cuda.get_device_name()}, trainings per hour", hourly, "/h")
    show("share of the bf16 peak while training", shares, "%")


if __name__ == "__main__":
    main()
