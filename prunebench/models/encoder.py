"""Load an encoder with a classifier on top, and describe its layers.

**What can be pruned.** The prunable matrices are the six Linears of every layer, named by the `Architecture` of the
family. `describe` looks them up in the model and refuses a layer with one matrix more or less, because every sparsity
would then refer to the wrong number of weights. Example, for BERT-base (84,934,656 prunable weights):

    pm = load(source, BERT, num_labels=2, regression=False, seed=0)
    pm.layers[0].query              # "bert.encoder.layer.0.attention.self.query"
    pm.prunable[0]                  # "bert.encoder.layer.0.attention.self.query.weight"
    pm.heads, pm.head_size          # 12, 64

**What is random.** The encoder's weights are the checkpoint's, bit for bit. The task head always comes from the seed,
even if the checkpoint has one, so that seeds are comparable across checkpoints.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError
from prunebench.models import layer_skips
from prunebench.models.architecture import LINEARS, Architecture
from prunebench.models.fast import first_token
from prunebench.models.initialisation import draw_head
from prunebench.models.sources import ModelSource
from prunebench.models.validation import check_encoder, check_readable, check_tokenizer

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Layer:
    """The names of a layer, of its six Linears and of its attention, each a path from the top of the model."""

    index: int
    path: str
    query: str
    key: str
    value: str
    attention_output: str
    intermediate: str
    output: str
    attention: str

    @property
    def linears(self) -> tuple[str, ...]:
        """The six Linears, in the order of the forward pass."""
        return tuple(getattr(self, part) for part in LINEARS)


@dataclass
class PrunableModel:
    """A model and the names of its parts.

    Attributes:
        model: the encoder with its task head.
        layers: the layers of the encoder, in order.
        heads, head_size: the same for every layer, before anything is removed.
        prunable: the names of the prunable matrices, in the order of the layers.
        random_parameters: the names of the parameters that come from the seed, since the checkpoint lacks them.
    """

    model: nn.Module
    architecture: Architecture
    layers: list[Layer]
    heads: int
    head_size: int
    prunable: list[str]
    random_parameters: frozenset[str] = frozenset()


def load(
    source: ModelSource,
    architecture: Architecture,
    *,
    num_labels: int,
    regression: bool,
    seed: int,
    prune_pooler: bool = False,
) -> PrunableModel:
    """Load the encoder bit for bit in float32, with a task head drawn from `seed`, in evaluation mode.

    A pooler that the checkpoint lacks is drawn as well. The global random state is unchanged.

    Raises:
        PrunebenchError: if the checkpoint is damaged, lacks weights of the encoder, has them in other shapes, or has
            weights that the encoder does not use.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    check_readable(source.folder)
    problem = "regression" if regression else "single_label_classification"
    with _quiet(), torch.random.fork_rng(devices=[]):
        config = AutoConfig.from_pretrained(
            source.folder, num_labels=num_labels, problem_type=problem, local_files_only=True
        )
        model, report = AutoModelForSequenceClassification.from_pretrained(
            source.folder,
            config=config,
            dtype=torch.float32,
            attn_implementation="sdpa",
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            local_files_only=True,
        )
    pm = describe(model, architecture, prune_pooler=prune_pooler)
    check_encoder(pm, report, source.name)
    encoder = f"{model.base_model_prefix}."
    head = {name for name, _ in model.named_parameters() if not name.startswith(encoder)}
    pm.random_parameters = frozenset(head | set(report["missing_keys"]))
    draw_head(pm, seed)
    first_token.install(pm)
    layer_skips.install(pm)
    return pm


def load_tokenizer(source: ModelSource) -> Any:
    """Load the tokenizer of a checkpoint.

    Raises:
        PrunebenchError: if the folder has no vocabulary. transformers would make up one of five tokens.
    """
    from transformers import AutoTokenizer

    check_tokenizer(source.folder)
    with _quiet():
        return AutoTokenizer.from_pretrained(source.folder, local_files_only=True)


def describe(model: Any, architecture: Architecture, *, prune_pooler: bool = False) -> PrunableModel:
    """Name the parts of a transformers model, on any device.

    Raises:
        PrunebenchError: if a layer does not have exactly the matrices of the family, or `prune_pooler` is set and
            there is no pooler.
    """
    base = f"{model.base_model_prefix}.{architecture.layers}"
    try:
        modules = list(model.get_submodule(base))
    except AttributeError as error:
        raise _mismatch(architecture, f"it has no {base!r}") from error
    if not modules:
        raise _mismatch(architecture, f"{base!r} has no layers")
    layers = [
        Layer(index, path, **{part: f"{path}.{getattr(architecture, part)}" for part in ("attention", *LINEARS)})
        for index, path in enumerate(f"{base}.{index}" for index in range(len(modules)))
    ]
    heads = model.config.num_attention_heads
    widths = {_width(model, layer, module, architecture) for layer, module in zip(layers, modules, strict=True)}
    width = widths.pop()
    if widths or width % heads:
        raise _mismatch(architecture, f"its layers do not all have {heads} heads of the same size")
    prunable = [f"{linear}.weight" for layer in layers for linear in layer.linears]
    if prune_pooler:
        prunable.append(_pooler(model, architecture))
    return PrunableModel(model, architecture, layers, heads, width // heads, prunable)


def _width(model: Any, layer: Layer, module: nn.Module, architecture: Architecture) -> int:
    """The total width of a layer's heads, after checking that its matrices are the family's and fit together."""
    from torch import nn

    linears: dict[str, Any] = {}
    for part in LINEARS:
        try:
            linears[part] = model.get_submodule(getattr(layer, part))
        except AttributeError as error:
            raise _mismatch(architecture, f"layer {layer.index} has no {getattr(architecture, part)!r}") from error
        if not isinstance(linears[part], nn.Linear):
            raise _mismatch(architecture, f"{getattr(layer, part)!r} is not a Linear")
    expected = {f"{getattr(architecture, part)}.weight" for part in LINEARS}
    matrices = {name for name, parameter in module.named_parameters() if parameter.dim() > 1}
    if extra := sorted(matrices - expected):
        raise _mismatch(architecture, f"layer {layer.index} has further matrices: {', '.join(extra)}")
    width = linears["attention_output"].in_features
    if any(linears[part].out_features != width for part in ("query", "key", "value")):
        raise _mismatch(architecture, f"query, key and value of layer {layer.index} differ in width")
    if linears["intermediate"].out_features != linears["output"].in_features:
        raise _mismatch(architecture, f"the feed-forward matrices of layer {layer.index} do not fit")
    return int(width)


def _mismatch(architecture: Architecture, reason: str) -> PrunebenchError:
    parts = ", ".join(getattr(architecture, part) for part in LINEARS)
    return PrunebenchError(
        f"the model does not match the family {architecture.name!r}: {reason}", f"expected layers with {parts}"
    )


def _pooler(model: Any, architecture: Architecture) -> str:
    name = f"{model.base_model_prefix}.{architecture.pooler}.weight"
    if not architecture.pooler or name not in dict(model.named_parameters()):
        raise PrunebenchError(f"family {architecture.name!r} has no pooler to prune", "use --prunable encoder")
    return name


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the reports, progress bars and warnings of transformers, and restore its settings afterwards."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.set_verbosity_error()
        if bars:
            logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()
