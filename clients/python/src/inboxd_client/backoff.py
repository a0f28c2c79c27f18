"""Pauses that grow: exponential with full jitter. Pure: chance comes in as an argument."""

from __future__ import annotations

from collections.abc import Callable

Chance = Callable[[], float]
"""A number from 0 up to 1, as ``random.random`` gives it."""


class Backoff:
    """Doubles the longest next pause with every failure, from ``least_s`` up to ``most_s`` seconds."""

    def __init__(self, least_s: float, most_s: float) -> None:
        self._least_s = least_s
        self._most_s = most_s
        self._failures = 0

    def next_s(self, chance: Chance) -> float:
        """The seconds to wait after one more failure: anything up to the bound, so that clients do not come back together."""
        bound = min(self._most_s, self._least_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return bound * chance()

    def reset(self) -> None:
        """What was tried worked."""
        self._failures = 0
