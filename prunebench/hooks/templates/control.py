"""MyMethod as a prunebench plugin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunebench import Phase, Rewind, Train, hookimpl


@dataclass(frozen=True)
class MyMethod:
    """The mask of the controlled method, trained once from θ0, whatever that method does after it.

    Replace this text: its first line stands on every page that shows the control. `of` is the method that it controls.
    """

    name: ClassVar[str] = "my-method"

    of: str = "magnitude"

    def tail(self, rest: Sequence[Phase]) -> list[Phase]:
        """The phases after the last mask; `rest` are those of the controlled method."""
        return [Rewind(), Train(), *(phase for phase in rest if phase.ends_recipe)]


@hookimpl
def prunebench_strategies() -> list[type[MyMethod]]:
    return [MyMethod]
