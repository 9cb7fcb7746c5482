"""What checksums and the fence around methods cost, as shares of the processor time of `prunebench run quick`.

`OMP_NUM_THREADS=1 python checks.py [words of prunebench run, such as quick --seeds 1]`. The run is in this process, and
processor time says the same on a busy machine.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from prunebench import cli
from prunebench.execution.fence import Snapshot
from prunebench.store import seals, serialization
from prunebench.store.schema import Record

FUNCTIONS: dict[str, list[tuple[Any, str]]] = {
    "checksums": [
        *((seals, name) for name in ("check", "seal_json", "seal_tensors")),
        (serialization, "_checksum_of_text"),
        (serialization.RecordFile, "matches"),
    ],
    "fence": [(Snapshot, "of"), (Snapshot, "changes"), (Snapshot, "restore_process")],
}
seconds: Counter[str] = Counter()
calls: Counter[str] = Counter()


def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose processor time is added to that of `part`. A generator is run to its end at once."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        result = function(*arguments, **options)
        if hasattr(result, "__next__"):
            result = iter(list(result))
        seconds[part] += time.process_time() - start
        calls[part] += 1
        return result

    return wrapper


def main() -> None:
    for part, functions in FUNCTIONS.items():
        for owner, name in functions:
            setattr(owner, name, timed(part, getattr(owner, name)))
    Record.checksum = property(timed("checksums", Record.checksum.fget))
    words = sys.argv[1:] or ["quick"]
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(SystemExit):
        cli.main(["run", *words, "--executor", "here", "--store", f"{folder}/store"])
    total = time.process_time() - start
    print(f"prunebench run {' '.join(words)}: {total:.1f} s of processor time")
    for part in FUNCTIONS:
        share = 100 * seconds[part] / total
        print(f"  {part:12} {calls[part]:6} calls {seconds[part]:8.2f} s {share:8.2f} %")


if __name__ == "__main__":
    main()
