"""What this installation can use: versions, hardware, plugins, and the defaults that follow."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from prunebench.hooks.entries import KINDS
from prunebench.hooks.registry import Registry
from prunebench.runtime import devices
from prunebench.runtime.environment import environment
from prunebench.runtime.memory import free_memory

# Optional packages, and what each is for.
EXTRAS = {"ray": "clusters: pip install 'prunebench[ray]'", "s3fs": "stores on S3: pip install 'prunebench[s3]'"}
# The weight files of a small model, in bytes.
SMALL_MODEL = 4_000_000


def installation() -> Iterator[str]:
    """Lines on versions, hardware, and what is used where the user chooses nothing."""
    device = devices.resolve_device("auto")
    about = environment(device)
    names = ("prunebench", "python", "torch", "transformers", "datasets", "numpy")
    yield f"versions:   {', '.join(f'{name} {about[name]}' for name in names)}"
    memory = free_memory()
    yield f"hardware:   {about['hardware']}" + (f", {memory / 1e9:.1f} GB of memory free" if memory else "")
    yield (
        f"defaults:   --device {device}, --precision {devices.resolve_precision('auto', device)},"
        f" --jobs {devices.default_jobs(device, SMALL_MODEL)} for a small model"
    )
    for name, purpose in EXTRAS.items():
        yield f"{name + ':':<11} {'installed' if importlib.util.find_spec(name) else f'not installed ({purpose})'}"


def plugins(registry: Registry) -> Iterator[str]:
    """Lines on the plugins that are not built in, and on the executors."""
    for kind in KINDS:
        registry.entries(kind)
    others = [plugin for plugin in registry.plugins if plugin.origin != "built in"]
    names = ", ".join(f"{plugin.name} ({plugin.source})" for plugin in others) or "none but the built-in ones"
    yield f"plugins:    {names}"
    yield f"executors:  {', '.join(sorted(registry.entries('executors')))}"
