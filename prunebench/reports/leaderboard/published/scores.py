"""The published scores, one by one, as `scores.csv` and `sources.toml` hold them."""

from __future__ import annotations

import csv
import functools
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

PACKAGE = "prunebench.reports.leaderboard.published"

# Names of the same model on the hub, without their organisation.
ALIASES = {
    "bert_uncased_L-2_H-128_A-2": "bert-tiny",
    "bert_uncased_L-4_H-256_A-4": "bert-mini",
    "bert_uncased_L-4_H-512_A-8": "bert-small",
    "bert_uncased_L-8_H-512_A-8": "bert-medium",
    "electra-base-discriminator": "electra-base",
    "electra-small-discriminator": "electra-small",
}


class Strict(BaseModel):
    """Data that is checked as it is read, and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Strict):
    """A paper, a README or a model card.

    primary: whether the authors of the numbers wrote it, rather than somebody who quotes them.
    spread: what ± stands for, or over what the numbers are means.
    """

    citation: str
    url: str = Field(pattern="^https://")
    primary: bool
    spread: str


class PublishedScore(Strict):
    """A number of a table.

    source, location: the name of its `Source`, and where in it the number stands.
    distilled: whether the training had a teacher; None if that is not said.
    metric: "" if it is not named there.
    split: "dev", "test" or "", if it is not said.
    sparsity: the fraction that is removed, of what `sparsity_of` says; None if it is not stated.
    seeds: the number of runs that the score is of; None if it is not said.
    statistic: what it is of them, if not a mean or a single run.
    speedup: as reported for the hardware of the source.
    """

    source: str
    location: str
    method: str
    track: str
    model: str
    distilled: bool | None
    task: str
    evaluation: Literal["", "matched", "mismatched"]
    metric: str
    split: Literal["", "dev", "test"]
    sparsity: float | None = Field(ge=0, lt=1)
    sparsity_of: str
    value: float = Field(ge=-100, le=100)
    std: float | None = Field(ge=0, le=100)
    seeds: int | None = Field(ge=1)
    statistic: str
    speedup: float | None = Field(gt=0)
    note: str


@functools.cache
def sources() -> Mapping[str, Source]:
    """All sources by name."""
    data = tomllib.loads((files(PACKAGE) / "sources.toml").read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, Source]).validate_python(data)


@functools.cache
def scores() -> tuple[PublishedScore, ...]:
    """All published scores, in the order of their sources' names."""
    text = (files(PACKAGE) / "scores.csv").read_text(encoding="utf-8")
    return tuple(parse(row) for row in csv.DictReader(text.splitlines()))


def parse(row: Mapping[str, str]) -> PublishedScore:
    """A row of `scores.csv`. Raises ValueError, of pydantic, if it is not one."""
    texts = {name for name, field in PublishedScore.model_fields.items() if field.annotation is str}
    texts |= {"evaluation", "split"}
    return PublishedScore.model_validate(
        {name: value if value or name in texts else None for name, value in row.items()}
    )


def dense_scores(model: str, task: str) -> tuple[PublishedScore, ...]:
    """The published scores of a dense model on a task. `model` is a name on the hub, with or without organisation."""
    name = _plain(model)
    return tuple(
        score
        for score in scores()
        if score.method == "dense" and score.task == task and _plain(score.model) == name and score.metric
    )


def _plain(model: str) -> str:
    name = re.sub(r"@.*$", "", model).rstrip("/").rpartition("/")[2]
    return ALIASES.get(name, name).lower()
