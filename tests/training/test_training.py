"""The training loop against a plain loop written another way."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn.utils import prune as torch_prune
from torch.utils._python_dispatch import TorchDispatchMode

from prunebench import Protocol, PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models import sources
from prunebench.models.encoder import load, load_tokenizer
from prunebench.models.families import FAMILIES
from prunebench.models.fast import dropout, embedding_subset
from prunebench.models.fast.attention import attend_as_on, put_on
from prunebench.runtime import devices, memory, progress
from prunebench.runtime.seeds import derive
from prunebench.tasks.task import DataSource
from prunebench.training import batching, loop
from prunebench.training.evaluation import decide, predict
from prunebench.training.resume import mask_in

PROTOCOL = Protocol(epochs=2, batch_size=10, lr=1e-3, max_length=64, clip=0.5)


@pytest.fixture
def setting(tiny_bert, tiny_glue):
    """A fresh tiny model and encoded data of a task."""

    def make(task="rte", seed=0):
        source = sources.resolve(str(tiny_bert), FAMILIES)
        labels = len(Registry().get("tasks", task).labels) or 1
        subject = load(source, FAMILIES[0], num_labels=labels, regression=labels == 1, seed=seed)
        put_on(subject.model, "cpu")
        data = Registry().get("tasks", task).load(DataSource(tiny_glue)).train
        return subject, batching.encode(load_tokenizer(source), data, PROTOCOL.max_length)

    return make


def half_masks(subject, seed=0):
    generator = torch.Generator().manual_seed(seed)
    named = dict(subject.model.named_parameters())
    return {name: torch.rand(named[name].shape, generator=generator) > 0.5 for name in subject.prunable}


def train(subject, data, keep=None, epochs=PROTOCOL.epochs, **options):
    keep = keep or {}
    with torch.no_grad():
        for name, parameter in subject.model.named_parameters():
            if name in keep:
                parameter.mul_(keep[name])
    options = {"precision": "fp32", "device": "cpu", **options}
    protocol = options.pop("protocol", PROTOCOL).override(epochs=epochs)
    return loop.train(subject.model, data, protocol, 0, keep, **options)


def weights(subject):
    return {name: parameter.detach().clone() for name, parameter in subject.model.named_parameters()}


def ragged(data):
    """The data with texts cut to all lengths from 4 tokens on."""
    lengths = torch.arange(len(data)) % (int(data.lengths.max()) - 3) + 4
    real = torch.arange(data.inputs["input_ids"].shape[1]) < lengths[:, None]
    return batching.Encoded({name: rows * real for name, rows in data.inputs.items()}, data.labels, lengths)


@pytest.mark.parametrize("part", [1000, 1])
def test_masked_training_is_that_of_a_model_without_those_weights(setting, monkeypatch, part):
    """The twin has torch's own pruning (weight = weight_orig ⊙ mask), a schedule written by hand, and whole batches."""
    monkeypatch.setattr(batching, "part_cost", lambda weights: part)
    monkeypatch.setattr(batching, "MULTIPLE", 1)
    subject, data = setting()
    data = ragged(data)
    twin, _ = setting()
    for module in [*subject.model.modules(), *twin.model.modules()]:
        if isinstance(module, dropout.Dropout):  # the numbers of parts are drawn otherwise than those of the whole
            module.p = 0.0
    first = next(batching.shuffled(data, 10, torch.Generator().manual_seed(derive(0, "order"))))
    assert (len(batching.parts(data, first, part)) > 1) == (part == 1)
    keep = half_masks(subject)
    train(subject, data, keep)

    model = twin.model
    for name in twin.prunable:
        torch_prune.custom_from_mask(model.get_submodule(name.removesuffix(".weight")), "weight", keep[name].float())
    optimizer = torch.optim.AdamW(model.parameters(), lr=PROTOCOL.lr, weight_decay=0.0, eps=1e-8)
    total = 2 * math.ceil(len(data) / 10)
    order = torch.Generator().manual_seed(derive(0, "order"))
    model.train()
    step = 0
    for _ in range(2):
        for indices in list(batching.shuffled(data, 10, order)):
            for group in optimizer.param_groups:
                group["lr"] = PROTOCOL.lr * (1 - step / total)
            batch = data.batch(indices)
            logits = model(**{name: value for name, value in batch.items() if name != "labels"}).logits
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits, batch["labels"]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), PROTOCOL.clip)
            optimizer.step()
            step += 1
    found = weights(subject)
    for name, parameter in model.named_parameters():
        plain = name.removesuffix("_orig")
        expected = parameter.detach() * keep[plain] if plain in keep else parameter.detach()
        torch.testing.assert_close(found[plain], expected, rtol=2e-3, atol=2e-5)
    assert all(not found[name][~keep[name]].any() for name in keep)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_rows_of_words_that_no_text_has_are_left_out_of_a_training_and_no_more(setting, monkeypatch, decay):
    """Against a training with the whole table, which weight decay moves. What looks at the model sees all of it."""
    found, rows = [], []

    def go(share):
        subject, data = setting()
        few = data.inputs["input_ids"].clone()
        few[few >= 30] = 7
        data = batching.Encoded({**data.inputs, "input_ids": few}, data.labels, data.lengths)
        table = subject.model.get_input_embeddings()
        monkeypatch.setattr(embedding_subset, "SHARE", share)
        sizes = []
        table.register_forward_hook(lambda module, ids, vectors: sizes.append(len(module.weight)))
        looks = {3: lambda: sizes.append(len(table.weight))}
        protocol = {"protocol": PROTOCOL.override(weight_decay=decay)}
        train(subject, data, half_masks(subject), events=loop.Events(snapshots=looks), **protocol)
        assert table.weight is dict(subject.model.named_parameters())["bert.embeddings.word_embeddings.weight"]
        assert not table._forward_pre_hooks
        found.append(weights(subject))
        rows.append(set(sizes))

    go(2)
    go(10**9)
    whole = len(found[0]["bert.embeddings.word_embeddings.weight"])
    assert rows[1] == {whole}
    assert whole in rows[0]
    assert (min(rows[0]) <= 30) == (not decay)
    for name, tensor in found[1].items():
        torch.testing.assert_close(found[0][name], tensor, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pruned_weights_stay_exactly_zero_and_others_move(setting, precision):
    subject, data = setting()
    keep = half_masks(subject)
    before = weights(subject)
    outcome = train(subject, data, keep, precision=precision)
    after = weights(subject)
    for name in keep:
        assert not after[name][~keep[name]].any()
        assert (after[name] != before[name])[keep[name]].float().mean() > 0.9
    assert outcome.steps == 2 * math.ceil(len(data) / 10)
    assert math.isfinite(outcome.loss)


def test_a_mask_that_grows_takes_weights_and_their_momentum(setting):
    """Newly pruned weights are zero at once and stay so, though the optimiser had moved them before."""
    subject, data = setting()
    first, second = half_masks(subject, 1), half_masks(subject, 2)
    both = {name: first[name] & second[name] for name in first}
    events = loop.Events(masks={4: lambda: both})
    train(subject, data, first, events=events)
    after = weights(subject)
    assert all(not after[name][~both[name]].any() for name in both)


def test_a_snapshot_is_the_state_of_that_step(setting):
    subject, data = setting()
    seen = {}
    events = loop.Events(snapshots={3: lambda: seen.update(weights(subject))})
    train(subject, data, events=events)
    final = weights(subject)
    short, _ = setting()
    stop = RuntimeError("after three steps")

    def raise_stop():
        seen["again"] = weights(short)
        raise stop

    with pytest.raises(RuntimeError, match="after three steps"):
        train(short, data, events=loop.Events(snapshots={3: raise_stop}))
    again = seen.pop("again")
    assert all(torch.equal(seen[name], again[name]) for name in again)
    assert not torch.equal(seen["classifier.weight"], final["classifier.weight"])


def test_the_same_seed_is_the_same_training_and_order_does_not_depend_on_the_mask(setting, monkeypatch):
    orders = []
    real = batching.Encoded.batch
    monkeypatch.setattr(batching.Encoded, "batch", lambda self, indices: orders.append(indices) or real(self, indices))
    results = []
    for masked in (False, False, True):
        subject, data = setting()
        train(subject, data, half_masks(subject) if masked else None)
        results.append((weights(subject), list(orders)))
        orders.clear()
    (one, order_one), (two, order_two), (_, order_masked) = results
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert order_one == order_two == order_masked


def test_training_learns_what_can_be_learnt(setting):
    subject, data = setting("sst2")
    train(subject, data, epochs=20)
    logits = predict(subject.model, data, precision="fp32", device="cpu")
    assert (logits.argmax(axis=1) == data.labels.numpy()).mean() > 0.9


def test_scores_are_trained_by_squared_error(setting):
    subject, data = setting("stsb")
    task = Registry().get("tasks", "stsb")
    start = predict(subject.model, data, precision="fp32", device="cpu")
    train(subject, data, epochs=20)
    end = predict(subject.model, data, precision="fp32", device="cpu")
    assert np.square(end[:, 0] - data.labels.numpy()).mean() < np.square(start[:, 0] - data.labels.numpy()).mean() / 2
    assert decide(task, end) == end[:, 0].tolist()


def test_predictions_come_in_the_order_of_the_split(setting):
    """One example at a time, without padding, gives the same logits."""
    subject, data = setting()
    lengths = []
    last = subject.model.get_submodule(subject.layers[-1].output)
    hook = last.register_forward_pre_hook(lambda _, tensors: lengths.append(tensors[0].shape[1]))
    together = predict(subject.model, data, precision="fp32", device="cpu")
    hook.remove()
    assert set(lengths) == {1}, "the last layer goes on with the first token alone"
    for i in range(0, len(data), 7):
        alone = {name: rows[i : i + 1, : data.lengths[i]].long() for name, rows in data.inputs.items()}
        with torch.no_grad():
            np.testing.assert_allclose(subject.model(**alone).logits[0].numpy(), together[i], atol=1e-5)


def test_progress_is_reported_with_the_mean_loss(setting):
    subject, data = setting()
    seen = []
    with progress.listening(seen.append):
        train(subject, data, epochs=5)
    total = 5 * math.ceil(len(data) / 10)
    assert total == 25
    assert [moment.step for moment in seen] == [10, 20, 25]
    assert {moment.steps for moment in seen} == {total}
    assert all(0 < moment.loss < 5 for moment in seen)
    train(subject, data)
    assert len(seen) == math.ceil(total / loop.REPORT_EVERY["cpu"]), "nobody listens any more"


def test_a_loss_that_is_no_number_ends_the_training(setting):
    subject, data = setting()
    with torch.no_grad():
        subject.model.classifier.weight.fill_(torch.nan)
    with pytest.raises(PrunebenchError, match="diverged"):
        train(subject, data)


def test_another_seed_is_another_order_and_other_dropout(setting, monkeypatch):
    """Of two seeds neither stream is the same; the order is told apart from the dropout by the first loss."""
    orders, losses = [], []
    real_batch, real_loss = batching.Encoded.batch, loop.loss_of

    def batch(self, indices):
        orders[-1].append(indices)
        return real_batch(self, sorted(indices))

    def loss_of(logits, labels):
        loss = real_loss(logits, labels)
        losses[-1].append(loss.item())
        return loss

    monkeypatch.setattr(batching.Encoded, "batch", batch)
    monkeypatch.setattr(loop, "loss_of", loss_of)
    whole = PROTOCOL.override(batch_size=1000, epochs=2)
    for seed in (0, 1, 0):
        subject, data = setting()
        orders.append([])
        losses.append([])
        loop.train(subject.model, data, whole, seed, {}, precision="fp32", device="cpu")
    assert losses[0] == losses[2]
    # All examples are in the one batch of an epoch, and in one order: what is left to differ is the dropout.
    assert losses[0][0] != losses[1][0]
    orders.clear()
    for seed in (0, 1):
        subject, data = setting()
        orders.append([])
        losses.append([])
        loop.train(subject.model, data, PROTOCOL, seed, {}, precision="fp32", device="cpu")
    assert orders[0] != orders[1]
    assert sorted(i for batch in orders[0] for i in batch) == sorted(i for batch in orders[1] for i in batch)


@pytest.mark.parametrize("at", [1, 7])
def test_a_training_goes_on_from_its_middle_bit_for_bit(setting, at):
    """In the first and in the second of two epochs; the generator is elsewhere when it goes on, as in a new process."""
    kept = []
    subject, data = setting()
    keep = half_masks(subject)
    steps = iter(range(1, 100))
    midway = loop.Midway(lambda: next(steps) == at, kept.append, mask=lambda: keep)
    whole = train(subject, data, keep, events=loop.Events(midway=midway))
    expected = weights(subject)
    again, _ = setting()
    torch.manual_seed(123)
    dropout.SOURCE.seed(123)
    seen = []
    with progress.listening(seen.append):
        midway = loop.Midway(lambda: False, kept.append, data=kept[0])
        rest = train(again, data, keep, events=loop.Events(midway=midway))
    assert rest == whole
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(again).items())
    assert len(kept) == 1
    found = mask_in(kept[0])
    assert found.keys() == keep.keys() and all(torch.equal(found[name], keep[name]) for name in keep)


class Casts(TorchDispatchMode):
    """Counts how often a parameter is cast to bf16."""

    def __init__(self, parameter):
        super().__init__()
        self.parameter = parameter
        self.times = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._to_copy.default and args[0].data_ptr() == self.parameter.data_ptr():
            self.times += 1
        return function(*args, **(kwargs or {}))


def test_weights_are_cast_once_a_step_however_many_parts_a_batch_has(setting, monkeypatch):
    monkeypatch.setattr(batching, "parts", lambda data, indices, cost: [indices[:1], indices[1:2], indices[2:]])
    subject, data = setting()
    with Casts(dict(subject.model.named_parameters())[subject.prunable[0]]) as casts:
        outcome = train(subject, data, {}, precision="bf16", epochs=1)
    assert casts.times == outcome.steps > 1


def test_a_compiled_training_is_the_same_training(setting, monkeypatch):
    """The trace without the compiler, which takes a minute: hooks, loss and gradients are those of the model."""
    monkeypatch.setattr(loop, "BACKEND", "aot_eager")
    found = []
    for precision in ("fp32", "fp32+compile"):
        subject, data = setting()
        attend_as_on(subject.model, "cuda")
        for module in subject.model.modules():
            if isinstance(module, dropout.Dropout):
                module.p = 0.0
        train(subject, data, half_masks(subject), precision=precision, epochs=1)
        found.append(weights(subject))
    times = loop.compiled.cache_info().misses
    loop.compiled.cache_clear()
    assert times == 1, "one of the two was compiled"
    plain, compiled = found
    assert all(torch.allclose(plain[name], compiled[name], rtol=1e-4, atol=1e-5) for name in plain)


class Waits(TorchDispatchMode):
    """Counts the numbers that a step takes from tensors which would be on the GPU; lengths never are, and are int64."""

    def __init__(self):
        super().__init__()
        self.times = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default and args[0].dtype != torch.int64:
            self.times += 1
        return function(*args, **(kwargs or {}))


def test_on_a_gpu_no_step_waits_for_it(setting):
    """As many waits as there are reports of the loss, and one in the end, however many steps there are."""
    subject, data = setting()
    attend_as_on(subject.model, "cuda")
    with Waits() as waits:
        outcome = train(subject, ragged(data), epochs=6)
    assert outcome.steps == 30
    assert waits.times == 30 / loop.REPORT_EVERY["cpu"] + 1


def test_attention_for_a_gpu_says_what_transformers_own_says(setting):
    subject, data = setting()
    batch = ragged(data).batch(range(20))
    del batch["labels"]
    found = []
    for attend in (lambda: subject.model.set_attn_implementation("sdpa"), lambda: attend_as_on(subject.model, "cuda")):
        attend()
        subject.model.eval()
        found.append(subject.model(**batch).logits)
    assert torch.equal(*found)


@pytest.mark.parametrize(("version", "device"), [("2.13.0+cpu", "cpu"), ("2.13.0+cu130", "cuda"), ("2.13.0", "cuda")])
def test_a_gpu_is_looked_for_where_the_build_may_use_one(monkeypatch, version, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices.importlib.metadata, "version", lambda name: version)
    assert devices.resolve_device("auto") == device
    assert devices.resolve_device("cpu") == "cpu"
    devices.check_device(device)
    if device == "cpu":
        with pytest.raises(PrunebenchError, match="there is no CUDA device here"):
            devices.check_device("cuda")


FREED = """
from pathlib import Path
from prunebench.runtime import memory

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000

memory.keep_memory()
start = held()
blocks = [bytearray(b"1" * 1_000_000) for _ in range(200)]
del blocks
print(held() - start)
memory.reset_peak_memory("cpu")
print(held() - start)
"""


@pytest.mark.skipif(memory._libc() is None, reason="the C library is not glibc")
def test_what_a_worker_frees_it_keeps_until_its_next_job():
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    kept, left = map(int, done.stdout.split())
    assert kept > 150
    assert left < 50


def test_workers_share_the_gpus_that_there_are(monkeypatch):
    taken = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    for number in range(5):
        devices.take_gpu(number)
    assert taken == [0, 1, 0, 1, 0]
    assert devices.default_jobs("cuda", 1) == 2
