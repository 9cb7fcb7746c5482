"""A store in memory: hand-made plans and records whose numbers are known. Tests import it by this name."""

from __future__ import annotations

from typing import Any

from prunebench.results.rows import Row, build_rows
from prunebench.store.schema import Failure, Record, StoredPlan, digest
from prunebench.store.store import Store

TASKS: dict[str, tuple[list[str], list[str]]] = {
    "rte": (["accuracy"], ["validation"]),
    "mrpc": (["accuracy", "f1"], ["validation"]),
    "mnli": (["accuracy"], ["matched", "mismatched"]),
    "wnli": (["accuracy"], ["validation"]),
}
MAJORITY = {"accuracy": 0.55, "f1": 0.7}
SETTING = {
    "model": "tiny/bert",
    "model_fingerprint": "f00d",
    "model_revision": "main",
    "protocol": "glue-1 with epochs=1",
    "precision": "fp32",
    "device": "cpu",
    "prunable": "encoder",
    "code": "engine 1",
}
ENVIRONMENT = {"prunebench": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "hardware": "Some CPU, 2 cores"}
COMMAND = "prunebench run --tasks rte,mrpc"
METHODS = {
    "dense": {"options": {}},
    "imp": {"options": {"rate": 0.1, "of": "original"}},
    "random-pruning": {
        "options": {"of": "imp", "counts": "layer"},
        "control_of": "imp",
        "doc": "A random mask | of *imp* <counts>.",
    },
    "heads": {"options": {"rescore": False}, "unit": "head", "track": "structured"},
}


# Names that try to inject markup or scripts.
ATTACKS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>alert(1)",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    '<a href="javascript:alert(1)">click</a><b>bold</b>',
    "%{x} {{ 7 * 7 }} $x^2$ &lt;i&gt;",
]


class Lab:
    """A store in memory. Its model has 1,000 prunable weights of 1,600 parameters, and 8 heads of 50 weights.

    `cells`, `records` and `failures` are plain JSON values, which tests may change until they are read. Their keys are
    readable names; `plans`, `rows` and `write` replace each by its digest.
    """

    def __init__(self, written: str = "2026-01-01T00:00:00+00:00") -> None:
        self.cells: list[dict[str, Any]] = []
        self.records: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, dict[str, Any]] = {}
        self.written = written

    def plan(self, task: str, label: str, sparsity: float, seed: int, **changes: Any) -> dict[str, Any]:
        """Plan a cell. IMP and its control have a round for each tenth of sparsity before the last training."""
        setting = {**SETTING, "data": f"data of {task}", **changes.pop("setting", {})}
        metrics, evaluations = TASKS.get(task, TASKS["rte"])
        spec = {
            "unit": "weight",
            "track": "unstructured",
            "control_of": None,
            "doc": "",
            **METHODS.get(label, {"options": {}}),
        }
        rounds = {"imp": round(sparsity * 10), "random-pruning": round(sparsity * 10), "dense": 0}.get(label, 1)
        root = f"{task} {setting['protocol']} {seed}"
        path = [f"{root} imp {i}" for i in range(rounds)]
        key = f"{root} imp 0" if label == "dense" else f"{root} {label} {sparsity}"
        cell = {
            **{"strategy": label.partition("[")[0], "label": label, "source": "prunebench 0.1.0", **spec},
            **{"task": task, "benchmark": "GLUE", "split": "dev", "metrics": metrics, "evaluations": evaluations},
            **{"sparsity": sparsity, "seed": seed, "key": key, "trainings": [*path, key], "setting": setting},
            **changes,
        }
        self.cells.append(cell)
        return cell

    def done(self, task: str, label: str, sparsity: float, seed: int, *values: float, **changes: Any) -> dict[str, Any]:
        """Plan a cell and return its new record. `values` are in the order of evaluations and metrics."""
        degenerate, environment = changes.pop("degenerate", []), changes.pop("environment", {})
        cell = self.plan(task, label, sparsity, seed, **changes)
        for key in cell["trainings"]:
            self.records.setdefault(key, self.record(cell, key, 0.0, (), []))
        record = self.record(cell, cell["key"], sparsity, values, degenerate)
        record["environment"] = {**record["environment"], **environment}
        self.records[cell["key"]] = record
        return record

    def record(
        self, cell: dict[str, Any], key: str, sparsity: float, values: tuple[float, ...], degenerate: list[str]
    ) -> dict[str, Any]:
        numbers = iter(values)
        heads = cell["unit"] == "head"
        removed = round(8 * sparsity) * 50 if heads else round(1000 * sparsity)
        train = {"phase": "Train", "strategy": ""}
        *earlier, last = [train] * len(cell["trainings"])
        prune = [{"phase": "Prune", "sparsity": sparsity, "strategy": cell["label"]}] * bool(earlier and sparsity)
        trainings = [*earlier, *prune, last]
        return {
            **{"format": 1, "key": key, "status": "done", "steps": 234, "tokens": 0, "loss": None},
            "root": experiment(cell),
            "phases": [*trainings, *[{"phase": "Compact", "strategy": ""}] * heads],
            "evaluations": {
                evaluation: {
                    "examples": 277,
                    "metrics": {metric: next(numbers, 0.0) for metric in cell["metrics"]},
                    "degenerate": degenerate,
                    "majority": MAJORITY,
                }
                for evaluation in cell["evaluations"]
            },
            "sparsity": {
                "unit": cell["unit"],
                "units": 8 if heads else 1000,
                "pruned": removed // 50 if heads else removed,
                "realised": removed / 50 / 8 if heads else removed / 1000,
                "encoder_before": removed / 1000,
                "encoder_after": removed / 1000,
                "encoder_weights": 1000,
            },
            "parameters": {"total": 1600, "left": 1600 - removed, "in_model": 1600 - removed if heads else 1600},
            "checks": {"pruned_weights_zero": True, "compact_difference": 0.0},
            "environment": dict(ENVIRONMENT),
            "seconds": {},
            "peak_memory_mb": 0.0,
        }

    def plans(self) -> list[StoredPlan]:
        cells = [
            {**cell, "key": digest(cell["key"]), "trainings": [digest(key) for key in cell["trainings"]]}
            for cell in self.cells
        ]
        return [StoredPlan.model_validate({"command": COMMAND, "written": self.written, "cells": cells})]

    def rows(self) -> list[Row]:
        records = {digest(name): self.read(name) for name in self.records}
        return build_rows(self.plans(), records.get, self._failures().get)

    def read(self, name: str) -> Record:
        """The record of that name."""
        return Record.model_validate({**self.records[name], "key": digest(name)})

    def write(self, store: Store) -> None:
        """Add the plan, the records without logits, and the failures to a store."""
        for plan in self.plans():
            store.add_plan(plan)
        for name in self.records:
            store.add_record(self.read(name), b"")
        for failure in self._failures().values():
            store.add_failure(failure.key, failure.reason)

    def _failures(self) -> dict[str, Failure]:
        return {
            digest(name): Failure.model_validate({**failure, "key": digest(name)})
            for name, failure in self.failures.items()
        }


def experiment(cell: dict[str, Any]) -> dict[str, Any]:
    """The experiment of a cell, as it stands in a record."""
    setting = cell["setting"]
    return {
        **{name: setting[name] for name in ("code", "data", "precision", "device", "prunable")},
        **{"task": cell["task"], "seed": cell["seed"], "sizes": {"train": 2490, "validation": 277}},
        "model": {
            **{"name": setting["model"], "revision": setting["model_revision"]},
            **{"fingerprint": setting["model_fingerprint"], "family": "bert"},
        },
        "protocol": {"epochs": 1, "batch_size": 32},
        "protocol_label": setting["protocol"],
    }


def golden_lab() -> Lab:
    """Two tasks, three seeds, two sparsities; one cell missing, one failed, one degenerate."""
    lab = Lab()
    rte = {
        ("dense", 0.0): (0.60, 0.62, 0.64),
        ("imp", 0.3): (0.61, 0.62, 0.66),
        ("random-pruning", 0.3): (0.55, 0.53, 0.57),
        ("heads", 0.25): (0.58, 0.60, 0.62),
        ("imp", 0.5): (0.57, 0.58, 0.59),
        ("random-pruning", 0.5): (0.52, 0.52, 0.52),
        ("heads", 0.5): (0.56, None, 0.57),
    }
    mrpc = {
        ("dense", 0.0): ((0.84, 0.88), (0.85, 0.89), (0.86, 0.90)),
        ("imp", 0.3): ((0.83, 0.88), (0.84, 0.88), (0.85, 0.88)),
        ("random-pruning", 0.3): ((0.70, 0.80), (0.71, 0.81), (0.72, 0.88)),
        ("heads", 0.25): ((0.82, 0.87), (0.82, 0.87), (0.82, 0.87)),
        ("imp", 0.5): ((0.80, 0.85), (0.81, 0.86), (0.82, 0.87)),
        ("random-pruning", 0.5): ((0.68, 0.81), (0.31, 0.0), None),
        ("heads", 0.5): ((0.75, 0.80), (0.76, 0.81), (0.77, 0.82)),
    }
    for (label, sparsity), values in rte.items():
        for seed, value in enumerate(values):
            if value is None:
                key = lab.plan("rte", label, sparsity, seed)["key"]
                lab.failures[key] = {"key": key, "reason": "strategy 'heads' raised ValueError: no | heads\nare left"}
            else:
                lab.done("rte", label, sparsity, seed, value)
    for (label, sparsity), pairs in mrpc.items():
        for seed, pair in enumerate(pairs):
            if pair is None:
                lab.plan("mrpc", label, sparsity, seed)
            else:
                lab.done("mrpc", label, sparsity, seed, *pair, degenerate=["f1"] if pair[1] == 0 else [])
    return lab


def method_lab(label: str) -> Lab:
    """One method beside the dense model, on one task with three seeds."""
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", label, 0.5, seed, 0.5 + seed / 100, doc=label, source=label)
    return lab


def attacked_lab() -> Lab:
    """The golden lab with methods and a task whose names try to inject markup or scripts."""
    lab = golden_lab()
    for attack in ATTACKS:
        for seed in range(3):
            lab.done("rte", attack, 0.3, seed, 0.6 + seed / 100, doc=attack, source=attack, options={"x": attack})
    for seed in range(3):
        lab.done(ATTACKS[0], ATTACKS[1], 0.3, seed, 0.5, benchmark=ATTACKS[2])
    return lab
