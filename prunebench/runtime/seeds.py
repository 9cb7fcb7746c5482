"""One seed, many independent streams: initialisation, data order, dropout, scores. Imports nothing of the project.

A stream depends on the seed and on what it is for, never on the method: that is what makes methods paired.
"""

from __future__ import annotations

import hashlib


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose."""
    text = "\x1f".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
