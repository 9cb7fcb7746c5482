"""Checks of the numbers in records: checksums, counts, sizes and FLOPs. They need no data.

Each check yields a sentence for everything that is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from prunebench.planning.graph import Node, phases_of
from prunebench.recipes.phase import shrinks
from prunebench.recipes.strategy import UNITS, plural
from prunebench.sharing.bundle.levels import cost_fault, count_fault
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import Record
from prunebench.tasks.protocol import Protocol


def check_records(bundle: Bundle, trees: Trees) -> Iterator[str]:
    """Every record matches its checksum, has the counts that its phases give, and agrees with related records."""
    values: dict[tuple[str, ...], dict[Any, str]] = defaultdict(dict)
    for key, line in bundle.lines.items():
        record = line.record
        if record.checksum != line.checksum:
            yield f"the record {key} was altered: it does not match its checksum"
        if key in trees.nodes:
            yield from (f"the record {key} {fault}" for fault in _check_counts(record, trees.nodes[key]))
        for group, value in _shared_values(record, trees.nodes.get(key)):
            values[group][value] = key
    for (name, *_), by_value in values.items():
        if len(by_value) > 1:
            numbers, keys = " and ".join(map(str, by_value)), " and ".join(list(by_value.values())[:2])
            yield f"records that must have the same {name} have {numbers} ({keys})"


def _shared_values(record: Record, node: Node | None) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Values that a record must share with all others of its group; the first entry of a group names the value."""
    sparsity, parameters = record.sparsity, record.parameters
    model = record.experiment.model.fingerprint, record.experiment.prunable, record.experiment.task
    yield ("encoder and parameters", *model), (sparsity.encoder_weights, parameters.total)
    if sparsity.budget != "units":
        yield (f"{sparsity.budget} of all {plural(sparsity.unit)}", *model), sparsity.cost
    if record.encoder:
        yield ("layers and heads", *model), (record.encoder.layers, record.encoder.heads, record.encoder.head_size)
    yield (f"number of {plural(sparsity.unit)}", *model), sparsity.units
    # Only units of one kind have one size.
    if sparsity.pruned and sparsity.unit in UNITS:
        yield (f"size of a {sparsity.unit}", *model), (parameters.total - parameters.left) / sparsity.pruned
    if record.flops:
        yield ("FLOPs", *model, str(record.flops.length)), record.flops.dense
        if sparsity.pruned and sparsity.unit in UNITS and sparsity.unit != "weight":
            saved = record.flops.dense - record.flops.skipping_zeros
            yield (f"FLOPs of a {sparsity.unit}", *model, str(record.flops.length)), saved / sparsity.pruned
    if node is None:
        return
    yield ("experiment", node.experiment.key), record.experiment.model_dump_json()
    if record.steps:
        # All trainings of one seed and length see the same batches.
        yield ("tokens", node.experiment.key, str(record.steps)), record.tokens
    for label in {step.strategy for step in node.lineage()} - {""}:
        yield ("unit", label), sparsity.unit


def _check_counts(record: Record, node: Node) -> Iterator[str]:
    sparsity, parameters = record.sparsity, record.parameters
    nodes = node.lineage()
    faults = [*filter(None, (count_fault(nodes, sparsity.pruned, sparsity.units), cost_fault(sparsity, nodes)))]
    yield from faults
    if sparsity.realised != sparsity.pruned / sparsity.units:
        yield f"says sparsity {sparsity.realised}, but {sparsity.pruned} of {sparsity.units} units are pruned"
    if record.checks.get("count_exact") is not (not faults):
        yield "contradicts its own count in the check count_exact"
    if sparsity.unit == "weight":
        if sparsity.units != sparsity.encoder_weights or parameters.left != parameters.total - sparsity.pruned:
            yield "counts other weights than its encoder has, or other parameters than are left"
        if round(sparsity.encoder_after * sparsity.encoder_weights) < sparsity.pruned:
            yield f"has fewer zeros than the {sparsity.pruned} weights that are pruned"
    compact = shrinks(phases_of(node.path()))
    if parameters.left > parameters.total or parameters.in_model != (parameters.left if compact else parameters.total):
        yield "has more parameters left than the model had, or other parameters in its model than are left"
    yield from _check_flops(record, compact)
    steps = node.experiment.steps if node.phase and node.phase.trains else 0
    if record.steps != steps:
        yield f"says {record.steps} steps, but its protocol has {steps}"
    protocol = Protocol(**record.experiment.protocol)  # type: ignore[arg-type]
    most = steps * protocol.batch_size * protocol.max_length
    if not steps <= record.tokens <= most:
        yield f"says {record.tokens} tokens, but its batches have at most {most}"


def _check_flops(record: Record, compact: bool) -> Iterator[str]:
    """Check what follows from the counts of a record; earlier versions did not count FLOPs."""
    flops, sparsity, encoder = record.flops, record.sparsity, record.encoder
    if flops is None:
        return
    if flops.scored != (flops.skipping_zeros if compact else flops.dense):
        yield f"says {flops.scored} FLOPs of the model that was scored, which is {'' if compact else 'not '}compacted"
    saved = flops.dense - flops.skipping_zeros
    # Each weight of a layer multiplies all tokens, and each weight of a pooler the first one.
    most = 2 * flops.length * sparsity.pruned
    least = most if record.experiment.prunable == "encoder" else 2 * sparsity.pruned
    if sparsity.unit == "weight" and not least <= saved <= most:
        yield f"says that {sparsity.pruned} pruned weights save {saved} FLOPs, expected {most}"
    if bool(saved) != bool(sparsity.pruned) or saved < 0:
        yield f"says that {sparsity.pruned} pruned units save {saved} FLOPs"
    if encoder and record.experiment.prunable == "encoder":
        products = 4 * flops.length**2 * encoder.layers * encoder.heads * encoder.head_size
        layers = 2 * flops.length * sparsity.encoder_weights + products
        outside = 2 * flops.length * (record.parameters.total - sparsity.encoder_weights)
        if not layers <= flops.dense <= layers + outside:
            yield f"says {flops.dense} FLOPs of the dense model, whose layers have {layers}"
