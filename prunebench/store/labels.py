"""The labels of a task's evaluations as files of a store, written once for each data fingerprint and limit.

With them and the stored predictions pages know which examples a model gets right. Bundles have no labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prunebench.store.files import file_name

if TYPE_CHECKING:
    import numpy as np

    from prunebench.store.store import Store


def labels_name(data: str, limit: int | None) -> str:
    """The name of labels, by the fingerprint of the data and the greatest number of examples of an evaluation."""
    return f"{data}-{'all' if limit is None else limit}"


def data_of_labels(name: str) -> str:
    """The fingerprint of the data in the name of labels."""
    return name.rpartition("-")[0]


def encode_labels(labels: Mapping[str, Sequence[float]]) -> bytes:
    """The labels of each evaluation as a safetensors file: class indices as integers, scores as floats."""
    import numpy as np
    from safetensors.numpy import save

    return save({name: np.asarray(values) for name, values in labels.items()})


def parse_labels(data: bytes) -> dict[str, np.ndarray]:
    """The labels of each evaluation, shape (examples,). Raises ValueError unless they are lists of numbers."""
    from safetensors.numpy import load

    labels = load(data)
    if any(values.ndim != 1 or not len(values) or values.dtype.kind not in "if" for values in labels.values()):
        raise ValueError("expected a list of numbers for each evaluation")
    return labels


def read_labels(store: Store, name: str) -> dict[str, np.ndarray] | None:
    """The labels of that name by evaluation; None where the store has none.

    Raises InputMissing where the file is damaged; it is then set aside.
    """
    if not store.backend.exists(file_name("labels", name)):
        return None
    return store.load("labels", name, parse_labels)
