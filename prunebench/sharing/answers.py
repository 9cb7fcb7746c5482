"""What a trained model says of texts without labels. Imports torch."""

from __future__ import annotations

from typing import Any

from prunebench import batches
from prunebench.evaluation import decide, predict
from prunebench.inputs import model_source, positions
from prunebench.models.prunable import load_tokenizer
from prunebench.plan import Cell, root_json
from prunebench.registry import Registry
from prunebench.subjects import Subject
from prunebench.tasks.task import Split


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
        data = batches.encode(self.tokenizer, Split(texts, [blank] * len(texts[0])), self.length)
        logits = predict(self.network, data, precision=self.root["precision"], device=self.root["device"])
        return [float(value) for value in decide(self.subject.task, logits)]
