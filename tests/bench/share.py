"""Which share of the processor's attainable rate a training reaches, on one thread.

`OMP_NUM_THREADS=1 python share.py [MODEL] [--task TASK] [--glue-dir FOLDER] [--precision fp32] [--rounds 5]`

The attainable rate is that of the products of the model's own encoder matrices, forward and backward, with as many
tokens as a part of a batch has on average, in the same process and precision. The training's rate is 6 × encoder
weights × tokens / seconds, which leaves out attention, the classifier, and all that is no product of matrices.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from interleaved import quartiles

from prunebench.execution.workspace import Workspace, workspace
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment
from prunebench.planning.suite import Suite, merge
from prunebench.training import acceleration, batching, loop

PRODUCTS = 6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default="quick-bert")
    parser.add_argument("--task", default="sentiment")
    parser.add_argument("--glue-dir")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16)
    options = parser.parse_args()
    words = {"model": options.model, "tasks": options.task, "glue_dir": options.glue_dir, "seeds": "1"}
    suite = merge(Suite(), {**words, "precision": options.precision, "device": "cpu"})
    registry = Registry()
    first = experiment.experiments(suite, registry)[0]
    subject = workspace(first, experiment.location(suite), registry)
    weights = sum(subject.model.get_parameter(name).numel() for name in subject.prunable.prunable)
    tokens = part_tokens(subject)
    attainable, reached = [], []
    for _ in range(options.rounds):
        attainable.append(rate_of_products(subject, tokens, options.precision))
        seconds, computed = train(subject, options.precision, options.steps)
        reached.append(PRODUCTS * weights * computed / seconds)
    shares = [each / most for each, most in zip(reached, attainable, strict=True)]
    print(f"{options.model}, {options.task}, {options.precision}, {torch.get_num_threads()} thread")
    print(f"  encoder weights {weights:,}, tokens of a part {tokens}")
    for name, values, scale, unit in (
        ("attainable", attainable, 1e-9, "GFLOP/s"),
        ("training", reached, 1e-9, "GFLOP/s"),
        ("share", shares, 100, "%"),
    ):
        low, middle, high = (scale * value for value in quartiles(values))
        print(f"  {name:12} {middle:8.1f} {unit} [{low:.1f}, {high:.1f}]")


def part_tokens(subject: Workspace) -> int:
    """The mean number of tokens, padding among them, in a part of a batch."""
    generator = torch.Generator().manual_seed(0)
    batches = batching.training_batches(subject.train, subject.protocol.batch_size, generator)
    split = acceleration._parts_of(subject.model, subject.train)
    sizes = [subject.train.batch(part)["input_ids"].numel() for batch in batches for part in split(batch)]
    return round(statistics.mean(sizes))


def rate_of_products(subject: Workspace, tokens: int, precision: str, seconds: float = 2.0) -> float:
    """FLOP/s of the products of a training with the encoder's matrices: y = xWᵀ, dx = dy W, dW = dyᵀx."""
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    products: list[Callable[[], object]] = []
    flops = 0
    for name in subject.prunable.prunable:
        out, width = subject.model.get_parameter(name).shape
        weight, x, dy = (torch.randn(*shape).to(dtype) for shape in ((out, width), (tokens, width), (tokens, out)))
        products += [lambda x=x, w=weight: x @ w.T, lambda dy=dy, w=weight: dy @ w, lambda dy=dy, x=x: dy.T @ x]
        flops += PRODUCTS * tokens * out * width
    for product in products:
        product()
    times = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for product in products:
            product()
        times += 1
    return times * flops / (time.perf_counter() - start)


def train(subject: Workspace, precision: str, steps: int) -> tuple[float, int]:
    """Seconds and tokens of a training from θ0."""
    subject.load(subject.theta0)
    start = time.perf_counter()
    outcome = loop.train(
        subject.model, subject.train, subject.protocol, 0, {}, precision=precision, device="cpu", steps=steps
    )
    return time.perf_counter() - start, outcome.tokens


if __name__ == "__main__":
    main()
