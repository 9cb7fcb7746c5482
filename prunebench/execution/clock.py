"""How long the rest of a run will take, from the trainings of this run and of earlier ones."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from prunebench.planning.jobs import Job
from prunebench.store.schema import SECONDS, Experiment, Record
from prunebench.store.store import Store

# Trainings of experiments that agree in these take about as long.
Pace = tuple[str, str, str, str]


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


class Clock:
    """Estimates the seconds that are left. `earlier` are seconds of a training from earlier runs, by pace."""

    def __init__(self, jobs: Iterable[Job], earlier: Mapping[Pace, float], slots: int = 1) -> None:
        self.slots = slots
        self.earlier = earlier
        self.measured: dict[Pace, list[float]] = defaultdict(list)
        self.left = Counter(pace(job.anchor.experiment) for job in jobs if job.trains)

    @classmethod
    def of(cls, jobs: Iterable[Job], store: Store, slots: int = 1) -> Clock:
        """The clock of a run on `store`, whose records tell how long trainings took."""
        return cls(jobs, expected_seconds(store.records()), slots)

    def finish(self, job: Job, seconds: float | None) -> float | None:
        """Seconds left after `job`, which took `seconds` or was given up (None)."""
        if job.trains:
            self.left[pace(job.anchor.experiment)] -= 1
            if seconds is not None:
                self.measured[pace(job.anchor.experiment)].append(seconds)
        return self.total()

    def total(self) -> float | None:
        """Seconds left, or None while some task has never been trained."""
        total = 0.0
        for each, number in self.left.items():
            if number and not self.measured[each] and each not in self.earlier:
                return None
            if number:
                seconds = statistics.median(self.measured[each]) if self.measured[each] else self.earlier[each]
                total += number * seconds / self.slots
        return total
