"""Five tasks on a small generated language, in the formats and metrics of GLUE. Imports no torch.

They are no substitute for GLUE: they show in minutes, with nothing to download, what a suite does. Each is made anew
from a seed whenever it is asked for. Its training part uses one half of the words of each class and its dev part the
other half, so that what a classifier learns about words in training does not help it in dev: what pre-training taught
does.
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

# Our name, GLUE's task of that format and metric, how an example is made, how many are to train on, and what is asked.
TASKS: tuple[tuple[str, str, Make, int, str], ...] = (
    ("acceptability", "cola", examples.acceptability, 640, "can the sentence be said?"),
    ("sentiment", "sst2", examples.sentiment, 640, "is the opinion positive?"),
    ("paraphrase", "mrpc", examples.paraphrase, 640, "do the two sentences tell the same event?"),
    ("similarity", "stsb", examples.similarity, 1280, "how much of an event do two sentences share, from 0 to 5?"),
    ("entailment", "rte", examples.entailment, 640, "does the second sentence follow from the first?"),
)


def quick_tasks() -> list[Task]:
    """The five tasks."""
    layouts = {layout.config: layout for layout in LAYOUTS}
    return [
        Task(
            name=name,
            doc=f"Generated language: {asks} In the format of GLUE's {layouts[config].folder}.",
            labels=layouts[config].labels,
            metric="glue",
            metric_config=config,
            metrics=GLUE_KEYS[config],
            load=partial(load, name, make, number),
            benchmark=BENCHMARK,
            protocol=PROTOCOL,
        )
        for name, config, make, number, asks in TASKS
    ]


def load(name: str, make: Make, number: int, source: DataSource) -> TaskData:
    """The data of a task: the same at every call, on every machine. `source` is not read."""
    train = split(make, TRAIN, number, f"{name} train")
    return TaskData(train, {"validation": split(make, HELD_OUT, DEV_EXAMPLES, f"{name} validation")})


def split(make: Make, use: Words, number: int, seed: str) -> Split:
    """So many different examples."""
    rng = random.Random(seed)
    found: dict[tuple[str, ...], Example] = {}
    while len(found) < number:
        example = make(rng, use)
        found.setdefault(example.texts, example)
    made = list(found.values())
    columns = zip(*(example.texts for example in made), strict=True)
    return Split(tuple(map(list, columns)), [example.label for example in made])
