"""The long table as CSV, and the whole page as JSON (see `schema`)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from prunebench.reports.leaderboard.report import (
    Baseline,
    Check,
    Line,
    Page,
    Placement,
    Ranking,
    Score,
    Section,
    Standing,
)
from prunebench.reports.leaderboard.schema import FORMAT
from prunebench.reports.render.formatting import cut, limits, round_digits
from prunebench.results import export
from prunebench.results.export import dumps
from prunebench.results.statistics import Interval, Summary
from prunebench.results.statistics.crossed import Estimate
from prunebench.store.schema import Setting


def to_csv(page: Page) -> str:
    """The long table, with the setting of every row."""
    return export.to_csv(page.rows)


def to_json(page: Page) -> str:
    """One object, as described by `schema.Results`."""
    head = {
        "format": FORMAT,
        "suites": page.suites,
        "verification": page.verification,
        "setting": dict(page.setting),
        "tasks": _settings(page),
        "warnings": page.warnings,
        "commands": page.commands,
        "methods": [dataclasses.asdict(method) for method in page.methods],
        "rank_by": page.options.rank_by,
        "delta": page.options.delta,
        "interval": page.options.interval,
        "checklist": [_check(check) for check in page.checklist],
        "published": [paper.model_dump() for paper in page.options.published],
    }
    sections = (*page.averages, *page.sections)
    lists = {
        "baselines": [_baseline(baseline) for baseline in page.baselines],
        "ranking": [_ranking(ranking) for ranking in page.rankings],
        "matching": [entry for section in sections for entry in _matching(section)],
        "summary": [entry for section in sections for entry in _summary(section)],
        "rows": [export.flatten(row) for row in page.rows],
    }
    parts = [f"{json.dumps(name)}: {dumps(value)}" for name, value in head.items()]
    # One entry per line is quick to write, and a diff of two pages shows which entries changed.
    for name, entries in lists.items():
        lines = ",\n".join(map(dumps, entries))
        parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _settings(page: Page) -> dict[str, list[dict[str, str]]]:
    """The settings of each task's rows: one, unless the page is mixed."""
    by_task: dict[str, set[Setting]] = {section.name: set() for section in page.sections}
    for row in page.rows:
        by_task[row.cell.task].add(row.cell.setting)
    return {task: [dict(vars(setting)) for setting in sorted(settings)] for task, settings in by_task.items()}


def _check(check: Check) -> dict[str, Any]:
    return {"what": check.question, "held": check.passed, "found": check.details}


def _baseline(baseline: Baseline) -> dict[str, Any]:
    return {
        **{name: getattr(baseline, name) for name in ("task", "column", "mean", "majority", "learnt", "published")},
        **{name: _with_limits(getattr(baseline, name)) for name in ("above", "twice")},
        "loss": round_digits(baseline.loss),
    }


def _with_limits(value: tuple[float, Interval | None] | None) -> dict[str, float | None] | None:
    if value is None:
        return None
    mean, bounds = value
    return {"mean": mean, "low": None, "high": None, **(_limits(bounds) or {})}


def _ranking(ranking: Ranking) -> dict[str, Any]:
    return {
        **{name: getattr(ranking, name) for name in ("title", "track", "rule", "tasks", "majority", "notes")},
        "standings": [_standing(standing) for standing in ranking.standings],
    }


def _standing(standing: Standing) -> dict[str, Any]:
    across = standing.across
    return {
        "sparsity": standing.sparsity,
        "places": [_placement(placement) for placement in standing.placements],
        "across": {
            "tasks": across.blocks,
            **{name: getattr(across, name) for name in ("ranks", "groups")},
            **{name: round_digits(getattr(across, name)) for name in ("chi2", "p")},
            "critical_difference": round_digits(across.cd),
            "reason": across.reason,
        },
    }


def _placement(placement: Placement) -> dict[str, Any]:
    return {
        **{name: getattr(placement, name) for name in ("label", "rank", "tied", "values", "gaps")},
        **{name: _summary_fields(getattr(placement, name)) for name in ("summary", "of_dense", "of_equal")},
        "crossed": _estimate(placement.crossed),
    }


def _matching(section: Section) -> Iterator[dict[str, Any]]:
    for track in section.tracks:
        for match in track.matching:
            yield {
                "section": section.title,
                "track": track.name,
                **{name: getattr(match, name) for name in ("label", "column", "largest")},
                **{name: getattr(match, name) for name in ("trains_from_theta0", "winning_ticket")},
            }


def _summary(section: Section) -> Iterator[dict[str, Any]]:
    for line in (section.dense, *section.references):
        yield from _entries(section, None, 0.0, line)
    for track in section.tracks:
        for level in track.levels:
            for line in level.lines:
                yield from _entries(section, track.name, level.sparsity, line)


def _entries(section: Section, track: str | None, sparsity: float, line: Line) -> Iterator[dict[str, Any]]:
    for column, majority, score in zip(section.columns, section.majority, line.scores, strict=True):
        yield {
            "section": section.title,
            "task": section.name,
            "column": column,
            "track": track,
            "sparsity": sparsity,
            "label": line.label,
            **_numbers(score),
            "majority": majority,
            "gaps": line.gaps,
            "reasons": line.reasons,
        }


def _numbers(score: Score) -> dict[str, Any]:
    empty = {"n": 0, "mean": None, "std": None, "minimum": None, "maximum": None, "median": None}
    return {
        **(_summary_fields(score.summary) or empty),
        "interval": _limits(score.bounds),
        "crossed": _estimate(score.crossed.score, score.lowest),
        "values": score.values,
        "degenerate_seeds": sorted(score.degenerate),
        "best": score.best,
        "close": score.close,
        "difference": _summary_fields(score.difference),
        "difference_interval": _limits(limits(score.difference)),
        "crossed_difference": _estimate(score.crossed.difference),
        "difference_equal": _summary_fields(score.difference_equal),
        "difference_equal_interval": _limits(limits(score.difference_equal)),
        "crossed_difference_equal": _estimate(score.crossed.difference_equal),
        "crossed_above_majority": _estimate(score.crossed.above),
    }


def _estimate(estimate: Estimate | None, lowest: float | None = None) -> dict[str, float | None] | None:
    """An error over seeds and examples, with its interval; that of a score is cut to what the metric can be."""
    if estimate is None:
        return None
    bounds = estimate.interval()
    limited = bounds if lowest is None else cut(bounds, lowest)
    error = {"error": round_digits(estimate.error), "degrees": round_digits(estimate.degrees)}
    return {**error, **(_limits(limited) or {})}


def _limits(bounds: Interval | None) -> dict[str, float | None] | None:
    return None if bounds is None else {"low": round_digits(bounds.low), "high": round_digits(bounds.high)}


def _summary_fields(summary: Summary | None) -> dict[str, Any] | None:
    # The bounds are written beside the summary, as its interval.
    return None if summary is None else {name: value for name, value in vars(summary).items() if name != "bounds"}
