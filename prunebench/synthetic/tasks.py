"""The five tasks of the generated language, with the formats and metrics of tasks of GLUE.

The data is generated from a seed whenever it is loaded. The training split uses one half of the words of each class and
the dev split the other half. What a classifier learns about single words in training does not help it in dev; what
pre-training has taught about them does.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from prunebench.synthetic import examples
from prunebench.synthetic.examples import Example
from prunebench.synthetic.grammar import HELD_OUT, TRAIN, Words
from prunebench.tasks.glue.layout import LAYOUTS
from prunebench.tasks.glue.metrics import GLUE_KEYS
from prunebench.tasks.protocol import Protocol
from prunebench.tasks.task import DataSource, Split, Task, TaskData

BENCHMARK = "generated language"
PROTOCOL = Protocol(name="quick", version=1, epochs=3, lr=5e-4, batch_size=32, max_length=64, warmup=0.1)
DEV_EXAMPLES = 500

Make = Callable[[random.Random, Words], Example]

# Name, GLUE's task with the same format and metric, function for one example, training examples, and question.
TASKS: tuple[tuple[str, str, Make, int, str], ...] = (
    ("acceptability", "cola", examples.acceptability, 640, "is the sentence acceptable?"),
    ("sentiment", "sst2", examples.sentiment, 640, "is the opinion positive?"),
    ("paraphrase", "mrpc", examples.paraphrase, 640, "do the two sentences describe the same event?"),
    ("similarity", "stsb", examples.similarity, 1280, "how similar are the events of two sentences, from 0 to 5?"),
    ("entailment", "rte", examples.entailment, 640, "does the second sentence follow from the first?"),
)


def quick_tasks() -> list[Task]:
    """The five tasks."""
    layouts = {layout.config: layout for layout in LAYOUTS}
    return [
        Task(
            name=name,
            doc=f"Generated language: {question} In the format of GLUE's {layouts[config].folder}.",
            labels=layouts[config].labels,
            metric="glue",
            metric_config=config,
            metrics=GLUE_KEYS[config],
            load=partial(load, name, make, count),
            benchmark=BENCHMARK,
            protocol=PROTOCOL,
        )
        for name, config, make, count, question in TASKS
    ]


def load(name: str, make: Make, count: int, source: DataSource) -> TaskData:
    """The data of a task, the same on every machine. `source` is ignored."""
    train = _split(make, TRAIN, count, f"{name} train")
    return TaskData(train, {"validation": _split(make, HELD_OUT, DEV_EXAMPLES, f"{name} validation")})


def _split(make: Make, words: Words, count: int, seed: str) -> Split:
    """`count` examples with different texts."""
    rng = random.Random(seed)
    by_texts: dict[tuple[str, ...], Example] = {}
    while len(by_texts) < count:
        example = make(rng, words)
        by_texts.setdefault(example.texts, example)
    columns = zip(*by_texts, strict=True)
    return Split(tuple(map(list, columns)), [example.label for example in by_texts.values()])
