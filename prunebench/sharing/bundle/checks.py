"""Checks of a bundle that need no data: keys, what the cells claim, and masks. `counts` has those of numbers.

Each check yields a sentence for everything that is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Node, mask_key, phases_of
from prunebench.planning.methods import Method
from prunebench.recipes.phase import final_sparsity
from prunebench.recipes.reserved import strategy_labels
from prunebench.recipes.strategy import plural, track
from prunebench.sharing.bundle.levels import count_fault
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.strict import dumps
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import RUN, Cell, Experiment, PlannedResult, Record
from prunebench.tasks.protocol import Protocol
from prunebench.tasks.task import Task


def rebuild_trees(bundle: Bundle, trees: Trees) -> Iterator[str]:
    """Fill `trees` with the records of the bundle, and check that each has the key that its phases give."""
    for key, record in bundle.records.items():
        try:
            node = trees.add(record.experiment, record.phases)
        except PrunebenchError as error:
            yield f"the record {key} has an experiment or phases that cannot be read: {error}"
            continue
        if node.key != key:
            yield f"the record {key} has an experiment, phases or a strategy whose key is {node.key}"
    for node in list(trees.nodes.values()):
        try:
            trees.mask_source(node)
        except PrunebenchError as error:
            yield str(error)


def cell_name(cell: Cell | PlannedResult) -> str:
    return f"{cell.label} at {cell.sparsity:g} on {cell.task} with seed {cell.seed}"


def check_cells(bundle: Bundle, trees: Trees, registry: Registry) -> Iterator[str]:
    """Every cell is listed once, has its dense run, and agrees with its record and with the recipe of its strategy."""
    identities = set()
    dense = {(cell.task, cell.seed, cell.setting) for cell in bundle.cells if cell.is_plain_dense}
    # Plans of earlier versions name no masks.
    plans_with_masks = {cell.plan for cell in bundle.cells if cell.mask}
    for cell in bundle.cells:
        kind = bundle.manifest.plans[cell.plan].kind
        identity = kind, cell.label, cell.task, cell.sparsity, cell.seed, cell.setting
        if identity in identities:
            yield f"the cell of {cell_name(cell)} appears twice"
        identities.add(identity)
        if cell.other_model:
            if cell.other_model != cell.setting.model:
                yield f"the cell of {cell_name(cell)} is of the model {cell.setting.model!r}"
        elif (cell.task, cell.seed, cell.setting) not in dense:
            yield f"there is no dense run of the same seed for {cell_name(cell)}"
        if cell.mask_from and kind == RUN:
            yield f"the cell of {cell_name(cell)} names a source of its mask, which only a transfer has"
        if not cell.mask_from and not _is_declared(cell, bundle):
            yield f"the cell of {cell_name(cell)} says strategy {cell.strategy} with options that are not declared"
        if cell.track != track(cell.unit):
            yield f"the cell of {cell_name(cell)} is {cell.track}, but prunes {plural(cell.unit)}"
        if cell.key in bundle.records and cell.key in trees.nodes:
            record, node = bundle.records[cell.key], trees.nodes[cell.key]
            yield from _compare_cell(cell, record, node, cell.plan in plans_with_masks)
    yield from _check_mask_sources(bundle, trees)
    yield from _check_recipes(bundle, trees, registry)


def _is_declared(cell: Cell, bundle: Bundle) -> bool:
    code = bundle.manifest.strategies.get(cell.label)
    # Compared as JSON, in which true is not 1.
    return code is not None and dumps([code.name, code.options]) == dumps([cell.strategy, cell.options])


def _compare_cell(cell: Cell, record: Record, node: Node, has_masks: bool) -> Iterator[str]:
    """Compare a cell with its record and with the node of its key."""
    lineage = node.lineage()
    trainings = [step.key for step in lineage if step.phase and step.phase.trains]
    pairs = {
        "trainings": (list(cell.trainings), trainings),
        "sparsity": (cell.sparsity, final_sparsity(phases_of(lineage))),
        "task": (cell.task, node.experiment.task),
        "seed": (cell.seed, node.experiment.seed),
        "setting": (dict(cell.setting), dict(node.experiment.setting)),
        "evaluations": (sorted(cell.evaluations), sorted(record.evaluations)),
    }
    if has_masks:
        pairs["mask"] = (cell.mask, mask_key(node))
    if any(step.phase and step.phase.finds_mask for step in lineage):
        pairs["unit"] = (cell.unit, record.sparsity.unit)
    for field, (claimed, actual) in pairs.items():
        if claimed != actual:
            yield f"the cell of {cell_name(cell)} says {field} {claimed}, and its record {actual}"
    own = {label for each in (cell.label, cell.control_of) if each for label in strategy_labels(each)}
    others = {step.strategy for step in lineage} - own - {""}
    if others and not cell.mask_from:
        yield f"the record of {cell_name(cell)} was pruned by {', '.join(sorted(others))}"
    for evaluation, scores in record.evaluations.items():
        if sorted(scores.metrics) != sorted(cell.metrics):
            yield f"the record of {cell_name(cell)} has other metrics for {evaluation} than its cell"


def _check_mask_sources(bundle: Bundle, trees: Trees) -> Iterator[str]:
    """A cell of a transfer names the task that its mask was found on."""
    tasks = {cell.task for cell in bundle.cells}
    for cell in bundle.cells:
        if cell.mask_from in tasks and cell.key in bundle.records and cell.key in trees.nodes:
            source = trees.nodes[cell.key].lineage()[0].experiment.task
            if cell.mask_from != source:
                yield f"the cell of {cell_name(cell)} says that its mask is of {cell.mask_from}, but it is of {source}"


def _check_recipes(bundle: Bundle, trees: Trees, registry: Registry) -> Iterator[str]:
    """The recipe of each method whose code is installed gives the phases that were run."""
    methods = {label: Method(label, registry) for label in installed_methods(bundle, registry)}
    for cell in bundle.cells:
        method, node = methods.get(cell.label), trees.nodes.get(cell.key)
        if method is None or node is None or cell.mask_from:
            continue
        for field in ("strategy", "label", "options", "unit", "track", "control_of"):
            claimed, actual = getattr(cell, field), getattr(method.info, field)
            if claimed != actual:
                yield f"the cell of {cell_name(cell)} says {field} {claimed}, and its code {actual}"
        for level, reason in cell.unsupported.items():
            if reason != method.unsupported(float(level)):
                yield f"the cell of {cell_name(cell)} says of {level} that {reason}, and its code does not"
        steps = method.steps(cell.sparsity if method.prunes else 0.0)
        if [(step.phase, step.strategy) for step in steps] != [(step.phase, step.strategy) for step in node.path()]:
            yield f"the record of {cell_name(cell)} went through other phases than its recipe has"


def installed_methods(bundle: Bundle, registry: Registry) -> list[str]:
    """The methods of the cells that are installed with the code that the bundle declares, a control with its method."""
    cells = {cell.label: cell for cell in bundle.cells if not cell.mask_from}
    required = {label: {label, cell.control_of or label} for label, cell in cells.items()}
    return sorted(
        label for label, names in required.items() if all(is_installed(bundle, name, registry) for name in names)
    )


def is_installed(bundle: Bundle, label: str, registry: Registry) -> bool:
    """Whether a strategy is installed in the version and with the source that the bundle declares."""
    code = bundle.manifest.strategies.get(label)
    try:
        return code is not None and registry.strategy_key(label) == code.model_dump()
    except PrunebenchError:
        return False


def check_tasks(bundle: Bundle, trees: Trees, registry: Registry) -> Iterator[str]:
    """Experiments and cells agree with their task, if it is installed."""
    for root in trees.roots.values():
        experiment, task = root.experiment, installed_task(root.experiment.task, registry)
        protocol = _protocol(experiment)
        label = protocol.label(task.protocol) if task else experiment.protocol_label
        if not task and not f"{label} ".startswith(f"{protocol.name}-{protocol.version} "):
            yield f"the protocol {label!r} of {experiment.task} is {protocol.name}-{protocol.version}"
        if label != experiment.protocol_label:
            yield f"the protocol {experiment.protocol_label!r} of {experiment.task} is {label!r}"
    for cell in bundle.cells:
        task = installed_task(cell.task, registry)
        if task is None:
            continue
        for field in ("benchmark", "split", "metrics", "evaluations"):
            claimed, actual = getattr(cell, field), getattr(task, field)
            if claimed != actual:
                yield f"the cell of {cell_name(cell)} says {field} {claimed}, and its task {actual}"


def _protocol(experiment: Experiment) -> Protocol:
    return Protocol(**experiment.protocol)  # type: ignore[arg-type]


def installed_task(name: str, registry: Registry) -> Task | None:
    try:
        task: Task = registry.get("tasks", name)
        return task
    except PrunebenchError:
        return None


def check_masks(bundle: Bundle, trees: Trees) -> Iterator[str]:
    """Every mask that a strategy found is listed, with exactly the units pruned that its sparsity gives."""
    nodes = {key: node for key, node in trees.nodes.items() if node.phase and node.phase.asks_strategy}
    for key in sorted(nodes.keys() ^ bundle.masks.keys()):
        yield f"the mask {key} is {'missing' if key in nodes else 'of no recipe'}"
    units: Mapping[str, set[int]] = defaultdict(set)
    for key, record in bundle.records.items():
        for step in trees.nodes[key].lineage() if key in trees.nodes else ():
            units[step.key].add(record.sparsity.units)
    for key, node in nodes.items():
        mask = bundle.masks.get(key)
        if mask is None:
            continue
        if fault := count_fault(node.path(), mask.pruned, mask.units):
            yield f"the mask {key} {fault}"
        if units[key] - {mask.units}:
            yield f"the mask {key} has {mask.units} units, but records that use it have {sorted(units[key])}"


def find_failed_checks(bundle: Bundle) -> Iterator[str]:
    """Sentences about checks that failed when the records were made. Pages mark these results."""
    failed: dict[str, list[str]] = defaultdict(list)
    for key, record in bundle.records.items():
        for check, passed in record.checks.items():
            if passed is False:
                failed[check].append(key)
    for check, keys in sorted(failed.items()):
        yield f"{len(keys)} records failed the check {check}, such as {keys[0]}"
