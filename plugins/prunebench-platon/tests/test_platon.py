"""PLATON against its recursions written for single weights, in a real training that is also interrupted."""

from __future__ import annotations

import numpy as np
import pytest
from prunebench_platon import Importance

import prunebench
from prunebench.execution.executors.resources import Resources
from prunebench.hooks.registry import Registry
from prunebench.pruning import masks

STEPS = 12


def run(store):
    results = prunebench.run(
        "smoke",
        strategies="platon[beta1=0.6,beta2=0.7]",
        sparsities="0.8",
        seeds="1",
        device="cpu",
        precision="fp32",
        train_limit="32",
        eval_limit="16",
        batch_size="8",
        epochs="3",
        store=store,
        resources=Resources(executor="here"),
        progress=False,
    )
    assert not results.failures
    (cell,) = [cell for cell in results.run.plan.cells if not cell.is_dense]
    return results.store, cell


def cubic(step):
    """0.8 − 0.8 (1 − (t − 0.1 T) / (0.6 T))³ between 10 % and 70 % of the training."""
    return 0.8 - 0.8 * (1 - min(max((step / STEPS - 0.1) / 0.6, 0), 1)) ** 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training, with the weights and gradients of each step and the masks after it."""
    steps, updates = [], []
    backward, stepped = Importance.after_backward, Importance.after_step

    def record_step(callback, step):
        pairs = [(callback.ctx.weights[name].clone(), grad.clone()) for name, grad in callback.ctx.grads.items()]
        steps.append(pairs)
        backward(callback, step)

    def record_mask(callback, step):
        updates.append(stepped(callback, step))
        return updates[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Importance, "after_backward", record_step)
        patch.setattr(Importance, "after_step", record_mask)
        store, cell = run(tmp_path_factory.mktemp("platon") / "store")
    return steps, updates, store, cell


def test_masks_follow_the_recursions_of_the_paper(whole):
    """Ī ← 0.6 Ī + 0.4 I, Ū ← 0.7 Ū + 0.3 |I − Ī|, and the lowest Ī · Ū go, as many as the cubic says."""
    steps, updates, _, _ = whole
    assert len(steps) == len(updates) == STEPS
    average, uncertainty, grown = 0.0, 0.0, 0
    before = None
    for step, (pairs, mask) in enumerate(zip(steps, updates, strict=True), start=1):
        current = np.concatenate([np.abs(w.double().numpy() * g.double().numpy()).ravel() for w, g in pairs])
        average = 0.6 * average + 0.4 * current
        uncertainty = 0.7 * uncertainty + 0.3 * np.abs(current - average)
        stays = np.concatenate([keep.numpy().ravel() for keep in mask.values()])
        count = masks.pruned_count(cubic(step), len(stays))
        assert np.count_nonzero(~stays) == count
        threshold = np.partition(average * uncertainty, count)[count]
        # Sums in float32 may swap scores that nearly tie.
        wrong = (stays != (average * uncertainty >= threshold)).sum()
        assert wrong <= 1e-4 * len(stays)
        grown += 0 if before is None else np.count_nonzero(stays & ~before)
        before = stays
    assert grown > 0, "pruned weights come back"


def test_the_record_holds_its_checks(whole):
    _, _, store, cell = whole
    record = store.record(cell.key)
    assert record.checks["count_exact"] and record.checks["pruned_weights_zero"]
    assert (len(cell.trainings), record.steps) == (1, STEPS)


def test_an_interrupted_training_goes_on_bit_for_bit(check_resume):
    check_resume(Importance, "platon[beta1=0.6,beta2=0.7]", 6)


def test_the_entry_point_provides_the_strategy():
    assert Registry().entry("strategies", "platon").plugin.distribution == "prunebench-platon"


def test_bad_options_are_errors():
    with pytest.raises(prunebench.PrunebenchError, match="beta1 < 1"):
        Registry().strategy("platon[beta1=1]")
