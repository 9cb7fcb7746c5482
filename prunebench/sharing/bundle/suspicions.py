"""Things in a bundle that no honest run gives, or hardly ever.

The first kind is refused, the second becomes a note. Neither kind proves anything about the rest of a bundle.
"""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models.loading import encoder_weights, model_of_id
from prunebench.models.sources import read_config
from prunebench.sharing.bundle.predictions import Array
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.strict import dumps
from prunebench.store.schema import Model, Record

# Predictions of fewer examples of other classes than the most frequent one may be equal by chance.
LEAST_MINORITY = 10
# FLOPs per second of the fastest machine that trains one encoder, with a wide margin. A step of a training takes three
# forward passes.
MOST_FLOPS = 1e16
PASSES = 3
# The first version of prunebench is younger.
FIRST_YEAR = 2024


def refusals(bundle: Bundle, registry: Registry) -> Iterator[str]:
    """A sentence for everything that cannot come from a run."""
    yield from _equal_seeds(bundle)
    for key, record in bundle.records.items():
        yield from (f"the record {key} {fault}" for fault in _impossible(record))
    for model, fault in _models(bundle, registry):
        # A commit of the hub has one content. Names without one may have had other files.
        if model.revision:
            yield fault


def notes(bundle: Bundle, registry: Registry) -> Iterator[str]:
    """A sentence for everything that is unusual."""
    yield from (fault for model, fault in _models(bundle, registry) if not model.revision)
    for first, second in _groups_with_equal_predictions(bundle, np.uint8):
        yield f"the records {first.key} and {second.key} of two seeds have the same predictions"
    fast = [key for key, record in bundle.records.items() if _is_too_fast(record)]
    if fast:
        yield f"{len(fast)} records say that they were trained faster than any machine can, such as {fast[0]}"
    for plan in bundle.manifest.plans:
        if not _is_possible_date(plan.written):
            yield f"a plan says that it was written at {plan.written!r}"


def _equal_seeds(bundle: Bundle) -> Iterator[str]:
    """Two seeds draw other batches and another classifier, so that no loss and no score is equal to the last digit."""
    losses: dict[Any, dict[float, Record]] = defaultdict(dict)
    for record in bundle.records.values():
        if record.loss is None:
            continue
        other = losses[_group(record)].setdefault(record.loss, record)
        if other.experiment.seed != record.experiment.seed:
            yield f"the records {other.key} and {record.key} of two seeds have the same loss {record.loss}"
    for first, second in _groups_with_equal_predictions(bundle, np.float32):
        yield f"the records {first.key} and {second.key} of two seeds have the same predictions"


def _group(record: Record) -> bytes:
    """Equal for records of one recipe on one task that differ in their seed only."""
    experiment = record.experiment.model_dump(exclude={"seed"})
    return dumps([experiment, [entry.model_dump() for entry in record.phases]])


def _groups_with_equal_predictions(bundle: Bundle, kind: type[Any]) -> Iterator[tuple[Record, Record]]:
    """Pairs of records of two seeds that predict the same, classes or scores, and not nearly always the same."""
    groups: dict[Any, dict[bytes, Record]] = defaultdict(dict)
    for key, record in bundle.records.items():
        arrays = bundle.predictions(key)
        if not all(_varies(array) and (array.dtype.kind == "f") == (kind is np.float32) for array in arrays.values()):
            continue
        text = b"".join(arrays[name].tobytes() for name in sorted(arrays))
        other = groups[_group(record)].setdefault(text, record)
        if other.experiment.seed != record.experiment.seed:
            yield other, record


def _varies(array: Array) -> bool:
    (_, most), *_ = Counter(array.tolist()).most_common(1)
    return len(array) - most >= LEAST_MINORITY


def _impossible(record: Record) -> Iterator[str]:
    """Counts that no encoder of six matrices a layer has, and a training without a loss, or a loss without one."""
    if bool(record.steps) != (record.loss is not None):
        yield f"says {record.steps} steps and the loss {record.loss}"
    if "pruned_weights_zero" not in record.checks:
        yield "lacks the check pruned_weights_zero"
    encoder, sparsity, parameters = record.encoder, record.sparsity, record.parameters
    if encoder is None:
        return
    layers, hidden = encoder.layers, encoder.heads * encoder.head_size
    pooler = hidden**2 if record.experiment.prunable != "encoder" else 0
    # Query, key, value and output have h² weights each, the feed-forward layers h·f (Vaswani et al. 2017).
    rest = sparsity.encoder_weights - pooler - layers * 4 * hidden**2
    if rest <= 0 or rest % (2 * hidden * layers):
        yield f"says {sparsity.encoder_weights} weights of {layers} layers of width {hidden}"
        return
    neurons = rest // (2 * hidden * layers)
    units = {"head": layers * encoder.heads, "neuron": layers * neurons, "layer": layers}
    if sparsity.units != units.get(sparsity.unit, sparsity.units):
        yield f"says {sparsity.units} units of kind {sparsity.unit}, but its encoder has {units[sparsity.unit]}"
    # Beside its weights a layer has the biases of its matrices, and two normalisations.
    most = sparsity.encoder_weights + layers * (9 * hidden + neurons)
    if parameters.total <= sparsity.encoder_weights or parameters.total - parameters.left > most:
        yield f"says {parameters.left} of {parameters.total} parameters, of an encoder of {sparsity.encoder_weights}"


def _models(bundle: Bundle, registry: Registry) -> Iterator[tuple[Model, str]]:
    """The models that are on this machine with another fingerprint, or another number of weights, than they say."""
    models = {record.experiment.model.model_dump_json(): record for record in bundle.records.values()}
    for record in models.values():
        model = record.experiment.model
        try:
            source = model_of_id(model.name, model.revision, registry)
        except PrunebenchError:
            continue
        name = f"the model {model.name!r}"
        if source.fingerprint != model.fingerprint:
            yield model, f"{name} here is {source.fingerprint}, but the bundle's is {model.fingerprint}"
            continue
        weights, claimed = encoder_weights(read_config(source.folder)), record.sparsity.encoder_weights
        if record.experiment.prunable == "encoder" and claimed != weights:
            yield model, f"{name} has {weights} weights, but records say {claimed}"


def _is_too_fast(record: Record) -> bool:
    # The seconds of a short training, or of one in another job than its scores, may be 0.
    if not record.seconds["train"] or record.flops is None:
        return False
    work = PASSES * record.tokens * record.flops.dense / record.flops.length
    return work > MOST_FLOPS * record.seconds["train"]


def _is_possible_date(text: str) -> bool:
    try:
        written = datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    return written.year >= FIRST_YEAR and written.replace(tzinfo=written.tzinfo or datetime.UTC) <= tomorrow
