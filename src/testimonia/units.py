"""Units in which tools count offsets: code points, which everything here counts, UTF-16 code units, bytes of UTF-8."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Unit = Literal["code-points", "utf-16", "bytes"]
UNITS: tuple[Unit, ...] = get_args(Unit)


def widths(text: str, unit: Unit) -> Ints:
    """How many units each code point of a text takes, (len(text),)."""
    letters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    if unit == "utf-16":
        return 1 + (letters > 0xFFFF).astype(np.int64)
    if unit == "bytes":
        return 1 + (letters > 0x7F).astype(np.int64) + (letters > 0x7FF) + (letters > 0xFFFF)
    return np.ones(len(text), np.int64)


def to_code_points(text: str, offsets: Ints, unit: Unit) -> Ints:
    """Offsets in a unit as code points of the text; -1 for one that lies within a character or outside the text."""
    if unit == "code-points":
        return np.where((offsets >= 0) & (offsets <= len(text)), offsets, -1)
    return rows_of(edges_of(text, unit), offsets)


def edges_of(text: str, unit: Unit) -> Ints:
    """Where each code point of a text begins, and where the last one ends, in a unit, (len(text) + 1,)."""
    return np.append(0, np.cumsum(widths(text, unit)))


def rows_of(edges: Ints, offsets: Ints) -> Ints:
    """The row of each offset among rising edges; -1 for one that is no edge."""
    row = np.minimum(np.searchsorted(edges, offsets), len(edges) - 1)
    return np.where(edges[row] == offsets, row, -1)
