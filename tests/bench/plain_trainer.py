"""A task for transformers' Trainer, and the Trainer with its defaults: what prunebench is measured against.

The defaults are fp32, its optimiser, and an evaluation batch of 8; batch size, learning rate, epochs, warm-up and
max_length are the task's. `padding` is "max_length", which is what run_glue.py does unless it is told otherwise
(`--pad_to_max_length`), or "longest": of a batch, by the Trainer's default collator.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, disable_progress_bar
from transformers import AutoTokenizer, Trainer, TrainingArguments

from prunebench.hooks.registry import Registry
from prunebench.models import loading
from prunebench.planning.suite import Suite, merge
from prunebench.tasks.protocol import Protocol
from prunebench.tasks.task import Split, Task

OPTIONS = ("model", "glue_dir", "epochs", "train_limit")


@dataclass(frozen=True)
class Subject:
    """What the Trainer works on."""

    task: Task
    protocol: Protocol
    folder: str
    tokenizer: Any
    train: Dataset
    dev: Dataset
    metric: Any

    @property
    def labels(self) -> int:
        return len(self.task.labels) or 1


def add_options(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    """Those that the two sides share."""
    for name, kind in (("model", str), ("glue-dir", str), ("task", str), ("epochs", int), ("train-limit", int)):
        parser.add_argument(f"--{name}", type=kind, default=defaults.get(name))


def suite_of(options: argparse.Namespace, seed: int) -> Suite:
    """The task with one seed."""
    return merge(
        Suite(), {**{name: getattr(options, name) for name in OPTIONS}, "tasks": options.task, "seeds": [seed]}
    )


def load(suite: Suite, padding: str) -> Subject:
    """Read and tokenise, as run_glue.py does it."""
    disable_progress_bar()
    registry = Registry()
    task = registry.get("tasks", suite.tasks[0])
    protocol = suite.with_changes(task.protocol)
    data = loading.load_data(task, suite.glue_dir).limit(protocol.train_limit, protocol.eval_limit)
    folder = str(loading.model_source(suite.model, registry).folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encode(split: Split) -> Dataset:
        names = [f"text{i}" for i in range(len(split.texts))]
        columns = dict(zip(names, split.texts, strict=True))
        options = {"padding": padding == "max_length" and padding, "max_length": protocol.max_length}
        return Dataset.from_dict({**columns, "label": split.labels}).map(
            lambda rows: tokenizer(*(rows[name] for name in names), truncation=True, **options), batched=True
        )

    metric = registry.get("metrics", task.metric).load(task.metric_config)
    dev = data.evaluations[task.evaluations[0]]
    return Subject(task, protocol, folder, tokenizer, encode(data.train), encode(dev), metric)


def make(subject: Subject, model: Any, seed: int, output: str, **more: Any) -> Trainer:
    """The Trainer of a model, with `more` arguments; it keeps nothing and reports to nobody."""
    protocol = subject.protocol
    arguments = TrainingArguments(
        output_dir=output,
        per_device_train_batch_size=protocol.batch_size,
        learning_rate=protocol.lr,
        num_train_epochs=protocol.epochs,
        warmup_steps=protocol.warmup,  # below 1 it is a fraction
        seed=seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **more,
    )

    def scores(found: Any) -> Any:
        return subject.metric.compute(predictions=found.predictions.argmax(axis=1), references=found.label_ids)

    return Trainer(
        model=model,
        args=arguments,
        train_dataset=subject.train,
        eval_dataset=subject.dev,
        processing_class=subject.tokenizer,
        compute_metrics=scores,
    )


def train_and_evaluate(trainer: Trainer, subject: Subject) -> float:
    """The dev score after the last step, × 100."""
    trainer.train()
    return 100 * trainer.evaluate()[f"eval_{subject.task.metrics[0]}"]
