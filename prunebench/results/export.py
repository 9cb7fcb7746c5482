"""The long table for use elsewhere: as a pandas DataFrame, CSV, JSON or Parquet.

`RowEntry` is the one list of its columns, each with its type and the attribute of a `Row` that it shows. Every format
adds the row's setting to them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict

from prunebench.results.rows import Row
from prunebench.runtime.text import one_line

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1


class RowEntry(BaseModel):
    """A row of the long table as plain values. Scores are fractions (not × 100); unknown values are null.

    The path behind each type is the attribute of `Row` that the column shows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: Annotated[str, "command.suite"]
    benchmark: Annotated[str, "cell.benchmark"]
    task: Annotated[str, "cell.task"]
    split: Annotated[str, "split"]
    evaluation: Annotated[str, "evaluation"]
    metric: Annotated[str, "metric"]
    track: Annotated[str, "cell.track"]
    unit: Annotated[str, "cell.unit"]
    strategy: Annotated[str, "cell.strategy"]
    label: Annotated[str, "cell.label"]
    control_of: Annotated[str | None, "cell.control_of"]
    source: Annotated[str, "cell.source"]
    teacher: Annotated[str | None, "outcome.teacher"]
    options: Annotated[dict[str, Any], "cell.options"]
    sparsity: Annotated[float, "cell.sparsity"]
    seed: Annotated[int, "cell.seed"]
    status: Annotated[str, "status"]
    value: Annotated[float | None, "value"]
    dense: Annotated[float | None, "dense"]
    equal_dense: Annotated[float | None, "equal"]
    # Files of earlier versions lack these two.
    ratio: Annotated[float | None, "ratio"] = None
    ratio_equal: Annotated[float | None, "ratio_equal"] = None
    majority: Annotated[float | None, "majority"]
    degenerate: Annotated[bool, "degenerate"]
    realised: Annotated[float | None, "outcome.realised"]
    pruned: Annotated[int | None, "outcome.pruned"]
    units: Annotated[int | None, "outcome.units"]
    encoder_sparsity_before: Annotated[float | None, "outcome.encoder_before"]
    encoder_sparsity_after: Annotated[float | None, "outcome.encoder_after"]
    encoder_weights: Annotated[int | None, "outcome.encoder_weights"]
    parameters: Annotated[int | None, "outcome.parameters_total"]
    parameters_left: Annotated[int | None, "outcome.parameters_left"]
    flops_length: Annotated[int | None, "outcome.flops.length"]
    flops_dense: Annotated[int | None, "outcome.flops.dense"]
    flops_scored: Annotated[int | None, "outcome.flops.scored"]
    flops_skipping_zeros: Annotated[int | None, "outcome.flops.skipping_zeros"]
    trainings_to_find: Annotated[int | None, "outcome.find.trainings"]
    trainings_to_train: Annotated[int | None, "outcome.train.trainings"]
    steps_to_find: Annotated[int | None, "outcome.find.steps"]
    steps_to_train: Annotated[int | None, "outcome.train.steps"]
    equal_trainings: Annotated[float | None, "equal_trainings"]
    seconds_to_find: Annotated[float | None, "outcome.find.seconds"]
    seconds_to_train: Annotated[float | None, "outcome.train.seconds"]
    seconds_of_strategy: Annotated[float | None, "outcome.strategy_seconds"]
    examples_per_second: Annotated[float | None, "outcome.speed"]
    from_theta0: Annotated[bool | None, "outcome.from_theta0"]
    failed_checks: Annotated[list[str], "outcome.failed_checks"]
    train_examples: Annotated[int | None, "outcome.train_examples"]
    examples: Annotated[int | None, "examples"]
    hardware: Annotated[str | None, "outcome.hardware"]
    key: Annotated[str, "cell.key"]


_PATHS = {name: str(field.metadata[0]) for name, field in RowEntry.model_fields.items()}


def _reader(absent: str) -> tuple[list[str], Callable[[Row], tuple[Any, ...]]]:
    """The columns of a row that lacks a part of it, and a function that reads them."""
    paths = {name: path for name, path in _PATHS.items() if not absent or not path.startswith(f"{absent}.")}
    return list(paths), attrgetter(*paths.values())


_READERS = {absent: _reader(absent) for absent in ("", "outcome", "outcome.flops")}
# Types of DataFrame columns in which values may be missing.
_DTYPES: dict[Any, str] = {int | None: "Int64", float | None: "float64", bool: "boolean", bool | None: "boolean"}


def flatten(row: Row) -> dict[str, Any]:
    """The fields of `RowEntry` for a row."""
    names, read = _READERS["outcome" if row.outcome is None else "" if row.outcome.flops else "outcome.flops"]
    values: dict[str, Any] = dict.fromkeys(_PATHS)
    values.update(zip(names, read(row), strict=True))
    values["options"] = dict(sorted(values["options"].items()))
    values["failed_checks"] = list(values["failed_checks"] or ())
    return values


def _flatten_to_text(row: Row) -> dict[str, Any]:
    """A row with its setting; options (JSON) and failed checks are text."""
    values = flatten(row)
    values["options"] = json.dumps(values["options"], sort_keys=True, ensure_ascii=False)
    values["failed_checks"] = " ".join(values["failed_checks"])
    return values | dict(row.cell.setting)


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The long table as a DataFrame. Unknown values are missing; counts are nullable integers."""
    import pandas as pd

    table = pd.DataFrame([_flatten_to_text(row) for row in rows])
    fields = RowEntry.model_fields.items()
    return table.astype({name: _DTYPES[field.annotation] for name, field in fields if field.annotation in _DTYPES})


def to_csv(rows: Sequence[Row]) -> str:
    """The long table with the setting of every row; options are JSON, and unknown values are empty."""
    out = io.StringIO()
    lines = [_csv_line(row) for row in rows]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(lines[0])
    writer.writerows(line.values() for line in lines)
    return out.getvalue()


def _csv_line(row: Row) -> dict[str, Any]:
    return {name: _csv_value(value) for name, value in _flatten_to_text(row).items()}


def _csv_value(value: Any) -> Any:
    """Booleans in lower case, and text that no terminal obeys."""
    if isinstance(value, bool):
        return str(value).lower()
    return one_line(value) if isinstance(value, str) and not value.isprintable() else value


def to_json(rows: Sequence[Row]) -> str:
    """An object whose `rows` are the long table, one entry per line, each with its setting."""
    lines = ",\n".join(dumps(flatten(row) | dict(row.cell.setting)) for row in rows)
    return f'{{\n"format": {FORMAT},\n"rows": [\n{lines}\n]\n}}\n'


def to_parquet(rows: Sequence[Row]) -> bytes:
    """The DataFrame as a Parquet file."""
    return bytes(frame(rows).to_parquet(index=False))


def dumps(value: Any) -> str:
    """A value as JSON in one line. Raises ValueError for NaN and infinity."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


FORMATS: dict[str, Callable[[Sequence[Row]], str | bytes]] = {"csv": to_csv, "parquet": to_parquet, "json": to_json}
