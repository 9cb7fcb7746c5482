"""Dense runs of other models, beside the methods: planned, trained, shown without a rank, bundled and verified."""

from __future__ import annotations

import shutil

import pytest

import prunebench
from prunebench import PrunebenchError
from prunebench.execution.executors.resources import Resources
from prunebench.sharing.bundle import reader
from prunebench.sharing.bundle.pack import write_bundle
from prunebench.sharing.bundle.verify import verify

OPTIONS = {
    "strategies": "magnitude,random-pruning[of=magnitude]",
    "tasks": "sentiment",
    "sparsities": "0.5",
    "seeds": "1",
    "model": "quick-bert",
    "epochs": "1",
    "train_limit": "32",
    "eval_limit": "16",
    "precision": "fp32",
    "device": "cpu",
    "resources": Resources(executor="here"),
    "progress": False,
}
LABEL = "dense[model=tiny-bert]"


@pytest.fixture(scope="module")
def results(tmp_path_factory, tiny_models):
    store = tmp_path_factory.mktemp("other") / "store"
    return prunebench.run(also_model=str(tiny_models["bert"]), store=store, **OPTIONS)


def test_it_is_trained_under_its_own_name(results, tiny_models, tmp_path):
    (cell,) = {row.cell.key: row.cell for row in results.rows if row.cell.other_model}.values()
    assert (cell.label, cell.other_model, cell.setting.model) == (LABEL, "tiny-bert", "tiny-bert")
    shutil.copytree(results.store.name, tmp_path / "store")
    alone = prunebench.run(
        store=tmp_path / "store", **{**OPTIONS, "strategies": "dense", "model": str(tiny_models["bert"])}
    )
    assert {row.cell.key for row in alone.rows} == {cell.key}
    assert alone.run.report.done == 0


def test_pages_show_it_without_a_rank(results):
    page = results.leaderboard().page
    assert dict(page.setting)["model"] == "quick-bert"
    (section,) = page.sections
    assert [line.label for line in section.references] == ["dense[trainings=2]", LABEL]
    ranked = {each.label for ranking in page.rankings for each in ranking.standings[0].placements}
    assert ranked == {"magnitude", "random-pruning[of=magnitude]"}
    assert LABEL in results.leaderboard().to_text()


def test_nothing_is_compared_with_it(results):
    (other,) = [row for row in results.rows if row.cell.other_model and row.metric == "accuracy"]
    assert other.dense is None
    assert all(row.dense is not None for row in results.rows if not row.cell.other_model)
    report = results.compare("magnitude", reference="random-pruning[of=magnitude]").report
    assert LABEL not in str(report)


def test_a_bundle_of_it_is_verified(results, tmp_path):
    path, _ = write_bundle(results.registry, tmp_path / "it.zip", store=results.store.name, everything=True)
    bundle = reader.open_bundle(path)
    assert LABEL in {cell.label for cell in bundle.cells}
    verdict = verify(bundle, results.registry, None)
    assert not verdict.wrong


def test_the_own_model_is_refused(tmp_path):
    with pytest.raises(PrunebenchError, match="--also-model quick-bert names a model that the run has already"):
        prunebench.run(also_model="quick-bert", store=tmp_path / "store", **OPTIONS)


def test_as_a_strategy_it_is_refused(tmp_path):
    with pytest.raises(PrunebenchError, match=r"'dense\[model=x\]' is a run of another model"):
        prunebench.run(store=tmp_path / "store", **{**OPTIONS, "strategies": "dense[model=x]"})
