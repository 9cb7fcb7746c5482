"""`prunebench pretrain`: train the checkpoint `quick-bert` again, or another model like it."""

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
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps of 128 pairs each.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the weights, the corpus and the masked words.")
@click.option(
    "--from", "start", type=click.Path(path_type=Path), metavar="DIR", help="Continue from a model of this command."
)
@click.option("--opinionated", type=click.FloatRange(0, 1), help="The share of documents with opinions.")
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

    The model learns from masked words and pairs of sentences, as BERT does. This command trained the model `quick-bert`
    in two stages, which the README.md in its folder lists.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PrunebenchError(f"{str(out)!r} exists and is not empty", "expected a new folder")
    from prunebench.runtime import devices
    from prunebench.synthetic import pretraining

    if start is not None and not (start / pretraining.REPORT).is_file():
        raise PrunebenchError(
            f"{str(start)!r} has no model that this command trained", f"expected a folder with {pretraining.REPORT}"
        )
    options: dict[str, Any] = {"steps": steps, "seed": seed, "opinionated": opinionated}
    settings = pretraining.Settings(**{name: value for name, value in options.items() if value is not None})
    device = devices.resolve_device(device)
    devices.check_device(device)
    with _show_progress():
        report = pretraining.pretrain(out, settings, device, devices.resolve_precision(precision, device), start)
    click.echo(pretraining.summary(report))
    click.echo(f"The model is in {out}. Try it with: prunebench run quick --model {out}")


@contextmanager
def _show_progress() -> Iterator[None]:
    """Show a progress bar on a terminal, and a line every 500 steps elsewhere."""
    from rich.console import Console
    from rich.progress import Progress as ProgressBar

    from prunebench.runtime import progress
    from prunebench.runtime.progress import duration

    begin = time.perf_counter()

    def print_line(report: progress.Progress) -> None:
        if report.step % 500 == 0 or report.step == report.steps:
            seconds = (time.perf_counter() - begin) * (report.steps - report.step) / report.step
            remaining = f", about {duration(seconds)} left" if seconds else ""
            click.echo(f"[{report.step}/{report.steps} steps] loss {report.loss:.3f}{remaining}", err=True)

    if not sys.stderr.isatty():
        with progress.temporary_listener(print_line):
            yield
        return
    with ProgressBar(console=Console(stderr=True)) as bar:
        task = bar.add_task("pre-training")

        def update_bar(report: progress.Progress) -> None:
            text = f"pre-training, loss {report.loss:.3f}"
            bar.update(task, total=report.steps, completed=report.step, description=text)

        with progress.temporary_listener(update_bar):
            yield
