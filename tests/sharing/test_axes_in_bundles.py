"""Bundles of methods with teachers, scopes, patterns and callbacks verify, and train again to the same bits."""

from __future__ import annotations

import json

import pytest
from commands import call
from execution.test_method_callback import SPARSE, plugin
from sharing.forgery import alter, members, reseal, what_is_wrong

from prunebench.execution.executors.local import SerialExecutor
from prunebench.sharing.bundle import retrain
from prunebench.sharing.bundle.reader import open_bundle

METHODS = [
    "magnitude[teacher=dense,teacher_weight=0.9]",
    "magnitude-init[teacher=dense]",
    "magnitude[scope=row]",
    "magnitude[pattern=2:4]",
    "imp[rate=0.25,pattern=2:4]",
    "magnitude[pattern=4x1,schedule=ladder]",
    "magnitude[schedule=cubic]",
    "mine",
]


@pytest.fixture(scope="module")
def words(tiny_bert, tiny_glue, tmp_path_factory):
    file = plugin(tmp_path_factory.mktemp("plugin"), SPARSE)
    where = ["--glue-dir", tiny_glue, "--model", tiny_bert, "--plugin", file]
    return where


@pytest.fixture(scope="module")
def bundle(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("axes")
    options = ["--tasks", "rte", "--strategies", ",".join(METHODS), "--sparsities", "0.5", "--seeds", "1"]
    options += ["--epochs", "1", "--batch-size", "16", "--lr", "1e-3", "--precision", "fp32", "--device", "cpu"]
    status, _, err = call("run", *options, *words, "--executor", "here", "--store", folder / "store")
    assert status == 0, err
    status, _, err = call("bundle", "--store", folder / "store", "--out", folder / "mine.zip", *words[-2:])
    assert status == 0, err
    return folder / "mine.zip"


def test_every_cell_is_trained_again_bit_for_bit(bundle, words, monkeypatch):
    monkeypatch.setattr(retrain, "_executor", lambda registry, threads: SerialExecutor())
    status, out, err = call("verify", bundle, *words, "--rerun", len(open_bundle(bundle).cells))
    assert status == 0, err
    assert "records were made again bit for bit" in out
    assert all(f"{label} at 0.5 on rte" in out for label in METHODS)


def test_an_axis_that_is_not_used_is_refused(bundle, tmp_path):
    content = members(bundle.read_bytes())
    lines = [json.loads(line) for line in content["records.jsonl"].splitlines()]
    lines[0]["record"]["phases"][0]["length"] = 1.0
    content["records.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines).encode()
    (tmp_path / "forged.zip").write_bytes(reseal(content))
    status, _, err = call("verify", tmp_path / "forged.zip")
    assert status == 2
    assert "axes that it does not use: length" in err or "checksum" in err


@pytest.mark.parametrize(
    ("level", "why", "fault"),
    [
        ("0.3", "pattern 2:4 has sparsity 0.5", ""),
        ("0.3", "it was too slow", "says of 0.3 that it was too slow, and its code does not"),
        ("0.5", "pattern 2:4 has sparsity 0.5", "says of 0.5"),
        ("half", "pattern 2:4 has sparsity 0.5", "unsupported"),
    ],
)
def test_reasons_for_levels_without_a_model_are_those_of_the_code(bundle, tiny_glue, level, why, fault):
    def claim(cells):
        (cell,) = (each for each in cells if each["label"] == "magnitude[pattern=2:4]")
        cell["unsupported"] = {level: why}

    reasons = what_is_wrong(alter(bundle.read_bytes(), "cells.jsonl", claim), tiny_glue)
    assert fault in reasons
    assert fault or not reasons
