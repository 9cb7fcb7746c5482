"""Tables of papers, copied by hand with their source, to be shown beside measured rows.

There is a JSON file for each table. The numbers were not measured by this project; pages mark them as reported and
never rank them.
"""

from __future__ import annotations

from importlib.resources import files

from pydantic import BaseModel, ConfigDict, model_validator

from prunebench.errors import PrunebenchError, unknown_name

ALL = "all"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """A column of a paper's table: a metric of a task, and its sparsity if the paper states one."""

    task: str
    metric: str
    sparsity: float | None = None


class Reported(_Strict):
    """A row of a paper's table, × 100 as printed there. None where the paper prints nothing."""

    method: str
    track: str
    mean: tuple[float | None, ...]
    std: tuple[float | None, ...] | None = None


class Paper(_Strict):
    """A table of a paper, and its setting.

    spread: what ± stands for.
    denominator: what the paper's sparsities are fractions of.
    """

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
                raise ValueError(f"{row.method}: expected {len(self.columns)} values")
        return self


def names() -> list[str]:
    """The names of all papers, sorted."""
    return sorted(file.name.removesuffix(".json") for file in files(__name__).iterdir() if file.name.endswith(".json"))


def papers(selection: tuple[str, ...]) -> tuple[Paper, ...]:
    """The papers with these names, sorted by name; `all` selects every one.

    Raises `PrunebenchError` for an unknown name.
    """
    known = names()
    for name in selection:
        if name not in (*known, ALL):
            raise unknown_name("published table", name, [*known, ALL])
    return tuple(_read(name) for name in (known if ALL in selection else sorted(set(selection))))


def _read(name: str) -> Paper:
    text = (files(__name__) / f"{name}.json").read_text(encoding="utf-8")
    try:
        return Paper.model_validate_json(text)
    except ValueError as error:
        raise PrunebenchError(f"published table {name!r} is not valid: {error}") from None
