"""The kit: every check of a strategy, for the command line, for pytest and for a script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.testing import calls, cells, form, imports
from prunebench.testing.check import FAILED, KNOWN, Check, Outcome, Subject
from prunebench.testing.evidence import Evidence

CHECKS: list[Check] = [*form.CHECKS, *imports.CHECKS, *cells.CHECKS, *calls.CHECKS]


def subjects(texts: Iterable[str], registry: Registry) -> list[Subject]:
    """The strategies that these texts name, which share one `Evidence`.

    Raises:
        PrunebenchError: for an unknown name, a bad option, or a method that cannot be planned.
    """
    methods = {text: Method(text, registry) for text in texts}
    evidence = Evidence(list(methods.values()), registry)
    return [Subject(text, method, evidence) for text, method in methods.items()]


def check_strategies(texts: Iterable[str], registry: Registry | None = None) -> Iterator[Outcome]:
    """The outcome of every check of every strategy, one after the other, strategy by strategy.

    `texts` name strategies with their options: `imp`, `imp[rate=0.2]`.
    """
    for subject in subjects(texts, registry or Registry()):
        for check in CHECKS:
            yield check(subject)


def check_strategy(text: str, plugins: Sequence[str | Path] = ()) -> list[Outcome]:
    """The outcome of every check of the strategy that `text` names, which may come from one of these plugin files."""
    return list(check_strategies([text], Registry(plugins)))


@dataclass(frozen=True)
class BoundCheck:
    """A check of one strategy as a test: a call raises AssertionError where it fails."""

    check: Check
    subject: Subject

    def __call__(self) -> None:
        outcome = self.check(self.subject)
        if outcome.status in (FAILED, KNOWN):
            raise AssertionError(str(outcome))

    def __str__(self) -> str:
        return f"{self.subject.text}-{self.check.name}"


def strategy_checks(*texts: str, plugins: Sequence[str | Path] = ()) -> list[Any]:
    """Every check that these strategies need, for `pytest.mark.parametrize("check", strategy_checks("imp"))`.

    Each is called without arguments. One that the strategy's `known_failures` names is expected to fail.

    Raises:
        PrunebenchError: for an unknown name, and for a name in `known_failures` that is no check.
    """
    import pytest

    parameters = []
    for subject in subjects(texts, Registry(plugins)):
        known = subject.known_failures
        for name in known.keys() - {check.name for check in CHECKS}:
            raise PrunebenchError(
                f"{subject.text!r} has a known failure {name!r}, which is no check",
                f"known: {', '.join(check.name for check in CHECKS)}",
            )
        for check in CHECKS:
            if not check.unless(subject):
                marks = [pytest.mark.xfail(reason=known[check.name])] if check.name in known else []
                bound = BoundCheck(check, subject)
                parameters.append(pytest.param(bound, id=str(bound), marks=marks))
    return parameters
