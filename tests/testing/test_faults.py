"""The kit names each fault by the check that fails, and by what that check has seen."""

from __future__ import annotations

from pathlib import Path

from prunebench.hooks.registry import Registry
from prunebench.testing.check import FAILED, KNOWN, PASSED
from prunebench.testing.kit import CHECKS, subjects

FAULTY = Path(__file__).with_name("faulty.py")
# The check that fails, and a part of what it has seen.
FAULTS = {
    "undocumented": ("documented", "no docstring"),
    "no-source": ("source", "no source"),
    "changeable": ("frozen", "write @dataclass(frozen=True)"),
    "listing": ("options round-trip", "listing[layers=1,2]: cannot read"),
    "level": ("recipe level", "at sparsity 0.9 prunes to 0.8"),
    "count": ("exact counts", "pruned 1 units (expected 0)"),
    "threshold": ("ties", "pruned 896 units (expected 448)"),
    "norms": ("nothing else changes", "changed weights: bert.embeddings.LayerNorm.bias"),
    "hooks": ("nothing else changes", "changed hooks of classifier"),
    "regrowing": ("masks", "brought pruned units back"),
    "class-state": ("state", "ClassState.calls"),
    "peek": ("no peek", "has read the labels"),
    "clock": ("same seed, same result", "units have another mask"),
    "process": ("--jobs 2", "units have another mask"),
    "python-random": ("generators", "random numbers from random"),
    "constant": ("other seed, other result", "draws random numbers for 'noise'"),
    "half-way": ("runs", "raised RuntimeError: half-way (faulty.py, line"),
    "forgetful": ("resume", "state_dict() lacks"),
    "nan": ("scores", "896 of 896 scores are NaN"),
    "tied": ("scores", "of them ties: ties go by position"),
    "prints": ("silence", "prints: I score"),
    "exits": ("runs", "raised SystemExit: 3"),
    "ends": ("runs", "its worker died 3 times"),
    "hoards": ("memory", "for each example"),
    "bert-only": ("families", "on roberta: strategy 'bert-only' raised AttributeError"),
}
# Faults that no run is needed to see.
FORM = ("frozen", "documented", "source", "options round-trip", "keys", "recipe level")


# Those that are compared with themselves in further runs.
COMPARED = {"peek", "clock", "process", "bert-only"}


def test_the_kit_names_each_fault():
    """One test, because all strategies share their runs."""
    checks = {check.name: check for check in CHECKS}
    registry = Registry([FAULTY])
    assert {entry for entry in registry.entries("strategies") if entry in FAULTS} == FAULTS.keys()
    wrong = []
    for subject in [*subjects(FAULTS.keys() - COMPARED, registry), *subjects(COMPARED, registry)]:
        name, text = FAULTS[subject.text]
        outcome = checks[name](subject)
        if outcome.status != FAILED or text not in outcome.actual:
            wrong.append(str(outcome))
        # The fault is charged to no other check of the class.
        others = [checks[each](subject) for each in FORM if each != name]
        wrong += [str(other) for other in others if other.status == FAILED]
    assert not wrong, "\n".join(wrong)


def test_a_known_failure_has_a_reason_and_must_fail():
    (subject,) = subjects(["known"], Registry([FAULTY]))
    checks = {check.name: check for check in CHECKS}
    silence, frozen = checks["silence"](subject), checks["frozen"](subject)
    assert (silence.status, silence.reason) == (KNOWN, "it says what it does")
    assert "I score" in silence.actual
    assert frozen.status == FAILED and "take it out of known_failures" in frozen.actual
    assert checks["source"](subject).status == PASSED
