"""Labels and values of examples: of a store with labels, of one without, and of a bundle, whose task has the data."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import scipy.stats
from commands import call

from prunebench import PrunebenchError
from prunebench.api import load
from prunebench.hooks.registry import Registry
from prunebench.reports.examples import Examples
from prunebench.reports.labels import Labels
from prunebench.store.labels import encode_labels, labels_name
from prunebench.tasks.glue.hub import from_cache
from prunebench.tasks.glue.layout import LAYOUTS
from prunebench.tasks.task import DataSource, Split, Task, TaskData


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store of the generated tasks with metrics of each kind."""
    folder = tmp_path_factory.mktemp("examples") / "store"
    words = ["--tasks", "paraphrase,similarity", "--strategies", "magnitude", "--sparsities", "0.5", "--seeds", "2"]
    few = ["--model", "quick-bert", "--epochs", "1", "--train-limit", "64", "--eval-limit", "90"]
    assert call("run", *words, *few, "--store", folder).status == 0
    return folder


def examples_of(results, **options):
    return Examples(results.source, Labels(results.source, Registry(), **options), Registry())


def test_a_run_stores_the_labels_of_each_evaluation_once(folder):
    files = sorted((folder / "labels").iterdir())
    settings = {row.cell.setting.data for row in load(folder).rows}
    assert [path.stem for path in files] == sorted(labels_name(data, 90) for data in settings)


def test_values_have_the_score_as_their_mean(folder):
    results = load(folder)
    examples = examples_of(results)
    assert {row.metric for row in results.rows} == {"accuracy", "f1", "pearson", "spearmanr"}
    for row in results.rows:
        assert examples.values(row).mean() == pytest.approx(row.value, abs=1e-6)
        assert examples.majority(row).mean() == pytest.approx(row.majority, abs=1e-6)
    assert examples.reasons == {}


@pytest.mark.parametrize("kind", ["store without labels", "bundle"])
def test_generated_tasks_have_their_labels_anyway(folder, tmp_path, kind):
    if kind == "bundle":
        source = tmp_path / "bundle.zip"
        assert call("bundle", "--store", folder, "--out", source).status == 0
    else:
        source = tmp_path / "store"
        shutil.copytree(folder, source)
        shutil.rmtree(source / "labels")
    one, other = load(folder), load(source)
    for row, same in zip(one.rows, other.rows, strict=True):
        assert examples_of(one).values(row) == pytest.approx(examples_of(other).values(same), abs=1e-4)


def test_damaged_labels_are_set_aside_and_read_from_the_task(folder, tmp_path):
    source = tmp_path / "store"
    shutil.copytree(folder, source)
    for path in (source / "labels").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    results = load(source)
    examples = examples_of(results)
    assert all(examples.values(row) is not None for row in results.rows)
    assert len(results.source.complaints) == 2
    assert {path.suffix for path in (source / "labels").iterdir()} == {".damaged"}


def test_labels_that_do_not_give_the_scores_are_not_believed(folder, tmp_path):
    source = tmp_path / "store"
    shutil.copytree(folder, source)
    results = load(source)
    row = next(row for row in results.rows if row.cell.task == "paraphrase")
    name = labels_name(row.cell.setting.data, 90)
    (source / "labels" / f"{name}.safetensors").unlink()
    results.source.add_bytes("labels", name, encode_labels({"validation": [0] * 90}))
    examples = examples_of(results)
    assert examples.values(row) is None
    assert examples.reasons == {"paraphrase": "some predictions do not give the score of their record"}


def test_doctor_compares_the_number_of_labels_with_the_records(folder, tmp_path):
    source = tmp_path / "store"
    shutil.copytree(folder, source)
    results = load(source)
    name = labels_name(results.rows[0].cell.setting.data, 90)
    (source / "labels" / f"{name}.safetensors").unlink()
    results.source.add_bytes("labels", name, encode_labels({"validation": [0] * 5}))
    doctor = call("doctor", "--store", source)
    assert "its labels are of 5 validation (expected 90 validation)" in doctor.err
    assert doctor.status == 1


def test_a_task_that_is_not_known_here_has_a_reason(folder, tmp_path):
    class NoTasks:
        def get(self, kind, name):
            raise PrunebenchError(f"no task {name}")

    source = tmp_path / "store"
    shutil.copytree(folder, source)
    shutil.rmtree(source / "labels")
    results = load(source)
    examples = Examples(results.source, Labels(results.source, NoTasks()), Registry())
    assert [examples.values(row) for row in results.rows] == [None] * len(results.rows)
    assert examples.reasons == {name: f"no task {name}" for name in ("paraphrase", "similarity")}


def test_a_metric_of_a_plugin_has_the_values_of_the_plain_jackknife():
    """Balanced accuracy of three classes, by scipy's kind of formula, and a rank correlation that is not GLUE's."""
    rng = np.random.default_rng(0)
    gold, predicted = rng.normal(size=(2, 40))
    formula = lambda _, p, r: {"tau": float(scipy.stats.kendalltau(p, r).statistic)}  # noqa: E731

    class Known:
        def get(self, kind, name):
            return type("Spec", (), {"scores": staticmethod(formula)}) if kind == "metrics" else task

    split = Split(([""] * 40,), gold.tolist())
    task = Task("toy", "", (), "tau", "", ("tau",), lambda source: TaskData(split, {"validation": split}))
    lab_row = type("Row", (), {"metric": "tau", "cell": type("Cell", (), {"task": "toy"})})
    whole, values = Examples(None, Labels(None, Known()), Known())._score(lab_row, predicted, gold)
    assert whole == pytest.approx(scipy.stats.kendalltau(predicted, gold).statistic)
    without = [scipy.stats.kendalltau(np.delete(predicted, i), np.delete(gold, i)).statistic for i in range(40)]
    plain = 40 * whole - 39 * np.array(without)
    assert values == pytest.approx(plain - plain.mean() + whole)


def test_nothing_is_fetched_for_a_page(monkeypatch):
    """GLUE that is neither in a folder nor in the hub's cache is an error at once, without `datasets`."""
    monkeypatch.setenv("HF_DATASETS_CACHE", "/nonexistent")
    [rte] = [layout for layout in LAYOUTS if layout.config == "rte"]
    with pytest.raises(PrunebenchError, match="not in the hub's cache"):
        from_cache(rte)
    with pytest.raises(PrunebenchError, match="not in the hub's cache"):
        Registry().get("tasks", "rte").load(DataSource(offline=True))
