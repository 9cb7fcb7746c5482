"""The corpus for pre-training: pairs of sentences from one document, and pairs that do not match.

BERT learns from such pairs too (Devlin et al. 2019, section 3.1), but there the second sentence of a wrong pair is
random, and can be recognised without knowing what any word means. Here it is usually a near miss, which differs in a
word or in its polarity.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from prunebench.synthetic import lexicon
from prunebench.synthetic.grammar import (
    ALL,
    OPINION_FORMS,
    Event,
    Style,
    random_event,
    random_style,
    sentence,
    synonym,
    tell,
    tell_class,
    tell_opinion,
)
from prunebench.synthetic.lexicon import Word, class_word


@dataclass(frozen=True)
class Pair:
    """Two sentences, and whether the second one matches the first one."""

    first: str
    second: str
    matches: bool


def pairs(seed: int, opinionated: float = 0.35) -> Iterator[Pair]:
    """An endless stream of pairs: half of them match, a tenth are random, and the others are near misses.

    `opinionated` is the share of documents with opinions.
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


# Each of the following functions returns a random document: a matching pair, or a near miss.


def restatement(rng: random.Random, matches: bool) -> Pair:
    """The same event in other words; a near miss differs in one to three parts."""
    event = random_event(rng, ALL)
    again = event.with_synonyms(rng) if rng.random() < 0.75 else event
    one, other = _styles(rng)
    return Pair(tell(event, one), tell(again if matches else _alter(again, rng), other), matches)


def _styles(rng: random.Random) -> tuple[Style, Style]:
    """The styles of two sentences. Half of the time they are equal, which makes comparing easier to learn."""
    one = random_style(rng)
    return one, one if rng.random() < 0.5 else random_style(rng)


# Words with synonyms are replaced twice as often, because telling a synonym from another word takes longest to learn.
_ALTERABLE = ("verb", "verb", "adjective", "adjective", "noun", "noun", "person", "place")


def _alter(event: Event, rng: random.Random) -> Event:
    """The event with other words in one to three of its parts."""
    candidates = [part for part in _ALTERABLE if getattr(event, part)]
    parts: list[str] = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        parts.append(rng.choice([part for part in candidates if part not in parts]))
    return event.replace(**{part: rng.choice(ALL.alternatives(getattr(event, part))) for part in parts})


def generalisation(rng: random.Random, matches: bool) -> Pair:
    """The same event with the class of the thing; a near miss has another class that the verb takes."""
    event = random_event(rng, ALL)
    group = event.noun.group
    if not matches:
        group = rng.choice([other for other in lexicon.OBJECTS[event.verb.group] if other != group])
    verb = synonym(event.verb) if rng.random() < 0.5 else event.verb
    adjective = event.adjective if rng.random() < 0.5 else None
    again = event.replace(verb=verb, adjective=adjective, noun=class_word(group))
    one, other = _styles(rng)
    return Pair(tell(event, one), tell(again, other), matches)


def definition(rng: random.Random, matches: bool) -> Pair:
    """The class of a thing and of its synonym; a near miss has a thing of another class."""
    group = rng.choice(list(ALL.nouns))
    word = rng.choice(ALL.nouns[group])
    other = synonym(word)
    if not matches:
        other = rng.choice(ALL.nouns[rng.choice([name for name in ALL.nouns if name != group])])
    return Pair(tell_class(word, group, rng), tell_class(other, group, rng), matches)


def agreement(rng: random.Random, matches: bool) -> Pair:
    """Two opinions of one thing that agree; in a near miss they disagree."""
    thing = _random_thing(rng)
    positive = rng.random() < 0.5
    form = rng.choice(OPINION_FORMS)
    other = form if rng.random() < 0.5 else rng.choice(OPINION_FORMS)
    return Pair(
        tell_opinion(rng, ALL, positive, thing, form),
        tell_opinion(rng, ALL, positive == matches, thing, other),
        matches,
    )


def reason(rng: random.Random, matches: bool) -> Pair:
    """Somebody's feeling for a thing, and an opinion that is a reason for it; a near miss is a reason against it."""
    thing = _random_thing(rng)
    positive = rng.random() < 0.5
    body = f"{rng.choice(lexicon.NAMES)} {rng.choice(lexicon.LIKED if positive else lexicon.DISLIKED)} the {thing.text}"
    if rng.random() < 0.5:
        body += f" because it was {rng.choice(lexicon.POSITIVE if positive else lexicon.NEGATIVE).text}"
    return Pair(sentence(body), tell_opinion(rng, ALL, positive == matches, thing), matches)


def _random_thing(rng: random.Random) -> Word:
    return rng.choice(ALL.nouns[rng.choice(list(ALL.nouns))])


# The kinds of documents without opinions, with their shares of all such documents, and those with opinions.
FACTS = {restatement: 10 / 13, generalisation: 2 / 13, definition: 1 / 13}
OPINIONS = (agreement, reason)
