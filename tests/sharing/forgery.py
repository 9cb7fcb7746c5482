"""Bundles as a forger would alter them, with all checksums and the summary made to fit."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile

from prunebench.hooks.registry import Registry
from prunebench.results.rows import load_rows
from prunebench.sharing.bundle import archive, reader, schema, strict
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.pack import pack
from prunebench.sharing.bundle.verify import verify
from prunebench.store.schema import text

REGISTRY = Registry()


class Data(bytes):
    """A bundle whose bytes do not fill the screen when a test fails."""

    def __repr__(self):
        return f"<{len(self)} bytes>"


def pack_store(store):
    """The bundle of all runs of a store."""
    return Data(pack({"run": load_rows(store.plans(), store)}, store, REGISTRY))


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def reseal(content):
    """The archive of these members, with a manifest that has their checksums and their summary."""
    manifest = json.loads(content["manifest.json"])
    rest = {name: data for name, data in content.items() if name != "manifest.json"}
    manifest["members"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in rest.items()
    }
    with contextlib.suppress(BadBundle, KeyError, TypeError):
        cells = list(strict.read_lines(content["cells.jsonl"], schema.CellLine, "cells"))
        records = [line.record for line in strict.read_lines(content["records.jsonl"], schema.RecordLine, "records")]
        reasons = {value["key"]: value["reason"] for value in lines(content["failures.jsonl"])}
        masks = {value["key"]: value for value in lines(content["masks.jsonl"])}
        summary = reader.summarise(cells, {record.key: record for record in records}, reasons, masks)
        manifest["summary"] = summary.model_dump()
    return Data(archive.write({**rest, "manifest.json": json.dumps(manifest).encode()}))


def checksum(record):
    """The checksum of a record given as JSON, valid or not."""
    return hashlib.sha256(text(record)).hexdigest()


def lines(data):
    return [json.loads(line) for line in data.splitlines()]


def to_lines(values):
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def alter(bundle, member, change):
    """The bundle after `change` has altered the values of a JSON Lines file, sealed again."""
    content = members(bundle)
    values = lines(content[member])
    change(values)
    for value in values:
        if member == "records.jsonl" and "record" in value:
            value["checksum"] = checksum(value["record"])
    return reseal({**content, member: to_lines(values)})


def what_is_wrong(data, glue_dir):
    """All reasons why a bundle is refused, in one text."""
    try:
        verdict = verify(reader.load(data), REGISTRY, str(glue_dir))
    except BadBundle as error:
        return str(error)
    assert verdict.wrong or not verdict.without_data
    return "\n".join(verdict.wrong)
