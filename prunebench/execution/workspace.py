"""What a job works on: the model with its θ0 and the encoded data, kept between jobs of one process."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models import sources
from prunebench.models.encoder import PrunableModel, draw_head, load, load_tokenizer
from prunebench.models.loading import model_source, positions
from prunebench.runtime import devices
from prunebench.tasks.metrics import Scorer
from prunebench.tasks.protocol import Protocol
from prunebench.tasks.task import Task, load_data
from prunebench.training import batching


@dataclass
class Subject:
    """A model, θ0 with the head of one seed, and the splits of a task as token ids."""

    prunable: PrunableModel
    theta0: dict[str, Tensor]
    train: batching.Encoded
    evaluations: dict[str, batching.Encoded]
    task: Task
    protocol: Protocol
    scorer: Scorer

    @property
    def model(self) -> nn.Module:
        return self.prunable.model

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Copy `weights` into the model; they stay what they are."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])
            parameter.grad = None

    def copy(self) -> dict[str, Tensor]:
        """The model's weights in storage of their own."""
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    def is_rewound(self, keep: Mapping[str, Tensor]) -> bool:
        """Whether the model is θ0 where `keep` says so and zero elsewhere, bit for bit, the task head included."""
        return all(
            torch.equal(weight, self.theta0[name] * keep[name] if name in keep else self.theta0[name])
            for name, weight in self.model.named_parameters()
        )


def subject(root: Mapping[str, Any], registry: Registry) -> Subject:
    """The subject of a root; what the last job of this process had loaded is used again."""
    devices.check_device(root["device"])
    task: Task = registry.get("tasks", root["task"])
    protocol = Protocol(**root["protocol"])
    where = json.dumps(root["where"], sort_keys=True)
    source = model_source(root["where"]["model"], registry)
    _same(f"model {root['model']['name']!r}", source.fingerprint, root["model"]["fingerprint"])
    limits = (protocol.max_length, protocol.train_limit, protocol.eval_limit)
    train, evaluations = _encoded(task.name, where, root["data"], *limits, root["device"], registry, source)
    network = _network(source, len(task.labels) or 1, root["prunable"], root["device"], registry)
    scorer = Scorer.of(task, registry.get("metrics", task.metric))
    return Subject(network.prunable, network.theta0(root["seed"]), train, evaluations, task, protocol, scorer)


def forget() -> None:
    """Load the model anew for the next job: something may have stopped half way in what it does to it."""
    _network.cache_clear()


@dataclass
class _Network:
    """A model that is loaded once for all seeds, and so is compiled once; what θ0 is of it, but for the head."""

    prunable: PrunableModel
    pretrained: dict[str, Tensor]
    head: tuple[int | None, dict[str, Tensor]] = None, {}

    def theta0(self, seed: int) -> dict[str, Tensor]:
        """θ0 with the head of that seed. What the model holds itself is for `Subject.load` to set."""
        if self.head[0] != seed:
            draw_head(self.prunable, seed)
            named = dict(self.prunable.model.named_parameters())
            self.head = seed, {name: named[name].detach().clone() for name in self.prunable.drawn}
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
    # Here, because the modelling code of transformers takes 130 MB, which whoever only plans does not need.
    from prunebench.models.fast.attention import put_on

    put_on(model.model, device)
    named = model.model.named_parameters()
    return _Network(model, {name: parameter.detach().clone() for name, parameter in named})


@functools.lru_cache(maxsize=2)
def _encoded(
    task: str,
    where: str,
    fingerprint: str,
    max_length: int,
    train_limit: int | None,
    eval_limit: int | None,
    device: str,
    registry: Registry,
    source: sources.ModelSource,
) -> tuple[batching.Encoded, dict[str, batching.Encoded]]:
    data = load_data(registry.get("tasks", task), json.loads(where)["glue_dir"])
    _same(f"data of task {task!r}", data.fingerprint(), fingerprint)
    tokenizer = load_tokenizer(source)
    data = data.limited(train_limit, eval_limit)
    evaluations = {name: batching.encode(tokenizer, split, max_length) for name, split in data.evaluations.items()}
    train = batching.encode(tokenizer, data.train, max_length)
    longest = max(int(split.lengths.max()) for split in (train, *evaluations.values()))
    limit = positions(source, registry)
    if longest > limit:
        raise PrunebenchError(
            f"task {task!r} has a text of {longest} tokens, and {source.name} reads {limit}", f"--max-length {limit}"
        )
    return train.to(device), {name: split.to(device) for name, split in evaluations.items()}


def _same(what: str, found: str, planned: str) -> None:
    if found != planned:
        raise PrunebenchError(f"the {what} has changed since it was planned", "run the same command again")
