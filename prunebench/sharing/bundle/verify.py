"""The verdict on a bundle: whether it is consistent, and whether its metrics follow from its predictions."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import ENGINE
from prunebench.runtime.environment import version
from prunebench.sharing.bundle import checks, counts, gaps, suspicions
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.recompute import MetricCheck, recompute
from prunebench.sharing.bundle.stamp import Stamp
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import Source


@dataclass
class Verdict:
    """Sentences about a bundle.

    They say what is `wrong` (it is then refused), `notes`, and what was computed again and `confirmed`. `retrained` is
    the number of cells that were trained again. `without_data` gives the reason for each task whose metrics were not
    recomputed. `trees` are those of its plans.
    """

    trees: Trees
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    without_data: Mapping[str, str] = field(default_factory=dict)
    retrained: int = 0

    def unchecked(self, bundle: Bundle) -> Iterator[str]:
        """What the bundle claims and nobody has checked."""
        trained = [cell for cell in bundle.cells if cell.key in bundle.records]
        if self.retrained < len(trained):
            yield f"that the predictions of {len(trained) - self.retrained} of {len(trained)} cells come from a model"
        if self.without_data:
            yield f"the metrics of {', '.join(sorted(self.without_data))}"
        yield "seconds, memory, speed, dates, hardware and versions, which are those that the bundle says"
        yield "that tasks, seeds, sparsities and methods were not selected by their results, or other plans left out"
        yield "that no method read the evaluation data"


def verify(bundle: Bundle, registry: Registry, glue_dir: str | None = None) -> Verdict:
    """Check keys, counts, checksums and cells, and recompute every metric whose data is available."""
    trees = Trees(bundle.manifest.strategies, registry)
    verdict = Verdict(trees)
    try:
        wrong_keys = list(checks.rebuild_trees(bundle, trees))
        verdict.wrong += [
            *wrong_keys,
            *counts.check_records(bundle, trees),
            *checks.check_masks(bundle, trees),
            *checks.check_cells(bundle, trees, registry),
            *checks.check_tasks(bundle, trees, registry),
            *suspicions.refusals(bundle, registry),
        ]
        # Without its key, a record may claim any data and any limits.
        metrics = MetricCheck() if wrong_keys else recompute(bundle, registry, glue_dir)
    except RecursionError:
        raise BadBundle("its recipes are nested too deeply") from None
    verdict.wrong += metrics.faults
    verdict.without_data = metrics.without_data
    verdict.notes += [
        *gaps.find_gaps(bundle, registry),
        *suspicions.notes(bundle, registry),
        *_perfect_notes(metrics),
        *checks.find_failed_checks(bundle),
        *_version_notes(bundle, registry),
    ]
    verdict.confirmed += _passed_checks(bundle, len(trees.nodes), metrics.records)
    return verdict


def make_stamp(bundle: Bundle, verdict: Verdict) -> Stamp:
    """The stamp of today for a bundle that was accepted."""
    planned, missing = gaps.count_planned(bundle)
    return Stamp(
        kind="prunebench verify",
        sha256=bundle.sha256,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        prunebench=version(),
        cells=sum(cell.key in bundle.records for cell in bundle.cells),
        retrained=verdict.retrained,
        without_data=sorted(verdict.without_data),
        planned=planned,
        missing=missing,
    )


def _passed_checks(bundle: Bundle, phases: int, recomputed: int) -> Iterator[str]:
    summary = bundle.manifest.summary
    yield f"{summary.cells} cells have their records, {summary.failures} failures are declared"
    yield f"the keys of {phases} phases follow from their recipes, strategies and experiments"
    yield f"{summary.records} records match their checksums, with exactly the units pruned that their sparsity gives"
    yield f"{summary.masks} masks are listed, with exactly the units pruned that their sparsity gives"
    yield f"the metrics of {recomputed} of {summary.records} records follow from their predictions"


def _perfect_notes(metrics: MetricCheck) -> Iterator[str]:
    if metrics.perfect:
        number, first = len(metrics.perfect), metrics.perfect[0]
        yield f"the predictions of {number} record{'s' * (number > 1)} are the labels themselves, such as {first}"


def _version_notes(bundle: Bundle, registry: Registry) -> Iterator[str]:
    """What made the bundle and is not installed here in the same version."""
    current = f"engine {ENGINE}"
    for engine in (code for code in bundle.manifest.summary.code if code.partition(",")[0] != current):
        yield f"made by {engine}, while this is {current}: keys are checked all the same, a rerun may differ"
    installed = set(checks.installed_methods(bundle, registry))
    for label in bundle.manifest.summary.strategies:
        if label not in installed and any(cell.label == label and not cell.mask_from for cell in bundle.cells):
            code = bundle.manifest.strategies.get(label)
            name = f"{code.distribution} {code.version} ({code.source[:8]})" if code else "undeclared code"
            yield f"{label} comes from {name}, which is not installed: its recipe is not checked"
    for kind, sources in sorted(bundle.manifest.sources.items()):
        for name, source in sorted(sources.items()):
            # The number of the engine stands for everything built in.
            if source.distribution != "prunebench" and not _is_installed(kind, name, source, registry):
                yield f"{name} ({kind}) comes from {source.distribution} {source.version}, which is not installed"


def _is_installed(kind: str, name: str, source: Source, registry: Registry) -> bool:
    try:
        return registry.code(kind, name) == source.model_dump()
    except PrunebenchError:
        return False
