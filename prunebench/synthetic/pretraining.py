"""Pre-train a small BERT on the generated language: masked words and pairs of sentences (Devlin et al. 2019).

Imports torch and transformers. The checkpoint of `--model quick` was made by this.
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
IGNORED = -100
REPORT_EVERY = 50
# So many batches are drawn at once and dealt out by length.
CHUNK = 16
HELD_OUT_PAIRS = 4096
REPORT = "pretraining.json"


@dataclass(frozen=True)
class Settings:
    """The size of the model, and how it is trained.

    `masked` is the share of tokens to be predicted; of these `hidden_words` become [MASK], and half of the others a
    random word. `pair_weight` is that of the loss of pairs, beside 1 for that of masked words.

    Three numbers are not BERT's (0.15, 0.8 and 1). The small model learns to compare two sentences late or never; it
    does so sooner where it is more often shown a word and asked whether that is the right one, and where pairs weigh
    more.
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
class Figures:
    """What a model predicts of the corpus: mean loss and accuracy of masked tokens, accuracy of pairs."""

    token_loss: float
    token_accuracy: float
    pair_accuracy: float


def tokenizer() -> BertTokenizer:
    """Whole words in lower case: the language has so few that none needs to be cut into pieces."""
    words = {word: index for index, word in enumerate((*SPECIAL, *vocabulary()))}
    return BertTokenizer(vocab=words, do_lower_case=True, model_max_length=64)


def new_model(settings: Settings, words: int) -> BertForPreTraining:
    """A BERT from random initialisation. Without dropout, since its corpus never repeats."""
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
    """Batches of encoded pairs, masked: `inputs` of shape (batch, tokens), `labels`, and `next_sentence_label`."""

    def __init__(self, settings: Settings, tokens: BertTokenizer, device: str) -> None:
        self.settings = settings
        self.tokens = tokens
        self.device = device
        self.generator = torch.Generator().manual_seed(derive(settings.seed, "masking"))

    def __call__(self, source: Iterator[Pair]) -> Iterator[dict[str, Tensor]]:
        """Batches until `source` ends, similar lengths together."""
        while drawn := list(itertools.islice(source, self.settings.batch * CHUNK)):
            drawn.sort(key=lambda pair: len(pair.first.split()) + len(pair.second.split()))
            batches = [drawn[i : i + self.settings.batch] for i in range(0, len(drawn), self.settings.batch)]
            for which in torch.randperm(len(batches), generator=self.generator).tolist():
                yield self.batch(batches[which])

    def batch(self, rows: list[Pair]) -> dict[str, Tensor]:
        table = self.tokens(
            [row.first for row in rows],
            [row.second for row in rows],
            padding=True,
            pad_to_multiple_of=8,
            return_tensors="pt",
            return_special_tokens_mask=True,
        )
        special = table.pop("special_tokens_mask").bool()
        ids, labels = self.mask(table["input_ids"], special)
        # As in BERT's code, 0 says that the second sentence belongs to the first.
        follows = torch.tensor([int(not row.belongs) for row in rows])
        found = {**table, "input_ids": ids, "labels": labels, "next_sentence_label": follows}
        return {name: tensor.to(self.device) for name, tensor in found.items()}

    def mask(self, ids: Tensor, special: Tensor) -> tuple[Tensor, Tensor]:
        """Choose tokens to predict: some become [MASK], some a random word, some stay (Devlin et al., appendix A.1)."""
        chosen = (torch.rand(ids.shape, generator=self.generator) < self.settings.masked) & ~special
        labels = ids.masked_fill(~chosen, IGNORED)
        chance = torch.rand(ids.shape, generator=self.generator)
        words = torch.randint(len(SPECIAL), len(self.tokens), ids.shape, generator=self.generator)
        hidden = self.settings.hidden_words
        masked = ids.masked_fill(chosen & (chance < hidden), self.tokens.mask_token_id)
        return torch.where(chosen & (chance >= (1 + hidden) / 2), words, masked), labels


def pretrain(
    folder: Path, settings: Settings, device: str, precision: str, start: Path | None = None
) -> dict[str, Any]:
    """Train from random initialisation, or from what is in `start`, and save the model and its tokenizer in `folder`.

    Gives what came out; `before` is that of the model that was started from.
    """
    tokens = tokenizer()
    model = new_model(settings, len(tokens)) if start is None else BertForPreTraining.from_pretrained(start)
    model.set_attn_implementation("eager")
    model.to(device)
    before = {} if start is None else {"before": json.loads((start / REPORT).read_text(encoding="utf-8"))}
    started = time.perf_counter()
    _train(model, Batches(settings, tokens, device), settings, device, precision)
    seconds = time.perf_counter() - started
    figures = evaluate(model, Batches(settings, tokens, device), settings, device, precision)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    report = {
        "settings": asdict(settings),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "held_out_corpus": asdict(figures),
        "seconds": round(seconds, 1),
        "precision": precision,
        "environment": environment(device),
        **before,
    }
    (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(report), encoding="utf-8")
    return report


def summary(report: Mapping[str, Any]) -> str:
    """What came out, in a line."""
    found = report["held_out_corpus"]
    return (
        f"{report['settings']['steps']} steps in {report['seconds']:.0f} s; on {HELD_OUT_PAIRS} unseen pairs of the"
        f" corpus: {found['token_accuracy']:.1%} of the masked words (loss {found['token_loss']:.3f}) and"
        f" {found['pair_accuracy']:.1%} of the pairs are right"
    )


def stages(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The reports of all trainings behind a model, the first one first."""
    return [*(stages(report["before"]) if "before" in report else []), report]


def card(report: Mapping[str, Any]) -> str:
    """The model card."""
    settings, environment = report["settings"], report["environment"]
    paragraphs = [
        f"""{settings["layers"]} layers, {settings["hidden"]} wide, {settings["heads"]} heads,
        {settings["intermediate"]} neurons, {report["parameters"]:,} parameters. It knows {len(vocabulary())} English
        words and the sentences that `prunebench/tasks/quick` makes of them, and nothing else. It is there so that a
        benchmark of pruning methods can run in minutes with nothing to download; no result on it says anything about
        GLUE or about BERT.""",
        f"""**Trained** from random initialisation by `prunebench pretrain` with masked words and pairs of sentences
        (Devlin et al. 2019), on pairs that are made as they are needed and never repeat. AdamW at {settings["lr"]}, no
        dropout, {report["precision"]}. Its stages: {"; then ".join(map(_stage, stages(report)))}.""",
        f"**Reached** after {summary(report)}.",
        f"""**Made with** torch {environment["torch"]} and transformers {environment["transformers"]} on
        {environment["hardware"]}. `{REPORT}` has all of this as numbers.""",
        "**Data**: no text of anybody's; the lexicon and the grammar are part of prunebench.",
    ]
    filled = [textwrap.fill(" ".join(text.split()), 120, break_on_hyphens=False) for text in paragraphs]
    head = "---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n# A small BERT of a generated language"
    return "\n\n".join((head, *filled)) + "\n"


def _stage(report: Mapping[str, Any]) -> str:
    settings = {**asdict(Settings()), **report["settings"]}
    options = " ".join(f"--{name} {settings[name]}" for name in ("steps", "seed", "opinionated"))
    return f"`{options}` (pairs right at its end: {report['held_out_corpus']['pair_accuracy']:.1%})"


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
    """Both tasks' cross-entropies, in float32."""
    found = model(**{name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")})
    tokens = nn.functional.cross_entropy(found.prediction_logits.float().flatten(0, 1), batch["labels"].flatten())
    logits = found.seq_relationship_logits.float()
    return tokens + pair_weight * nn.functional.cross_entropy(logits, batch["next_sentence_label"])


@torch.no_grad()
def evaluate(model: BertForPreTraining, batches: Batches, settings: Settings, device: str, precision: str) -> Figures:
    """The figures on pairs that were drawn from another seed than the training's."""
    model.eval()
    loss = right = words = right_pairs = 0.0
    for batch in batches(itertools.islice(pairs(derive(settings.seed, "held out")), HELD_OUT_PAIRS)):
        with autocast(precision, device):
            found = model(**{name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")})
        chosen = batch["labels"] != IGNORED
        logits, labels = found.prediction_logits.float()[chosen], batch["labels"][chosen]
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        right += (logits.argmax(1) == labels).sum().item()
        words += len(labels)
        right_pairs += (found.seq_relationship_logits.argmax(1) == batch["next_sentence_label"]).sum().item()
    return Figures(loss / words, right / words, right_pairs / HELD_OUT_PAIRS)
