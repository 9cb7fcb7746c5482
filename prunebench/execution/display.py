"""What a user sees while a plan runs: a live display in a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from prunebench.execution.scheduler import Display
from prunebench.planning.jobs import Job, describe
from prunebench.runtime.progress import Progress, duration


@dataclass(frozen=True)
class Console:
    """Where a run says what it does. `quiet` says nothing; `stderr` keeps the standard output clean."""

    quiet: bool = False
    stderr: bool = False

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr if self.stderr else sys.stdout, flush=True)

    def warn(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def watch(self, jobs: list[Job]) -> Iterator[Display]:
        """A display for a run of these jobs."""
        if self.quiet:
            yield Silent()
        # Not rich's own idea of a terminal, which FORCE_COLOR turns a log into.
        elif not sys.stderr.isatty():
            yield Lines(jobs)
        else:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Bars(*columns, TextColumn("{task.fields[note]}"), console=RichConsole(stderr=True)) as bars:
                yield Live(jobs, bars)


class Silent:
    """Shows nothing."""

    def started(self, job: Job) -> None: ...
    def moment(self, moment: Progress) -> None: ...
    def finished(self, job: Job, seconds: float, left: float | None, failure: str) -> None: ...
    def died(self, job: Job, reason: str) -> None: ...
    def waiting(self, job: Job) -> None: ...


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

    def waiting(self, job: Job) -> None:
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
        print(f"[{self.done}/{self.total} phases] {describe(job.nodes[0])}: {what}{rest}", file=sys.stderr, flush=True)

    def died(self, job: Job, reason: str) -> None:
        print(f"{describe(job.nodes[0])}: {LOST.format(reason)}", file=sys.stderr, flush=True)

    def waiting(self, job: Job) -> None:
        print(f"{describe(job.nodes[0])}: {ELSEWHERE}", file=sys.stderr, flush=True)
