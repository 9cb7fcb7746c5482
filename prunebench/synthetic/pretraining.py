"""Pre-train a small BERT on the generated language, with masked words and pairs of sentences (Devlin et al. 2019).

The checkpoint `quick-bert` is the result of two such trainings, the second one from the model of the first.
"""

from __future__ import annotations

import itertools
import json
import textwrap
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForPreTraining, BertTokenizer, get_cosine_schedule_with_warmup

from prunebench.runtime import progress
from prunebench.runtime.environment import environment
from prunebench.runtime.seeds import derive
from prunebench.synthetic.corpus import Pair, pairs
from prunebench.synthetic.lexicon import vocabulary
from prunebench.training.loop import autocast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
IGNORED = -100  # the label of tokens that are not to be predicted
REPORT_EVERY = 50  # steps
# This many batches of pairs are drawn at once and sorted by length, so that a batch needs little padding.
CHUNK = 16
HELD_OUT_PAIRS = 4096
REPORT = "pretraining.json"


@dataclass(frozen=True)
class Settings:
    """The size of the model, and how it is trained.

    `masked` is the fraction of tokens to predict. The fraction `hidden_words` of these becomes [MASK], and half of the
    rest a random word. `pair_weight` is the weight of the loss on pairs; the loss on masked words has the weight 1.

    These three values differ from BERT's (0.15, 0.8 and 1), with which the small model learns late or never to compare
    two sentences. It learns that sooner if it more often sees a word and has to decide whether it is the right one, and
    if pairs have more weight.
    """

    layers: int = 4
    hidden: int = 128
    heads: int = 4
    intermediate: int = 512
    positions: int = 64
    steps: int = 20_000
    batch: int = 128
    lr: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.05
    beta2: float = 0.98
    masked: float = 0.2
    hidden_words: float = 0.5
    pair_weight: float = 4.0
    opinionated: float = 0.35
    seed: int = 0


@dataclass(frozen=True)
class Scores:
    """Scores on the corpus: mean loss and accuracy of masked tokens, and accuracy of pairs."""

    token_loss: float
    token_accuracy: float
    pair_accuracy: float


def tokenizer() -> BertTokenizer:
    """A tokenizer of whole words in lower case. The language is so small that it needs no word pieces."""
    words = {word: index for index, word in enumerate((*SPECIAL, *vocabulary()))}
    return BertTokenizer(vocab=words, do_lower_case=True, model_max_length=64)


def new_model(settings: Settings, words: int) -> BertForPreTraining:
    """A randomly initialised BERT with a vocabulary of `words` tokens. An endless corpus needs no dropout."""
    torch.manual_seed(derive(settings.seed, "pretraining"))
    return BertForPreTraining(
        BertConfig(
            vocab_size=words,
            hidden_size=settings.hidden,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            intermediate_size=settings.intermediate,
            max_position_embeddings=settings.positions,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation="eager",
        )
    )


class Batches:
    """Turn pairs into batches with masked words.

    A batch has `input_ids`, `token_type_ids`, `attention_mask` and `labels` of shape (batch, tokens), and
    `next_sentence_label` of shape (batch,).
    """

    def __init__(self, settings: Settings, tokens: BertTokenizer, device: str) -> None:
        self.settings = settings
        self.tokens = tokens
        self.device = device
        self.generator = torch.Generator().manual_seed(derive(settings.seed, "masking"))

    def __call__(self, source: Iterator[Pair]) -> Iterator[dict[str, Tensor]]:
        """Batches until `source` ends. Each has pairs of similar length, and their order is random."""
        while chunk := list(itertools.islice(source, self.settings.batch * CHUNK)):
            chunk.sort(key=lambda pair: len(pair.first.split()) + len(pair.second.split()))
            batches = [chunk[i : i + self.settings.batch] for i in range(0, len(chunk), self.settings.batch)]
            for index in torch.randperm(len(batches), generator=self.generator).tolist():
                yield self.batch(batches[index])

    def batch(self, chunk: list[Pair]) -> dict[str, Tensor]:
        """One batch of pairs."""
        encoding = self.tokens(
            [pair.first for pair in chunk],
            [pair.second for pair in chunk],
            padding=True,
            pad_to_multiple_of=8,
            return_tensors="pt",
            return_special_tokens_mask=True,
        )
        special = encoding.pop("special_tokens_mask").bool()
        ids, labels = self.mask(encoding["input_ids"], special)
        # 0 for a matching pair, as in BERT's code.
        pair_labels = torch.tensor([int(not pair.matches) for pair in chunk])
        batch = {**encoding, "input_ids": ids, "labels": labels, "next_sentence_label": pair_labels}
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def mask(self, ids: Tensor, special: Tensor) -> tuple[Tensor, Tensor]:
        """Select tokens to predict, and replace them by [MASK] or a random word (Devlin et al. 2019, appendix A.1).

        Both tensors have the shape (batch, tokens). Returns the new token ids and the labels.
        """
        selected = (torch.rand(ids.shape, generator=self.generator) < self.settings.masked) & ~special
        labels = ids.masked_fill(~selected, IGNORED)
        chance = torch.rand(ids.shape, generator=self.generator)
        words = torch.randint(len(SPECIAL), len(self.tokens), ids.shape, generator=self.generator)
        hidden = self.settings.hidden_words
        masked = ids.masked_fill(selected & (chance < hidden), self.tokens.mask_token_id)
        return torch.where(selected & (chance >= (1 + hidden) / 2), words, masked), labels


def pretrain(
    folder: Path, settings: Settings, device: str, precision: str, start: Path | None = None
) -> dict[str, Any]:
    """Train a new model, or the one in the folder `start`, and save it with its tokenizer in `folder`.

    Returns a report, which is also saved. Its field `before` is the report of the model in `start`.
    """
    tokens = tokenizer()
    model = new_model(settings, len(tokens)) if start is None else BertForPreTraining.from_pretrained(start)
    model.set_attn_implementation("eager")
    model.to(device)
    before = {} if start is None else {"before": json.loads((start / REPORT).read_text(encoding="utf-8"))}
    begin = time.perf_counter()
    _train(model, Batches(settings, tokens, device), settings, device, precision)
    seconds = time.perf_counter() - begin
    scores = evaluate(model, Batches(settings, tokens, device), settings, device, precision)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    report = {
        "settings": asdict(settings),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "held_out_corpus": asdict(scores),
        "seconds": round(seconds, 1),
        "precision": precision,
        "environment": environment(device),
        **before,
    }
    (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(report), encoding="utf-8")
    return report


def summary(report: Mapping[str, Any]) -> str:
    """A report in one line."""
    scores = report["held_out_corpus"]
    return (
        f"{report['settings']['steps']} steps in {report['seconds']:.0f} s; accuracy on {HELD_OUT_PAIRS} unseen pairs:"
        f" masked words {scores['token_accuracy']:.1%} (loss {scores['token_loss']:.3f}),"
        f" pairs {scores['pair_accuracy']:.1%}"
    )


def stages(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The reports of all trainings of a model, in their order."""
    return [*(stages(report["before"]) if "before" in report else []), report]


def card(report: Mapping[str, Any]) -> str:
    """The model card of a model, from its report."""
    settings, versions = report["settings"], report["environment"]
    paragraphs = [
        f"""A BERT with {settings["layers"]} layers of width {settings["hidden"]}, {settings["heads"]} heads and
        {settings["intermediate"]} neurons per layer, and {report["parameters"]:,} parameters. Its language has
        {len(vocabulary())} English words and the sentences that `prunebench/synthetic` generates from them. With this
        model a benchmark of pruning methods runs in minutes and without downloads. Results on it say nothing about
        BERT or GLUE.""",
        f"""**Training**: `prunebench pretrain` trained it from random initialisation with masked words and pairs of
        sentences (Devlin et al. 2019). The pairs are generated endlessly. AdamW with a learning rate of
        {settings["lr"]}, no dropout, {report["precision"]}. Stages: {"; then ".join(map(_stage, stages(report)))}.""",
        f"**Result**: {summary(report)}.",
        f"""**Versions**: torch {versions["torch"]} and transformers {versions["transformers"]} on
        {versions["hardware"]}. `{REPORT}` has all of these numbers.""",
        "**Data**: generated from the lexicon and the grammar in prunebench, without any other text.",
    ]
    lines = [textwrap.fill(" ".join(text.split()), 120, break_on_hyphens=False) for text in paragraphs]
    head = "---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n# A small BERT of a generated language"
    return "\n\n".join((head, *lines)) + "\n"


def _stage(report: Mapping[str, Any]) -> str:
    settings = {**asdict(Settings()), **report["settings"]}
    options = " ".join(f"--{name} {settings[name]}" for name in ("steps", "seed", "opinionated"))
    return f"`{options}` (accuracy on pairs: {report['held_out_corpus']['pair_accuracy']:.1%})"


def _train(model: BertForPreTraining, batches: Batches, settings: Settings, device: str, precision: str) -> None:
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.lr,
        betas=(0.9, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, round(settings.warmup * settings.steps), settings.steps)
    total = torch.zeros((), device=device)
    model.train()
    for step, batch in enumerate(
        itertools.islice(batches(pairs(settings.seed, settings.opinionated)), settings.steps), 1
    ):
        with autocast(precision, device):
            loss = _loss(model, batch, settings.pair_weight)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        total += loss.detach()
        if step % REPORT_EVERY == 0 or step == settings.steps:
            progress.emit(progress.Progress(step, settings.steps, total.item() / ((step - 1) % REPORT_EVERY + 1)))
            total.zero_()


def _loss(model: BertForPreTraining, batch: dict[str, Tensor], pair_weight: float) -> Tensor:
    """The weighted sum of both cross-entropies, in float32."""
    outputs = model(**{name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")})
    tokens = nn.functional.cross_entropy(outputs.prediction_logits.float().flatten(0, 1), batch["labels"].flatten())
    logits = outputs.seq_relationship_logits.float()
    return tokens + pair_weight * nn.functional.cross_entropy(logits, batch["next_sentence_label"])


@torch.no_grad()
def evaluate(model: BertForPreTraining, batches: Batches, settings: Settings, device: str, precision: str) -> Scores:
    """Scores on pairs from another seed than those of the training."""
    model.eval()
    loss = correct = words = correct_pairs = 0.0
    for batch in batches(itertools.islice(pairs(derive(settings.seed, "held out")), HELD_OUT_PAIRS)):
        with autocast(precision, device):
            outputs = model(**{name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")})
        selected = batch["labels"] != IGNORED
        logits, labels = outputs.prediction_logits.float()[selected], batch["labels"][selected]
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        correct += (logits.argmax(1) == labels).sum().item()
        words += len(labels)
        correct_pairs += (outputs.seq_relationship_logits.argmax(1) == batch["next_sentence_label"]).sum().item()
    return Scores(loss / words, correct / words, correct_pairs / HELD_OUT_PAIRS)
