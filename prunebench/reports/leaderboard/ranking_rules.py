"""The rules that a page can rank by, and what the page says about them."""

from __future__ import annotations

from prunebench.errors import unknown_name
from prunebench.reports.leaderboard.report import RANK, RATIO, RETAINED, SCORE
from prunebench.results.statistics.best import TEST
from prunebench.results.statistics.ranks import MIN_BLOCKS, MIN_METHODS

_AVERAGED = (
    "averaged over the metrics and evaluations of each task first, then over the tasks; numbers are × 100, mean ± std "
    "over the seeds of a task (of an average: of independent tasks)"
)
RULES = {
    RETAINED: "Ranked by the score retained above chance: the mean over the seeds less the score of the majority "
    "class, divided by the same of the dense runs of these seeds. 100 is as good as dense, 0 is the majority class. It "
    f"is {_AVERAGED}; the deviation is that of the ratio (by the delta method).",
    RATIO: "Ranked by the plain ratio of scores: the mean over the seeds divided by that of the dense runs of these "
    f"seeds. The majority class is not 0. It is {_AVERAGED}; the deviation is that of the ratio (by the delta method).",
    SCORE: f"Ranked by the score, {_AVERAGED}.",
    RANK: "Ranked by the average rank over the tasks. On each task the best score (mean over metrics, evaluations and "
    "seeds) has rank 1; equal scores share the mean of their ranks.",
}
# What the numbers of a ranking are, in a few words for captions.
MEASURES = {
    RETAINED: "Score retained above chance (mean ± std), % of what dense learned",
    RATIO: "Score (mean ± std), % of dense",
    SCORE: "Score × 100, mean ± std",
    RANK: "Average rank over the tasks",
}
EQUAL_RETAINED = (
    "Methods train for different lengths. If every method of a ranking has dense runs that were trained as long as its "
    "own models (for each task, sparsity and seed), dense means these runs, and the share of plain dense follows in "
    "brackets (dense: …). Otherwise dense means plain dense for all methods, and brackets hold the share of equal "
    "training (equal: …)."
)
TIES = (
    f"The rank is 1 + the number of significantly better methods ({TEST}; no deviation below that of the rounding "
    "to one example is believed). Methods that cannot be told apart usually share a rank (=). A method can have a "
    "worse rank than one with a lower mean, if that one varies so much that fewer methods are certainly better. Bold "
    "is the best one, if it beats the majority class for certain."
)
QUESTION = (
    "The ranking answers: which methods are better on exactly these tasks, whatever the seed? The critical-difference "
    "diagram (in index.html and by prunebench figures) answers another question: would that order hold on other "
    "tasks of this kind? It counts every task once, however many seeds there are, so it needs many tasks."
)
QUESTION_OF_AVERAGE_RANKS = (
    "The ranking and the critical-difference diagram (in index.html and by prunebench figures) answer the same "
    "question: would this order hold on other tasks of this kind? Both count every task once, so they need many tasks. "
    "Neither says whether a difference on these tasks is more than the luck of a seed."
)
TIES_OF_AVERAGE_RANKS = (
    "The rank is 1 + the number of significantly better methods. Two methods differ significantly if Friedman's test "
    "over the tasks rejects and their average ranks differ by at least Nemenyi's critical difference (α = 0.05). "
    "Methods that cannot be told apart usually share a rank (=). "
    f"With fewer than {MIN_BLOCKS} tasks or {MIN_METHODS} methods, all methods share rank 1."
)
UNRANKED = (
    "Rows with missing cells or failed checks, or not better than the majority class for certain, have no rank. "
    "Structured and unstructured methods are ranked separately."
)


def check_rule(name: str) -> str:
    """The name of a rule. Raises `PrunebenchError` for an unknown one."""
    if name not in RULES:
        raise unknown_name("ranking rule", name, RULES)
    return name


def describe_rule(rule: str, equal: bool = False) -> tuple[str, ...]:
    """What a page says about its rule: the rule, the question it answers, ties, and methods without a rank.

    `equal` is whether the page has dense runs of equal training.
    """
    first = f"{RULES[rule]} {EQUAL_RETAINED}" if equal and rule in (RETAINED, RATIO) else RULES[rule]
    if rule == RANK:
        return first, QUESTION_OF_AVERAGE_RANKS, TIES_OF_AVERAGE_RANKS, UNRANKED
    return first, QUESTION, TIES, UNRANKED
