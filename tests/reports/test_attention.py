"""Attention and its measures against plain computations, the pages, and `prunebench attention`."""

from __future__ import annotations

import csv
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from commands import call
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.models.encoder import load, load_tokenizer
from prunebench.models.families import FAMILIES
from prunebench.models.fast.device import move_and_accelerate
from prunebench.models.sources import resolve
from prunebench.reports.attention import plots, terminal, write
from prunebench.reports.attention.measure import attentions, batch_sums, eager_attention, maps, measures
from prunebench.reports.attention.result import MEASURES, AttentionComparison, Map, Model
from prunebench.store.seals import seal_tensors
from prunebench.store.store import Store
from prunebench.tasks.task import Split
from prunebench.training import batching

TEXTS = (
    ["the old dog sees a cat", "the film is very good"],
    ["the dog", "the story is rather bad and the plot is cold"],
)


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def tiny(request, tiny_models):
    """A tiny model of each family as a run loads it, its tokenizer, and two pairs of texts of different length."""
    source = resolve(str(tiny_models[request.param.name]), FAMILIES)
    pm = load(source, request.param, num_labels=2, regression=False, seed=0)
    move_and_accelerate(pm.model, "cpu")
    tokenizer = load_tokenizer(source)
    return pm, tokenizer, batching.encode(tokenizer, Split(TEXTS, [0, 1]), 64)


def by_hand(pm, batch):
    """softmax(q·kᵀ/√d) over real tokens in float64, from the outputs of each layer's query and key."""
    outputs = {}
    hooks = [
        pm.model.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out}))
        for layer in pm.layers
        for name in (layer.query, layer.key)
    ]
    with torch.no_grad():
        pm.model.eval()(**batch)
    for hook in hooks:
        hook.remove()
    by_layer = []
    for layer in pm.layers:
        query, key = (
            outputs[name].double().unflatten(-1, (pm.heads, -1)).transpose(1, 2) for name in (layer.query, layer.key)
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(pm.head_size)
        scores = scores.masked_fill(~batch["attention_mask"].bool()[:, None, None, :], -torch.inf)
        by_layer.append(scores.softmax(-1))
    return torch.stack(by_layer)


def test_attention_follows_from_queries_and_keys(tiny):
    pm, _, data = tiny
    batch = data.batch([0, 1])
    batch.pop("labels")
    with eager_attention(pm.model) as model:
        weights = attentions(model, batch)
    real = batch["attention_mask"].bool()
    assert weights.shape == (2, 2, 4, *batch["input_ids"].shape[1:], batch["input_ids"].shape[1])
    assert not real.all(), "one text is longer"
    expected = by_hand(pm, batch)
    rows = real[None, :, None, :].expand(weights.shape[:-1])
    assert torch.allclose(weights[rows].double(), expected[rows], atol=1e-5)
    assert torch.allclose(weights[rows].sum(-1), torch.ones(()), atol=1e-5)


def test_measuring_does_not_change_the_model(tiny):
    pm, tokenizer, data = tiny
    batch = data.batch([0, 1])
    batch.pop("labels")
    pm.model.train()
    before = {name: value.clone() for name, value in pm.model.named_parameters()}
    kind = pm.model.config._attn_implementation
    measures(pm.model, data, tokenizer.sep_token_id, tokenizer.cls_token_id)
    assert pm.model.training and pm.model.config._attn_implementation == kind == "prunebench"
    assert all(torch.equal(value, before[name]) for name, value in pm.model.named_parameters())
    assert pm.model.eval()(**batch).logits.requires_grad


def test_measures_equal_loops_over_rows(tiny):
    """Row by row, token by token, over both texts; padding is left out."""
    pm, tokenizer, data = tiny
    batch = data.batch([0, 1])
    batch.pop("labels")
    weights = by_hand(pm, batch)
    rows = [(b, i) for b in range(2) for i in range(int(batch["attention_mask"][b].sum()))]
    values = measures(pm.model, data, tokenizer.sep_token_id, tokenizer.cls_token_id)
    assert list(values) == list(MEASURES)
    for layer, head in np.ndindex(2, 4):
        sums = dict.fromkeys(MEASURES, 0.0)
        for b, i in rows:
            for j in range(int(batch["attention_mask"][b].sum())):
                p, token = weights[layer, b, head, i, j].item(), batch["input_ids"][b, j].item()
                sums["entropy"] -= p * math.log(p)
                sums["distance"] += p * abs(i - j)
                sums["to [SEP]"] += p * (token == tokenizer.sep_token_id)
                sums["to [CLS]"] += p * (token == tokenizer.cls_token_id)
        for measure, total in sums.items():
            assert values[measure][layer, head] == pytest.approx(total / len(rows), abs=1e-4)


def test_measures_by_hand():
    """Three tokens [CLS] x [SEP] and padding: one head attends to all equally, the other to the next token."""
    even = torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0]] * 4)
    following = torch.eye(4)[[1, 2, 2, 3]]
    weights = torch.stack([even, following])[None, None]
    batch = {"input_ids": torch.tensor([[1, 5, 2, 0]]), "attention_mask": torch.tensor([[1, 1, 1, 0]])}
    sums, rows = batch_sums(weights, batch, separator=2, first=1)
    assert rows == 3
    entropy, distance, separator, first = (sums[:, 0] / rows).tolist()
    assert entropy == pytest.approx([math.log(3), 0.0])
    # Even: (0+1+2)/3, (1+0+1)/3, (2+1+0)/3. Following: 1, 1, 0.
    assert distance == pytest.approx([(1 + 2 / 3 + 1) / 3, 2 / 3])
    assert separator == pytest.approx([1 / 3, 2 / 3])
    assert first == pytest.approx([1 / 3, 0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_measures_stay_within_their_bounds(seed, tokens):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand((2, 3, 4, tokens, tokens), generator=generator).softmax(-1)
    ids = torch.randint(0, 4, (3, tokens), generator=generator)
    sums, rows = batch_sums(weights, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, 2, 1)
    entropy, distance, separator, first = sums / rows
    assert (entropy > 0).all() and (entropy <= math.log(tokens) + 1e-6).all()
    assert (distance >= 0).all() and (distance <= tokens - 1).all()
    assert (separator + first <= 1 + 1e-6).all()


def test_a_map_covers_the_whole_text_without_padding(tiny):
    pm, tokenizer, data = tiny
    [alone] = maps(pm.model, tokenizer, [(TEXTS[0][1], TEXTS[1][1])], 64, "cpu")
    ids = data.inputs["input_ids"][1, : data.lengths[1]]
    assert list(alone.tokens) == tokenizer.convert_ids_to_tokens(ids)
    batch = data.batch([1])
    batch.pop("labels")
    n = len(alone.tokens)
    assert np.allclose(alone.weights, by_hand(pm, batch)[:, 0, :, :n, :n], atol=1e-5)


# Pages


def comparison(layers=2, heads=4, pruned=False):
    random = np.random.default_rng(0)
    tokens = ("[CLS]", "a$b", "<i>", "[SEP]")

    def model(name, has_pruned_heads):
        weights = random.dirichlet(np.ones(4), size=(layers, heads, 4))
        values = {measure: random.random((layers, heads)) for measure in MEASURES}
        if has_pruned_heads:
            weights[0, 1] = weights[-1] = np.nan
            for value in values.values():
                value[0, 1] = value[-1] = np.nan
        return Model(name, values, (Map(tokens, weights),), "as recorded, bit for bit", {"accuracy": 0.5})

    models = (model("dense", False), model("heads 0.5", pruned))
    return AttentionComparison("rte", 3, "validation", 277, (("model", "<tiny>"),), ("a$b <i>",), models)


@pytest.mark.parametrize(
    ("result", "picture"),
    [(comparison(), "png"), (comparison(7, 7), "svg"), (comparison(pruned=True), "svg")],
    ids=["few", "many", "pruned"],
)
def test_files_are_the_same_each_time(result, picture, tmp_path):
    kinds = ("md", "csv", picture)
    one, other = (write(result, tmp_path / name, kinds, "prunebench attention") for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    page = (tmp_path / "one" / "README.md").read_text()
    assert f"![Attention in text 1](text-1.{picture})" in page and "<i>" not in page
    if picture == "svg":
        assert "<i>" not in (tmp_path / "one" / "text-1.svg").read_text().replace("<id", "")


def test_both_models_are_drawn_on_one_scale(tmp_path):
    result = comparison(pruned=True)
    for figure in (plots.text(result, 0), plots.text(result, 0, [(0, 1), (1, 2)])):
        limits = {image.get_clim() for axes in figure.axes for image in axes.get_images()}
        assert len(limits) == 1
    axes = plots.summary(result).axes
    panels = [panel for panel in axes if panel.get_images()]
    assert len(panels) == 3 * len(MEASURES)
    for dense, pruned, difference in (panels[i : i + 3] for i in range(0, len(panels), 3)):
        assert dense.get_images()[0].get_clim() == pruned.get_images()[0].get_clim()
        low, high = difference.get_images()[0].get_clim()
        assert low == -high


def test_pruned_heads_are_in_no_mean():
    text = terminal(comparison(pruned=True))
    line = next(line for line in text.splitlines() if line.startswith("1  ") and "→" in line)
    assert "→ —" in line
    dense, pruned = comparison(pruned=True).models
    both = ~np.isnan(pruned.measures["entropy"])
    expected = f"{(pruned.measures['entropy'] - dense.measures['entropy'])[both].mean():+.3f}".replace("-", "−")
    assert expected in next(line for line in text.splitlines() if line.startswith("entropy"))


def test_drawing_needs_no_torch():
    code = "import sys, prunebench.reports.attention; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# The command


@pytest.fixture(scope="module")
def words(on_tiny):
    return [*on_tiny, "--epochs", "1", "--batch-size", "16"]


@pytest.fixture(scope="module")
def finished_store(words, tmp_path_factory):
    """A store after a run of IMP and heads. Tests must not change it."""
    store = tmp_path_factory.mktemp("stores") / "finished"
    options = ["--tasks", "rte", "--seeds", "1", "--strategies", "imp,heads", "--sparsities", "0.2,0.5"]
    assert call("run", *words, *options, "--store", store)[0] == 0
    return store


@pytest.fixture
def store(finished_store, tmp_path):
    return shutil.copytree(finished_store, tmp_path / "store")


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_two_models_are_trained_again_and_equal_their_records(words, store, tmp_path, trainings):
    before = files(store)
    arguments = ["attention", *words, "--task", "rte", "--sparsity", "0.2", "--store", store]
    status, out, err = call(*arguments, "--dry-run")
    assert status == 0, err
    assert "2 trainings, 2 of them again for masks or weights that are not kept" in out
    assert "Expected cost: about" in out and files(store) == before and trainings == []
    pages = ["--format", "md,csv", "--out", tmp_path / "out"]
    status, out, err = call(*arguments, *pages)
    assert status == 0, err
    assert len(trainings) == 2, "the masks are stored, so the rounds of IMP are not repeated"
    assert "Expected cost: about" in out.partition("rte, seed 0: attention")[0], "the cost stands before the training"
    assert out.count("as recorded, bit for bit") == 2
    after = files(store)
    assert {path: data for path, data in after.items() if path in before} == before
    assert len(list((store / "models").iterdir())) == 2 and not list((store / "weights").glob("*"))
    with (tmp_path / "out" / "maps.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["model"] for line in lines} == {"dense", "imp 0.2"}
    rows = [tuple(line[name] for name in ("model", "text", "layer", "head", "i")) for line in lines]
    row = [
        float(line["attention"]) for line, at in zip(lines, rows, strict=True) if at == ("dense", "1", "1", "3", "2")
    ]
    assert sum(row) == pytest.approx(1, abs=1e-5)
    first = files(tmp_path / "out")
    status, out, _ = call(*arguments, *pages)
    assert (status, len(trainings)) == (0, 2)
    assert "Nothing is left to run" in out and files(tmp_path / "out") == first
    status, page, _ = call("leaderboard", "--store", store)
    assert status == 0 and page == call("leaderboard", "--store", store)[1]


def test_a_model_that_differs_from_its_record_is_named(words, store):
    """Turning the sign of the predicted scores turns their correlations."""
    arguments = ["attention", *words, "--task", "stsb", "--sparsity", "0.1", "--store", store]
    status, out, _ = call(*arguments)
    assert status == 0 and out.count("as recorded, bit for bit") == 2
    for path in (store / "models").iterdir():
        weights = safetensors.torch.load_file(path)
        weights["classifier.weight"] *= -1
        path.write_bytes(seal_tensors(f"models/{path.name}", safetensors.torch.save(weights)))
    status, out, _ = call(*arguments, "--seed", "0")
    assert status == 0
    assert out.count("not as recorded: logits up to") == 2
    assert out.count("instead of") == 2 * len(("pearson", "spearmanr"))


def test_pruned_heads_have_no_attention(words, store, tmp_path):
    arguments = ["attention", *words, "--task", "rte", "--strategy", "heads", "--sparsity", "0.5", "--store", store]
    chosen = ["--sentence", "the dog [SEP] the cat", "--head", "1.2"]
    status, out, err = call(*arguments, *chosen, "--format", "csv,svg", "--out", tmp_path)
    assert status == 0, err
    assert out.count("as recorded, bit for bit") == 2, "the record is of the compacted model"
    with (tmp_path / "summary.csv").open() as file:
        lines = list(csv.DictReader(file))
    pruned = [line for line in lines if line["entropy"] == ""]
    assert len(pruned) == 4 and {line["model"] for line in pruned} == {"heads 0.5"}
    with (tmp_path / "maps.csv").open() as file:
        tokens = {(line["i"], line["token_i"]) for line in csv.DictReader(file)}
    assert [token for _, token in sorted(tokens)] == ["[CLS]", "the", "dog", "[SEP]", "the", "cat", "[SEP]"]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--task", "rtee"], ["unknown task 'rtee'", "did you mean 'rte'?"]),
        (["--task", "rte", "--strategy", "dense"], ["the dense model alone"]),
        (["--task", "rte", "--sparsity", "2"], ["outside [0, 1)"]),
        (["--task", "rte", "--head", "x"], ["cannot read head 'x'", "LAYER.HEAD"]),
        (["--task", "rte", "--head", "2.0"], ["no head 2.0", "2 layers of 4 heads"]),
        (["--task", "rte", "--sentence", "a [SEP] b [SEP] c"], ["cannot read sentence", "two with [SEP]"]),
        (["--task", "rte", "--format", "bmp"], ["unknown format 'bmp'"]),
    ],
)
def test_a_bad_option_is_one_line(words, tmp_path, options, parts):
    status, _, err = call("attention", *words, *options, "--store", tmp_path / "store")
    assert status == 2
    assert err.startswith("prunebench: ") and len(err.splitlines()) == 1
    assert all(part in err for part in parts), err
    assert not (tmp_path / "store").exists()


def test_a_run_keeps_its_models_on_request(words, tmp_path):
    """Each is the model of its record, also when another job goes on from it."""
    options = ["--tasks", "rte", "--seeds", "1", "--strategies", "magnitude", "--sparsities", "0.5", "--keep-models"]
    store = tmp_path / "store"
    status, _, err = call("run", *words, *options, "--store", store)
    assert status == 0, err
    cells = {cell.label: cell for cell in Store.open(store).plans()[-1].cells}
    assert {path.stem for path in (store / "models").iterdir()} == {cell.key for cell in cells.values()}
    weights = safetensors.torch.load_file(store / "models" / f"{cells['magnitude'].key}.safetensors")
    zeros = sum(int((weight == 0).sum()) for name, weight in weights.items() if "layer" in name and weight.dim() == 2)
    assert zeros == 16384 // 2
    assert not list((store / "weights").glob("*"))
    assert "3 models" in call("doctor", "--store", store)[1]
    status, out, _ = call("run", *words, *options, "--store", store)
    assert status == 0 and "Nothing is left to run" in out
    (store / "models" / f"{cells['magnitude'].key}.safetensors").unlink()
    status, out, _ = call("plan", *words, *options, "--store", store)
    assert "2 trainings, 2 of them again" in out, "it goes on from dense weights, which are not kept"
