"""`prunebench compare-to-baselines`: the smallest honest comparison of a method, for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli import completion
from prunebench.cli.help import RESULTS, WHAT, GroupedCommand, Option
from prunebench.cli.options import (
    command_line,
    plugin_option,
    pop_resources,
    registry_of,
    resource_options,
    retry_option,
    store_option,
)
from prunebench.errors import PrunebenchError

if TYPE_CHECKING:
    from prunebench.reports.comparison.report import SeedComparison
    from prunebench.reports.render.blocks import Block
    from prunebench.reports.views import Results


@click.command(
    "compare-to-baselines",
    cls=GroupedCommand,
    examples=(
        "prunebench compare-to-baselines my-wanda --plugin wanda.py",
        'prunebench compare-to-baselines "wanda[examples=64]" --seeds 5 --out wanda.md',
    ),
)
@click.argument("method", shell_complete=completion.names("strategies"))
@store_option
@plugin_option
@click.option(
    "--suite",
    cls=Option,
    group=WHAT,
    default="quick",
    show_default=True,
    metavar="NAME",
    shell_complete=completion.suites,
    help="The suite that is run.",
)
@click.option(
    "--seeds",
    cls=Option,
    group=WHAT,
    metavar="N|N,…",
    shown_default="those of the suite",
    help="How many, or which: 3,17.",
)
@click.option(
    "--sparsities",
    cls=Option,
    group=WHAT,
    metavar="FRACTION,…",
    shown_default="those of the suite",
    help="Fractions of the prunable units to remove.",
)
@resource_options
@retry_option
@click.option("--out", cls=Option, group=RESULTS, type=click.Path(path_type=Path), help="Write the page there, too.")
@click.pass_context
def compare_to_baselines(
    ctx: click.Context,
    /,
    method: str,
    suite: str,
    plugins: tuple[str, ...],
    out: Path | None,
    **options: Any,
) -> None:
    """Compare a method with what it has to beat.

    It runs METHOD, random masks with its counts, IMP and magnitude (for heads, neurons and layers: the method
    `heads`), and the dense model trained for as long, on the suite `quick`: no download, and a few minutes. Results
    that the store has are not run again. The page that it prints, in Markdown, is for a pull request: the ranking, and
    each difference with its test.
    """
    from prunebench import api
    from prunebench.execution.display import Console
    from prunebench.execution.runner import raise_failures
    from prunebench.planning.baselines import baselines
    from prunebench.planning.methods import Method
    from prunebench.reports.render.files import write_file
    from prunebench.reports.render.markdown import markdown

    planned = Method(method, registry_of(ctx, plugins))
    if not planned.prunes:
        raise PrunebenchError(f"{method!r} prunes nothing", "name a method that does")
    others = baselines(planned)
    console = Console(stderr=True)
    results = api.run(
        suite,
        strategies=[planned.label, *others],
        plugins=plugins,
        resources=pop_resources(options),
        progress=console,
        command=command_line(),
        **options,
    )
    if results.run is not None and results.failures:
        raise_failures(results.run, console)
    text = markdown(list(_page(results, planned.label, others, command_line())))
    click.echo(text)
    if out is not None:
        write_file(out, text)


def _page(results: Results, label: str, others: Sequence[str], command: str) -> Iterator[Block]:
    """The blocks of the page: the setting, the rankings, the differences, and the command."""
    from prunebench.reports.leaderboard.page import blocks
    from prunebench.reports.leaderboard.tables.rankings import ranking_tables
    from prunebench.reports.render.blocks import Commands, Heading, Paragraph, Table

    page = results.leaderboard().page
    yield Heading(2, f"{label} against its baselines")
    yield next(block for block in blocks(page) if isinstance(block, Paragraph))
    yield Paragraph(
        "The score above chance that is retained of the dense model trained for as long, × 100, mean ± std over seeds; "
        "in brackets, of the dense model trained once. # is the rank, = a shared one."
    )
    for ranking in page.rankings:
        yield from ranking_tables(ranking)
    rows = [row for other in others for row in _differences(results.compare(label, other).report.over_seeds)]
    yield Table(
        "Differences",
        ("baseline", "task, metric", "sparsity", label, "baseline's", "difference", "95 % interval", "p (t, Holm)"),
        "llrrrrrr",
        tuple(rows),
        ("Scores × 100, paired by seed; p is corrected over the comparisons with one baseline.",),
    )
    yield Commands((command,))


def _differences(entries: Sequence[SeedComparison]) -> Iterator[tuple[str, ...]]:
    from prunebench.reports.comparison import sentences
    from prunebench.reports.render.formatting import level, metric_name, points, signed

    for entry in entries:
        comparison, condition = entry.comparison, entry.condition
        # With one comparison there is nothing to correct.
        p = comparison.p.t if comparison.holm.t is None else comparison.holm.t
        yield (
            entry.b,
            f"{condition.task}, {metric_name(condition.metric)}",
            level(condition.sparsity),
            points(entry.mean_a),
            points(entry.mean_b),
            signed(entry.mean_a - entry.mean_b),
            sentences.limits(comparison.interval),
            "—" if p is None else f"{p:.4f}",
        )
