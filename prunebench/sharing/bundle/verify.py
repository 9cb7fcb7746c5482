"""Whether a bundle says the truth, as far as that can be found out here. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import ENGINE
from prunebench.sharing.bundle import checks
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.recompute import Recomputed, recompute
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import Source


@dataclass
class Verdict:
    """What was found: `wrong` refuses the bundle, `notes` are to be seen, `held` was checked and holds.

    `without_data` gives for each task whose metrics could not be recomputed the reason. `trees` are those of its plan.
    """

    trees: Trees
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    without_data: Mapping[str, str] = field(default_factory=dict)


def verify(bundle: Bundle, registry: Registry, glue_dir: str | None = None) -> Verdict:
    """Check keys, counts, checksums and cells, and recompute every metric whose data is at hand."""
    trees = Trees(bundle.manifest.strategies)
    verdict = Verdict(trees)
    try:
        keyless = list(checks.grow(bundle, trees))
        verdict.wrong += keyless
        for check in (checks.records, checks.masks):
            verdict.wrong += check(bundle, trees)
        for judge in (checks.cells, checks.roots):
            verdict.wrong += judge(bundle, trees, registry)
        # What has no key may say anything of its data and its limits.
        found = Recomputed() if keyless else recompute(bundle, registry, glue_dir)
    except RecursionError:
        raise BadBundle("the recipes in it are nested too deeply") from None
    verdict.wrong += found.wrong
    verdict.without_data = found.without_data
    verdict.notes += [*checks.gaps(bundle), *checks.failed_checks(bundle), *versions(bundle, registry)]
    verdict.held += _held(bundle, len(trees.nodes), found.records)
    return verdict


def _held(bundle: Bundle, phases: int, recomputed: int) -> Iterator[str]:
    summary = bundle.manifest.summary
    yield f"{summary.cells} cells have their records, {summary.failures} failures are declared"
    yield f"the keys of {phases} phases come out of their recipes, strategies and roots"
    yield f"{summary.records} records match their checksums, and have exactly the units pruned that were asked for"
    yield f"{summary.masks} masks are listed, each with as many units pruned as were asked for"
    yield f"the metrics of {recomputed} of {summary.records} records come out of their predictions"


def versions(bundle: Bundle, registry: Registry) -> Iterator[str]:
    """What made the bundle and is another here, or is not here at all."""
    here = f"engine {ENGINE}"
    for engine in (code for code in bundle.manifest.summary.code if code.partition(",")[0] != here):
        yield f"it was made by {engine}, and here is {here}: keys are checked all the same, a rerun may differ"
    known = set(checks.at_hand(bundle, registry))
    for label in bundle.manifest.summary.strategies:
        if label not in known and any(cell.label == label and not cell.mask_from for cell in bundle.cells):
            code = bundle.manifest.strategies.get(label)
            what = f"{code.distribution} {code.version} ({code.source[:8]})" if code else "nothing that it declares"
            yield f"{label} comes from {what}, which is not here as it was there: its recipe is not checked"
    for kind, found in sorted(bundle.manifest.sources.items()):
        for name, source in sorted(found.items()):
            # What is built in is meant by the number of the engine.
            if source.distribution != "prunebench" and not _is_here(kind, name, source, registry):
                yield f"{name} ({kind}) comes from {source.distribution} {source.version}, which is not here as it was"


def _is_here(kind: str, name: str, source: Source, registry: Registry) -> bool:
    try:
        return registry.code(kind, name) == source.model_dump()
    except PrunebenchError:
        return False
