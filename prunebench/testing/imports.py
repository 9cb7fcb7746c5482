"""How long the module of a plugin takes to import, measured in a process of its own."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

from prunebench.hooks.files import PREFIX
from prunebench.testing.check import Check, Fault, Subject, check

SECONDS = 1.0
# Every command imports every plugin, so what takes seconds to import is imported inside functions.
HEAVY = ("torch", "transformers", "datasets", "pandas", "scipy", "sklearn", "matplotlib")
PROBE = """
import importlib, json, sys, time
from pathlib import Path
from prunebench.hooks.files import import_file
import prunebench
heavy = {name for name in sys.argv[2].split(",") if name in sys.modules}
started = time.perf_counter()
if sys.argv[1].endswith(".py"):
    import_file(Path(sys.argv[1]))
else:
    importlib.import_module(sys.argv[1])
seconds = time.perf_counter() - started
loaded = [name for name in sys.argv[2].split(",") if name in sys.modules and name not in heavy]
print("\\n" + json.dumps([seconds, loaded]))
"""


@functools.cache
def probe(module: str) -> tuple[float, tuple[str, ...]]:
    """The seconds that the import of a module, or of a plugin file, takes, and the heavy modules that it loads.

    Raises:
        Fault: if the import ends the process, or does not end.
    """
    command = [sys.executable, "-c", PROBE, module, ",".join(HEAVY)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Fault("the import takes longer than a minute") from None
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise Fault(f"the import ends the process: {reason[0]}")
    seconds, loaded = json.loads(lines[-1])
    return seconds, tuple(loaded)


@check("quick import", f"its module imports in less than {SECONDS:g} s, without torch or another large package")
def quick_import(subject: Subject) -> str:
    module = subject.kind.__module__
    if module.startswith("prunebench."):
        return "part of prunebench"
    file = str(Path(str(sys.modules[module].__file__))) if module.startswith(PREFIX) else module
    seconds, loaded = probe(file)
    if loaded:
        raise Fault(f"it imports {', '.join(loaded)}: import it inside the functions that need it")
    if seconds > SECONDS:
        raise Fault(f"{seconds:.1f} s")
    return f"{seconds:.2f} s"


CHECKS: list[Check] = [quick_import]
