"""Write a strategy class that is defined in a notebook or a script to a plugin file.

Worker processes can load such a file, and keys of results contain a digest of its source. The file has the source of
the class and of everything that it uses from its notebook or script: other classes, functions, constants and imports.
It does not depend on anything else in the notebook.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.private import write_privately

_HOOK = """
from prunebench import hookimpl as _hookimpl


@_hookimpl
def prunebench_strategies():
    return [{name}]
"""


def plugin_file(strategy: type) -> Path:
    """Write a plugin file that provides the class `strategy`, in a folder of this user.

    Raises PrunebenchError if the source of the class is not available, or if it uses a value that is not a literal.
    """
    parts: dict[str, str] = {}
    _collect(strategy, parts)
    imports = [text for text in parts.values() if _is_import(text)]
    rest = [text for text in parts.values() if not _is_import(text)]
    text = "from __future__ import annotations\n\n" + "\n".join(imports) + "\n\n\n" + "\n\n\n".join(rest) + "\n"
    text += "\n" + _HOOK.format(name=strategy.__name__)
    name = f"{strategy.__name__.lower()}.py"
    return write_privately([(name, text)]) / name


def _collect(value: Any, parts: dict[str, str]) -> None:
    """Add the source of a class or function to `parts`, after the source of everything that it uses."""
    name = value.__name__
    try:
        source = textwrap.dedent(_source(value))
    except (OSError, TypeError):
        raise PrunebenchError(
            f"the source of {name!r} is not available", "define it in a notebook cell or in a file"
        ) from None
    namespace = vars(sys.modules[value.__module__])
    tree = ast.parse(source)
    names = dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    # Annotations count too: pydantic resolves them in the new file.
    for other in names:
        if other != name and other in namespace and other not in parts:
            _collect_value(other, namespace[other], value.__module__, parts)
    parts[name] = source.rstrip()


def _source(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        if not inspect.isclass(value):
            raise
    # Before Python 3.13, inspect looks for a class in the file of its module, and a notebook has none. The methods know
    # their cell, and the class is around them.
    for function in filter(inspect.isfunction, vars(value).values()):
        try:
            lines, _ = inspect.findsource(function)
        except OSError:
            continue  # dataclass creates some methods without a source
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == value.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                if first <= function.__code__.co_firstlineno <= (node.end_lineno or first):
                    return "".join(lines[first - 1 : node.end_lineno])
    raise OSError(f"no method of {value.__name__} has a source")


def _collect_value(name: str, value: Any, module: str, parts: dict[str, str]) -> None:
    if isinstance(value, ModuleType):
        parts[name] = f"import {value.__name__} as {name}"
    elif getattr(value, "__module__", None) == module and (inspect.isclass(value) or inspect.isfunction(value)):
        _collect(value, parts)
    elif (origin := _origin(name, value)) is not None:
        parts[name] = f"from {origin} import {name}"
    else:
        literal = f"{name} = {value!r}"
        try:
            ast.literal_eval(repr(value))
        except (ValueError, SyntaxError):
            raise PrunebenchError(
                f"a strategy uses {name!r}, whose value cannot be written to a plugin file",
                "expected numbers, strings, lists, tuples or dicts; otherwise put the strategy into a file",
            ) from None
        parts[name] = literal


def _origin(name: str, value: Any) -> str | None:
    """A module that the value can be imported from by this name."""
    candidates = [getattr(value, "__module__", None), "typing", "prunebench"]
    for candidate in candidates:
        module = sys.modules.get(candidate or "")
        if module is not None and candidate != "__main__" and getattr(module, name, None) is value:
            return str(candidate)
    return None


def _is_import(text: str) -> bool:
    return text.startswith(("import ", "from "))
