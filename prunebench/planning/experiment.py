"""Where the trees of a suite start: data and model found, fingerprinted, and named for the keys."""

from __future__ import annotations

from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models.loading import model_source
from prunebench.planning.graph import ENGINE, Plan, Root, build
from prunebench.planning.suite import Suite
from prunebench.runtime import devices
from prunebench.tasks.task import load_data


def roots(suite: Suite, registry: Registry) -> list[Root]:
    """One root for each task and seed. Reads all data and the model's files."""
    device = devices.resolve_device(suite.device)
    precision = devices.resolve_precision(suite.precision, device) + _compiled(suite.compile, device)
    tasks = {name: registry.entry("tasks", name) for name in suite.tasks}
    source = model_source(suite.model, registry)
    model = {
        "name": source.name,
        "revision": source.revision,
        "fingerprint": source.fingerprint,
        "family": source.family,
    }
    found: list[Root] = []
    for name, entry in tasks.items():
        task = entry.value
        data = load_data(task, suite.glue_dir)
        protocol = suite.protocol(task.protocol)
        shared: dict[str, Any] = {
            "task": name,
            "code": _code(registry, {"tasks": name, "metrics": task.metric, "models": source.family}),
            "data": data.fingerprint(),
            "sizes": data.limited(protocol.train_limit, protocol.eval_limit).sizes(),
            "model": model,
            "protocol": protocol.to_json(),
            "protocol_label": protocol.label(task.protocol),
            "precision": precision,
            "device": device,
            "prunable": suite.prunable,
            "where": {"model": suite.model, "glue_dir": suite.glue_dir},
        }
        found += [Root(seed=seed, **shared) for seed in suite.seeds]
    return found


def _compiled(choice: str, device: str) -> str:
    """What is added to the name of the precision, because compiled arithmetic rounds otherwise."""
    if choice == "off":
        return ""
    if device != "cuda":
        raise PrunebenchError("--compile on needs --device cuda", "on a CPU its first minute is never made up for")
    return devices.COMPILED


def _code(registry: Registry, used: dict[str, str]) -> str:
    """The engine's number, which stands for all that is built in, and the plugins that give something else."""
    entries = {kind: registry.entry(kind, name) for kind, name in used.items()}
    others = [
        f"{name} of {registry.provenance(kind, name)}"
        for kind, name in used.items()
        if entries[kind].plugin.origin != "built in"
    ]
    return ", ".join([f"engine {ENGINE}", *others])


def plan(suite: Suite, registry: Registry) -> Plan:
    """The plan of a suite."""
    levels = {task: suite.levels(task) for task in suite.tasks}
    return build(roots(suite, registry), suite.strategies, levels, registry)
