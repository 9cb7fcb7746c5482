"""Devices and memory of this machine."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from prunebench import PrunebenchError
from prunebench.runtime import devices, memory


@pytest.mark.parametrize(("version", "device"), [("2.13.0+cpu", "cpu"), ("2.13.0+cu130", "cuda"), ("2.13.0", "cuda")])
def test_a_gpu_is_used_if_the_build_of_torch_supports_it(monkeypatch, version, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices.importlib.metadata, "version", lambda name: version)
    assert devices.resolve_device("auto") == device
    assert devices.resolve_device("cpu") == "cpu"
    devices.check_device(device)
    if device == "cpu":
        with pytest.raises(PrunebenchError, match="there is no CUDA device here"):
            devices.check_device("cuda")


INTEL, AMD = "GenuineIntel", "AuthenticAMD"


@pytest.mark.parametrize(
    ("vendor", "flags", "precision"),
    [
        (INTEL, "avx512f avx512_bf16 amx_bf16", "bf16"),
        (INTEL, "avx512f avx512_bf16", "fp32"),
        (AMD, "avx512f avx512_bf16", "bf16"),
        (AMD, "avx512f", "fp32"),
        ("", "", "fp32"),
    ],
)
def test_a_processor_computes_in_bf16_where_that_is_faster(monkeypatch, vendor, flags, precision):
    monkeypatch.setattr(devices, "cpu_info", lambda: {"vendor_id": vendor, "flags": flags})
    assert devices.resolve_precision("auto", "cpu") == precision
    assert devices.resolve_precision("bf16", "cpu") == "bf16"


def test_kills_for_want_of_memory_are_counted(tmp_path):
    """In the formats of cgroup's memory.events and of /proc/vmstat; one of the files may be absent."""
    (tmp_path / "events").write_text("low 0\nhigh 3\nmax 9\noom 2\noom_kill 2\noom_group_kill 0\n")
    (tmp_path / "vmstat").write_text("nr_free_pages 5\noom_kill 5\n")
    assert memory.oom_kills([tmp_path / "events", tmp_path / "vmstat"]) == 7
    assert memory.oom_kills([tmp_path / "none", tmp_path / "vmstat"]) == 5
    assert memory.oom_kills([tmp_path / "none"]) == 0


MEMORY = """
from pathlib import Path
from prunebench.runtime import devices, memory

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000

memory.keep_memory()
start = megabytes()
blocks = [bytearray(b"1" * 1_000_000) for _ in range(200)]
del blocks
print(megabytes() - start)
memory.reset_peak_memory("cpu")
print(megabytes() - start)
"""


@pytest.mark.skipif(memory._libc() is None, reason="the C library is not glibc")
def test_a_worker_keeps_freed_memory_until_its_next_job():
    process = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    before, after = map(int, process.stdout.split())
    assert before > 150
    assert after < 50


def test_workers_are_distributed_over_the_gpus(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    for number in range(5):
        devices.select_gpu(number)
    assert chosen == [0, 1, 0, 1, 0]
    assert devices.default_jobs("cuda", 1) == 2
