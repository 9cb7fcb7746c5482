"""How long the rest of a run will take: from its own trainings, from earlier runs, or by a guess from the model's size.

The time left is the expected seconds of all jobs that wait, and of those that run less what they have run for, spread
over the jobs at a time:

    left = max((Σ waiting + Σ rest of running) / slots, longest rest of a running job)

A median of trainings that agree in task, protocol and arithmetic is the expectation; the first training of a worker,
which also loads everything, hardly moves it. A guess for other tasks is corrected by what these trainings took.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prunebench.planning.jobs import Job
from prunebench.store.schema import SECONDS, Experiment, Record

# Trainings of experiments that agree in these take about as long.
Pace = tuple[str, str, str, str]

# A guess: products of weights and tokens in a second for one job, and seconds of a step beside them. By trials with
# MiniLM and quick-bert on one core: in fp32 6e10 on an AMD EPYC and 1.2e11 on an Intel Xeon; on a GPU a small part.
RATES = {"bf16": 1.5e11, "fp32": 9e10, "cuda": 2e13}
STEP_SECONDS, TYPICAL_TOKENS = 0.015, 32


def pace(experiment: Experiment) -> Pace:
    return experiment.task, experiment.protocol_label, experiment.precision, experiment.device


def expected_seconds(records: Iterable[Record]) -> dict[Pace, float]:
    """The median seconds of one training with its evaluation, by pace."""
    seconds: dict[Pace, list[float]] = defaultdict(list)
    for record in records:
        if record.steps:
            total = sum(record.seconds.get(part, 0.0) for part in SECONDS)
            seconds[pace(record.experiment)].append(total)
    return {each: statistics.median(values) for each, values in seconds.items()}


def guess_seconds(experiment: Experiment, weights: int) -> float:
    """A guess at the seconds of one training of an encoder with so many weights: 6 products a weight and token."""
    rate = RATES["cuda" if experiment.device == "cuda" else experiment.precision.partition("+")[0]]
    length, batch = experiment.protocol.get("max_length"), experiment.protocol.get("batch_size")
    tokens = int(batch or 32) * min(int(length or TYPICAL_TOKENS), TYPICAL_TOKENS)
    return experiment.steps * (STEP_SECONDS + 6 * weights * tokens / rate)


@dataclass(frozen=True)
class Estimate:
    """Seconds left; `guessed` if no training of some task has been measured yet."""

    seconds: float
    guessed: bool = False


class Clock:
    """Estimates the seconds that are left of `jobs`, `slots` of them at a time.

    `recorded` are seconds of a training from earlier runs by pace, and `guess` gives them where there are none; without
    it nothing is estimated until each task has been trained once. `now` is the time in seconds.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        recorded: Mapping[Pace, float],
        slots: int = 1,
        guess: Callable[[Experiment], float] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.slots = slots
        self.recorded = recorded
        self.guess = guess
        self.now = now
        self.measured: dict[Pace, list[float]] = defaultdict(list)
        self.ratios: list[float] = []
        self.waiting = {job for job in jobs if job.trains}
        self.running: dict[Job, float] = {}

    def start(self, job: Job) -> None:
        if job.trains:
            self.waiting.discard(job)
            self.running[job] = self.now()

    def requeue(self, job: Job, parts: Iterable[Job]) -> None:
        """`parts`, which may be the job itself, are to run instead of a job that was started."""
        self.running.pop(job, None)
        self.waiting |= {part for part in parts if part.trains}

    def finish(self, job: Job, seconds: float | None) -> Estimate | None:
        """The seconds left after `job`, which took `seconds` or was given up (None)."""
        if job.trains:
            self.waiting.discard(job)
            self.running.pop(job, None)
            if seconds is not None:
                self.measured[pace(job.anchor.experiment)].append(seconds)
                if self.guess:
                    self.ratios.append(seconds / self.guess(job.anchor.experiment))
        return self.left()

    def left(self) -> Estimate | None:
        """The seconds left, or None while nothing is known of some task."""
        guessed, total, longest = False, 0.0, 0.0
        for job in (*self.waiting, *self.running):
            expected = self._expected(job.anchor.experiment)
            if expected is None:
                return None
            spent = self.now() - self.running[job] if job in self.running else 0.0
            rest = max(expected.seconds - spent, 0.0)
            guessed |= expected.guessed
            total += rest
            longest = max(longest, rest)
        return Estimate(max(total / self.slots, longest), guessed)

    def _expected(self, experiment: Experiment) -> Estimate | None:
        each = pace(experiment)
        if self.measured[each]:
            return Estimate(statistics.median(self.measured[each]))
        if each in self.recorded:
            return Estimate(self.recorded[each])
        return Estimate(self.guess(experiment) * self._correction(), guessed=True) if self.guess else None

    def _correction(self) -> float:
        """The median ratio of a training to its guess, over the trainings that have been measured."""
        return statistics.median(self.ratios) if self.ratios else 1.0
