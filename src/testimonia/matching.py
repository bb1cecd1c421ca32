"""Pairs of spans of two sides: equal, overlapping, the most that can be paired, the closest.

All functions are vectorised over columns; cost is that of sorting the spans, plus the overlapping pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Pairs = tuple[Ints, Ints]


@dataclass(frozen=True, slots=True)
class Spans:
    """Columns of n spans: `document` and `label` are numbers from 0, bounds are offsets, end exclusive."""

    document: Ints
    start: Ints
    end: Ints
    label: Ints

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: Ints) -> Spans:
        """The spans at these row numbers (or where a mask is true)."""
        return Spans(self.document[rows], self.start[rows], self.end[rows], self.label[rows])

    @property
    def unlabelled(self) -> Spans:
        """The same spans, all of label 0."""
        return Spans(self.document, self.start, self.end, np.zeros_like(self.label))

    def by_label(self, labels: int) -> Spans:
        """The same spans with one document per document and label (of so many), so that no pair crosses labels."""
        return Spans(self.document * labels + self.label, self.start, self.end, self.label)


def concatenated(left: Spans, right: Spans) -> Spans:
    """The spans of both sides, left first."""
    return Spans(
        np.concatenate([left.document, right.document]),
        np.concatenate([left.start, right.start]),
        np.concatenate([left.end, right.end]),
        np.concatenate([left.label, right.label]),
    )


def runs(starts: Ints, counts: Ints) -> Ints:
    """`[s, s + 1, ..., s + c - 1]` for each start and count, one after the other."""
    ends = np.cumsum(counts)
    steps: Ints = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return steps


def added(cells: Ints, worth: Floats, size: int) -> Floats:
    """The sum of `worth` per cell 0..size-1. (numpy's bincount gives whole numbers where there is nothing to add.)"""
    return np.bincount(cells, worth, minlength=size).astype(np.float64)


def equal(left: Spans, right: Spans) -> Pairs:
    """Rows (i, j) of equal spans (document, start, end, label), one to one; duplicates pair in order."""
    both = concatenated(left, right)
    order = np.lexsort((both.label, both.end, both.start, both.document))  # stable: left comes before right
    new = np.ones(len(order), bool)
    for column in (both.document, both.start, both.end, both.label):
        values = column[order]
        new[1:] &= values[1:] == values[:-1]
    new[1:] = ~new[1:]
    run = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    lefts = np.bincount(run[order < len(left)], minlength=len(first))
    sizes = np.diff(np.append(first, len(order)))
    paired = np.minimum(lefts, sizes - lefts)
    return order[runs(first, paired)], order[runs(first + lefts, paired)] - len(left)


def overlapping(left: Spans, right: Spans) -> Pairs:
    """Rows (i, j) of every pair of one document that shares a character, whatever its labels; sorted by i."""
    width = int(max(left.end.max(initial=0), right.end.max(initial=0))) + 1
    order = np.argsort(right.document * width + right.start, kind="stable")
    start = (right.document * width + right.start)[order]
    end = (right.document * width + right.end)[order]
    low, high = left.document * width + left.start, left.document * width + left.end
    # In order of start the running maximum of ends rises: what lies before `first` ends too early.
    first = np.searchsorted(np.maximum.accumulate(end), low, side="right")
    counts = np.maximum(np.searchsorted(start, high, side="left") - first, 0)
    i, j = np.repeat(np.arange(len(left)), counts), runs(first, counts)
    kept = end[j] > low[i]
    return i[kept], order[j[kept]]


def most(pairs: Pairs, lefts: int, rights: int) -> Pairs:
    """As many of the pairs as can stand one to one (maximum cardinality, Hopcroft and Karp 1973)."""
    i, j = pairs
    alone = (np.bincount(i, minlength=lefts)[i] == 1) & (np.bincount(j, minlength=rights)[j] == 1)
    rest_i, rest_j = i[~alone], j[~alone]
    if not len(rest_i):
        return i[alone], j[alone]
    rows, row = np.unique(rest_i, return_inverse=True)
    columns, col = np.unique(rest_j, return_inverse=True)
    graph = csr_array((np.ones(len(row), np.int8), (row, col)), shape=(len(rows), len(columns)))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    matched = partner >= 0
    return np.append(i[alone], rows[matched]), np.append(j[alone], columns[partner[matched]])


def closest(left: Spans, right: Spans) -> Pairs:
    """Overlapping pairs one to one: repeatedly the pair that overlaps most (Jaccard index), ties to the leftmost.

    Equal bounds come first. The result does not depend on the order of the spans nor on which side is left, but
    for spans of equal bounds within one side.
    """
    i, j = overlapping(left, right)
    shared = np.minimum(left.end[i], right.end[j]) - np.maximum(left.start[i], right.start[j])
    union = np.maximum(left.end[i], right.end[j]) - np.minimum(left.start[i], right.start[j])
    starts = np.minimum(left.start[i], right.start[j]), np.maximum(left.start[i], right.start[j])
    order = np.lexsort((j, i, *starts[::-1], -shared / union))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    found: list[tuple[Ints, Ints]] = []
    while len(i):
        best_i = np.full(len(left), len(order))
        best_j = np.full(len(right), len(order))
        np.minimum.at(best_i, i, rank)
        np.minimum.at(best_j, j, rank)
        mutual = (best_i[i] == rank) & (best_j[j] == rank)
        found.append((i[mutual], j[mutual]))
        taken_i, taken_j = np.zeros(len(left), bool), np.zeros(len(right), bool)
        taken_i[i[mutual]] = taken_j[j[mutual]] = True
        free = ~(taken_i[i] | taken_j[j])
        i, j, rank = i[free], j[free], rank[free]
    if not found:
        return i, j
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])
