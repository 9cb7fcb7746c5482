"""The long table for others to work with: a pandas DataFrame, CSV, JSON and Parquet. Torch-free. Imports `results`.

A row is one metric of one evaluation of one cell, with the setting that it was made under.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prunebench.results.rows import Row

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
# Whole numbers that are missing where a record is.
COUNTS = (
    *("pruned", "units", "encoder_weights", "parameters", "parameters_left", "trainings_to_find", "trainings_to_train"),
    *("steps_to_find", "steps_to_train", "train_examples", "examples"),
)
TRUTHS = ("degenerate", "from_theta0")
NUMBERS = (
    *("value", "dense", "majority", "realised", "encoder_sparsity_before", "encoder_sparsity_after"),
    *("seconds_to_find", "seconds_to_train", "examples_per_second"),
)


def flat(row: Row) -> dict[str, Any]:
    """A row of the long table. Scores are fractions, not × 100; what is not known is None."""
    cell, outcome = row.cell, row.outcome
    return {
        "suite": row.command.suite,
        "benchmark": cell.benchmark,
        "task": cell.task,
        "split": row.split,
        "evaluation": row.evaluation,
        "metric": row.metric,
        **{name: getattr(cell, name) for name in ("track", "unit", "strategy", "label", "control_of", "source")},
        "options": dict(sorted(cell.options.items())),
        "sparsity": cell.sparsity,
        "seed": cell.seed,
        "status": row.status,
        "value": row.value,
        "dense": row.dense,
        "majority": row.majority,
        "degenerate": row.degenerate,
        "realised": outcome and outcome.realised,
        "pruned": outcome and outcome.pruned,
        "units": outcome and outcome.units,
        "encoder_sparsity_before": outcome and outcome.encoder_before,
        "encoder_sparsity_after": outcome and outcome.encoder_after,
        "encoder_weights": outcome and outcome.encoder_weights,
        "parameters": outcome and outcome.parameters_total,
        "parameters_left": outcome and outcome.parameters_left,
        "trainings_to_find": outcome and outcome.find.trainings,
        "trainings_to_train": outcome and outcome.train.trainings,
        "steps_to_find": outcome and outcome.find.steps,
        "steps_to_train": outcome and outcome.train.steps,
        "seconds_to_find": outcome and outcome.find.seconds,
        "seconds_to_train": outcome and outcome.train.seconds,
        "examples_per_second": outcome and outcome.speed,
        "from_theta0": outcome and outcome.from_theta0,
        "failed_checks": list(outcome.failed_checks) if outcome else [],
        "train_examples": outcome and outcome.train_examples,
        "examples": row.examples,
        "hardware": outcome and outcome.environment.get("hardware"),
        "key": cell.key,
    }


def _text(row: Row) -> dict[str, Any]:
    """A row with its setting, in which lists and options are text."""
    values = flat(row)
    values["options"] = json.dumps(values["options"], sort_keys=True, ensure_ascii=False)
    values["failed_checks"] = " ".join(values["failed_checks"])
    return values | dict(row.cell.setting)


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The long table as a DataFrame. What is not known is missing; counts are nullable integers."""
    import pandas as pd

    table = pd.DataFrame([_text(row) for row in rows])
    kinds = {"Int64": COUNTS, "float64": NUMBERS, "boolean": TRUTHS}
    return table.astype({name: kind for kind, names in kinds.items() for name in names})


def to_csv(rows: Sequence[Row]) -> str:
    """The long table with the setting of every row; options are JSON, what is not known is empty."""
    out = io.StringIO()
    lines = [_csv_line(row) for row in rows]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(lines[0])
    writer.writerows(line.values() for line in lines)
    return out.getvalue()


def _csv_line(row: Row) -> dict[str, Any]:
    values = _text(row)
    for name in TRUTHS:
        values[name] = {True: "true", False: "false"}.get(values[name])
    return values


def to_json(rows: Sequence[Row]) -> str:
    """One object whose `rows` are the long table, an entry a line, each with its setting."""
    lines = ",\n".join(dumps(flat(row) | dict(row.cell.setting)) for row in rows)
    return f'{{\n"format": {FORMAT},\n"rows": [\n{lines}\n]\n}}\n'


def to_parquet(rows: Sequence[Row]) -> bytes:
    """The DataFrame as a Parquet file."""
    return bytes(frame(rows).to_parquet(index=False))


def dumps(value: Any) -> str:
    """A value as JSON in one line; no NaN gets into it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


FORMATS: dict[str, Callable[[Sequence[Row]], str | bytes]] = {"csv": to_csv, "parquet": to_parquet, "json": to_json}
