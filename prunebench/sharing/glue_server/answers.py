"""Predictions of a trained model for texts without labels."""

from __future__ import annotations

from typing import Any

from prunebench.execution.workspace import Workspace
from prunebench.hooks.registry import Registry
from prunebench.models.encoder import load_tokenizer
from prunebench.models.loading import model_source, positions
from prunebench.models.sources import read_config
from prunebench.store.schema import Experiment, Location
from prunebench.tasks.task import Split
from prunebench.training import batching
from prunebench.training.evaluation import predict, predictions


class Answerer:
    """A trained model with the tokenizer, maximum length and precision of its evaluation."""

    def __init__(
        self, workspace: Workspace, network: Any, experiment: Experiment, where: Location, registry: Registry
    ) -> None:
        self.workspace = workspace
        self.network = network
        self.experiment = experiment
        source = model_source(where.model or experiment.model.name, registry)
        self.tokenizer = load_tokenizer(source)
        self.length = min(
            workspace.protocol.max_length, positions(read_config(source.folder), registry.get("models", source.family))
        )

    def answer(self, texts: tuple[list[str], ...]) -> list[float]:
        """A class index or a score for each row of the text columns `texts`."""
        # The encoder of batches expects labels, which prediction ignores.
        placeholder = 0.0 if self.workspace.task.is_regression else 0
        data = batching.encode(self.tokenizer, Split(texts, [placeholder] * len(texts[0])), self.length)
        logits = predict(self.network, data, precision=self.experiment.precision, device=self.experiment.device)
        return [float(value) for value in predictions(self.workspace.task, logits)]
