"""Bad input is one line, and changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import call, cell_states, contents, refused

from prunebench.store.schema import FORMAT

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
def test_a_bad_command_line(line, parts):
    result = call(*line)
    assert refused(result, *parts) == []
    assert result.out == ""


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("options", "parts"),
    BAD_OPTIONS,
    ids=[f"{name}={value}" for entry, _ in BAD_OPTIONS for name, value in entry.items()],
)
def test_a_bad_option_is_one_line_and_changes_nothing(store, words, command, options, parts):
    untouched = contents(store)
    changes = [word for name, value in options.items() for word in (f"--{name}", value)]
    result = call(command, *words, *changes, "--store", "store")
    assert refused(result, *parts) == []
    assert result.out == ""
    assert contents(store) == untouched


def test_a_missing_model_folder(store, words, tiny_bert):
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


def test_errors_in_glue_files_name_the_line(store, words, tiny_glue):
    untouched = contents(store)
    refused(call("run", *words, "--tasks", "rte,wnli", "--store", "store"), "lacks the task wnli", "'WNLI'")
    shutil.copytree(tiny_glue, "glue")
    file = Path("glue/RTE/train.tsv")
    whole = file.read_text()
    lines = whole.split("\n")
    lines[4] = lines[4].replace("\t", " ", 1)
    file.write_text("\n".join(lines))
    result = call("run", *words, "--glue-dir", "glue", "--store", "store")
    refused(result, "glue/RTE/train.tsv line 5 has 3 columns, expected 4")
    file.write_text(whole.replace("not_entailment", "neutral", 1))
    result = call("run", *words, "--glue-dir", "glue", "--store", "store")
    number = next(number for number, line in enumerate(whole.split("\n"), 1) if "not_entailment" in line)
    refused(result, f"glue/RTE/train.tsv line {number}", "unknown label 'neutral'")
    file.unlink()
    refused(call("run", *words, "--glue-dir", "glue", "--store", "store"), "no file glue/RTE/train.tsv")
    assert contents(store) == untouched


def test_a_truncated_checkpoint(store, words, tiny_bert):
    before = cell_states(store)
    shutil.copytree(tiny_bert, "cut")
    weights = Path("cut/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000])
    untouched = contents(store / "records")
    result = call("run", *words, "--model", "cut", "--store", "store")
    others = refused(result)
    assert any("cut/model.safetensors' is truncated or damaged" in line for line in [*others, result.err])
    assert contents(store / "records") == untouched
    assert call("run", *words, "--store", "store").status == 0
    assert cell_states(store) == before


@pytest.mark.parametrize("command", ["run", "plan", "leaderboard"])
def test_a_store_of_a_newer_version(store, words, command):
    (store / "store.json").write_text(json.dumps({"format": FORMAT + 1, "prunebench": "9.0"}))
    untouched = contents(store)
    result = call(command, *(words if command != "leaderboard" else []), "--store", "store")
    assert refused(result, "written by prunebench 9.0", f"reads format {FORMAT}", "upgrade") == []
    assert contents(store) == untouched


def test_a_folder_with_other_files_is_no_store(words, tmp_path):
    (tmp_path / "thesis.tex").write_text("…")
    refused(call("run", *words, "--store", tmp_path), "not empty and no store")
    refused(call("run", *words, "--store", tmp_path / "thesis.tex"), "cannot")
    assert list(contents(tmp_path)) == ["thesis.tex"]
