"""Lines and warnings that the code of a plugin prints, reported under its name.

They reach the display as progress reports, from worker processes too, so they neither tear it nor stay anonymous.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prunebench.runtime import progress
from prunebench.runtime.text import clean


@contextmanager
def named_output(name: str) -> Iterator[None]:
    """Report what this thread prints or warns until the block ends, line by line, as `name: line`.

    Streams and filters of warnings belong to the whole process, so outside its main thread the block changes nothing.
    Output that bypasses `sys.stdout` and `sys.stderr`, such as that of C code, is not seen.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = sys.stdout, sys.stderr
    reporter = _Reporter(name)
    output, errors = (_NamedStream(reporter, stream) for stream in before)

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
        errors.write(f"{category.__name__}: {message} ({Path(filename).name}, line {lineno})\n")

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show  # type: ignore[assignment]
            sys.stdout, sys.stderr = output, errors
            yield
    finally:
        sys.stdout, sys.stderr = before
        output.write("\n")
        errors.write("\n")


class _Reporter:
    """Reports lines under a name. `is_reporting` says that a listener has control, which may print by itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.thread = threading.current_thread()
        self.is_reporting = False

    def report(self, line: str, stream: Any) -> None:
        text = clean(f"{self.name}: {line}")
        self.is_reporting = True
        try:
            if progress.has_listeners():
                progress.emit(progress.Progress(0, 0, 0.0, text=text))
            else:
                stream.write(f"{text}\n")
        finally:
            self.is_reporting = False


class _NamedStream:
    """Reports the lines that the reporter's thread writes. Other threads and listeners write to `stream` itself."""

    stream: Any

    def __init__(self, reporter: _Reporter, stream: Any) -> None:
        self.reporter = reporter
        # In a block within a block, the stream of the outer one.
        self.stream = stream.stream if isinstance(stream, _NamedStream) else stream
        self.rest = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        if self.reporter.is_reporting or threading.current_thread() is not self.reporter.thread:
            return int(self.stream.write(text))
        *lines, rest = (self.rest + text).split("\n")
        self.rest = _last_state(rest)
        for line in filter(str.strip, map(_last_state, lines)):
            self.reporter.report(line.rstrip(), self.stream)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


def _last_state(line: str) -> str:
    """What a terminal shows of a line that is written over and over, as a progress bar is."""
    return line.rstrip("\r").rpartition("\r")[2]
