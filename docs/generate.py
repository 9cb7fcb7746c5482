"""Write the generated parts of the documents: `python docs/generate.py`. The tests check that they are up to date.

A part stands between the marks `<!-- name -->` and `<!-- end -->` of a document. Some files are generated as a whole.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from prunebench import cli
from prunebench.hooks import hookspecs
from prunebench.hooks.entries import Entry, first_line, flatten
from prunebench.hooks.registry import Registry
from prunebench.models.cards import cards as model_cards
from prunebench.planning import suite
from prunebench.planning.protocol_file import Grid
from prunebench.recipes.options import parameters

# The tests load this file by its path.
sys.path.append(str(Path(__file__).parent))
import pages_of_code

ROOT = Path(__file__).parents[1]
PAGES = "docs/pages"
GRADUAL = "plugins/prunebench-gradual/prunebench_gradual/__init__.py"
STRUCTURED = "plugins/prunebench-structured/prunebench_structured/__init__.py"
# The picture in the README: this figure of this bundle, as `prunebench figures` draws it.
FIGURE, BUNDLE = "score-average-unstructured", "leaderboards/quick/bundle.zip"
WIDTH = 100


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; `head` names its columns, separated by commas."""
    columns = head.split(", ")
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def built_in(kind: str) -> Iterator[Entry]:
    return (entry for entry in flatten(Registry().entries(kind)) if entry.plugin.origin == "built in")


def strategies() -> str:
    rows = []
    for entry in built_in("strategies"):
        options = ", ".join(f"`{field.name}={field.default}`" for field in parameters(entry.value))
        rows.append((f"`{entry.name}`", first_line(entry.value), options))
    return table("strategy, what it does, options and defaults", rows)


def tasks() -> str:
    rows = []
    for entry in built_in("tasks"):
        task = entry.value
        rows.append((f"`{entry.name}`", task.doc, ", ".join(task.metrics), task.protocol.label(task.protocol)))
    return table("task, what it asks, metrics, protocol", rows)


def models() -> str:
    rows = [
        (f"`{entry.name}`", entry.value.doc, ", ".join(f"`{name}`" for name in entry.value.examples))
        for entry in built_in("models")
    ]
    return table("family, which models, for example", rows)


def cards() -> str:
    rows = [(f"[{card.name}]({card.source})", card.training, card.describe()) for card in model_cards()]
    return table("model, its training, tasks", rows)


def grid() -> str:
    """The default grid of `prunebench calibrate`."""
    titles = {"epochs": "epochs", "lr": "learning rate", "warmup": "warm-up, as a fraction of the steps"}
    values = Grid()
    rows = [(title, ", ".join(f"{value:g}" for value in getattr(values, name))) for name, title in titles.items()]
    return table("value, tried", rows)


def suites() -> str:
    registry = Registry()
    rows = [(f"`{entry.name}`", suite.load(entry.name, registry).doc) for entry in built_in("suites")]
    return table("suite, what it runs", rows)


def simple(kind: str, head: str) -> str:
    return table(head, [(f"`{entry.name}`", first_line(entry.value)) for entry in built_in(kind)])


def hooks() -> str:
    names = sorted(name for name in vars(hookspecs) if name.startswith("prunebench_"))
    rows = [(f"`{name}()`", str(inspect.getdoc(getattr(hookspecs, name)))) for name in names]
    return table("hook, what it returns", rows)


def source(path: str) -> str:
    return f"```python\n{(ROOT / path).read_text().rstrip()}\n```"


def wanda() -> str:
    """The plugin of the README."""
    found = re.search(r"```python\n# wanda\.py\n.*?```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, "the README quotes wanda.py"
    return found[0]


def summary(name: str) -> str:
    """The first tables by sparsity on the page of a committed leaderboard."""
    page = (ROOT / "leaderboards" / name / "README.md").read_text()
    parts = [re.findall(r"at every sparsity, mean ± std:\n\n((?:\|.*\n)+)", part) for part in page.split("\n## ")]
    return "\n".join(next(tables for tables in parts if tables)).rstrip()


def commands() -> str:
    """The reference of the command line: the help of every command."""
    lines = [
        "# Command line",
        "",
        "This page is generated from `prunebench COMMAND --help`. `prunebench --help` also lists commands of plugins.",
    ]
    for entry in built_in("commands"):
        for path, command in _walk((entry.name,), entry.value):
            heading = f"{'#' * (1 + len(path))} prunebench {' '.join(path)}"
            lines += ["", heading, "", "```text", _help(path, command), "```"]
    return "\n".join(lines) + "\n"


def _walk(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            yield from _walk((*path, name), child)


def _help(path: tuple[str, ...], command: click.Command) -> str:
    settings = cli.cli.context_settings | {"terminal_width": WIDTH, "max_content_width": WIDTH}
    parent: click.Context | None = None
    for name in ("prunebench", *path[:-1]):
        parent = click.Context(cli.cli, parent=parent, info_name=name, **settings)
    with click.Context(command, parent=parent, info_name=path[-1], **settings) as context:
        return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def figure() -> bytes:
    """The picture in the README."""
    import prunebench
    from prunebench.reports.figures import pictures
    from prunebench.reports.figures.style import settings
    from prunebench.reports.render.plots import render_figure

    page = prunebench.load(ROOT / BUNDLE).leaderboard().page
    with settings():
        (data,) = render_figure(FIGURE, pictures(page)[FIGURE], ["png"]).values()
    return data


# By document and mark, the text between the marks.
PARTS: dict[tuple[str, str], Callable[[], str]] = {
    ("CONTRIBUTING.md", GRADUAL): lambda: source(GRADUAL),
    (f"{PAGES}/own-method.md", STRUCTURED): lambda: source(STRUCTURED),
    (f"{PAGES}/own-method.md", "wanda.py"): wanda,
    (f"{PAGES}/comparing.md", "summary of leaderboards/quick"): lambda: summary("quick"),
    (f"{PAGES}/comparing.md", "summary of leaderboards/minilm-sst2"): lambda: summary("minilm-sst2"),
    (f"{PAGES}/calibrating.md", "grid"): grid,
    (f"{PAGES}/plugins.md", "hooks"): hooks,
    (f"{PAGES}/reference/built-in.md", "strategies"): strategies,
    (f"{PAGES}/reference/built-in.md", "suites"): suites,
    (f"{PAGES}/reference/built-in.md", "tasks"): tasks,
    (f"{PAGES}/reference/built-in.md", "models"): models,
    (f"{PAGES}/reference/built-in.md", "cards"): cards,
    (f"{PAGES}/reference/built-in.md", "structures"): lambda: simple("structures", "structure, what a unit is"),
    (f"{PAGES}/reference/built-in.md", "checkpoints"): lambda: simple("checkpoints", "checkpoint, what it is"),
    (f"{PAGES}/reference/built-in.md", "metrics"): lambda: simple("metrics", "metric, what it computes"),
    (f"{PAGES}/reference/built-in.md", "executors"): lambda: simple("executors", "executor, where jobs run"),
}
FILES: dict[str, Callable[[], str | bytes]] = {
    f"{PAGES}/reference/cli.md": commands,
    f"{PAGES}/reference/methods.md": pages_of_code.gallery,
    f"{PAGES}/reference/context.md": pages_of_code.context,
    f"{PAGES}/images/scores.png": figure,
}


def filled(document: str, mark: str, text: str) -> str:
    """The document with `text` between its marks. Raises ValueError without them."""
    pattern = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(document):
        raise ValueError(f"no part {mark!r} in the document")
    return pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", document)


def main() -> None:
    for (name, mark), make in PARTS.items():
        document = (ROOT / name).read_text()
        (ROOT / name).write_text(filled(document, mark, make()))
    for name, create in FILES.items():
        data = create()
        (ROOT / name).write_bytes(data if isinstance(data, bytes) else data.encode())


if __name__ == "__main__":
    main()
