"""Attention against a computation by hand, its measures against loops, and the command that trains what is not kept."""

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
from prunebench.models.fast.attention import put_on
from prunebench.models.sources import resolve
from prunebench.reports.attention import picture, terminal, write
from prunebench.reports.attention.measure import attentions, maps, measures, of_batch, showing
from prunebench.reports.attention.result import MEASURES, Comparison, Map, Model
from prunebench.store.store import Store
from prunebench.tasks.task import Split
from prunebench.training import batching

TEXTS = (
    ["the old dog sees a cat", "the film is very good"],
    ["the dog", "the story is rather bad and the plot is cold"],
)


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def tiny(request, tiny_models):
    """A tiny model of each family as a run has it, its tokenizer, and two pairs of texts of different length."""
    source = resolve(str(tiny_models[request.param.name]), FAMILIES)
    pm = load(source, request.param, num_labels=2, regression=False, seed=0)
    put_on(pm.model, "cpu")
    tokenizer = load_tokenizer(source)
    return pm, tokenizer, batching.encode(tokenizer, Split(TEXTS, [0, 1]), 64)


def by_hand(pm, batch):
    """softmax(q·kᵀ/√d) over real tokens in float64, from what comes out of each layer's query and key."""
    seen = {}
    hooks = [
        pm.model.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        for layer in pm.layers
        for name in (layer.query, layer.key)
    ]
    with torch.no_grad():
        pm.model.eval()(**batch)
    for hook in hooks:
        hook.remove()
    found = []
    for layer in pm.layers:
        query, key = (
            seen[name].double().unflatten(-1, (pm.heads, -1)).transpose(1, 2) for name in (layer.query, layer.key)
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(pm.head_size)
        scores = scores.masked_fill(~batch["attention_mask"].bool()[:, None, None, :], -torch.inf)
        found.append(scores.softmax(-1))
    return torch.stack(found)


def test_attention_is_that_of_queries_and_keys(tiny):
    pm, _, data = tiny
    batch = data.batch([0, 1])
    batch.pop("labels")
    with showing(pm.model) as model:
        found = attentions(model, batch)
    real = batch["attention_mask"].bool()
    assert found.shape == (2, 2, 4, *batch["input_ids"].shape[1:], batch["input_ids"].shape[1])
    assert not real.all(), "one text is longer"
    expected = by_hand(pm, batch)
    rows = real[None, :, None, :].expand(found.shape[:-1])
    assert torch.allclose(found[rows].double(), expected[rows], atol=1e-5)
    assert torch.allclose(found[rows].sum(-1), torch.ones(()), atol=1e-5)


def test_looking_leaves_the_model_as_it_was(tiny):
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


def test_measures_are_those_of_loops_over_rows(tiny):
    """Row by row, token by token, over both texts; padding is left out."""
    pm, tokenizer, data = tiny
    batch = data.batch([0, 1])
    batch.pop("labels")
    weights = by_hand(pm, batch)
    rows = [(b, i) for b in range(2) for i in range(int(batch["attention_mask"][b].sum()))]
    said = measures(pm.model, data, tokenizer.sep_token_id, tokenizer.cls_token_id)
    assert list(said) == list(MEASURES)
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
            assert said[measure][layer, head] == pytest.approx(total / len(rows), abs=1e-4)


def test_measures_by_hand():
    """Three tokens [CLS] x [SEP] and padding: one head attends to all alike, the other to the next token."""
    even = torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0]] * 4)
    following = torch.eye(4)[[1, 2, 2, 3]]
    weights = torch.stack([even, following])[None, None]
    batch = {"input_ids": torch.tensor([[1, 5, 2, 0]]), "attention_mask": torch.tensor([[1, 1, 1, 0]])}
    sums, rows = of_batch(weights, batch, separator=2, first=1)
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
    sums, rows = of_batch(weights, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, 2, 1)
    entropy, distance, separator, first = sums / rows
    assert (entropy > 0).all() and (entropy <= math.log(tokens) + 1e-6).all()
    assert (distance >= 0).all() and (distance <= tokens - 1).all()
    assert (separator + first <= 1 + 1e-6).all()


def test_maps_are_of_the_whole_text_and_nothing_else(tiny):
    pm, tokenizer, data = tiny
    [alone] = maps(pm.model, tokenizer, [(TEXTS[0][1], TEXTS[1][1])], 64, "cpu")
    ids = data.inputs["input_ids"][1, : data.lengths[1]]
    assert list(alone.tokens) == tokenizer.convert_ids_to_tokens(ids)
    batch = data.batch([1])
    batch.pop("labels")
    n = len(alone.tokens)
    assert np.allclose(alone.weights, by_hand(pm, batch)[:, 0, :, :n, :n], atol=1e-5)


# Pages


def comparison(layers=2, heads=4, gone=False):
    random = np.random.default_rng(0)
    tokens = ("[CLS]", "a$b", "<i>", "[SEP]")

    def model(name, some_gone):
        weights = random.dirichlet(np.ones(4), size=(layers, heads, 4))
        values = {measure: random.random((layers, heads)) for measure in MEASURES}
        if some_gone:
            weights[0, 1] = weights[-1] = np.nan
            for value in values.values():
                value[0, 1] = value[-1] = np.nan
        return Model(name, values, (Map(tokens, weights),), "as recorded, bit for bit", {"accuracy": 0.5})

    models = (model("dense", False), model("heads 0.5", gone))
    return Comparison("rte", 3, "validation", 277, (("model", "<tiny>"),), ("a$b <i>",), models)


@pytest.mark.parametrize(
    "found", [comparison(), comparison(12, 12), comparison(gone=True)], ids=["few", "many", "gone"]
)
def test_files_are_the_same_each_time(found, tmp_path):
    kinds = ("md", "csv", "svg", "png")
    one, other = (write(found, tmp_path / name, kinds, "prunebench attention") for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    page = (tmp_path / "one" / "README.md").read_text()
    assert "![Attention in text 1](text-1.svg)" in page and "<i>" not in page
    assert "<i>" not in (tmp_path / "one" / "text-1.svg").read_text().replace("<id", "")


def test_both_models_are_drawn_on_one_scale(tmp_path):
    found = comparison(gone=True)
    for figure in (picture.text(found, 0), picture.text(found, 0, [(0, 1), (1, 2)])):
        limits = {image.get_clim() for axes in figure.axes for image in axes.get_images()}
        assert len(limits) == 1
    axes = picture.summary(found).axes
    panels = [panel for panel in axes if panel.get_images()]
    assert len(panels) == 3 * len(MEASURES)
    for dense, pruned, apart in (panels[i : i + 3] for i in range(0, len(panels), 3)):
        assert dense.get_images()[0].get_clim() == pruned.get_images()[0].get_clim()
        low, high = apart.get_images()[0].get_clim()
        assert low == -high


def test_what_is_gone_is_in_no_mean():
    text = terminal(comparison(gone=True))
    line = next(line for line in text.splitlines() if line.startswith("1  ") and "→" in line)
    assert "→ —" in line
    dense, pruned = comparison(gone=True).models
    both = ~np.isnan(pruned.measures["entropy"])
    expected = f"{(pruned.measures['entropy'] - dense.measures['entropy'])[both].mean():+.3f}".replace("-", "−")
    assert expected in next(line for line in text.splitlines() if line.startswith("entropy"))


def test_no_torch_is_loaded_to_draw():
    code = "import sys, prunebench.reports.attention; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# The command


@pytest.fixture(scope="module")
def words(on_tiny):
    return [*on_tiny, "--epochs", "1", "--batch-size", "16"]


@pytest.fixture(scope="module")
def ran(words, tmp_path_factory):
    """A store after a run of IMP and heads; not to be changed."""
    store = tmp_path_factory.mktemp("stores") / "ran"
    options = ["--tasks", "rte", "--seeds", "1", "--strategies", "imp,heads", "--sparsities", "0.2,0.5"]
    assert call("run", *words, *options, "--store", store)[0] == 0
    return store


@pytest.fixture
def store(ran, tmp_path):
    return shutil.copytree(ran, tmp_path / "store")


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_trainings_again_give_what_is_recorded_bit_for_bit(words, store, tmp_path, trainings):
    before = files(store)
    asked = ["attention", *words, "--task", "rte", "--sparsity", "0.2", "--store", store]
    status, said, err = call(*asked, "--dry-run")
    assert status == 0, err
    assert "2 trainings, 2 of them again for masks or weights that are not kept" in said
    assert "Expected cost: about" in said and files(store) == before and trainings == []
    status, said, err = call(*asked, "--out", tmp_path / "out")
    assert status == 0, err
    assert len(trainings) == 2, "the masks are there: IMP is not climbed again"
    assert "Expected cost: about" in said.partition("rte, seed 0: attention")[0], "said before it trains"
    assert said.count("as recorded, bit for bit") == 2
    after = files(store)
    assert {path: data for path, data in after.items() if path in before} == before
    assert len(list((store / "models").iterdir())) == 2 and not list((store / "weights").glob("*"))
    with (tmp_path / "out" / "maps.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["model"] for line in lines} == {"dense", "imp 0.2"}
    places = [tuple(line[name] for name in ("model", "text", "layer", "head", "i")) for line in lines]
    row = [
        float(line["attention"]) for line, at in zip(lines, places, strict=True) if at == ("dense", "1", "1", "3", "2")
    ]
    assert sum(row) == pytest.approx(1, abs=1e-5)
    made = files(tmp_path / "out")
    status, said, _ = call(*asked, "--out", tmp_path / "out")
    assert (status, len(trainings)) == (0, 2)
    assert "Nothing is left to run" in said and files(tmp_path / "out") == made
    status, page, _ = call("leaderboard", "--store", store)
    assert status == 0 and page == call("leaderboard", "--store", store)[1]


def test_a_model_that_is_not_what_was_recorded_is_told(words, store):
    """A score with its sign turned round: so are its correlations."""
    asked = ["attention", *words, "--task", "stsb", "--sparsity", "0.1", "--store", store]
    status, said, _ = call(*asked)
    assert status == 0 and said.count("as recorded, bit for bit") == 2
    for path in (store / "models").iterdir():
        weights = safetensors.torch.load_file(path)
        weights["classifier.weight"] *= -1
        safetensors.torch.save_file(weights, path)
    status, said, _ = call(*asked, "--seed", "0")
    assert status == 0
    assert said.count("not as recorded: logits up to") == 2
    assert said.count("instead of") == 2 * len(("pearson", "spearmanr"))


def test_heads_that_are_gone_have_no_attention(words, store, tmp_path):
    asked = ["attention", *words, "--task", "rte", "--strategy", "heads", "--sparsity", "0.5", "--store", store]
    status, said, err = call(*asked, "--out", tmp_path, "--sentence", "the dog [SEP] the cat", "--head", "1.2")
    assert status == 0, err
    assert said.count("as recorded, bit for bit") == 2, "the compacted model is what was scored"
    with (tmp_path / "summary.csv").open() as file:
        lines = list(csv.DictReader(file))
    gone = [line for line in lines if line["entropy"] == ""]
    assert len(gone) == 4 and {line["model"] for line in gone} == {"heads 0.5"}
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


def test_a_run_keeps_its_models_where_it_is_asked_to(words, tmp_path):
    """Each is the model that its record is of, and another job that trains on takes nothing of it away."""
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
    assert "2 models" in call("doctor", "--store", store)[1]
    status, said, _ = call("run", *words, *options, "--store", store)
    assert status == 0 and "Nothing is left to run" in said
    (store / "models" / f"{cells['magnitude'].key}.safetensors").unlink()
    status, said, _ = call("plan", *words, *options, "--store", store)
    assert "2 trainings, 2 of them again" in said, "it trains on from dense weights, which are not kept as such"
