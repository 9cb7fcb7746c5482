"""The hard concrete distribution of a gate in [0, 1] (Louizos, Welling & Kingma 2018).

A gate is a concrete variable of temperature β, stretched from (0, 1) to (γ, ζ), and cut to [0, 1]. So it is exactly 0
or 1 with a probability above 0, and has a gradient for log α in between.
"""

from __future__ import annotations

import math
from typing import Any

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1


def sample(log_alpha: Any, uniform: Any) -> Any:
    """The gates for numbers that are uniform on (0, 1), in the shape of `log_alpha`.

    s = σ((log u − log(1 − u) + log α) / β), and z = min(1, max(0, s (ζ − γ) + γ)).
    """
    noise = uniform.clamp(1e-6, 1 - 1e-6).logit()
    return (((noise + log_alpha) / BETA).sigmoid() * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def presence(log_alpha: Any) -> Any:
    """The probability that a gate is not 0: σ(log α − β log(−γ / ζ))."""
    return (log_alpha - BETA * math.log(-GAMMA / ZETA)).sigmoid()


def without_noise(log_alpha: Any) -> Any:
    """The gates of a model that is no longer sampled: min(1, max(0, σ(log α) (ζ − γ) + γ))."""
    return (log_alpha.sigmoid() * (ZETA - GAMMA) + GAMMA).clamp(0, 1)
