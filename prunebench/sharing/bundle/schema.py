"""What a bundle says, as pydantic models: the manifest and the lines of its JSON files. Imports `strict`.

Everything is typed strictly, has a name that is known, and is finite; what is not so is refused. Every change of these
models raises SCHEMA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.strict import parse, read

KIND = "prunebench bundle"
SCHEMA = 1

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
One = Annotated[int, Field(ge=1, le=1)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Positive = Annotated[int, Field(gt=0, lt=2**53)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Source(Strict):
    """Which code something is: its distribution with its version, and a digest of the module's source."""

    distribution: str
    version: str
    source: str


class StrategyCode(Source):
    """What the keys of results hold of a strategy that their recipes call."""

    name: str
    options: dict[str, JsonValue]

    def identity(self) -> dict[str, str]:
        return {"distribution": self.distribution, "version": self.version, "source": self.source}


class Plan(Strict):
    """A command that made results, and when it was given; `kind` is what the store calls it."""

    kind: str
    suite: str
    command: str
    written: str


class Content(Strict):
    """How many bytes a member has, and their SHA-256."""

    size: Count
    sha256: Sha256


class Summary(Strict):
    """What the bundle holds, in short. It is computed anew when the bundle is read, and must be the same."""

    cells: Count
    records: Count
    failures: Count
    masks: Count
    benchmarks: list[str]
    tasks: list[str]
    strategies: list[str]
    seeds: list[int]
    code: list[str]
    environment: dict[str, list[str]]


class Manifest(Strict):
    """`schema` comes first: whoever cannot read the rest can still say why."""

    kind: Literal["prunebench bundle"]
    schema_: One = Field(alias="schema")
    prunebench: str
    plans: list[Plan]
    strategies: dict[str, StrategyCode]
    sources: dict[str, dict[str, Source]]
    summary: Summary
    members: dict[str, Content]


class Setting(Strict):
    """As `results.Setting`."""

    model: str
    model_fingerprint: str
    model_revision: str
    data: str
    protocol: str
    precision: str
    device: str
    prunable: str
    code: str


class Cell(Strict):
    """As `results.Cell`; `plan` is the number of its plan in the manifest."""

    plan: Count
    strategy: str
    label: str
    options: dict[str, JsonValue]
    unit: Literal["weight", "head", "neuron"]
    track: Literal["structured", "unstructured"]
    control_of: str | None
    source: str
    doc: str
    task: str
    benchmark: str
    split: str
    metrics: list[str] = Field(min_length=1)
    evaluations: list[str] = Field(min_length=1)
    sparsity: Annotated[float, Field(ge=0, lt=1)]
    seed: Count
    key: Key
    trainings: list[Key]
    setting: Setting
    mask: Key | Literal[""]
    mask_from: str


class Model(Strict):
    name: str
    revision: str
    fingerprint: str
    family: str


def _with_train(sizes: dict[str, int]) -> dict[str, int]:
    if "train" not in sizes:
        raise ValueError("the size of the training split is missing")
    return sizes


class Root(Strict):
    """As `plan.Root`, without where things lay."""

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


class Evaluation(Strict):
    examples: Positive
    metrics: dict[str, float]
    degenerate: list[str]
    majority: dict[str, float]


class Sparsity(Strict):
    unit: Literal["weight", "head", "neuron"]
    units: Positive
    pruned: Count
    realised: Fraction
    encoder_weights: Positive
    encoder_before: Fraction
    encoder_after: Fraction


class Encoder(Strict):
    layers: Positive
    heads: Positive
    head_size: Positive


class Parameters(Strict):
    total: Positive
    left: Count
    in_model: Count


class Record(Strict):
    """As the worker writes it."""

    format: One
    key: Key
    status: Literal["done"]
    root: Root
    phases: list[dict[str, JsonValue]] = Field(min_length=1)
    evaluations: dict[str, Evaluation]
    steps: Count
    tokens: Count
    loss: float | None
    sparsity: Sparsity
    encoder: Encoder | None = None
    parameters: Parameters
    checks: dict[str, bool | float | None]
    environment: dict[str, str | int]
    seconds: dict[str, Seconds]
    peak_memory_mb: Seconds


class Place(Strict):
    """Where the predictions of an evaluation stand: a row of an array."""

    array: str
    row: Count


class RecordLine(Strict):
    """A record with the checksum that the store keeps of it, and where its predictions stand, by evaluation."""

    checksum: Sha256
    record: Record
    predictions: dict[str, Place]


class MaskLine(Strict):
    """A mask that is not in the bundle: the checksum of its bits, and how many of its units are gone."""

    key: Key
    sha256: Sha256
    units: Positive
    pruned: Count


class FailureLine(Strict):
    key: Key
    reason: str


def manifest(data: bytes) -> Manifest:
    """The manifest. A newer schema is told apart from one that does not fit."""
    value = parse(data, "the manifest")
    if not isinstance(value, Mapping) or value.get("kind") != KIND:
        raise BadBundle("its manifest is not that of a prunebench bundle", f"expected the kind {KIND!r}")
    schema = value.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise BadBundle(
            f"the bundle is of schema {schema}, and this version reads schema {SCHEMA}",
            f"it was written by prunebench {str(value.get('prunebench'))[:40]}: upgrade prunebench",
        )
    return read(Manifest, value, "the manifest")
