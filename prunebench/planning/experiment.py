"""The experiments of a suite: data and model are located and fingerprinted, one experiment for each task and seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models.loading import model_source
from prunebench.planning import protocol_file
from prunebench.planning.compile import add_other_model, compile_plan
from prunebench.planning.graph import ENGINE, Plan
from prunebench.planning.suite import Suite
from prunebench.runtime import devices
from prunebench.store.schema import Experiment, Location, Model
from prunebench.tasks.carving import base_name, find_task
from prunebench.tasks.task import load_data


def plan(suite: Suite, registry: Registry) -> Plan:
    """The plan of a suite."""
    levels = {task: suite.levels(task) for task in suite.tasks}
    result = compile_plan(experiments(suite, registry), suite.strategies, levels, registry, location(suite))
    for name in suite.also_model:
        other = _of_other_model(suite, name, registry)
        add_other_model(result, experiments(other, registry), registry, location(other))
    return result


def _of_other_model(suite: Suite, name: str, registry: Registry) -> Suite:
    """The suite with another model, under its protocol file only if that is for this kind of model."""
    other = replace(suite, model=name, also_model=())
    if suite.protocol is None:
        return other
    source = model_source(name, registry)
    model = Model(name=source.name, revision=source.revision, fingerprint=source.fingerprint, family=source.family)
    try:
        protocol_file.read(suite.protocol).check_model(model)
    except PrunebenchError:
        return replace(other, protocol=None)
    return other


def location(suite: Suite) -> Location:
    """Where the suite's model and data lie."""
    return Location(model=suite.model, glue_dir=suite.glue_dir)


def experiments(suite: Suite, registry: Registry) -> list[Experiment]:
    """One experiment for each task and seed. Reads all data, and digests the model's files."""
    device = devices.resolve_device(suite.device)
    precision = devices.resolve_precision(suite.precision, device) + _compile_suffix(suite.compile, device)
    tasks = [find_task(name, registry) for name in suite.tasks]
    file = protocol_file.read(suite.protocol) if suite.protocol else None
    source = model_source(suite.model, registry)
    model = Model(name=source.name, revision=source.revision, fingerprint=source.fingerprint, family=source.family)
    if file is not None:
        file.check_model(model)
    result: list[Experiment] = []
    for task in tasks:
        data = load_data(task, suite.glue_dir)
        protocol = suite.with_changes(file.protocol(task, data) if file else task.protocol)
        code = {"tasks": base_name(task.name), "metrics": task.metric, "models": source.family}
        shared: dict[str, Any] = {
            "task": task.name,
            "code": _code(registry, code),
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
