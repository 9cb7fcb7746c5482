"""Sentences of the generated language: events told in several ways, opinions, and statements of what a thing is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prunebench.synthetic import lexicon
from prunebench.synthetic.lexicon import Word


@dataclass(frozen=True)
class Words:
    """The words that a text may use: all of them for pre-training, one half of each class for a part of a task."""

    nouns: dict[str, tuple[Word, ...]]
    verbs: dict[str, tuple[Word, ...]]
    adjectives: tuple[Word, ...]
    positive: tuple[Word, ...]
    negative: tuple[Word, ...]

    def instead(self, part: Word | str) -> Sequence[Word | str]:
        """What else could stand there: words of the same class, names or places, neither the same nor a synonym."""
        if isinstance(part, Word):
            groups = {**self.nouns, **self.verbs, "adjective": self.adjectives}
            return [word for word in groups[part.group] if word.text not in (part.text, part.synonym)]
        names = lexicon.NAMES if part in lexicon.NAMES else lexicon.PLACES
        return [name for name in names if name != part]


def words(keep: Callable[[Word], bool] = lambda word: True) -> Words:
    """Those words for which `keep` holds."""

    def kept(group: Sequence[Word]) -> tuple[Word, ...]:
        return tuple(word for word in group if keep(word))

    return Words(
        {name: kept(group) for name, group in lexicon.NOUNS.items()},
        {name: kept(group) for name, group in lexicon.VERBS.items()},
        kept(lexicon.ADJECTIVES),
        kept(lexicon.POSITIVE),
        kept(lexicon.NEGATIVE),
    )


ALL = words()
TRAIN = words(lambda word: not word.held_out)
HELD_OUT = words(lambda word: word.held_out)


# The parts of an event whose words have synonyms.
CONTENT = ("verb", "adjective", "noun")


@dataclass(frozen=True)
class Event:
    """Who did what to which thing, and where. `place` may be missing, and `adjective` where an event is told again."""

    person: str
    verb: Word
    adjective: Word | None
    noun: Word
    place: str
    never: bool = False

    def but(self, **parts: Any) -> Event:
        """This event with other `parts`."""
        return replace(self, **parts)

    def with_synonyms(self, rng: random.Random) -> Event:
        """The same event with one, two or all three of verb, adjective and noun replaced by their synonyms."""
        chosen = rng.sample(CONTENT, rng.randint(1, len(CONTENT)))
        return self.but(**{part: synonym(getattr(self, part)) for part in chosen})


def synonym(word: Word) -> Word:
    return Word(word.synonym, word.text, word.group, word.held_out)


def event(rng: random.Random, use: Words) -> Event:
    """An event that can happen: the verb goes with the class of the noun. It has an adjective and mostly a place."""
    deed = rng.choice(list(use.verbs))
    return Event(
        person=rng.choice(lexicon.NAMES),
        verb=rng.choice(use.verbs[deed]),
        adjective=rng.choice(use.adjectives),
        noun=rng.choice(use.nouns[rng.choice(lexicon.OBJECTS[deed])]),
        place=rng.choice(lexicon.PLACES) if rng.random() < 0.85 else "",
    )


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def phrase(adjective: Word | None, noun: Word, definite: bool) -> str:
    """`the`, or the indefinite article that fits, and the words."""
    texts = [word.text for word in (adjective, noun) if word]
    return " ".join(["the" if definite else article(texts[0]), *texts])


@dataclass(frozen=True)
class Style:
    """How an event is told: "active", "passive" or "cleft", its place first or last, its thing `the` or `a`."""

    voice: str
    place_first: bool
    definite: bool


def style(rng: random.Random) -> Style:
    return Style(rng.choices(["active", "passive", "cleft"], [3, 2, 1])[0], rng.random() < 0.15, rng.random() < 0.75)


def tell(event: Event, how: Style) -> str:
    """The event as a sentence."""
    thing = phrase(event.adjective, event.noun, definite=how.definite)
    never = "never " if event.never else ""
    if how.voice == "active":
        body = f"{event.person} {never}{event.verb.text} {thing}"
    elif how.voice == "passive":
        body = f"{thing} was {never}{event.verb.text} by {event.person}"
    else:
        body = f"it was {event.person} who {never}{event.verb.text} {thing}"
    if event.place:
        where = f"in the {event.place}"
        body = f"{where}, {body}" if how.place_first else f"{body} {where}"
    return sentence(body)


def sentence(body: str) -> str:
    return f"{body[0].upper()}{body[1:]}."


def kind(word: Word, group: str, rng: random.Random) -> str:
    """What a thing is: `Every hound is an animal.`"""
    return sentence(f"{rng.choice(['every', article(word.text)])} {word.text} is {article(group)} {group}")


# Which of the ways to say an opinion: plainly, by denying the opposite, or against what was expected; 4 of each.
WAYS = tuple(
    (manner, number) for manner, share in ((0, 2), (1, 1), (2, 1)) for number in range(4) for _ in range(share)
)


def opinion(
    rng: random.Random, use: Words, positive: bool, thing: Word | None = None, way: tuple[int, int] | None = None
) -> str:
    """What is thought of a thing: said plainly, by denying the opposite, or against what was expected."""
    same, opposite = (use.positive, use.negative) if positive else (use.negative, use.positive)
    good, also = (word.text for word in rng.sample(same, 2))
    bad = rng.choice(opposite).text
    noun = (thing or rng.choice(use.nouns[rng.choice(list(use.nouns))])).text
    person = rng.choice(lexicon.NAMES)
    very = rng.choice([f"{rng.choice(lexicon.INTENSIFIERS)} ", ""])
    plain = [
        f"the {noun} was {good} and {very}{also}",
        f"the {good} {noun} was {very}{also}",
        f"{person} said that the {noun} was {very}{good}",
        f"{person} found {article(good)} {good} and {also} {noun}",
    ]
    denied = [
        f"the {noun} was not {very}{bad}",
        f"the {noun} was never {bad}",
        f"{person} did not find the {noun} {very}{bad}",
        f"it was not {article(bad)} {bad} {noun}",
    ]
    against = [
        f"{person} expected {article(bad)} {bad} {noun}, but it was {very}{good}",
        f"although the {noun} looked {bad}, it was {very}{good}",
        f"the {noun} was {very}{good}, not {bad}",
        f"{person} thought that the {noun} was {bad}, but it was not",
    ]
    manner, number = way or rng.choice(WAYS)
    return sentence((plain, denied, against)[manner][number])
