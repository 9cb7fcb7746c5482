"""The command line as a person meets it: what it prints, how it ends, and what it leaves in the store."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from commands import Said, call, lasting

from prunebench import cli
from prunebench.execution import worker
from prunebench.store.serialization import FORMAT
from prunebench.store.store import Store
from prunebench.training import loop

VERSION = importlib.metadata.version("prunebench")


class Screen(io.StringIO):
    def isatty(self):
        return True


def refused(said, *parts):
    """Exit status 2 and one clear line, with all `parts` in it; gives the other lines of stderr."""
    lines = said.err.splitlines()
    ours = [line for line in lines if line.startswith("prunebench: ")]
    assert len(ours) == 1, said.err
    assert said.status == 2
    assert "Traceback" not in said.out + said.err
    assert not ours[0][12].isupper() or ours[0][13].isupper(), "lower case, but for names such as GLUE"
    assert not ours[0].endswith(".")
    for part in parts:
        assert part in ours[0]
    return [line for line in lines if line not in ours]


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(store):
    """Whether each cell of the store's newest plan is done, failed or missing."""
    place = Store.open(store)
    found = {}
    for cell in place.plans()[-1]["cells"]:
        failed = place.failure(cell["key"]) is not None
        done = place.record(cell["key"]) is not None
        found[cell["label"], cell["sparsity"], cell["seed"]] = "done" if done else "failed" if failed else "missing"
    return found


@pytest.fixture(scope="module")
def words(on_tiny):
    """Options that make a run on the tiny model and data."""
    what = ["--tasks", "rte", "--strategies", "magnitude", "--sparsities", "0.2", "--seeds", "1"]
    return [*what, *on_tiny, "--epochs", "1", "--batch-size", "16"]


@pytest.fixture(scope="module")
def first(words, tmp_path_factory):
    """A store after its first run, and what that run said. Not to be changed."""
    store = tmp_path_factory.mktemp("stores") / "first"
    return store, call("run", *words, "--store", store)


@pytest.fixture
def store(first, tmp_path, monkeypatch):
    """A store of one's own in which the run of `words` is done; the working folder is empty but for it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(first[0], tmp_path / "store")
    return tmp_path / "store"


# What there is


def test_with_nothing_named_it_is_the_suite_that_needs_no_download(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = call("plan", "--seeds", "1", "--device", "cpu")
    assert said.status == 0 and said.err == ""
    assert said.out.startswith("Suite quick: ") and "not GLUE" in said.out.splitlines()[0]
    assert call("plan", "quick", "--seeds", "1", "--device", "cpu") == said
    assert not Path(".prunebench").exists()
    # Whoever names a model wants tasks of their own.
    refused(call("plan", "--model", "bert"), "no tasks are given", "quick")


def test_the_smoke_suite_runs_through_every_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = call("run", "smoke", "--executor", "here", "--seeds", "1", "--device", "cpu", "--strategies", "imp,heads")
    assert said.status == 0
    assert "sentiment (generated language, dev): accuracy" in said.out
    assert {line.split()[0] for line in said.out.splitlines() if line.startswith(("imp", "heads"))} == {"imp", "heads"}
    assert call("leaderboard", "--out", "page").status == 0
    assert "generated language" in Path("page/README.md").read_text()


def test_as_many_jobs_as_there_are_cores_and_memory_for(monkeypatch):
    from prunebench.runtime import devices

    monkeypatch.setattr(devices, "cores", lambda: 8)
    monkeypatch.setattr(devices, "free_memory", lambda: 24_000_000_000)
    bert_base, minilm, tiny = 440_000_000, 91_000_000, 4_000_000
    assert [devices.default_jobs("cpu", weights) for weights in (bert_base, minilm, tiny)] == [2, 8, 8]
    assert devices.default_jobs("cuda", tiny) == 1
    monkeypatch.setattr(devices, "free_memory", lambda: 100_000_000)
    assert devices.default_jobs("cpu", tiny) == 1
    monkeypatch.setattr(devices, "free_memory", lambda: None)
    assert devices.default_jobs("cpu", bert_base) == 8


def test_free_memory_is_less_than_all_of_it():
    from prunebench.runtime import memory

    assert 0 < memory.free_memory() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_version():
    assert call("--version") == Said(0, f"prunebench {VERSION}\n", "")


def test_help_says_what_each_command_does():
    said = call()
    assert said == call("--help")
    commands = said.out.partition("Commands:\n")[2].splitlines()
    assert {line.split()[0] for line in commands} >= {"leaderboard", "list", "plan", "run"}
    assert all(line.endswith(".") and not line.endswith("...") for line in commands)
    options = call("run", "--help").out
    for name in ("--tasks", "--strategies", "--sparsities", "--seeds", "--model", "--glue-dir", "--store", "--plugin"):
        assert name in options
    for name in ("--precision", "--device", "--epochs", "--lr", "--batch-size", "--max-length", "--train-limit"):
        assert name in options


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
def test_list_shows_what_there_is_and_where_it_came_from(what, name, details):
    said = call("list", what)
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    at = lines.index(f"{name}  (prunebench {VERSION}, built in)")
    assert lines[at + 1 : at + 1 + len(details)] == details
    assert lines[at + 1].strip()


def test_list_plugins_shows_what_was_found(tmp_path):
    file = plugin_file(tmp_path)
    lines = call("list", "plugins", "--plugin", file).out.splitlines()
    assert f"prunebench.strategies.plugin  (prunebench {VERSION}, built in)  ok" in lines
    assert re.fullmatch(rf"mine  \(mine\.py [0-9a-f]{{8}}, file {re.escape(str(file))}\)  ok", lines[-1])


def test_what_cannot_be_listed_is_one_line():
    refused(call("list", "strategie"), "'strategie'", "did you mean 'strategies'?")
    refused(call("list"), "strategies|tasks|models", "prunebench list --help")


# Running


def test_the_first_run_shows_its_results_and_where_they_lie(first):
    store, said = first
    assert said.status == 0
    lines = said.out.splitlines()
    assert lines[:4] == [
        "Asked for:     2 cells, 4 phases, 3 trainings",
        "After sharing: 3 phases, 2 trainings",
        "In the store:  0 phases",
        "To run:        3 phases, 2 trainings",
    ]
    assert any(line.startswith("rte (dev): accuracy × 100, mean ± std over seed 0") for line in lines)
    assert [line.split()[0] for line in lines if line.startswith(("dense ", "majority ", "magnitude "))] == [
        "dense",
        "majority",
        "magnitude",
    ]
    pages = f"prunebench leaderboard --store {store} --out leaderboards/NAME"
    assert said.last == f"Results: {store}. Pages and tables: {pages}"


def test_without_a_terminal_progress_is_plain_lines(first):
    lines = first[1].err.splitlines()
    time = r"(\d+ min )?\d+ s, loss \d\.\d{3}"
    assert len(lines) == 2
    assert re.fullmatch(rf"\[2/3 phases\] rte, seed 0, dense: Train: {time}, about (\d+ min )?\d+ s left", lines[0])
    assert re.fullmatch(rf"\[3/3 phases\] rte, seed 0, magnitude 0\.2: Train Prune\(0\.2\) Train: {time}", lines[1])
    assert not {"\x1b", "\r"} & set(first[1].out + first[1].err)


def test_on_a_terminal_progress_is_live(words, tmp_path, monkeypatch):
    from prunebench.cli import display

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    moment = display.Live.moment

    def drawn(self, progress):
        """Every moment is drawn, however soon the next one comes."""
        moment(self, progress)
        self.bars.refresh()

    monkeypatch.setattr(display.Live, "moment", drawn)
    file = plugin_file(tmp_path, score="1 / 0")
    options = ["--strategies", "magnitude,mine", "--store", tmp_path / "store", "--plugin", file]
    said = call("run", *words, *options, stream=Screen)
    assert "\x1b[" in said.err
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.err)
    assert re.search(r"phases +\S+ +[1-4]/5 .* left", text)
    assert "5/5" in text and not re.search(r" 5/5 .* left", text)
    assert re.search(r"rte, seed 0, magnitude 0\.2: Train Prune\(0\.2\) Train +\S+ +3/3 .*pruning and scoring", text)
    assert "mine 0.2: Train Prune(0.2): strategy 'mine' raised ZeroDivisionError: division by zero" in text
    assert "/5 phases]" not in text


def test_the_second_run_trains_nothing_and_says_so(store, words, first, trainings):
    said = call("run", *words, "--store", "store")
    assert trainings == []
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert "To run:        0 phases, 0 trainings" in lines
    assert "Nothing is left to run: every result is in store" in lines
    assert said.last.startswith("Results: store. ")
    table = first[1].out.split("\n\n")[1:3]
    assert said.out.split("\n\n")[1:3] == table


def test_plan_before_and_after(store, words, trainings):
    before = call("plan", *words, "--seeds", "2", "--store", "other")
    assert (before.status, before.err) == (0, "")
    assert before.out.splitlines() == [
        "Asked for:     4 cells, 8 phases, 6 trainings",
        "After sharing: 6 phases, 4 trainings",
        "In the store:  0 phases",
        "To run:        6 phases, 4 trainings",
        "Expected cost: unknown until each task has been trained once",
        "Run it with the same words: prunebench run …",
    ]
    assert not Path("other").exists(), "a plan writes nothing"
    untouched = contents(store)
    half = call("plan", *words, "--seeds", "2", "--store", "store", "--jobs", "2")
    assert "In the store:  3 phases" in half.out
    assert "To run:        3 phases, 2 trainings" in half.out
    assert re.search(r"^Expected cost: about (\d+ min )?\d+ s$", half.out, re.MULTILINE)
    after = call("plan", *words, "--store", "store")
    assert after.last == "Nothing is left to run: everything is in store"
    assert contents(store) == untouched
    assert trainings == []


def test_a_run_that_asks_for_more_runs_only_what_is_new(store, words, trainings):
    said = call("run", *words, "--seeds", "3,0", "--strategies", "magnitude,magnitude-init", "--store", "store")
    assert said.status == 0
    assert "In the store:  3 phases" in said.out
    assert len(trainings) == 4  # magnitude-init of seed 0, and dense, magnitude and magnitude-init of seed 3
    assert set(results(store).values()) == {"done"}
    assert {seed for _, _, seed in results(store)} == {0, 3}


def test_options_win_over_the_suite(store, words, tiny_bert, tiny_glue, tmp_path):
    suite = tmp_path / "mine.toml"
    suite.write_text(
        f'tasks = ["mrpc"]\nstrategies = ["imp"]\nsparsities = [0.5]\nseeds = 5\nmodel = "{tiny_bert}"\nepochs = 9\n'
        f'glue-dir = "{tiny_glue}"\ndevice = "cpu"\nprecision = "fp32"\nbatch-size = 16\n'
    )
    alone = call("plan", suite, "--store", "store")
    assert "Asked for:     10 cells, 85 phases, 35 trainings" in alone.out
    said = call("run", suite, *words, "--seeds", "3,", "--store", "store")
    assert said.status == 0
    plan = Store.open(store).plans()[-1]
    assert plan["suite"] == "mine"
    assert {(cell["task"], cell["label"], cell["sparsity"], cell["seed"]) for cell in plan["cells"]} == {
        ("rte", "dense", 0.0, 3),
        ("rte", "magnitude", 0.2, 3),
    }
    assert {cell["setting"]["protocol"] for cell in plan["cells"]} == {"glue-1 with epochs=1, batch_size=16"}
    assert plan["command"].startswith(f"prunebench run {suite} --tasks rte")


def test_a_record_that_is_torn_is_named_and_made_again(store, words, trainings):
    record = next(path for path in (store / "records").rglob("*.json") if '"phase": "Prune"' in path.read_text())
    whole = json.loads(record.read_text())["record"]["evaluations"]
    record.write_text(record.read_text()[:100])
    said = call("run", *words, "--store", "store")
    assert said.status == 0
    assert f"{record.relative_to(store.parent)} is torn or foreign" in said.err
    assert json.loads(record.read_text())["record"]["evaluations"] == whole


# Protocols and pages


def test_another_protocol_is_never_mixed_in(store, words):
    assert call("run", *words, "--epochs", "2", "--store", "store").status == 0
    untouched = contents(store)
    one, two = "glue-1 with epochs=1, batch_size=16", "glue-1 with epochs=2, batch_size=16"
    refused(
        call("leaderboard", "--store", "store", "--out", "page"), f"2 protocols for rte: '{one}', '{two}'", "--protocol"
    )
    assert not Path("page").exists()
    for protocol, steps in ((one, "3"), (two, "6")):
        said = call("leaderboard", "--store", "store", "--protocol", protocol, "--out", "page")
        assert said.status == 0
        assert json.loads(Path("page/results.json").read_text())["setting"]["protocol"] == protocol
        rows = list(csv.DictReader(Path("page/results.csv").read_text().splitlines()))
        assert {(row["protocol"], row["steps_to_train"]) for row in rows} == {(protocol, steps)}
    refused(call("leaderboard", "--store", "store", "--protocol", "glue-2"), "unknown protocol 'glue-2'")
    assert contents(store) == untouched


def test_leaderboard_writes_a_folder_and_says_where(store):
    said = call("leaderboard", "--store", "store", "--out", "page/mine")
    assert (said.status, said.err) == (0, "")
    files = ["page/mine/README.md", "page/mine/results.csv", "page/mine/results.json"]
    files += ["page/mine/table.tex", "page/mine/index.html"]
    assert said.last == f"Written: {', '.join(files)}"
    assert sorted(contents(Path("page"))) == sorted(file.removeprefix("page/") for file in files)
    page = Path("page/mine/README.md").read_text()
    assert "magnitude" in page
    assert "prunebench run --tasks rte --strategies magnitude" in page, "the page names the command that made it"
    assert r"\toprule" in Path("page/mine/table.tex").read_text()
    assert json.loads(Path("page/mine/results.json").read_text())


def test_leaderboard_shows_without_writing(store, first):
    said = call("leaderboard", "--store", "store")
    assert said.out.split("\n\n")[0:2] == first[1].out.split("\n\n")[1:3]
    assert (
        said.last
        == "Nothing is written; --out DIR writes README.md, results.csv, results.json, table.tex, index.html there"
    )
    assert sorted(path.name for path in Path().iterdir()) == ["store"]
    assert (
        call("leaderboard", "--store", "store", "--format", "csv", "--out", "page").last == "Written: page/results.csv"
    )


def test_leaderboard_of_nothing_is_one_line(store):
    refused(call("leaderboard"), "no store in '.prunebench'", "prunebench run")
    refused(call("leaderboard", "--store", "store", "--format", "md,cvs"), "unknown format 'cvs'", "'csv'")
    refused(call("leaderboard", "--store", "store", "--tasks", "mrpc"), "unknown task 'mrpc'")
    refused(call("leaderboard", "--store", "store", "--out", "store/store.json"), "cannot write")
    Store.create("empty")
    refused(call("leaderboard", "--store", "empty"), "no results")


# Bad input

BAD_WORDS = [
    (["rnu"], ["unknown command 'rnu'", "'run'"]),
    (["run", "--stratgies", "imp"], ["unknown option '--stratgies'", "'--strategies'"]),
    (["run", "gleu"], ["unknown suite 'gleu'", "'glue'"]),
    (["run", "none.toml"], ["no suite file 'none.toml'"]),
    (["run", "glue", "extra"], ["unexpected extra argument (extra)", "prunebench run --help"]),
    (["run", "--jobs", "0"], ["'--jobs'", "0 is not in the range"]),
    (["run", "--seeds"], ["'--seeds' requires an argument"]),
]
BAD_OPTIONS = [
    ({"strategies": "impp"}, ["unknown strategy 'impp'", "'imp'"]),
    ({"strategies": "magnitude,imp[rat=0.2]"}, ["'rat'", "'rate'"]),
    ({"strategies": "imp[rate=fast]"}, ["'fast'", "'rate'", "'imp'", "float"]),
    ({"strategies": "imp[rate=2]"}, ["rate between 0 and 1", "2.0"]),
    ({"strategies": "imp[of=orignal]"}, ["'orignal'", "'original'"]),
    ({"strategies": "imp[rate=0.1"}, ["'imp[rate=0.1'", "NAME[option=value"]),
    ({"strategies": "imp[rate]"}, ["'rate'", "option=value"]),
    ({"strategies": "random-pruning[of=impp]"}, ["unknown strategy 'impp'", "'imp'"]),
    ({"strategies": "random-pruning[of=dense]"}, ["cannot control 'dense'"]),
    ({"tasks": "rtee"}, ["unknown task 'rtee'", "'rte'"]),
    ({"tasks": "rte,MRPC"}, ["unknown task 'MRPC'", "'mrpc'"]),
    ({"tasks": ""}, ["no tasks", "--tasks", "chen2020, glue"]),
    ({"model": "bert-base-uncasd"}, ["'bert-base-uncasd'", "'google-bert/bert-base-uncased'"]),
    ({"sparsities": "1"}, ["sparsity 1.0 is outside [0, 1)"]),
    ({"sparsities": "-0.1"}, ["sparsity -0.1 is outside [0, 1)"]),
    ({"sparsities": "0.3,1.5"}, ["sparsity 1.5 is outside [0, 1)"]),
    ({"sparsities": "70"}, ["sparsity 70.0 is outside [0, 1)"]),
    ({"sparsities": "nan"}, ["sparsity nan is outside [0, 1)"]),
    ({"sparsities": "half"}, ["'half'", "expected a number"]),
    ({"seeds": "0"}, ["bad seeds '0'", "such as 5"]),
    ({"seeds": "-1"}, ["bad seeds '-1'"]),
    ({"seeds": "3,x"}, ["bad seed 'x'", "whole number"]),
    ({"seeds": "1.5"}, ["bad seeds '1.5'", "whole number"]),
    ({"epochs": "0"}, ["epochs must be above 0"]),
    ({"epochs": "many"}, ["bad epochs 'many'"]),
    ({"lr": "-1"}, ["lr must be above 0"]),
    ({"batch-size": "x"}, ["bad batch-size 'x'"]),
    ({"train-limit": "0"}, ["train-limit must be above 0"]),
    ({"device": "gpu"}, ["unknown device 'gpu'", "cpu, cuda"]),
    ({"precision": "fp16"}, ["unknown precision 'fp16'", "fp32, bf16"]),
    ({"compile": "on"}, ["--compile on needs --device cuda", "on a CPU"]),
    ({"compile": "of"}, ["unknown compile 'of'", "off, on"]),
    ({"prunable": "all"}, ["unknown prunable 'all'", "encoder+pooler"]),
    ({"executor": "procesess"}, ["unknown executor 'procesess'", "'processes'"]),
    ({"glue-dir": "nowhere"}, ["no GLUE folder 'nowhere'"]),
    ({"plugin": "none.py"}, ["no plugin file", "none.py"]),
]


@pytest.mark.parametrize(("line", "parts"), BAD_WORDS, ids=[" ".join(line) for line, _ in BAD_WORDS])
def test_a_line_that_is_not_understood(line, parts):
    said = call(*line)
    assert refused(said, *parts) == []
    assert said.out == ""


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("options", "parts"),
    BAD_OPTIONS,
    ids=[f"{name}={value}" for entry, _ in BAD_OPTIONS for name, value in entry.items()],
)
def test_a_bad_option_is_one_line_and_costs_nothing(store, words, command, options, parts):
    untouched = contents(store)
    changes = [word for name, value in options.items() for word in (f"--{name}", value)]
    said = call(command, *words, *changes, "--store", "store")
    assert refused(said, *parts) == []
    assert said.out == ""
    assert contents(store) == untouched


def test_a_model_folder_that_is_not_there(store, words, tiny_bert):
    wrong = tiny_bert.with_name("tiny-bret")
    refused(call("run", *words, "--model", wrong, "--store", "store"), str(wrong), "tiny-bert'")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('taskss = ["rte"]', ["suite mine.toml", "'taskss'", "'tasks'"]),
        ('tasks = ["rtee"]', ["unknown task 'rtee'", "'rte'"]),
        ('tasks = ["rte"]\nstrategies = ["impp"]', ["unknown strategy 'impp'", "'imp'"]),
        ('tasks = ["rte"]\n[sparsities]\nrtee = [0.5]', ["unknown task 'rtee'", "'rte'"]),
        ('tasks = ["rte"]\n[sparsities]\nmrpc = [0.5]', ["no sparsities for task 'rte'"]),
        ('tasks = ["rte"]\nsparsities = [1.0]', ["suite mine.toml", "sparsity 1.0"]),
        ('tasks = ["rte"', ["mine.toml", "not TOML"]),
        ("", ["no tasks are given", "quick"]),
    ],
)
def test_a_bad_suite_file_is_one_line(tmp_path, monkeypatch, text, parts):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text)
    assert refused(call("run", "mine.toml"), *parts) == []
    assert not Path(".prunebench").exists()


def test_bad_glue_files_are_named_with_the_line(store, words, tiny_glue):
    untouched = contents(store)
    refused(call("run", *words, "--tasks", "rte,wnli", "--store", "store"), "lacks the task wnli", "'WNLI'")
    shutil.copytree(tiny_glue, "glue")
    file = Path("glue/RTE/train.tsv")
    whole = file.read_text()
    lines = whole.split("\n")
    lines[4] = lines[4].replace("\t", " ", 1)
    file.write_text("\n".join(lines))
    said = call("run", *words, "--glue-dir", "glue", "--store", "store")
    refused(said, "glue/RTE/train.tsv line 5 has 3 columns, expected 4")
    file.write_text(whole.replace("not_entailment", "neutral", 1))
    said = call("run", *words, "--glue-dir", "glue", "--store", "store")
    number = next(number for number, line in enumerate(whole.split("\n"), 1) if "not_entailment" in line)
    refused(said, f"glue/RTE/train.tsv line {number}", "unknown label 'neutral'")
    file.unlink()
    refused(call("run", *words, "--glue-dir", "glue", "--store", "store"), "no file glue/RTE/train.tsv")
    assert contents(store) == untouched


def test_a_truncated_checkpoint(store, words, tiny_bert):
    before = results(store)
    shutil.copytree(tiny_bert, "cut")
    weights = Path("cut/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000])
    untouched = contents(store / "records")
    said = call("run", *words, "--model", "cut", "--store", "store")
    others = refused(said)
    assert any("cut/model.safetensors' is truncated or damaged" in line for line in [*others, said.err])
    assert contents(store / "records") == untouched
    assert call("run", *words, "--store", "store").status == 0
    assert results(store) == before


@pytest.mark.parametrize("command", ["run", "plan", "leaderboard"])
def test_a_store_of_a_newer_version(store, words, command):
    (store / "store.json").write_text(json.dumps({"format": FORMAT + 1, "prunebench": "9.0"}))
    untouched = contents(store)
    said = call(command, *(words if command != "leaderboard" else []), "--store", "store")
    assert refused(said, "written by prunebench 9.0", f"reads format {FORMAT}", "upgrade") == []
    assert contents(store) == untouched


# Plugins

PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar
from prunebench import Prune, Train, hookimpl

@dataclass(frozen=True)
class Mine:
    """My own method."""

    name: ClassVar[str] = "mine"
    unit: ClassVar[str] = "weight"
    power: float = 1.5

    def recipe(self, sparsity):
        return RECIPE

    def score(self, ctx):
        return SCORE

@hookimpl
def prunebench_strategies():
    return [Mine]
'''
SCORE = "{name: weight.abs() ** self.power for name, weight in ctx.weights.items()}"


def plugin_file(folder, recipe="[Train(), Prune(sparsity), Train()]", score=SCORE, text=PLUGIN):
    file = folder / "mine.py"
    file.write_text(text.replace("RECIPE", recipe).replace("SCORE", score))
    return file


def test_a_plugin_file_is_listed_planned_and_run(store, words, trainings, tmp_path):
    file = plugin_file(tmp_path)
    lines = call("list", "strategies", "--plugin", file).out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("mine  (mine.py "))
    assert lines[at + 1 : at + 3] == ["    My own method.", "    power: float = 1.5"]
    options = [*words, "--strategies", "mine,mine[power=2]", "--store", "store", "--plugin", "mine.py"]
    assert "To run:        5 phases, 3 trainings, 1 of them again" in call("plan", *options).out
    said = call("run", *options)
    assert (said.status, len(trainings)) == (0, 3)
    assert set(results(store)) == {("dense", 0.0, 0), ("mine", 0.2, 0), ("mine[power=2.0]", 0.2, 0)}
    assert set(results(store).values()) == {"done"}
    refused(call("run", *words, "--strategies", "mine", "--store", "store"), "unknown strategy 'mine'")
    file.write_text(file.read_text() + "# Another version.\n")
    assert "To run:        5 phases, 3 trainings" in call("plan", *options).out, "an edited plugin is another method"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("import nosuchmodule", ["plugin mine.py cannot be used", "No module named 'nosuchmodule'"]),
        ("1 / 0", ["plugin mine.py cannot be used", "ZeroDivisionError"]),
        ("def f(:", ["plugin mine.py cannot be used", "SyntaxError", "line 1"]),
        (PLUGIN.replace("_strategies", "_strategy"), ["'prunebench_strategy'", "'prunebench_strategies'"]),
        (PLUGIN.replace("@hookimpl", ""), ["prunebench_strategies is not marked as a hook", "@hookimpl"]),
        (PLUGIN.replace("strategies()", "strategies(model)"), ["cannot be used", "prunebench_strategies(model)"]),
        (PLUGIN.replace("[Mine]", "[1 / 0]"), ["plugin mine.py cannot be used", "ZeroDivisionError"]),
        (PLUGIN.replace('"mine"', '"magnitude"'), ["'magnitude' is given twice", "mine.py", "built in"]),
        (PLUGIN.replace('"weight"', '"layer"'), ["unknown unit 'layer'", "weight, head, neuron"]),
        (PLUGIN.replace("RECIPE", "1 / 0"), ["'mine'", "recipe", "ZeroDivisionError"]),
        (PLUGIN.replace("RECIPE", "None"), ["'mine'", "recipe", "TypeError"]),
    ],
    ids=["import", "top", "syntax", "hook", "mark", "arguments", "gives", "twice", "unit", "recipe", "no recipe"],
)  # fmt: skip
def test_a_plugin_that_cannot_be_used_is_one_line(store, words, tmp_path, text, parts):
    untouched = contents(store)
    file = plugin_file(tmp_path, text=text)
    said = call("run", *words, "--strategies", "magnitude,mine", "--store", "store", "--plugin", file)
    assert refused(said, *parts) == []
    assert contents(store) == untouched


METRIC = """
from dataclasses import replace
from prunebench import MetricSpec, hookimpl
from prunebench.tasks.plugin import prunebench_tasks as built_in

def load(config):
    import datasets
    import evaluate

    class Errors(evaluate.Metric):
        def _info(self):
            columns = {name: datasets.Value("int64") for name in ("predictions", "references")}
            return evaluate.MetricInfo("How many are wrong.", "", datasets.Features(columns))

        def _compute(self, predictions, references):
            return {"KEY": sum(one != other for one, other in zip(predictions, references)), "all": [len(references)]}

    return Errors(config_name=config, keep_in_memory=True)

@hookimpl
def prunebench_metrics():
    return [MetricSpec("errors", "How many are wrong.", load)]

@hookimpl
def prunebench_tasks():
    [rte] = [task for task in built_in() if task.name == "rte"]
    return [replace(rte, name="counted", metric="errors", metric_config="all", metrics=("errors",))]
"""


def test_a_task_with_a_metric_of_evaluate_of_its_own(words, tmp_path):
    file = plugin_file(tmp_path, text=METRIC.replace("KEY", "errors"))
    options = [*words, "--tasks", "rte,counted", "--store", tmp_path / "store", "--plugin", file]
    assert call("run", *options).status == 0
    scores = {}
    for record in Store.open(tmp_path / "store").records():
        scores.setdefault(record["root"]["task"], []).append(record["evaluations"]["validation"])
    assert len(scores["counted"]) == len(scores["rte"]) > 1
    for counted, rte in zip(*(sorted(scores[name], key=str) for name in ("counted", "rte")), strict=True):
        assert counted["degenerate"] == []
        for what in ("metrics", "majority"):
            right = rte["examples"] - counted[what]["errors"]
            assert right / rte["examples"] == pytest.approx(rte[what]["accuracy"])


def test_a_metric_without_what_its_task_names_is_one_line(words, tmp_path):
    file = plugin_file(tmp_path, text=METRIC.replace("KEY", "error"))
    said = call("run", *words, "--tasks", "counted", "--store", tmp_path / "store", "--plugin", file)
    failed = [line for line in refused(said) if line.startswith("failed: ")]
    assert "the metric 'errors' of the task 'counted' gives no 'errors' (it gives 'error', 'all')" in failed[0]


def test_a_score_that_raises_costs_only_its_own_cells(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = plugin_file(tmp_path, score="1 / 0")
    options = [*words, "--seeds", "2", "--strategies", "mine,magnitude", "--store", "store", "--plugin", file]
    said = call("run", *options)
    others = refused(said, "2 failures, 2 jobs left out because of that", "store/failures", "--retry-failed tries them")
    line = 1 + file.read_text().split("\n").index("        return 1 / 0")
    reason = f"strategy 'mine' raised ZeroDivisionError: division by zero (mine.py, line {line})"
    assert [other for other in others if other.startswith("failed: ")] == [
        f"failed: rte, seed {seed}, mine 0.2: Train Prune(0.2): {reason}" for seed in (0, 1)
    ]
    assert said.last.startswith("Results: store. ")
    assert results(Path("store")) == {
        **{("dense", 0.0, seed): "done" for seed in (0, 1)},
        **{("magnitude", 0.2, seed): "done" for seed in (0, 1)},
        **{("mine", 0.2, seed): "failed" for seed in (0, 1)},
    }
    plugin_file(tmp_path)
    again = call("run", *options)
    assert again.status == 0
    assert set(results(Path("store")).values()) == {"done"}


def test_what_failed_is_tried_again_on_request_only(words, tmp_path, monkeypatch):
    """A training that diverges fails for ever; another method that needs it fails with it, and costs nothing."""
    monkeypatch.chdir(tmp_path)
    options = [*words, "--lr", "1e30", "--store", "store"]
    refused(call("run", *options), "1 failure, 1 job left out because of that")
    again = call("run", *options, "--strategies", "magnitude,imp")
    others = refused(again, "prunebench: 9 phases left out that failed before", "--retry-failed")
    assert "Failed before: 9 phases; --retry-failed tries them again\nTo run:        0 phases" in again.out
    assert "Nothing is left to run: what has not failed is in store" in again.out
    [reason] = [line for line in others if line.startswith("failed before: rte, seed 0, dense: Train: ")]
    assert "diverged" in reason
    assert set(results(Path("store")).values()) == {"failed"}
    rest = call("plan", *options, "--strategies", "magnitude,imp", "--retry-failed")
    assert "To run:        9 phases, 4 trainings" in rest.out
    refused(call("run", *options, "--retry-failed"), "1 failure, 1 job left out because of that")


@pytest.mark.parametrize(
    ("score", "parts"),
    [
        ("{}", ["strategy 'mine'", "no score for"]),
        ("{name: weight[0] for name, weight in ctx.weights.items()}", ["strategy 'mine'", "has shape (32,)"]),
        ("{name: weight * float('nan') for name, weight in ctx.weights.items()}", ["strategy 'mine'", "NaN"]),
    ],
    ids=["none", "shape", "nan"],
)
def test_a_score_that_is_no_score_is_one_line(store, words, tmp_path, score, parts):
    before = contents(store / "records")
    file = plugin_file(tmp_path, score=score)
    said = call("run", *words, "--strategies", "mine,magnitude", "--store", "store", "--plugin", file)
    [failed] = [line for line in refused(said) if line.startswith("failed: ")]
    assert all(part in failed for part in parts)
    assert contents(store / "records").items() >= before.items()


def test_an_unexpected_error_keeps_its_traceback_and_what_is_done(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real = loop.train

    def breaks(model, data, protocol, seed, *args, **kwargs):
        if seed == 1:
            raise RuntimeError("not foreseen")
        return real(model, data, protocol, seed, *args, **kwargs)

    monkeypatch.setattr(worker.loop, "train", breaks)
    with pytest.raises(RuntimeError, match="not foreseen") as error:
        cli.main(["run", *words, "--seeds", "3", "--store", "store"])
    assert any(entry.name == "breaks" for entry in error.traceback)
    found = results(Path("store"))
    assert {seed for (_, _, seed), state in found.items() if state == "done"} == {0, 2}
    assert {seed for (_, _, seed), state in found.items() if state == "failed"} == {1}


# The store's disk


def test_a_disk_that_fills_up_in_mid_run(words, tmp_path, monkeypatch):
    """/dev/full answers every write with "no space left", as a full disk does; here from the first mask on."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    monkeypatch.chdir(tmp_path)
    real = tempfile.mkstemp

    def filled(**where):
        if Path(where["dir"]).name != "masks":
            return real(**where)
        name = Path(where["dir"], f"{where['prefix']}full")
        name.touch()
        return os.open("/dev/full", os.O_WRONLY), str(name)

    with monkeypatch.context() as disk:
        disk.setattr(tempfile, "mkstemp", filled)
        said = call("run", *words, "--store", "store")
    refused(said, "cannot write to the store 'store'", "no space is left", "what is stored is safe")
    assert results(Path("store")) == {("dense", 0.0, 0): "done", ("magnitude", 0.2, 0): "failed"}
    assert not [name for name in contents(Path("store")) if ".part-" in name]
    others = refused(call("run", *words, "--store", "store"), "2 phases left out that failed before")
    assert any("no space is left on its disk" in line for line in others)
    assert call("run", *words, "--store", "store", "--retry-failed").status == 0
    assert set(results(Path("store")).values()) == {"done"}


@pytest.mark.parametrize("name", ["store", "another"])
def test_a_store_without_permission(first, words, monkeypatch, name):
    real = Store.create

    def as_nobody(folder):
        if os.geteuid() != 0:
            return real(folder)
        os.seteuid(65534)
        try:
            return real(folder)
        finally:
            os.seteuid(0)

    monkeypatch.setattr(Store, "create", as_nobody)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copytree(first[0], place / "store")
        for path in [place, *place.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        untouched = contents(place)
        said = call("run", *words, "--seeds", "2", "--store", place / name)
        assert refused(said, f"cannot write to the store '{place / name}'", "no permission") == []
        assert contents(place) == untouched
        for path in [place, *place.rglob("*")]:
            path.chmod(0o755)


def test_a_folder_of_something_else_is_no_store(words, tmp_path):
    (tmp_path / "thesis.tex").write_text("…")
    refused(call("run", *words, "--store", tmp_path), "not empty and no store")
    refused(call("run", *words, "--store", tmp_path / "thesis.tex"), "cannot")
    assert list(contents(tmp_path)) == ["thesis.tex"]


# The doctor


def test_the_doctor_finds_a_sound_store_sound(store):
    said = call("doctor", "--store", store)
    assert said.status == 0, said.err
    assert re.search(r"^store: +\S+: 2 records, 1 mask$", said.out, re.MULTILINE)
    assert f"prunebench {VERSION}" in said.out
    assert said.last == "Nothing is wrong. Try it: prunebench run smoke"


def test_the_doctor_finds_what_is_damaged_and_sets_it_aside(store):
    [mask] = (store / "masks").iterdir()
    record = sorted((store / "records").glob("*/*.json"))[0]
    mask.write_bytes(mask.read_bytes()[:-1])
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    logits = sorted((store / "records").glob("*/*.npz"))[1]
    logits.write_bytes(logits.read_bytes()[:-30])
    (store / "models" / "a.safetensors").parent.mkdir(exist_ok=True)
    (store / "models" / "a.safetensors").write_bytes(b"no model")
    others = refused(call("doctor", "--store", store), "4 things are wrong")
    assert [line for line in others if str(record) in line and "does not match its checksum" in line]
    assert [line for line in others if str(logits) in line]
    for damaged in (mask, store / "models" / "a.safetensors"):
        assert [line for line in others if str(damaged) in line and "is damaged and was set aside" in line]
    assert call("doctor", "--store", store).status == 0


def test_the_doctor_needs_no_store(tmp_path):
    said = call("doctor", "--store", tmp_path / "nowhere")
    assert said.status == 0
    assert f"store:      none in {tmp_path / 'nowhere'} yet" in said.out
    assert not (tmp_path / "nowhere").exists()


def test_with_other_threads_logits_are_within_a_ten_thousandth(tmp_path):
    """Sums round in another order, which a few steps in fp32 make little of. With equal threads no bit differs."""
    words = ["run", "--tasks", "sentiment", "--model", "quick-bert", "--strategies", "imp", "--sparsities", "0.2"]
    words += ["--seeds", "1", "--train-limit", "96", "--eval-limit", "32", "--epochs", "2", "--device", "cpu"]
    for threads in (1, 2):
        store = tmp_path / str(threads)
        options = ["--precision", "fp32", "--jobs", 1, "--cpus-per-job", threads, "--store", store]
        assert call(*words, *options).status == 0
        assert {record["environment"]["threads"] for record in Store.open(store).records()} == {threads}
    one, two = (Store.open(tmp_path / str(threads)) for threads in (1, 2))
    keys = [record["key"] for record in one.records()]
    assert len(keys) == 3
    for key in keys:
        assert np.abs(one.logits(key)["validation"] - two.logits(key)["validation"]).max() < 1e-4


# Ctrl-C and SIGTERM


def processes_of(session):
    """The living processes of a session, from /proc; one that has ended, reaped or not, has no command line there."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            number = (folder / "stat").read_text().rpartition(")")[2].split()[3]
            if int(number) == session and (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def hearing():
    """Tests that run in the background are deaf to SIGINT, and so would be what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("jobs", "number"), [(1, signal.SIGINT), (2, signal.SIGINT), (1, signal.SIGTERM), (2, signal.SIGTERM)]
)
def test_a_signal_stops_it_cleanly_and_it_says_how_to_go_on(words, tmp_path, jobs, number):
    """SIGINT to the whole group of processes, as a terminal sends it, or SIGTERM to the first, in mid-training."""
    options = [*words, "--seeds", "30", "--epochs", "5", "--batch-size", "2", "--store", str(tmp_path / "store")]
    options += ["--executor", "processes" if jobs > 1 else "here"]
    command = [sys.executable, "-c", "from prunebench.cli import main; main()", "run", *options, "--jobs", str(jobs)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=hearing,
    )
    assert process.stderr is not None
    assert "dense: Train" in process.stderr.readline()
    assert "phases] rte, seed " in process.stderr.readline()
    if Path("/proc").is_dir():
        assert len(processes_of(process.pid)) > (jobs if jobs > 1 else 0)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    out, err = process.communicate()
    assert process.returncode == 128 + number
    assert err.strip() == "prunebench: stopped; what is done is stored, and the same command goes on from there"
    assert "Traceback" not in out
    assert processes_of(process.pid) == []
    store = Store.open(tmp_path / "store")
    assert list(store.records())
    assert store.complaints == []
    rest = call("plan", *options)
    assert "To run:        0 phases" not in rest.out
    assert "In the store:  0 phases" not in rest.out


DEAF = """    class Deaf:
        sent: ClassVar[list] = []

        def __del__(self):
            if not self.sent:
                self.sent.append(NUMBER)
                os.kill(os.getpid(), NUMBER)

    def score(self, ctx):
        self.Deaf()"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_not_lost_that_comes_where_exceptions_are_ignored(words, tmp_path, number):
    """In a `__del__`, which the garbage collector may call at any time: `evaluate` has one."""
    text = PLUGIN.replace("    def score(self, ctx):", DEAF).replace("NUMBER", str(int(number)))
    file = plugin_file(tmp_path, text="import os\n" + text)
    options = [*words, "--strategies", "mine", "--seeds", "30", "--executor", "here", "--store", "store"]
    command = [sys.executable, "-c", "from prunebench.cli import main; main()", "run", *options, "--plugin", file]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, preexec_fn=hearing)
    assert done.returncode == 128 + number, done.stderr
    assert done.stderr.endswith(
        "prunebench: stopped; what is done is stored, and the same command goes on from there\n"
    )
    assert "Exception ignored" not in done.stderr
    assert len(list(Store.open(tmp_path / "store").records())) < 60


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks /proc which processes live")
def test_kill_9_of_a_run_ends_its_workers_and_costs_no_result(words, tmp_path):
    """In mid-run, with two workers at work; the same command then ends with the records of an undisturbed run."""
    options = [*words, "--seeds", "4", "--epochs", "3", "--executor", "processes", "--jobs", "2"]
    command = [sys.executable, "-c", "from prunebench.cli import main; main()", "run", *options, "--store"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen([*command, tmp_path / "cut"], **pipes) as process:
        lines = [process.stderr.readline() for _ in range(2)]
        assert all("phases]" in line for line in lines), lines
        assert len(processes_of(process.pid)) > 2
        process.kill()
        process.stderr.read()  # ends once nobody holds the other end
        assert processes_of(process.pid) == []
    assert 0 < len(list(Store.open(tmp_path / "cut").records())) < 8
    assert call("run", *options, "--store", tmp_path / "cut").status == 0
    assert call("run", *options, "--store", tmp_path / "whole").status == 0
    assert lasting(tmp_path / "cut") == lasting(tmp_path / "whole")
    assert not list((tmp_path / "cut" / "weights").iterdir())


def test_a_store_that_keeps_losing_what_jobs_start_from_ends_the_run(words, tmp_path, monkeypatch):
    """It is planned anew a number of times, and then told: never an exit as if all were done."""
    from prunebench.execution import scheduler

    plans = []

    def always_again(*arguments):
        plans.append(arguments)
        return scheduler.Report(again=True)

    monkeypatch.setattr(scheduler, "run", always_again)
    refused(call("run", *words, "--strategies", "imp", "--store", tmp_path / "store"), "10 times over", "another run")
    assert len(plans) == 10


def test_what_failed_before_planning_anew_is_told_in_the_end(words, tmp_path, monkeypatch):
    from prunebench.execution import scheduler

    real, passes = scheduler.run, []

    def once_again(*arguments):
        passes.append(arguments)
        if len(passes) == 1:
            return scheduler.Report(failures={"rte, seed 0, mine 0.5": "it was wrong"}, skipped=2, again=True)
        return real(*arguments)

    monkeypatch.setattr(scheduler, "run", once_again)
    said = call("run", *words, "--strategies", "dense", "--store", tmp_path / "store")
    refused(said, "1 failure, 2 jobs left out because of that")
    assert "failed: rte, seed 0, mine 0.5: it was wrong" in said.err
    assert len(passes) == 2
