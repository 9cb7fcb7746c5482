"""What a strategy leaves behind is found, charged to it, and reaches no other method."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from execution.runs import records_of
from plugin_files import plugin_file

from prunebench.execution.executors.base import Request
from prunebench.execution.executors.local import ProcessExecutor
from prunebench.execution.fence import Snapshot
from prunebench.testing import context

# What `score` does beside scoring, and what the message names.
CHEATS = {
    "a weight": ("next(iter(ctx.weights.values())).mul_(2)", "weights: bert.encoder.layer.0"),
    "a weight, unseen by its version": ("next(iter(ctx.weights.values())).data.mul_(2)", "weights: bert.encoder"),
    "a bias": ("model.classifier.bias.data.add_(1)", "weights: classifier.bias"),
    "a buffer": ("next(model.buffers()).add_(1)", "weights: "),
    "a forward hook": ("model.classifier.register_forward_hook(lambda *a: None)", "hooks of classifier"),
    "a hook of a tensor": ("model.classifier.bias.register_hook(lambda g: g * 0)", "hooks of classifier.bias"),
    "a flag": ("model.classifier.weight.requires_grad_(False)", "requires_grad of classifier.weight"),
    "a gradient": ("model.classifier.weight.grad = torch.ones_like(model.classifier.weight)", "gradient of classifier"),
    "the mode": ("model.classifier.train(not model.classifier.training)", "training mode of classifier"),
    "an attribute": (
        "model.bert.encoder.layer[0].output.dropout.p = 0.7",
        "attribute 'p' of bert.encoder.layer.0.output",
    ),
    "a method": ("model.classifier.forward = lambda x: x", "attribute 'forward' of classifier"),
    "a module": ("model.classifier = torch.nn.Linear(32, 2)", "a module that was replaced: classifier"),
    "a new module": ("model.extra = torch.nn.Identity()", "a module that was added: extra"),
    "torch's generator": ("torch.rand(1)", "torch's random state; ctx.generator() gives random numbers"),
    "a switch": ("torch.set_grad_enabled(False)", "the switch for gradients"),
    "a switch by a name that contradicts another": (
        "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
        "the precision of float32 products",
    ),
}
CODE = """
import torch
def cheat(ctx):
    model = ctx._subject.model
    CHEAT
    return {name: weight.abs() for name, weight in ctx.weights.items()}
"""


@pytest.fixture(scope="module")
def undisturbed(run_at, tmp_path_factory):
    """The store and the plan of a run of two methods. Tests do not change it."""
    store, plan, _ = run_at(tmp_path_factory.mktemp("alone") / "store", "magnitude,magnitude-init", epochs="1")
    return store, plan


@pytest.mark.parametrize(("cheat", "message"), CHEATS.values(), ids=CHEATS)
def test_a_change_fails_its_own_method_and_no_other(run, undisturbed, tmp_path, cheat, message):
    """`mine` comes first below the dense model's training; the others have the records of a run without it."""
    alone, plan = undisturbed
    file = plugin_file(tmp_path, score="cheat(ctx)")
    file.write_text(file.read_text() + CODE.replace("CHEAT", cheat))
    store, mixed, report = run("mine,magnitude,magnitude-init", plugins=[file], epochs="1")
    [reason] = report.failures.values()
    assert reason.startswith(f"strategy 'mine' changed {message}"), reason
    assert {label for (label, _, _), record in records_of(store, mixed).items() if record is None} == {"mine"}
    for cell in plan.cells:
        assert np.array_equal(store.logits(cell.leaf.key)["validation"], alone.logits(cell.leaf.key)["validation"]), (
            cell.method.label
        )


def test_hidden_states_may_be_asked_for():
    """transformers adds hooks of its own then. Other hooks are still a change."""
    ctx = context()
    before = Snapshot.of(ctx.model)
    inputs = {name: values for name, values in next(iter(ctx.batches())).items() if name != "labels"}
    assert len(ctx.model(**inputs, output_hidden_states=True).hidden_states) == 3
    assert list(before.changes()) == []
    ctx.model.bert.encoder.layer[0].register_forward_hook(lambda *args: None)
    assert list(before.changes()) == ["hooks of bert.encoder.layer.0"]


def test_nothing_is_a_change_but_a_change():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    with torch.no_grad():
        model[0].bias[0] = float("nan")
    before = Snapshot.of(model)
    assert not list(before.changes()), "a NaN is the same NaN"
    with torch.no_grad():
        model[0].weight[0, 0] += 1
    assert list(before.changes()) == ["weights: 0.weight"]
    assert not list(before.changes(may_move={"0.weight"}))
    model(torch.ones(3, 2))
    assert any("running_mean" in change for change in before.changes({"0.weight"}))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("None", "gave None as a mask"),
        ("{name: keep.numpy() for name, keep in ctx.mask.items()}", "gave ndarray for"),
        ("exit(3)", "raised SystemExit: 3"),
        ("(_ for _ in ()).throw(KeyboardInterrupt)", "raised KeyboardInterrupt (mine.py, line"),
        ("(_ for _ in ()).throw(type('Own', (BaseException,), {})('no'))", "raised Own: no"),
    ],
)
def test_a_wrong_answer_of_prune_costs_only_its_method(run, tmp_path, answer, message):
    file = plugin_file(tmp_path)
    method = f"    def prune(self, ctx, sparsity):\n        return {answer}\n\n    def score(self, ctx):"
    file.write_text(file.read_text().replace("    def score(self, ctx):", method))
    store, plan, report = run("mine,magnitude", plugins=[file], epochs="1")
    assert [reason for reason in report.failures.values() if message in reason]
    assert {label for (label, _, _), record in records_of(store, plan).items() if record is None} == {"mine"}


SLOW = {
    "in Python": "while slow: pass",
    "in torch": "while slow: torch.ones(300, 300) @ torch.ones(300, 300)",
    "in a call that nothing interrupts": "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM}); time.sleep(99)",
}


@pytest.mark.parametrize("call", SLOW.values(), ids=SLOW)
def test_a_call_that_takes_too_long_fails_its_own_method(run, tmp_path, call):
    """Also where the worker has to end: the last attempt runs in parts."""
    file = plugin_file(tmp_path, score="cheat(ctx)")
    code = CODE.replace("CHEAT", f"slow = True; {call}" if "while" not in call else f"slow = True\n    {call}")
    file.write_text("import signal, time\n" + file.read_text() + code)
    executor = ProcessExecutor(Request(1))
    store, plan, report = run(
        "mine,magnitude", plugins=[file], epochs="1", executor=executor, dispatch={"strategy_timeout": 1.0}
    )
    [reason] = report.failures.values()
    assert "strategy 'mine' took longer than 1 s in one call (see --strategy-timeout)" in reason
    assert {label for (label, _, _), record in records_of(store, plan).items() if record is None} == {"mine"}


def test_what_other_threads_draw_is_nobodys_change():
    """Dask's threads draw from `random` while a strategy scores."""
    before = Snapshot.of(torch.nn.Linear(2, 2))
    random.random()
    np.random.rand()
    assert not list(before.changes())
