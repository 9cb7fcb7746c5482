"""`prunebench doctor`: what this installation can use, and whether a store is sound."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import click

from prunebench.cli.execute import open_if_there
from prunebench.cli.options import plugin_option, registry_of, store_option
from prunebench.errors import PrunebenchError
from prunebench.hooks.entries import KINDS
from prunebench.hooks.registry import Registry

if TYPE_CHECKING:
    from prunebench.store.store import Store

# What more can be installed, and what for.
EXTRAS = {"ray": "clusters: pip install 'prunebench[ray]'", "s3fs": "stores on S3: pip install 'prunebench[s3]'"}


@click.command()
@store_option
@plugin_option
@click.pass_context
def doctor(ctx: click.Context, store: str, plugins: tuple[str, ...]) -> None:
    """Show versions, hardware and plugins, and check a store.

    Every file of the store is read; what is damaged is set aside, and computed again by the next run that needs it.
    """
    registry = registry_of(ctx, plugins)
    click.echo("\n".join(installation()))
    click.echo("\n".join(plugged(registry)))
    wrong = [f"plugin {plugin.name} ({plugin.source}) is broken: {plugin.error}" for plugin in registry.broken()]
    place = open_if_there(store)
    if not place.place.exists("store.json"):
        click.echo(f"store:      none in {store} yet")
    else:
        lines, damaged = checked(place)
        click.echo("\n".join(lines))
        wrong += damaged
    for line in wrong:
        click.echo(f"wrong: {line}", err=True)
    if wrong:
        raise PrunebenchError(f"{len(wrong)} things are wrong" if len(wrong) > 1 else "something is wrong", "see above")
    click.echo("Nothing is wrong. Try it: prunebench run smoke")


def installation() -> Iterator[str]:
    """Versions, hardware, and what is chosen where a person chooses nothing."""
    from prunebench.runtime import devices
    from prunebench.runtime.environment import environment
    from prunebench.runtime.memory import free_memory

    device = devices.resolve_device("auto")
    about = environment(device)
    names = ("prunebench", "python", "torch", "transformers", "datasets", "numpy")
    yield f"versions:   {', '.join(f'{name} {about[name]}' for name in names)}"
    memory = free_memory()
    yield f"hardware:   {about['hardware']}" + (f", {memory / 1e9:.1f} GB of memory free" if memory else "")
    weights = 4_000_000  # bytes: a model as small as quick-bert
    yield (
        f"chosen:     --device {device}, --precision {devices.resolve_precision('auto', device)},"
        f" --jobs {devices.default_jobs(device, weights)} for a small model"
    )
    for name, what in EXTRAS.items():
        yield f"{name + ':':<11} {'installed' if importlib.util.find_spec(name) else f'not installed ({what})'}"


def plugged(registry: Registry) -> Iterator[str]:
    """The plugins that are not built in, and the executors that there are."""
    for kind in KINDS:
        registry.entries(kind)
    found = [plugin for plugin in registry.plugins if plugin.origin != "built in"]
    names = ", ".join(f"{plugin.name} ({plugin.source})" for plugin in found) or "none but the built-in ones"
    yield f"plugins:    {names}"
    yield f"executors:  {', '.join(sorted(registry.entries('executors')))}"


def checked(store: Store) -> tuple[list[str], list[str]]:
    """What the store holds, and what of it is damaged."""
    import safetensors

    from prunebench.pruning import masks
    from prunebench.runtime.progress import many
    from prunebench.store.store import SUFFIX, InputMissing

    def keys(kind: str) -> list[str]:
        """Of what is there, not of what was set aside: that has another ending."""
        paths = map(PurePosixPath, store.place.names(kind))
        return [path.stem for path in paths if path.suffix == SUFFIX[kind]]

    for record in list(store.records()):
        try:
            store.logits(record["key"])
        except PrunebenchError as error:
            store.complaints.append(error.message)
    reads = {"masks": masks.unpack} | dict.fromkeys(("weights", "models", "checkpoints"), safetensors.deserialize)
    for kind, read in reads.items():
        for key in keys(kind):
            try:
                store.load(kind, key, read)
            except InputMissing as error:
                store.complaints.append(str(error))
    held = {
        "record": len(keys("records")),
        "mask": len(keys("masks")),
        "weight file": len(keys("weights")),
        "model": len(keys("models")),
        "checkpoint": len(keys("checkpoints")),
    }
    found = ", ".join(many(number, kind) for kind, number in held.items() if number)
    lines = [f"store:      {store.name}: {found or 'nothing yet'}"]
    reasons = Counter(str(failure["reason"]) for failure in store.failures(keys("failures")).values())
    lines += [f"failed:     {number} × {reason}" for reason, number in reasons.most_common()]
    return lines, store.complaints
