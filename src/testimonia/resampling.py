"""Bootstrap intervals of figures that are computed from counts which add up over blocks of text.

Percentile bootstrap (Efron and Tibshirani 1993, section 13.3): blocks are drawn with replacement, their counts are
added, the figure is computed anew. Nothing is matched again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# From sums of counts, shape (n, columns), to values, (n, names); nan where a figure is not defined.
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

    def figures(
        self, counts: Floats, names: Sequence[_Name], statistic: Statistic, support: Floats | None = None
    ) -> dict[_Name, Figure]:
        """The values of a statistic of the sum over blocks (`counts`: blocks x columns), with their intervals.

        Draws in which a value is not defined are left out. There is no interval where those are more than half, or
        where fewer than two blocks have anything to say: those where the statistic of the block alone is defined,
        or where `support` is not 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            values = _table(statistic(counts.sum(axis=0, keepdims=True)), names)[0]
            speaking = np.isfinite(_table(statistic(counts), names)).sum(axis=0)
            if support is not None:
                speaking[:] = np.count_nonzero(support)
            some = self.resamples > 0 and len(counts) > 1
            drawn = _table(statistic(self._drawn(counts)), names) if some else np.empty((0, len(names)))
        result = {}
        for column, name in enumerate(names):
            value = float(values[column])
            if not np.isfinite(value):
                result[name] = Figure(None)
                continue
            finite = drawn[np.isfinite(drawn[:, column]), column]
            if speaking[column] < 2 or len(finite) * 2 <= len(drawn):
                result[name] = Figure(value)
            else:
                low, high = np.percentile(finite, [2.5, 97.5])
                result[name] = Figure(value, (float(low), float(high)))
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


def _table(values: Floats, names: Sequence[object]) -> Floats:
    return values.reshape(len(values), len(names))


@lru_cache(maxsize=32)
def _weights(blocks: int, resamples: int, seed: int) -> Floats:
    """How often each block was drawn: resamples x blocks, each row adds up to the number of blocks."""
    drawn = np.random.default_rng(seed).integers(blocks, size=(resamples, blocks))
    drawn += np.arange(resamples)[:, None] * blocks
    return np.bincount(drawn.ravel(), minlength=resamples * blocks).reshape(resamples, blocks).astype(np.float64)
