"""Run a command and print its wall time and the most memory that it and its children held at a time.

`python memory.py prunebench run quick --store FOLDER`. Memory is the sum of PSS (/proc/PID/smaps_rollup), in which a
page that several processes share counts once.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def tree(root: int) -> list[int]:
    """The process and all below it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def held(process: int) -> int:
    """Bytes, 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def measure(command: Sequence[str], **popen: Any) -> tuple[float, int, int]:
    """Seconds, the most bytes held at a time, and the exit code of a command."""
    started = time.perf_counter()
    process = subprocess.Popen(command, **popen)
    most = 0
    while process.poll() is None:
        most = max(most, sum(map(held, tree(process.pid))))
        time.sleep(0.5)
    return time.perf_counter() - started, most, process.returncode


def main() -> None:
    seconds, most, code = measure(sys.argv[1:])
    print(f"{seconds:.1f} s, {most / 1e6:.0f} MB at the most, exit {code}")


if __name__ == "__main__":
    main()
