"""What a strategy may see and do when it scores: weights, mask, training examples. No evaluation data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.models.encoder import PrunableModel
from prunebench.pruning import structures
from prunebench.recipes.strategy import Unit
from prunebench.runtime.seeds import derive
from prunebench.training import batching
from prunebench.training.callbacks import TrainingProgress
from prunebench.training.loop import autocast, loss_of


class Context:
    """What `Strategy.score(ctx)` and `prune(ctx, sparsity)` are given.

    `weights` are the prunable matrices as they stand, `initial` the same of θ0, both by parameter name; `mask` is the
    current mask by group name (True stays). For the unit "weight" groups and parameters have the same names; heads
    and neurons have groups of their own, and `unit_sums` turns values by parameter into values by group. Everything
    computed from examples uses the training split, in evaluation mode (no dropout), and leaves the model as it was.
    """

    def __init__(
        self,
        subject: PrunableModel,
        mask: Mapping[str, Tensor],
        unit: Unit,
        data: batching.EncodedSplit,
        *,
        initial: Mapping[str, Tensor],
        seed: int,
        batch_size: int,
        precision: str,
        device: str,
    ) -> None:
        self.mask = dict(mask)
        self.unit = unit
        self.device = device
        self.progress: TrainingProgress | None = None
        self._theta0 = initial
        self._subject = subject
        self._data = data
        self._seed = seed
        self._batch_size = batch_size
        self._precision = precision

    @property
    def model(self) -> nn.Module:
        """The transformers model as it stands."""
        return self._subject.model

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        named = dict(self._subject.model.named_parameters())
        return {name: named[name].detach() for name in self._subject.prunable}

    @property
    def grads(self) -> dict[str, Tensor]:
        """The gradients of the step by the names of `weights`; dense in `TrainingCallback.after_backward`."""
        named = dict(self._subject.model.named_parameters())
        return {name: grad for name in self._subject.prunable if (grad := named[name].grad) is not None}

    @cached_property
    def initial(self) -> dict[str, Tensor]:
        return {name: self._theta0[name].clone() for name in self._subject.prunable}

    @cached_property
    def _groups(self) -> dict[str, structures.Group]:
        return structures.groups(self._subject, self.unit)

    def generator(self, purpose: str = "score") -> torch.Generator:
        """A CPU generator that depends on the run's seed and on `purpose`, and on nothing else."""
        return torch.Generator().manual_seed(derive(self._seed, "strategy", purpose))

    def batches(self, examples: int | None = None) -> Iterator[dict[str, Tensor]]:
        """Batches of the training split, `labels` among them: `examples` drawn without replacement, or all."""
        order = torch.randperm(len(self._data), generator=self.generator("batches"))[:examples]
        for indices in order.split(self._batch_size):
            yield self._data.batch(indices.tolist())

    def _losses(self, examples: int | None) -> Iterator[tuple[Tensor, int]]:
        """The mean loss of each batch, with its graph, and the number of its examples."""
        was_training = self._subject.model.training
        self._subject.model.eval()
        try:
            for batch in self.batches(examples):
                labels = batch.pop("labels")
                with autocast(self._precision, self.device):
                    yield loss_of(self._subject.model(**batch).logits, labels), len(labels)
        finally:
            self._subject.model.train(was_training)

    def gradients(self, examples: int | None = None) -> dict[str, Tensor]:
        """∂L/∂w of the mean loss over `examples` training examples, by parameter name, in the shapes of `weights`."""
        named = dict(self._subject.model.named_parameters())
        parameters = [named[name] for name in self._subject.prunable]
        sums = [torch.zeros_like(parameter) for parameter in parameters]
        number = 0
        for loss, count in self._losses(examples):
            torch._foreach_add_(sums, torch.autograd.grad(loss * count, parameters))
            number += count
        return {name: total / number for name, total in zip(self._subject.prunable, sums, strict=True)}

    def gate_gradients(self, examples: int | None = None) -> dict[str, Tensor]:
        """∂L/∂ξ for a gate ξ = 1 on the output of each head (or neuron), for each training example by itself.

        Shape (examples, units) for each group (Michel et al. 2019, section 4.1, before the expectation). A gate
        multiplies what its unit hands to the next Linear, so its gradient is the sum of input × ∂L/∂input there.
        """
        columns: dict[str, list[Tensor]] = {name: [] for name in self.mask}
        with self._inputs_of(structures.gate_points(self._subject, self.unit)) as inputs:
            for loss, count in self._losses(examples):
                points = list(inputs)
                slopes = torch.autograd.grad(loss * count, [inputs[name] for name in points])
                for name, slope in zip(points, slopes, strict=True):
                    product = (inputs[name].detach().float() * slope.float()).sum(dim=1)
                    number = self.mask[name].numel()
                    columns[name].append(product.view(count, number, -1).sum(dim=-1))
        return {name: torch.cat(parts) for name, parts in columns.items()}

    def input_norms(self, examples: int | None = None) -> dict[str, Tensor]:
        """‖x_j‖₂ of each input feature j of each prunable matrix over all tokens that are not padding.

        Shape (in_features,) by parameter name, as in Wanda (Sun et al. 2023, equation 1).
        """
        modules = {name: name.removesuffix(".weight") for name in self._subject.prunable}
        sums: dict[str, Tensor] = {}
        with torch.no_grad(), self._inputs_of(modules) as inputs:
            was_training = self._subject.model.training
            self._subject.model.eval()
            for batch in self.batches(examples):
                batch.pop("labels")
                with autocast(self._precision, self.device):
                    self._subject.model(**batch)
                real = batch["attention_mask"].bool()
                for name, values in inputs.items():
                    tokens = values[real].float() if values.dim() == 3 else values.float()
                    sums[name] = sums.get(name, 0) + tokens.square().sum(dim=0)
            self._subject.model.train(was_training)
        return {name: total.sqrt() for name, total in sums.items()}

    @contextmanager
    def _inputs_of(self, modules: Mapping[str, str]) -> Iterator[dict[str, Tensor]]:
        """The inputs of the named modules in the latest forward pass, by the names that `modules` gives them."""
        inputs: dict[str, Tensor] = {}

        def remember(name: str) -> Any:
            def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
                inputs[name] = args[0]

            return hook

        handles = [
            self._subject.model.get_submodule(path).register_forward_pre_hook(remember(name))
            for name, path in modules.items()
        ]
        try:
            yield inputs
        finally:
            for handle in handles:
                handle.remove()

    def unit_sums(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A quantity per weight, added up over each unit: from parameter names to group names."""
        return structures.unit_sums(dict(values), self._groups)
