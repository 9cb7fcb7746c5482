"""The zip for GLUE's test server: its files, and its answers against those of the same model in transformers."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import zipfile

import pytest
import torch
from commands import call

from prunebench.errors import PrunebenchError
from prunebench.sharing.glue_server import server
from prunebench.tasks.glue.layout import LAYOUTS
from prunebench.tasks.glue.test_splits import load_test_splits
from prunebench.tasks.task import DataSource

# REFERENCE: the names of the files, the rows of each test split, and the words of each task's answers.
OFFICIAL = {
    "CoLA.tsv": (1063, {"0", "1"}),
    "SST-2.tsv": (1821, {"0", "1"}),
    "MRPC.tsv": (1725, {"0", "1"}),
    "STS-B.tsv": (1379, None),
    "MNLI-m.tsv": (9796, {"entailment", "neutral", "contradiction"}),
    "MNLI-mm.tsv": (9847, {"entailment", "neutral", "contradiction"}),
    "QNLI.tsv": (5463, {"entailment", "not_entailment"}),
    "QQP.tsv": (390965, {"0", "1"}),
    "RTE.tsv": (3000, {"entailment", "not_entailment"}),
    "WNLI.tsv": (146, {"0", "1"}),
    "AX.tsv": (1104, {"entailment", "neutral", "contradiction"}),
}
CLASSES = ("entailment", "neutral", "contradiction")


def read(path):
    """Every file of a submission as (index, prediction) rows. Checks that the zip is flat and the headers are right."""
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        files = {}
        for name in file.namelist():
            header, *rows = csv.reader(io.StringIO(file.read(name).decode("ascii")), delimiter="\t")
            assert header == ["index", "prediction"]
            files[name] = [(int(index), prediction) for index, prediction in rows]
    assert not any("/" in name for name in files)
    return files


@pytest.fixture(scope="module")
def glue(tiny_glue, tmp_path_factory):
    """The tiny GLUE with an MNLI whose test splits are numbered in another order, and the diagnostic set."""
    folder = shutil.copytree(tiny_glue, tmp_path_factory.mktemp("mnli") / "glue")
    rng = random.Random(0)
    pairs = [line.split("\t")[1:3] for line in (folder / "RTE/train.tsv").read_text().splitlines()[1:]]

    def write(path, index, labelled):
        lines = ["index\tsentence1\tsentence2" + ("\tgold_label" if labelled else "")]
        for number in index:
            lines.append("\t".join([str(number), *rng.choice(pairs), *([rng.choice(CLASSES)] if labelled else [])]))
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))

    write(folder / "MNLI/train.tsv", range(48), True)
    for part in ("matched", "mismatched"):
        write(folder / f"MNLI/dev_{part}.tsv", range(24), True)
    write(folder / "MNLI/test_matched.tsv", reversed(range(20)), False)
    write(folder / "MNLI/test_mismatched.tsv", range(100, 130), False)
    write(folder / "diagnostic/diagnostic.tsv", range(16), False)
    return folder


@pytest.fixture(scope="module")
def words(tiny_bert, glue, tmp_path_factory):
    return [
        *("--epochs", "1", "--batch-size", "16", "--lr", "1e-3", "--precision", "fp32", "--device", "cpu"),
        *("--model", tiny_bert, "--glue-dir", glue, "--executor", "here"),
        *("--store", tmp_path_factory.mktemp("lab") / "store"),
    ]


@pytest.fixture(scope="module")
def submission(words, tmp_path_factory):
    """The path of a submission of all tasks of the tiny GLUE, and the output of the command."""
    path = tmp_path_factory.mktemp("submission") / "imp.zip"
    options = ("--tasks", "rte,mrpc,stsb,cola,sst2,mnli", "--sparsity", "0.1", "--seed", "3", "--out", path)
    status, out, err = call("glue-submission", *words, *options)
    assert status == 0, err
    return path, out, err


# The form


def test_files_are_those_of_the_server():
    assert {file.name: file.rows for file in server.FILES} == {name: rows for name, (rows, _) in OFFICIAL.items()}
    for file in server.FILES:
        words = OFFICIAL[file.name][1]
        assert set(file.answers) == (words or set())
        assert file.filler in words if words else 0 <= float(file.filler) <= 5


def test_a_class_is_written_as_the_task_names_it():
    """The words are in the order of the classes: the labels of the hub, or 0 and 1."""
    labels = {layout.config: layout.labels for layout in LAYOUTS}
    for file in server.FILES:
        if file.answers == ("0", "1") or not file.answers:
            continue
        assert file.answers == labels[file.task]
    rte = next(file for file in server.FILES if file.name == "RTE.tsv")
    assert server.write_answers(rte, [5, 3], [1, 0]) == b"index\tprediction\n5\tnot_entailment\n3\tentailment\n"


def test_scores_have_three_decimals_and_stay_within_0_and_5():
    stsb = next(file for file in server.FILES if file.name == "STS-B.tsv")
    text = server.write_answers(stsb, range(5), [-0.2, 5.4, 2.34567, 0.0004, 4.9996]).decode()
    assert text.split() == ["index", "prediction", "0", "0.000", "1", "5.000", "2", "2.346", "3", "0.000", "4", "5.000"]


def test_all_eleven_files_filled_are_what_the_server_takes(tmp_path):
    path = tmp_path / "filled.zip"
    path.write_bytes(server.write_zip({file.name: server.write_filler(file) for file in server.FILES}))
    files = read(path)
    assert {name: len(rows) for name, rows in files.items()} == {name: rows for name, (rows, _) in OFFICIAL.items()}
    for name, rows in files.items():
        assert [index for index, _ in rows] == list(range(len(rows)))
        answers = {prediction for _, prediction in rows}
        assert len(answers) == 1 and answers <= (OFFICIAL[name][1] or {"2.701"})


# Test splits


def test_rows_keep_the_numbers_that_the_files_give_them(glue):
    splits = load_test_splits("mnli", DataSource(glue))
    assert splits["test_matched"].index == list(range(19, -1, -1))
    assert splits["test_mismatched"].index == list(range(100, 130))
    first = (glue / "MNLI/test_matched.tsv").read_text().splitlines()[1].split("\t")
    assert [column[0] for column in splits["test_matched"].texts] == first[1:]


def test_qqp_has_another_name_for_its_index(tmp_path):
    (tmp_path / "QQP").mkdir()
    (tmp_path / "QQP/test.tsv").write_text("id\tquestion1\tquestion2\n7\twhat ?\twho ?\n")
    split = load_test_splits("qqp", DataSource(tmp_path))["test"]
    assert (split.index, split.texts) == ([7], (["what ?"], ["who ?"]))


def test_microsofts_file_of_mrpc_is_read_without_its_labels(tmp_path):
    (tmp_path / "MRPC").mkdir()
    text = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t9\t8\tone \ttwo\n0\t7\t6\tthree\tfour\n"
    (tmp_path / "MRPC/msr_paraphrase_test.txt").write_text(text, encoding="utf-8")
    split = load_test_splits("mrpc", DataSource(tmp_path))["test"]
    assert (split.index, split.texts) == ([0, 1], (["one", "three"], ["two", "four"]))


@pytest.mark.parametrize("folder", ["diagnostic", "MNLI", "."])
def test_the_diagnostic_set_may_lie_in_three_places(tmp_path, folder):
    for name in ("diagnostic", "MNLI", folder):
        (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / folder / "diagnostic.tsv").write_text("index\tsentence1\tsentence2\n0\tone\ttwo\n")
    assert load_test_splits("ax", DataSource(tmp_path))["test"].texts == (["one"], ["two"])


def test_a_saved_copy_of_the_hub_is_read(tmp_path):
    import datasets

    labels = datasets.ClassLabel(names=["entailment", "not_entailment"])
    columns = {"sentence1": ["a "], "sentence2": ["b"], "label": [-1], "idx": [4]}
    features = {"sentence1": datasets.Value("string"), "sentence2": datasets.Value("string"), "label": labels}
    split = datasets.Dataset.from_dict(columns, datasets.Features({**features, "idx": datasets.Value("int32")}))
    datasets.DatasetDict({"test": split}).save_to_disk(str(tmp_path / "rte"))
    split = load_test_splits("rte", DataSource(tmp_path))["test"]
    assert (split.index, split.texts) == ([4], (["a"], ["b"]))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "no file"),
        ("", "no examples"),
        ("index\tsentence1\tsentence2\n", "no examples"),
        ("sentence1\tsentence2\na\tb\n", "names no column 'index'"),
        ("index\tsentence1\n0\ta\n", "names no column 'sentence2'"),
        ("index\tsentence1\tsentence2\nx\ta\tb\n", "is no number"),
        ("index\tsentence1\tsentence2\n0\ta\tb\n0\tc\td\n", "the same number"),
        ("index\tsentence1\tsentence2\n0\ta\n", "line 2 has 2 columns, expected 3"),
    ],
)
def test_a_broken_test_split_is_one_line_before_anything_is_trained(words, glue, tmp_path, text, part):
    folder = shutil.copytree(glue, tmp_path / "glue")
    path = folder / "RTE/test.tsv"
    path.unlink()
    if text is not None:
        path.write_text(text)
    paths = ("--glue-dir", folder, "--store", tmp_path / "store", "--out", tmp_path / "s.zip")
    status, _, err = call("glue-submission", *words, "--tasks", "rte", *paths)
    assert status == 2 and part in err and len(err.splitlines()) == 1
    assert not (tmp_path / "store").exists() and not (tmp_path / "s.zip").exists()


# A whole submission


def test_every_file_answers_every_row_in_the_words_of_the_server(submission, glue):
    files = read(submission[0])
    assert sorted(files) == ["AX.tsv", "CoLA.tsv", "MNLI-m.tsv", "MNLI-mm.tsv", "MRPC.tsv", "RTE.tsv", "SST-2.tsv",
                             "STS-B.tsv"]  # fmt: skip
    for name, rows in files.items():
        task = {file.name: file for file in server.FILES}[name]
        split = load_test_splits(task.source, DataSource(glue))[task.split]
        assert [index for index, _ in rows] == split.index
        answers = [prediction for _, prediction in rows]
        if name == "STS-B.tsv":
            assert all(len(answer.partition(".")[2]) == 3 and 0 <= float(answer) <= 5 for answer in answers)
        else:
            assert set(answers) <= OFFICIAL[name][1]


def test_answers_are_those_of_the_model_whose_record_they_stand_for(submission, words, glue, tiny_bert):
    """By hand: the stored weights in a model of transformers, one sentence pair at a time."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from prunebench.store.store import Store

    store = Store.open(words[-1])
    about = json.loads(submission[0].with_suffix(".json").read_text())
    key = next(model["key"] for model in about["models"] if model["task"] == "rte")
    import safetensors.torch

    weights = store.load("models", key, safetensors.torch.load)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=2).eval()
    model.load_state_dict(weights, strict=False)
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    lines = [line.split("\t") for line in (glue / "RTE/test.tsv").read_text().splitlines()[1:]]
    expected = []
    for index, one, other in lines:
        with torch.no_grad():
            logits = model(**tokenizer(one, other, return_tensors="pt")).logits[0]
        expected.append((int(index), ("entailment", "not_entailment")[int(logits.argmax())]))
    assert read(submission[0])["RTE.tsv"] == expected


def test_output_and_note_describe_models_files_and_rows(submission):
    path, out, err = submission
    assert out.splitlines()[-1] == (
        f"Written: {path}, 8 files for gluebenchmark.com; {path.with_suffix('.json')} says what they are"
    )
    assert "rte, imp 0.1, seed 3: dev accuracy 0." in out and "as recorded, bit for bit" in out
    assert "mnli, imp 0.1, seed 3: dev accuracy matched 0." in out
    assert "these are missing: QNLI.tsv, QQP.tsv, WNLI.tsv (--fill-missing adds them)" in err
    assert "RTE.tsv has 24 rows, and GLUE's test split 3000: the data is not the official one" in err
    assert "AX.tsv has 16 rows, and GLUE's test split 1104" in err
    about = json.loads(path.with_suffix(".json").read_text())
    assert [model["seed"] for model in about["models"]] == [3] * 6
    assert {model["label"] for model in about["models"]} == {"imp"} and about["filled"] == []
    assert about["command"].startswith("prunebench glue-submission ")


def test_a_second_time_nothing_is_trained_and_the_bytes_are_the_same(submission, words, tmp_path):
    options = ("--tasks", "rte,mrpc,stsb,cola,sst2,mnli", "--sparsity", "0.1", "--seed", "3")
    status, out, err = call("glue-submission", *words, *options, "--out", tmp_path / "again.zip")
    assert status == 0, err
    assert "Nothing is left to run" in out
    assert (tmp_path / "again.zip").read_bytes() == submission[0].read_bytes()


def test_missing_files_are_filled_on_request_with_a_warning(words, submission, tmp_path):
    path = tmp_path / "s.zip"
    options = ("--tasks", "rte", "--strategy", "dense", "--seed", "3", "--fill-missing", "--out", path)
    status, out, err = call("glue-submission", *words, *options)
    assert status == 0, err
    files = read(path)
    assert set(files) == set(OFFICIAL)
    filled = set(OFFICIAL) - {"RTE.tsv"}
    assert all(len(files[name]) == OFFICIAL[name][0] for name in filled)
    assert "filled with the same answer in every row, without a model: CoLA.tsv, SST-2.tsv" in err
    assert json.loads(path.with_suffix(".json").read_text())["filled"] == [
        name for name in OFFICIAL if name != "RTE.tsv"
    ]
    assert "rte, dense 0, seed 3" in out


def test_the_seed_is_the_first_of_the_suite(words, tmp_path):
    path = tmp_path / "s.zip"
    (tmp_path / "suite.toml").write_text('tasks = ["rte"]\nseeds = [7, 3]\n')
    status, _, err = call("glue-submission", tmp_path / "suite.toml", *words, "--strategy", "dense", "--out", path)
    assert status == 0, err
    assert [model["seed"] for model in json.loads(path.with_suffix(".json").read_text())["models"]] == [7]


def test_models_without_their_heads_answer(words, tmp_path):
    path = tmp_path / "s.zip"
    options = ("--tasks", "rte", "--strategy", "heads", "--sparsity", "0.5", "--seed", "3", "--out", path)
    status, out, err = call("glue-submission", *words, *options)
    assert status == 0, err
    assert "rte, heads 0.5, seed 3" in out and "as recorded, bit for bit" in out
    assert len(read(path)["RTE.tsv"]) == 24


def test_without_the_diagnostic_set_its_file_is_left_out(words, glue, tmp_path):
    folder = shutil.copytree(glue, tmp_path / "glue")
    shutil.rmtree(folder / "diagnostic")
    path = tmp_path / "s.zip"
    options = ("--tasks", "mnli", "--strategy", "dense", "--seed", "3", "--glue-dir", folder, "--out", path)
    status, _, err = call("glue-submission", *words, *options)
    assert status == 0, err
    assert set(read(path)) == {"MNLI-m.tsv", "MNLI-mm.tsv"} and "AX.tsv is left out: no file" in err


@pytest.mark.parametrize(
    ("others", "part"),
    [
        (["--tasks", "sentiment"], "unknown task of GLUE's test server 'sentiment'"),
        (["--tasks", "rte", "--strategy", "impp"], "unknown strategy 'impp'"),
        (["--tasks", "rte", "--sparsity", "1.5"], "sparsity 1.5 is outside [0, 1)"),
        (["--tasks", "rte", "--out", "s.tar"], "expected the name of a zip file"),
    ],
)
def test_bad_input_is_one_line_and_trains_nothing(words, tmp_path, others, part):
    status, _, err = call(
        "glue-submission", *words, "--store", tmp_path / "store", "--out", tmp_path / "s.zip", *others
    )
    assert status == 2 and part in err and len(err.splitlines()) == 1
    assert not (tmp_path / "store").exists()


def test_another_number_of_answers_than_rows_is_an_error():
    with pytest.raises(PrunebenchError, match="2 answers, expected 3"):
        server.write_answers(server.FILES[0], [0, 1, 2], [1, 0])


def test_no_run_reads_a_test_split(words, glue, tmp_path):
    """A run works without test splits."""
    folder = shutil.copytree(glue, tmp_path / "glue", ignore=shutil.ignore_patterns("test*.tsv", "diagnostic"))
    options = ("--tasks", "rte,mnli", "--strategies", "heads", "--sparsities", "0.5", "--seeds", "1")
    status, _, err = call("run", *words, *options, "--glue-dir", folder, "--store", tmp_path / "store")
    assert status == 0, err
