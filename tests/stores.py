"""What tests do with stores, and compare in them."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re

import pytest
from commands import call

from prunebench.runtime import environment
from prunebench.store import maintenance, seals
from prunebench.store.contents import kind_of

# Columns of the long table that differ between two runs of the same thing.
TIMES = re.compile("second|memory|command|written|speed")


@contextlib.contextmanager
def user_without_rights():
    """Run the block as a user without rights, even if root runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        if not os.access(environment.__file__, os.R_OK, effective_ids=True):
            pytest.skip("other users cannot read what is installed")
        yield
    finally:
        os.seteuid(0)


def edit_plans(folder, change):
    """Change the plans of a store, which `change` is given as JSON values, under a checksum that fits."""
    for path in (folder / "plans").iterdir():
        file = f"plans/{path.name}"
        plan = json.loads(seals.unseal_json(file, path.read_bytes()))
        change(plan)
        path.write_bytes(seals.seal_json(file, json.dumps(plan).encode()))


def remove(store, choose):
    """Remove the cells that `choose` accepts; returns what went."""
    plans = maintenance.read_plans(store)
    removal = maintenance.removal(store, plans, [c for plan in plans.values() for c in plan.cells if choose(c)])
    with maintenance.exclusive(store) as running:
        maintenance.apply(store, removal, running)
    return removal


def collect(store):
    removal = maintenance.garbage(store)
    with maintenance.exclusive(store) as running:
        maintenance.apply(store, removal, running)
    return removal


def result_files(names):
    """The files of records and masks."""
    return {name for name in names if kind_of(name) in ("records", "masks")}


def table(name, *words):
    """The long table of a store or bundle, without times and commands."""
    exported = call("results", *words, "--store" if not str(name).endswith(".zip") else "--bundle", name)
    assert exported.status == 0, exported.err
    rows = list(csv.DictReader(exported.out.splitlines()))
    return [{key: value for key, value in row.items() if not TIMES.search(key)} for row in rows]


def ranking(name, *words):
    board = call("leaderboard", *words, "--store", name)
    assert board.status == 0, board.err
    return board.out
