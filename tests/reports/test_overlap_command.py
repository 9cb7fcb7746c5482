"""`prunebench masks` on a store."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import subprocess
import sys

import pytest
from commands import call
from stores import edit_plans

from prunebench.hooks.registry import Registry
from prunebench.reports.overlap import build, chance, load_masks
from prunebench.reports.overlap.files import write
from prunebench.results.rows import load_rows
from prunebench.store.store import Store


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture(scope="module")
def store(on_tiny, tmp_path_factory):
    """IMP, its controls and heads on two tasks with two seeds at sparsity 0.5."""
    store = tmp_path_factory.mktemp("stores") / "masks"
    options = [*on_tiny, "--tasks", "rte,stsb", "--seeds", "2", "--epochs", "1", "--batch-size", "16"]
    strategies = "imp[rate=0.25],magnitude-init,random-pruning,random-reinit,heads"
    status, _, err = call("run", *options, "--strategies", strategies, "--sparsities", "0.5", "--store", store)
    assert status == 0, err
    return store


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_reads_a_store_without_torch(store, tmp_path):
    code = "import sys; from prunebench.cli import main\n"
    code += "try: main(sys.argv[1:])\nexcept SystemExit as end: status = end.code\n"
    code += "print(status, sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    command = [sys.executable, "-c", code, "masks", "--store", str(store), "--out", str(tmp_path / "out")]
    command += ["--format", "md,csv,svg"]
    before = files(store)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
    assert files(store) == before
    assert "Masks at sparsity 0.5" in done.stdout
    lines = table(tmp_path / "out" / "overlap.csv")
    methods = {line["method_a"] for line in lines}
    assert methods == {"imp[rate=0.25]", "magnitude-init", "heads"}, "a control has no mask of its own"
    whole = [line for line in lines if (line["layer"], line["matrix"]) == ("all", "all")]
    of_theta0 = {line["jaccard"] for line in whole if line["method_a"] == line["method_b"] == "magnitude-init"}
    assert of_theta0 == {"1.0"}, "θ0 is the same for all tasks and seeds"
    weights = [line for line in whole if line["unit"] == "weight"]
    assert {line["units"] for line in weights} == {"16384"}
    assert {(line["kept_a"], line["kept_b"]) for line in weights} == {("8192", "8192")}
    for line in weights:
        same = [name for name in line if name[:-2] in ("method", "task", "seed")]
        of_pair = [other for other in lines if all(other[name] == line[name] for name in same)]
        parts = [other for other in of_pair if "all" not in (other["layer"], other["matrix"])]
        assert sum(int(part["both"]) for part in parts) == int(line["both"])
        groups = [tuple(int(part[name]) for name in ("units", "kept_a", "kept_b")) for part in parts]
        assert float(line["jaccard_by_chance"]) == pytest.approx(chance.expected_jaccard(groups))
    heads = table(tmp_path / "out" / "heads.csv")
    of_heads = [line for line in heads if line["unit"] == "head"]
    assert sum(int(line["kept"]) for line in of_heads) == 2 * 2 * 4
    assert len([line for line in heads if line["unit"] == "weight"]) == 2 * (2 * 2) * (2 * 4)
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| imp[rate=0.25], layer   |   magnitude-init |" in page.replace("\\", ""), "methods by layer"
    assert "| train, the only split that masks depend on" in page
    assert "## Masks of heads" in page and "## Masks of weights" in page
    assert "![Remaining heads](heads-head.svg)" in page


def test_options_choose_what_is_compared(store):
    status, text, _ = call("masks", "--store", store, "--strategies", "magnitude-init", "--tasks", "rte")
    assert status == 0 and "imp" not in text and "stsb" not in text
    status, _, err = call("masks", "--store", store, "--sparsity", "0.4")
    assert (status, err) == (2, "prunebench: there are no masks at sparsity 0.4 (known: 0.5)\n")


def test_files_do_not_depend_on_any_order(store, tmp_path):
    """Neither on the order of a plan's cells, nor on the order of the rows that their records give."""
    generator = random.Random(0)
    kinds = "md,csv,svg"
    shutil.copytree(store, tmp_path / "store")
    edit_plans(tmp_path / "store", lambda plan: generator.shuffle(plan["cells"]))
    for name, folder in (("original", store), ("shuffled", tmp_path / "store")):
        assert call("masks", "--store", folder, "--format", kinds, "--out", tmp_path / name)[0] == 0
    assert contents(tmp_path / "shuffled") == contents(tmp_path / "original")
    reopened = Store.open(store)
    rows = load_rows(Store.open(tmp_path / "store").plans(), reopened)
    for name in ("sorted", "unsorted"):
        result = build(load_masks(rows, 0.5, reopened, Registry()), 0.5, rows)
        write(result, tmp_path / name, kinds.split(","), "a command")
        generator.shuffle(rows)
    assert contents(tmp_path / "unsorted") == contents(tmp_path / "sorted")


def contents(folder):
    """The bytes of a page's files, without the command on the page, which has a path in it."""
    by_name = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert by_name.keys() > {"README.md", "overlap.csv", "tasks-weight.svg"}
    return {**by_name, "README.md": by_name["README.md"].partition(b"## Commands")[0]}


def test_missing_masks_are_counted(store, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    [plan] = [json.loads(path.read_text()) for path in (tmp_path / "store" / "plans").iterdir()]
    for cell in plan["cells"]:
        if cell["label"] == "magnitude-init" and cell["seed"] == 1:
            (tmp_path / "store" / "masks" / f"{cell['mask']}.safetensors").unlink()
    status, _, _ = call("masks", "--store", tmp_path / "store", "--out", tmp_path / "out", "--format", "md")
    assert status == 0
    assert "2 masks were planned and are not in the store" in (tmp_path / "out" / "README.md").read_text()


def test_mixed_settings_stand_on_top_of_the_page(store, tmp_path):
    shutil.copytree(store, tmp_path / "store")

    def change(plan):
        for cell in plan["cells"]:
            if cell["seed"] == 1:
                cell["setting"]["precision"] = "bf16"

    edit_plans(tmp_path / "store", change)
    arguments = ["masks", "--store", tmp_path / "store", "--tasks", "rte", "--out", tmp_path / "out", "--format", "md"]
    status, _, err = call(*arguments)
    assert status == 2 and "2 precisions for rte: 'bf16', 'fp32'" in err and "pass --allow-mixed" in err
    status, text, _ = call(*arguments, "--allow-mixed")
    warning = "Mixed: 2 precisions for rte: 'bf16', 'fp32'."
    assert status == 0 and f"warning: {warning}" in text.splitlines()
    top = (tmp_path / "out" / "README.md").read_text().partition("\n## ")[0]
    assert f"> **Warning:** {warning}" in top


def test_plans_of_an_earlier_version_name_no_masks(store, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    edit_plans(tmp_path / "store", lambda plan: [cell.pop("mask") for cell in plan["cells"]])
    status, _, err = call("masks", "--store", tmp_path / "store")
    assert status == 2 and "there are no masks to compare" in err and "give its command once more" in err
