"""Bootstrap intervals of figures that are computed from counts which add up over blocks of text.

Percentile bootstrap (Efron and Tibshirani 1993, section 13.3): blocks are drawn with replacement, their counts are
added, the figure is computed anew. Nothing is matched again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# From sums of counts, shape (n, columns), to n values; nan where the figure is not defined.
Statistic = Callable[[Floats], Floats]

_Name = TypeVar("_Name")
_CHUNK = 20_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its 95% interval; None where it is not defined."""

    value: float | None
    ci95: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Resampling:
    """How many times to draw, and the seed of the draws. The same blocks and seed give the same interval."""

    resamples: int = 1000
    seed: int = 1

    def figures(self, counts: Floats, statistics: Mapping[_Name, Statistic]) -> dict[_Name, Figure]:
        """Each statistic of the sum over blocks (`counts`: blocks x columns), with its interval.

        Draws in which a statistic is not defined are left out; where they are more than half, or there are fewer
        than two blocks, there is no interval.
        """
        total = counts.sum(axis=0, keepdims=True)
        drawn = self._drawn(counts) if len(counts) > 1 and self.resamples else np.empty((0, counts.shape[1]))
        result = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            for name, statistic in statistics.items():
                value = float(statistic(total)[0])
                if not np.isfinite(value):
                    result[name] = Figure(None)
                    continue
                values = statistic(drawn)
                values = values[np.isfinite(values)]
                enough = len(drawn) and len(values) * 2 > len(drawn)
                low, high = np.percentile(values, [2.5, 97.5]) if enough else (0.0, 0.0)
                result[name] = Figure(value, (float(low), float(high)) if enough else None)
        return result

    def _drawn(self, counts: Floats) -> Floats:
        """Sums of counts over drawn blocks: resamples x columns."""
        blocks = len(counts)
        if blocks * self.resamples <= _CHUNK // 10:
            return _weights(blocks, self.resamples, self.seed) @ counts
        step = max(1, _CHUNK // blocks)
        parts = [
            _weights.__wrapped__(blocks, min(step, self.resamples - first), self.seed + 1 + first) @ counts
            for first in range(0, self.resamples, step)
        ]
        return np.concatenate(parts)


@lru_cache(maxsize=32)
def _weights(blocks: int, resamples: int, seed: int) -> Floats:
    """How often each block was drawn: resamples x blocks, each row adds up to the number of blocks."""
    drawn = np.random.default_rng(seed).integers(blocks, size=(resamples, blocks))
    drawn += np.arange(resamples)[:, None] * blocks
    return np.bincount(drawn.ravel(), minlength=resamples * blocks).reshape(resamples, blocks).astype(np.float64)
