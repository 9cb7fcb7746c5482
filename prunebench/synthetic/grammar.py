"""Sentences of the generated language: about events, opinions of things, and classes of things.

An event is data, and `tell` writes it as a sentence in a style:

    Anna painted the old house in the village.                     active
    The old house was painted by Anna in the village.              passive
    In the village, it was Anna who painted an old house.          cleft, place first, indefinite

The order of calls to the random generator is part of the data: another order gives other tasks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prunebench.synthetic import lexicon
from prunebench.synthetic.lexicon import Word


@dataclass(frozen=True)
class Words:
    """The words that a text may contain: all of them in the corpus, half of every class in a split of a task."""

    nouns: dict[str, tuple[Word, ...]]
    verbs: dict[str, tuple[Word, ...]]
    adjectives: tuple[Word, ...]
    positive: tuple[Word, ...]
    negative: tuple[Word, ...]

    def alternatives(self, part: Word | str) -> Sequence[Word | str]:
        """What could replace a part of an event: words of the same class that are no synonyms, or names, or places."""
        if isinstance(part, Word):
            groups = {**self.nouns, **self.verbs, "adjective": self.adjectives}
            return [word for word in groups[part.group] if word.text not in (part.text, part.synonym)]
        names = lexicon.NAMES if part in lexicon.NAMES else lexicon.PLACES
        return [name for name in names if name != part]


def _select(condition: Callable[[Word], bool]) -> Words:
    def select(group: Sequence[Word]) -> tuple[Word, ...]:
        return tuple(word for word in group if condition(word))

    return Words(
        {name: select(group) for name, group in lexicon.NOUNS.items()},
        {name: select(group) for name, group in lexicon.VERBS.items()},
        select(lexicon.ADJECTIVES),
        select(lexicon.POSITIVE),
        select(lexicon.NEGATIVE),
    )


ALL = _select(lambda word: True)
TRAIN = _select(lambda word: not word.held_out)
HELD_OUT = _select(lambda word: word.held_out)

# The parts of an event whose words have synonyms.
CONTENT = ("verb", "adjective", "noun")


@dataclass(frozen=True)
class Event:
    """Who did what to which thing, and where.

    `place` may be "", and `adjective` None if the sentence leaves it out. `never` negates the event.
    """

    person: str
    verb: Word
    adjective: Word | None
    noun: Word
    place: str
    never: bool = False

    def replace(self, **parts: Any) -> Event:
        """A copy with some parts replaced."""
        return replace(self, **parts)

    def with_synonyms(self, rng: random.Random) -> Event:
        """The same event with synonyms for one, two or all three of verb, adjective and noun."""
        parts = rng.sample(CONTENT, rng.randint(1, len(CONTENT)))
        return self.replace(**{part: synonym(getattr(self, part)) for part in parts})


def synonym(word: Word) -> Word:
    return Word(word.synonym, word.text, word.group, word.held_out)


def random_event(rng: random.Random, words: Words) -> Event:
    """An event that can happen: the verb takes the noun as its object. It has an adjective, and usually a place."""
    action = rng.choice(list(words.verbs))
    return Event(
        person=rng.choice(lexicon.NAMES),
        verb=rng.choice(words.verbs[action]),
        adjective=rng.choice(words.adjectives),
        noun=rng.choice(words.nouns[rng.choice(lexicon.OBJECTS[action])]),
        place=rng.choice(lexicon.PLACES) if rng.random() < 0.85 else "",
    )


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def phrase(adjective: Word | None, noun: Word, definite: bool) -> str:
    """The words with an article: `the old house`, `an old house`, `a house`."""
    texts = [word.text for word in (adjective, noun) if word]
    return " ".join(["the" if definite else article(texts[0]), *texts])


@dataclass(frozen=True)
class Style:
    """How a sentence tells an event. `voice` is "active", "passive" or "cleft"."""

    voice: str
    place_first: bool
    definite: bool


def random_style(rng: random.Random) -> Style:
    return Style(rng.choices(["active", "passive", "cleft"], [3, 2, 1])[0], rng.random() < 0.15, rng.random() < 0.75)


def tell(event: Event, style: Style) -> str:
    """An event as a sentence."""
    thing = phrase(event.adjective, event.noun, definite=style.definite)
    never = "never " if event.never else ""
    if style.voice == "active":
        body = f"{event.person} {never}{event.verb.text} {thing}"
    elif style.voice == "passive":
        body = f"{thing} was {never}{event.verb.text} by {event.person}"
    else:
        body = f"it was {event.person} who {never}{event.verb.text} {thing}"
    if event.place:
        place = f"in the {event.place}"
        body = f"{place}, {body}" if style.place_first else f"{body} {place}"
    return sentence(body)


def sentence(body: str) -> str:
    return f"{body[0].upper()}{body[1:]}."


def tell_class(word: Word, group: str, rng: random.Random) -> str:
    """The class of a thing as a sentence: `Every hound is an animal.`"""
    return sentence(f"{rng.choice(['every', article(word.text)])} {word.text} is {article(group)} {group}")


# The forms of an opinion: 0 states it, 1 denies the opposite, 2 contrasts it with an expectation; there are 4 sentences
# of each form. Statements are twice as frequent as each of the others.
OPINION_FORMS = tuple(
    (form, number) for form, weight in ((0, 2), (1, 1), (2, 1)) for number in range(4) for _ in range(weight)
)


def tell_opinion(
    rng: random.Random, words: Words, positive: bool, thing: Word | None = None, form: tuple[int, int] | None = None
) -> str:
    """An opinion of a thing as a sentence. `thing` and `form` (one of `OPINION_FORMS`) are random by default."""
    same, opposite = (words.positive, words.negative) if positive else (words.negative, words.positive)
    good, good_too = (word.text for word in rng.sample(same, 2))
    bad = rng.choice(opposite).text
    noun = (thing or rng.choice(words.nouns[rng.choice(list(words.nouns))])).text
    person = rng.choice(lexicon.NAMES)
    very = rng.choice([f"{rng.choice(lexicon.INTENSIFIERS)} ", ""])
    statements = [
        f"the {noun} was {good} and {very}{good_too}",
        f"the {good} {noun} was {very}{good_too}",
        f"{person} said that the {noun} was {very}{good}",
        f"{person} found {article(good)} {good} and {good_too} {noun}",
    ]
    denials = [
        f"the {noun} was not {very}{bad}",
        f"the {noun} was never {bad}",
        f"{person} did not find the {noun} {very}{bad}",
        f"it was not {article(bad)} {bad} {noun}",
    ]
    contrasts = [
        f"{person} expected {article(bad)} {bad} {noun}, but it was {very}{good}",
        f"although the {noun} looked {bad}, it was {very}{good}",
        f"the {noun} was {very}{good}, not {bad}",
        f"{person} thought that the {noun} was {bad}, but it was not",
    ]
    kind, number = form or rng.choice(OPINION_FORMS)
    return sentence((statements, denials, contrasts)[kind][number])
