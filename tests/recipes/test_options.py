"""Strategies as text: lists, specs, typed options and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from prunebench import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.recipes.options import build, label, parse_spec, split_list


@pytest.fixture(scope="module")
def registry():
    return Registry()


def test_commas_in_brackets_do_not_split_a_list():
    assert split_list("imp[rate=0.2,of=remaining], heads,,") == ["imp[rate=0.2,of=remaining]", "heads"]


def test_a_spec_is_a_name_with_options():
    assert parse_spec("imp[rate=0.2, of=remaining]") == ("imp", {"rate": "0.2", "of": "remaining"})
    assert parse_spec("random-pruning[of=imp[rate=0.2]]") == ("random-pruning", {"of": "imp[rate=0.2]"})


@pytest.mark.parametrize("text", ["imp[rate]", "imp[rate=0.1,rate=0.2]", "imp]", "[rate=1]", ""])
def test_malformed_specs_are_errors(text):
    with pytest.raises(PrunebenchError):
        parse_spec(text)


def test_options_have_types_and_labels_parse_back(registry):
    strategy = registry.strategy("imp[rate=0.2,of=remaining,rewind=100]")
    assert (strategy.rate, strategy.of, strategy.rewind) == (0.2, "remaining", 100)
    assert isinstance(strategy.rewind, int)
    assert label(strategy) == "imp[rate=0.2,of=remaining,rewind=100]"
    for text in (label(strategy), "heads[normalize=false,examples=64]", "random-pruning[of=imp[rate=0.2]]", "imp"):
        again = registry.strategy(text)
        assert registry.strategy(label(again)) == again
    assert isinstance(registry.strategy("imp[rewind=0.1]").rewind, float)
    assert registry.strategy("heads[normalize=false]").normalize is False
    for text in ("heads[examples=none]", "heads[examples=null]"):
        assert registry.strategy(text).examples is None
    assert registry.strategy(label(registry.strategy("heads[examples=none]"))).examples is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imq", "did you mean 'imp'"),
        ("imp[rat=0.1]", "did you mean 'rate'"),
        ("imp[rate=fast]", "bad value 'fast' for 'rate'"),
        ("imp[of=remainder]", "'original' or 'remaining'"),
        ("imp[rate=1.5]", "rate between 0 and 1"),
        ("imp[rewind=2.5]", "cannot rewind to 2.5"),
        ("imp[rewind=1.0]", "cannot rewind to 1.0"),
        ("heads[step=0]", "rate between 0 and 1"),
    ],
)
def test_errors_in_options_are_one_line(text, message, registry):
    with pytest.raises(PrunebenchError, match=message.replace("[", r"\[")) as caught:
        registry.strategy(text)
    assert "\n" not in str(caught.value)


def test_class_variables_are_not_options(registry):
    with pytest.raises(PrunebenchError, match="unknown option"):
        registry.strategy("imp[unit=head]")


@dataclass(frozen=True)
class Threshold:
    name: ClassVar[str] = "threshold"

    limit: float


def test_an_option_without_a_default_is_required():
    assert label(build(Threshold, {"limit": "0.5"})) == "threshold[limit=0.5]"
    with pytest.raises(PrunebenchError, match="strategy 'threshold' needs the option 'limit'"):
        build(Threshold, {})
    with pytest.raises(PrunebenchError, match=r"bad value 'low' for 'limit' .*\(limit is float\)"):
        build(Threshold, {"limit": "low"})
