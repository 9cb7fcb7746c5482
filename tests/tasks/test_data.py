"""GLUE's data from its three sources: the same rows must come out, and errors must name the file and the line."""

from pathlib import Path

import datasets
import pytest

from prunebench import DataSource, PrunebenchError
from prunebench.tasks.glue.definitions import load
from prunebench.tasks.glue.hub import from_hub
from prunebench.tasks.glue.layout import LAYOUTS
from prunebench.tasks.plugin import prunebench_tasks

REAL = Path(__file__).parents[3] / "shared" / "glue"
TASKS = {task.name: task for task in prunebench_tasks()}
BY_NAME = {layout.config: layout for layout in LAYOUTS}

# Texts that are easy to read wrongly: quotes, commas, Unicode line ends, white space at the ends.
TEXTS = ['"Oh', "it 's , said\u2028he", "a\x85b \u00a0", " Über 5 % ", "", 'say "no"', "last"]

# name: (folder, TSV header, format of a TSV row, labels as the TSV file writes them, text columns on the hub)
NUMBERS = ("0", "1")
ENTAILMENT = ("entailment", "not_entailment")
OFFICIAL = {
    "cola": ("CoLA", None, "src {label} * {a}", NUMBERS, ["sentence"]),
    "sst2": ("SST-2", "sentence label", "{a} {label}", NUMBERS, ["sentence"]),
    "mrpc": (
        "MRPC",
        "Quality #1_ID #2_ID #1_String #2_String",
        "{label} 7 8 {a} {b}",
        NUMBERS,
        ["sentence1", "sentence2"],
    ),
    "qqp": (
        "QQP",
        "id qid1 qid2 question1 question2 is_duplicate",
        "1 2 3 {a} {b} {label}",
        NUMBERS,
        ["question1", "question2"],
    ),
    "stsb": (
        "STS-B",
        "index genre filename year old_index source1 source2 sentence1 sentence2 score",
        "0 g f y o n n {a} {b} {label}",
        ("3.800", "0.000", "5.000", "2.6667"),
        ["sentence1", "sentence2"],
    ),
    "mnli": (
        "MNLI",
        "index sentence1_parse sentence2_parse sentence1 sentence2 label1 gold_label",
        "0 (p) (h) {a} {b} neutral {label}",
        ("entailment", "neutral", "contradiction"),
        ["premise", "hypothesis"],
    ),
    "qnli": ("QNLI", "index question sentence label", "0 {a} {b} {label}", ENTAILMENT, ["question", "sentence"]),
    "rte": ("RTE", "index sentence1 sentence2 label", "0 {a} {b} {label}", ENTAILMENT, ["sentence1", "sentence2"]),
    "wnli": ("WNLI", "index sentence1 sentence2 label", "0 {a} {b} {label}", NUMBERS, ["sentence1", "sentence2"]),
}
FILES = {"train": "train.tsv", "validation": "dev.tsv"}
MNLI_FILES = {
    "train": "train.tsv",
    "validation_matched": "dev_matched.tsv",
    "validation_mismatched": "dev_mismatched.tsv",
}


def files(name):
    return MNLI_FILES if name == "mnli" else FILES


def rows(name, split):
    """A few rows of a split: (texts, label in the TSV file, label on the hub)."""
    _, _, _, written, columns = OFFICIAL[name]
    start = list(files(name)).index(split)
    result = []
    for number in range(start, 6):
        texts = [TEXTS[(number + shift) % len(TEXTS)] for shift in range(len(columns))]
        label = written[number % len(written)]
        result.append((texts, label, float(label) if name == "stsb" else written.index(label)))
    return result


def write_tsv(glue_dir, name, end="\n", start=""):
    folder, header, row, _, _ = OFFICIAL[name]
    (glue_dir / folder).mkdir(parents=True, exist_ok=True)
    for split, file in files(name).items():
        lines = (
            [] if header is None else [header.replace(" ", "\t").replace("_ID", " ID").replace("_String", " String")]
        )
        for texts, label, _ in rows(name, split):
            lines.append(row.replace(" ", "\t").format(a=texts[0], b=texts[-1], label=label))
        (glue_dir / folder / file).write_bytes((start + end.join(lines) + end).encode())
    return glue_dir / folder


def dataset_dict(name):
    """The same rows as on the hub, with a `ClassLabel` or scores in single precision, an `idx`, and a test split."""
    columns = OFFICIAL[name][4]
    label = datasets.ClassLabel(names=list(TASKS[name].labels)) if TASKS[name].labels else datasets.Value("float32")
    features = {column: datasets.Value("string") for column in columns}
    features |= {"label": label, "idx": datasets.Value("int32")}
    splits = {}
    for split in [*files(name), "test"]:
        examples = rows(name, split) if split != "test" else [(["x"] * len(columns), "", -1)]
        data = {column: [texts[i] for texts, _, _ in examples] for i, column in enumerate(columns)}
        data |= {"label": [label for _, _, label in examples], "idx": list(range(len(examples)))}
        splits[split] = datasets.Dataset.from_dict(data, features=datasets.Features(features))
    return datasets.DatasetDict(splits)


def hub_repository(folder, name):
    """A folder with the layout of the hub's repository: a card with the configurations, and Parquet files."""
    card = f"---\nconfigs:\n- config_name: {name}\n  data_files:\n"
    for split, data in dataset_dict(name).items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        data.to_parquet(str(folder / name / f"{split}-00000-of-00001.parquet"))
        card += f"  - split: {split}\n    path: {name}/{split}-*\n"
    (folder / "README.md").write_text(card + "---\n")
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """No network, and an empty cache for `datasets`."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_three_sources_give_the_same_data(name, tmp_path, cache, monkeypatch):
    write_tsv(tmp_path / "tsv", name)
    copy = dataset_dict(name)
    copy.save_to_disk(str(tmp_path / "copies" / name))
    copy.save_to_disk(str(tmp_path / "copy"))
    repository = hub_repository(tmp_path / "hub", name)
    monkeypatch.setattr("prunebench.tasks.glue.definitions.from_hub", lambda layout: from_hub(layout, str(repository)))

    folders = [tmp_path / "tsv", tmp_path / "copies", tmp_path / "copy", None]
    loaded = [TASKS[name].load(DataSource(folder)) for folder in folders]
    expected = [rows(name, split) for split in files(name)]
    for data in loaded:
        splits = [data.train, *data.evaluations.values()]
        assert tuple(data.evaluations) == TASKS[name].evaluations
        for split, examples in zip(splits, expected, strict=True):
            assert list(zip(*split.texts, strict=True)) == [tuple(text.strip() for text in row[0]) for row in examples]
            assert split.labels == [row[2] for row in examples]
            assert {type(label) for label in split.labels} == {float if name == "stsb" else int}
    assert len({data.fingerprint() for data in loaded}) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_change_nothing(tmp_path, end, start):
    write_tsv(tmp_path / "plain", "mrpc")
    write_tsv(tmp_path / "other", "mrpc", end, start)
    plain, other = (TASKS["mrpc"].load(DataSource(tmp_path / folder)) for folder in ("plain", "other"))
    assert plain == other


def test_a_copy_with_a_format_and_selected_rows(tmp_path):
    whole = dataset_dict("rte")
    selection = datasets.DatasetDict({name: data.select(range(len(data))[::-1]) for name, data in whole.items()})
    selection.with_format("numpy").save_to_disk(str(tmp_path / "rte"))
    data = TASKS["rte"].load(DataSource(tmp_path))
    assert data.train.labels == [row[2] for row in rows("rte", "train")][::-1]
    assert {type(label) for label in data.train.labels} == {int}


def test_short_rows_are_skipped_in_qqp_only(tmp_path):
    for name in ("qqp", "rte"):
        folder = write_tsv(tmp_path, name)
        with (folder / "train.tsv").open("a") as file:
            file.write('"\tWas he real?\t0\n')
    assert len(TASKS["qqp"].load(DataSource(tmp_path)).train) == len(rows("qqp", "train"))
    with pytest.raises(PrunebenchError, match=r"train\.tsv line 8 has 3 columns, expected 4"):
        TASKS["rte"].load(DataSource(tmp_path))


def test_qqp_with_only_short_rows_or_a_long_one(tmp_path):
    path = write_tsv(tmp_path, "qqp") / "dev.tsv"
    header = path.read_text().split("\n")[0]
    path.write_text(f"{header}\n1\t2\n")
    with pytest.raises(PrunebenchError, match=r"no examples in .*dev\.tsv"):
        TASKS["qqp"].load(DataSource(tmp_path))
    path.write_text(f"{header}\n1\t2\t3\ta\tb\tc\t0\n")
    with pytest.raises(PrunebenchError, match=r"dev\.tsv line 2 has 7 columns, expected 6"):
        TASKS["qqp"].load(DataSource(tmp_path))


BROKEN_ROWS = {
    "too few columns": ("rte", "0\ta\tentailment", r"line 2 has 3 columns, expected 4"),
    "too many columns": ("rte", "0\ta\tb\tc\tentailment", r"line 2 has 5 columns, expected 4"),
    "empty row": ("rte", "\n0\ta\tb\tentailment", r"line 2 has 1 columns, expected 4"),
    "unknown label": ("rte", "0\ta\tb\tentails", r"line 2 has the unknown label 'entails'.*entailment, not_entailment"),
    "number for a name": ("mnli", "0\tp\th\ta\tb\tneutral\t1", r"line 2 has the unknown label '1'"),
    "class out of range": ("sst2", "a\t2", r"line 2 has the unknown label '2' \(expected 0, 1\)"),
    "no score": ("stsb", "0\tg\tf\ty\to\tn\tn\ta\tb\tfive", r"line 2 has the score 'five' \(expected a number from 0"),
    "score not finite": ("stsb", "0\tg\tf\ty\to\tn\tn\ta\tb\tnan", r"line 2 has the score 'nan'"),
    "score out of range": ("stsb", "0\tg\tf\ty\to\tn\tn\ta\tb\t5.5", r"line 2 has the score '5\.5'"),
}


@pytest.mark.parametrize(("name", "row", "message"), BROKEN_ROWS.values(), ids=BROKEN_ROWS)
def test_errors_in_a_row_name_the_file_and_the_line(tmp_path, name, row, message):
    path = write_tsv(tmp_path, name) / "train.tsv"
    header, *rest = path.read_text().split("\n")
    path.write_text("\n".join([header, row, *rest]))
    with pytest.raises(PrunebenchError, match=message) as caught:
        TASKS[name].load(DataSource(tmp_path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_line_numbers_without_a_header(tmp_path):
    path = write_tsv(tmp_path, "cola") / "dev.tsv"
    path.write_text("gj04\t1\t\tFine.\ngj04\t7\t*\tBad.\n")
    with pytest.raises(PrunebenchError, match=r"dev\.tsv line 2 has the unknown label '7'"):
        TASKS["cola"].load(DataSource(tmp_path))


@pytest.mark.parametrize("text", ["", "\n", "sentence\tlabel\n"])
def test_a_file_without_examples(tmp_path, text):
    (write_tsv(tmp_path, "sst2") / "dev.tsv").write_text(text)
    with pytest.raises(PrunebenchError, match=r"no examples in .*dev\.tsv"):
        TASKS["sst2"].load(DataSource(tmp_path))


def test_a_missing_column(tmp_path):
    (write_tsv(tmp_path, "sst2") / "dev.tsv").write_text("index\tsentence\n0\tgood\n")
    with pytest.raises(PrunebenchError, match=r"dev\.tsv line 1 names no column 'label' \(.*index, sentence"):
        TASKS["sst2"].load(DataSource(tmp_path))


def test_text_that_is_not_utf8(tmp_path):
    (write_tsv(tmp_path, "sst2") / "train.tsv").write_bytes(b"sentence\tlabel\ngood\t1\ncaf\xe9\t1\n")
    with pytest.raises(PrunebenchError, match=r"train\.tsv line 3 is not UTF-8"):
        TASKS["sst2"].load(DataSource(tmp_path))


def test_a_missing_file_and_a_folder_instead_of_it(tmp_path):
    path = write_tsv(tmp_path, "mnli") / "dev_mismatched.tsv"
    path.unlink()
    with pytest.raises(PrunebenchError, match=r"no file .*dev_mismatched\.tsv"):
        TASKS["mnli"].load(DataSource(tmp_path))
    path.mkdir()
    with pytest.raises(PrunebenchError, match=r"cannot read .*dev_mismatched\.tsv"):
        TASKS["mnli"].load(DataSource(tmp_path))


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(PrunebenchError, match=r"no GLUE folder '.*nowhere'"):
        TASKS["rte"].load(DataSource(tmp_path / "nowhere"))


def test_the_error_of_a_folder_without_the_task_lists_its_tasks(tmp_path):
    write_tsv(tmp_path, "cola")
    dataset_dict("sst2").save_to_disk(str(tmp_path / "sst2"))
    with pytest.raises(PrunebenchError, match=r"lacks the task rte: .*subfolder 'RTE'.*\(its tasks: CoLA, SST-2\)"):
        TASKS["rte"].load(DataSource(tmp_path))
    with pytest.raises(PrunebenchError, match="give the folder above"):
        TASKS["cola"].load(DataSource(tmp_path / "CoLA"))


def test_a_copy_of_another_task_is_an_error(tmp_path):
    # RTE and WNLI have the same columns, and the same classes in another order.
    dataset_dict("wnli").save_to_disk(str(tmp_path))
    with pytest.raises(PrunebenchError, match=r"the classes not_entailment, entailment, expected entailment, not_en"):
        TASKS["rte"].load(DataSource(tmp_path))
    with pytest.raises(PrunebenchError, match="not_entailment, entailment, expected scores"):
        TASKS["stsb"].load(DataSource(tmp_path))
    with pytest.raises(PrunebenchError, match="no column 'sentence'"):
        TASKS["sst2"].load(DataSource(tmp_path))


def test_a_copy_without_a_split_or_with_bad_labels_or_damaged(tmp_path):
    whole = dataset_dict("rte")
    datasets.DatasetDict(train=whole["train"]).save_to_disk(str(tmp_path / "a"))
    with pytest.raises(PrunebenchError, match=r"no split 'validation' .its splits: train"):
        TASKS["rte"].load(DataSource(tmp_path / "a"))
    datasets.DatasetDict(train=whole["train"], validation=whole["test"]).save_to_disk(str(tmp_path / "b"))
    with pytest.raises(PrunebenchError, match=r"split validation, row 0 has the label -1 \(expected 0 to 1"):
        TASKS["rte"].load(DataSource(tmp_path / "b"))
    empty = datasets.DatasetDict(train=whole["train"].select([]), validation=whole["validation"])
    empty.save_to_disk(str(tmp_path / "c"))
    with pytest.raises(PrunebenchError, match=r"a split is empty or damaged"):
        TASKS["rte"].load(DataSource(tmp_path / "c"))
    whole.save_to_disk(str(tmp_path / "d"))
    next((tmp_path / "d" / "train").glob("*.arrow")).write_bytes(b"torn")
    with pytest.raises(PrunebenchError, match=r"cannot read .* as a save_to_disk copy"):
        TASKS["rte"].load(DataSource(tmp_path / "d"))
    (tmp_path / "d" / "dataset_dict.json").write_text("{}")
    with pytest.raises(PrunebenchError, match=r"cannot read .* as a save_to_disk copy"):
        TASKS["rte"].load(DataSource(tmp_path / "d"))


def test_an_empty_split_on_the_hub(monkeypatch):
    data = dataset_dict("rte") | {"validation": dataset_dict("rte")["train"].select([])}
    monkeypatch.setattr("datasets.load_dataset", lambda repository, config: data)
    with pytest.raises(PrunebenchError, match=r"no examples in nyu-mll/glue \(rte\), split validation"):
        TASKS["rte"].load(DataSource())


def test_a_row_without_text_is_an_error(tmp_path):
    whole = dataset_dict("sst2")
    features = whole["train"].features
    with_gap = datasets.Dataset.from_dict({"sentence": ["a", None], "label": [0, 1], "idx": [0, 1]}, features=features)
    datasets.DatasetDict(train=with_gap, validation=whole["validation"]).save_to_disk(str(tmp_path))
    with pytest.raises(PrunebenchError, match="split train, row 1 has no text"):
        TASKS["sst2"].load(DataSource(tmp_path))


def test_a_hub_that_cannot_be_reached(cache):
    with pytest.raises(PrunebenchError, match=r"cannot load nyu-mll/glue \(rte\) from the hub.*--glue-dir") as caught:
        load(BY_NAME["rte"], DataSource())
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not REAL.is_dir(), reason="no GLUE files beside the project")
@pytest.mark.parametrize(
    ("name", "train", "dev"),
    [("cola", 8551, 1043), ("sst2", 67349, 872), ("mrpc", 3668, 408), ("stsb", 5749, 1500), ("rte", 2490, 277)],
)
def test_the_official_files_have_the_published_sizes(name, train, dev):
    data = TASKS[name].load(DataSource(REAL))
    assert data.sizes() == {"train": train, "validation": dev}
    labels = set(data.train.labels)
    assert labels == {0, 1} if TASKS[name].labels else (min(labels), max(labels)) == (0.0, 5.0)
