"""Pairs of spans of two sides: equal, overlapping, the most that can be paired, the closest.

All functions are vectorised over columns; cost is that of sorting the spans, plus the overlapping pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

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

    def take(self, rows: Ints | NDArray[np.bool_] | slice) -> Spans:
        """The spans at these row numbers, in this slice, or where a mask is true."""
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
    """Rows (i, j) of every pair of one document that shares a character, whatever its labels.

    Of two spans that overlap one begins within the other: first the rights that begin within a left (or with it),
    then the lefts that begin within a right. Two sorts and four searches, then nothing but the pairs themselves.
    """
    width = int(max(left.end.max(initial=0), right.end.max(initial=0))) + 1
    i, j = _beginning_within(left, right, width, "left")
    b, a = _beginning_within(right, left, width, "right")
    return np.concatenate([i, a]), np.concatenate([j, b])


def _beginning_within(outer: Spans, inner: Spans, width: int, equal: Literal["left", "right"]) -> Pairs:
    """Rows of outer and inner spans, where the inner begins within the outer; with it only where `equal` is left."""
    start = inner.document * width + inner.start
    order = None if (start[1:] >= start[:-1]).all() else np.argsort(start, kind="stable")
    start = start if order is None else start[order]
    low = outer.document * width + outer.start
    first = np.searchsorted(start, low, side=equal)
    counts = np.searchsorted(start, low + (outer.end - outer.start), side="left") - first
    counts = np.maximum(counts, 0)
    rows = runs(first, counts)
    return np.repeat(np.arange(len(outer)), counts), rows if order is None else order[rows]


def most(pairs: Pairs, lefts: int, rights: int) -> Pairs:
    """As many of the pairs as can stand one to one (maximum cardinality, Hopcroft and Karp 1973)."""
    i, j = pairs
    alone = (np.bincount(i, minlength=lefts)[i] == 1) & (np.bincount(j, minlength=rights)[j] == 1)
    rest_i, rest_j = i[~alone], j[~alone]
    if not len(rest_i):
        return i[alone], j[alone]
    graph = csr_array((np.ones(len(rest_i), np.int8), (rest_i, rest_j)), shape=(lefts, rights))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    matched = np.flatnonzero(partner >= 0)
    return np.append(i[alone], matched), np.append(j[alone], partner[matched])


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
        if len(found) == _ROUNDS:  # what is left is a long chain: one after the other
            found.append(_greedy(i, j, rank))
            break
    return joined(found)


_ROUNDS = 50


def _greedy(i: Ints, j: Ints, rank: Ints) -> Pairs:
    """The pairs in order of rank, those left out of which a side was taken."""
    lefts: set[int] = set()
    rights: set[int] = set()
    chosen = []
    order = np.argsort(rank)
    for row, left, right in zip(order.tolist(), i[order].tolist(), j[order].tolist(), strict=True):
        if left not in lefts and right not in rights:
            lefts.add(left)
            rights.add(right)
            chosen.append(row)
    return i[chosen], j[chosen]


def in_turn(pairs: Pairs, key: Ints, turn: Ints, lefts: int) -> Ints:
    """Rows of the pairs taken, one to one, each right in its turn: of the pairs still free, that of the least key.

    `turn`: of each pair, from 0; pairs are sorted by turn, right, left, and ties go to the first on the left. Rights
    of one turn have no left in common, so that a turn is taken at once.
    """
    i, j = pairs
    other = np.ones(len(j), np.int64)
    np.not_equal(j[1:], j[:-1], out=other[1:], casting="unsafe")
    right = np.cumsum(other)
    order = np.argsort(right * (int(key.max(initial=0)) + 1) + key, kind="stable")
    i = i[order]
    ends = np.cumsum(np.bincount(turn)).tolist()
    free = np.ones(lefts, bool)
    found = [np.empty(0, np.int64)]
    for first, last in zip([0, *ends], ends, strict=False):
        still = np.flatnonzero(free[i[first:last]]) + first
        who = right[still]  # the rights stand where they stood: the order is theirs
        best = np.ones(len(who), bool)
        np.not_equal(who[1:], who[:-1], out=best[1:])
        taken = still[best]
        free[i[taken]] = False
        found.append(taken)
    return order[np.concatenate(found)]


def turns(groups: Ints) -> Ints:
    """How many of its group stand before each, (n,)."""
    order = np.argsort(groups, kind="stable")
    first = np.flatnonzero(np.append(True, groups[order][1:] != groups[order][:-1])[: len(order)])
    found = np.empty(len(order), np.int64)
    found[order] = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return found


def heaviest(pairs: Pairs, weight: Ints, base: Ints, lefts: int, rights: int) -> Pairs:
    """One to one with the greatest sum of weights, and among those as many pairs as can be.

    `weight`: small whole numbers >= 0; `base`: rows of pairs that are one to one and have the greatest sum already.
    Dual values of that matching (Kuhn 1955; least solution, by relaxation) tell which pairs may stand in any best
    one, and which spans must be paired; the largest matching among those pairs, swapped along the paths where it
    leaves such a span out (Mendelsohn and Dulmage 1958), has the same sum.
    """
    order = np.argsort(pairs[0], kind="stable")
    i, j, weight = pairs[0][order], pairs[1][order], weight[order]
    base_i, base_j = pairs[0][base], pairs[1][base]
    partner, worth = np.full(rights, lefts), np.zeros(rights, np.int64)
    partner[base_j], worth[base_j] = base_i, weight[np.argsort(order)[base]]
    first = np.flatnonzero(np.append(True, i[1:] != i[:-1])[: len(i)])
    dual = np.zeros(lefts + 1, np.int64)  # the last is of those without partner
    while len(first):
        least = np.maximum.reduceat(weight - (worth - dual[partner])[j], first)
        if not (least > dual[i[first]]).any():
            break
        dual[i[first]] = np.maximum(least, dual[i[first]])
    other = worth - dual[partner]
    tight = dual[i] + other[j] == weight
    found_i, found_j = most((i[tight], j[tight]), lefts, rights)
    graph = coo_array(
        (
            np.ones(len(found_i) + len(base_i), np.int8),
            (np.append(found_i, base_i), np.append(found_j, base_j) + lefts),
        ),
        shape=(lefts + rights, lefts + rights),
    )
    path = connected_components(graph, directed=False)[1]
    needed = np.append(dual[:lefts], other) > 0
    needed[found_i] = needed[found_j + lefts] = False
    swapped = np.zeros(lefts + rights, bool)
    swapped[path[needed]] = True
    stay, back = ~swapped[path[found_i]], swapped[path[base_i]]
    return np.append(found_i[stay], base_i[back]), np.append(found_j[stay], base_j[back])


def joined(found: Sequence[Pairs]) -> Pairs:
    """Several lists of pairs as one."""
    nothing = np.empty(0, np.int64)
    return np.concatenate([nothing, *(i for i, _ in found)]), np.concatenate([nothing, *(j for _, j in found)])
