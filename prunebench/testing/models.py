"""Tiny random encoders of three families, each a folder in the layout of transformers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prunebench.errors import unknown_name

FAMILIES = ("bert", "roberta", "distilbert")
WORDS = ("the", "a", "dog", "cat", "bird", "king", "ship", "song", "sees", "finds", "likes", "follows", "old", "young")
LAYERS, HEADS, HIDDEN, NEURONS = 2, 2, 16, 32
# In the matrices of all layers: query, key, value, output of attention, and the two of the feed-forward network.
WEIGHTS = LAYERS * (4 * HIDDEN * HIDDEN + 2 * HIDDEN * NEURONS)


def write_tiny_model(folder: Path, family: str = "bert") -> Path:
    """Write a random encoder without dropout and its tokenizer into `folder`, and return the folder.

    It has 2 layers of width 16 with 2 heads and 32 neurons each: 4,096 prunable weights. Every parameter is random,
    biases and norms too. Two calls write the same numbers.

    Raises:
        PrunebenchError: if `family` is not "bert", "roberta" or "distilbert".
    """
    import torch
    from transformers import AutoModel

    if family not in FAMILIES:
        raise unknown_name("family", family, FAMILIES)
    tokenizer = _bytes() if family == "roberta" else _words()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        encoder = AutoModel.from_config(_configuration(family, len(tokenizer), tokenizer.pad_token_id))
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    with _no_progress_bar():
        encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """A context in which transformers draws no progress bar, as it does for each file that it writes."""
    from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def _configuration(family: str, vocabulary: int, padding: int) -> Any:
    import transformers

    sizes = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_size": HIDDEN}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    common = {"vocab_size": vocabulary, "pad_token_id": padding, "max_position_embeddings": 66}
    if family == "distilbert":
        return transformers.DistilBertConfig(
            n_layers=LAYERS,
            n_heads=HEADS,
            dim=HIDDEN,
            hidden_dim=NEURONS,
            dropout=0.0,
            attention_dropout=0.0,
            seq_classif_dropout=0.0,
            **common,
        )
    kind = transformers.BertConfig if family == "bert" else transformers.RobertaConfig
    return kind(**sizes, intermediate_size=NEURONS, **dropout, **common)


def _words() -> Any:
    """A tokenizer of whole words."""
    from transformers import BertTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    return BertTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)}, model_max_length=64)


def _bytes() -> Any:
    """A tokenizer of single bytes: RoBERTa's without any merge."""
    from tokenizers import pre_tokenizers
    from transformers import RobertaTokenizerFast

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    return RobertaTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], model_max_length=64)
