"""Read the TOML files that users write or name: suites and protocols."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError


def read_toml(path: Path, kind: str, missing: str, hint: str) -> dict[str, Any]:
    """The table in a file. Raises PrunebenchError in one line where it cannot be read or is not TOML.

    `kind` is what errors call the file; `missing` and `hint` are the error where there is none.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PrunebenchError(f"{missing} {str(path)!r}", hint) from None
    except OSError as error:
        raise PrunebenchError(f"cannot read {kind} {str(path)!r}: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PrunebenchError(f"{kind} {str(path)!r} is not TOML: {error}") from None
