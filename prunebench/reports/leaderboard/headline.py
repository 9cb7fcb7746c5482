"""The sentence that a page begins with, computed from its first ranking.

An example: "At 70 % sparsity imp keeps 96 % (± 4, 5 seeds) of what dense learned on 5 tasks; magnitude cannot be told
apart from it; random masks keep nothing."
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from prunebench.reports.leaderboard.checklist import RANDOM_MASK, RANDOM_WEIGHTS
from prunebench.reports.leaderboard.report import RANK, RATIO, RETAINED, SCORE, Page, Placement, Ranking, Standing
from prunebench.reports.render.blocks import one_line
from prunebench.reports.render.formatting import listing
from prunebench.results.statistics.best import MIN_SEEDS

# The share that the best method keeps at the sparsity that the sentence is about, if it does so anywhere.
KEEPS = 0.9
# The most methods that are named one by one.
NAMED = 2
WORDS = {RANDOM_MASK: "random masks", RANDOM_WEIGHTS: "random weights"}
# By rule, what several methods do, and what one does.
VERBS = {RETAINED: ("keep", "keeps"), RATIO: ("reach", "reaches"), SCORE: ("score", "scores")}
NOTHING_PRUNED = "This page holds dense runs only: nothing was pruned."
NOT_COMPARABLE = "No method has results on all tasks at one sparsity, so nothing is ranked."


def headline(page: Page) -> str:
    """One sentence on what the page shows: about its first ranking with ranked methods, or why there is none."""
    ranking = main_ranking(page)
    if ranking is None:
        pruned = any(level.lines for each in page.sections for track in each.tracks for level in track.levels)
        return NOT_COMPARABLE if pruned else NOTHING_PRUNED
    return ranking_sentence(page, ranking)


def main_ranking(page: Page) -> Ranking | None:
    """The first ranking with a ranked method, or else the first one; None if there is none."""
    ranked = (ranking for ranking in page.rankings if any(map(_ranked, ranking.standings)))
    return next(ranked, page.rankings[0] if page.rankings else None)


def other_sentence(page: Page, ranking: Ranking) -> str:
    """The sentence about a ranking that is not the main one; "" if it would say the same."""
    sentence = ranking_sentence(page, ranking)
    return "" if sentence == headline(page) else sentence


def ranking_sentence(page: Page, ranking: Ranking) -> str:
    """The same sentence about any ranking of the page."""
    learnt = [each.name for each in page.sections if each.name in ranking.tasks and any(each.learnt)]
    if not learnt:
        return (
            f"No dense run beats the majority class for certain on {listing(ranking.tasks)}: there is nothing that "
            "pruning could lose, and nothing is ranked."
        )
    standing = _telling(ranking)
    if standing is None:
        return f"No {ranking.track} method is complete and above the majority class at any sparsity."
    controls = {method.label for method in page.methods if method.control_of}
    tasks = _tasks(learnt, ranking.tasks)
    clauses = [_best(standing, ranking, tasks), *_rivals(standing, ranking, controls)]
    return one_line(f"{'; '.join([*clauses, *_controls(standing, ranking, controls)])}.")


def _ranked(standing: Standing) -> list[Placement]:
    return [each for each in standing.placements if each.rank is not None and each.summary is not None]


def _mean(placement: Placement) -> float:
    return placement.summary.mean if placement.summary else 0.0


def _telling(ranking: Ranking) -> Standing | None:
    """The highest sparsity at which the best method keeps most of what dense learned, or else the lowest one.

    By other rules than a share of dense, it is the highest sparsity with most methods ranked. Sparsity 0 does not
    count if there are others.
    """
    known = [each for each in ranking.standings if _ranked(each)]
    known = [each for each in known if each.sparsity > 0] or known
    if not known:
        return None
    if ranking.rule in (RETAINED, RATIO):
        return next((each for each in reversed(known) if _mean(_ranked(each)[0]) >= KEEPS), known[0])
    return max(known, key=lambda each: (len(_ranked(each)), each.sparsity))


def _tasks(learnt: Sequence[str], every: Sequence[str]) -> str:
    if len(every) == 1:
        return every[0]
    return f"{len(learnt)} of {len(every)} tasks" if len(learnt) < len(every) else f"{len(every)} tasks"


def _best(standing: Standing, ranking: Ranking, tasks: str) -> str:
    best = _ranked(standing)[0]
    mean, start = _mean(best), f"At {100 * standing.sparsity:g} % sparsity {best.label}"
    if ranking.rule == RANK:
        return f"{start} has the best average rank, {mean:.2f}, over {tasks}"
    if ranking.rule == SCORE:
        return f"{start} has the highest score, {100 * mean:.1f}{_spread(best, 1)}, on {tasks}"
    if ranking.rule == RATIO:
        return f"{start} reaches {_percent(mean)} %{_spread(best)} of dense's score on {tasks}"
    equal = best.of_equal is not None and best.of_equal == best.summary and best.of_equal != best.of_dense
    dense = "dense learned in equal training" if equal else "dense learned"
    return f"{start} keeps {_percent(mean)} %{_spread(best)} of what {dense} on {tasks}"


def _spread(placement: Placement, digits: int = 0) -> str:
    summary = placement.summary
    if summary is None:
        return ""
    std = "" if summary.std is None else f"± {100 * summary.std:.{digits}f}, "
    return f" ({std}{_seeds(summary.n)})"


def _seeds(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"


def _rivals(standing: Standing, ranking: Ranking, controls: Collection[str]) -> Iterator[str]:
    """How the other methods, controls aside, compare with the best one."""
    best, *others = _ranked(standing)
    methods = [each for each in standing.placements if each.label not in controls and each.label != best.label]
    rivals = [each for each in others if each.label not in controls]
    if not methods:
        yield f"there is no other {ranking.track} method"
        return
    least = min(each.summary.n for each in (best, *rivals) if each.summary)
    if ranking.rule != RANK and least < MIN_SEEDS:
        yield f"{_seeds(least)} cannot tell methods apart"
        return
    tied = [each.label for each in rivals if each.rank == best.rank]
    if not rivals:
        yield f"no other {ranking.track} method is ranked there"
    elif not tied:
        yield f"{_others(rivals, ranking.track, 'every other')} is significantly worse"
    elif len(tied) == len(rivals):
        verb = "cannot" if len(rivals) == 1 else "can"
        yield f"{_others(rivals, ranking.track, 'no other')} {verb} be told apart from it"
    elif len(tied) <= NAMED:
        yield f"{' and '.join(tied)} cannot be told apart from it"
    else:
        yield f"{len(tied)} of {len(rivals)} other {ranking.track} methods cannot be told apart from it"


def _others(rivals: Sequence[Placement], track: str, words: str) -> str:
    """The only rival by its name, several as `every other structured method`."""
    return rivals[0].label if len(rivals) == 1 else f"{words} {track} method"


def _controls(standing: Standing, ranking: Ranking, controls: Collection[str]) -> Iterator[str]:
    """What the random masks keep, or else the best control: the score below which a mask tells nothing."""
    means = {each.label: _mean(each) for each in standing.placements if each.label in controls and each.summary}
    means.pop(_ranked(standing)[0].label, None)
    masks = {label: mean for label, mean in means.items() if label.partition("[")[0] == RANDOM_MASK}
    if not means or ranking.rule == RANK:
        return
    label, mean = max((masks or means).items(), key=lambda entry: (entry[1], entry[0]))
    strategy = label.partition("[")[0]
    plural, singular = VERBS[ranking.rule]
    verb = plural if strategy in WORDS else singular
    nothing = ranking.rule == RETAINED and round(100 * mean) <= 0
    amount = f"{100 * mean:.1f}" if ranking.rule == SCORE else "nothing" if nothing else f"{_percent(mean)} %"
    yield f"{WORDS.get(strategy, label)} {verb} {amount}"


def _percent(share: float) -> str:
    return f"{round(100 * share)}".replace("-", "−")
