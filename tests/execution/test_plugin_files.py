"""Jobs of a plugin file that imports files beside it."""

from __future__ import annotations

from execution.runs import records_of
from hooks.test_files import write_plugin

from prunebench.execution.executors.base import Request
from prunebench.execution.executors.local import ProcessExecutor


def test_workers_get_the_files_beside_a_plugin(run, tmp_path):
    file = write_plugin(tmp_path)
    store, plan, report = run("mine", plugins=[file], epochs="1", executor=ProcessExecutor(Request(1)))
    assert not report.failures
    assert all(records_of(store, plan).values())


def test_a_file_beside_a_plugin_that_is_edited_between_plan_and_run_stops_its_method(planned, tmp_path):
    file = write_plugin(tmp_path)
    _, _, finish = planned("mine", plugins=[file])
    file.with_name("factor.py").write_text("FACTOR = -2\n")
    [reason] = finish().failures.values()
    assert "edited after it was planned" in reason
