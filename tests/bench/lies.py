"""How `prunebench verify` answers every lie that the tests of bundles tell: `pytest -q -s -n0 tests/bench/lies.py`.

The lies of `sharing.lies` alter a whole bundle so that all checksums fit, those of `sharing.test_forged_content` one
value of a record, cell or mask. No cell is trained again here; `verify --rerun` refuses made-up predictions too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sharing import test_forged_content
from sharing.conftest import good, run_words, store  # noqa: F401  fixtures
from sharing.forgery import REGISTRY, alter
from sharing.lies import NOTED, REFUSED, SILENT, Lie, copy_labels, make_up, rte_labels

from prunebench.sharing.bundle import reader
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.verify import verify

OUTCOMES = ("refused", "noted", "silent")


def lies(glue_dir: Path) -> Iterator[tuple[str, str, Lie]]:
    """Every lie with its class and its name."""
    for kind in ("record", "cell", "mask"):
        parameters = getattr(test_forged_content, f"test_an_altered_{kind}_is_refused").pytestmark[0].args[1]
        for number, (change, _) in enumerate(parameters):
            yield f"one {kind}", str(number), partial(alter, member=f"{kind}s.jsonl", change=change)
    for name, lie in (REFUSED | NOTED | SILENT).items():
        yield name.partition(":")[0], name, lie
    labels = rte_labels(glue_dir)
    yield "predictions", "predictions: made up", make_up(labels)
    yield "predictions", "predictions: the labels", copy_labels(labels)


def outcome(data: bytes, known: set[str], glue_dir: Path) -> str:
    """What `verify` makes of a bundle; notes that are `known` also stand beside the honest one."""
    try:
        verdict = verify(reader.load(data), REGISTRY, str(glue_dir))
    except BadBundle:
        return "refused"
    return "refused" if verdict.wrong else "noted" if set(verdict.notes) - known else "silent"


def test_lies(good: bytes, tiny_glue: Path) -> None:  # noqa: F811
    known = set(verify(reader.load(good), REGISTRY, str(tiny_glue)).notes)
    counts: dict[str, Counter[str]] = {}
    silent = []
    for kind, name, lie in lies(tiny_glue):
        answer = outcome(lie(good), known, tiny_glue)
        counts.setdefault(kind, Counter())[answer] += 1
        silent += [name] * (answer == "silent")
    print("\n| lies about | " + " | ".join(("number", *OUTCOMES)) + " |\n|---|" + "---:|" * 4)
    for kind, answers in {**counts, "all": sum(counts.values(), Counter())}.items():
        print(f"| {kind} | {answers.total()} |" + "".join(f" {answers[answer]} |" for answer in OUTCOMES))
    print(f"silent: {'; '.join(silent)}")
