"""The words of the generated language.

Words are listed in pairs of synonyms. Every second pair is held out: the training split of a task never contains it,
and the dev split contains no other. Only pre-training can teach what the words of dev mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word with its one synonym and its class. `held_out` words occur in dev splits only, others in training only."""

    text: str
    synonym: str
    group: str
    held_out: bool


def _words(group: str, pairs: str) -> tuple[Word, ...]:
    """Parse pairs of synonyms such as `"car/automobile truck/lorry"`. Every second pair is held out."""
    words = []
    for number, pair in enumerate(pairs.split()):
        one, other = pair.split("/")
        words += [Word(a, b, group, number % 2 == 1) for a, b in ((one, other), (other, one))]
    return tuple(words)


# Nouns by class. The name of a class is a word of the language too: a hound is an animal.
THINGS = {
    "animal": "dog/hound rabbit/bunny donkey/mule pig/hog",
    "building": "house/cottage hotel/inn shop/store barn/shed",
    "container": "bag/sack bottle/flask box/crate bucket/pail",
    "device": "phone/telephone computer/laptop lamp/lantern clock/timepiece",
    "dish": "soup/broth pie/tart stew/goulash pancake/crepe",
    "drink": "tea/brew beer/ale coffee/espresso juice/nectar",
    "furniture": "sofa/couch cupboard/cabinet chair/seat rug/carpet",
    "garment": "coat/jacket hat/cap shirt/blouse scarf/shawl",
    "instrument": "violin/fiddle flute/pipe trumpet/bugle drum/tambour",
    "ornament": "necklace/pendant ring/band brooch/pin crown/tiara",
    "picture": "painting/canvas photograph/snapshot drawing/sketch poster/placard",
    "plant": "bush/shrub flower/blossom vine/creeper sapling/seedling",
    "text": "letter/note story/tale book/volume poem/verse",
    "tool": "hammer/mallet rope/cord axe/hatchet knife/blade",
    "vehicle": "car/automobile bicycle/bike truck/lorry boat/vessel",
    "weapon": "gun/rifle spear/lance sword/sabre dagger/dirk",
}

# Verbs, and the classes of nouns that they take as objects. The past tense of each verb is also its participle.
ACTIONS = {
    "build": ("built/constructed painted/varnished designed/devised cleaned/scrubbed", ("building", "furniture")),
    "care": ("fed/nourished raised/reared rescued/saved guarded/protected", ("animal", "plant")),
    "carry": ("filled/loaded emptied/drained pushed/shoved carried/hauled", ("container", "vehicle")),
    "cook": ("tasted/sampled finished/consumed heated/warmed served/offered", ("dish", "drink")),
    "dress": ("mended/patched displayed/exhibited fitted/adjusted polished/buffed", ("garment", "ornament")),
    "handle": ("gripped/clutched dropped/fumbled handled/wielded lifted/hoisted", ("weapon", "tool", "instrument")),
    "publish": ("copied/duplicated printed/published described/explained praised/applauded", ("text", "picture")),
    "use": ("used/operated repaired/fixed tested/checked started/activated", ("device", "vehicle", "tool")),
}


def class_word(group: str) -> Word:
    """The name of a class of nouns as a word."""
    return Word(group, "", group, False)


NOUNS = {group: _words(group, pairs) for group, pairs in THINGS.items()}
VERBS = {group: _words(group, pairs) for group, (pairs, _) in ACTIONS.items()}
OBJECTS = {group: classes for group, (_, classes) in ACTIONS.items()}
ADJECTIVES = _words(
    "adjective",
    "big/large small/little old/ancient new/recent red/crimson blue/azure heavy/weighty wet/damp fast/quick"
    " quiet/silent strange/odd expensive/costly cheap/inexpensive empty/vacant round/circular dirty/filthy"
    " dark/dim shiny/glossy narrow/slim famous/renowned",
)


def _polar(group: str, words: str) -> tuple[Word, ...]:
    return tuple(Word(word, "", group, number % 2 == 1) for number, word in enumerate(words.split()))


POSITIVE = _polar(
    "positive",
    "good great excellent wonderful delightful superb splendid lovely charming brilliant marvellous fantastic terrific"
    " pleasant enjoyable impressive beautiful elegant perfect amazing magnificent admirable graceful fine gorgeous"
    " fabulous exquisite outstanding satisfying inspiring refreshing agreeable",
)
NEGATIVE = _polar(
    "negative",
    "bad awful terrible dreadful horrible poor ugly boring dull disappointing annoying nasty lousy miserable useless"
    " worthless tedious clumsy unpleasant disgusting appalling pathetic mediocre shabby hideous inferior frustrating"
    " atrocious abysmal grim painful horrid",
)
# Only the corpus contains these. They connect the positive words with each other, and the negative ones.
LIKED = ("liked", "loved", "enjoyed", "preferred")
DISLIKED = ("disliked", "hated", "loathed", "resented")


def _list(words: str) -> tuple[str, ...]:
    return tuple(words.split())


INTENSIFIERS = _list("very really quite rather truly")
NAMES = _list(
    "Adam Alice Anna Ben Bella Carl Clara David Diana Edgar Ella Frank Fiona George Grace Henry Helen Ivan Iris Jack"
    " Julia Karl Kate Leo Laura Mark Maria Nick Nora Oscar Olivia Paul Paula Rachel Robert Sarah Simon Thomas Vera"
    " Walter"
)
PLACES = _list(
    "kitchen garden market park village harbour station library museum school forest valley street field office castle"
    " theatre church desert camp"
)
FUNCTION = _list(
    "a although an and because but by did every expected find found in is it looked never not said that the thought was"
    " who . ,"
)


def vocabulary() -> list[str]:
    """All words of the language, in lower case and alphabetical order."""
    classes = [*NOUNS.values(), *VERBS.values(), ADJECTIVES, POSITIVE, NEGATIVE]
    words: Iterable[str] = [word.text for group in classes for word in group]
    return sorted(
        {word.lower() for word in (*words, *THINGS, *LIKED, *DISLIKED, *INTENSIFIERS, *NAMES, *PLACES, *FUNCTION)}
    )
