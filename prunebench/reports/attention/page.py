"""The tables of a comparison of attention: the whole page, and a few of them for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from prunebench.reports.attention.result import MEASURES, AttentionComparison
from prunebench.reports.render.blocks import Block, Caution, Commands, Heading, Paragraph, Table, one_line
from prunebench.reports.render.formatting import DASH, count, points
from prunebench.reports.render.terminal import terminal_table

ABOUT = (
    "Attention p_ij is how much token i attends to token j in a head; every row sums to 1. A measure is the mean over "
    "all tokens i of all examples, special tokens included and padding left out, in float32 without dropout. A pruned "
    "head has no attention, and means over heads are over the heads that a model has left."
)


def blocks(comparison: AttentionComparison, pictures: dict[str, str], command: str) -> Iterator[Block | str]:
    """The whole page. `pictures` maps names of pictures to files; a `str` among the blocks is a line of Markdown."""
    dense, pruned = comparison.models
    yield Heading(1, f"Attention of {pruned.name} beside {dense.name}: {comparison.task}, seed {comparison.seed}")
    yield Table("Setting", ("setting", "value"), "ll", comparison.setting)
    for model in comparison.models:
        if not model.check.startswith("as recorded"):
            yield Caution(f"{model.name}: {model.check}")
    yield model_table(comparison)
    yield Paragraph(ABOUT)
    yield Table("Measures", ("measure", "definition"), "lp", tuple(MEASURES.items()))
    yield Heading(2, f"Over {count(comparison.examples)} examples of {comparison.split.replace('_', ' ')}")
    if "summary" in pictures:
        yield f"![Measures of every head]({pictures['summary']})"
    yield mean_table(comparison)
    yield layer_table(comparison)
    yield Heading(2, "Single texts")
    for number, text in enumerate(comparison.texts, 1):
        yield Heading(3, f"Text {number}")
        yield Paragraph(text)
        if file := pictures.get(f"text-{number}"):
            yield f"![Attention in text {number}]({file})"
    yield Heading(2, "Commands")
    yield Commands((command,))


def model_table(comparison: AttentionComparison) -> Table:
    """The scores of both models, and whether they equal those of their records."""
    metrics = list(comparison.models[0].score)
    body = tuple(
        (model.name, *(points(model.score[metric]) for metric in metrics), model.check) for model in comparison.models
    )
    return Table("Models", ("model", *metrics, "compared with its record"), "l" + "r" * len(metrics) + "p", body)


def mean_table(comparison: AttentionComparison) -> Table:
    """The mean of each measure over all heads, and the mean difference over the heads that both models have."""
    dense, pruned = comparison.models
    body = []
    for measure in MEASURES:
        before, after = dense.measures[measure], pruned.measures[measure]
        body.append((measure, _mean(before), _mean(after), _mean(after - before, signed=True)))
    headers = ("mean over heads", dense.name, pruned.name, "difference of heads in both")
    return Table("Means over heads", headers, "lrrr", tuple(body))


def layer_table(comparison: AttentionComparison) -> Table:
    """The mean of each measure over the heads of each layer, dense → pruned."""
    dense, pruned = comparison.models
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
        return DASH
    mean = math.fsum(known.tolist()) / known.size
    text = f"{mean:+.3f}" if signed else f"{mean:.3f}"
    return text.replace("-", "−")


def terminal(comparison: AttentionComparison) -> str:
    """The scores of both models, and the measures over all heads and by layer."""
    tables = (model_table(comparison), mean_table(comparison), layer_table(comparison))
    examples = f"{count(comparison.examples)} examples of {comparison.split}"
    title = f"{comparison.task}, seed {comparison.seed}: attention over {examples}"
    return "\n\n".join([title, *(f"{one_line(table.title)}\n{terminal_table(table)}" for table in tables)])
