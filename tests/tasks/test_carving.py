"""The part carved from train: its size and strata by hand, and the dev split, which it never depends on."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import Protocol, PrunebenchError, Split, Task, TaskData
from prunebench.hooks.registry import Registry
from prunebench.tasks.carving import carve, derive, find_task


def split_of(labels, prefix):
    return Split(([f"{prefix} {i}" for i in range(len(labels))],), list(labels))


def rows(split):
    return list(zip(*split.texts, split.labels, strict=True))


@given(st.lists(st.integers(0, 2), min_size=10, max_size=60))
def test_rest_and_part_are_the_training_split_and_each_class_has_its_share(labels):
    train = split_of(labels, "train")
    rest, carved = map(rows, carve(train))
    assert sorted(rest + carved) == sorted(rows(train))
    assert [row for row in rows(train) if row in set(carved)] == carved
    assert len(carved) == round(len(labels) / 5)
    sizes, parts = Counter(labels), Counter(label for _, label in carved)
    for label, size in sizes.items():
        assert abs(parts[label] - size * len(carved) / len(labels)) < 1


def test_largest_remainders_by_hand():
    """Of 23 examples round(4.6) = 5 are carved: 12, 7 and 4 of each class give 2.61, 1.52 and 0.87."""
    _, carved = carve(split_of([0] * 12 + [1] * 7 + [2] * 4, "x"))
    assert Counter(carved.labels) == {0: 3, 1: 1, 2: 1}


def test_a_large_split_gives_2000_examples():
    rest, carved = carve(split_of([i % 4 == 0 for i in range(20000)], "x"))
    assert (len(rest), len(carved), sum(carved.labels)) == (18000, 2000, 500)


def test_scores_are_no_classes():
    """A part stratified by single scores would have none of a score that occurs once."""
    rest, carved = carve(split_of([i / 7 for i in range(50)], "x"), regression=True)
    assert (len(rest), len(carved)) == (40, 10)


def test_a_tiny_split_is_refused():
    with pytest.raises(PrunebenchError, match="9 examples is too small"):
        carve(split_of([0, 1, 0] * 3, "x"))


DEV = st.lists(st.tuples(st.text(max_size=5), st.integers(0, 1)), min_size=1, max_size=8)


@settings(max_examples=25)
@given(DEV, DEV)
def test_the_derived_task_does_not_depend_on_dev(one, other):
    train = split_of([0, 1] * 10, "train")

    def task_with(dev):
        evaluations = {"matched": Split(([text for text, _ in dev],), [label for _, label in dev])}
        return Task("own", "doc", ("no", "yes"), "glue", "rte", ("accuracy",), lambda _: TaskData(train, evaluations))

    first, second = (derive(task_with(dev)).load(None) for dev in (one, other))
    assert first == second
    assert set(first.evaluations) == {"validation"}
    assert set(rows(first.train)) | set(rows(first.evaluations["validation"])) == set(rows(train))


def test_derived_tasks_are_found_by_their_names():
    registry = Registry()
    task = find_task("mnli:carved", registry)
    assert (task.name, task.evaluations, task.split) == ("mnli:carved", ("validation",), "carved from train")
    assert (task.labels, task.protocol) == (find_task("mnli", registry).labels, Protocol())
    with pytest.raises(PrunebenchError, match="unknown task 'mnly'"):
        find_task("mnly:carved", registry)
