"""Tiny random encoders of every built-in family and a tiny GLUE, both made in code from a seed. No network."""

import gc
import logging
import os
import random
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("prunebench", deadline=None)
hypothesis.settings.load_profile("prunebench")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Tests run side by side, and start processes: threads of each on all cores would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

NOUNS = (
    "dog cat man woman child teacher doctor farmer king horse bird fish house garden river train book song ship city"
)
VERBS = "sees likes finds moves paints follows watches carries calls helps opens holds leaves meets feeds"
ADJECTIVES = "old young red green small tall quiet busy early local"
GOOD = "good great lovely funny warm clever bright charming moving fresh"
BAD = "bad awful boring cold stupid dull sad empty slow ugly"
THINGS = "film story plot scene music"
HOW = "very quite rather"
OTHERS = "the a and of in on with to is was it not actor"
WORDS = " ".join((NOUNS, VERBS, ADJECTIVES, GOOD, BAD, THINGS, HOW, OTHERS)).split()
CHARACTERS = [*"abcdefghijklmnopqrstuvwxyz0123456789.,'\"!?-:;()"]

ROWS = {"train": 48, "dev": 24, "test": 24}


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By family, a folder with a base model without a head, as BERT lies on the hub, and its tokenizer.

    2 layers, 4 heads, hidden size 32, 64 neurons, 64 positions; every parameter is random, biases too.
    """
    import transformers

    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 64}
    distilled = {"n_layers": 2, "n_heads": 4, "dim": 32, "hidden_dim": 64}
    # RoBERTa counts positions from the padding token's index on, so that two of them are never used.
    configurations = {
        "bert": transformers.BertConfig(**sizes, max_position_embeddings=64),
        "roberta": transformers.RobertaConfig(**sizes, max_position_embeddings=66, type_vocab_size=1),
        "distilbert": transformers.DistilBertConfig(**distilled, max_position_embeddings=64),
        "electra": transformers.ElectraConfig(**sizes, max_position_embeddings=64, embedding_size=16),
    }
    root = tmp_path_factory.mktemp("models")
    for family, configuration in configurations.items():
        tokenizer = _byte_level() if family == "roberta" else _word_pieces()
        configuration.vocab_size = len(tokenizer)
        configuration.pad_token_id = tokenizer.pad_token_id
        _random_model(configuration).save_pretrained(root / f"tiny-{family}")
        tokenizer.save_pretrained(root / f"tiny-{family}")
    return {family: root / f"tiny-{family}" for family in configurations}


@pytest.fixture(scope="session")
def tiny_bert(tiny_models: dict[str, Path]) -> Path:
    return tiny_models["bert"]


@pytest.fixture(scope="session")
def on_tiny(tiny_bert: Path, tiny_glue: Path) -> list[str]:
    """Options with which a command runs on the tiny model and data, in this process."""
    where = ["--model", str(tiny_bert), "--glue-dir", str(tiny_glue)]
    return [*where, "--device", "cpu", "--precision", "fp32", "--executor", "here"]


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The keyword arguments of each training that is run in this process."""
    from prunebench.training import loop

    calls = []
    real = loop.train

    def spy(*args: Any, **kwargs: Any) -> loop.Outcome:
        calls.append(kwargs)
        return real(*args, **kwargs)

    monkeypatch.setattr(loop, "train", spy)
    return calls


@pytest.fixture(scope="session")
def tiny_glue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RTE, MRPC, STS-B, CoLA and SST-2 in the layout of the official files: 48 / 24 / 24 rows that can be learnt."""
    root = tmp_path_factory.mktemp("glue")
    writers = {"RTE": _rte, "MRPC": _mrpc, "STS-B": _stsb, "CoLA": _cola, "SST-2": _sst2}
    for task, rows in writers.items():
        (root / task).mkdir()
        for split, count in ROWS.items():
            lines = rows(random.Random(f"{task} {split}"), count, split == "test")
            (root / task / f"{split}.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return root


@dataclass
class Bucket:
    """A bucket of an S3-compatible server on this machine, and the requests that the server has answered."""

    endpoint: str
    requests: list[str] = field(default_factory=list)

    def folder(self) -> str:
        """The URL of a folder that nothing lies in yet."""
        return f"s3://lab/{uuid.uuid4().hex}"


class _Log(logging.Handler):
    def __init__(self, requests: list[str]) -> None:
        super().__init__()
        self.requests = requests

    def emit(self, record: logging.LogRecord) -> None:
        self.requests += re.findall(r"(?:GET|HEAD|PUT|POST|DELETE) /\S*", record.getMessage())


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    """An S3-compatible server, which the environment names, so that worker processes find it too."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    lab = Bucket(f"http://{host}:{port}")
    log = logging.getLogger("werkzeug")
    log.addHandler(_Log(lab.requests))
    log.propagate = False
    with pytest.MonkeyPatch.context() as environment:
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in {"AWS_ENDPOINT_URL": lab.endpoint, **keys}.items():
            environment.setenv(name, value)
        s3fs.S3FileSystem().mkdir("lab")
        yield lab
    server.stop()


@dataclass
class Lab:
    """The raw files at a URL, past the store and past what fsspec remembers of them."""

    url: str

    @property
    def _at(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        # Other options than the store's, and so an instance of its own.
        return url_to_fs(self.url, use_listings_cache=False)

    def read(self, name: str) -> bytes:
        fs, root = self._at
        return fs.cat_file(f"{root}/{name}")

    def write(self, name: str, data: bytes) -> None:
        fs, root = self._at
        fs.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        fs.pipe_file(f"{root}/{name}", data)

    def remove(self, name: str) -> None:
        fs, root = self._at
        fs.rm_file(f"{root}/{name}")

    def names(self) -> list[str]:
        fs, root = self._at
        return [path.removeprefix(f"{root}/") for path in fs.find(root)]


@pytest.fixture
def lab_at() -> type[Lab]:
    """The raw files at any URL."""
    return Lab


@pytest.fixture(params=["folder", "memory", "s3"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    """A place for a store of each kind, with nothing in it yet."""
    if request.param == "s3":
        return Lab(request.getfixturevalue("bucket").folder())
    return Lab(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "store"))


# Modules and tests live as long as the process, so that the collector need not look at them while they are made, nor
# later: each of its full rounds would take half a second, and some libraries ask for one in a function.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _word_pieces():
    """A lower-casing WordPiece tokenizer of whole words, single characters and single following characters."""
    from transformers import BertTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = dict.fromkeys([*special, *WORDS, *CHARACTERS, *(f"##{character}" for character in CHARACTERS)])
    return BertTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)}, model_max_length=64)


def _byte_level():
    """A byte-level BPE tokenizer whose merges are learnt from the words, a leading space included."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import RobertaTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(WORDS, trainer)
    learnt = json.loads(learner.to_str())["model"]
    merges = [tuple(merge) for merge in learnt["merges"]]
    return RobertaTokenizerFast(vocab=learnt["vocab"], merges=merges, model_max_length=64)


def _random_model(configuration):
    import torch
    from transformers import AutoModel

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        model = AutoModel.from_config(configuration)
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def _sentence(rng: random.Random) -> list[str]:
    noun, other = rng.sample(NOUNS.split(), 2)
    return ["the", rng.choice(ADJECTIVES.split()), noun, rng.choice(VERBS.split()), "a", other]


def _labels(rng: random.Random, count: int) -> list[int]:
    """As many of one class as of the other."""
    labels = [i % 2 for i in range(count)]
    rng.shuffle(labels)
    return labels


def _rte(rng: random.Random, count: int, hidden: bool) -> list[str]:
    lines = ["index\tsentence1\tsentence2" + ("" if hidden else "\tlabel")]
    for index, label in enumerate(_labels(rng, count)):
        premise = _sentence(rng)
        second = premise if label == 0 else _sentence(rng)
        cells = [str(index), " ".join(premise), " ".join(second[:1] + second[2:])]
        lines.append("\t".join(cells if hidden else [*cells, ("entailment", "not_entailment")[label]]))
    return lines


def _mrpc(rng: random.Random, count: int, hidden: bool) -> list[str]:
    lines = [("index" if hidden else "Quality") + "\t#1 ID\t#2 ID\t#1 String\t#2 String"]
    for index, label in enumerate(_labels(rng, count)):
        first = _sentence(rng)
        second = ["a", *first[1:]] if label == 1 else _sentence(rng)
        cells = [str(index if hidden else label), str(1000 + index), str(2000 + index)]
        lines.append("\t".join([*cells, " ".join(first), " ".join(second)]))
    return lines


def _stsb(rng: random.Random, count: int, hidden: bool) -> list[str]:
    header = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"
    lines = [header + ("" if hidden else "\tscore")]
    for index in range(count):
        first, other, replaced = _sentence(rng), _sentence(rng), index % 5
        second = list(first)
        for place in (1, 2, 3, 5)[:replaced]:
            second[place] = other[place]
        cells = [
            str(index),
            "tiny",
            "tiny",
            "2024tiny",
            f"{index:04d}",
            "none",
            "none",
            " ".join(first),
            " ".join(second),
        ]
        lines.append("\t".join(cells if hidden else [*cells, f"{5 * (4 - replaced) / 4:.3f}"]))
    return lines


def _cola(rng: random.Random, count: int, hidden: bool) -> list[str]:
    lines = ["index\tsentence"] if hidden else []
    for index, label in enumerate(_labels(rng, count)):
        words = _sentence(rng)
        text = " ".join(words if label == 1 else words[::-1])
        lines.append(f"{index}\t{text}" if hidden else f"ti24\t{label}\t{'' if label == 1 else '*'}\t{text}")
    return lines


def _sst2(rng: random.Random, count: int, hidden: bool) -> list[str]:
    lines = ["index\tsentence" if hidden else "sentence\tlabel"]
    for index, label in enumerate(_labels(rng, count)):
        thing, word = rng.choice(THINGS.split()), rng.choice((GOOD if label else BAD).split())
        text = f"the {thing} is {rng.choice(HOW.split())} {word} "
        lines.append(f"{index}\t{text}" if hidden else f"{text}\t{label}")
    return lines
