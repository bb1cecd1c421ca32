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
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
# From sums of counts, shape (n, columns), to values, (n, names); nan where a figure is not defined.
Statistic = Callable[[Floats], Floats]

_Name = TypeVar("_Name")
_SMALL = 2_000_000  # weights that are kept
_ROWS = 100  # of weights made at once


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
            drawn = _table(statistic(self.drawn(counts)), names) if some else np.empty((0, len(names)))
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

    def drawn(self, counts: Floats) -> Floats:
        """Sums of counts over drawn blocks: resamples x columns."""
        blocks = len(counts)
        if blocks * self.resamples <= _SMALL:
            return _weights(blocks, self.resamples, self.seed) @ counts
        speaking = np.flatnonzero(counts.any(axis=1))
        rng = np.random.default_rng(self.seed)
        if 2 * len(speaking) < blocks:  # how often any of these is drawn, then which
            counts = counts[speaking]
            sizes = rng.binomial(blocks, len(speaking) / blocks, self.resamples)
        else:
            sizes = np.full(self.resamples, blocks)
        sums = np.zeros((self.resamples, counts.shape[1]))
        with threadpool_limits(1, user_api="blas"):  # products this thin only wait for each other
            weights = np.empty((_ROWS, len(counts)))
            for first in range(0, self.resamples if len(counts) else 0, _ROWS):
                some = sizes[first : first + _ROWS].tolist()
                for row, size in enumerate(some):
                    weights[row] = _times(rng, len(counts), size)
                sums[first : first + _ROWS] = weights[: len(some)] @ counts
        return sums


def _table(values: Floats, names: Sequence[object]) -> Floats:
    return values.reshape(len(values), len(names))


@lru_cache(maxsize=32)
def _weights(blocks: int, resamples: int, seed: int) -> Floats:
    """How often each block was drawn: resamples x blocks, each row adds up to the number of blocks."""
    rng = np.random.default_rng(seed)
    return np.array([_times(rng, blocks, blocks) for _ in range(resamples)], np.float64).reshape(resamples, blocks)


def _times(rng: np.random.Generator, blocks: int, size: int) -> NDArray[np.int64]:
    """How often each block comes in so many draws, (blocks,)."""
    small = np.uint16 if blocks <= 1 << 16 else np.uint32
    return np.bincount(rng.integers(blocks, size=size, dtype=small), minlength=blocks)
