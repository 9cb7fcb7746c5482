"""Runs with checkpoints that are killed at a random moment and go on: whether all results are those of a whole run.

`python kills.py [--kills 4] [--strategies imp heads ...]`. The runs are forked from a process that has imported all
that they need and computed nothing, so that each takes seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from small_run import contents, make_words, show, show_header

from prunebench import cli
from prunebench.execution import preload  # noqa: F401  before the first fork

WATCH = os.WEXITED | os.WNOHANG | os.WNOWAIT
STRATEGIES = (
    *("imp", "random-reinit", "magnitude[teacher=dense]", "magnitude[schedule=cubic]", "heads"),
    *("gradual", "movement", "rigl", "platon", "snip"),
)


def call(words: list[str], log: Path) -> int:
    """The exit status of a command in this process. An error that is no line of prunebench is a traceback."""
    with log.open("a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            cli.main(words)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException as error:
            print("Traceback", repr(error))
            return 1
    return 0


def start(words: list[str], folder: Path, executor: str) -> int:
    """Start a run in a process of its own, and wait until it has made its store; returns the id of the process."""
    options = ["--checkpoint-minutes", "0", "--executor", executor, "--jobs", "1", "--store", str(folder)]
    process = os.fork()
    if process == 0:
        os._exit(call(["run", *words, *options], folder.with_suffix(".log")))
    while not (folder / "store.json").exists() and os.waitid(os.P_PID, process, WATCH) is None:
        time.sleep(0.01)
    return process


def finish(process: int) -> int:
    """Wait for the end of a process; returns its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed(words: list[str], expected: dict[str, Any], executor: str, seconds: float, random: Random) -> Counter[str]:
    """A run that is killed within `seconds`, and then goes on. Its worker ends by itself; nobody waits for that."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name) / "store"
        process = start(words, folder, executor)
        time.sleep(random.uniform(0, seconds))
        os.kill(process, signal.SIGKILL)
        finish(process)
        stored, checkpoints = (len(list(folder.glob(names))) for names in ("records/*/*.json", "checkpoints/*"))
        status = finish(start(words, folder, executor))
        equal = status == 0 and contents(folder) == expected
        log = folder.with_suffix(".log").read_text()
        print(f"{executor}: killed with {stored} records, {checkpoints} checkpoints", file=sys.stderr, flush=True)
        if not equal:
            print(log, file=sys.stderr, flush=True)
        return Counter(
            {
                "tries": 1,
                "silently wrong": int(status == 0 and not equal),
                "tracebacks": int("Traceback" in log),
                "healed": int(equal),
            }
        )


def undisturbed(words: list[str], executor: str) -> tuple[dict[str, Any], float]:
    """What a run gives, and the seconds that it takes once it has made its store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        process = start(words, folder, executor)
        begin = time.monotonic()
        assert finish(process) == 0, folder.with_suffix(".log").read_text()
        return contents(folder), time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=4, help="of each strategy; every fourth is with a worker process")
    parser.add_argument("--strategies", nargs="*", default=STRATEGIES)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random, total = Random(options.seed), Counter()
    with tempfile.TemporaryDirectory() as name:
        small = make_words(Path(name))
        for strategy in options.strategies:
            words = [*small, "--strategies", strategy]
            expected, seconds = undisturbed(words, "here")
            assert expected
            for number in range(options.kills):
                # Importing what a worker needs takes several times as long as this run.
                executor, most = ("here", seconds) if (number + 1) % 4 else ("processes", 4 * seconds)
                total += killed(words, expected, executor, most, random)
    show_header()
    show("kill -9", total)


if __name__ == "__main__":
    main()
