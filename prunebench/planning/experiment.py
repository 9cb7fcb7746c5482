"""The experiments of a suite: data and model are located and fingerprinted, one experiment for each task and seed."""

from __future__ import annotations

from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models.loading import model_source
from prunebench.planning.compile import compile_plan
from prunebench.planning.graph import ENGINE, Plan
from prunebench.planning.suite import Suite
from prunebench.runtime import devices
from prunebench.store.schema import Experiment, Location, Model
from prunebench.tasks.task import load_data


def plan(suite: Suite, registry: Registry) -> Plan:
    """The plan of a suite."""
    levels = {task: suite.levels(task) for task in suite.tasks}
    return compile_plan(experiments(suite, registry), suite.strategies, levels, registry, location(suite))


def location(suite: Suite) -> Location:
    """Where the suite's model and data lie."""
    return Location(model=suite.model, glue_dir=suite.glue_dir)


def experiments(suite: Suite, registry: Registry) -> list[Experiment]:
    """One experiment for each task and seed. Reads all data, and digests the model's files."""
    device = devices.resolve_device(suite.device)
    precision = devices.resolve_precision(suite.precision, device) + _compile_suffix(suite.compile, device)
    tasks = {name: registry.entry("tasks", name) for name in suite.tasks}
    source = model_source(suite.model, registry)
    model = Model(name=source.name, revision=source.revision, fingerprint=source.fingerprint, family=source.family)
    result: list[Experiment] = []
    for name, entry in tasks.items():
        task = entry.value
        data = load_data(task, suite.glue_dir)
        protocol = suite.protocol(task.protocol)
        shared: dict[str, Any] = {
            "task": name,
            "code": _code(registry, {"tasks": name, "metrics": task.metric, "models": source.family}),
            "data": data.fingerprint(),
            "sizes": data.limit(protocol.train_limit, protocol.eval_limit).sizes(),
            "model": model,
            "protocol": protocol.to_json(),
            "protocol_label": protocol.label(task.protocol),
            "precision": precision,
            "device": device,
            "prunable": suite.prunable,
        }
        result += [Experiment(seed=seed, **shared) for seed in suite.seeds]
    return result


def _compile_suffix(choice: str, device: str) -> str:
    """The suffix of the precision's name, because compiled arithmetic rounds differently."""
    if choice == "off":
        return ""
    if device != "cuda":
        raise PrunebenchError("--compile on needs --device cuda", "on a CPU its first minute is never made up for")
    return devices.COMPILE_SUFFIX


def _code(registry: Registry, used: dict[str, str]) -> str:
    """The engine's number, which stands for all built-in code, and the plugins that give anything else."""
    entries = {kind: registry.entry(kind, name) for kind, name in used.items()}
    plugins = [
        f"{name} of {registry.provenance(kind, name)}"
        for kind, name in used.items()
        if entries[kind].plugin.origin != "built in"
    ]
    return ", ".join([f"engine {ENGINE}", *plugins])
