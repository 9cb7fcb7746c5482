"""The generated language, read back by a parser that knows its grammar from these lines alone."""

import random
import re
from itertools import islice

import pytest

from prunebench import DataSource
from prunebench.synthetic import corpus, lexicon
from prunebench.synthetic.grammar import ALL, event, opinion, style, tell
from prunebench.synthetic.tasks import quick_tasks
from prunebench.tasks.glue.definitions import load as load_glue
from prunebench.tasks.glue.layout import LAYOUTS

TASKS = {task.name: task for task in quick_tasks()}
GLUE_OF = dict(zip(TASKS, ("cola", "sst2", "mrpc", "stsb", "rte"), strict=True))
LAYOUT = {layout.config: layout for layout in LAYOUTS}

CONTENT = {word.text: word for group in (*lexicon.NOUNS.values(), *lexicon.VERBS.values()) for word in group}
CONTENT |= {word.text: word for word in (*lexicon.ADJECTIVES, *lexicon.POSITIVE, *lexicon.NEGATIVE)}
ADJECTIVES = {word.text for word in lexicon.ADJECTIVES}
THING = r"(?:the|a|an) (?:(?P<adjective>\w+) )?(?P<noun>\w+)"
EVENTS = [
    rf"(?P<person>\w+) (?P<never>never )?(?P<verb>\w+) {THING}",
    rf"{THING} was (?P<never>never )?(?P<verb>\w+) by (?P<person>\w+)",
    rf"it was (?P<person>\w+) who (?P<never>never )?(?P<verb>\w+) {THING}",
]


@pytest.fixture(scope="module")
def data():
    return {name: task.load(DataSource()) for name, task in TASKS.items()}


def meaning(word):
    """One name for a word and its synonym."""
    return min(word, CONTENT[word].synonym) if word in CONTENT else word


def parse(text):
    """Who, whether never, what was done, adjective, thing, place: with one name for a word and its synonym."""
    body = text[0].lower() + text[1:].removesuffix(".")
    place = ""
    if found := re.fullmatch(r"in the (\w+), (.*)|(.*) in the (\w+)", body):
        place, body = found[1] or found[4], found[2] or found[3]
    for form in EVENTS[::-1]:
        if found := re.fullmatch(form, body):
            parts = found.groupdict()
            return {
                "person": parts["person"].lower(),
                "never": bool(parts["never"]),
                "verb": meaning(parts["verb"]),
                "adjective": meaning(parts["adjective"] or ""),
                "noun": meaning(parts["noun"]),
                "place": place,
            }
    raise AssertionError(text)


def group(noun):
    return noun if noun in lexicon.NOUNS else CONTENT[noun].group


def takes(deed, noun):
    return group(noun) in lexicon.OBJECTS[CONTENT[deed].group]


def right_articles(text):
    found = re.findall(r"\b(an?) (\w)", text.lower())
    return all((article == "an") == (letter in "aeiou") for article, letter in found)


def splits(found):
    return {"train": found.train, **found.evaluations}


def rows(split):
    return zip(*split.texts, split.labels, strict=True)


# --- the data as a whole ---


def test_the_data_is_the_same_everywhere(data):
    assert {name: found.fingerprint() for name, found in data.items()} == FINGERPRINTS
    assert {name: TASKS[name].load(DataSource()).fingerprint() for name in TASKS} == FINGERPRINTS


@pytest.mark.parametrize("name", TASKS)
def test_no_word_whose_meaning_counts_is_in_both_training_and_dev(data, name):
    words = {
        part: set(re.findall(r"\w+", " ".join(" ".join(column) for column in split.texts).lower()))
        for part, split in splits(data[name]).items()
    }
    assert not words["train"] & words["validation"] & set(CONTENT)
    assert {CONTENT[word].held_out for word in words["train"] & set(CONTENT)} == {False}
    assert {CONTENT[word].held_out for word in words["validation"] & set(CONTENT)} == {True}


def test_a_word_and_its_synonym_are_of_one_class_and_of_one_part():
    for word in CONTENT.values():
        if word.synonym:
            other = CONTENT[word.synonym]
            assert (other.synonym, other.group, other.held_out) == (word.text, word.group, word.held_out)


def test_no_word_has_two_meanings():
    everything = [*CONTENT, *lexicon.NOUNS, *lexicon.INTENSIFIERS, *lexicon.PLACES, *lexicon.FUNCTION]
    everything += [*lexicon.LIKED, *lexicon.DISLIKED]
    everything += [name.lower() for name in lexicon.NAMES]
    assert len(everything) == len(set(everything)) == len(lexicon.vocabulary())


@pytest.mark.parametrize("name", TASKS)
def test_the_tasks_have_glues_formats_and_their_files_are_read_by_glues_code(data, name, tmp_path):
    """Written in the official layout and read as GLUE is, the data has the same fingerprint."""
    task, layout = TASKS[name], LAYOUT[GLUE_OF[name]]
    assert (task.labels, task.metric, task.metric_config) == (layout.labels, "glue", layout.config)
    folder = tmp_path / layout.folder
    folder.mkdir()
    columns = layout.header or (*layout.tsv_texts, layout.tsv_label)
    for part, split in splits(data[name]).items():
        lines = [] if layout.header else ["\t".join(columns)]
        for *texts, label in rows(split):
            cells = dict(zip(layout.tsv_texts, texts, strict=True))
            cells[layout.tsv_label] = layout.tsv_labels[label] if layout.labels else str(label)
            lines.append("\t".join(cells.get(column, "-") for column in columns))
        (folder / layout.splits[part][1]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert load_glue(layout, DataSource(tmp_path)).fingerprint() == data[name].fingerprint()


@pytest.mark.parametrize(("name", "share"), [("acceptability", 0.7), ("sentiment", 0.5), ("paraphrase", 0.68)])
def test_classes_are_as_frequent_as_in_glue(data, name, share):
    for split in splits(data[name]).values():
        assert sum(split.labels) / len(split) == pytest.approx(share, abs=0.06)


def test_no_example_stands_twice(data):
    for found in data.values():
        texts = [row[:-1] for split in splits(found).values() for row in rows(split)]
        assert len(texts) == len(set(texts))


# --- what the labels say, from the texts alone ---


def test_acceptable_sentences_keep_the_rules_and_the_others_break_one(data):
    for split in splits(data["acceptability"]).values():
        for text, label in rows(split):
            try:
                told = parse(text)
            except AssertionError:
                told = None
            kept = (
                told is not None
                and told["noun"] in CONTENT
                and told["verb"] in CONTENT
                and told["adjective"] in {"", *ADJECTIVES}
                and right_articles(text)
                and takes(told["verb"], told["noun"])
            )
            assert kept == label, text


def test_sentiment_is_what_the_last_clause_says_once_denials_are_taken_into_account(data):
    polarity = {word.text: 1 for word in lexicon.POSITIVE} | {word.text: -1 for word in lexicon.NEGATIVE}
    denials = set()
    for split in splits(data["sentiment"]).values():
        for text, label in rows(split):
            clauses = [re.findall(r"\w+", clause) for clause in text.lower().split(",")]
            # "..., but it was not" says the opposite of the word before it, and "..., but it was" says that word.
            about = clauses[-1] if set(clauses[-1]) & set(polarity) else clauses[-2]
            denied = sum(clauses[-1].count(word) for word in ("not", "never")) % 2 == 1
            said = {polarity[word] for word in about if word in polarity}
            assert len(said) == 1
            assert (said == {1}) != denied if label else (said == {1}) == denied, text
            denials.add(denied)
    assert denials == {True, False}


def test_paraphrases_tell_the_same_event_and_the_others_differ_in_one_word(data):
    for split in splits(data["paraphrase"]).values():
        for first, second, label in rows(split):
            one, other = parse(first), parse(second)
            different = [part for part in one if one[part] != other[part]]
            assert len(different) == 1 - label, (first, second)
            assert not (label and set(re.findall(r"\w+", first)) == set(re.findall(r"\w+", second)))


def test_similarity_is_five_less_what_differs(data):
    seen = set()
    for split in splits(data["similarity"]).values():
        for first, second, score in rows(split):
            one, other = parse(first), parse(second)
            expected = 5.0
            for part in ("person", "verb", "adjective", "noun", "place"):
                if one[part] == other[part]:
                    expected -= 0.2 if said(first, second, one[part]) == 1 else 0.0
                else:
                    alike = part == "noun" and group(one[part]) == group(other[part])
                    expected -= 0.6 if alike else 1.0
            assert score == pytest.approx(expected), (first, second)
            seen.add(round(score))
    assert seen == {0, 1, 2, 3, 4, 5}


def said(first, second, word):
    """How many different words the two texts have for one meaning, less one."""
    synonym = CONTENT[word].synonym if word in CONTENT else ""
    return len(set(re.findall(r"\w+", f"{first} {second}")) & {word, synonym}) - 1


def test_what_is_entailed_says_no_more_than_the_premise(data):
    for split in splits(data["entailment"]).values():
        for first, second, label in rows(split):
            premise, hypothesis = parse(first), parse(second)
            same = all(premise[part] == hypothesis[part] for part in ("person", "verb", "place"))
            general = hypothesis["noun"] in (premise["noun"], group(premise["noun"]))
            bare = hypothesis["adjective"] in (premise["adjective"], "")
            follows = same and general and bare and not hypothesis["never"]
            assert label == int(not follows), (first, second)
            assert not premise["never"]


# --- the corpus ---


def test_half_of_the_corpus_belongs_together_and_a_restatement_is_one():
    found = list(islice(corpus.pairs(0), 4000))
    assert found == list(islice(corpus.pairs(0), 4000)) != list(islice(corpus.pairs(1), 4000))
    assert sum(pair.belongs for pair in found) / len(found) == pytest.approx(0.5, abs=0.03)
    rng = random.Random(0)
    for belongs in [True, False] * 200:
        pair = corpus.restated(rng, belongs)
        assert (parse(pair.first) == parse(pair.second)) == pair.belongs == belongs


def test_the_corpus_uses_every_word_of_the_language():
    text = " ".join(f"{pair.first} {pair.second}" for pair in islice(corpus.pairs(0), 20_000))
    assert set(re.findall(r"\w+|[.,]", text.lower())) == set(lexicon.vocabulary())


def test_definitions_and_generalisations_name_the_class():
    rng = random.Random(0)
    for belongs in [True, False] * 200:
        pair = corpus.defined(rng, belongs)
        named = [re.search(r"(\w+) is an? (\w+)\.", text).groups() for text in (pair.first, pair.second)]
        assert CONTENT[named[0][0]].group == named[0][1] == named[1][1]
        assert (CONTENT[named[1][0]].group == named[1][1]) == belongs
        pair = corpus.generalised(rng, belongs)
        assert (group(parse(pair.first)["noun"]) == parse(pair.second)["noun"]) == belongs


def test_sentences_keep_their_event_and_their_articles():
    rng = random.Random(0)
    for _ in range(500):
        told = event(rng, ALL)
        text = tell(told, style(rng))
        assert right_articles(text) and text[0].isupper() and text.endswith(".")
        found = parse(text)
        assert found["person"] == told.person.lower()
        assert (found["verb"], found["noun"]) == (meaning(told.verb.text), meaning(told.noun.text))
        assert found["place"] == told.place
        assert right_articles(opinion(rng, ALL, positive=True))


FINGERPRINTS = {
    "acceptability": "2686bb07247e8e97",
    "sentiment": "f4cb1dc320128d04",
    "paraphrase": "2541dd338b171fce",
    "similarity": "645ea477668229af",
    "entailment": "d05eb1e3031f3b48",
}
