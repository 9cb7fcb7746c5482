"""What a job works on: the model with its θ0 and the encoded data, cached between the jobs of one process."""

from __future__ import annotations

import functools
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models import layer_skips, sources
from prunebench.models.encoder import PrunableModel, load, load_tokenizer
from prunebench.models.initialisation import draw_head
from prunebench.models.loading import model_source, positions
from prunebench.runtime import devices
from prunebench.store.schema import Experiment, Location
from prunebench.tasks.carving import find_task
from prunebench.tasks.metrics import Scorer
from prunebench.tasks.protocol import Protocol
from prunebench.tasks.task import Task, load_data
from prunebench.training import batching


class EvaluationLabels:
    """The labels of the evaluation splits, in a temporary file that has no name.

    They are in memory only while a model is scored, so that no strategy comes across them. Code that looks for the data
    on the disk can still read it.
    """

    def __init__(self, splits: Mapping[str, batching.EncodedSplit]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  it is open as long as this object lives
        weakref.finalize(self, self._file.close)
        arrays: dict[str, Any] = {name: split.labels.numpy() for name, split in splits.items()}
        np.savez(self._file, **arrays)

    def read(self) -> dict[str, list[Any]]:
        """The labels of each split by name, as plain numbers."""
        self._file.seek(0)
        with np.load(self._file) as arrays:
            return {name: arrays[name].tolist() for name in arrays.files}


@dataclass
class Workspace:
    """The one model of the process, θ0 with the head of one seed, and the splits of a task as token ids.

    The splits `evaluations` have zeros as labels; `labels` reads the real ones.
    """

    prunable: PrunableModel
    theta0: dict[str, Tensor]
    train: batching.EncodedSplit
    evaluations: dict[str, batching.EncodedSplit]
    labels: EvaluationLabels
    task: Task
    protocol: Protocol
    scorer: Scorer

    @property
    def model(self) -> nn.Module:
        return self.prunable.model

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Copy `weights` into the model; the given tensors are never changed later.

        Layers without any weight are skipped: they are pruned.
        """
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])
            parameter.grad = None
        layer_skips.skip_zero_layers(self.model)

    def copy(self) -> dict[str, Tensor]:
        """The model's weights in storage of their own."""
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    def is_rewound(self, keep: Mapping[str, Tensor]) -> bool:
        """Whether the model is θ0 where `keep` is True and zero elsewhere, bit for bit, the task head included."""
        return all(
            torch.equal(weight, self.theta0[name] * keep[name] if name in keep else self.theta0[name])
            for name, weight in self.model.named_parameters()
        )


def workspace(experiment: Experiment, where: Location, registry: Registry) -> Workspace:
    """The workspace of an experiment. Whatever the last job of this process had loaded is used again.

    Raises PrunebenchError where device, model or data are not what the experiment was planned with.
    """
    devices.check_device(experiment.device)
    task = find_task(experiment.task, registry)
    protocol = Protocol(**experiment.protocol)  # type: ignore[arg-type]
    source = model_source(where.model or experiment.model.name, registry)
    _check_unchanged(f"model {experiment.model.name!r}", source.fingerprint, experiment.model.fingerprint)
    limits = (protocol.max_length, protocol.train_limit, protocol.eval_limit)
    train, evaluations, labels = _encoded(
        task.name, where.glue_dir, experiment.data, *limits, experiment.device, registry, source
    )
    network = _network(source, len(task.labels) or 1, experiment.prunable, experiment.device, registry)
    scorer = Scorer.from_spec(task, registry.get("metrics", task.metric))
    theta0 = network.theta0(experiment.seed)
    return Workspace(network.prunable, theta0, train, evaluations, labels, task, protocol, scorer)


def forget_model() -> None:
    """Load the model anew for the next job: the last one may have stopped halfway through changing it."""
    _network.cache_clear()


@dataclass
class _Network:
    """A model that is loaded once for all seeds, and so is compiled once; `pretrained` is θ0 without the head."""

    prunable: PrunableModel
    pretrained: dict[str, Tensor]
    head: tuple[int | None, dict[str, Tensor]] = None, {}

    def theta0(self, seed: int) -> dict[str, Tensor]:
        """θ0 with the head of that seed. It is not loaded into the model; `Workspace.load` does that."""
        if self.head[0] != seed:
            draw_head(self.prunable, seed)
            named = dict(self.prunable.model.named_parameters())
            self.head = seed, {name: named[name].detach().clone() for name in self.prunable.random_parameters}
        return {**self.pretrained, **self.head[1]}


@functools.lru_cache(maxsize=1)
def _network(source: sources.ModelSource, labels: int, prunable: str, device: str, registry: Registry) -> _Network:
    model = load(
        source,
        registry.get("models", source.family),
        num_labels=labels,
        regression=labels == 1,
        seed=0,
        prune_pooler=prunable == "encoder+pooler",
    )
    # Imported here, because the modelling code of transformers takes 130 MB, which planning does not need.
    from prunebench.models.fast.device import move_and_accelerate

    move_and_accelerate(model.model, device)
    named = model.model.named_parameters()
    return _Network(model, {name: parameter.detach().clone() for name, parameter in named})


@functools.lru_cache(maxsize=2)
def _encoded(
    task: str,
    glue_dir: str | None,
    fingerprint: str,
    max_length: int,
    train_limit: int | None,
    eval_limit: int | None,
    device: str,
    registry: Registry,
    source: sources.ModelSource,
) -> tuple[batching.EncodedSplit, dict[str, batching.EncodedSplit], EvaluationLabels]:
    data = load_data(find_task(task, registry), glue_dir)
    _check_unchanged(f"data of task {task!r}", data.fingerprint(), fingerprint)
    tokenizer = load_tokenizer(source)
    data = data.limit(train_limit, eval_limit)
    evaluations = {name: batching.encode(tokenizer, split, max_length) for name, split in data.evaluations.items()}
    train = batching.encode(tokenizer, data.train, max_length)
    longest = max(int(split.lengths.max()) for split in (train, *evaluations.values()))
    limit = positions(sources.read_config(source.folder), registry.get("models", source.family))
    if longest > limit:
        raise PrunebenchError(
            f"task {task!r} has a text of {longest} tokens, and {source.name} reads {limit}", f"--max-length {limit}"
        )
    unlabelled = {name: split.without_labels().to(device) for name, split in evaluations.items()}
    return train.to(device), unlabelled, EvaluationLabels(evaluations)


def _check_unchanged(what: str, fingerprint: str, planned: str) -> None:
    if fingerprint != planned:
        raise PrunebenchError(f"the {what} has changed since it was planned", "run the same command again")
