"""Commands in processes of their own. Tests import this module by its name.

They start as workers do, as copies of one process that has imported torch and transformers: an import would take longer
than the run of a tiny model.
"""

from __future__ import annotations

import atexit
import os
import signal
import tempfile
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from prunebench.execution.executors import local


class Command:
    """A command in a process of its own, with the names of `subprocess.Popen`."""

    def __init__(self, words: tuple[object, ...], folder: Path | None, environment: Mapping[str, str]) -> None:
        context = local._context()
        reader, writer = context.Pipe(duplex=False)
        self._out = tempfile.NamedTemporaryFile("r", encoding="utf-8")  # noqa: SIM115 (closed with this object)
        setting = {**os.environ, **environment}
        arguments = [*map(str, words)], writer, self._out.name, str(folder or Path.cwd()), setting
        self._process = context.Process(target=_serve, args=arguments)
        self._process.start()
        writer.close()
        self.stderr = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
        reader.close()
        self.pid: int = self._process.pid

    def wait(self) -> int:
        self._process.join()
        return self.returncode

    @property
    def returncode(self) -> int:
        return self._process.exitcode

    def communicate(self) -> tuple[str, str]:
        """What it has printed, after its end."""
        err = self.stderr.read()
        self.wait()
        out = self._out.read()
        self._close()
        return out, err

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *error: object) -> None:
        self.stderr.close()
        self.wait()
        self._close()

    def _close(self) -> None:
        self.stderr.close()
        self._out.close()


def start(*words: object, folder: Path | None = None, **environment: str) -> Command:
    """Start `prunebench` with these words in that folder, in a session of its own that hears Ctrl-C."""
    return Command(words, folder, environment)


def _serve(words: list[str], err: Connection, out: str, folder: str, environment: Mapping[str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with open(out, "w") as file:
        os.dup2(file.fileno(), 1)
    os.dup2(err.fileno(), 2)
    err.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    warnings.simplefilter("ignore")
    from prunebench.cli import main

    try:
        main(words)
    finally:
        atexit._run_exitfuncs()  # which a copy would leave out
