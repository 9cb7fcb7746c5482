"""What a bundle says, as pydantic models: the manifest and the lines of its JSON files. Imports `archive`.

Everything is typed strictly, has a name that is known, and is finite; what is not so is refused. Every change of these
models raises SCHEMA.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from prunebench.sharing.archive import BadBundle

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


M = TypeVar("M", bound=BaseModel)


def parse(data: bytes, where: str) -> Any:
    """JSON in which no name stands twice and every number is finite. Raises BadBundle for all else."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadBundle(f"{where} is not JSON as a bundle holds it: {reason}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    return number if math.isfinite(number := float(text)) else _refuse(text)


def read(model: type[M], value: Any, where: str) -> M:
    """The value as a model. Raises BadBundle that names the first thing that does not fit."""
    try:
        return TypeAdapter(model).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        at = ".".join(map(str, first["loc"])) or "it"
        reason = first["msg"][:1].lower() + first["msg"][1:]
        raise BadBundle(f"{where} does not fit the schema of a bundle: {at}: {reason}") from None


def check_fields(kind: type[Any], value: Mapping[str, Any], where: str) -> None:
    """Raise BadBundle unless `value` has all fields of the dataclass `kind` and no others, each of its type."""
    names = {field.name for field in fields(kind)}
    if names != set(value):
        raise BadBundle(f"{where} has other fields than are known: {', '.join(sorted(names ^ set(value)))}")
    try:
        TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise BadBundle(f"{where} does not fit: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


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


def lines(data: bytes, model: type[M], name: str) -> Iterator[tuple[Any, M]]:
    """The lines of a JSON lines file: each as it stands there, and as a model."""
    if data and not data.endswith(b"\n"):
        raise BadBundle(f"{name} ends within a line")
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        where = f"{name}, line {number}"
        value = parse(line, where)
        yield value, read(model, value, where)


def dumps(value: Any) -> bytes:
    """JSON in one way only."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"
