"""The options that say which results of a store are looked at; what shows results shares them. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.options import store_option

if TYPE_CHECKING:
    from prunebench.results.rows import Row
    from prunebench.sharing.bundle.reader import Bundle
    from prunebench.store.store import Store

strategies_option = click.option(
    "--strategies", default="", help="Only these strategies, by name or as imp[rate=0.2], and dense."
)
_SELECTING = [
    click.option("--tasks", default="", help="Only these tasks, comma separated."),
    click.option("--protocol", default="", help="Only results under this protocol."),
    click.option("--model", default="", help="Only results of this model: its name, revision or fingerprint."),
    click.option("--precision", default="", help="Only results in this precision."),
    click.option("--device", default="", help="Only results from this device."),
    click.option("--data", default="", help="Only results on the data of this fingerprint."),
    click.option("--prunable", default="", help="Only results with these prunable weights."),
    click.option("--code", default="", help="Only results of this version of the engine, as the pages name it."),
    click.option("--allow-mixed", "mixed", is_flag=True, help="Put together what differs in these, and say what does."),
]


bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="FILE.zip",
    help="Look at what this bundle holds instead of a store.",
)


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which results are meant; `chosen` takes them."""
    for option in reversed(_SELECTING):
        command = option(command)
    return command


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the store or bundle and the options that say which of its results are meant; `selected` takes them."""
    return store_option(bundle_option(setting_options(command)))


def selected(store: str, bundle: Path | None, **selection: str) -> list[Row]:
    """The rows of a store or a bundle that `selection_options` ask for; what is wrong with the store is said."""
    place = opened(store, bundle)
    return chosen(place, place.plans(), **selection)


def opened(store: str, bundle: Path | None) -> Store | Bundle:
    """The bundle if one is named, or else the store."""
    from prunebench.sharing.bundle.reader import open_bundle
    from prunebench.store.store import Store

    return open_bundle(bundle) if bundle else Store.open(store)


def chosen(
    place: Store | Bundle, plans: Sequence[Mapping[str, Any]], tasks: str, strategies: str = "", **setting: str
) -> list[Row]:
    """The rows of these plans that the options ask for; what is wrong with the place is said."""
    from prunebench.recipes.options import split_list
    from prunebench.results.filters import Selection, select
    from prunebench.results.rows import stored
    from prunebench.runtime.memory import without_collection

    selection = Selection(tuple(split_list(tasks)), tuple(split_list(strategies)), **setting)
    # All of it lives until the command ends: to look through it for garbage takes as long as reading it.
    with without_collection():
        rows = select(stored(plans, place), selection)
    for complaint in place.complaints:
        click.echo(complaint, err=True)
    return rows
