"""`prunebench list`: what there is, and where it comes from."""

from __future__ import annotations

import importlib.metadata
import re

import pytest
from commands import call, refused
from plugin_files import plugin_file

VERSION = importlib.metadata.version("prunebench")


@pytest.mark.parametrize(
    ("what", "name", "details"),
    [
        (
            "strategies",
            "imp",
            [
                "    Iterative magnitude pruning: train, prune globally, rewind to θ0, train again (Chen et al. 2020).",
                "    rate: float = 0.1",
                "    of: Literal['original', 'remaining'] = original",
                "    rewind: Literal['init', 'none'] | int | float = init",
            ],
        ),
        (
            "tasks",
            "mrpc",
            [
                "    MRPC: do two news sentences mean the same? (Dolan and Brockett 2005)",
                "    metrics: accuracy, f1; evaluated on: validation (dev)",
                "    protocol: glue-1",
            ],
        ),
        ("models", "distilbert", ["    DistilBERT (Sanh et al. 2019)."]),
        (
            "suites",
            "glue",
            ["    GLUE: nine tasks, BERT-base, five seeds, IMP with its controls, one-shot magnitude, heads."],
        ),
        ("executors", "here", ["    One job after the other, in this process."]),
        ("metrics", "glue", []),
        ("commands", "plan", []),
    ],
)  # fmt: skip
def test_list_shows_name_origin_and_details(what, name, details):
    result = call("list", what)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    at = lines.index(f"{name}  (prunebench {VERSION}, built in)")
    assert lines[at + 1 : at + 1 + len(details)] == details
    assert lines[at + 1].strip()


def test_list_plugins(tmp_path):
    file = plugin_file(tmp_path)
    lines = call("list", "plugins", "--plugin", file).out.splitlines()
    assert f"prunebench.strategies.plugin  (prunebench {VERSION}, built in)  ok" in lines
    assert re.fullmatch(rf"mine  \(mine\.py [0-9a-f]{{8}}, file {re.escape(str(file))}\)  ok", lines[-1])


def test_list_refuses_an_unknown_kind():
    refused(call("list", "strategie"), "'strategie'", "did you mean 'strategies'?")
    refused(call("list"), "strategies|phases|structures|tasks|models", "prunebench list --help")
