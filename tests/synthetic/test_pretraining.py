"""Pre-training on the generated language, and the committed checkpoint."""

import dataclasses
import json
import struct
from itertools import islice
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from prunebench.models.encoder import load, load_tokenizer  # noqa: E402
from prunebench.models.families import FAMILIES  # noqa: E402
from prunebench.models.sources import resolve  # noqa: E402
from prunebench.synthetic import pretraining  # noqa: E402
from prunebench.synthetic.corpus import pairs  # noqa: E402
from prunebench.synthetic.plugin import QUICK_BERT  # noqa: E402
from prunebench.synthetic.tasks import quick_tasks  # noqa: E402
from prunebench.tasks.task import DataSource  # noqa: E402

TINY = pretraining.Settings(layers=1, hidden=16, heads=2, intermediate=32, steps=20, batch=16)


def batches(settings, number):
    make = pretraining.Batches(settings, pretraining.tokenizer(), "cpu")
    return list(islice(make(pairs(0)), number))


# --- masked words and pairs ---


def test_the_shares_of_masked_tokens_are_those_of_the_paper():
    settings = pretraining.Settings(masked=0.15, hidden_words=0.8)
    tokens = pretraining.tokenizer()
    selected = special = masked = unchanged = words = 0
    for batch in batches(settings, 60):
        labels, ids = batch["labels"], batch["input_ids"]
        select = labels != pretraining.IGNORED
        selected += select.sum().item()
        masked += (select & (ids == tokens.mask_token_id)).sum().item()
        unchanged += (select & (ids == labels)).sum().item()
        special += (select & (labels < len(pretraining.SPECIAL))).sum().item()
        words += (ids >= len(pretraining.SPECIAL)).sum().item() + (ids == tokens.mask_token_id).sum().item()
    assert special == 0
    assert selected / words == pytest.approx(0.15, abs=0.005)
    assert masked / selected == pytest.approx(0.8, abs=0.02)
    # A tenth is left unchanged. Another tenth becomes a random word, which is the same word in rare cases.
    assert unchanged / selected == pytest.approx(0.1, abs=0.02)


def test_pairs_are_encoded_as_in_bert():
    tokens = pretraining.tokenizer()
    source = [pair for pair in islice(pairs(0), 64)]
    batch = pretraining.Batches(pretraining.Settings(masked=0.0), tokens, "cpu").batch(source)
    for row, pair in enumerate(source):
        length = int(batch["attention_mask"][row].sum())
        ids = batch["input_ids"][row, :length]
        second = batch["token_type_ids"][row, :length].bool()
        assert ids[0] == tokens.cls_token_id and (ids == tokens.sep_token_id).sum() == 2
        assert tokens.decode(ids[~second][1:-1]) == pair.first.lower()
        assert tokens.decode(ids[second][:-1]) == pair.second.lower()
        assert batch["next_sentence_label"][row] == (0 if pair.matches else 1)


def test_the_same_seed_gives_the_same_batches_and_another_gives_others():
    one, again = batches(TINY, 3), batches(TINY, 3)
    assert all(torch.equal(a[name], b[name]) for a, b in zip(one, again, strict=True) for name in a)
    other = pretraining.Batches(pretraining.Settings(seed=1, batch=16), pretraining.tokenizer(), "cpu")
    assert not torch.equal(one[0]["input_ids"], next(other(pairs(0)))["input_ids"])


def test_every_word_of_every_task_is_known():
    tokens = pretraining.tokenizer()
    for task in quick_tasks():
        data = task.load(DataSource())
        for split in (data.train, *data.evaluations.values()):
            for column in split.texts:
                assert tokens.unk_token_id not in {token for ids in tokens(column)["input_ids"] for token in ids}


# --- training ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained") / "tiny"
    return folder, pretraining.pretrain(folder, TINY, "cpu", "fp32")


def test_a_training_learns_and_is_reproducible_and_has_a_report(trained, tmp_path):
    folder, report = trained
    untrained = pretraining.evaluate(
        pretraining.new_model(TINY, len(pretraining.tokenizer())),
        pretraining.Batches(TINY, pretraining.tokenizer(), "cpu"),
        TINY,
        "cpu",
        "fp32",
    )
    assert report["held_out_corpus"]["token_loss"] < untrained.token_loss - 0.02
    again = pretraining.pretrain(tmp_path / "again", TINY, "cpu", "fp32")
    assert again["held_out_corpus"] == report["held_out_corpus"]
    assert (tmp_path / "again/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert json.loads((folder / "pretraining.json").read_text()) == report
    assert f"{report['parameters']:,} parameters" in (folder / "README.md").read_text()


def test_a_training_from_a_model_reports_both_stages(trained, tmp_path):
    folder, first = trained
    second = dataclasses.replace(TINY, steps=10, seed=1, opinionated=0.6)
    report = pretraining.pretrain(tmp_path / "second", second, "cpu", "fp32", start=folder)
    assert pretraining.stages(report) == [first, report]
    assert report["held_out_corpus"]["token_loss"] < first["held_out_corpus"]["token_loss"]
    card = (tmp_path / "second/README.md").read_text()
    assert card.index("--steps 20 --seed 0 --opinionated 0.35") < card.index("--steps 10 --seed 1 --opinionated 0.6")


def test_a_saved_model_can_be_pruned_and_its_tokenizer_knows_the_language(trained):
    folder, _ = trained
    source = resolve(str(folder), FAMILIES)
    model = load(
        source, next(family for family in FAMILIES if family.name == "bert"), num_labels=2, regression=False, seed=0
    )
    assert len(model.prunable) == 6 * TINY.layers
    assert load_tokenizer(source)("The old car.")["input_ids"] == pretraining.tokenizer()("The old car.")["input_ids"]


# --- the committed checkpoint ---


def test_the_checkpoint_is_small_and_has_the_sizes_on_its_card():
    folder = QUICK_BERT.folder
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4_000_000
    report = json.loads((folder / "pretraining.json").read_text())
    settings = pretraining.asdict(pretraining.Settings())
    assert all(report["settings"][name] == settings[name] for name in ("layers", "hidden", "heads", "intermediate"))
    assert report["parameters"] == parameters(folder / "model.safetensors") < 1_000_000
    assert (folder / "README.md").read_text() == pretraining.card(report)


def test_the_checkpoint_has_the_scores_on_its_card():
    from transformers import BertForPreTraining

    folder = QUICK_BERT.folder
    report = json.loads((folder / "pretraining.json").read_text())
    model = BertForPreTraining.from_pretrained(folder)
    settings = pretraining.Settings(**report["settings"])
    scores = pretraining.evaluate(
        model, pretraining.Batches(settings, pretraining.tokenizer(), "cpu"), settings, "cpu", "fp32"
    )
    for name, value in report["held_out_corpus"].items():
        assert getattr(scores, name) == pytest.approx(value, abs=0.01), name


def test_the_checkpoint_has_the_tokenizer_of_the_language():
    source = resolve("quick-bert", FAMILIES, [QUICK_BERT])
    assert (source.name, source.family) == ("quick-bert", "bert")
    assert load_tokenizer(source).get_vocab() == pretraining.tokenizer().get_vocab()


def parameters(path: Path) -> int:
    """The number of parameters in a safetensors file, from its header."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    total = 0
    for name, entry in header.items():
        if name != "__metadata__":
            size = 1
            for extent in entry["shape"]:
                size *= extent
            total += size
    return total
