"""What a user sees while a plan runs: a live display in a terminal or notebook, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console as RichConsole
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column

from prunebench.execution.clock import Estimate
from prunebench.execution.scheduler import Display
from prunebench.planning.jobs import Job, describe
from prunebench.runtime.progress import Progress, duration
from prunebench.runtime.text import clean


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
        # Not rich's own test: it takes a log for a terminal if FORCE_COLOR is set.
        elif not sys.stderr.isatty():
            yield Lines(jobs)
        else:
            with bars_on(RichConsole(stderr=True)) as bars:
                yield Live(jobs, bars)


def bars_on(console: RichConsole) -> Bars:
    """Bars that fit 60 columns: the name gives way first, then the bar; the note never does."""
    name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    note = Column(no_wrap=True, justify="right")
    return Bars(
        TextColumn("{task.description}", table_column=name),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[note]}", table_column=note),
        console=console,
        expand=True,
    )


class Silent:
    """Shows nothing."""

    def started(self, job: Job) -> None: ...
    def update(self, progress: Progress) -> None: ...
    def finished(self, job: Job, seconds: float, left: Estimate | None, failure: str) -> None: ...
    def died(self, job: Job, reason: str) -> None: ...
    def waiting(self, job: Job) -> None: ...


LOST = "its worker died: {}; the job is run again"
ELSEWHERE = "another run on this store holds it: waiting"


def time_left(left: Estimate | None) -> str:
    """`about 3 min left`, or "" where nothing is left or known."""
    if left is None or left.seconds <= 0:
        return ""
    return f"about {duration(left.seconds)} left{' (a guess)' if left.guessed else ''}"


def is_new(text: str, texts: set[str]) -> bool:
    """Whether `text` is not in `texts` yet, to which it is added: a method prints the same for every seed and level."""
    known = text in texts
    texts.add(text)
    return not known


class Live:
    """A bar for the trainings and phases of the plan with the last score, and one for the steps of each running job."""

    def __init__(self, jobs: list[Job], bars: Bars) -> None:
        self.bars = bars
        self.total = sum(len(job.phases) for job in jobs)
        self.done = 0
        self.score = ""
        self.left = ""
        self.texts: set[str] = set()
        self.all = bars.add_task(self._title(), total=self.total, note="")
        self.running: dict[Job, TaskID] = {}

    def _title(self) -> str:
        return f"{self.done}/{self.total} phases"

    def started(self, job: Job) -> None:
        steps = job.anchor.experiment.steps if job.trains else None
        note = f"0/{steps} starting" if steps else "starting"
        self.running[job] = self.bars.add_task(describe(job.nodes[0]), total=steps, note=note)

    def update(self, progress: Progress) -> None:
        if progress.text:
            if is_new(progress.text, self.texts):
                self._print(progress.text)
            return
        if progress.stage:
            return
        if progress.score:
            self.score = progress.score
            self._update_all(0)
            return
        training = f"{progress.step}/{progress.steps} loss {progress.loss:.3f}"
        note = training if progress.step < progress.steps else "pruning, scoring"
        # A copy: updates come from other threads than the jobs that start and finish.
        for job, bar in list(self.running.items()):
            if job.nodes[0].key == progress.job:
                self.bars.update(bar, total=progress.steps, completed=progress.step, note=note)

    def finished(self, job: Job, seconds: float, left: Estimate | None, failure: str) -> None:
        bar = self.running.pop(job, None)
        if bar is not None:
            self.bars.remove_task(bar)
        self.left = time_left(left)
        self._update_all(len(job.phases))
        if failure:
            what = failure if bar is None else f"failure: {failure}"
            self._print(f"{describe(job.nodes[0])}: {what}")

    def _update_all(self, phases: int) -> None:
        self.done += phases
        note = ", ".join(filter(None, (self.score, self.left)))
        self.bars.update(self.all, advance=phases, description=self._title(), note=note)

    def died(self, job: Job, reason: str) -> None:
        self.bars.remove_task(self.running.pop(job))
        self._print(f"{describe(job.nodes[0])}: {LOST.format(reason)}")

    def waiting(self, job: Job) -> None:
        self._print(f"{describe(job.nodes[0])}: {ELSEWHERE}")

    def _print(self, text: str) -> None:
        self.bars.console.print(clean(text), markup=False, highlight=False)


class Lines:
    """A line for each finished job, for logs; for a job that was never started, only why."""

    def __init__(self, jobs: list[Job]) -> None:
        self.total = sum(len(job.phases) for job in jobs)
        self.done = 0
        self.losses: dict[str, str] = {}
        self.scores: dict[str, str] = {}
        self.started_jobs: set[Job] = set()
        self.texts: set[str] = set()

    def started(self, job: Job) -> None:
        self.started_jobs.add(job)

    def update(self, progress: Progress) -> None:
        if progress.text:
            if is_new(progress.text, self.texts):
                _line(progress.text)
        elif progress.stage:
            return
        elif progress.score:
            self.scores[progress.job] = f", {progress.score}"
        else:
            self.losses[progress.job] = f", loss {progress.loss:.3f}"

    def finished(self, job: Job, seconds: float, left: Estimate | None, failure: str) -> None:
        self.done += len(job.phases)
        rest = f", {text}" if not failure and (text := time_left(left)) else ""
        key = job.nodes[0].key
        what = f"{duration(seconds)}{self.losses.get(key, '')}{self.scores.get(key, '')}"
        if failure:
            what = f"{what}; failure: {failure}" if job in self.started_jobs else failure
        _line(f"[{self.done}/{self.total} phases] {describe(job.nodes[0])}: {what}{rest}")

    def died(self, job: Job, reason: str) -> None:
        _line(f"{describe(job.nodes[0])}: {LOST.format(reason)}")

    def waiting(self, job: Job) -> None:
        _line(f"{describe(job.nodes[0])}: {ELSEWHERE}")


def _line(text: str) -> None:
    print(clean(text), file=sys.stderr, flush=True)
