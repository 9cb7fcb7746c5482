"""`prunebench compare-to-baselines`: the methods that are run, and a page whose numbers are those of the results."""

from __future__ import annotations

import re

import pytest
from commands import call, refused

from prunebench import load
from prunebench.hooks.registry import Registry
from prunebench.planning.baselines import baselines
from prunebench.planning.methods import Method

SUITE = """
model = "{model}"
glue-dir = "{glue}"
tasks = ["sst2"]
sparsities = [0.5]
seeds = 3
epochs = 2
device = "cpu"
precision = "fp32"
"""


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("magnitude", ["random-pruning[of=magnitude]", "imp"]),
        ("magnitude[scope=row]", ["random-pruning[of=magnitude[scope=row]]", "imp", "magnitude"]),
        ("heads[normalize=false]", ["random-pruning[of=heads[normalize=false]]", "heads"]),
        ("random-reinit[of=magnitude]", ["magnitude", "random-pruning[of=magnitude]", "imp"]),
        ("imp", ["random-pruning", "magnitude"]),
        ("random-pruning", ["imp", "magnitude"]),
    ],
)
def test_the_baselines_of_a_method(text, others):
    registry = Registry()
    assert baselines(Method(text, registry)) == others
    for other in others:
        Method(other, registry)


def test_the_page_for_a_pull_request(tiny_bert, tiny_glue, tmp_path):
    suite, store, out = tmp_path / "tiny.toml", tmp_path / "store", tmp_path / "page.md"
    suite.write_text(SUITE.format(model=tiny_bert, glue=tiny_glue))
    words = ["compare-to-baselines", "magnitude", "--suite", suite, "--store", store, "--executor", "here"]
    result = call(*words, "--out", out)
    assert result.status == 0, result.err
    assert result.out.rstrip() == out.read_text().rstrip()
    frame = load(store).frame()
    means = frame.groupby("label")["value"].mean() * 100
    assert "dense[trainings=2]" in means, "magnitude trains twice"
    rows = re.findall(r"^\| (\S+) +\| sst2, accuracy \|(.*)\|$", result.out.replace("\\", ""), re.MULTILINE)
    assert [label for label, _ in rows] == ["random-pruning[of=magnitude]", "imp"]
    for label, numbers in rows:
        _, own, other, difference, *_ = [text.strip().replace("−", "-") for text in numbers.split("|")]
        assert float(own) == pytest.approx(means["magnitude"], abs=0.005)
        assert float(other) == pytest.approx(means[label], abs=0.005)
        assert float(difference) == pytest.approx(means["magnitude"] - means[label], abs=0.01)
    refused(call("compare-to-baselines", "dense", "--store", store), "'dense' prunes nothing")
