"""`prunebench check`: whether strategies do what a strategy must."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prunebench.cli import completion
from prunebench.cli.help import GroupedCommand
from prunebench.cli.options import registry_of
from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry

if TYPE_CHECKING:
    from prunebench.testing.check import Outcome

COLUMNS = ("check", "outcome", "expected", "seen")
WIDTHS = (None, None, 40, 50)


@click.command(
    cls=GroupedCommand,
    examples=("prunebench check wanda.py", 'prunebench check "imp[rate=0.2]"', "prunebench check --all"),
)
@click.argument("targets", nargs=-1, metavar="[FILE.py|NAME]...", shell_complete=completion.names("strategies"))
@click.option("--all", "everything", is_flag=True, help="Check every strategy that is installed.")
@click.option("--verbose", is_flag=True, help="Show the checks that passed, too, where there are several strategies.")
@click.pass_context
def check(ctx: click.Context, targets: tuple[str, ...], everything: bool, verbose: bool) -> None:
    """Check that strategies do what a strategy must.

    Counts are exact, the same seed gives the same bits, nothing but the weights changes, the labels of the evaluation
    split are not read, and so on. Each check says what it expected and what it has seen. It runs the strategies on
    random models of 4,096 weights, in trainings of two steps. A FILE.py stands for all its strategies, and a NAME may
    have options in brackets.

    A failure that has a reason is named in the class attribute `known_failures` of the strategy. The exit status is 1
    if any other check fails.
    """
    from prunebench.testing.check import FAILED, KNOWN
    from prunebench.testing.kit import check_strategies

    files = [target for target in targets if target.endswith(".py")]
    for file in files:
        _check_import(file)
    registry = Registry(files) if files else registry_of(ctx, ())
    texts = _strategies(targets, registry, everything)
    outcomes: dict[str, list[Outcome]] = {text: [] for text in texts}
    for outcome in check_strategies(texts, registry):
        outcomes[outcome.strategy].append(outcome)
        if len(outcomes[outcome.strategy]) == 1 and len(texts) > 1:
            click.echo(f"checking {outcome.strategy}", err=True)
    for text, each in outcomes.items():
        click.echo(_summary(text, each))
        rows = each if verbose or len(texts) == 1 else [one for one in each if one.status in (FAILED, KNOWN)]
        if rows:
            click.echo(f"\n{_table(rows)}\n")
    if any(one.status == FAILED for each in outcomes.values() for one in each):
        ctx.exit(1)


def _check_import(file: str) -> None:
    """Raise PrunebenchError for a file whose import ends the process, which would end this one."""
    from prunebench.testing.check import Fault
    from prunebench.testing.imports import probe

    if not Path(file).is_file():
        raise PrunebenchError(f"no plugin file {file!r}", "expected the path of a Python file")
    try:
        probe(str(Path(file).resolve()))
    except Fault as error:
        raise PrunebenchError(f"{file} cannot be checked: {error}") from None


def _strategies(targets: Sequence[str], registry: Registry, everything: bool) -> list[str]:
    """The texts of the strategies to check."""
    entries = registry.entries("strategies")
    if broken := next(registry.broken_plugins(), None):
        click.echo(f"left out: plugin {broken.name} is broken: {broken.error}", err=True)
    texts = sorted(entries) if everything else []
    for target in targets:
        if target.endswith(".py"):
            origin = f"file {Path(target).resolve()}"
            own = [name for name, each in entries.items() if any(entry.plugin.origin == origin for entry in each)]
            if not own:
                raise PrunebenchError(f"{target} gives no strategies", "expected a hook prunebench_strategies")
            texts += own
        else:
            texts.append(target)
    if not texts:
        raise PrunebenchError("nothing to check", "name a FILE.py or a strategy, or --all")
    return list(dict.fromkeys(texts))


def _summary(text: str, outcomes: Sequence[Outcome]) -> str:
    words = {"passed": "passed", "failed": "failed", "known": "known to fail", "skipped": "not needed"}
    numbers = {word: sum(outcome.status == status for outcome in outcomes) for status, word in words.items()}
    parts = [f"{number} {word}" for word, number in numbers.items() if number]
    return f"{click.style(text, bold=True)}: {', '.join(parts)}"


def _table(outcomes: Sequence[Outcome]) -> str:
    from tabulate import tabulate

    rows = [
        (outcome.check, outcome.status, outcome.expected, " — ".join(filter(None, (outcome.actual, outcome.reason))))
        for outcome in outcomes
    ]
    return tabulate(rows, headers=COLUMNS, tablefmt="simple", maxcolwidths=list(WIDTHS), disable_numparse=True)
