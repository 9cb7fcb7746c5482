"""The methods of a page, and its reporting checklist."""

from __future__ import annotations

import json
from collections.abc import Sequence

from prunebench.recipes.strategy import plural
from prunebench.reports.leaderboard.report import Check, Method
from prunebench.reports.render.blocks import Table

ANSWERS = {True: "yes", None: "in part", False: "no"}


def method_table(methods: Sequence[Method]) -> Table:
    """What each label stands for."""
    body = []
    for method in methods:
        role = f"control of {method.control_of}" if method.control_of else f"prunes {plural(method.unit)}"
        role = "reference" if method.reference else role
        role += f"; teacher: {method.teacher}" if method.teacher else ""
        options = ", ".join(f"{name}={_value(value)}" for name, value in sorted(method.options.items()))
        body.append((method.label, method.doc, role, options, ", ".join(method.sources)))
    return Table("Methods", ("method", "description", "role", "options", "source"), "lplpp", tuple(body))


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def checklist_table(checks: Sequence[Check]) -> Table:
    """Each question with its answer."""
    body = tuple((check.question, ANSWERS[check.passed], check.details) for check in checks)
    return Table("Reporting checklist", ("what reviewers ask for", "answer", "details"), "llp", body)
