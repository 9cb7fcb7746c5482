"""What makes a training fast, in one object that can be left out.

The loop is written as in a textbook, and consults an `Acceleration` in three places: how to split a batch, how to call
code that looks at the model, and which random generators to save in a checkpoint. `plain` starts a training with an
acceleration that does nothing. `fast`, the default, combines

- parts of similar length instead of whole batches on a CPU (`batching.parts`), so that little is padding
- an embedding table with the tokens of the data only (`models.fast.embedding_subset`), so that a step updates less
- a seed for the fast dropout of the model (`models.fast.dropout`)

Either way the gradient of a batch is the same, up to rounding and the random numbers of dropout. Ten steps of
all-MiniLM-L6-v2 on RTE and an evaluation take 4.9 s in bf16 and 12.1 s in fp32; transformers' Trainer takes 22.7 s
(`tests/bench/README.md`). A reference training without acceleration:

    train(model, data, protocol, 0, {}, precision="fp32", device="cpu", accelerate=plain)

`prediction` is the same for evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import nn

from prunebench.models.fast import dropout, embedding_subset, first_token
from prunebench.runtime.devices import COMPILE_SUFFIX
from prunebench.runtime.seeds import derive
from prunebench.tasks import protocol as protocols
from prunebench.training import batching
from prunebench.training.resume import Generator


def _whole_batch(indices: Sequence[int]) -> Sequence[Sequence[int]]:
    return [indices]


def _direct_call(function: Callable[[], Any]) -> Callable[[], Any]:
    return function


@dataclass(frozen=True)
class Acceleration:
    """What the loop consults during one training. The defaults do nothing.

    Attributes:
        parts: splits the indices of a batch into parts that are computed one after another.
        on_whole_model: wraps a function that looks at the model's parameters between two steps.
        generators: random generators besides torch's own, by name.
    """

    parts: Callable[[Sequence[int]], Sequence[Sequence[int]]] = _whole_batch
    on_whole_model: Callable[[Callable[[], Any]], Callable[[], Any]] = _direct_call
    generators: Mapping[str, Generator] = field(default_factory=dict)


class Accelerate(Protocol):
    """Starts a training: the context lasts from before the optimiser is built until after the last step."""

    def __call__(
        self,
        model: nn.Module,
        data: batching.EncodedSplit,
        protocol: protocols.Protocol,
        seed: int,
        *,
        precision: str,
        device: str,
    ) -> AbstractContextManager[Acceleration]: ...


def plain(
    model: nn.Module,
    data: batching.EncodedSplit,
    protocol: protocols.Protocol,
    seed: int,
    *,
    precision: str,
    device: str,
) -> AbstractContextManager[Acceleration]:
    """Start a training without acceleration."""
    return nullcontext(Acceleration())


@contextmanager
def fast(
    model: nn.Module,
    data: batching.EncodedSplit,
    protocol: protocols.Protocol,
    seed: int,
    *,
    precision: str,
    device: str,
) -> Iterator[Acceleration]:
    """Start a training with everything that is fast on `device`; the model is whole again afterwards."""
    dropout.GENERATOR.seed(derive(seed, "dropout"))
    generators = {"dropout": dropout.GENERATOR}
    # On a GPU whole batches are faster: small kernels are bound by their launches.
    parts = _parts_of(model, data) if device == "cpu" else _whole_batch
    # Weight decay moves all rows of the table, and a compiled graph refers to the original parameters.
    if protocol.weight_decay or precision.endswith(COMPILE_SUFFIX):
        yield Acceleration(parts, generators=generators)
    else:
        with embedding_subset.EmbeddingSubset(model, data.inputs["input_ids"]) as subset:
            yield Acceleration(parts, subset.on_whole_table, generators)


def prediction() -> AbstractContextManager[None]:
    """A context for predictions: only what the classifier reads is computed."""
    return first_token.only()


def _parts_of(model: nn.Module, data: batching.EncodedSplit) -> Callable[[Sequence[int]], list[list[int]]]:
    cost = batching.part_cost(sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear)))
    return lambda indices: batching.parts(data, indices, cost)
