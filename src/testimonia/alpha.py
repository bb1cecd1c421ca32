"""Krippendorff's alpha for unitizing (alpha_U), for characters, and for values, from counts that add up over blocks.

alpha_U: Krippendorff (1995), On the reliability of unitizing continuous data, Sociological Methodology 25, 47-76;
alpha: Krippendorff (2004), Content Analysis, chapter 11.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from testimonia.matching import Floats, Ints, Spans, added, overlapping, runs
from testimonia.passes import Layout


def disjoint(units: Spans) -> Spans:
    """The units without those that overlap an earlier one of their pass and label; the first by (start, end) stays."""
    order = np.lexsort((units.end, units.start, units.label, units.document))
    units = units.take(order)
    same = (units.document[1:] == units.document[:-1]) & (units.label[1:] == units.label[:-1])
    if not (same & (units.start[1:] < units.end[:-1])).any():
        return units
    kept = np.zeros(len(units), bool)
    last: tuple[int, int, int] = (-1, -1, 0)
    for row, (number, start, end, label) in enumerate(
        zip(*(c.tolist() for c in (units.document, units.start, units.end, units.label)), strict=True)
    ):
        if (number, label) != last[:2] or start >= last[2]:
            kept[row], last = True, (number, label, end)
    return units.take(kept)


@dataclass(frozen=True, slots=True)
class Unitizing:
    """Counts of alpha_U: blocks x columns, and the label and length of each of the K classes of units.

    Columns: observed disagreement per label, length, length times raters, units per class, places per class.
    """

    counts: Floats
    labels: int
    label: Ints
    length: Ints

    def disagreements(self, sums: Floats) -> tuple[Floats, Floats]:
        """Observed and expected disagreement per label (n x labels each) of n sums of counts.

        Krippendorff (1995), equations for D_oc and D_ec; a unit of length l has a place wherever it fits into a gap.
        """
        classes = len(self.length)
        total, line = sums[:, self.labels, None], sums[:, self.labels + 1, None]
        units, places = sums[:, self.labels + 2 : self.labels + 2 + classes], sums[:, self.labels + 2 + classes :]
        size = self.length.astype(np.float64)
        member = (self.label[:, None] == np.arange(self.labels)).astype(np.float64)
        among = (units * (2 * size**3 - 3 * size**2 + size)) @ member * (units @ member - 1) / 3
        above = 2 / total * (among + (units * size**2 * places) @ member)
        below = line * (line - 1) - (units * size * (size - 1)) @ member
        return sums[:, : self.labels] / total**2, above / below

    def alphas(self, sums: Floats) -> Floats:
        """alpha_U of n sums of counts, n x (1 + labels): over all labels, then of each.

        1 - observed / expected disagreement, each added up over the labels.
        """
        observed, expected = self.disagreements(sums)
        overall = 1 - observed.sum(axis=1) / expected.sum(axis=1)
        return np.column_stack([overall, 1 - observed / expected])


def observed(layout: Layout, units: Spans, labels: int) -> Floats:
    """Each unit's part in the observed disagreement of alpha_U, before division by the square of the length.

    Krippendorff (1995): for every two passes, overlapping units disagree by the squares of the differences of their
    beginnings and of their ends; a unit that lies in a gap of the other pass by the square of its length. Both
    orders of the two count. The sum is averaged over the pairs of passes of the document.
    """
    sides = layout.sides(units)
    left, right = sides.left.by_label(labels), sides.right.by_label(labels)
    i, j = overlapping(left, right)
    squares = (left.start[i] - right.start[j]) ** 2.0 + (left.end[i] - right.end[j]) ** 2.0
    owner = np.where(left.start[i] <= right.start[j], sides.left_rows[i], sides.right_rows[j])
    parts = added(owner, 2 * squares, len(units))
    for rows, hit in ((sides.left_rows, i), (sides.right_rows, j)):
        alone = rows[np.bincount(hit, minlength=len(rows)) == 0]
        parts += 2 * np.bincount(alone, minlength=len(units)) * (units.end - units.start) ** 2.0
    raters = layout.raters[layout.document[units.document]]
    averaged: Floats = parts / np.maximum(raters * (raters - 1), 1)
    return averaged


def unitizing(layout: Layout, units: Spans, parts: Floats, drawn: Ints, labels: int) -> Unitizing:
    """The counts of alpha_U over the documents of a layout, one continuum in their order.

    `parts` as `observed` gives them; `drawn`: the drawn block of each block of the layout, rising from 0. Documents
    that fewer than two passed over are for the caller to leave out. Where an annotator has not passed over a
    document, that annotator's continuum goes on with the next; with every annotator in every document this is
    Krippendorff's.
    """
    blocks = int(drawn.max(initial=-1)) + 1
    rows = np.lexsort((layout.document, layout.annotator))
    lengths = layout.lengths[layout.document[rows]]
    line = int(lengths.sum())
    base = np.empty(len(layout.document), np.int64)
    base[rows] = np.cumsum(lengths) - lengths  # all raters' continua one after the other
    position = units.label * line + base[units.document]
    # Gaps, per label and rater: from each end (or the rater's first place) to the next start (or the rater's last).
    edges = np.append(base[rows][np.diff(layout.annotator[rows], prepend=-1) != 0], line)
    every = np.arange(labels)[:, None] * line
    gap_start = np.sort(np.append(position + units.end, (every + edges[:-1]).ravel()))
    gap_end = np.sort(np.append(position + units.start, (every + edges[1:]).ravel()))
    # Blocks cut the gaps into pieces.
    first = np.searchsorted(layout.block_document, layout.document[rows])
    sizes = np.searchsorted(layout.block_document, layout.document[rows], side="right") - first
    of_rows = runs(first, sizes)
    cuts = np.repeat(base[rows], sizes) + layout.block_start[of_rows]
    block = drawn[of_rows]
    fresh = np.diff(block, prepend=-1) != 0
    cuts, block = cuts[fresh], block[fresh]
    cut = (every + cuts).ravel()
    nth = np.searchsorted(cut, gap_start, side="right") - 1
    counts = np.maximum(np.searchsorted(cut, gap_end, side="left") - nth, 0)
    gap, nth = np.repeat(np.arange(len(gap_start)), counts), runs(nth, counts)
    stop = np.append(cut[1:], labels * line)[nth]
    from_ = gap_end[gap] - np.maximum(gap_start[gap], cut[nth])
    to = gap_end[gap] - np.minimum(gap_end[gap], stop)
    key = (nth // max(len(cuts), 1)) * blocks + block[nth % max(len(cuts), 1)]
    # Classes of units: (label, length). A piece that ends `to` before its gap does holds places for length l.
    width = line + 2
    classes, of_class = np.unique(units.label * width + (units.end - units.start), return_inverse=True)
    label, length = classes // width, classes % width
    query = label * blocks + np.arange(blocks)[:, None]
    places = _hinge(key, from_ + 1, query, length, width) - _hinge(key, to + 1, query, length, width)
    where = drawn[layout.block_of(layout.document[units.document], units.start)]
    share = added(where * labels + units.label, parts, blocks * labels).reshape(blocks, labels)
    number = np.bincount(where * len(classes) + of_class, minlength=blocks * len(classes)).reshape(blocks, len(classes))
    extent = block_lengths(layout).astype(np.float64)
    extents = added(drawn, extent, blocks)
    lines = added(drawn, extent * layout.raters[layout.block_document], blocks)
    return Unitizing(np.column_stack([share, extents, lines, number, places]), labels, label, length)


def characters(layout: Layout, units: Spans, labels: int) -> Floats:
    """Counts of the alpha of characters, blocks x (2 * labels + 1).

    Each character of a document with m >= 2 passes is a unit with m values: within a span of the label or not. Per
    label: coincidences of within with not within, sum of k (m - k) / (m - 1) where k of m are within; values that
    are within. Last: all values. Units are sorted by pass and start. Krippendorff (2004), section 11.3.
    """
    blocks, total = len(layout.block_start), int(layout.lengths.sum())
    base = np.cumsum(layout.lengths) - layout.lengths
    units = units.take(np.argsort(units.label.astype(np.int16), kind="stable"))
    # A pass's overlapping units of a label are joined: sorted starts and ends alone tell where they begin and end.
    key = (units.label * len(layout.document) + units.document) * layout.width
    starts, ends = key + units.start, np.sort(key + units.end, kind="stable")
    fresh = np.append(True, starts[1:] > ends[:-1])[: len(starts)]
    line = (units.label * total + base[layout.document[units.document]] - key)[fresh]
    starts, ends = starts[fresh] + line, ends[np.append(fresh[1:], True)[: len(ends)]] + line
    cut = (np.arange(labels)[:, None] * total + base[layout.block_document] + layout.block_start).ravel()
    # Events in order of place: a start, where a block begins, an end.
    events = np.concatenate([starts * 4 + 1, ends * 4 + 3, cut * 4 + 2])
    narrow = labels * total * 4 < np.iinfo(np.int32).max
    events = np.sort(events.astype(np.int32) if narrow else events).astype(np.int64)
    positions = events >> 2
    within = np.cumsum(2 - (events & 3))
    width = np.diff(positions, append=labels * total)
    nth = np.searchsorted(cut, positions, side="right") - 1
    raters = layout.raters[layout.block_document]
    pairable = raters > 1
    m = np.tile(raters * pairable, labels)  # of each cell of labels x blocks, as `cut` has them
    ones = added(nth, within * width, len(cut))
    squares = added(nth, within**2 * width, len(cut))
    mixed = (m * ones - squares * (m > 1)) / np.maximum(m - 1, 1)
    cells = [table.reshape(labels, blocks).T for table in (mixed, ones * (m > 1))]
    return np.column_stack([*cells, block_lengths(layout) * raters * pairable])


def character_alphas(sums: Floats) -> Floats:
    """The alpha of characters of each label, from `characters`; not defined where no or every character is within."""
    labels = (sums.shape[1] - 1) // 2
    mixed, ones, n = sums[:, :labels], sums[:, labels:-1], sums[:, -1:]
    result: Floats = 1 - (n - 1) * mixed / (ones * (n - ones))
    return result


def pair_counts(left: Ints, right: Ints, block: Ints, blocks: int, kinds: int) -> Floats:
    """Counts of kappa over pairs of values 0..kinds-1, blocks x (2 + 2 * kinds): pairs, equal ones, marginals."""
    one = np.ones(len(left))
    columns = [
        added(block, one, blocks)[:, None],
        added(block, (left == right).astype(np.float64), blocks)[:, None],
        added(block * kinds + left, one, blocks * kinds).reshape(blocks, kinds),
        added(block * kinds + right, one, blocks * kinds).reshape(blocks, kinds),
    ]
    return np.hstack(columns)


def kappa(sums: Floats) -> Floats:
    """Cohen (1960), A coefficient of agreement for nominal scales: (p_o - p_e) / (1 - p_e); from `pair_counts`."""
    n, kinds = sums[:, 0], (sums.shape[1] - 2) // 2
    chance = (sums[:, 2 : 2 + kinds] * sums[:, 2 + kinds :]).sum(axis=1) / n**2
    result: Floats = (sums[:, 1] / n - chance) / (1 - chance)
    return result


def unit_counts(unit: Ints, value: Ints, block: Ints, blocks: int, kinds: int) -> Floats:
    """Counts of alpha over values 0..kinds-1 of units, blocks x (1 + kinds): coincidences of equal values, marginals.

    A unit with m >= 2 values gives n_c (n_c - 1) / (m - 1) coincidences of each value c; it stands in the first block
    given for it.
    """
    units, number = np.unique(unit, return_inverse=True)
    size = np.bincount(number, minlength=len(units))
    where = np.full(len(units), blocks)
    np.minimum.at(where, number, block)
    cell, counts = np.unique(number * kinds + value, return_counts=True)
    owner, kind = cell // kinds, cell % kinds
    worth = np.where(size[owner] > 1, counts, 0)
    equal = worth * (counts - 1) / np.maximum(size[owner] - 1, 1)
    marginals = added(where[owner] * kinds + kind, worth.astype(np.float64), blocks * kinds).reshape(blocks, kinds)
    return np.column_stack([added(where[owner], equal, blocks), marginals])


def value_alpha(sums: Floats) -> Floats:
    """Krippendorff (2004), section 11.3, nominal: 1 - (n - 1) (n - equal) / (n^2 - sum of n_c^2); of `unit_counts`."""
    n = sums[:, 1:].sum(axis=1)
    result: Floats = 1 - (n - 1) * (n - sums[:, 0]) / (n**2 - (sums[:, 1:] ** 2).sum(axis=1))
    return result


def block_lengths(layout: Layout) -> Ints:
    """Code points of each block."""
    ends = np.append(layout.block_start[1:], 0)
    last = np.append(layout.block_document[1:] != layout.block_document[:-1], True)[: len(ends)]
    return np.where(last, layout.lengths[layout.block_document], ends) - layout.block_start


def _hinge(key: Ints, value: Ints, query: Ints, threshold: Ints, width: int) -> Floats:
    """For each query (blocks x classes): the sum of max(value - threshold, 0) over the values of that key."""
    order = np.sort(key * width + value)
    above = np.append(0, np.cumsum(order % width))
    first = np.searchsorted(order, query * width + threshold, side="right")
    last = np.searchsorted(order, (query + 1) * width, side="left")
    sums: Floats = (above[last] - above[first] - threshold * (last - first)).astype(np.float64)
    return sums
