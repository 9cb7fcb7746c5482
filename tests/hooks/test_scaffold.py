"""Each kind of plugin is a whole distribution, and passes its own tests as it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import call, refused

import prunebench
from prunebench.hooks.scaffold import KINDS, module_name, plugin_files, write_plugin

ROOT = Path(prunebench.__file__).parents[1]


def installed(folder, name):
    """Write a plugin, with the metadata that pip would write: its name and its entry point."""
    write_plugin(folder / name, name, name.removeprefix("new-"))
    info = folder / name / f"{module_name(name)}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: prunebench-{name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[prunebench]\n{name} = {module_name(name)}\n")
    return folder / name


def test_plugins_of_all_kinds_pass_their_own_tests(tmp_path):
    """In one process, because their checks share what they import."""
    folders = [installed(tmp_path, f"new-{kind}") for kind in KINDS]
    paths = os.pathsep.join(map(str, [ROOT, *folders]))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "prunebench.testing.plugin", "-p", "no:xdist"]
    command += ["-c", folders[0] / "pyproject.toml", "--rootdir", tmp_path, "-W", "error", *folders]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # At least twelve checks for a control, and more for all others.
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 12 * len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_bears_its_name_everywhere(kind):
    for path, text in plugin_files("cubic-root", kind).items():
        for trace in ("my-method", "my_method", "MyMethod", "My method"):
            assert trace not in text and trace not in path


def test_the_licence_is_that_of_the_project():
    assert plugin_files("mine", "phase")["LICENSE"] == (ROOT / "LICENSE").read_text()


def test_the_command_writes_into_the_plugins_of_a_clone_or_beside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("new", "cubic-root", "--kind", "gradual")
    assert result.status == 0 and "pip install" in result.out
    assert Path("prunebench-cubic-root/prunebench_cubic_root/__init__.py").is_file()
    Path("plugins/prunebench-gradual").mkdir(parents=True)
    assert call("new", "cubic-root").status == 0
    assert Path("plugins/prunebench-cubic-root/pyproject.toml").is_file()
    refused(call("new", "cubic-root"), "is there already")
    refused(call("new", "Cubic"), "bad name 'Cubic'")
    refused(call("new", "imp"), "there is a strategy 'imp' already")
    refused(call("new", "other", "--kind", "gradul"), "did you mean 'gradual'?")
