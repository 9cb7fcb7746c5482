"""`prunebench store`: what a store holds, and how to remove, collect and merge results."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from prunebench.cli.complaints import complain
from prunebench.cli.options import store_option, suite_argument
from prunebench.cli.selecting import filter_options, select_cells
from prunebench.errors import PrunebenchError
from prunebench.runtime.progress import plural

if TYPE_CHECKING:
    from prunebench.store.contents import Overview
    from prunebench.store.store import Store

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")


@click.group()
def store() -> None:
    """List, remove, collect and merge what a store holds."""


@store.command()
@store_option
def ls(store: str) -> None:
    """Show runs, models, methods, versions of the code, cells and bytes.

    Runs are listed with the newest last, in UTC. A cell that several runs ask for counts once in the total.
    """
    from prunebench.store.contents import overview
    from prunebench.store.store import Store

    target = Store.open(store)
    result = overview(target)
    complain(target.complaints)
    click.echo("\n".join(_lines(target, result)))


@store.command()
@suite_argument
@store_option
@filter_options
@click.option("--all", "everything", is_flag=True, help="Everything in the store.")
@click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")
@dry_run_option
def rm(suite: str | None, store: str, everything: bool, yes: bool, dry_run: bool, **filters: str) -> None:
    """Remove results.

    The cells that the options name are removed from the runs of SUITE, or from all runs; with only other strategies
    named, dense cells stay. Removed cells leave their plans, and records and masks go that no other cell refers to.
    """
    from prunebench.store import maintenance
    from prunebench.store.store import Store

    if not (suite or everything or any(filters.values())):
        raise PrunebenchError("nothing is selected", "name a SUITE or options such as --strategies, or say --all")
    target = Store.open(store)
    plans = maintenance.read_plans(target)
    cells = select_cells(plans.values(), suite, **filters)
    if not cells:
        raise PrunebenchError("no cell is selected", "`prunebench store ls` shows what there is")
    # As `ls` counts: a cell that several runs ask for is one.
    number = plural(len({(cell.label, cell.sparsity, cell.task, cell.seed, cell.setting) for cell in cells}), "cell")
    if dry_run:
        click.echo(f"Would go: {number}; {maintenance.removal(target, plans, cells)}")
        return
    with maintenance.exclusive(target) as claims:
        removal = maintenance.removal(target, plans, cells)
        complain(target.complaints)
        text = f"{number} of {target.name}; {removal}"
        if not yes and not _confirmed(f"Remove {text}?"):
            click.echo("Nothing is removed")
            return
        maintenance.apply(target, removal, claims)
    click.echo(f"Removed: {text}")


@store.command()
@store_option
@dry_run_option
def gc(store: str, dry_run: bool) -> None:
    """Remove files that no run refers to.

    Records, masks, weights, models, checkpoints, labels and failures that no plan of the store needs, damaged files
    that were set aside, and temporary files that are older than a day.
    """
    from prunebench.store import maintenance
    from prunebench.store.store import Store

    target = Store.open(store)
    if dry_run:
        removal = maintenance.garbage(target)
    else:
        with maintenance.exclusive(target) as claims:
            removal = maintenance.garbage(target)
            maintenance.apply(target, removal, claims)
    complain(target.complaints)
    if removal:
        click.echo(f"{'Would go' if dry_run else 'Removed'}: {removal}")
    else:
        click.echo(f"Nothing is left over in {target.name}")
    if removal.spared:
        click.echo(f"Not touched: {plural(removal.spared, 'file')} that may belong to cells which are not done")


@store.command()
@click.argument("other", metavar="OTHER")
@store_option
def merge(other: str, store: str) -> None:
    """Add the results of OTHER, a store or a bundle.

    Runs, records with their logits, masks, labels and failures. Where both have a record of one result, that of this
    store stays, and a difference is reported. A bundle has predictions in place of logits, and neither masks nor
    weights nor labels.
    """
    from prunebench import api
    from prunebench.store import merging
    from prunebench.store.store import Store

    source = api.open_source(other)
    if isinstance(source, Store):
        result = merging.merge_store(Store.create(store), source)
    else:
        kinds = dict.fromkeys(plan.kind for plan in source.manifest.plans)
        plans = [plan for kind in kinds for plan in source.plans(kind)]
        result = merging.merge_bundle(Store.create(store), source, plans)
    complain([*result.damaged, *result.differing])
    click.echo(f"Merged into {store}: {result}")
    if not isinstance(source, Store) and result.added["records"]:
        click.echo(
            "The bundle gave scores and predictions, but no masks or weights:"
            " `prunebench masks` and `prunebench bundle` need a run that makes these again"
        )
    click.echo(f"Show everything: prunebench leaderboard --all --store {store}")


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise PrunebenchError("a removal needs a confirmation", "expected a terminal, or --yes")
    return click.confirm(question)


def _lines(store: Store, result: Overview) -> Iterable[str]:
    from tabulate import tabulate

    from prunebench.store.contents import size_text

    states = ", ".join(f"{result.cells[state]} {state}" for state in ("done", "failed", "missing"))
    yield f"{store.name}: {plural(result.cells.total(), 'cell')}, {states}"
    if result.plans:
        header = ("when", "kind", "suite", "cells", "done", "failed", "missing", "command")
        rows = [
            (
                plan.written[:16].replace("T", " "),
                *(plan.kind, plan.suite or "-", len(plan.cells)),
                *(counts[state] for state in ("done", "failed", "missing")),
                plan.command,
            )
            for plan, counts in result.plans
        ]
        yield from ("", tabulate(rows, header, tablefmt="plain", disable_numparse=[0, 7]), "")
    for name, values in {
        "models": result.models,
        "methods": result.methods,
        "protocols": result.protocols,
        "code": result.codes,
    }.items():
        yield f"{name + ':':<11}{', '.join(values) or '-'}"
    total = sum(size for _, size in result.files.values())
    kinds = ", ".join(f"{kind} {size_text(size)} ({number})" for kind, (number, size) in result.files.items())
    yield f"{'bytes:':<11}{kinds or '-'}; together {size_text(total)}"
