"""Protocol files: for each task the values that `prunebench calibrate` selected, and everything that it saw.

A file belongs to one model, by its fingerprint, and to the training data of each task. It is read strictly: a field
that is missing, unknown or of another type is an error, and so are values that the rule does not select from the trials
in the file.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from prunebench.errors import PrunebenchError
from prunebench.planning.toml_file import read_toml
from prunebench.store.schema import Model, Positive, Strict
from prunebench.tasks.protocol import CALIBRATED, CALIBRATION_VERSION, Protocol
from prunebench.tasks.task import Task, TaskData

# The format of protocol files.
FORMAT = 1
RULE = (
    "One standard error (Breiman et al. 1984): of the settings whose mean is within one standard error of the best "
    "mean, the one with the fewest steps, then the smallest learning rate, then the shortest warm-up."
)
# Means and errors are written with so many decimals, and compared with this tolerance.
DECIMALS, ROUNDING = 10, 1e-9

Rate = Annotated[float, Field(gt=0, lt=1)]
WarmUp = Annotated[float, Field(ge=0, lt=1)]
Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2)]


class Trial(Strict):
    """A setting of the grid, and the scores of its dense models on the carved part, one for each seed.

    `mean` and `error` are the mean of the scores and its standard error, the sample standard deviation / √n.
    """

    epochs: Positive
    lr: Rate
    warmup: WarmUp
    steps: Positive
    scores: Annotated[list[float], Field(min_length=2)]
    mean: float
    error: Annotated[float, Field(ge=0)]

    @classmethod
    def of(cls, *, epochs: int, lr: float, warmup: float, steps: int, scores: Sequence[float]) -> Trial:
        mean, error = _mean_and_error(scores)
        return cls(epochs=epochs, lr=lr, warmup=warmup, steps=steps, scores=list(scores), mean=mean, error=error)

    @model_validator(mode="after")
    def _has_the_mean_of_its_scores(self) -> Self:
        for value, expected in zip((self.mean, self.error), _mean_and_error(self.scores), strict=True):
            if abs(value - expected) > ROUNDING:
                raise ValueError(f"mean and error are not those of the scores, {self.scores}")
        return self

    @property
    def cost(self) -> tuple[int, float, float]:
        """The order of the rule: steps, then learning rate, then warm-up."""
        return self.steps, self.lr, self.warmup


def _mean_and_error(scores: Sequence[float]) -> tuple[float, float]:
    error = statistics.stdev(scores) / math.sqrt(len(scores))
    return round(statistics.fmean(scores), DECIMALS), round(error, DECIMALS)


def select(trials: Sequence[Trial]) -> Trial:
    """The trial that the one-standard-error rule selects.

    It has the fewest steps, then the smallest learning rate, then the shortest warm-up, among the trials whose mean is
    at least the best mean minus its standard error (Breiman et al. 1984, section 3.4.3).
    """
    ordered = sorted(trials, key=lambda trial: trial.cost)
    best = max(ordered, key=lambda trial: trial.mean)
    return next(trial for trial in ordered if trial.mean >= best.mean - best.error - ROUNDING)


class TaskProtocol(Strict):
    """The selected values of a task, and the trials that they were selected from.

    `data` is the fingerprint of the whole training split. `carved` of its examples scored the models, which were
    trained on `train` others. `majority` is the score of the majority class on the carved part.
    """

    epochs: Positive
    lr: Rate
    warmup: WarmUp
    batch_size: Positive
    max_length: Positive
    train_limit: Positive | None = None
    data: str
    train: Positive
    carved: Positive
    metric: str
    majority: float
    trials: Annotated[list[Trial], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_the_values_that_the_rule_selects(self) -> Self:
        trial = self.selected
        if (self.epochs, self.lr, self.warmup) != (trial.epochs, trial.lr, trial.warmup):
            raise ValueError(
                f"the rule selects epochs={trial.epochs}, lr={trial.lr}, warmup={trial.warmup} from its trials, "
                f"not epochs={self.epochs}, lr={self.lr}, warmup={self.warmup}"
            )
        return self

    @property
    def selected(self) -> Trial:
        return select(self.trials)

    @property
    def is_above_majority(self) -> bool:
        """Whether the mean of the selected trial is more than one standard error above the majority class."""
        return self.selected.mean - self.selected.error > self.majority


class Grid(Strict):
    """The settings that are tried: each number of epochs with each learning rate and each warm-up.

    The learning rates are spaced by about a factor of three, from a usual one of BERT-base to the largest that the
    authors of small BERTs try (Turc et al. 2019, arXiv:1908.08962). Warm-up is a fraction of the steps.
    """

    epochs: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)] = (2, 4)
    lr: Annotated[tuple[Rate, ...], Field(strict=False, min_length=1)] = (3e-5, 1e-4, 3e-4)
    warmup: Annotated[tuple[WarmUp, ...], Field(strict=False, min_length=1)] = (0.0, 0.1)


class ProtocolFile(Strict):
    """A protocol file: values by task, for one model."""

    format: Literal[1] = 1
    rule: str = RULE
    command: str = ""
    model: Model
    seeds: Seeds
    grid: Grid
    tasks: Annotated[dict[str, TaskProtocol], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_a_score_for_each_seed(self) -> Self:
        if {len(trial.scores) for task in self.tasks.values() for trial in task.trials} != {len(self.seeds)}:
            raise ValueError(f"expected a score for each of the seeds {self.seeds} in every trial")
        return self

    def protocol(self, task: Task, data: TaskData) -> Protocol:
        """The protocol of a task; values that were not calibrated are those of the task's own protocol.

        Raises PrunebenchError if the file lacks the task, or was made on other training data.
        """
        self.check_task(task.name)
        values = self.tasks[task.name]
        if values.data != train_fingerprint(data):
            raise PrunebenchError(
                f"the protocol file was made on other training data of {task.name!r}",
                f"the training split here has the fingerprint {train_fingerprint(data)}, expected {values.data}",
            )
        return task.protocol.override(
            name=CALIBRATED,
            version=CALIBRATION_VERSION,
            **{key: getattr(values, key) for key in ("epochs", "lr", "warmup", *SHARED)},
        )

    def check_task(self, name: str) -> None:
        """Raise PrunebenchError unless the file has values for this task."""
        if name not in self.tasks:
            raise PrunebenchError(f"the protocol file has no task {name!r}", f"it has {', '.join(self.tasks)}")

    def check_model(self, model: Model) -> None:
        """Raise PrunebenchError unless the file was made for this model."""
        if model.fingerprint != self.model.fingerprint:
            raise PrunebenchError(
                f"the protocol file is for the model {self.model.name} ({self.model.fingerprint}), "
                f"not for {model.name} ({model.fingerprint})",
                "`prunebench calibrate` makes one for another model",
            )


# The keys that TOML reads without quotes.
BARE = re.compile(r"[A-Za-z0-9_-]+")
# The values of a protocol that all trials of a file share.
SHARED = ("batch_size", "max_length", "train_limit")


def train_fingerprint(data: TaskData) -> str:
    """The fingerprint of the training split alone: calibration looks at no other."""
    return TaskData(data.train, {}).fingerprint()


def read(path: str) -> ProtocolFile:
    """The protocol file at that path. Raises PrunebenchError if it cannot be read or does not fit the format."""
    data = read_toml(Path(path), "protocol file", "no protocol file", "`prunebench calibrate` makes one")
    if data.get("format") != FORMAT:
        raise PrunebenchError(f"protocol file {path!r} has format {data.get('format')}", f"expected {FORMAT}")
    try:
        return ProtocolFile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        text = first["msg"].removeprefix("Value error, ")
        message = text if first["type"] == "value_error" else text[:1].lower() + text[1:]
        raise PrunebenchError(f"protocol file {path!r}, {where}: {message}") from None


def write(file: ProtocolFile, path: Path) -> None:
    """Write a protocol file. Raises PrunebenchError where that is impossible."""
    try:
        path.write_text("".join(f"{line}\n" for line in _lines(file)), encoding="utf-8")
    except OSError as error:
        raise PrunebenchError(f"cannot write {str(path)!r}: {(error.strerror or str(error)).lower()}") from None


def _lines(file: ProtocolFile) -> Iterator[str]:
    data = file.model_dump(mode="json", exclude_none=True)
    model, grid, tasks = (data.pop(name) for name in ("model", "grid", "tasks"))
    yield "# A protocol file of prunebench: how this model is trained on each task, chosen on the dense model alone."
    yield "# Each trial lists the scores on a part carved from the training split, one for each seed."
    yield from _assignments(data)
    for name, table in (("model", model), ("grid", grid)):
        yield from ("", f"[{name}]", *_assignments(table))
    for name, task in tasks.items():
        trials = task.pop("trials")
        yield from ("", f"[tasks.{name if BARE.fullmatch(name) else _text(name)}]", *_assignments(task), "trials = [")
        for trial in trials:
            yield f"    {{ {', '.join(_assignments(trial))} }},"
        yield "]"


def _assignments(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in values.items()]


def _toml(value: Any) -> str:
    """A text, a number or a list of them in TOML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(value: str) -> str:
    """A text as TOML writes it. JSON escapes the same characters, but for one."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
