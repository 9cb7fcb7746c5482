"""What must hold of a bundle without anybody's data: keys, counts, checksums, and what the cells say of themselves.

Each check gives sentences about what is wrong. Imports no torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Node, mask_key, phases_of
from prunebench.planning.methods import Method
from prunebench.recipes.phases import Adopt, Compact, Train, calls_strategy, final_sparsity, pruned_count
from prunebench.recipes.strategy import track
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.strict import dumps
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import RUN, Cell, Experiment, Record
from prunebench.tasks.protocol import Protocol


def grow(bundle: Bundle, trees: Trees) -> Iterator[str]:
    """Grow `trees` from the records: the key of each is computed anew from its root and its phases."""
    for key, record in bundle.records.items():
        try:
            node = trees.add(record.experiment, record.phases)
        except PrunebenchError as error:
            yield f"the record {key} has a root or phases that cannot be read: {error}"
            continue
        if node.key != key:
            yield f"the record {key} has phases, a root or a strategy whose key is {node.key}"
    for node in list(trees.nodes.values()):
        try:
            trees.mask_source(node)
        except PrunebenchError as error:
            yield str(error)


def name(cell: Cell) -> str:
    return f"{cell.label} at {cell.sparsity:g} on {cell.task} with seed {cell.seed}"


def cells(bundle: Bundle, trees: Trees, registry: Registry) -> Iterator[str]:
    """Every cell is there once, and is what its record and its strategy's recipe say."""
    seen = set()
    dense = {(cell.task, cell.seed, cell.setting) for cell in bundle.cells if cell.strategy == "dense"}
    tasks = {cell.task for cell in bundle.cells}
    # Plans of earlier versions name no masks.
    naming = {cell.plan for cell in bundle.cells if cell.mask}
    for cell in bundle.cells:
        kind = bundle.manifest.plans[cell.plan].kind
        if cell.mask_from and kind == RUN:
            yield f"the cell of {name(cell)} has a mask of {cell.mask_from}, as only a transfer has"
        same = kind, cell.label, cell.task, cell.sparsity, cell.seed, cell.setting
        if same in seen:
            yield f"the cell of {name(cell)} is there twice"
        seen.add(same)
        if (cell.task, cell.seed, cell.setting) not in dense:
            yield f"beside {name(cell)} there is no dense run of the same seed"
        code = bundle.manifest.strategies.get(cell.label)
        said = dumps([cell.strategy, cell.options])  # as JSON, where true is not 1
        if not cell.mask_from and (code is None or dumps([code.name, code.options]) != said):
            yield f"the cell of {name(cell)} says strategy {cell.strategy} with options that nobody declares"
        if cell.track != track(cell.unit):
            yield f"the cell of {name(cell)} is {cell.track} and prunes {cell.unit}s"
        if cell.key in bundle.lines and cell.key in trees.nodes:
            yield from _cell(cell, bundle.lines[cell.key].record, trees.nodes[cell.key], cell.plan in naming)
            source = trees.nodes[cell.key].lineage()[0].experiment.task
            if cell.mask_from in tasks and cell.mask_from != source:
                yield f"the cell of {name(cell)} says that its mask is of {cell.mask_from}, and it is of {source}"
    yield from _recipes(bundle, trees, registry)


def _cell(cell: Cell, record: Record, node: Node, names_masks: bool) -> Iterator[str]:
    path = node.lineage()
    phases = phases_of(path)
    trainings = [step.key for step in path if isinstance(step.phase, Train)]
    said = {
        "trainings": (list(cell.trainings), trainings),
        "sparsity": (cell.sparsity, final_sparsity(phases)),
        "task": (cell.task, node.experiment.task),
        "seed": (cell.seed, node.experiment.seed),
        "setting": (dict(cell.setting), dict(node.experiment.setting)),
        "evaluations": (sorted(cell.evaluations), sorted(record.evaluations)),
    }
    if names_masks:
        said["mask"] = (cell.mask, mask_key(node))
    if any(step.strategy or isinstance(step.phase, Adopt) for step in path):
        said["unit"] = (cell.unit, record.sparsity.unit)
    for what, (here, there) in said.items():
        if here != there:
            yield f"the cell of {name(cell)} says {what} {here}, and its record {there}"
    if not cell.mask_from and (other := {step.strategy for step in path} - {"", cell.label, cell.control_of}):
        yield f"the record of {name(cell)} was pruned by {', '.join(sorted(other))}"
    for evaluation, scores in record.evaluations.items():
        if sorted(scores.metrics) != sorted(cell.metrics):
            yield f"the record of {name(cell)} has other metrics for {evaluation} than its cell"


def _recipes(bundle: Bundle, trees: Trees, registry: Registry) -> Iterator[str]:
    """The recipe of each method whose code is at hand gives the phases that were run."""
    methods = {label: Method(label, registry) for label in at_hand(bundle, registry)}
    for cell in bundle.cells:
        method, node = methods.get(cell.label), trees.nodes.get(cell.key)
        if method is None or node is None or cell.mask_from:
            continue
        for what in ("strategy", "label", "options", "unit", "track", "control_of"):
            here, there = getattr(cell, what), getattr(method.info, what)
            if here != there:
                yield f"the cell of {name(cell)} says {what} {here}, and its code {there}"
        called = [(step.phase, step.strategy) for step in method.steps(cell.sparsity if method.prunes else 0.0)]
        if called != [(step.phase, step.strategy) for step in node.path()]:
            yield f"the record of {name(cell)} went through other phases than the recipe has"


def at_hand(bundle: Bundle, registry: Registry) -> list[str]:
    """The methods of the cells whose code, and that of what they control, is here as it was there."""
    cells = {cell.label: cell for cell in bundle.cells if not cell.mask_from}
    wanted = {label: [label, *([cell.control_of] if cell.control_of else [])] for label, cell in cells.items()}
    return sorted(label for label, names in wanted.items() if all(same_code(bundle, each, registry) for each in names))


def same_code(bundle: Bundle, label: str, registry: Registry) -> bool:
    """Whether a strategy is installed here in the version and source that the bundle declares."""
    try:
        return label in bundle.manifest.strategies and registry.strategy_key(label) == (
            bundle.manifest.strategies[label].model_dump()
        )
    except PrunebenchError:
        return False


def records(bundle: Bundle, trees: Trees) -> Iterator[str]:
    """Every record matches its checksum, and has exactly the counts that its phases ask for."""
    sizes: dict[tuple[str, ...], dict[Any, str]] = defaultdict(dict)
    for key, line in bundle.lines.items():
        record = line.record
        if record.checksum != line.checksum:
            yield f"the record {key} was altered: it does not match its checksum"
        if key in trees.nodes:
            yield from (f"the record {key} {what}" for what in _counts(record, trees.nodes[key]))
        for what, value in _same_for_all(record, trees.nodes.get(key)):
            sizes[what][value] = key
    for (shared, *_), found in sizes.items():
        if len(found) > 1:
            numbers, keys = " and ".join(map(str, found)), " and ".join(list(found.values())[:2])
            yield f"records that must have the same {shared} have {numbers} ({keys})"


def _same_for_all(record: Record, node: Node | None) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What a record has to share with all others of the same model, of the same seed, or of the same strategy."""
    sparsity, parameters = record.sparsity, record.parameters
    model = record.experiment.model.fingerprint, record.experiment.prunable, record.experiment.task
    yield ("encoder and parameters", *model), (sparsity.encoder_weights, parameters.total)
    yield (f"number of {sparsity.unit}s", *model), sparsity.units
    if sparsity.pruned:
        yield (f"size of a {sparsity.unit}", *model), (parameters.total - parameters.left) / sparsity.pruned
    if node is None:
        return
    yield ("root", node.experiment.key), record.experiment.model_dump_json()
    if record.steps:
        # All trainings of one seed see the same batches.
        yield ("tokens", node.experiment.key), record.tokens
    for label in {step.strategy for step in node.lineage()} - {""}:
        yield ("unit", label), sparsity.unit


def _counts(record: Record, node: Node) -> Iterator[str]:
    sparsity, parameters = record.sparsity, record.parameters
    wanted = pruned_count(final_sparsity(phases_of(node.lineage())), sparsity.units)
    if sparsity.pruned != wanted:
        yield f"has {sparsity.pruned} of {sparsity.units} units pruned, and {wanted} were asked for"
    if sparsity.realised != sparsity.pruned / sparsity.units:
        yield f"says sparsity {sparsity.realised}, and {sparsity.pruned} of {sparsity.units} units are pruned"
    if record.checks.get("count_exact") is not (sparsity.pruned == wanted):
        yield "says something else of its count than what it counts"
    if sparsity.unit == "weight":
        if sparsity.units != sparsity.encoder_weights or parameters.left != parameters.total - sparsity.pruned:
            yield "counts weights that are not its encoder's, or parameters that are not left"
        if round(sparsity.encoder_after * sparsity.encoder_weights) < sparsity.pruned:
            yield f"has fewer zeros than the {sparsity.pruned} weights that are pruned"
    compact = isinstance(node.phase, Compact)
    if parameters.left > parameters.total or parameters.in_model != (parameters.left if compact else parameters.total):
        yield "has more parameters left than there were, or others in its model than are left"
    steps = node.experiment.steps if isinstance(node.phase, Train) else 0
    if record.steps != steps:
        yield f"says {record.steps} steps, and its protocol has {steps}"


def roots(bundle: Bundle, trees: Trees, registry: Registry) -> Iterator[str]:
    """What roots and cells say of their task and protocol, where the task is at hand."""
    for node in trees.roots.values():
        experiment, task = node.experiment, task_at_hand(node.experiment.task, registry)
        protocol = _protocol(experiment).label(task.protocol) if task else experiment.protocol_label
        if protocol != experiment.protocol_label:
            yield f"the protocol {experiment.protocol_label!r} of {experiment.task} is {protocol!r}"
    for cell in bundle.cells:
        task = task_at_hand(cell.task, registry)
        if task is None:
            continue
        said = {
            "benchmark": (cell.benchmark, task.benchmark),
            "split": (cell.split, task.split),
            "metrics": (cell.metrics, task.metrics),
            "evaluations": (cell.evaluations, task.evaluations),
        }
        for what, (here, there) in said.items():
            if here != there:
                yield f"the cell of {name(cell)} says {what} {here}, and its task {there}"


def _protocol(experiment: Experiment) -> Protocol:
    return Protocol(**experiment.protocol)  # type: ignore[arg-type]


def task_at_hand(task: str, registry: Registry) -> Any:
    try:
        return registry.get("tasks", task)
    except PrunebenchError:
        return None


def masks(bundle: Bundle, trees: Trees) -> Iterator[str]:
    """Every mask that was found on the way is listed, with exactly the units gone that were asked for."""
    asked = {key: node for key, node in trees.nodes.items() if node.phase and calls_strategy(node.phase)}
    for key in sorted(asked.keys() ^ bundle.masks.keys()):
        yield f"the mask {key} is {'missing' if key in asked else 'none that a recipe asks for'}"
    units: Mapping[str, set[int]] = defaultdict(set)
    for key, line in bundle.lines.items():
        for step in trees.nodes[key].lineage() if key in trees.nodes else ():
            units[step.key].add(line.record.sparsity.units)
    for key, node in asked.items():
        mask = bundle.masks.get(key)
        if mask is None:
            continue
        wanted = pruned_count(final_sparsity(phases_of(node.path())), mask.units)
        if mask.pruned != wanted:
            yield f"the mask {key} has {mask.pruned} of {mask.units} units pruned, and {wanted} were asked for"
        if units[key] - {mask.units}:
            yield f"the mask {key} is of {mask.units} units, and records after it of {sorted(units[key])}"


def gaps(bundle: Bundle) -> Iterator[str]:
    """Sentences about what is not wrong, and should be seen: failures, and methods that lack seeds."""
    if bundle.reasons:
        yield f"{len(bundle.reasons)} failures are part of it; the first: {min(bundle.reasons.values())}"
    seeds: dict[tuple[str, str, str, float], set[int]] = defaultdict(set)
    of_task: dict[tuple[str, str], set[int]] = defaultdict(set)
    for cell in bundle.cells:
        kind = bundle.manifest.plans[cell.plan].kind
        seeds[kind, cell.task, cell.label, cell.sparsity].add(cell.seed)
        of_task[kind, cell.task].add(cell.seed)
    for (kind, task, label, sparsity), found in sorted(seeds.items()):
        if lacking := sorted(of_task[kind, task] - found):
            yield f"{label} at {sparsity:g} on {task} lacks the seeds {', '.join(map(str, lacking))}"


def failed_checks(bundle: Bundle) -> Iterator[str]:
    """What records themselves say that did not hold when they were made; a page marks it."""
    found: dict[str, list[str]] = defaultdict(list)
    for key, line in bundle.lines.items():
        for check, held in line.record.checks.items():
            if held is False:
                found[check].append(key)
    for check, keys in sorted(found.items()):
        yield f"the check {check} did not hold in {len(keys)} records, such as {keys[0]}"
