"""How many jobs run at a time by default, and how much memory is free."""

from __future__ import annotations

import os

from prunebench.runtime import devices, memory


def test_default_jobs_fit_cores_and_memory(monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 8)
    monkeypatch.setattr(devices, "free_memory", lambda: 24_000_000_000)
    bert_base, minilm, tiny = 440_000_000, 91_000_000, 4_000_000
    assert [devices.default_jobs("cpu", weights) for weights in (bert_base, minilm, tiny)] == [2, 8, 8]
    assert devices.default_jobs("cuda", tiny) == 1
    monkeypatch.setattr(devices, "free_memory", lambda: 100_000_000)
    assert devices.default_jobs("cpu", tiny) == 1
    monkeypatch.setattr(devices, "free_memory", lambda: None)
    assert devices.default_jobs("cpu", bert_base) == 8


def test_free_memory_is_less_than_all_of_it():
    assert 0 < memory.free_memory() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
