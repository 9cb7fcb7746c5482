"""What a strategy may see and do when it scores: weights, mask, training examples. No evaluation data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.execution import calibration
from prunebench.execution.gates import gated
from prunebench.models.encoder import Layer, PrunableModel
from prunebench.pruning import masks, structures
from prunebench.pruning.budgets import Budget, budget_of
from prunebench.pruning.groups import Group, Structure
from prunebench.pruning.selection import select
from prunebench.recipes.axes import Selection
from prunebench.recipes.strategy import Unit
from prunebench.runtime.seeds import derive
from prunebench.training import batching
from prunebench.training.callbacks import TrainingProgress
from prunebench.training.distillation import TeacherModel
from prunebench.training.loop import autocast


class Context:
    """What `Strategy.score(ctx)` and `prune(ctx, sparsity)` are given.

    **Names.** Quantities per weight go by the name of the parameter; masks and scores go by the name of the group. For
    the unit "weight" these are the same. Heads and neurons have groups of their own (`layer.0.heads`), and `unit_sums`
    turns values by parameter into values by group.

    **Examples.** Everything computed from examples uses the training split, never the evaluation split. `examples` is
    their number, drawn without replacement; None takes all. Calls with the same `stream`, a name of your choice, see
    the same examples in the same order, and another stream gives an independent order. Batches have the size of the
    run's batches. The model computes in the precision of the run and in evaluation mode (no dropout), with the pruned
    weights at zero, and is left as it was. The cost is given in passes over the examples.

    **Pruned weights** are zero in `weights`. Statistics include them: the gradient of a pruned weight is the one it has
    at zero, which is usually not zero.

    Attributes:
        mask: the current mask by group name, boolean tensors on the CPU; True stays.
        unit: the unit of the strategy, such as "weight", "head" or "head+neuron".
        device: "cpu" or "cuda". All tensors but the masks are on it.
        selection: the scope, the pattern and the budget that `select` follows.
        progress: in a training, its `step` of `total` steps and the `learning_rate`; None between trainings.
        level: in a training, the sparsity that a mask must have now; None between trainings.
    """

    def __init__(
        self,
        subject: PrunableModel,
        mask: Mapping[str, Tensor],
        unit: Unit | Structure,
        data: batching.EncodedSplit,
        *,
        selection: Selection | None = None,
        initial: Mapping[str, Tensor],
        seed: int,
        batch_size: int,
        precision: str,
        device: str,
        teacher: TeacherModel | None = None,
    ) -> None:
        self.mask = dict(mask)
        self._structure = structures.structure_of(unit)
        self.unit: Unit = self._structure.name
        self.device = device
        self.selection = selection or Selection()
        self.progress: TrainingProgress | None = None
        self.level: float | None = None
        self._subject, self._data, self._theta0, self._teacher = subject, data, initial, teacher
        self._seed, self._batch_size, self._precision = seed, batch_size, precision

    @property
    def model(self) -> nn.Module:
        """The model of transformers as it stands, in evaluation mode, on `device`.

        A strategy may call it and read it. A hook or another change must be undone before `score` or `prune` returns.
        """
        return self._subject.model

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the encoder in order, each with the names of its six Linears.

        `layer.query` is a path for `model.get_submodule`, and `f"{layer.query}.weight"` a name in `weights`. The other
        Linears are `key`, `value`, `attention_output`, `intermediate` and `output`; `linears` lists all six.
        """
        return tuple(self._subject.layers)

    @cached_property
    def parameters(self) -> dict[str, Tensor]:
        """All parameters of the model by name, biases, embeddings and task head among them, detached, in float32.

        They are the model's own tensors, only to be read; `prune` may change those in `weights`.
        """
        return {name: parameter.detach() for name, parameter in self.model.named_parameters()}

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The prunable matrices by parameter name in the order of the forward pass: (out, in), detached, in float32.

        They are the model's own tensors. `prune` may change them in place, `score` may not.
        """
        return {name: self.parameters[name] for name in self._subject.prunable}

    @property
    def grads(self) -> dict[str, Tensor]:
        """In `TrainingCallback.after_backward`, the gradients of the batch, named and shaped as `weights`.

        They are dense: those of pruned weights are ∂L/∂w at w = 0. Empty elsewhere.
        """
        named = dict(self.model.named_parameters())
        return {name: grad for name in self._subject.prunable if (grad := named[name].grad) is not None}

    @cached_property
    def initial(self) -> dict[str, Tensor]:
        """The same matrices of θ0, the weights before the first training: copies, made at the first use."""
        return {name: self._theta0[name].clone() for name in self._subject.prunable}

    @cached_property
    def _groups(self) -> dict[str, Group]:
        return self._structure.groups(self._subject)

    @cached_property
    def budget(self) -> Budget | None:
        """What the units cost, where a level is a fraction of parameters or FLOPs; None where it is one of units."""
        return budget_of(self._subject, self._structure, self.selection.budget)

    @cached_property
    def costs(self) -> dict[str, Tensor]:
        """The cost of each unit under the budget of `selection`, by group name in the shapes of `mask`, in float64.

        Parameters with biases, or the FLOPs of one example of 128 tokens; 1 for each unit where a level counts units.
        """
        costs = self.budget.costs if self.budget else dict.fromkeys(self.mask, 1)
        return {
            name: torch.tensor(float(costs[name]), dtype=torch.float64, device=self.device).expand(keep.shape)
            for name, keep in self.mask.items()
        }

    def generator(self, purpose: str = "score") -> torch.Generator:
        """A CPU generator that depends on the run's seed and on `purpose`, and on nothing else."""
        return torch.Generator().manual_seed(derive(self._seed, "strategy", purpose))

    def batches(self, examples: int | None = None, stream: str = "batches") -> Iterator[dict[str, Tensor]]:
        """Batches of the training split: the arguments of the model, (batch, tokens), and `labels`, (batch,).

        `attention_mask` is 1 for tokens and 0 for padding. The order comes from `generator(stream)`.

        Raises PrunebenchError if `examples` is less than 1.
        """
        if examples is not None and examples < 1:
            raise PrunebenchError(f"cannot draw {examples} examples", "expected at least 1, or None for all")
        order = torch.randperm(len(self._data), generator=self.generator(stream))[:examples]
        return (self._data.batch(indices.tolist()) for indices in order.split(self._batch_size))

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The mean loss of a batch from `batches`: a float32 scalar with its graph. One forward pass.

        It is the loss of the training: cross-entropy, or the mean squared error of a regression. The model computes in
        the mode in which it is, which is evaluation mode unless you change it. Derive it by `torch.autograd.grad`:
        `backward()` would leave gradients in the model.
        """
        return calibration.loss(self.model, batch, self._precision, self.device)

    def teacher(self, batch: Mapping[str, Tensor], hidden_states: bool = False) -> Any:
        """The outputs of the teacher for a batch of `loss` or `batches`, without a graph. One forward pass.

        `logits` have shape (batch, labels); `hidden_states`, if asked for, are those of the embeddings and after each
        layer, (batch, tokens, hidden). The teacher is in evaluation mode and computes in the precision of the run.

        Raises PrunebenchError outside of a training whose phase has a teacher.
        """
        if self._teacher is None:
            raise PrunebenchError(
                "there is no teacher here", "the phase is Train(callback=True, teacher=Teacher()), or add teacher=dense"
            )
        with autocast(self._precision, self.device):
            return self._teacher(batch, hidden_states)

    def gradients(self, examples: int | None = None, stream: str = "batches") -> dict[str, Tensor]:
        """∂L/∂w of the mean loss over the examples, by parameter name, in the shapes of `weights`, in float32.

        One forward and one backward pass.
        """
        return calibration.gradients(self._calibration(examples, stream), self._subject.prunable)

    def squared_gradients(
        self, examples: int | None = None, per: Literal["example", "batch"] = "example", stream: str = "batches"
    ) -> dict[str, Tensor]:
        """The mean of (∂L/∂w)², by parameter name, in the shapes of `weights`, in float32.

        With `per="example"` it is the mean over examples of the squared gradient of one example's loss: the diagonal of
        the empirical Fisher information. With "batch" it is the mean over batches of the squared gradient of the mean
        loss of a batch, and depends on the batch size; a smaller last batch counts as much as the others.

        Both take one forward and one backward pass, whatever the batch size. "example" forms and squares a matrix for
        each example, which on a CPU takes 2 times (128 tokens) to 12 times (16 tokens) as long as the gradients of the
        weights. At most 64 MiB of such matrices exist at a time, or one matrix if that is larger.

        Raises PrunebenchError if `per` is another word.
        """
        if per not in ("example", "batch"):
            raise unknown_name("mean of squared gradients per", per, ("example", "batch"))
        function = calibration.squared_example_gradients if per == "example" else calibration.squared_batch_gradients
        return function(self._calibration(examples, stream), self._subject.prunable)

    def gate_gradients(self, examples: int | None = None, stream: str = "batches") -> dict[str, Tensor]:
        """∂L/∂ξ for a gate ξ = 1 on the output of each unit, for each training example by itself.

        Shape (examples, units) for each group, in float32 (Michel et al. 2019, section 4.1, before the expectation).
        The gate of a head or neuron multiplies what it hands to the next Linear, so its gradient is the sum of input ×
        ∂L/∂input there. The gate of a layer multiplies what it adds to its input: x + ξ·(y − x). One forward and one
        backward pass.

        Raises PrunebenchError if such units have no gate, as single weights.
        """
        sizes = {name: keep.numel() for name, keep in self.mask.items()}
        points = self._structure.gate_points(self._subject)
        return calibration.gate_gradients(self._calibration(examples, stream), points, sizes)

    def gates(self, gate: Callable[[str], Tensor]) -> AbstractContextManager[None]:
        """A context in which the model computes with the gates `gate(group)`, of shape (units,), in place of 1.

        They multiply what those of `gate_gradients` do: with the zeros and ones of a mask, the model computes what it
        would without the pruned units. `gate` is called in every forward pass, which may need a graph of its own. A
        callback enters this in `__enter__` and leaves it in `__exit__`.

        Raises PrunebenchError if such units have no gate, as single weights, and for a compiled model.
        """
        return gated(self.model, self._structure.gate_points(self._subject), gate, self._precision)

    def input_norms(self, examples: int | None = None, stream: str = "batches") -> dict[str, Tensor]:
        """‖x_j‖₂ of each input feature j of each prunable matrix over all tokens that are not padding.

        Shape (in,) by parameter name, in float32, as in Wanda (Sun et al. 2023, equation 1). One forward pass.
        """
        return calibration.input_norms(self._calibration(examples, stream), self._subject.prunable)

    def input_products(
        self, examples: int | None = None, of: Sequence[str] | None = None, stream: str = "batches"
    ) -> Iterator[tuple[str, Tensor]]:
        """XᵀX of the inputs of each prunable matrix, where the rows of X are all tokens that are not padding.

        An iterator of (parameter name, XᵀX) in the order of the forward pass. XᵀX has shape (in, in) and is a sum, in
        float64; the product of one batch is computed in float32. `of` names some of the matrices; None gives all.

        Each product is computed when the iterator reaches it, with the weights as they are then. A method like
        SparseGPT changes a matrix before it asks for the next one, whose inputs then come from the changed weights.
        Matrices with a common input (query, key and value) are computed together. One forward pass for each input,
        which is 4 for a layer.

        Raises PrunebenchError if a name in `of` is not prunable.
        """
        prunable = self._subject.prunable
        for name in of or ():
            if name not in prunable:
                raise unknown_name("prunable matrix", name, prunable)
        names = [name for name in prunable if of is None or name in of]
        return calibration.input_products(self._calibration(examples, stream), names)

    def _calibration(self, examples: int | None, stream: str) -> calibration.Calibration:
        return calibration.Calibration(
            self.model, partial(self.batches, examples, stream), self._precision, self.device
        )

    def unit_sums(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A quantity per weight, added up over each unit: from parameter names to group names, in the masks' shapes."""
        return structures.unit_sums(dict(values), self._groups)

    def count(self, sparsity: float) -> int:
        """How many units are pruned at that sparsity, over all groups, those that are pruned now among them.

        A mask that `prune(ctx, sparsity)` returns must have exactly that many.

        Raises PrunebenchError under a budget of parameters or FLOPs, where the number depends on the scores.
        """
        return self.selection.count(sparsity, masks.units(self.mask))

    def select(self, scores: Mapping[str, Tensor], sparsity: float, *, regrow: bool = False) -> dict[str, Tensor]:
        """The mask that the core itself chooses by scores: exactly `count(sparsity)` units are pruned, or the budget.

        These are the units that `mask` prunes, then those with the lowest scores over all groups, or within the scope
        and pattern of `selection`; ties go in order. With `regrow` all units compete, whether pruned or not. `scores`
        are by group name in the shapes of `mask`, on any device.

        Raises PrunebenchError if names or shapes differ, a score is NaN, or more units are pruned already.
        """
        start = masks.full({name: tuple(keep.shape) for name, keep in self.mask.items()}) if regrow else self.mask
        if self.budget is not None:
            return self.budget.select(scores, start, sparsity)
        return select(scores, start, sparsity, self.selection.scope, self.selection.pattern)
