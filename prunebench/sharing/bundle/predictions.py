"""Predictions of every example as npy files: a class in one or two bytes, or a score in four.

There is one array for each split of a task, of shape (models, examples). Files are parsed without numpy's reader, which
could be made to unpickle objects.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunebench.sharing.bundle.archive import BadBundle

Array = NDArray[Any]
_TYPES = {"|u1": np.uint8, "<u2": np.uint16, "<f4": np.float32}
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '(\|u1|<u2|<f4)', 'fortran_order': False, 'shape': \(([0-9]{1,9}), ([0-9]{1,9})\), \} *\n"
)


def pack(rows: Sequence[Array]) -> bytes:
    """Rows of equal length and type as an npy file."""
    with io.BytesIO() as file:
        np.lib.format.write_array(file, np.stack(rows), version=(1, 0), allow_pickle=False)
        return file.getvalue()


def unpack(data: bytes, name: str) -> Array:
    """The array of the npy file `name`, read-only. Raises BadBundle for everything that `pack` does not write."""
    length = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + length]
    if data[:8] == _MAGIC and re.search(rb"'descr': *'?\|?O", header):
        raise BadBundle(f"{name} holds pickled objects", "expected numbers; nothing is ever unpickled")
    match = _HEADER.fullmatch(header)
    if data[:8] != _MAGIC or match is None:
        raise BadBundle(
            f"{name} is not an npy file of a bundle", "expected uint8, uint16 or float32 of shape (models, examples)"
        )
    shape, dtype = (int(match[2]), int(match[3])), np.dtype(_TYPES[match[1].decode()]).newbyteorder("<")
    if len(data) - 10 - length != math.prod(shape) * dtype.itemsize or not math.prod(shape):
        raise BadBundle(f"{name} does not hold the {shape[0]} × {shape[1]} numbers that it declares")
    array = np.frombuffer(data, dtype, offset=10 + length).reshape(shape)
    if not np.isfinite(array).all():
        raise BadBundle(f"{name} holds a prediction that is not a finite number")
    return array
