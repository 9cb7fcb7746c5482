"""The data model: what was read is written again as it was, and anything that does not fit is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError
from samples import EXPERIMENT, KEY, cell, plan, record

from prunebench.hooks.registry import Registry
from prunebench.planning.graph import read_nodes
from prunebench.planning.job_spec import JobSpec, NodeSpec, PluginFile
from prunebench.store import serialization
from prunebench.store.schema import (
    FORMAT,
    Cell,
    Command,
    Experiment,
    Failure,
    Location,
    PhaseEntry,
    Record,
    StoredPlan,
    StrategyCode,
    WeightsRef,
    text,
)

BUNDLES = sorted((Path(__file__).parents[2] / "leaderboards").glob("*/bundle.zip"))


def bundled_records(bundle):
    """The JSON text of every record of a bundle."""
    with zipfile.ZipFile(bundle) as file:
        return [json.dumps(json.loads(line)["record"]) for line in file.read("records.jsonl").splitlines()]


# Round trips


def test_there_are_committed_bundles():
    assert len(BUNDLES) >= 3


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.parent.name)
def test_every_committed_record_is_written_as_it_was_read(bundle):
    """Byte for byte: records of engines 3 and 4, some without fields that were added later."""
    records = bundled_records(bundle)
    assert records
    for line in records:
        original = text(json.loads(line))
        assert text(Record.model_validate_json(line).to_json()) == original
        assert text(Record.model_validate(json.loads(line)).to_json()) == original


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.parent.name)
def test_the_checksum_of_a_record_file_survives_reading_and_writing(bundle):
    for line in bundled_records(bundle):
        original = Record.model_validate_json(line)
        file = serialization.encode_record(original, b"logits")
        read = serialization.parse_record(file, original.key).record
        assert read == original
        assert read.checksum == json.loads(file)["checksum"]
        assert serialization.encode_record(read, b"logits") == file


def test_the_experiment_of_a_record_is_stored_as_root():
    stored = record().to_json()
    assert stored["root"] == EXPERIMENT.to_json()
    assert "experiment" not in stored
    assert Record.model_validate(stored).experiment == EXPERIMENT


def test_a_field_that_was_never_set_is_not_written():
    fields = record().to_json()
    del fields["encoder"]
    read = Record.model_validate(fields)
    assert read.encoder is None
    assert read.to_json() == fields


def test_a_phase_keeps_its_own_fields():
    fields = {"phase": "Prune", "strategy": "imp", "sparsity": 0.1, "nested": {"a": [1, 2.5, None]}}
    entry = PhaseEntry.model_validate_json(json.dumps(fields))
    assert entry.fields == {"sparsity": 0.1, "nested": {"a": [1, 2.5, None]}}
    assert entry.model_dump(mode="json") == fields


def test_a_plan_is_written_as_it_is_read():
    code = StrategyCode(distribution="d", version="1", source="s", name="imp", options={"rate": 0.1, "of": "original"})
    original = plan(strategies={"imp": code}, written="2026-01-01", kind="transfer")
    name, data = serialization.encode_plan(original)
    assert serialization.parse_plan(name, data) == original
    assert serialization.encode_plan(serialization.parse_plan(name, data)) == (name, data)


def test_the_name_of_a_plan_depends_on_its_command_and_cells_alone():
    identifier, _ = serialization.encode_plan(plan())
    assert serialization.encode_plan(plan(written="2026-01-01"))[0] == identifier
    assert serialization.encode_plan(plan(command="another"))[0] != identifier
    assert serialization.encode_plan(plan(cells=[cell(seed=1)]))[0] != identifier


def test_a_job_reaches_a_worker_as_it_was():
    train = NodeSpec(key=KEY, phase={"phase": "Train", "sparsity": None}, strategy="", code="", moves=False)
    job = JobSpec(
        experiment=EXPERIMENT,
        where=Location(model="folder"),
        path=[train.model_copy(update={"parent": EXPERIMENT.key})],
        tree=[],
        anchor=KEY,
        scored=[KEY],
        reads=[WeightsRef(training=KEY, at=0.5)],
        weights=[WeightsRef(training=KEY, at=3)],
        plugins=[PluginFile(path="mine.py", text="text", siblings=(("helper.py", "more"),))],
        checkpoint_minutes=5.0,
        strategy_timeout=2.5,
    )
    received = JobSpec.model_validate(json.loads(json.dumps(job.model_dump(mode="json"))))
    assert received == job
    path, anchor = read_nodes(received, Registry())
    assert path == [anchor]
    assert anchor.key == KEY and anchor.scored
    assert anchor.experiment == EXPERIMENT


# What is refused


@pytest.mark.parametrize(
    "value", [record(), cell(), plan(), EXPERIMENT, Failure(key=KEY, reason="it raised"), Command()]
)
def test_an_unknown_field_is_refused(value):
    with pytest.raises(ValidationError, match="colour"):
        type(value).model_validate({**value.to_json(), "colour": "red"})


@pytest.mark.parametrize("field", sorted(set(record().to_json()) - {"encoder"}))
def test_a_record_without_a_field_is_refused(field):
    fields = record().to_json()
    del fields[field]
    with pytest.raises(ValidationError, match=field):
        Record.model_validate(fields)
    with pytest.raises(ValidationError, match=field):
        Record.model_validate_json(json.dumps(fields))


@pytest.mark.parametrize("field", sorted(cell().to_json()))
def test_a_cell_without_a_field_is_refused(field):
    fields = cell().to_json()
    del fields[field]
    with pytest.raises(ValidationError, match=field):
        Cell.model_validate(fields)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["loss", "peak_memory_mb", "seconds", "metrics", "protocol"])
def test_a_number_that_is_not_finite_is_refused(number, field):
    texts = {
        "loss": '"loss": 0.25',
        "peak_memory_mb": '"peak_memory_mb": 100.0',
        "seconds": '"train": 2.0',
        "metrics": '"metrics": {"accuracy": 0.6}',
        "protocol": '"lr": 2e-05',
    }
    line, old = json.dumps(record().to_json()), texts[field]
    assert line.count(old) == 1
    infinite = line.replace(old, old.rstrip("}").rpartition(" ")[0] + f" {number}" + "}" * old.count("}"))
    with pytest.raises(ValidationError):
        Record.model_validate_json(infinite)
    with pytest.raises(ValidationError):
        Record.model_validate(json.loads(infinite))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_in_a_phase_and_in_options(number):
    with pytest.raises(ValidationError, match="finite"):
        PhaseEntry(phase="Prune", strategy="", sparsity=number)
    with pytest.raises(ValidationError, match="finite"):
        cell(options={"rate": number})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", "ab"),
        ("key", KEY.upper()),
        ("status", "failed"),
        ("steps", "3"),
        ("steps", 3.0),
        ("steps", True),
        ("steps", -1),
        ("tokens", 2**53),
        ("loss", "0.25"),
        ("format", 0),
        ("format", FORMAT + 1),
        ("phases", []),
        ("phases", [{"phase": "Train"}]),
        ("phases", [{"phase": 1, "strategy": ""}]),
        ("seconds", {"train": -1.0}),
        ("checks", {"count_exact": "yes"}),
        ("environment", {"threads": 1.5}),
        ("evaluations", {"validation": {"examples": 0, "metrics": {}, "degenerate": [], "majority": {}}}),
        ("evaluations", [1]),
        ("sparsity", {**record().sparsity.to_json(), "realised": 1.5}),
        ("sparsity", {**record().sparsity.to_json(), "unit": "head+"}),
        ("root", {**EXPERIMENT.to_json(), "sizes": {"validation": 5}}),
        ("root", {**EXPERIMENT.to_json(), "seed": "0"}),
        ("root", {**EXPERIMENT.to_json(), "model": "m"}),
    ],
)
def test_a_field_of_the_wrong_type_or_range_is_refused(field, value):
    fields = {**record().to_json(), field: value}
    with pytest.raises(ValidationError, match=field):
        Record.model_validate(fields)
    with pytest.raises(ValidationError, match=field):
        Record.model_validate_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("field", "value"),
    [("metrics", []), ("metrics", "accuracy"), ("sparsity", 1.0), ("trainings", ["none"]), ("mask", "none")],
)
def test_a_cell_with_a_bad_field_is_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        Cell.model_validate({**cell().to_json(), field: value})


def test_a_value_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        record().steps = 4


# Experiments, cells and weights


def test_a_changed_copy_of_an_experiment_has_its_own_key_and_setting():
    original = EXPERIMENT.model_copy()
    assert (original.key, original.setting) == (EXPERIMENT.key, EXPERIMENT.setting)
    changed = original.model_copy(update={"precision": "bf16"})
    assert changed.key == Experiment.model_validate(changed.to_json()).key != original.key
    assert changed.setting.precision == "bf16"
    assert original.setting.precision == "fp32"


def test_the_steps_of_an_experiment_count_the_last_batch():
    protocol = {**EXPERIMENT.protocol, "epochs": 2, "batch_size": 4}
    assert EXPERIMENT.model_copy(update={"protocol": protocol}).steps == 2 * 3


def test_the_evaluation_limit_is_that_of_the_protocol():
    assert record().eval_limit is None
    limited = EXPERIMENT.model_copy(update={"protocol": {**EXPERIMENT.protocol, "eval_limit": 7}})
    assert record(experiment=limited).eval_limit == 7


def test_settings_are_sorted_by_their_fields():
    settings = [cell(setting={**EXPERIMENT.setting.to_json(), "model": model}).setting for model in ("b", "a")]
    assert [setting.model for setting in sorted(settings)] == ["a", "b"]


def test_a_cell_lists_each_of_its_records_once():
    other = "cd" + KEY[2:]
    assert cell(trainings=[other, KEY]).record_keys == (other, KEY)
    assert cell(trainings=[other]).record_keys == (other, KEY)


def test_an_evaluation_is_named_where_its_task_has_several():
    several = cell(evaluations=["validation_matched", "validation_mismatched"])
    assert [several.suffix(name) for name in several.evaluations] == ["matched", "mismatched"]
    assert cell().suffix("validation") == ""


@pytest.mark.parametrize(
    ("at", "name", "step"),
    [(None, KEY, 40), (0.1, f"{KEY}-at-0.1", 4), (100, f"{KEY}-at-100", 100), (0.001, f"{KEY}-at-0.001", 1)],
)
def test_weights_are_named_by_their_training_and_step(at, name, step):
    weights = WeightsRef(training=KEY, at=at)
    assert weights.name == name
    assert weights.step(40) == step
    assert WeightsRef.model_validate_json(weights.model_dump_json()).name == name


def test_references_to_the_same_weights_are_equal():
    assert WeightsRef(training=KEY) == WeightsRef(training=KEY, at=None)
    assert len({WeightsRef(training=KEY), WeightsRef(training=KEY, at=None), WeightsRef(training=KEY, at=0.5)}) == 2


def test_a_stored_plan_of_an_old_version_has_defaults():
    """Plans without a kind are runs, and their strategies are not known."""
    fields = plan(written="2026-01-01").to_json()
    assert not {"kind", "strategies", "format"} & set(fields)
    read = StoredPlan.model_validate(fields)
    assert (read.kind, read.strategies, read.format) == ("run", {}, FORMAT)
