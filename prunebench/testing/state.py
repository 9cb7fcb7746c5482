"""The state that a method keeps outside of its callback: on its class, in its modules, and in generators of Python."""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from prunebench.hooks.files import PREFIX

# How deep containers and objects are compared.
DEPTH = 4
SCALARS = (bool, int, float, complex, str, bytes, type(None))
CODE: tuple[Any, ...] = (
    *(types.ModuleType, types.FunctionType, types.BuiltinFunctionType),
    *(property, staticmethod, classmethod, type),
)

State = dict[str, Any]


def module_state(kind: type[Any]) -> State:
    """The values of all names in the modules of the class's plugin, and of all attributes of the classes there."""
    return {name: _content(value, DEPTH) for name, value in _values(kind)}


def changed_state(before: State, kind: type[Any]) -> list[str]:
    """The names of what has changed since, such as `Mine.calls`."""
    after = module_state(kind)
    return [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]


def _values(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    for module in _modules(kind):
        for name, value in list(vars(module).items()):
            if isinstance(value, type):
                if value.__module__ == module.__name__:
                    yield from ((f"{name}.{attribute}", each) for attribute, each in _attributes(value).items())
            elif not name.startswith("__"):
                yield name, value


def _attributes(kind: type[Any]) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("__")}


def _modules(kind: type[Any]) -> list[types.ModuleType]:
    """The module of the class and, in a plugin's package, all modules of the package."""
    own = kind.__module__
    package = own.partition(".")[0]
    if own.startswith(PREFIX) or package == "prunebench":
        return [sys.modules[own]]
    return [module for name, module in list(sys.modules.items()) if name == package or name.startswith(f"{package}.")]


def _content(value: Any, depth: int) -> Any:
    """What can be compared later: the content of plain values, containers, tensors and objects, the type of all else.

    Not identities: a plugin file is executed anew for each registry.
    """
    if isinstance(value, SCALARS):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, CODE):
        return getattr(value, "__qualname__", type(value).__qualname__)
    if depth and isinstance(value, Mapping):
        return [(_content(key, depth - 1), _content(each, depth - 1)) for key, each in value.items()]
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [type(value).__name__, *(_content(each, depth - 1) for each in value)]
    if depth and hasattr(value, "__dict__"):
        return type(value).__qualname__, _content(vars(value), depth - 1)
    return type(value).__qualname__


@contextmanager
def watched_generators() -> Iterator[list[str]]:
    """A context for code whose use of the generators of `random` and numpy is named afterwards.

    The engine leaves these to others. Their state is a new one inside, so that a fixed seed shows too.
    """
    before, used = (random.getstate(), np.random.get_state()), list[str]()
    random.seed()
    np.random.seed()
    start = random.getstate(), str(np.random.get_state())
    try:
        yield used
    finally:
        end = random.getstate(), str(np.random.get_state())
        names = ("random", "numpy.random")
        used += [name for name, one, other in zip(names, start, end, strict=True) if one != other]
        random.setstate(before[0])
        np.random.set_state(before[1])
