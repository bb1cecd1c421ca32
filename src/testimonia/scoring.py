"""Scores of predicted spans against gold: what is paired in each mode, and the counts that follow.

Modes as in SemEval-2013 task 9.1: strict = bounds and label, exact = bounds, partial = any overlap counts half, type
= any overlap with the same label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from testimonia.matching import Ints, Pairs, Spans, heaviest, in_turn, joined, most, overlapping

Matching = Literal["best", "nervaluate", "hipe"]
Mask = NDArray[np.bool_]
MODES = ("strict", "exact", "partial", "type")


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one mode: arrays of one shape, such as (documents,) or (labels, documents).

    possible = correct + incorrect + partial + missed, actual = correct + incorrect + partial + spurious.
    """

    correct: Ints
    incorrect: Ints
    partial: Ints
    missed: Ints
    spurious: Ints


@dataclass(frozen=True, slots=True)
class Tallies:
    """Counts by mode: overall per document, and per label and document with both sides filtered by label."""

    overall: Mapping[str, Tally]
    by_label: Mapping[str, Tally]


def tallies(gold: Spans, predictions: Spans, documents: int, labels: int, matching: Matching = "best") -> Tallies:
    """The counts of each mode.

    `best`: for each mode the one-to-one pairing that earns most (strict, exact, type: hits; partial: 1 for equal
    bounds, 0.5 for overlap), and among those one that pairs most overlapping spans: the counts do not depend on
    order. `nervaluate` and `hipe`: as those tools go through the predictions in their order; hipe's counts by label
    are not filtered, they go to the label of the gold span, or of the prediction where it is spurious.
    """
    alone, rest_gold, rest_predictions = _alone(gold, predictions)
    complex_gold, complex_predictions = gold.take(rest_gold), predictions.take(rest_predictions)
    pairs = _sorted(overlapping(complex_gold, complex_predictions), len(rest_gold))
    if matching == "hipe":
        chosen, used = _hipe(complex_gold, complex_predictions, pairs)
        found = joined([alone, (rest_gold[chosen[0]], rest_predictions[chosen[1]])])
        left = np.concatenate([rest_gold[used], alone[0]])
        return _hipe_tallies(gold, predictions, found, left, documents, labels)
    if matching == "nervaluate":
        enough = _enough(gold, predictions, alone)
        alone = alone[0][enough], alone[1][enough]
        enough = _enough(complex_gold, complex_predictions, pairs)
        pairs = pairs[0][enough], pairs[1][enough]
    cells, predicted = (side.label * documents + side.document for side in (gold, predictions))
    shape = labels, documents
    possible = np.bincount(cells, minlength=labels * documents).reshape(shape)
    actual = np.bincount(predicted, minlength=labels * documents).reshape(shape)
    kind = _kinds(gold, predictions, alone)
    kinds = _kinds(complex_gold, complex_predictions, pairs)
    same, same_pairs = (kind & 1) == 1, (kinds & 1) == 1
    knots = _tangled(complex_gold, complex_predictions, pairs)
    knots_within = _tangled(complex_gold, complex_predictions, (pairs[0][same_pairs], pairs[1][same_pairs]))
    settled = _counted(kind, gold.document[alone[0]], documents)
    settled_within = _counted(kind[same], cells[alone[0]][same], labels * documents)
    inner, outer = cells[rest_gold], gold.document[rest_gold]
    totals = possible.sum(axis=0), actual.sum(axis=0)
    overall = {mode: _tally(mode, *knots.counts(mode, matching, outer, settled), *totals) for mode in MODES}
    by_label: dict[str, Tally] = {}
    for mode in MODES:
        if mode == "exact":  # within a label, equal bounds are all there is to strict
            by_label[mode] = by_label["strict"]
        else:
            hits, others = knots_within.counts(mode, matching, inner, settled_within)
            by_label[mode] = _tally(mode, hits.reshape(shape), others.reshape(shape), possible, actual)
    return Tallies(overall, by_label)


# Whether a pair is a hit, by its kind: 0 neither, 1 label alone, 2 bounds alone, 3 both.
_HIT = {
    "strict": np.array([0, 0, 0, 1]),
    "exact": np.array([0, 0, 1, 1]),
    "partial": np.array([0, 0, 1, 1]),
    "type": np.array([0, 1, 0, 1]),
}


def _kinds(gold: Spans, predictions: Spans, pairs: Pairs) -> Ints:
    i, j = pairs
    bounds = (gold.start[i] == predictions.start[j]) & (gold.end[i] == predictions.end[j])
    kinds: Ints = bounds * 2 + (gold.label[i] == predictions.label[j])
    return kinds


def _counted(kinds: Ints, cells: Ints, size: int) -> Ints:
    """Pairs per cell and kind, (size, 4)."""
    return np.bincount(cells * 4 + kinds, minlength=4 * size).reshape(size, 4)


def _sorted(pairs: Pairs, lefts: int) -> Pairs:
    """Pairs by prediction, then gold span."""
    key = np.sort(pairs[1] * max(lefts, 1) + pairs[0])
    right, left = np.divmod(key, max(lefts, 1))
    return left, right


def _alone(gold: Spans, predictions: Spans) -> tuple[Pairs, Ints, Ints]:
    """Pairs of one gold span and one prediction that overlap each other and nothing else; rows of the rest.

    Spans that overlap nothing are in neither. Both sides are laid on one line and cut where nothing reaches over.
    """
    width = int(max(gold.end.max(initial=0), predictions.end.max(initial=0))) + 1
    start = np.concatenate([gold.document * width + gold.start, predictions.document * width + predictions.start])
    order = np.argsort(start, kind="stable")
    end = np.concatenate([gold.document * width + gold.end, predictions.document * width + predictions.end])
    reach = np.maximum.accumulate(end[order])
    first = np.flatnonzero(np.append(True, start[order][1:] >= reach[:-1])[: len(order)])
    size = np.diff(np.append(first, len(order)))
    two = first[size == 2]
    one, other = order[two], order[two + 1]
    pair = (one < len(gold)) != (other < len(gold))
    one, other = one[pair], other[pair]
    rows = order[np.repeat(size > 2, size)]
    alone = np.minimum(one, other), np.maximum(one, other) - len(gold)
    return alone, np.sort(rows[rows < len(gold)]), np.sort(rows[rows >= len(gold)]) - len(gold)


def _tally(mode: str, hits: Ints, others: Ints, possible: Ints, actual: Ints) -> Tally:
    none = np.zeros_like(others)
    incorrect, partial = (none, others) if mode == "partial" else (others, none)
    return Tally(hits, incorrect, partial, possible - hits - others, actual - hits - others)


@dataclass(frozen=True, slots=True)
class _Knots:
    """The pairs that share a span with another, on columns of their own, and the `settled` ones that share none.

    `rows` and `columns`: the rows that the gold spans and the predictions had.
    """

    settled: Pairs
    settled_kinds: Ints
    rows: Ints
    columns: Ints
    gold: Spans
    predictions: Spans
    pairs: Pairs

    def paired(self, mode: str, matching: Matching) -> Pairs:
        """Rows (in gold, in predictions) of the pairs of a mode."""
        choose = _best if matching == "best" else _nervaluate
        return choose(mode, self.gold, self.predictions, self.pairs)

    def counts(self, mode: str, matching: Matching, cells: Ints, settled: Ints) -> tuple[Ints, Ints]:
        """Hits and others per cell: of the pairs here, and of those counted by kind in `settled`.

        `cells` are those of the gold spans that the rows speak of.
        """
        i, j = self.paired(mode, matching)
        pairs = joined([self.settled, (self.rows[i], self.columns[j])])
        kinds = np.append(self.settled_kinds, _kinds(self.gold, self.predictions, (i, j)))
        counts = settled + _counted(kinds, cells[pairs[0]], len(settled))
        return counts @ _HIT[mode], counts @ (1 - _HIT[mode])


def _tangled(gold: Spans, predictions: Spans, pairs: Pairs) -> _Knots:
    i, j = pairs
    alone = (np.bincount(i, minlength=len(gold))[i] == 1) & (np.bincount(j, minlength=len(predictions))[j] == 1)
    lefts, left = _compact(i[~alone], len(gold))
    rights, right = _compact(j[~alone], len(predictions))
    settled = i[alone], j[alone]
    kinds = _kinds(gold, predictions, settled)
    return _Knots(settled, kinds, lefts, rights, gold.take(lefts), predictions.take(rights), (left, right))


def _compact(rows: Ints, size: int) -> tuple[Ints, Ints]:
    """The rows that occur, and for each its number among them."""
    there = np.zeros(size, bool)
    there[rows] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[rows]


def _best(mode: str, gold: Spans, predictions: Spans, pairs: Pairs) -> Pairs:
    i, j = pairs
    sizes = len(gold), len(predictions)
    hits = _HIT[mode][_kinds(gold, predictions, pairs)]
    hit = hits == 1
    first = most((i[hit], j[hit]), *sizes)
    if mode == "type":
        return first if hit.all() else heaviest(pairs, hits, _rows(pairs, first, sizes[0]), *sizes)
    free_gold, free_predictions = np.ones(sizes[0], bool), np.ones(sizes[1], bool)
    free_gold[first[0]] = free_predictions[first[1]] = False
    free = free_gold[i] & free_predictions[j]
    both = joined([first, most((i[free], j[free]), *sizes)])
    return heaviest(pairs, 1 + hits, _rows(pairs, both, sizes[0]), *sizes) if mode == "partial" else both


def _rows(pairs: Pairs, some: Pairs, lefts: int) -> Ints:
    """The rows of some of the pairs, which are sorted by prediction, then gold span."""
    return np.searchsorted(pairs[1] * lefts + pairs[0], some[1] * lefts + some[0])


def _enough(gold: Spans, predictions: Spans, pairs: Pairs) -> Mask:
    """nervaluate's default threshold: the overlap is 1% of the gold span or more, in its own arithmetic."""
    i, j = pairs
    shared = np.minimum(gold.end[i], predictions.end[j]) - np.maximum(gold.start[i], predictions.start[j])
    enough: Mask = (shared / (gold.end[i] - gold.start[i])) * 100.0 >= 1.0
    return enough


def _nervaluate(mode: str, gold: Spans, predictions: Spans, pairs: Pairs) -> Pairs:
    """Each prediction in turn: a hit (in mode type the nearest, by sum of distances), else the first that overlaps."""
    i, j = pairs
    hits = _HIT[mode][_kinds(gold, predictions, pairs)]
    if mode == "type":
        distance = np.abs(gold.start[i] - predictions.start[j]) + np.abs(gold.end[i] - predictions.end[j])
        return in_turn(pairs, np.where(hits, distance, distance.max(initial=0) + 1), len(gold), len(predictions))
    return in_turn(pairs, 1 - hits, len(gold), len(predictions))


def _hipe(gold: Spans, predictions: Spans, pairs: Pairs) -> tuple[Pairs, Mask]:
    """The pairs of HIPE-scorer 2022, which goes through the predictions once for all modes; the gold spans used.

    A prediction takes a gold span equal to it, used or not; else, in their order, the first gold span that has its
    bounds, used or not, or that overlaps and is not used. Equal gold spans are used together.
    """
    i, j = pairs
    rows = np.column_stack([gold.document, gold.start, gold.end, gold.label])
    kind: Ints = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    kinds = _kinds(gold, predictions, (i, j))
    bounds, same = kinds >= 2, kinds == 3
    has_equal = np.zeros(len(predictions), bool)
    has_equal[j[same]] = True
    kept = same | ~has_equal[j]
    i, j, bounds = i[kept], j[kept], bounds[kept]
    user = np.full(len(gold), len(predictions))  # of each kind, the first that took one
    earliest = np.empty(len(gold), np.int64)
    found: list[Pairs] = []
    while len(i):
        favourite = np.append(True, j[1:] != j[:-1])
        earliest[kind[i[::-1]]] = j[::-1]
        final = favourite & (bounds | (earliest[kind[i]] == j))
        found.append((i[final], j[final]))
        np.minimum.at(user, kind[i[final]], j[final])
        done = np.zeros(len(predictions), bool)
        done[j[final]] = True
        rest = ~done[j] & (bounds | (user[kind[i]] > j))
        i, j, bounds = i[rest], j[rest], bounds[rest]
    return joined(found), user[kind] < len(predictions)


def _hipe_tallies(gold: Spans, predictions: Spans, pairs: Pairs, used: Ints, documents: int, labels: int) -> Tallies:
    cells, predicted = (side.label * documents + side.document for side in (gold, predictions))
    size, shape = labels * documents, (labels, documents)
    missed = np.bincount(np.delete(cells, used), minlength=size).reshape(shape)
    spurious = np.bincount(np.delete(predicted, pairs[1]), minlength=size).reshape(shape)
    counts = _counted(_kinds(gold, predictions, pairs), cells[pairs[0]], size)
    overall, by_label = {}, {}
    for mode in MODES:
        hits, others = (counts @ _HIT[mode]).reshape(shape), (counts @ (1 - _HIT[mode])).reshape(shape)
        possible, actual = hits + others + missed, hits + others + spurious
        by_label[mode] = _tally(mode, hits, others, possible, actual)
        overall[mode] = _tally(mode, *(c.sum(axis=0) for c in (hits, others, possible, actual)))
    return Tallies(overall, by_label)
