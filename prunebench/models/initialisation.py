"""Draw parameters from a seed: the task head of a run, and the controls θ0′ and θ0″ of Chen et al. 2020.

**A random stream for each module.** Every module draws from a generator seeded by the run's seed and the module's own
name. What it gets then depends on its name and shape only. With one stream for the whole model, the encoder's weights
would depend on the number of labels, and a head drawn alone would differ from the head of a model drawn as a whole:

    draw_head(pm, seed=3)        # the classifier of seed 3, the encoder unchanged
    reinitialise(pm, seed=3)     # a new encoder under the same classifier
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError
from prunebench.runtime.seeds import derive

if TYPE_CHECKING:
    from prunebench.models.encoder import PrunableModel


def draw_head(pm: PrunableModel, seed: int) -> None:
    """Draw the parameters that the checkpoint lacks, in place: the same as `load` draws for this seed."""
    _draw(pm.model, pm.random_parameters, seed)


def reinitialise(pm: PrunableModel, seed: int) -> None:
    """Draw every parameter from the model's own initialiser, in place (θ0′ of Chen et al. 2020).

    Embeddings are drawn too. The task head is the one that `load` draws for this seed.
    """
    _draw(pm.model, {name for name, _ in pm.model.named_parameters()}, seed)


def permute_layers(pm: PrunableModel, seed: int) -> list[int]:
    """Permute the states of the encoder's layers, in place (θ0″ of Chen et al. 2020).

    Returns the permutation: layer i now has the state of layer `permutation[i]`. It is never the identity.
    """
    import torch

    count = len(pm.layers)
    if count < 2:
        raise PrunebenchError("cannot permute the layers of an encoder with one layer")
    generator = torch.Generator().manual_seed(derive(seed, "permute layers"))
    permutation = list(range(count))
    while permutation == sorted(permutation):
        permutation = torch.randperm(count, generator=generator).tolist()
    layers: Any = pm.model.get_submodule(f"{pm.model.base_model_prefix}.{pm.architecture.layers}")
    states = [{name: tensor.clone() for name, tensor in layer.state_dict().items()} for layer in layers]
    for layer, origin in zip(layers, permutation, strict=True):
        layer.load_state_dict(states[origin])
    return permutation


def _draw(model: Any, names: Collection[str], seed: int) -> None:
    """Draw the named parameters with transformers' initialisers, each module from its own stream of `seed`.

    The initialisers skip tensors that are marked as initialised. They run on the CPU, so that every device gets the
    same weights, and leave the global random state unchanged.
    """
    import torch

    device = next(model.parameters()).device
    model.cpu()
    for name, parameter in model.named_parameters():
        parameter._is_hf_initialized = name not in names
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        # Children first, as in transformers: DistilBERT's embeddings overwrite what their position table has drawn.
        for name, module in reversed(list(model.named_modules())):
            torch.default_generator.manual_seed(derive(seed, "initialise", name))
            model._init_weights(module)
    for parameter in model.parameters():
        del parameter._is_hf_initialized
    model.to(device)
