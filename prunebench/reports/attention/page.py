"""Attention as tables: for a page, and in short for the terminal. Imports `result` and how leaderboards look."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from prunebench.reports.attention.result import MEASURES, Comparison
from prunebench.reports.render.blocks import Block, Caution, Commands, Heading, Paragraph, Table, one_line
from prunebench.reports.render.formatting import NONE, count, points
from prunebench.reports.render.terminal import terminal_table

ABOUT = (
    "Attention p_ij is what token i takes from token j in a head; every row sums to 1. A measure is the mean over all "
    "real tokens i of all examples, special tokens included and padding left out. It is computed in float32 without "
    "dropout. A head that was taken out has no attention, and means over heads are over those that a model has."
)


def blocks(found: Comparison, pictures: dict[str, str], command: str) -> Iterator[Block | str]:
    """The whole page; a text stands for a line of Markdown, which is a picture. `pictures` gives files by name."""
    dense, pruned = found.models
    yield Heading(1, f"Attention of {pruned.name} beside {dense.name}: {found.task}, seed {found.seed}")
    yield Table("Setting", ("setting", "value"), "ll", found.setting)
    for model in found.models:
        if not model.check.startswith("as recorded"):
            yield Caution(f"{model.name}: {model.check}")
    yield models(found)
    yield Paragraph(ABOUT)
    yield Table("Measures", ("measure", "what it is"), "lp", tuple(MEASURES.items()))
    yield Heading(2, f"Over {count(found.examples)} examples of {found.split.replace('_', ' ')}")
    if "summary" in pictures:
        yield f"![Measures of every head]({pictures['summary']})"
    yield summary(found)
    yield by_layer(found)
    yield Heading(2, "On single texts")
    for number, text in enumerate(found.texts, 1):
        yield Heading(3, f"Text {number}")
        yield Paragraph(text)
        if file := pictures.get(f"text-{number}"):
            yield f"![Attention in text {number}]({file})"
    yield Heading(2, "Commands")
    yield Commands((command,))


def models(found: Comparison) -> Table:
    """What the models score, and whether that is what their records say."""
    metrics = list(found.models[0].score)
    body = tuple(
        (model.name, *(points(model.score[metric]) for metric in metrics), model.check) for model in found.models
    )
    return Table("Models", ("model", *metrics, "compared with its record"), "l" + "r" * len(metrics) + "p", body)


def summary(found: Comparison) -> Table:
    """The mean over all heads, and over those that both have the mean difference."""
    dense, pruned = found.models
    body = []
    for measure in MEASURES:
        one, other = dense.measures[measure], pruned.measures[measure]
        body.append((measure, _mean(one), _mean(other), _mean(other - one, signed=True)))
    headers = ("mean over heads", dense.name, pruned.name, "difference of heads in both")
    return Table("Means over heads", headers, "lrrr", tuple(body))


def by_layer(found: Comparison) -> Table:
    """The same for each layer: dense → pruned."""
    dense, pruned = found.models
    layers = len(next(iter(dense.measures.values())))
    body = tuple(
        (str(layer), *(f"{_mean(dense.measures[m][layer])} → {_mean(pruned.measures[m][layer])}" for m in MEASURES))
        for layer in range(layers)
    )
    title = f"By layer: {dense.name} → {pruned.name}"
    return Table(title, ("layer", *MEASURES), "l" + "r" * len(MEASURES), body)


def _mean(values: np.ndarray, signed: bool = False) -> str:
    known = values[~np.isnan(values)]
    if not known.size:
        return NONE
    mean = math.fsum(known.tolist()) / known.size
    text = f"{mean:+.3f}" if signed else f"{mean:.3f}"
    return text.replace("-", "−")


def terminal(found: Comparison) -> str:
    """What the models score, and the measures by layer, in a few lines."""
    tables = (models(found), summary(found), by_layer(found))
    head = f"{found.task}, seed {found.seed}: attention over {count(found.examples)} examples of {found.split}"
    return "\n\n".join([head, *(f"{one_line(table.title)}\n{terminal_table(table)}" for table in tables)])
