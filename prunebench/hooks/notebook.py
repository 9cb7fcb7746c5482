"""A strategy class from a notebook or script becomes a plugin file: workers can load it, and keys know its source.

The file holds the source of the class and of what it uses from the same place: other classes, functions, constants and
imports. It is the same for the same source, whatever else a notebook holds.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import tempfile
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from prunebench.errors import PrunebenchError

_HOOK = """
from prunebench import hookimpl as _hookimpl


@_hookimpl
def prunebench_strategies():
    return [{name}]
"""


def plugin_file(strategy: type) -> Path:
    """A plugin file that gives the class `strategy`, in the system's folder for temporary files.

    Raises PrunebenchError where its source, or a value that it uses, cannot be written down.
    """
    parts: dict[str, str] = {}
    _collect(strategy, parts)
    imports = [text for text in parts.values() if _is_import(text)]
    rest = [text for text in parts.values() if not _is_import(text)]
    text = "from __future__ import annotations\n\n" + "\n".join(imports) + "\n\n\n" + "\n\n\n".join(rest) + "\n"
    text += "\n" + _HOOK.format(name=strategy.__name__)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir(), f"prunebench-strategy-{digest}")
    folder.mkdir(exist_ok=True)
    path = folder / f"{strategy.__name__.lower()}.py"
    path.write_text(text, encoding="utf-8")
    return path


def _collect(thing: Any, parts: dict[str, str]) -> None:
    """Add the source of a class or function to `parts`, after that of everything it uses."""
    name = thing.__name__
    try:
        source = textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        raise PrunebenchError(
            f"the source of {name!r} is not available", "define it in a notebook cell or in a file"
        ) from None
    namespace = vars(sys.modules[thing.__module__])
    tree = ast.parse(source)
    names = dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    # Annotations are text in the file that is made, and resolved by pydantic there.
    for used in names:
        if used != name and used in namespace and used not in parts:
            _collect_value(used, namespace[used], thing.__module__, parts)
    parts[name] = source.rstrip()


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
                "expected a number, a text, or a list, tuple or dict of these; or give the strategy in a file",
            ) from None
        parts[name] = literal


def _origin(name: str, value: Any) -> str | None:
    """The module that a name can be imported from."""
    candidates = [getattr(value, "__module__", None), "typing", "prunebench"]
    for candidate in candidates:
        module = sys.modules.get(candidate or "")
        if module is not None and candidate != "__main__" and getattr(module, name, None) is value:
            return str(candidate)
    return None


def _is_import(text: str) -> bool:
    return text.startswith(("import ", "from "))
