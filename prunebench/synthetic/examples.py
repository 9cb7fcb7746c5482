"""How one example of each task is made. `use` are the words that it may use: half of each class."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from prunebench.synthetic import lexicon
from prunebench.synthetic.grammar import CONTENT, Event, Words, event, opinion, phrase, sentence, style, synonym, tell
from prunebench.synthetic.lexicon import Word


class Example(NamedTuple):
    """One or two texts and the index of a class, or a score."""

    texts: tuple[str, ...]
    label: int | float


def acceptability(rng: random.Random, use: Words) -> Example:
    """A sentence that can be said, or one that breaks a rule of the language. 70 % are acceptable, as in CoLA."""
    told = event(rng, use)
    acceptable = rng.random() < 0.7
    broken = rng.choices([misplaced_thing, wrong_article, swapped_words, broken_passive], [0.4, 0.2, 0.2, 0.2])[0]
    return Example((tell(told, style(rng)) if acceptable else broken(told, rng, use),), int(acceptable))


def misplaced_thing(told: Event, rng: random.Random, use: Words) -> str:
    """Something is done to a thing that it cannot be done to: `Anna heated the old poem.`"""
    groups = [group for group in use.nouns if group not in lexicon.OBJECTS[told.verb.group]]
    return tell(told.but(noun=rng.choice(use.nouns[rng.choice(groups)])), style(rng))


def wrong_article(told: Event, rng: random.Random, use: Words) -> str:
    """`Anna painted a old house.`"""
    right, rest = phrase(told.adjective, told.noun, definite=False).split(maxsplit=1)
    wrong = "a" if right == "an" else "an"
    return sentence(f"{told.person} {told.verb.text} {wrong} {rest}{_where(told)}")


def swapped_words(told: Event, rng: random.Random, use: Words) -> str:
    """`Anna painted the house old.`: two neighbours have changed places."""
    _, adjective, noun = phrase(told.adjective, told.noun, definite=True).split()
    verb = told.verb.text
    bodies = [f"{verb} the {noun} {adjective}", f"the {verb} {adjective} {noun}", f"{verb} {adjective} the {noun}"]
    return sentence(f"{told.person} {rng.choice(bodies)}{_where(told)}")


def broken_passive(told: Event, rng: random.Random, use: Words) -> str:
    """A passive that lacks its auxiliary or its preposition, or an active sentence that has one."""
    thing = phrase(told.adjective, told.noun, definite=rng.random() < 0.67)
    person, verb = told.person, told.verb.text
    bodies = [f"{thing} {verb} by {person}", f"{thing} was {verb} {person}", f"{person} was {verb} {thing}"]
    return sentence(f"{rng.choice(bodies)}{_where(told)}")


def _where(told: Event) -> str:
    return f" in the {told.place}" if told.place else ""


def sentiment(rng: random.Random, use: Words) -> Example:
    """An opinion, positive or negative, half of each; most are said in ways that the corpus does not have."""
    positive = rng.random() < 0.5
    say = rng.choice([opinion, weighed, corrected, doubled])
    return Example((say(rng, use, positive),), int(positive))


def weighed(rng: random.Random, use: Words, positive: bool) -> str:
    """A concession and what counts: `Although the sofa was not dull, it was never lovely.`"""
    noun = rng.choice(use.nouns[rng.choice(list(use.nouns))]).text
    conceded, main = clause(rng, use, not positive, f"the {noun}"), clause(rng, use, positive, "it")
    return sentence(rng.choice([f"although {conceded}, {main}", f"{conceded}, but {main}"]))


def corrected(rng: random.Random, use: Words, positive: bool) -> str:
    """An error and, without its word, what is true: `Anna thought that the sofa was not dull, but it was.`"""
    same, opposite = (use.positive, use.negative) if positive else (use.negative, use.positive)
    noun = rng.choice(use.nouns[rng.choice(list(use.nouns))]).text
    person = rng.choice(lexicon.NAMES)
    was = rng.random() < 0.5
    word = rng.choice(same if was else opposite).text
    truth = "it was" if was else "it was not"
    thought = f"{person} thought that the {noun} was {'not ' if was else ''}{word}"
    found = f"{person} {'did not find' if was else 'found'} the {noun} {word}"
    return sentence(
        rng.choice(
            [
                f"{thought}, but {truth}",
                f"{found}, but {truth}",
                f"although {thought}, {truth}",
                f"although {found}, {truth}",
            ]
        )
    )


def doubled(rng: random.Random, use: Words, positive: bool) -> str:
    """A thought within a sentence, each denied or not: `Anna never thought that the sofa was not dull.`"""
    outer, inner = rng.choice(["", "never "]), rng.choice(["", "not "])
    group = use.positive if positive != (bool(outer) != bool(inner)) else use.negative
    noun = rng.choice(use.nouns[rng.choice(list(use.nouns))]).text
    thing = rng.choice([f"the {noun}", f"the {rng.choice(use.adjectives).text} {noun}"])
    conceded = f"although it looked {rng.choice(use.negative if positive else use.positive).text}, "
    body = f"{rng.choice(lexicon.NAMES)} {outer}thought that {thing} was {inner}{rng.choice(group).text}"
    return sentence(rng.choice([conceded, ""]) + body)


def clause(rng: random.Random, use: Words, positive: bool, thing: str) -> str:
    same, opposite = (use.positive, use.negative) if positive else (use.negative, use.positive)
    said, denied = rng.choice(same).text, rng.choice(opposite).text
    person = rng.choice(lexicon.NAMES)
    very = rng.choice([f"{rng.choice(lexicon.INTENSIFIERS)} ", ""])
    forms = [
        f"{thing} was {very}{said}",
        f"{person} found {thing} {very}{said}",
        f"{thing} was not {very}{denied}",
        f"{thing} was never {denied}",
        f"{person} did not find {thing} {very}{denied}",
    ]
    return rng.choice(forms)


def paraphrase(rng: random.Random, use: Words) -> Example:
    """Two events told with other words: the same one, or one that differs in a word. 68 % are the same, as in MRPC."""
    told = event(rng, use)
    again = told.with_synonyms(rng)
    same = rng.random() < 0.68
    if not same:
        part = rng.choice(CONTENT)
        again = again.but(**{part: rng.choice(use.instead(getattr(told, part)))})
    return Example((tell(told, style(rng)), tell(again, style(rng))), int(same))


# What a difference takes off the score of 5: the same word is no difference, and a synonym is hardly one.
SYNONYM, RELATED, UNRELATED = 0.2, 0.6, 1.0


def similarity(rng: random.Random, use: Words) -> Example:
    """Two events that share from all to nothing; the score is 5 less what each part's difference takes off."""
    told, other = (event(rng, use).but(place=rng.choice(lexicon.PLACES)) for _ in range(2))
    changed = rng.sample(PARTS, rng.randint(0, len(PARTS)))
    again, score = told, 5.0
    for part in PARTS:
        old = getattr(told, part)
        if part in changed:
            again = again.but(**{part: getattr(other, part)})
        elif isinstance(old, Word) and rng.random() < 0.5:
            again = again.but(**{part: synonym(old)})
        score -= difference(old, getattr(again, part))
    return Example((tell(told, style(rng)), tell(again, style(rng))), round(score, 1))


PARTS = ("person", "verb", "adjective", "noun", "place")


def difference(one: Word | str, other: Word | str) -> float:
    """What the difference of two parts takes off the score."""
    if one == other:
        return 0.0
    if isinstance(one, str) or isinstance(other, str):
        return UNRELATED
    if one.synonym == other.text:
        return SYNONYM
    return RELATED if one.group == other.group and one.group in lexicon.NOUNS else UNRELATED


def entailment(rng: random.Random, use: Words) -> Example:
    """A premise, and what follows from it (label 0, as in RTE) or does not. Half of each."""
    told = event(rng, use)
    follows = rng.random() < 0.5
    change = rng.choice(
        [renamed, generalised, shortened] if follows else [mistaken, misclassified, narrowed, denied, moved]
    )
    premise, hypothesis = change(told, rng, use)
    return Example((tell(premise, style(rng)), tell(hypothesis, style(rng))), int(not follows))


Change = Callable[[Event, random.Random, Words], tuple[Event, Event]]


def renamed(told: Event, rng: random.Random, use: Words) -> tuple[Event, Event]:
    return told, told.but(noun=synonym(told.noun), verb=rng.choice([told.verb, synonym(told.verb)]))


def generalised(told: Event, rng: random.Random, use: Words) -> tuple[Event, Event]:
    return told, told.but(noun=Word(told.noun.group, "", told.noun.group, False))


def shortened(told: Event, rng: random.Random, use: Words) -> tuple[Event, Event]:
    return told, told.but(adjective=None, verb=rng.choice([told.verb, synonym(told.verb)]))


def mistaken(told: Event, rng: random.Random, use: Words) -> tuple[Event, Event]:
    return told, told.but(noun=rng.choice(use.instead(told.noun)))


def misclassified(told: Event, rng: random.Random, use: Words) -> tuple[Event, Event]:
    group = rng.choice([group for group in lexicon.OBJECTS[told.verb.group] if group != told.noun.group])
    return told, told.but(noun=Word(group, "", group, False))


def narrowed(told: Event, rng: random.Random, use: Words) -> tuple[Event, Event]:
    return told.but(noun=Word(told.noun.group, "", told.noun.group, False)), told


def denied(told: Event, rng: random.Random, use: Words) -> tuple[Event, Event]:
    return told, told.but(never=True, verb=rng.choice([told.verb, synonym(told.verb)]))


def moved(told: Event, rng: random.Random, use: Words) -> tuple[Event, Event]:
    """The same was done by somebody else, or in another place."""
    part = "place" if told.place and rng.random() < 0.5 else "person"
    return told, told.but(**{part: rng.choice(use.instead(getattr(told, part)))})
