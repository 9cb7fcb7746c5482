"""The corpus for pre-training: documents of two sentences, and second sentences that do not belong to the first.

As BERT learns from pairs of sentences (Devlin et al. 2019, section 3.1), but a wrong second sentence is mostly a near
miss that differs in a word or in its polarity: random sentences can be told apart without knowing what any word means.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from prunebench.synthetic import lexicon
from prunebench.synthetic.grammar import ALL, WAYS, Event, Style, event, kind, opinion, sentence, style, synonym, tell
from prunebench.synthetic.lexicon import Word


@dataclass(frozen=True)
class Pair:
    """Two sentences, and whether the second belongs to the first."""

    first: str
    second: str
    belongs: bool


def pairs(seed: int, opinionated: float = 0.35) -> Iterator[Pair]:
    """Pairs without end: half of them belong together, a tenth are of two documents, the rest are near misses.

    `opinionated` is the share of documents that hold opinions.
    """
    rng = random.Random(f"corpus {seed}")
    documents = [*FACTS, *OPINIONS]
    shares = [*(share * (1 - opinionated) for share in FACTS.values()), *(opinionated / 2 for _ in OPINIONS)]
    while True:
        document = rng.choices(documents, shares)[0]
        chance = rng.random()
        if chance < 0.1:
            yield Pair(document(rng, True).first, document(rng, True).second, False)
        else:
            yield document(rng, chance < 0.6)


def restated(rng: random.Random, belongs: bool) -> Pair:
    """An event told again in other words; a near miss tells one that differs in one to three things."""
    told = event(rng, ALL)
    again = told.with_synonyms(rng) if rng.random() < 0.75 else told
    one, other = styles(rng)
    return Pair(tell(told, one), tell(again if belongs else altered(again, rng), other), belongs)


def styles(rng: random.Random) -> tuple[Style, Style]:
    """How the two sentences are told: alike, half of the time, since comparing is learnt from these first."""
    one = style(rng)
    return one, one if rng.random() < 0.5 else style(rng)


def altered(told: Event, rng: random.Random) -> Event:
    """The event with one to three of its parts replaced by others that could stand there."""
    parts = [part for part in ALTERED if getattr(told, part)]
    chosen: list[str] = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        chosen.append(rng.choice([part for part in parts if part not in chosen]))
    return told.but(**{part: rng.choice(ALL.instead(getattr(told, part))) for part in chosen})


# Words that have synonyms are replaced twice as often: to tell a synonym from another word takes the longest to learn.
ALTERED = ("verb", "verb", "adjective", "adjective", "noun", "noun", "person", "place")


def generalised(rng: random.Random, belongs: bool) -> Pair:
    """An event told again with the name of the thing's class; a near miss names another class that the verb takes."""
    told = event(rng, ALL)
    group = told.noun.group
    if not belongs:
        group = rng.choice([other for other in lexicon.OBJECTS[told.verb.group] if other != group])
    verb = synonym(told.verb) if rng.random() < 0.5 else told.verb
    adjective = told.adjective if rng.random() < 0.5 else None
    again = told.but(verb=verb, adjective=adjective, noun=Word(group, "", group, False))
    one, other = styles(rng)
    return Pair(tell(told, one), tell(again, other), belongs)


def defined(rng: random.Random, belongs: bool) -> Pair:
    """What a thing is, said of it and of its synonym; a near miss says it of a thing of another class."""
    group = rng.choice(list(ALL.nouns))
    word = rng.choice(ALL.nouns[group])
    other = synonym(word)
    if not belongs:
        other = rng.choice(ALL.nouns[rng.choice([name for name in ALL.nouns if name != group])])
    return Pair(kind(word, group, rng), kind(other, group, rng), belongs)


def opinions(rng: random.Random, belongs: bool) -> Pair:
    """Two opinions of one thing that agree; a near miss disagrees."""
    thing = rng.choice(ALL.nouns[rng.choice(list(ALL.nouns))])
    positive = rng.random() < 0.5
    way = rng.choice(WAYS)
    other = way if rng.random() < 0.5 else rng.choice(WAYS)
    return Pair(opinion(rng, ALL, positive, thing, way), opinion(rng, ALL, positive == belongs, thing, other), belongs)


def reasons(rng: random.Random, belongs: bool) -> Pair:
    """Whether a thing was liked, and an opinion of it that is a reason for that; a near miss is one against it."""
    thing = rng.choice(ALL.nouns[rng.choice(list(ALL.nouns))])
    positive = rng.random() < 0.5
    felt = f"{rng.choice(lexicon.NAMES)} {rng.choice(lexicon.LIKED if positive else lexicon.DISLIKED)} the {thing.text}"
    if rng.random() < 0.5:
        felt += f" because it was {rng.choice(lexicon.POSITIVE if positive else lexicon.NEGATIVE).text}"
    return Pair(sentence(felt), opinion(rng, ALL, positive == belongs, thing), belongs)


# The kinds of documents, and the shares of those that hold no opinion.
FACTS = {restated: 10 / 13, generalised: 2 / 13, defined: 1 / 13}
OPINIONS = (opinions, reasons)
