"""What a person sees while a plan runs: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from prunebench.execution.scheduler import Display
from prunebench.planning.graph import Plan
from prunebench.planning.jobs import Count, Job, describe
from prunebench.runtime.progress import Progress, duration, many


def counted(plan: Plan, count: Count) -> list[str]:
    """The plan in four lines, or five."""
    left = count.distinct - count.stored - count.failed
    again = f", {count.again} of them again for masks or weights that are not kept" if count.again else ""
    asked, distinct = many(count.asked, "phase"), many(count.distinct, "phase")
    failed = [f"Failed before: {many(count.failed, 'phase')}; --retry-failed tries them again"] if count.failed else []
    return [
        f"Asked for:     {many(len(plan.cells), 'cell')}, {asked}, {many(count.asked_trainings, 'training')}",
        f"After sharing: {distinct}, {many(count.distinct_trainings, 'training')}",
        f"In the store:  {many(count.stored, 'phase')}",
        *failed,
        f"To run:        {many(left, 'phase')}, {many(count.trainings, 'training')}{again}",
    ]


@contextmanager
def make_display(jobs: list[Job]) -> Iterator[Display]:
    """A live display on a terminal, plain lines elsewhere."""
    # Not rich's own idea of a terminal, which FORCE_COLOR turns a log into.
    if not sys.stderr.isatty():
        yield Lines(jobs)
        return
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, TextColumn("{task.fields[note]}"), console=console) as bars:
        yield Live(jobs, bars)


LOST = "its worker died: {}; the job is run again"
ELSEWHERE = "another run on this store is at it: waiting"


class Live:
    """A bar for the phases of the plan, and one for the steps of each job at work."""

    def __init__(self, jobs: list[Job], bars: Bars) -> None:
        self.bars = bars
        self.all = bars.add_task("phases", total=sum(len(job.phases) for job in jobs), note="")
        self.working: dict[Job, TaskID] = {}

    def started(self, job: Job) -> None:
        self.working[job] = self.bars.add_task(describe(job.nodes[0]), total=None, note="at work")

    def moment(self, moment: Progress) -> None:
        note = f"loss {moment.loss:.3f}" if moment.step < moment.steps else "pruning and scoring"
        # A copy: moments come from other threads than the jobs that begin and end.
        for job, bar in list(self.working.items()):
            if job.nodes[0].key == moment.job:
                self.bars.update(bar, total=moment.steps, completed=moment.step, note=note)

    def finished(self, job: Job, seconds: float, left: float | None, failure: str) -> None:
        bar = self.working.pop(job, None)
        if bar is not None:
            self.bars.remove_task(bar)
        note = f"about {duration(left)} left" if left else ""
        self.bars.update(self.all, advance=len(job.phases), note=note)
        if failure:
            what = failure if bar is None else f"failure: {failure}"
            self.bars.console.print(f"{describe(job.nodes[0])}: {what}", markup=False)

    def died(self, job: Job, reason: str) -> None:
        self.bars.remove_task(self.working.pop(job))
        self.bars.console.print(f"{describe(job.nodes[0])}: {LOST.format(reason)}", markup=False)

    def held_up(self, job: Job) -> None:
        self.bars.console.print(f"{describe(job.nodes[0])}: {ELSEWHERE}", markup=False)


class Lines:
    """A line for each job that is over, for logs; of one that was never started, only why."""

    def __init__(self, jobs: list[Job]) -> None:
        self.total = sum(len(job.phases) for job in jobs)
        self.done = 0
        self.losses: dict[str, str] = {}
        self.started_jobs: set[Job] = set()

    def started(self, job: Job) -> None:
        self.started_jobs.add(job)

    def moment(self, moment: Progress) -> None:
        self.losses[moment.job] = f", loss {moment.loss:.3f}"

    def finished(self, job: Job, seconds: float, left: float | None, failure: str) -> None:
        self.done += len(job.phases)
        rest = f", about {duration(left)} left" if left else ""
        what = f"{duration(seconds)}{self.losses.get(job.nodes[0].key, '')}"
        if failure:
            what = f"{what}; failure: {failure}" if job in self.started_jobs else failure
        click.echo(f"[{self.done}/{self.total} phases] {describe(job.nodes[0])}: {what}{rest}", err=True)

    def died(self, job: Job, reason: str) -> None:
        click.echo(f"{describe(job.nodes[0])}: {LOST.format(reason)}", err=True)

    def held_up(self, job: Job) -> None:
        click.echo(f"{describe(job.nodes[0])}: {ELSEWHERE}", err=True)
