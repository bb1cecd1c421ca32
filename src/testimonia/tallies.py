"""Scores of predicted spans against gold: what is paired in each mode, and the counts that follow.

Modes as in SemEval-2013 task 9.1: strict = bounds and label, exact = bounds, partial = any overlap counts half, type
= any overlap with the same label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from testimonia.matching import (
    Ints,
    Pairs,
    Spans,
    added,
    closest,
    equal,
    heaviest,
    in_turn,
    joined,
    most,
    overlapping,
    turns,
)

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
    spurious: Ints | None  # None: not known

    @property
    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Ints | None]:
        """The five counts in order."""
        return self.correct, self.incorrect, self.partial, self.missed, self.spurious

    def plus(self, other: Tally) -> Tally:
        """The sums of both, of one shape."""
        one, two = self.spurious, other.spurious
        return Tally(
            self.correct + other.correct,
            self.incorrect + other.incorrect,
            self.partial + other.partial,
            self.missed + other.missed,
            None if one is None or two is None else one + two,
        )

    def times(self, weights: Ints) -> Tally:
        """Each count times a weight."""
        return self.map(lambda counts: counts * weights)

    def summed(self, groups: Ints, size: int) -> Tally:
        """The sums over groups, (size,)."""
        return self.map(lambda counts: added(groups, counts.astype(np.float64), size).astype(np.int64))

    def map(self, function: Callable[[Ints], Ints]) -> Tally:
        """The same with a function of each array."""
        return Tally(
            function(self.correct),
            function(self.incorrect),
            function(self.partial),
            function(self.missed),
            None if self.spurious is None else function(self.spurious),
        )


@dataclass(frozen=True, slots=True)
class Tallies:
    """Counts by mode, each (labels, blocks).

    `filtered`: only spans of one label are paired, label by label. `unfiltered`: spans of all labels are paired; a
    pair and a missed span count for the label of the gold span, a spurious one for its own. Only these add up.
    """

    filtered: Mapping[str, Tally]
    unfiltered: Mapping[str, Tally]

    @property
    def overall(self) -> dict[str, Tally]:
        """Counts over all labels, (blocks,)."""
        return {mode: tally.map(lambda counts: counts.sum(axis=0)) for mode, tally in self.unfiltered.items()}


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks that spans count for, such as sentences: a number for each gold span and each prediction.

    A pair counts where its gold span is, so that the counts of one block alone may not be those of its spans; over
    the blocks of a document they add up.
    """

    gold: Ints
    predictions: Ints
    size: int


def tallies(
    gold: Spans,
    predictions: Spans,
    documents: int,
    labels: int,
    matching: Matching = "best",
    blocks: Blocks | None = None,
) -> Tallies:
    """The counts of each mode, per document where no blocks are given.

    `best`: for each mode the one-to-one pairing that earns most (strict, exact, type: hits; partial: 1 for equal
    bounds, 0.5 for overlap), and among those one that pairs most overlapping spans: the counts do not depend on
    order. `nervaluate` and `hipe`: as those tools go through the predictions in their order; hipe knows no counts
    filtered by label, there `filtered` is `unfiltered`.
    """
    blocks = blocks or Blocks(gold.document, predictions.document, documents)
    if len(gold) + len(predictions) <= _PART:
        return _tallies(gold, predictions, labels, matching, blocks)
    modes = dict.fromkeys(MODES)
    kinds = ("filtered", "unfiltered")
    sums = {(kind, mode): np.zeros((5, labels, blocks.size), np.int64) for kind in kinds for mode in modes}
    for low, high, part in _parts(gold, predictions, labels, matching, blocks, documents):
        for kind, mode in sums:
            for count, column in zip(sums[kind, mode], getattr(part, kind)[mode].columns, strict=True):
                count[:, low:high] += column
    found = [{mode: Tally(*sums[kind, mode]) for mode in modes} for kind in kinds]
    return Tallies(found[0], found[1])


# Spans done at once: so few that what is computed on the way stays in the processor's cache.
_PART = 1 << 17


def _parts(
    gold: Spans, predictions: Spans, labels: int, matching: Matching, blocks: Blocks, documents: int
) -> Iterator[tuple[int, int, Tallies]]:
    """The counts of a stretch of documents after another: the first block, the one past the last, the counts."""
    gold, gold_blocks = _by_document(gold, blocks.gold)
    predictions, predicted_blocks = _by_document(predictions, blocks.predictions)
    sizes = np.bincount(gold.document, minlength=documents) + np.bincount(predictions.document, minlength=documents)
    first = np.flatnonzero(np.diff(np.cumsum(sizes) // _PART, prepend=-1))
    edges = np.append(first, len(sizes))
    gold_edges, predicted_edges = (np.searchsorted(side.document, edges) for side in (gold, predictions))
    for number in range(len(first)):
        here = slice(gold_edges[number], gold_edges[number + 1])
        there = slice(predicted_edges[number], predicted_edges[number + 1])
        inside = gold_blocks[here], predicted_blocks[there]
        low = min(side.min(initial=blocks.size) for side in inside)
        high = max(side.max(initial=-1) for side in inside) + 1
        if low < high:
            inner = Blocks(inside[0] - low, inside[1] - low, int(high - low))
            ours, theirs = (_from(int(first[number]), side) for side in (gold.take(here), predictions.take(there)))
            yield int(low), int(high), _tallies(ours, theirs, labels, matching, inner)


def _from(first: int, spans: Spans) -> Spans:
    return Spans(spans.document - first, spans.start, spans.end, spans.label)


def _by_document(spans: Spans, blocks: Ints) -> tuple[Spans, Ints]:
    """Spans in order of document, their order within one kept; and their blocks."""
    if (spans.document[1:] >= spans.document[:-1]).all():
        return spans, blocks
    order = np.argsort(spans.document, kind="stable")
    return spans.take(order), blocks[order]


def _tallies(gold: Spans, predictions: Spans, labels: int, matching: Matching, blocks: Blocks) -> Tallies:
    shape, size = (labels, blocks.size), labels * blocks.size
    cells = gold.label * blocks.size + blocks.gold
    predicted = predictions.label * blocks.size + blocks.predictions
    possible, actual = np.bincount(cells, minlength=size), np.bincount(predicted, minlength=size)

    alone, rest_gold, rest_predictions, turn = _alone(gold, predictions)
    complex_gold, complex_predictions = gold.take(rest_gold), predictions.take(rest_predictions)
    pairs = overlapping(complex_gold, complex_predictions)
    if matching == "hipe":
        chosen, used = _hipe(complex_gold, complex_predictions, _sorted(pairs, len(rest_gold)))
        found = joined([alone, (rest_gold[chosen[0]], rest_predictions[chosen[1]])])
        left = np.concatenate([rest_gold[used], alone[0]])
        counts = _counted(_kinds(gold, predictions, found), cells[found[0]], size)
        missed = np.bincount(np.delete(cells, left), minlength=size)
        spurious = np.bincount(np.delete(predicted, found[1]), minlength=size)
        result = {mode: _tally(mode, counts, missed, spurious, shape) for mode in MODES}
        return Tallies(result, result)
    knots: type[_Chains | _Knots] = _Knots
    if matching == "nervaluate":
        knots = _Chains
        alone = _enough(gold, predictions, alone)
        pairs = _enough(complex_gold, complex_predictions, pairs)
    pairs = _sorted(pairs, len(rest_gold), turn if matching == "nervaluate" else None)
    kind, kinds = _kinds(gold, predictions, alone), _kinds(complex_gold, complex_predictions, pairs)
    same = np.flatnonzero(kinds & 1)
    settled = _counted(kind, cells[alone[0]], size)
    settled_within = settled * np.array([[0], [1], [0], [1]])
    taken = np.bincount(predicted[alone[1]], minlength=size)
    cell, predicted_cell = cells[rest_gold[pairs[0]]], predicted[rest_predictions[pairs[1]]]
    across = knots(complex_gold, complex_predictions, pairs, kinds, turn)
    within = knots(complex_gold, complex_predictions, (pairs[0][same], pairs[1][same]), kinds[same], turn)
    filtered: dict[str, Tally] = {}
    unfiltered: dict[str, Tally] = {}
    for mode in MODES:
        # Hits are the same in partial as in exact; within a label all three are. The tools pair by hits alone.
        if mode != "partial" or matching == "best":
            rows = across.paired(mode)
            counts = settled + _counted(kinds[rows], cell[rows], size)
            paired = taken + np.bincount(predicted_cell[rows], minlength=size)
        unfiltered[mode] = _tally(mode, counts, possible - counts.sum(axis=0), actual - paired, shape)
        if mode in ("strict", "type") or (mode == "partial" and matching == "best"):
            rows = same[within.paired(mode)]
            inside = settled_within + _counted(kinds[rows], cell[rows], size)
        both = inside.sum(axis=0)
        filtered[mode] = _tally(mode, inside, possible - both, actual - both, shape)
    return Tallies(filtered, unfiltered)


def within_labels(gold: Spans, predictions: Spans) -> Pairs:
    """One-to-one pairs of spans of one label: equal ones first, then the closest."""
    first = equal(gold, predictions)
    rows = [np.delete(np.arange(len(side)), used) for side, used in zip((gold, predictions), first, strict=True)]
    labels = int(max(gold.label.max(initial=0), predictions.label.max(initial=0))) + 1
    i, j = closest(gold.take(rows[0]).by_label(labels), predictions.take(rows[1]).by_label(labels))
    return joined([first, (rows[0][i], rows[1][j])])


def aligned(gold: Spans, predictions: Spans) -> tuple[Pairs, Ints]:
    """One-to-one pairs for looking at errors, and the kind of each: see `_HIT`.

    Equal spans first, then equal bounds, then the closest of one label, then the closest of any.
    """
    free = np.ones(len(gold), bool), np.ones(len(predictions), bool)
    found: list[Pairs] = []
    for pair, with_label in ((equal, True), (equal, False), (closest, True), (closest, False)):
        rows = np.flatnonzero(free[0]), np.flatnonzero(free[1])
        sides = gold.take(rows[0]), predictions.take(rows[1])
        if not with_label:
            sides = sides[0].unlabelled, sides[1].unlabelled
        elif pair is closest:
            labels = int(max(gold.label.max(initial=0), predictions.label.max(initial=0))) + 1
            sides = sides[0].by_label(labels), sides[1].by_label(labels)
        i, j = pair(*sides)
        found.append((rows[0][i], rows[1][j]))
        free[0][rows[0][i]] = free[1][rows[1][j]] = False
    pairs = joined(found)
    return pairs, _kinds(gold, predictions, pairs)


# Whether a pair is a hit, by its kind: 0 neither, 1 label alone, 2 bounds alone, 3 both.
_HIT = {
    "strict": np.array([0, 0, 0, 1]),
    "exact": np.array([0, 0, 1, 1]),
    "partial": np.array([0, 0, 1, 1]),
    "type": np.array([0, 1, 0, 1]),
}


def _kinds(gold: Spans, predictions: Spans, pairs: Pairs) -> Ints:
    i, j = pairs
    bounds = gold.start[i] == predictions.start[j]
    bounds &= gold.end[i] == predictions.end[j]
    kinds: Ints = bounds.view(np.uint8) << 1
    kinds |= (gold.label[i] == predictions.label[j]).view(np.uint8)
    return kinds


def _counted(kinds: Ints, cells: Ints, size: int) -> Ints:
    """Pairs per kind and cell, (4, size)."""
    return np.bincount(kinds * np.int64(size) + cells, minlength=4 * size).reshape(4, size)


def _sorted(pairs: Pairs, lefts: int, turn: Ints | None = None) -> Pairs:
    """Pairs by the turn of their prediction (if given), prediction, gold span."""
    rights = len(turn) if turn is not None else 0
    right = pairs[1] if turn is None else turn[pairs[1]] * rights + pairs[1]
    key = np.sort(right * max(lefts, 1) + pairs[0])
    right, left = np.divmod(key, max(lefts, 1))
    return left, right % rights if turn is not None and rights else right


def _alone(gold: Spans, predictions: Spans) -> tuple[Pairs, Ints, Ints, Ints]:
    """Pairs of one gold span and one prediction that overlap each other and nothing else; rows of the rest; turns.

    Spans that overlap nothing are in neither. Both sides are laid on one line and cut where nothing reaches over. The
    turn of a prediction of the rest: how many between the same cuts come before it in the input.
    """
    width = int(max(gold.end.max(initial=0), predictions.end.max(initial=0))) + 1
    last = int(max(gold.document.max(initial=0), predictions.document.max(initial=0))) + 1
    small = np.dtype(np.int32 if last * width < 1 << 31 else np.int64)
    line: Ints = np.concatenate([gold.document, predictions.document]).astype(small)
    line *= width
    start = line + np.concatenate([gold.start, predictions.start]).astype(small)
    order = np.argsort(start, kind="stable")
    line += np.concatenate([gold.end, predictions.end]).astype(small)
    reach = np.maximum.accumulate(line[order])
    first = np.flatnonzero(np.append(True, start[order][1:] >= reach[:-1])[: len(order)])
    size = np.diff(first, append=len(order))
    two = first[size == 2]
    one, other = order[two], order[two + 1]
    pair = (one < len(gold)) != (other < len(gold))
    one, other = one[pair], other[pair]
    stretch = np.full(len(order), -1)
    stretch[order[np.repeat(size > 2, size)]] = np.repeat(np.arange(len(size)), np.where(size > 2, size, 0))
    alone = np.minimum(one, other), np.maximum(one, other) - len(gold)
    rows = np.flatnonzero(stretch[len(gold) :] >= 0)
    return alone, np.flatnonzero(stretch[: len(gold)] >= 0), rows, turns(stretch[len(gold) :][rows])


def _tally(mode: str, counts: Ints, missed: Ints, spurious: Ints, shape: tuple[int, int]) -> Tally:
    hit = _HIT[mode] == 1
    hits, others = counts[hit].sum(axis=0).reshape(shape), counts[~hit].sum(axis=0).reshape(shape)
    none = np.zeros_like(others)
    incorrect, partial = (none, others) if mode == "partial" else (others, none)
    return Tally(hits, incorrect, partial, missed.reshape(shape), spurious.reshape(shape))


@dataclass(frozen=True, slots=True)
class _Chains:
    """Pairs that are taken in the order of the predictions, as nervaluate does; sorted by turn first."""

    gold: Spans
    predictions: Spans
    pairs: Pairs
    kinds: Ints
    turn: Ints

    def paired(self, mode: str) -> Ints:
        """Rows of the pairs of a mode: each prediction in turn takes a hit, else the first span that overlaps.

        Of several hits the first; in mode type the nearest, by the sum of the distances of both bounds.
        """
        gold, predictions, (i, j) = self.gold, self.predictions, self.pairs
        hits = _HIT[mode][self.kinds]
        key = 1 - hits
        if mode == "type":
            distance = np.abs(gold.start[i] - predictions.start[j]) + np.abs(gold.end[i] - predictions.end[j])
            key = np.where(hits, distance, distance.max(initial=0) + 1)
        return in_turn(self.pairs, key, self.turn[j], len(gold))


class _Knots:
    """Pairs of which the best are taken. What shares no span with another pair is settled at once."""

    def __init__(self, gold: Spans, predictions: Spans, pairs: Pairs, kinds: Ints, _turn: Ints) -> None:
        i, j = pairs
        alone = (np.bincount(i, minlength=len(gold))[i] == 1) & (np.bincount(j, minlength=len(predictions))[j] == 1)
        self._settled, self._rows = np.flatnonzero(alone), np.flatnonzero(~alone)
        self._lefts, left = _compact(i[self._rows], len(gold))
        self._rights, right = _compact(j[self._rows], len(predictions))
        self._pairs, self._kinds = (left, right), kinds[self._rows]

    def paired(self, mode: str) -> Ints:
        """Rows of the pairs of a mode: as many hits as can be, then as many pairs; in partial the greatest credit."""
        sizes = len(self._lefts), len(self._rights)
        found = _best(mode, self._pairs, self._kinds, *sizes)
        return np.append(self._settled, self._rows[_rows(self._pairs, found, sizes[0])])


def _compact(rows: Ints, size: int) -> tuple[Ints, Ints]:
    """The rows that occur, and for each its number among them."""
    there = np.zeros(size, bool)
    there[rows] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[rows]


def _best(mode: str, pairs: Pairs, kinds: Ints, lefts: int, rights: int) -> Pairs:
    """Hits first; of equal bounds (all of which pair with each other) equal labels first."""
    sizes = lefts, rights
    hits = _HIT[mode][kinds]
    if mode == "type":
        first = most((pairs[0][hits == 1], pairs[1][hits == 1]), *sizes)
        return first if hits.all() else heaviest(pairs, hits, _rows(pairs, first, sizes[0]), *sizes)
    found = most((pairs[0][kinds == 3], pairs[1][kinds == 3]), *sizes)
    for wanted in ([kinds == 2] if mode != "strict" else []) + [hits >= 0]:
        found = _with_more(found, pairs, wanted, *sizes)
    return heaviest(pairs, 1 + hits, _rows(pairs, found, sizes[0]), *sizes) if mode == "partial" else found


def _with_more(found: Pairs, pairs: Pairs, wanted: Mask, lefts: int, rights: int) -> Pairs:
    """The pairs found and as many more of those wanted as the spans left over allow."""
    free_left, free_right = np.ones(lefts, bool), np.ones(rights, bool)
    free_left[found[0]] = free_right[found[1]] = False
    free = wanted & free_left[pairs[0]] & free_right[pairs[1]]
    return joined([found, most((pairs[0][free], pairs[1][free]), lefts, rights)])


def _rows(pairs: Pairs, some: Pairs, lefts: int) -> Ints:
    """The rows of some of the pairs, which are sorted by prediction, then gold span."""
    return np.searchsorted(pairs[1] * lefts + pairs[0], some[1] * lefts + some[0])


def _enough(gold: Spans, predictions: Spans, pairs: Pairs) -> Pairs:
    """Those pairs that reach nervaluate's threshold: the overlap is 1% of the gold span or more, in its arithmetic."""
    if (gold.end - gold.start).max(initial=0) < 100:  # one character is enough
        return pairs
    i, j = pairs
    shared = np.minimum(gold.end[i], predictions.end[j]) - np.maximum(gold.start[i], predictions.start[j])
    enough = (shared / (gold.end[i] - gold.start[i])) * 100.0 >= 1.0
    return i[enough], j[enough]


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
