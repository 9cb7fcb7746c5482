"""Small bundles cannot exhaust their reader: large ones are refused early, and checks are linear."""

from __future__ import annotations

import hashlib
import json
import time
import tracemalloc

import huggingface_hub
import pytest
from sharing.forgery import REGISTRY, checksum, lines, members, reseal, to_lines

from prunebench import PrunebenchError
from prunebench.models import sources
from prunebench.models.loading import model_of_id
from prunebench.sharing.bundle import archive, bounds, predictions, reader, strict
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.verify import verify


def with_member(good, name, data):
    """The bundle with other bytes for a member, whose manifest agrees."""
    content = members(good) | {name: data}
    manifest = json.loads(content.pop("manifest.json"))
    manifest["members"] = {
        each: {"size": len(each_data), "sha256": hashlib.sha256(each_data).hexdigest()}
        for each, each_data in content.items()
    }
    return archive.write(content | {"manifest.json": json.dumps(manifest).encode()})


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("records.jsonl", b"[],\n" * 3_000_000, "its files may hold"),
        ("records.jsonl", b"[" + b"[]," * 100_000 + b"[]]\n", "records.jsonl, line 1 may have"),
        ("records.jsonl", b'"' + b"x" * 2**20 + b'"\n', "records.jsonl, line 1 has 1048578 bytes"),
        ("failures.jsonl", b"\n" * 300_000, "failures.jsonl has 300000 lines"),
        ("records.jsonl", b'{"x": ' + b"9" * 20 + b"}\n", "out of bounds"),
        ("records.jsonl", b'{"x": 1e-61}\n', "out of bounds"),
        ("records.jsonl", b'{"x": -1e61}\n', "out of bounds"),
        ("records.jsonl", b'{"x": "\\ud800"}\n', "half of a surrogate pair"),
        ("records.jsonl", b'{"\\udfff": 1}\n', "half of a surrogate pair"),
        ("predictions/0.npy", bytes(16 * 2**20), "is not an npy file"),
    ],
)
def test_what_is_too_large_is_refused_with_little_memory(good, name, data, reason):
    forged = with_member(good, name, data)
    tracemalloc.start()
    try:
        with pytest.raises(BadBundle) as error:
            reader.load(forged)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reason in str(error.value)
    assert peak < 4 * len(data) + 32 * 2**20


def test_a_pair_of_surrogates_is_a_character():
    assert strict.parse(b'"\\ud83d\\ude00"', "x") == "\U0001f600"


def test_an_archive_may_not_grow_without_limit():
    """Each member compresses no more than a member may, and all of them together do."""
    data = {f"{number}": bytes(archive.SMALL) for number in range(5)}
    with pytest.raises(BadBundle, match="would unpack from"):
        archive.read(archive.write(data))


def test_many_equal_names_are_found_in_one_pass():
    """With a search for every name it takes minutes."""
    text = b"{" + b",".join(b'"%d":1' % number for number in range(19_000)) + b',"18999":1}'
    start = time.perf_counter()
    with pytest.raises(BadBundle, match="the name '18999' appears twice"):
        strict.parse(text, "x")
    assert time.perf_counter() - start < 2


def chains(good, number, length):
    """A bundle with so many records, each with so many phases that no other one has."""
    content = members(good)
    record = next(
        value
        for value in lines(content["records.jsonl"])
        if any(phase["phase"] == "Prune" for phase in value["record"]["phases"])
        and value["record"]["root"]["task"] == "rte"
    )
    prune = next(phase for phase in record["record"]["phases"] if phase["phase"] == "Prune")
    cell = lines(content["cells.jsonl"])[0] | {"trainings": [], "plan": 0}
    examples = record["record"]["evaluations"]["validation"]["examples"]
    records, cells = [], []
    for index in range(number):
        key = f"{index:032x}"
        phases = [prune | {"sparsity": (step + index / number) / length} for step in range(length)]
        value = record["record"] | {"key": key, "phases": phases}
        records.append(
            {
                "record": value,
                "checksum": checksum(value),
                "predictions": {"validation": {"array": "predictions/0.npy", "row": index}},
            }
        )
        cells.append(cell | {"key": key})
    import numpy as np

    arrays = predictions.pack([np.zeros(examples, dtype=np.uint8)] * number)
    manifest = content["manifest.json"]
    return reseal(
        {
            "manifest.json": manifest,
            "records.jsonl": to_lines(records),
            "cells.jsonl": to_lines(cells),
            "masks.jsonl": b"",
            "failures.jsonl": b"",
            "plans.jsonl": content["plans.jsonl"],
            "predictions/0.npy": arrays,
        }
    )


def test_the_time_of_checks_grows_no_faster_than_the_bundle(good, tiny_glue):
    """Four times as many phases take less than ten times as long; with a pass over all for each they take 16 times."""
    seconds = []
    for number in (30, 120):
        bundle = reader.load(chains(good, number, 100))
        start = time.perf_counter()
        assert verify(bundle, REGISTRY, str(tiny_glue)).wrong
        seconds.append(time.perf_counter() - start)
    assert seconds[1] < 10 * seconds[0] + 0.5


def test_a_recipe_has_a_limited_number_of_phases(good):
    with pytest.raises(BadBundle, match=f"there are {bounds.MAX_PHASES + 1} phases"):
        reader.load(chains(good, 1, bounds.MAX_PHASES + 1))


@pytest.mark.parametrize("label", ["imp[rate=1e-09]", "heads[step=1e-09]", "dense[trainings=1000000000]"])
def test_an_option_cannot_make_a_recipe_of_billions(label):
    with pytest.raises(PrunebenchError, match=r"rounds|trainings"):
        REGISTRY.strategy(label)


@pytest.fixture
def no_hub(monkeypatch):
    """The calls that reach the hub's library, none of which may leave the cache."""
    calls = []

    def download(name, **options):
        calls.append((name, options.get("local_files_only", False)))
        raise huggingface_hub.errors.LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return calls


@pytest.mark.parametrize(
    "name", ["/etc", "../up", "~/model", "//host/share", "\\\\host\\share", "a/b/c", ".", "", "a\nb"]
)
def test_no_path_of_a_stranger_is_touched(no_hub, monkeypatch, name):
    monkeypatch.setattr(sources, "read_config", lambda folder: pytest.fail(f"it read {folder}"))
    for download in (False, True):
        with pytest.raises(PrunebenchError, match="is no id of a model"):
            model_of_id(name, "", REGISTRY, download=download)
    assert no_hub == []


def test_a_folder_of_the_name_of_a_model_is_not_opened(no_hub, tiny_bert, tmp_path, monkeypatch):
    (tmp_path / "mine").symlink_to(tiny_bert)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PrunebenchError, match="is not in the hub's cache"):
        model_of_id("mine", "", REGISTRY)


def test_the_hub_is_asked_only_if_that_is_allowed(no_hub):
    with pytest.raises(PrunebenchError):
        model_of_id("org/name", "abc", REGISTRY)
    assert no_hub == [("org/name", True)]
    with pytest.raises(PrunebenchError):
        model_of_id("org/name", "abc", REGISTRY, download=True)
    assert no_hub[1:] == [("org/name", False)]


def test_a_model_of_a_plugin_needs_neither(no_hub):
    assert model_of_id("quick-bert", "", REGISTRY).fingerprint and no_hub == []
