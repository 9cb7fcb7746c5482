"""Independent random streams from one seed: for initialisation, data order, dropout and scores.

A stream depends on the seed and on its purpose, never on the method. That makes methods comparable in pairs: at one
seed they all start from the same classifier and see the same batches.
"""

from __future__ import annotations

import hashlib


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose."""
    text = "\x1f".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
