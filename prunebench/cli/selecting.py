"""The options that say which results of a store are looked at, shared by all commands that show results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli import completion
from prunebench.cli.options import STORE, plugin_option, store_option, suite_argument

if TYPE_CHECKING:
    from prunebench.api import Results
    from prunebench.store.schema import Cell, StoredPlan

strategies_option = click.option(
    "--strategies",
    default="",
    shell_complete=completion.strategy_list,
    help="Only these strategies, by name or as imp[rate=0.2], and dense.",
)
all_option = click.option("--all", "everything", is_flag=True, help="All runs of the store, instead of the last one.")
versions_option = click.option(
    "--all-versions",
    is_flag=True,
    help="Also show what older versions of a method gave, in all runs, as methods of their own.",
)
bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="FILE.zip",
    help="Look at what this bundle holds instead of a store.",
)
_FILTERS = [
    click.option(
        "--tasks", default="", shell_complete=completion.name_list("tasks"), help="Only these tasks, comma separated."
    ),
    click.option("--protocol", default="", help="Only results under this protocol."),
    click.option("--model", default="", help="Only results of this model: its name, revision or fingerprint."),
    click.option("--precision", default="", help="Only results in this precision."),
    click.option("--device", default="", help="Only results from this device."),
    click.option("--data", default="", help="Only results on the data of this fingerprint."),
    click.option("--prunable", default="", help="Only results with these prunable weights."),
    click.option("--code", default="", help="Only results of this version of the engine, as the pages name it."),
]
glue_dir_option = click.option(
    "--glue-dir",
    metavar="DIR",
    help="GLUE from this folder, for errors over examples where the results have no labels.",
)
mixed_option = click.option(
    "--allow-mixed", "mixed", is_flag=True, help="Put different settings on one page, and name them."
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name strategies, tasks and a setting; `load_results` and `select_cells` take them."""
    for option in reversed(_FILTERS):
        command = option(command)
    return strategies_option(command)


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select results of methods in their newest version."""
    return all_option(plugin_option(filter_options(mixed_option(command))))


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add SUITE, the store or bundle, and the options that select results; `load_results` takes them."""
    return suite_argument(store_option(bundle_option(setting_options(versions_option(command)))))


def load_results(
    suite: str | None = None,
    store: str = STORE,
    bundle: Path | None = None,
    everything: bool = False,
    all_versions: bool = False,
    plugins: tuple[str, ...] = (),
    tasks: str = "",
    strategies: str = "",
    **setting: str,
) -> Results:
    """The selected results of a store or a bundle; whatever is wrong with the store is reported."""
    from prunebench import api
    from prunebench.sharing.bundle.reader import open_bundle

    results = api.load(
        open_bundle(bundle) if bundle else store,
        suite,
        everything=everything,
        all_versions=all_versions,
        plugins=plugins,
    )
    for complaint in results.source.complaints:
        click.echo(complaint, err=True)
    return results.select(tasks=tasks, strategies=strategies, **setting)


def select_cells(
    plans: Iterable[StoredPlan], suite: str | None, tasks: str = "", strategies: str = "", **setting: str
) -> list[Cell]:
    """The cells of these plans, or of those of `suite`, that the filters name.

    Dense cells are among them unless only other strategies are named.
    """
    from prunebench.recipes.options import split_list
    from prunebench.results.filters import Selection, choose_plans, select
    from prunebench.results.rows import Row
    from prunebench.store.schema import Command

    selection = Selection(tuple(split_list(tasks)), tuple(split_list(strategies)), **setting)
    cells = [cell for plan in choose_plans(list(plans), suite, everything=True) for cell in plan.cells]
    rows = select([Row(cell, Command(), None, "", "", "missing") for cell in cells], selection)
    with_dense = not selection.strategies or "dense" in selection.strategies
    return [row.cell for row in rows if with_dense or not row.cell.is_dense]
