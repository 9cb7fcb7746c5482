"""What the fence around a strategy's code costs: the milliseconds of one call that changes nothing."""

from __future__ import annotations

import argparse
import statistics
import time

from prunebench.execution.fence import Snapshot
from prunebench.hooks.registry import Registry
from prunebench.models.encoder import load
from prunebench.models.loading import model_source


def main(name: str, rounds: int = 20) -> None:
    registry = Registry()
    source = model_source(name, registry)
    model = load(source, registry.get("models", source.family), num_labels=2, regression=False, seed=0).model
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        assert not list(Snapshot.of(model).changes())
        seconds.append(time.perf_counter() - start)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    print(f"{name}: {parameters:,} parameters, one call {1e3 * middle:.1f} ms [{1e3 * low:.1f}, {1e3 * high:.1f}]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default="quick-bert", help="quick-bert, or the folder of a checkpoint")
    main(parser.parse_args().model)
