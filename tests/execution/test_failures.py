"""Failures of a job that its worker survives: what is refused, what is reported, and in which words."""

from __future__ import annotations

import pytest
import torch
from execution.runs import records_of

from prunebench.errors import PrunebenchError
from prunebench.training import loop


def test_a_rewind_beyond_the_end_is_refused_before_anything_runs(planned):
    with pytest.raises(PrunebenchError, match=r"'imp\[rewind=500\]' rewinds to step 500.*has 2 steps"):
        planned("imp[rewind=500],magnitude")


@pytest.mark.parametrize(("family", "limit"), [("bert", 64), ("roberta", 64), ("distilbert", 64)])
def test_a_text_that_is_too_long_is_reported_with_the_limit(planned, tiny_models, tiny_glue, tmp_path, family, limit):
    """RoBERTa has 66 positions and uses 64 of them."""
    (tmp_path / "RTE").mkdir()
    rows = (tiny_glue / "RTE" / "train.tsv").read_text().splitlines()
    long = rows[1].split("\t")
    long[1] = " ".join([long[1]] * 20)
    (tmp_path / "RTE" / "train.tsv").write_text("\n".join([rows[0], "\t".join(long), *rows[2:]]) + "\n")
    (tmp_path / "RTE" / "dev.tsv").write_text((tiny_glue / "RTE" / "dev.tsv").read_text())
    where = {"model": str(tiny_models[family]), "glue_dir": str(tmp_path)}
    _, _, finish = planned("dense", **where)
    [reason] = finish().failures.values()
    assert f"reads {limit} (--max-length {limit})" in reason
    _, _, finish = planned("dense", **where, max_length=str(limit))
    assert not finish().failures


def test_a_training_that_diverges_is_reported(run):
    store, plan, report = run("magnitude-init", "0.2", lr="1e30")
    assert all("diverged" in reason for reason in report.failures.values())
    assert len(report.failures) == 2
    assert all(record is None for record in records_of(store, plan).values())


def test_a_last_step_that_diverges_is_reported(planned):
    """The loss of the only step is that of the pre-trained weights; the weights after it give no finite logits."""
    _, _, finish = planned("dense", lr="1e30", train_limit="8")
    [reason] = finish().failures.values()
    assert reason == "the model's logits are not finite: its training diverged"


@pytest.mark.parametrize(
    "allocate", [lambda: torch.empty(1 << 60), lambda: bytearray(1 << 62)], ids=["torch", "Python"]
)
def test_memory_that_runs_out_is_reported(planned, monkeypatch, allocate):
    """The training is replaced by a request for more memory than any machine has."""
    monkeypatch.setattr(loop, "train", lambda *arguments, **options: allocate())
    _, _, finish = planned("dense")
    report = finish()
    [reason] = report.failures.values()
    assert reason == "it ran out of memory (fewer --jobs or a smaller --batch-size need less)"
    assert report.unexpected is None
