"""The front door in Python does what the command line does, with the same checks, results and files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import matplotlib
import numpy as np
import pytest
from commands import call, contents, refused

import prunebench as pb
from prunebench.execution.executors.resources import Resources
from prunebench.store.store import Store


@dataclass(frozen=True)
class Smallest:
    """Magnitude pruning, as a class of this file."""

    name: ClassVar[str] = "smallest"
    unit: ClassVar[str] = "weight"

    gain: float = 1.0

    def recipe(self, sparsity):
        return [pb.Train(), pb.Prune(sparsity), pb.Train()]

    def score(self, ctx):
        if self.gain < 0:
            raise ValueError("a negative gain")
        return {name: self.gain * weight.abs() for name, weight in ctx.weights.items()}


@pytest.fixture(scope="module")
def options(tiny_bert, tiny_glue):
    """The same run as arguments in Python and as words of the command line."""
    setting = {
        "tasks": "rte",
        "sparsities": "0.2,0.4",
        "seeds": "2",
        "model": str(tiny_bert),
        "glue_dir": str(tiny_glue),
        "device": "cpu",
        "precision": "fp32",
        "epochs": "1",
        "batch_size": "16",
    }
    words = [word for name, value in setting.items() for word in (f"--{name.replace('_', '-')}", value)]
    return setting | {"resources": Resources(executor="here")}, [*words, "--executor", "here"]


@pytest.fixture(scope="module")
def by_command(options, tmp_path_factory):
    """The store of `prunebench run`. Tests do not change it."""
    store = tmp_path_factory.mktemp("stores") / "command"
    assert call("run", *options[1], "--strategies", "magnitude,random-pruning", "--store", store).status == 0
    return store


@pytest.fixture(scope="module")
def results(options, tmp_path_factory):
    """The results of `prunebench.run`, with a class of this file as third method."""
    methods = ["magnitude", "random-pruning", Smallest]
    return pb.run(strategies=methods, store=tmp_path_factory.mktemp("stores") / "python", progress=False, **options[0])


def scores(frame):
    columns = ["label", "sparsity", "seed", "evaluation", "metric"]
    return frame.set_index(columns)["value"].sort_index()


def test_run_gives_the_scores_of_the_command_line(results, by_command):
    frame = scores(results.select(strategies=["magnitude", "random-pruning"]).frame())
    assert frame.equals(scores(pb.load(by_command).frame()))
    assert len(frame) == 2 * (2 + 2 * 2) * frame.index.get_level_values("metric").nunique()


def test_a_class_is_a_method_as_good_as_a_built_in_one(results):
    """It scores as `magnitude` does, and has the same recipe: the same weights stay, and the scores are the same."""
    frame = scores(results.frame())
    assert np.array_equal(frame.loc["smallest"], frame.loc["magnitude"])
    assert not np.array_equal(frame.loc["smallest"], frame.loc["random-pruning"])


def test_pages_name_the_call_that_made_the_results(results):
    assert "prunebench.run(" in results.leaderboard().to_markdown()


def test_a_store_holds_what_run_returned(results):
    again = pb.load(results.store.backend.folder)
    assert scores(again.frame()).equals(scores(results.frame()))
    assert str(again) == str(results)


def test_a_finished_run_trains_nothing_again(results, options, trainings, capfd):
    store = results.store.backend.folder
    again = pb.run(strategies=["magnitude"], store=store, progress=False, **options[0])
    assert trainings == []
    assert scores(again.frame()).equals(scores(results.select(strategies="magnitude").frame()))
    assert capfd.readouterr() == ("", ""), "progress=False is silent"


SCRIPT = """
from dataclasses import dataclass
from pathlib import Path
import prunebench as pb
from prunebench import Resources

with Path("log").open("a") as log:
    log.write("x")

@dataclass(frozen=True)
class Smallest:
    name = "smallest"
    unit = "weight"
    def recipe(self, sparsity):
        return [pb.Train(), pb.Prune(sparsity), pb.Train()]
    def score(self, ctx):
        return {name: weight.abs() for name, weight in ctx.weights.items()}

results = pb.run(strategies=[Smallest, "magnitude"], resources=Resources(jobs=2), **OPTIONS)
print(sorted(results.frame()["status"]))
"""


def test_a_script_without_a_main_guard_runs_once(options, tmp_path):
    """Its workers do not run it again."""
    setting = {name: value for name, value in options[0].items() if name != "resources"}
    (tmp_path / "script.py").write_text(SCRIPT.replace("OPTIONS", repr(setting | {"sparsities": "0.2"})))
    process = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == str(["done"] * 8)
    assert (tmp_path / "log").read_text() == "x"


def test_plan_says_what_the_command_says_and_writes_nothing(options, tmp_path):
    store = tmp_path / "store"
    preview = pb.plan(strategies="imp", store=store, **options[0])
    command = call("plan", *options[1], "--strategies", "imp", "--store", store)
    assert preview.is_left
    assert command.out.splitlines()[:-1] == str(preview).splitlines()
    assert not store.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": "rtee"}, ("--tasks", "rtee")),
        ({"sparsities": "1.5"}, ("--sparsities", "1.5")),
        ({"seeds": "0"}, ("--seeds", "0")),
        ({"epochs": "many"}, ("--epochs", "many")),
        ({"strategies": "impp"}, ("--strategies", "impp")),
        ({"strategies": "imp[rate=2]"}, ("--strategies", "imp[rate=2]")),
        ({"model": "/no/such/model"}, ("--model", "/no/such/model")),
    ],
)
def test_an_error_is_the_one_of_the_command_line(changes, words, options, tmp_path):
    with pytest.raises(pb.PrunebenchError) as error:
        pb.run(store=tmp_path / "store", progress=False, **options[0] | changes)
    refused(call("run", *options[1], *words, "--store", tmp_path / "store"), str(error.value))
    assert not (tmp_path / "store").exists()


def test_an_unknown_option_is_an_error(options):
    with pytest.raises(pb.PrunebenchError, match="epoch"):
        pb.run(progress=False, **options[0], epoch=3)


def test_something_else_than_a_strategy_is_an_error(options):
    with pytest.raises(pb.PrunebenchError, match="is no strategy"):
        pb.run(strategies=[3], progress=False, **options[0])


def test_failures_say_why_and_cost_nothing_else(options, tmp_path):
    changes = {"sparsities": "0.2", "seeds": "1"}
    methods = ["magnitude", Smallest(gain=-1.0)]
    results = pb.run(strategies=methods, store=tmp_path / "store", progress=False, **options[0] | changes)
    assert list(results.failures) == ["smallest[gain=-1.0] at 0.2 on rte, seed 0"]
    assert "a negative gain" in next(iter(results.failures.values()))
    done = results.frame().query("status == 'done'")
    assert set(done["label"]) == {"dense", "dense[trainings=2]", "magnitude"}


def test_files_are_those_of_the_command(by_command, tmp_path):
    page = pb.load(by_command).leaderboard()
    words = ("leaderboard", "--store", by_command, "--out", tmp_path / "page")
    assert call(*words, "--format", "md,tex,html,csv,json").status == 0
    written = contents(tmp_path / "page")
    texts = {
        "README.md": page.to_markdown(),
        "table.tex": page.to_latex(),
        "index.html": page.to_html(tmp_path / "one.html"),
        "results.csv": page.to_csv(),
        "results.json": page.to_json(),
    }
    assert {name: text.encode() for name, text in texts.items()}.items() <= written.items()
    assert (tmp_path / "one.html").read_bytes() == written["index.html"]
    again = page.write(tmp_path / "again")
    assert {str(path.relative_to(tmp_path / "again")) for path in again} == set(written)
    assert contents(tmp_path / "again") == written


def test_a_comparison_is_that_of_the_command(by_command):
    comparison = pb.load(by_command).compare("magnitude", "random-pruning")
    for name, text in {
        "md": comparison.to_markdown(),
        "csv": comparison.to_csv(),
        "json": comparison.to_json(),
    }.items():
        words = ("compare", "magnitude", "random-pruning", "--store", by_command, "--format", name)
        assert call(*words).out == text
    with pytest.raises(pb.PrunebenchError, match="interval"):
        pb.load(by_command).compare("magnitude", "random-pruning", interval="wide")


def test_a_bundle_gives_the_results_of_its_store(by_command, tmp_path):
    file = tmp_path / "mine.zip"
    assert call("bundle", "--store", by_command, "--out", file).status == 0
    bundle = pb.load(file)
    assert scores(bundle.frame()).equals(scores(pb.load(by_command).frame()))
    with pytest.raises(pb.PrunebenchError, match="no masks or weights"):
        bundle.store  # noqa: B018


def test_load_takes_the_last_run_or_all(results, options, tmp_path):
    store = tmp_path / "store"
    for seeds in ("0,", "1,"):
        pb.run(strategies="magnitude", store=store, progress=False, **options[0] | {"seeds": seeds})
    assert set(pb.load(store).frame()["seed"]) == {1}
    everything = scores(pb.load(store, everything=True).frame())
    assert everything.equals(scores(results.select(strategies="magnitude").frame()))
    assert len(Store.open(store).plans()) == 2


def test_a_plot_has_a_point_for_each_seed(results):
    matplotlib.use("agg")
    axes = results.plot(task="rte")
    frame = results.frame().query("sparsity > 0")
    points = [tuple(point) for line in axes.lines if line.get_linestyle() == "None" for point in line.get_xydata()]
    for row in frame.itertuples():
        assert any(np.allclose(point, (row.sparsity, 100 * row.value)) for point in points), row
    with pytest.raises(pb.PrunebenchError, match="mrpc"):
        results.plot(task="mrpc")


def test_store_may_be_a_path_or_text(by_command):
    assert str(pb.load(str(by_command))) == str(pb.load(Path(by_command)))
