"""What a person sees while a plan runs: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from prunebench.bench import Display
from prunebench.jobs import Count, Job, describe
from prunebench.plan import Plan
from prunebench.progress import Progress


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 07 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def counted(plan: Plan, count: Count) -> list[str]:
    """The plan in four lines."""
    again = f", {count.again} of them again for masks or weights that are not kept" if count.again else ""
    return [
        f"Asked for:     {len(plan.cells)} cells, {count.asked} phases, {count.asked_trainings} trainings",
        f"After sharing: {count.distinct} phases, {count.distinct_trainings} trainings",
        f"In the store:  {count.stored} phases",
        f"To run:        {count.distinct - count.stored} phases, {count.trainings} trainings{again}",
    ]


@contextmanager
def make_display(jobs: list[Job]) -> Iterator[Display]:
    """A live display on a terminal, plain lines elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(jobs)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, TextColumn("{task.fields[note]}"), console=console) as bars:
        yield Live(jobs, bars)


class Live:
    """Two bars: phases of the plan, and steps of the training at work."""

    def __init__(self, jobs: list[Job], bars: Bars) -> None:
        self.bars = bars
        self.all = bars.add_task("phases", total=sum(len(job.phases) for job in jobs), note="")
        self.one = bars.add_task("", total=None, note="")

    def started(self, job: Job) -> None:
        self.bars.reset(self.one, total=None, description=describe(job.anchor), note="loading")

    def moment(self, moment: Progress) -> None:
        note = f"loss {moment.loss:.3f}" if moment.step < moment.steps else "pruning and scoring"
        self.bars.update(self.one, total=moment.steps, completed=moment.step, note=note)

    def finished(self, job: Job, seconds: float, left: float | None, failure: str) -> None:
        note = "" if left is None else f"about {duration(left)} left"
        self.bars.update(self.all, advance=len(job.phases), note=note)
        if failure:
            self.bars.console.print(f"failed: {describe(job.anchor)}: {failure}", markup=False)


class Lines:
    """A line for each job that is over, for logs."""

    def __init__(self, jobs: list[Job]) -> None:
        self.total = sum(len(job.phases) for job in jobs)
        self.done = 0
        self.loss = ""

    def started(self, job: Job) -> None:
        self.loss = ""

    def moment(self, moment: Progress) -> None:
        self.loss = f", loss {moment.loss:.3f}"

    def finished(self, job: Job, seconds: float, left: float | None, failure: str) -> None:
        self.done += len(job.phases)
        rest = "" if left is None else f", about {duration(left)} left"
        what = f"failed: {failure}" if failure else f"{duration(seconds)}{self.loss}"
        click.echo(f"[{self.done}/{self.total} phases] {describe(job.anchor)}: {what}{rest}", file=sys.stderr)
