"""`prunebench pretrain`: make the checkpoint `quick-bert` again, or another one of its kind."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from prunebench.errors import PrunebenchError
from prunebench.planning.suite import CHOICES


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder for it.")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps of 128 pairs each.")
@click.option("--seed", type=click.IntRange(0), help="Of the weights, the corpus and the masked words.")
@click.option(
    "--from", "start", type=click.Path(path_type=Path), metavar="DIR", help="Go on from a model of this command."
)
@click.option("--opinionated", type=click.FloatRange(0, 1), help="The share of documents that hold opinions.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(CHOICES["device"]))
@click.option("--precision", default="auto", show_default=True, type=click.Choice(CHOICES["precision"]))
def pretrain(
    out: Path,
    steps: int | None,
    seed: int | None,
    start: Path | None,
    opinionated: float | None,
    device: str,
    precision: str,
) -> None:
    """Pre-train a small BERT on the generated language.

    With masked words and pairs of sentences, as BERT was. The model `quick-bert` was made by this command, in the two
    stages that its README.md names.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PrunebenchError(f"{str(out)!r} is there and not empty", "expected a new folder: nothing is written over")
    from prunebench.runtime import devices
    from prunebench.synthetic import pretraining

    if start is not None and not (start / pretraining.REPORT).is_file():
        raise PrunebenchError(
            f"{str(start)!r} holds no model of this command", f"expected a folder with {pretraining.REPORT}"
        )
    asked: dict[str, Any] = {"steps": steps, "seed": seed, "opinionated": opinionated}
    chosen = {name: value for name, value in asked.items() if value is not None}
    device = devices.resolve_device(device)
    devices.check_device(device)
    with _shown():
        report = pretraining.pretrain(
            out, pretraining.Settings(**chosen), device, devices.resolve_precision(precision, device), start
        )
    click.echo(pretraining.summary(report))
    click.echo(f"The model is in {out}. Try it: prunebench run quick --model {out}")


@contextmanager
def _shown() -> Iterator[None]:
    """A bar on a terminal, a line now and then elsewhere."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    from prunebench.runtime import progress
    from prunebench.runtime.progress import duration

    started = time.perf_counter()

    def line(moment: progress.Progress) -> None:
        if moment.step % 500 == 0 or moment.step == moment.steps:
            left = (time.perf_counter() - started) * (moment.steps - moment.step) / moment.step
            rest = f", about {duration(left)} left" if left else ""
            click.echo(f"[{moment.step}/{moment.steps} steps] loss {moment.loss:.3f}{rest}", err=True)

    if not sys.stderr.isatty():
        with progress.listening(line):
            yield
        return
    with Bars(console=Console(stderr=True)) as bars:
        bar = bars.add_task("pre-training")

        def move(moment: progress.Progress) -> None:
            text = f"pre-training, loss {moment.loss:.3f}"
            bars.update(bar, total=moment.steps, completed=moment.step, description=text)

        with progress.listening(move):
            yield
