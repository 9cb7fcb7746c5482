"""Load an encoder with a classifier on top, and name what of it can be pruned.

Imports torch and transformers only inside functions.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError
from prunebench.models.architecture import LINEARS, Architecture
from prunebench.models.fast.first_token import go_on_with_first_token
from prunebench.models.sources import ModelSource, tokenizer_files, weight_files
from prunebench.runtime.seeds import derive

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Layer:
    """One layer of the encoder: the names, from the top of the model, of its six Linears and of its attention."""

    index: int
    query: str
    key: str
    value: str
    attention_output: str
    intermediate: str
    output: str
    attention: str

    @property
    def linears(self) -> tuple[str, ...]:
        """The six Linears, in the order in which data meets them."""
        return tuple(getattr(self, part) for part in LINEARS)


@dataclass
class PrunableModel:
    """A model, the layers of its encoder, and the names of its prunable matrices in the order of the layers.

    `heads` and `head_size` are those of every layer before anything is removed. `drawn` are the names of the parameters
    that the checkpoint does not give, and the seed does.
    """

    model: nn.Module
    architecture: Architecture
    layers: list[Layer]
    heads: int
    head_size: int
    prunable: list[str]
    drawn: frozenset[str] = frozenset()


def load(
    source: ModelSource,
    architecture: Architecture,
    *,
    num_labels: int,
    regression: bool,
    seed: int,
    prune_pooler: bool = False,
) -> PrunableModel:
    """The encoder of the checkpoint bit for bit in float32, under a task head that is drawn from `seed`.

    The head is always drawn, also where the checkpoint holds one, so that seeds are alike for every checkpoint; so is
    a pooler that the checkpoint lacks. The global random state is left as it is. A checkpoint that lacks weights of
    the encoder, has them in other shapes, or has some that the encoder has no place for, is an error.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    check_readable(source.folder)
    kind = "regression" if regression else "single_label_classification"
    with _quiet(), torch.random.fork_rng(devices=[]):
        config = AutoConfig.from_pretrained(
            source.folder, num_labels=num_labels, problem_type=kind, local_files_only=True
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
    prunable = describe(model, architecture, prune_pooler=prune_pooler)
    _check_encoder(prunable, report, source.name)
    encoder = f"{model.base_model_prefix}."
    head = {name for name, _ in model.named_parameters() if not name.startswith(encoder)}
    prunable.drawn = frozenset(head | set(report["missing_keys"]))
    draw_head(prunable, seed)
    go_on_with_first_token(prunable)
    return prunable


def draw_head(pm: PrunableModel, seed: int) -> None:
    """Draw what the checkpoint does not give as `load` does it with that seed, in place."""
    _draw(pm.model, pm.drawn, seed)


def load_tokenizer(source: ModelSource) -> Any:
    """The tokenizer that lies beside the checkpoint."""
    from transformers import AutoTokenizer

    # Without any file transformers would make up a tokenizer that knows five tokens.
    vocabularies = {path.name for path in tokenizer_files(source.folder)} - {
        "added_tokens.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
    }
    if not vocabularies:
        raise PrunebenchError(f"no tokenizer in {str(source.folder)!r}", "expected tokenizer.json or vocab.txt")
    with _quiet():
        return AutoTokenizer.from_pretrained(source.folder, local_files_only=True)


def describe(model: Any, architecture: Architecture, *, prune_pooler: bool = False) -> PrunableModel:
    """Name the prunable matrices of a transformers model, whatever device it is on.

    Raises where a layer is not just what the family says: a matrix more or less would make every sparsity wrong.
    """
    base = f"{model.base_model_prefix}.{architecture.layers}"
    try:
        encoder_layers = list(model.get_submodule(base))
    except AttributeError as error:
        raise _not_understood(architecture, f"it has no {base!r}") from error
    if not encoder_layers:
        raise _not_understood(architecture, f"{base!r} holds no layer")
    parts = ("attention", *LINEARS)
    layers = [
        Layer(index, **{part: f"{base}.{index}.{getattr(architecture, part)}" for part in parts})
        for index in range(len(encoder_layers))
    ]
    heads = model.config.num_attention_heads
    widths = {
        _checked_width(model, layer, module, architecture) for layer, module in zip(layers, encoder_layers, strict=True)
    }
    width = widths.pop()
    if widths or width % heads:
        raise _not_understood(architecture, f"its layers do not hold {heads} heads of one size each")
    prunable = [f"{linear}.weight" for layer in layers for linear in layer.linears]
    if prune_pooler:
        prunable.append(_pooler(model, architecture))
    return PrunableModel(model, architecture, layers, heads, width // heads, prunable)


def reinitialise(pm: PrunableModel, seed: int) -> None:
    """Draw every parameter anew from the model's own initialiser, embeddings included (θ0′ of Chen et al. 2020).

    In place. The task head is the one that `load` gives for the same seed.
    """
    _draw(pm.model, {name for name, _ in pm.model.named_parameters()}, seed)


def permute_layers(pm: PrunableModel, seed: int) -> list[int]:
    """Deal the states of the encoder's layers out in another order (θ0″ of Chen et al. 2020), in place.

    Returns the permutation: layer i now holds what layer `permutation[i]` held. It is never the identity.
    """
    import torch

    count = len(pm.layers)
    if count < 2:
        raise PrunebenchError("cannot permute the layers of an encoder that has one layer")
    generator = torch.Generator().manual_seed(derive(seed, "permute layers"))
    permutation = list(range(count))
    while permutation == sorted(permutation):
        permutation = torch.randperm(count, generator=generator).tolist()
    base: Any = pm.model.get_submodule(f"{pm.model.base_model_prefix}.{pm.architecture.layers}")
    states = [{name: tensor.clone() for name, tensor in layer.state_dict().items()} for layer in base]
    for layer, origin in zip(base, permutation, strict=True):
        layer.load_state_dict(states[origin])
    return permutation


def _draw(model: Any, names: Collection[str], seed: int) -> None:
    """Draw the named parameters anew, each module from its own stream of `seed`.

    With a stream for each module what one of them gets depends on its name and shape alone: neither on the number of
    labels nor on which of the others are drawn. transformers' initialisers leave a tensor alone that is marked as
    initialised, and draw on the CPU so that every device gets the same weights.
    """
    import torch

    device = next(model.parameters()).device
    model.cpu()
    for name, parameter in model.named_parameters():
        parameter._is_hf_initialized = name not in names
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        # Children before their parents, as transformers does it: a parent may overwrite what its child has drawn.
        for name, module in reversed(list(model.named_modules())):
            torch.default_generator.manual_seed(derive(seed, "initialise", name))
            model._init_weights(module)
    for parameter in model.parameters():
        del parameter._is_hf_initialized
    model.to(device)


def _checked_width(model: Any, layer: Layer, module: nn.Module, architecture: Architecture) -> int:
    """The summed width of the heads of a layer that is found to be what the family says."""
    from torch import nn

    linears: dict[str, Any] = {}
    for part in LINEARS:
        try:
            linears[part] = model.get_submodule(getattr(layer, part))
        except AttributeError as error:
            raise _not_understood(
                architecture, f"layer {layer.index} has no {getattr(architecture, part)!r}"
            ) from error
        if not isinstance(linears[part], nn.Linear):
            raise _not_understood(architecture, f"{getattr(layer, part)!r} is no Linear")
    expected = {f"{getattr(architecture, part)}.weight" for part in LINEARS}
    matrices = {name for name, parameter in module.named_parameters() if parameter.dim() > 1}
    if more := sorted(matrices - expected):
        raise _not_understood(architecture, f"layer {layer.index} has further matrices: {', '.join(more)}")
    width = linears["attention_output"].in_features
    if any(linears[part].out_features != width for part in ("query", "key", "value")):
        raise _not_understood(architecture, f"query, key and value of layer {layer.index} differ in width")
    if linears["intermediate"].out_features != linears["output"].in_features:
        raise _not_understood(architecture, f"the feed-forward matrices of layer {layer.index} do not fit")
    return int(width)


def _not_understood(architecture: Architecture, reason: str) -> PrunebenchError:
    return PrunebenchError(
        f"this encoder is not understood: {reason}",
        f"a layer of the family {architecture.name!r} holds {', '.join(getattr(architecture, p) for p in LINEARS)}",
    )


def _pooler(model: Any, architecture: Architecture) -> str:
    name = f"{model.base_model_prefix}.{architecture.pooler}.weight"
    if not architecture.pooler or name not in dict(model.named_parameters()):
        raise PrunebenchError(f"family {architecture.name!r} has no pooler to prune", "leave the pooler out")
    return name


def check_readable(folder: Path) -> None:
    """Raise for a weight file that is cut off or no weight file, before transformers makes a long story of it."""
    import pickle

    from safetensors import SafetensorError, safe_open

    for path in weight_files(folder):
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, framework="np"):  # not "pt", which imports torch
                    pass
            elif path.suffix == ".bin":
                import torch

                torch.load(path, map_location="meta", weights_only=True)
        # torch tells a zip file that is cut off by an OSError; permissions are in order, for the files were digested.
        except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            reason = " ".join(str(error).split())[:120]
            raise PrunebenchError(
                f"checkpoint {str(path)!r} is truncated or damaged: {reason}", "copy it anew"
            ) from error


def _check_encoder(pm: PrunableModel, report: dict[str, Any], name: str) -> None:
    """Raise unless every weight of the encoder came from the checkpoint, and none of its weights was left over."""
    encoder = f"{pm.model.base_model_prefix}."
    pooler = f"{encoder}{pm.architecture.pooler}." if pm.architecture.pooler else None
    for key, found, wanted in sorted(report["mismatched_keys"]):
        if key.startswith(encoder):
            shapes = f"has {key} in shape {list(found)}, its config.json says {list(wanted)}"
            raise PrunebenchError(f"checkpoint {name!r} {shapes}", "expected weights and config.json of one model")
    missing = {key for key in report["missing_keys"] if key.startswith(encoder)}
    if lost := sorted(key for key in missing if pooler is None or not key.startswith(pooler)):
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise PrunebenchError(f"checkpoint {name!r} lacks {lost[0]}{more}", "expected all weights of the encoder")
    if left := sorted(key for key in report["unexpected_keys"] if f"{pm.architecture.layers}." in key):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        reason = f"holds {left[0]}{more}, for which its config.json has no place"
        raise PrunebenchError(f"checkpoint {name!r} {reason}", "expected weights and config.json of one model")


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of transformers' reports, progress bars and warnings; what was set before is set again."""
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
