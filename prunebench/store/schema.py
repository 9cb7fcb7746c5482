"""The one data model: what stands in a store, in a bundle, on a page and in the job that a worker gets.

Every class is strict: a field that is missing, unknown, of another type or not finite is an error. Records, plans,
bundles, `results.json` and their JSON schemas derive from these classes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from prunebench.recipes.axes import BudgetName
from prunebench.recipes.phase import Phase
from prunebench.recipes.phases import from_record
from prunebench.recipes.strategy import PATTERN

# The format of a store and of what is in it. Since 3, every file is bound to its name by a checksum.
FORMAT = 3
# Where the seconds of a job went. Records have two more: `predict`, a part of the last, is what prediction alone took,
# and `method` what the code of strategies took on the whole path from θ0, in earlier jobs too. Seconds of a training
# that was interrupted are those since it went on.
SECONDS = ("load", "train", "strategy", "prune", "evaluate")
# The kind of plan that a leaderboard shows: its cells measure methods, each on its own tasks.
RUN = "run"

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Format = Annotated[int, Field(ge=1, le=FORMAT)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Positive = Annotated[int, Field(gt=0, lt=2**53)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
# JSON has lists where Python code has tuples.
Names = Annotated[tuple[str, ...], Field(strict=False)]
Unit = Annotated[str, Field(pattern=rf"^{PATTERN}$")]


class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
    )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; fields that were never set are left out, so what was read comes out as it was."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Setting(Strict):
    """What must be equal for two results of one task to stand in one ranking."""

    model: str
    model_fingerprint: str
    model_revision: str
    data: str
    protocol: str
    precision: str
    device: str
    prunable: str
    code: str

    def __lt__(self, other: Setting) -> bool:
        return tuple(vars(self).values()) < tuple(vars(other).values())


class Model(Strict):
    """A pre-trained encoder: where it came from, what its files hold, and its family."""

    name: str
    revision: str
    fingerprint: str
    family: str


def _with_train(sizes: dict[str, int]) -> dict[str, int]:
    if "train" not in sizes:
        raise ValueError("the size of the training split is missing")
    return sizes


class Experiment(Strict):
    """Everything that a result depends on but the method: task, data, model, protocol, seed and arithmetic.

    `code` is the version of the engine, with the plugins that gave task, metric and family. `sizes` are the numbers of
    examples of the splits.
    """

    task: str
    code: str
    data: str
    sizes: Annotated[dict[str, Positive], AfterValidator(_with_train)]
    model: Model
    protocol: dict[str, str | int | float | None]
    protocol_label: str
    seed: Count
    precision: str
    device: str
    prunable: str

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with changes. Pydantic alone would copy the cached key and setting along."""
        copy = super().model_copy(update=update, deep=deep)
        for name in ("key", "setting"):
            vars(copy).pop(name, None)
        return copy

    @cached_property
    def key(self) -> str:
        """A digest of all that a score depends on; names and sizes follow from the fingerprints."""
        return digest(
            [
                *(self.code, self.task, self.data, self.model.fingerprint, self.protocol),
                *(self.seed, self.precision, self.device, self.prunable),
            ]
        )

    @cached_property
    def setting(self) -> Setting:
        return Setting(
            model=self.model.name,
            model_fingerprint=self.model.fingerprint,
            model_revision=self.model.revision,
            data=self.data,
            protocol=self.protocol_label,
            precision=self.precision,
            device=self.device,
            prunable=self.prunable,
            code=self.code,
        )

    @property
    def steps(self) -> int:
        """Optimiser steps of one training."""
        epochs, batch_size = self.protocol["epochs"], self.protocol["batch_size"]
        assert isinstance(epochs, int) and isinstance(batch_size, int)
        return epochs * -(-self.sizes["train"] // batch_size)


class Location(Strict):
    """The folders of model and data on a machine; no result depends on them. None: found by name, or on the hub."""

    model: str | None = None
    glue_dir: str | None = None


class WeightsRef(Strict):
    """Weights of a training: after its last step, or after step `at` (a fraction below 1 is that part of it)."""

    training: str
    at: int | float | None = None

    @property
    def name(self) -> str:
        """What a store calls them."""
        return self.training if self.at is None else f"{self.training}-at-{self.at}"

    @classmethod
    def parse(cls, name: str) -> WeightsRef:
        """The inverse of `name`. Raises ValueError where the part after `-at-` is no number."""
        training, _, at = name.partition("-at-")
        return cls(training=training, at=json.loads(at) if at else None)

    def step(self, steps: int) -> int:
        """The optimiser step, in a training of so many."""
        if self.at is None:
            return steps
        return self.at if isinstance(self.at, int) else max(1, round(self.at * steps))


class PhaseEntry(BaseModel):
    """A phase as JSON: its name, the strategy that it calls (or ""), and its own fields."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, JsonValue]

    phase: str
    strategy: str

    @property
    def fields(self) -> dict[str, JsonValue]:
        """The phase's own fields."""
        return dict(self.model_extra or {})


class Evaluation(Strict):
    """The scores of one evaluation; `degenerate` are the metrics that these predictions leave undefined."""

    examples: Positive
    metrics: dict[str, float]
    degenerate: list[str]
    majority: dict[str, float]


class Sparsity(Strict):
    """`pruned` of `units` are gone; `encoder_*` are shares of zeros in the prunable matrices.

    Under a `budget` of parameters or FLOPs, the units cost `cost` in all, the pruned ones `cost_pruned`, and the most
    expensive one of them `cost_largest`.
    """

    unit: Unit
    units: Positive
    pruned: Count
    realised: Fraction
    encoder_weights: Positive
    encoder_before: Fraction
    encoder_after: Fraction
    budget: BudgetName = "units"
    cost: Count = 0
    cost_pruned: Count = 0
    cost_largest: Count = 0


class Encoder(Strict):
    layers: Positive
    heads: Positive
    head_size: Positive


class Parameters(Strict):
    """`left` of `total` parameters are not pruned; `in_model` are those of the model that was scored."""

    total: Positive
    left: Count
    in_model: Count


class FLOPs(Strict):
    """The FLOPs of one forward pass of one example of `length` tokens, counted as in `pruning.flops`.

    `dense` are those of the unpruned model, and `scored` those of the model that was scored, which are fewer only if
    heads or neurons left it. `skipping_zeros` would be left if everything that is pruned were skipped.
    """

    length: Positive
    dense: Positive
    scored: Positive
    skipping_zeros: Positive


class Record(Strict):
    """The result of one node of a plan: scores, sizes, checks and cost, all measured on the model itself.

    `plan` is the commitment of the plan that it was made for, fixed before its first training. Another plan may use the
    result, too.
    """

    format: Format
    key: Key
    status: Literal["done"]
    experiment: Experiment = Field(alias="root")
    phases: list[PhaseEntry] = Field(min_length=1)
    evaluations: dict[str, Evaluation]
    steps: Count
    tokens: Count
    loss: float | None
    sparsity: Sparsity
    encoder: Encoder | None = None
    parameters: Parameters
    flops: FLOPs | None = None
    checks: dict[str, bool | float | None]
    environment: dict[str, str | int]
    seconds: dict[str, Seconds]
    peak_memory_mb: Seconds
    plan: Key | None = None

    @property
    def recipe(self) -> list[Phase]:
        """The phases; one of a plugin is an `UnknownPhase`."""
        return [from_record({"phase": entry.phase, **entry.fields}) for entry in self.phases]

    @property
    def eval_limit(self) -> int | None:
        """The largest number of examples of an evaluation, where the protocol limits it."""
        limit = self.experiment.protocol.get("eval_limit")
        return limit if isinstance(limit, int) else None

    @property
    def checksum(self) -> str:
        return hashlib.sha256(text(self.to_json())).hexdigest()


class Failure(Strict):
    """Why the job of a node failed; `details` are a traceback."""

    key: str
    reason: str
    details: str = ""


class MethodInfo(Strict):
    """A method as pages show it: `label` names its strategy with the options that differ from their defaults.

    `unsupported` says of sparsities that were asked for why the method has no model of them.
    """

    strategy: str
    label: str
    options: dict[str, JsonValue]
    unit: Unit
    track: Literal["structured", "unstructured"]
    control_of: str | None
    source: str
    doc: str
    unsupported: dict[Annotated[str, Field(pattern=r"^\d+(\.\d+)?(e-\d+)?$")], str] = {}


class Cell(MethodInfo):
    """One method at one sparsity on one task with one seed, as it was planned.

    `key` names the record that its score is read from, `trainings` the records of all trainings on its recipe's path.
    `mask` is the key of its mask in the store: "" where it has none, or a random one, which is drawn again. In a
    transfer `mask_from` is the task that the mask comes from, or the control.
    """

    task: str
    benchmark: str
    split: str
    metrics: Annotated[Names, Field(min_length=1)]
    evaluations: Annotated[Names, Field(min_length=1)]
    sparsity: Annotated[float, Field(ge=0, lt=1)]
    seed: Count
    key: Key
    trainings: Annotated[tuple[Key, ...], Field(strict=False)]
    setting: Setting
    mask: Key | Literal[""] = ""
    mask_from: str = ""

    @property
    def is_dense(self) -> bool:
        """Whether the cell is a dense run, however long it was trained: no method, but what methods are compared to."""
        return self.strategy == "dense"

    @property
    def is_plain_dense(self) -> bool:
        """Whether the cell is the dense run of one training, which every result is compared with."""
        return self.is_dense and self.label == self.strategy

    @property
    def other_model(self) -> str:
        """For a dense run of another model than the methods' its name, or ""."""
        return str(self.options.get("model", "")) if self.is_dense else ""

    @property
    def record_keys(self) -> tuple[str, ...]:
        """The keys of the records of its trainings and of its own, each once."""
        return tuple(dict.fromkeys((*self.trainings, self.key)))

    def suffix(self, evaluation: str) -> str:
        """What tells an evaluation of this task from its others: "matched", or "" where there is but one."""
        if len(self.evaluations) < 2:
            return ""
        return evaluation.removeprefix("validation").replace("_", " ").strip()


class Source(Strict):
    """Which code something is: its distribution with its version, and a digest of the module's source."""

    distribution: str
    version: str
    source: str


class StrategyCode(Source):
    """What the keys of results hold of a strategy that their recipes call."""

    name: str
    options: dict[str, JsonValue]

    @property
    def identity(self) -> dict[str, str]:
        return {"distribution": self.distribution, "version": self.version, "source": self.source}


class Command(Strict):
    """A command that made results: its suite, its words, and when it was given."""

    suite: str = ""
    command: str = ""
    written: str = ""


class PlannedResult(Strict):
    """A cell as its plan fixed it before the first training: what it measures, and the key of its record."""

    task: str
    label: str
    sparsity: Annotated[float, Field(ge=0, lt=1)]
    seed: Count
    key: Key


class StoredPlan(Command):
    """What a command asked for: its cells, and the code of every strategy that their keys hold.

    `planned` are all cells that it had before its first training, also those that were removed later.
    """

    format: Format = FORMAT
    kind: str = RUN
    strategies: dict[str, StrategyCode] = {}
    cells: list[Cell]
    planned: list[PlannedResult] = []

    @property
    def commitment(self) -> str:
        """A digest of what was planned, whatever the command's words were; "" for plans of earlier versions."""
        return commitment(self.kind, self.suite, self.planned) if self.planned else ""


def commitment(kind: str, suite: str, planned: Iterable[PlannedResult]) -> str:
    """The digest of a plan of that kind and suite, in which the order of cells does not matter."""
    return digest(
        [kind, suite, sorted([cell.task, cell.label, cell.sparsity, cell.seed, cell.key] for cell in planned)]
    )


def text(value: Any) -> bytes:
    """JSON in which equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def digest(parts: Any) -> str:
    """A key: 128 bits of SHA-256 over JSON."""
    return hashlib.sha256(_canonical(parts).encode()).hexdigest()[:32]


_canonical = json.JSONEncoder(sort_keys=True).encode
