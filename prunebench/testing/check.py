"""What a check is, and what comes out of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from prunebench.errors import PrunebenchError

if TYPE_CHECKING:
    from prunebench.planning.methods import Method
    from prunebench.testing.evidence import Evidence

PASSED: Final = "passed"
FAILED: Final = "failed"
KNOWN: Final = "known"
SKIPPED: Final = "skipped"
Status = Literal["passed", "failed", "known", "skipped"]


class Fault(Exception):
    """A check has not seen what it expects. The message says in a few words what it has seen."""


class Inapplicable(Exception):
    """A check has nothing to look at. The message says why."""


@dataclass(frozen=True)
class Subject:
    """A strategy under check, as `text` names it with its options, and the runs that checks look at."""

    text: str
    method: Method
    evidence: Evidence

    @property
    def strategy(self) -> Any:
        """The instance. A control is one itself, although its recipe is mostly that of another method."""
        return self.method.strategy

    @property
    def kind(self) -> type[Any]:
        return type(self.strategy)

    @property
    def is_control(self) -> bool:
        return self.method.base is not self.method

    @property
    def known_failures(self) -> dict[str, str]:
        """Why a check fails for good, by its name: the class attribute `known_failures`."""
        return dict(getattr(self.kind, "known_failures", {}))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check of one strategy: what was expected, and what was seen.

    `reason` says why a failure is known, or why the check was skipped.
    """

    strategy: str
    check: str
    status: Status
    expected: str
    actual: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.strategy}: {self.check}: expected {self.expected}; seen: {self.actual or self.reason}"


@dataclass(frozen=True)
class Check:
    """A named check. `look` returns what it sees, or raises `Fault` or `Inapplicable`.

    `unless` says, before anything is run, why a strategy needs no such check; "" if it needs one.
    """

    name: str
    expected: str
    look: Callable[[Subject], str]
    unless: Callable[[Subject], str]

    def __call__(self, subject: Subject) -> Outcome:
        """Look at a strategy. An error in the strategy's own words, such as a bad option, is a failure too."""
        known = subject.known_failures.get(self.name, "")
        try:
            if reason := self.unless(subject):
                raise Inapplicable(reason)
            actual = self.look(subject)
        except Inapplicable as error:
            return Outcome(subject.text, self.name, SKIPPED, self.expected, "", str(error))
        except (Fault, PrunebenchError) as error:
            return Outcome(subject.text, self.name, KNOWN if known else FAILED, self.expected, str(error), known)
        if known:
            return Outcome(
                subject.text,
                self.name,
                FAILED,
                f"a failure, because {known}",
                f"{actual}; take it out of known_failures",
            )
        return Outcome(subject.text, self.name, PASSED, self.expected, actual)


def check(
    name: str, expected: str, unless: Callable[[Subject], str] = lambda subject: ""
) -> Callable[[Callable[[Subject], str]], Check]:
    """Make a check of a function that looks."""
    return lambda look: Check(name, expected, look, unless)
