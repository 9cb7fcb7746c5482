"""One random example of each task. `words` are the words that the example may use."""

from __future__ import annotations

import random
from typing import NamedTuple

from prunebench.synthetic import lexicon
from prunebench.synthetic.grammar import (
    CONTENT,
    Event,
    Words,
    phrase,
    random_event,
    random_style,
    sentence,
    synonym,
    tell,
    tell_opinion,
)
from prunebench.synthetic.lexicon import Word, class_word


class Example(NamedTuple):
    """One or two texts, and a class index or a score."""

    texts: tuple[str, ...]
    label: int | float


def acceptability(rng: random.Random, words: Words) -> Example:
    """An acceptable sentence (1), or one that breaks a rule of the language (0). 70 % are acceptable, as in CoLA."""
    event = random_event(rng, words)
    acceptable = rng.random() < 0.7
    corrupt = rng.choices([wrong_object, wrong_article, swapped_words, broken_passive], [0.4, 0.2, 0.2, 0.2])[0]
    return Example((tell(event, random_style(rng)) if acceptable else corrupt(event, rng, words),), int(acceptable))


def wrong_object(event: Event, rng: random.Random, words: Words) -> str:
    """The verb does not take the noun as its object: `Anna heated the old poem.`"""
    groups = [group for group in words.nouns if group not in lexicon.OBJECTS[event.verb.group]]
    return tell(event.replace(noun=rng.choice(words.nouns[rng.choice(groups)])), random_style(rng))


def wrong_article(event: Event, rng: random.Random, words: Words) -> str:
    """`Anna painted a old house.`"""
    right, rest = phrase(event.adjective, event.noun, definite=False).split(maxsplit=1)
    wrong = "a" if right == "an" else "an"
    return sentence(f"{event.person} {event.verb.text} {wrong} {rest}{_in_place(event)}")


def swapped_words(event: Event, rng: random.Random, words: Words) -> str:
    """Two neighbours are swapped: `Anna painted the house old.`"""
    _, adjective, noun = phrase(event.adjective, event.noun, definite=True).split()
    verb = event.verb.text
    bodies = [f"{verb} the {noun} {adjective}", f"the {verb} {adjective} {noun}", f"{verb} {adjective} the {noun}"]
    return sentence(f"{event.person} {rng.choice(bodies)}{_in_place(event)}")


def broken_passive(event: Event, rng: random.Random, words: Words) -> str:
    """A passive without its auxiliary or its preposition, or an active sentence with an auxiliary."""
    thing = phrase(event.adjective, event.noun, definite=rng.random() < 0.67)
    person, verb = event.person, event.verb.text
    bodies = [f"{thing} {verb} by {person}", f"{thing} was {verb} {person}", f"{person} was {verb} {thing}"]
    return sentence(f"{rng.choice(bodies)}{_in_place(event)}")


def _in_place(event: Event) -> str:
    return f" in the {event.place}" if event.place else ""


def sentiment(rng: random.Random, words: Words) -> Example:
    """A positive (1) or negative (0) opinion, half of each. Most have forms that the corpus does not contain."""
    positive = rng.random() < 0.5
    write = rng.choice([tell_opinion, concession, correction, double_negation])
    return Example((write(rng, words, positive),), int(positive))


def concession(rng: random.Random, words: Words, positive: bool) -> str:
    """The opposite opinion, and then the opinion: `Although the sofa was not dull, it was never lovely.`"""
    noun = rng.choice(words.nouns[rng.choice(list(words.nouns))]).text
    opposite, main = clause(rng, words, not positive, f"the {noun}"), clause(rng, words, positive, "it")
    return sentence(rng.choice([f"although {opposite}, {main}", f"{opposite}, but {main}"]))


def correction(rng: random.Random, words: Words, positive: bool) -> str:
    """An error, and the opinion without its adjective: `Anna thought that the sofa was not dull, but it was.`"""
    same, opposite = (words.positive, words.negative) if positive else (words.negative, words.positive)
    noun = rng.choice(words.nouns[rng.choice(list(words.nouns))]).text
    person = rng.choice(lexicon.NAMES)
    was = rng.random() < 0.5
    word = rng.choice(same if was else opposite).text
    truth = "it was" if was else "it was not"
    thought = f"{person} thought that the {noun} was {'not ' if was else ''}{word}"
    opinion = f"{person} {'did not find' if was else 'found'} the {noun} {word}"
    return sentence(
        rng.choice(
            [
                f"{thought}, but {truth}",
                f"{opinion}, but {truth}",
                f"although {thought}, {truth}",
                f"although {opinion}, {truth}",
            ]
        )
    )


def double_negation(rng: random.Random, words: Words, positive: bool) -> str:
    """Two clauses, each negated or not: `Anna never thought that the sofa was not dull.`"""
    outer, inner = rng.choice(["", "never "]), rng.choice(["", "not "])
    group = words.positive if positive != (bool(outer) != bool(inner)) else words.negative
    noun = rng.choice(words.nouns[rng.choice(list(words.nouns))]).text
    thing = rng.choice([f"the {noun}", f"the {rng.choice(words.adjectives).text} {noun}"])
    contrast = f"although it looked {rng.choice(words.negative if positive else words.positive).text}, "
    body = f"{rng.choice(lexicon.NAMES)} {outer}thought that {thing} was {inner}{rng.choice(group).text}"
    return sentence(rng.choice([contrast, ""]) + body)


def clause(rng: random.Random, words: Words, positive: bool, thing: str) -> str:
    """An opinion of `thing` as a clause, with an adjective or by negating the opposite one."""
    same, opposite = (words.positive, words.negative) if positive else (words.negative, words.positive)
    adjective, negated = rng.choice(same).text, rng.choice(opposite).text
    person = rng.choice(lexicon.NAMES)
    very = rng.choice([f"{rng.choice(lexicon.INTENSIFIERS)} ", ""])
    forms = [
        f"{thing} was {very}{adjective}",
        f"{person} found {thing} {very}{adjective}",
        f"{thing} was not {very}{negated}",
        f"{thing} was never {negated}",
        f"{person} did not find {thing} {very}{negated}",
    ]
    return rng.choice(forms)


def paraphrase(rng: random.Random, words: Words) -> Example:
    """An event, and the same one in other words (1) or one with another word (0). 68 % are the same, as in MRPC."""
    event = random_event(rng, words)
    other = event.with_synonyms(rng)
    same = rng.random() < 0.68
    if not same:
        part = rng.choice(CONTENT)
        other = other.replace(**{part: rng.choice(words.alternatives(getattr(event, part)))})
    return Example((tell(event, random_style(rng)), tell(other, random_style(rng))), int(same))


# What a different part subtracts from the score of 5: a synonym, a noun of the same class, anything else.
SYNONYM, RELATED, UNRELATED = 0.2, 0.6, 1.0
PARTS = ("person", "verb", "adjective", "noun", "place")


def similarity(rng: random.Random, words: Words) -> Example:
    """Two events with some parts in common. The score is 5 minus the difference of each part."""
    event, other = (random_event(rng, words).replace(place=rng.choice(lexicon.PLACES)) for _ in range(2))
    changes = rng.sample(PARTS, rng.randint(0, len(PARTS)))
    second, score = event, 5.0
    for part in PARTS:
        value = getattr(event, part)
        if part in changes:
            second = second.replace(**{part: getattr(other, part)})
        elif isinstance(value, Word) and rng.random() < 0.5:
            second = second.replace(**{part: synonym(value)})
        score -= difference(value, getattr(second, part))
    return Example((tell(event, random_style(rng)), tell(second, random_style(rng))), round(score, 1))


def difference(one: Word | str, other: Word | str) -> float:
    """What the difference of two parts subtracts from the score."""
    if one == other:
        return 0.0
    if isinstance(one, str) or isinstance(other, str):
        return UNRELATED
    if one.synonym == other.text:
        return SYNONYM
    return RELATED if one.group == other.group and one.group in lexicon.NOUNS else UNRELATED


def entailment(rng: random.Random, words: Words) -> Example:
    """A premise, and a hypothesis that follows from it (0, as in RTE) or does not (1). Half of each."""
    event = random_event(rng, words)
    follows = rng.random() < 0.5
    change = rng.choice(
        [use_synonyms, generalise, shorten] if follows else [replace_noun, misclassify, narrow, negate, move]
    )
    premise, hypothesis = change(event, rng, words)
    return Example((tell(premise, random_style(rng)), tell(hypothesis, random_style(rng))), int(not follows))


# The following functions return a premise and a hypothesis. It follows from the premise in the first three.


def use_synonyms(event: Event, rng: random.Random, words: Words) -> tuple[Event, Event]:
    return event, event.replace(noun=synonym(event.noun), verb=rng.choice([event.verb, synonym(event.verb)]))


def generalise(event: Event, rng: random.Random, words: Words) -> tuple[Event, Event]:
    return event, event.replace(noun=class_word(event.noun.group))


def shorten(event: Event, rng: random.Random, words: Words) -> tuple[Event, Event]:
    return event, event.replace(adjective=None, verb=rng.choice([event.verb, synonym(event.verb)]))


def replace_noun(event: Event, rng: random.Random, words: Words) -> tuple[Event, Event]:
    return event, event.replace(noun=rng.choice(words.alternatives(event.noun)))


def misclassify(event: Event, rng: random.Random, words: Words) -> tuple[Event, Event]:
    group = rng.choice([group for group in lexicon.OBJECTS[event.verb.group] if group != event.noun.group])
    return event, event.replace(noun=class_word(group))


def narrow(event: Event, rng: random.Random, words: Words) -> tuple[Event, Event]:
    return event.replace(noun=class_word(event.noun.group)), event


def negate(event: Event, rng: random.Random, words: Words) -> tuple[Event, Event]:
    return event, event.replace(never=True, verb=rng.choice([event.verb, synonym(event.verb)]))


def move(event: Event, rng: random.Random, words: Words) -> tuple[Event, Event]:
    """The hypothesis has another person or another place."""
    part = "place" if event.place and rng.random() < 0.5 else "person"
    return event, event.replace(**{part: rng.choice(words.alternatives(getattr(event, part)))})
