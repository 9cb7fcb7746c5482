"""The generated language, checked with a parser that is independent of its code."""

import random
import re
from itertools import islice

import pytest

from prunebench import DataSource
from prunebench.synthetic import corpus, lexicon
from prunebench.synthetic.grammar import ALL, random_event, random_style, tell, tell_opinion
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
    """The same text for a word and its synonym."""
    return min(word, CONTENT[word].synonym) if word in CONTENT else word


def parse(text):
    """The parts of an event, with the same text for a word and its synonym."""
    body = text[0].lower() + text[1:].removesuffix(".")
    place = ""
    if match := re.fullmatch(r"in the (\w+), (.*)|(.*) in the (\w+)", body):
        place, body = match[1] or match[4], match[2] or match[3]
    for form in EVENTS[::-1]:
        if match := re.fullmatch(form, body):
            parts = match.groupdict()
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


def takes(verb, noun):
    return group(noun) in lexicon.OBJECTS[CONTENT[verb].group]


def right_articles(text):
    articles = re.findall(r"\b(an?) (\w)", text.lower())
    return all((article == "an") == (letter in "aeiou") for article, letter in articles)


def splits(data):
    return {"train": data.train, **data.evaluations}


def rows(split):
    return zip(*split.texts, split.labels, strict=True)


# --- the data as a whole ---


def test_the_data_is_the_same_on_every_machine(data):
    assert {name: of_task.fingerprint() for name, of_task in data.items()} == FINGERPRINTS
    assert {name: TASKS[name].load(DataSource()).fingerprint() for name in TASKS} == FINGERPRINTS


@pytest.mark.parametrize("name", TASKS)
def test_training_and_dev_share_no_content_word(data, name):
    words = {
        name: set(re.findall(r"\w+", " ".join(" ".join(column) for column in split.texts).lower()))
        for name, split in splits(data[name]).items()
    }
    assert not words["train"] & words["validation"] & set(CONTENT)
    assert {CONTENT[word].held_out for word in words["train"] & set(CONTENT)} == {False}
    assert {CONTENT[word].held_out for word in words["validation"] & set(CONTENT)} == {True}


def test_a_word_and_its_synonym_have_one_class_and_are_in_one_split():
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


def test_no_example_occurs_twice(data):
    for of_task in data.values():
        texts = [row[:-1] for split in splits(of_task).values() for row in rows(split)]
        assert len(texts) == len(set(texts))


# --- labels, derived from the texts alone ---


def test_acceptable_sentences_follow_the_rules_and_the_others_break_one(data):
    for split in splits(data["acceptability"]).values():
        for text, label in rows(split):
            try:
                event = parse(text)
            except AssertionError:
                event = None
            acceptable = (
                event is not None
                and event["noun"] in CONTENT
                and event["verb"] in CONTENT
                and event["adjective"] in {"", *ADJECTIVES}
                and right_articles(text)
                and takes(event["verb"], event["noun"])
            )
            assert acceptable == label, text


def test_sentiment_is_that_of_the_last_clause_with_its_negations(data):
    polarity = {word.text: 1 for word in lexicon.POSITIVE} | {word.text: -1 for word in lexicon.NEGATIVE}
    negations = set()
    for split in splits(data["sentiment"]).values():
        for text, label in rows(split):
            clauses = [re.findall(r"\w+", clause) for clause in text.lower().split(",")]
            # "..., but it was not" means the opposite of the adjective before it, and "..., but it was" means that
            # adjective.
            clause = clauses[-1] if set(clauses[-1]) & set(polarity) else clauses[-2]
            negated = sum(clauses[-1].count(word) for word in ("not", "never")) % 2 == 1
            polarities = {polarity[word] for word in clause if word in polarity}
            assert len(polarities) == 1
            assert (polarities == {1}) != negated if label else (polarities == {1}) == negated, text
            negations.add(negated)
    assert negations == {True, False}


def test_paraphrases_tell_the_same_event_and_other_pairs_differ_in_one_word(data):
    for split in splits(data["paraphrase"]).values():
        for first, second, label in rows(split):
            one, other = parse(first), parse(second)
            different = [part for part in one if one[part] != other[part]]
            assert len(different) == 1 - label, (first, second)
            assert not (label and set(re.findall(r"\w+", first)) == set(re.findall(r"\w+", second)))


def test_similarity_is_five_minus_the_differences(data):
    rounded = set()
    for split in splits(data["similarity"]).values():
        for first, second, score in rows(split):
            one, other = parse(first), parse(second)
            expected = 5.0
            for part in ("person", "verb", "adjective", "noun", "place"):
                if one[part] == other[part]:
                    expected -= 0.2 if synonyms_used(first, second, one[part]) == 1 else 0.0
                else:
                    alike = part == "noun" and group(one[part]) == group(other[part])
                    expected -= 0.6 if alike else 1.0
            assert score == pytest.approx(expected), (first, second)
            rounded.add(round(score))
    assert rounded == {0, 1, 2, 3, 4, 5}


def synonyms_used(first, second, word):
    """1 if the two texts use both a word and its synonym, else 0."""
    synonym = CONTENT[word].synonym if word in CONTENT else ""
    return len(set(re.findall(r"\w+", f"{first} {second}")) & {word, synonym}) - 1


def test_an_entailed_hypothesis_adds_nothing_to_the_premise(data):
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


def test_half_of_the_pairs_match_and_a_matching_restatement_tells_the_same_event():
    pairs = list(islice(corpus.pairs(0), 4000))
    assert pairs == list(islice(corpus.pairs(0), 4000)) != list(islice(corpus.pairs(1), 4000))
    assert sum(pair.matches for pair in pairs) / len(pairs) == pytest.approx(0.5, abs=0.03)
    rng = random.Random(0)
    for matches in [True, False] * 200:
        pair = corpus.restatement(rng, matches)
        assert (parse(pair.first) == parse(pair.second)) == pair.matches == matches


def test_the_corpus_uses_every_word_of_the_language():
    text = " ".join(f"{pair.first} {pair.second}" for pair in islice(corpus.pairs(0), 20_000))
    assert set(re.findall(r"\w+|[.,]", text.lower())) == set(lexicon.vocabulary())


def test_definitions_and_generalisations_name_the_class():
    rng = random.Random(0)
    for matches in [True, False] * 200:
        pair = corpus.definition(rng, matches)
        (word, its_class), (other, other_class) = (
            re.search(r"(\w+) is an? (\w+)\.", text).groups() for text in (pair.first, pair.second)
        )
        assert CONTENT[word].group == its_class == other_class
        assert (CONTENT[other].group == other_class) == matches
        pair = corpus.generalisation(rng, matches)
        assert (group(parse(pair.first)["noun"]) == parse(pair.second)["noun"]) == matches


def test_sentences_tell_their_event_with_the_right_articles():
    rng = random.Random(0)
    for _ in range(500):
        event = random_event(rng, ALL)
        text = tell(event, random_style(rng))
        assert right_articles(text) and text[0].isupper() and text.endswith(".")
        parts = parse(text)
        assert parts["person"] == event.person.lower()
        assert (parts["verb"], parts["noun"]) == (meaning(event.verb.text), meaning(event.noun.text))
        assert parts["place"] == event.place
        assert right_articles(tell_opinion(rng, ALL, positive=True))


FINGERPRINTS = {
    "acceptability": "2686bb07247e8e97",
    "sentiment": "f4cb1dc320128d04",
    "paraphrase": "2541dd338b171fce",
    "similarity": "645ea477668229af",
    "entailment": "d05eb1e3031f3b48",
}
