"""The trained models of a store: loaded, compared with their records, and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prunebench.execution import trained_models
from prunebench.execution.workspace import Workspace, workspace
from prunebench.hooks.registry import Registry
from prunebench.models.encoder import load_tokenizer
from prunebench.models.loading import model_source
from prunebench.planning.graph import PlannedCell, mask_key
from prunebench.pruning import masks
from prunebench.reports.attention.measure import maps, measures
from prunebench.reports.attention.result import AttentionComparison, Map, Model
from prunebench.store.schema import Location
from prunebench.store.store import Store
from prunebench.tasks.task import load_data

# Without named texts, the first TEXTS texts of at most TOKENS tokens are shown.
TEXTS, TOKENS = 3, 24


def build(
    cells: Sequence[PlannedCell],
    where: Location,
    store: Store,
    registry: Registry,
    texts: Sequence[tuple[str, ...]],
) -> AttentionComparison:
    """Compare the attention of two cells, the dense one first, whose trained models are in the store.

    `texts` holds texts or pairs of texts to draw maps of; empty means some short ones of dev.
    """
    experiment = cells[0].leaf.experiment
    of_task = workspace(experiment, where, registry)
    tokenizer = load_tokenizer(model_source(where.model or experiment.model.name, registry))
    examples = list(texts) or short_texts(of_task, where, tokenizer)
    name, data = next(iter(of_task.evaluations.items()))
    models = []
    for cell in cells:
        model = trained_models.load_model(cell, where, store, registry)
        score, check = trained_models.compare_with_record(cell, model, store, registry)
        statistics = measures(model.model, data, tokenizer.sep_token_id, tokenizer.cls_token_id)
        attention = maps(model.model, tokenizer, examples, model.protocol.max_length, experiment.device)
        without = pruned_heads(cell, model, store)
        label = f"{cell.method.label} {cell.sparsity:g}" if cell.sparsity else cell.method.label
        models.append(
            Model(
                label,
                {measure: np.where(without, np.nan, values) for measure, values in statistics.items()},
                tuple(Map(m.tokens, np.where(without[:, :, None, None], np.nan, m.weights)) for m in attention),
                check,
                score,
            )
        )
    dense, pruned = models
    setting = tuple((key, value) for key, value in experiment.setting if value)
    return AttentionComparison(
        experiment.task,
        experiment.seed,
        name,
        len(data),
        setting,
        tuple(map(" [SEP] ".join, examples)),
        (dense, pruned),
    )


def short_texts(of_task: Workspace, where: Location, tokenizer: Any) -> list[tuple[str, ...]]:
    """The first short texts of dev, or simply the first ones if none is short."""
    data = load_data(of_task.task, where.glue_dir)
    data = data.limit(of_task.protocol.train_limit, of_task.protocol.eval_limit)
    texts = list(zip(*next(iter(data.evaluations.values())).texts, strict=True))
    short = [text for text in texts[:200] if len(tokenizer(*text)["input_ids"]) <= TOKENS]
    return (short or texts)[:TEXTS]


def pruned_heads(cell: PlannedCell, model: Workspace, store: Store) -> np.ndarray:
    """Which heads are pruned, as booleans of shape (layers, heads); all False unless the method prunes heads."""
    pruned = np.zeros((len(model.prunable.layers), model.prunable.heads), dtype=bool)
    if cell.method.unit == "head" and mask_key(cell.leaf):
        mask = store.load("masks", mask_key(cell.leaf), masks.unpack)
        pruned = np.stack([~mask[f"layer.{layer.index}.heads"].numpy() for layer in model.prunable.layers])
    return pruned
