"""Bundles with altered records, cells, masks, failures or predictions are refused, even if every checksum fits."""

from __future__ import annotations

import pytest
from sharing.forgery import alter, lines, members, reseal, to_lines, what_is_wrong

from prunebench.sharing.bundle import predictions


def first(values, **experiment):
    """The first record whose experiment has these values, and whose weights are pruned."""
    return next(
        value["record"]
        for value in values
        if value["record"]["sparsity"]["unit"] == "weight"
        and value["record"]["sparsity"]["pruned"]
        and experiment.items() <= value["record"]["root"].items()
    )


def heads(values):
    """The first record of a compacted model."""
    return next(value["record"] for value in values if value["record"]["phases"][-1]["phase"] == "Compact")


def scores(values, task="rte"):
    return first(values, task=task)["evaluations"]["validation"]


def put(*path, to):
    """A change of one value of the first pruned record of RTE."""

    def change(values):
        parent = first(values, task="rte")
        for name in path[:-1]:
            parent = parent[name]
        parent[path[-1]] = to(parent[path[-1]]) if callable(to) else to

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: scores(values)["metrics"].update(accuracy=0.99), "its predictions give"),
        (lambda values: scores(values, "stsb")["metrics"].update(pearson=0.5), "its predictions give"),
        (lambda values: scores(values, "stsb")["metrics"].update(spearmanr=1e-9), "its predictions give"),
        (lambda values: scores(values)["metrics"].update(f1=0.5), "its predictions give"),
        (lambda values: scores(values)["majority"].update(accuracy=0.1), "says majority"),
        (lambda values: scores(values)["degenerate"].append("accuracy"), "says degenerate"),
        (lambda values: scores(values).update(examples=23), "another number of examples"),
        (put("sparsity", "pruned", to=lambda number: number - 1), "units pruned, expected"),
        (put("sparsity", "pruned", to=lambda number: number + 1), "units pruned, expected"),
        (put("sparsity", "realised", to=0.3), "says sparsity 0.3"),
        (put("sparsity", "units", to=lambda number: number + 5), "must have the same"),
        (put("sparsity", "unit", to="neuron"), "must have the same unit"),
        (put("sparsity", "encoder_after", to=0.0), "fewer zeros"),
        (put("parameters", "left", to=lambda number: number - 1), "must have the same size"),
        (put("parameters", "total", to=lambda number: number * 2), "must have the same encoder and parameters"),
        (put("parameters", "in_model", to=7), "parameters"),
        (put("flops", "dense", to=lambda number: number * 2), "must have the same FLOPs"),
        (put("flops", "dense", to=lambda number: number // 2), "FLOPs of the dense model, whose layers have"),
        (put("flops", "scored", to=lambda number: number - 1), "which is not compacted"),
        (put("flops", "skipping_zeros", to=lambda number: number - 128), "pruned weights save"),
        (put("flops", "length", to=32), "FLOPs"),
        (lambda values: heads(values)["flops"].update(scored=1), "which is compacted"),
        (
            lambda values: heads(values)["flops"].update(scored=9, skipping_zeros=9),
            "must have the same FLOPs of a head",
        ),
        (put("checks", "count_exact", to=False), "contradicts its own count"),
        (put("steps", to=1), "says 1 steps"),
        (put("tokens", to=1), "must have the same tokens"),
        (put("key", to="0" * 32), "is missing"),
        (put("root", "seed", to=7), "whose key is"),
        (put("root", "data", to="f" * 16), "whose key is"),
        (put("root", "code", to="engine 99"), "whose key is"),
        (put("root", "protocol", "lr", to=0.5), "whose key is"),
        (put("root", "protocol", "lr", to="fast"), "a protocol that no run has"),
        (put("root", "protocol", to={}), "the protocol lacks fields"),
        (put("root", "sizes", to={"train": 48}), "there are"),
        (put("root", "sizes", to={}), "the size of the training split is missing"),
        (put("root", "protocol", "train_limit", to=5.5), "a protocol that no run has"),
        (put("root", "protocol", "eval_limit", to=0), "a protocol that no run has"),
        (put("root", "protocol_label", to="glue-1"), "must have the same experiment"),
        (put("root", "model", "name", to="google-bert/bert-base-uncased"), "must have the same experiment"),
        (put("phases", 0, "phase", to="Bake"), "unknown phase 'Bake'"),
        (put("phases", 0, "sparsity", to=0.5), "cannot be read"),
        (put("phases", to=lambda phases: phases[:-2]), "whose key is"),
        (put("phases", to=lambda phases: [{**phases[0], "more": 1}, *phases[1:]]), "has unknown fields: more"),
        (lambda values: values.pop(), "is missing"),
        (lambda values: values.append(values[0]), "appears twice"),
    ],
)
def test_an_altered_record_is_refused(good, tiny_glue, change, reason):
    assert reason in what_is_wrong(alter(good, "records.jsonl", change), tiny_glue)


def cell_of(values, label):
    return next(value for value in values if value["label"] == label)


def swap(values):
    """Give the control the record of what it controls."""
    one, other = cell_of(values, "imp"), cell_of(values, "random-pruning")
    for name in ("key", "trainings", "mask"):
        one[name], other[name] = other[name], one[name]


def without(label):
    def change(values):
        values[:] = [value for value in values if not (value["label"] == label and value["seed"] == 0)]

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: cell_of(values, "imp").update(sparsity=0.9), "says sparsity 0.9, and its record 0.2"),
        (lambda values: cell_of(values, "imp").update(seed=1), "appears twice"),
        (lambda values: cell_of(values, "imp").update(task="stsb"), "says task stsb"),
        (lambda values: cell_of(values, "imp").update(unit="head"), "says unit head"),
        (lambda values: cell_of(values, "heads").update(track="unstructured"), "is unstructured, but prunes heads"),
        (lambda values: cell_of(values, "imp").update(split="test"), "says split test, and its task dev"),
        (lambda values: cell_of(values, "imp").update(metrics=["f1"]), "says metrics"),
        (lambda values: cell_of(values, "imp").update(evaluations=["validation", "test"]), "says evaluations"),
        (lambda values: cell_of(values, "imp").update(benchmark="SuperGLUE"), "says benchmark"),
        (lambda values: cell_of(values, "imp").update(label="mine"), "mine"),
        (lambda values: cell_of(values, "imp")["options"].update(rate=0.5), "says options"),
        (lambda values: cell_of(values, "random-pruning").update(control_of=None), "says control_of None"),
        (lambda values: cell_of(values, "imp")["trainings"].pop(0), "says trainings"),
        (lambda values: cell_of(values, "imp")["setting"].update(device="cuda"), "says setting"),
        (lambda values: cell_of(values, "imp").update(mask="0" * 32), "says mask"),
        (
            lambda values: cell_of(values, "imp").update(mask_from="stsb"),
            "names a source of its mask, which only a transfer has",
        ),
        (lambda values: cell_of(values, "imp").update(key="0" * 32), "is missing"),
        (lambda values: cell_of(values, "imp").update(plan=1), "has no plan"),
        (swap, "went through other phases than its recipe has"),
        (without("dense"), "there is no dense run of the same seed"),
        (without("heads"), "belongs to no cell"),
        (lambda values: values.clear(), "belongs to no cell"),
    ],
)
def test_an_altered_cell_is_refused(good, tiny_glue, change, reason):
    assert reason in what_is_wrong(alter(good, "cells.jsonl", change), tiny_glue)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: values[0].update(pruned=values[0]["pruned"] + 1), "units pruned, expected"),
        (
            lambda values: values[0].update(units=values[0]["units"] * 2, pruned=values[0]["pruned"] * 2),
            "but records that use it have",
        ),
        (lambda values: values[0].update(sha256="no digest"), "does not fit the schema"),
        (lambda values: values.pop(), "is missing"),
        (lambda values: values.append({**values[0], "key": "0" * 32}), "is of no recipe"),
        (lambda values: values.append(values[0]), "appears twice"),
    ],
)
def test_an_altered_mask_is_refused(good, tiny_glue, change, reason):
    assert reason in what_is_wrong(alter(good, "masks.jsonl", change), tiny_glue)


def test_a_failure_of_no_cell_is_refused(good, tiny_glue):
    foreign = alter(good, "failures.jsonl", lambda values: values.append({"key": "0" * 32, "reason": "x"}))
    assert "the failure 00000000000000000000000000000000 belongs to no cell" in what_is_wrong(foreign, tiny_glue)


def test_a_record_without_its_checksum_is_refused(good, tiny_glue):
    content = members(good)
    values = lines(content["records.jsonl"])
    values[0]["record"]["loss"] = 0.0
    forged = reseal({**content, "records.jsonl": to_lines(values)})
    assert "does not match its checksum" in what_is_wrong(forged, tiny_glue)


def test_every_altered_prediction_is_refused_unless_no_metric_feels_it(good, tiny_glue):
    """One class of one example is another, or one score is nudged: the accuracy or the correlation is another."""
    content = members(good)
    for name in sorted(name for name in content if name.startswith("predictions/")):
        array = predictions.unpack(content[name], name).copy()
        array[0, 0] = 1 - array[0, 0] if array.dtype.kind == "u" else array[0, 0] + 1
        forged = reseal({**content, name: predictions.pack(list(array))})
        assert "its predictions give" in what_is_wrong(forged, tiny_glue)
