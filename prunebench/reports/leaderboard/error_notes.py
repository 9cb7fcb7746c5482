"""What a page says about its errors: how those over seeds and examples are computed, and where there are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunebench.reports.examples import Examples
from prunebench.reports.leaderboard.report import Section
from prunebench.reports.leaderboard.tables.scores import CROSSED, is_crossed
from prunebench.reports.render.formatting import listing

HOW = (
    f"[{CROSSED}]: the error is for other seeds and for other examples, which all seeds share. Each example has a "
    "value for each seed, 1 for a right prediction and 0 for a wrong one, or in other metrics the jackknife's "
    "pseudo-value, and the variance of their mean is (MS of seeds + MS of examples − MS of the rest) / (seeds × "
    "examples), with Satterthwaite's degrees of freedom. Verdicts, marks and ranks use this error; the std and "
    "[95 %, seeds] are over seeds alone."
)


def error_notes(sections: Sequence[Section], examples: Examples | None) -> Iterator[str]:
    """The sentences for the tasks of a page."""
    if any(map(is_crossed, sections)):
        yield HOW
    reasons = examples.reasons if examples else {}
    missing: dict[str, list[str]] = {}
    for section in sections:
        if not is_crossed(section):
            missing.setdefault(reasons.get(section.name, ""), []).append(section.name)
    for reason, names in missing.items():
        because = f": {reason}" if reason else ", because predictions, labels or a second seed are missing"
        yield (
            f"Errors on {listing(names)} are over seeds alone{because}. With the predictions of a store or bundle and "
            "the labels of the task, which --glue-dir FOLDER gives for GLUE, they are over seeds and examples."
        )
