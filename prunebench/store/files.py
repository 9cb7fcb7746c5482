"""The names of the files of a store, by kind and key."""

from __future__ import annotations

HEAD = "store.json"
SUFFIX = {"records": ".json", "failures": ".json", "plans": ".json"} | dict.fromkeys(
    ("masks", "weights", "models", "checkpoints", "labels"), ".safetensors"
)


def file_name(kind: str, name: str) -> str:
    """The path of a thing of that kind and name in a store."""
    folder = f"{kind}/{name[:2]}" if kind == "records" else kind
    return f"{folder}/{name}{SUFFIX[kind]}"


def logits_file(key: str) -> str:
    return file_name("records", key).removesuffix(SUFFIX["records"]) + ".npz"
