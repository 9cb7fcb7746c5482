"""`prunebench new`: a plugin to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from prunebench.cli import completion
from prunebench.cli.help import GroupedCommand
from prunebench.errors import PrunebenchError
from prunebench.hooks.scaffold import KINDS, write_plugin

_KINDS = "\n".join(f"{kind + ':':<17}{text}" for kind, text in KINDS.items())


@click.command(
    cls=GroupedCommand,
    help=f"""Write a plugin with the method NAME, to begin with.

    It is a whole distribution: an entry point, one typed module, a test file with all checks, a README and a licence.
    It passes its own tests at once; then replace what the method does. In a clone of prunebench it is written into
    `plugins`, elsewhere into the working folder.

    \b
    Kinds:
    {_KINDS.replace(chr(10), chr(10) + "    ")}
    """,
    examples=("prunebench new taylor-path", "prunebench new my-heads --kind structured --into .."),
)
@click.argument("name")
@click.option(
    "--kind",
    default="one-shot",
    show_default=True,
    metavar="NAME",
    shell_complete=completion.choices(tuple(KINDS)),
    help="What kind of method it is, see above.",
)
@click.option(
    "--into",
    metavar="DIR",
    shell_complete=completion.folders,
    help="Where its folder is written. [default: plugins in a clone, or else the working folder]",
)
@click.pass_context
def new(ctx: click.Context, name: str, kind: str, into: str | None) -> None:
    from prunebench.cli.options import registry_of

    if name in registry_of(ctx, ()).entries("strategies"):
        raise PrunebenchError(f"there is a strategy {name!r} already", "choose another name")
    is_clone = Path("plugins/prunebench-gradual").is_dir()
    folder = Path(into or ("plugins" if is_clone else ".")) / f"prunebench-{name}"
    for path in write_plugin(folder, name, kind):
        click.echo(path)
    click.echo(f"\nNext:  pip install --no-build-isolation -e {folder} && pytest {folder}")
    click.echo(f"then:  write the method, prunebench check {name}, prunebench compare-to-baselines {name}")
