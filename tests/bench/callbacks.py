"""What callbacks cost a training: none, one that does nothing, one of a strategy, and a teacher.

`OMP_NUM_THREADS=1 python callbacks.py [MODEL] [--task TASK] [--glue-dir FOLDER] [--rounds 9]`
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from types import SimpleNamespace

from interleaved import compare

from prunebench.execution.context import Context
from prunebench.execution.measurements import Stopwatch
from prunebench.execution.method_callback import MethodCallback
from prunebench.execution.session import Session, State
from prunebench.execution.workspace import workspace
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment
from prunebench.planning.suite import Suite, merge
from prunebench.pruning import masks, structures
from prunebench.recipes.inputs import Teacher
from prunebench.training import loop
from prunebench.training.callbacks import TrainingCallback
from prunebench.training.distillation import Distillation, TeacherModel


class Everything(TrainingCallback):
    """Defines all methods that are called at each step, and does nothing in them."""

    def loss(self, loss, outputs, batch):
        return loss

    def after_backward(self, step):
        pass

    def after_step(self, step):
        return None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default="quick-bert")
    parser.add_argument("--task", default="sentiment")
    parser.add_argument("--glue-dir")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=16)
    options = parser.parse_args()
    words = {"model": options.model, "tasks": options.task, "glue_dir": options.glue_dir, "seeds": "1"}
    suite = merge(Suite(), {**words, "precision": "fp32", "device": "cpu"})
    registry = Registry()
    first = experiment.experiments(suite, registry)[0]
    subject = workspace(first, experiment.location(suite), registry)

    def training(*callbacks: TrainingCallback) -> None:
        subject.load(subject.theta0)
        arithmetic = {"precision": "fp32", "device": "cpu"}
        loop.train(
            subject.model,
            subject.train,
            subject.protocol,
            0,
            {},
            **arithmetic,
            callbacks=callbacks,
            steps=options.steps,
        )

    def of_a_strategy() -> TrainingCallback:
        groups = structures.groups(subject.prunable, "weight")
        mask = masks.full({name: group.shape for name, group in groups.items()})
        arithmetic = {"seed": 0, "batch_size": 32, "precision": "fp32", "device": "cpu"}
        context = Context(subject.prunable, mask, "weight", subject.train, initial=subject.theta0, **arithmetic)
        strategy = SimpleNamespace(name="bench", training=lambda ctx: Everything())
        session = SimpleNamespace(
            workspace=subject,
            seconds=Stopwatch(),
            kept_weights=lambda state: structures.expand(mask, groups, subject.prunable),
        )
        session.strategy_time = lambda state: Session.strategy_time(session, state)
        session.fence = lambda *args, **kwargs: Session.fence(session, *args, **kwargs)
        return MethodCallback(strategy, session, context, State(mask), None)

    ways: dict[str, Callable[[], None]] = {
        "no callback": training,
        "one that does nothing": lambda: training(Everything()),
        "one of a strategy": lambda: training(of_a_strategy()),
        "a teacher": lambda: training(Distillation(TeacherModel(subject.model, subject.theta0), Teacher())),
    }
    compare(f"a training of {options.steps} steps, {options.model}, {options.task}", ways, options.rounds)


if __name__ == "__main__":
    main()
