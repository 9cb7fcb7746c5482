"""Tables of papers, re-entered by hand with their source, to stand beside measured rows. Torch-free; imports `errors`.

What is reported here was never run by this project: pages mark it so, and never rank it with what was measured.
"""

from __future__ import annotations

from importlib.resources import files

from pydantic import BaseModel, ConfigDict, model_validator

from prunebench.errors import PrunebenchError, unknown

ALL = "all"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """What a column of the paper's table is: a metric of a task, at a sparsity where the paper names one."""

    task: str
    metric: str
    sparsity: float | None = None


class Reported(_Strict):
    """A row of the paper's table, × 100 as printed there; None where it prints nothing."""

    method: str
    track: str
    mean: tuple[float | None, ...]
    std: tuple[float | None, ...] | None = None


class Paper(_Strict):
    """A table of a paper, and the setting that it was made under."""

    name: str
    citation: str
    url: str
    model: str
    split: str
    seeds: int
    spread: str
    denominator: str
    columns: tuple[Column, ...]
    rows: tuple[Reported, ...]

    @model_validator(mode="after")
    def _as_many_values_as_columns(self) -> Paper:
        for row in self.rows:
            if {len(row.mean), len(row.std or row.mean)} != {len(self.columns)}:
                raise ValueError(f"{row.method}: {len(self.columns)} values are expected")
        return self


def names() -> list[str]:
    """The papers that there are, by name."""
    return sorted(file.name.removesuffix(".json") for file in files(__name__).iterdir() if file.name.endswith(".json"))


def papers(wanted: tuple[str, ...]) -> tuple[Paper, ...]:
    """The papers of these names, in alphabetical order; `all` stands for every one."""
    known = names()
    for name in wanted:
        if name not in (*known, ALL):
            raise unknown("published table", name, [*known, ALL])
    chosen = known if ALL in wanted else sorted(set(wanted))
    return tuple(_read(name) for name in chosen)


def _read(name: str) -> Paper:
    text = (files(__name__) / f"{name}.json").read_text(encoding="utf-8")
    try:
        return Paper.model_validate_json(text)
    except ValueError as error:
        raise PrunebenchError(f"the published table {name!r} is not sound: {error}") from None
