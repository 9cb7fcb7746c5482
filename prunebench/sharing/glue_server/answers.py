"""What a trained model says of texts without labels. Imports torch."""

from __future__ import annotations

from typing import Any

from prunebench.execution.workspace import Subject
from prunebench.hooks.registry import Registry
from prunebench.models.encoder import load_tokenizer
from prunebench.models.loading import model_source, positions
from prunebench.planning.graph import Cell, root_json
from prunebench.tasks.task import Split
from prunebench.training import batching
from prunebench.training.evaluation import decide, predict


class Answerer:
    """The model of a cell, with the tokenizer, the length and the precision that it was evaluated with."""

    def __init__(self, subject: Subject, network: Any, cell: Cell, registry: Registry) -> None:
        self.subject = subject
        self.network = network
        self.root = root_json(cell.leaf.root)
        source = model_source(self.root["where"]["model"], registry)
        self.tokenizer = load_tokenizer(source)
        self.length = min(subject.protocol.max_length, positions(source, registry))

    def decide(self, texts: tuple[list[str], ...]) -> list[float]:
        """A class or a score for each row of the columns `texts`."""
        blank = 0.0 if self.subject.task.is_regression else 0
        data = batching.encode(self.tokenizer, Split(texts, [blank] * len(texts[0])), self.length)
        logits = predict(self.network, data, precision=self.root["precision"], device=self.root["device"])
        return [float(value) for value in decide(self.subject.task, logits)]
