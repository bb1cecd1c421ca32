"""gamma: Mathet, Widlöcher and Métivier (2015), The unified and holistic method gamma, Computational Linguistics 41(3).

The best alignment is found exactly: for two annotators as an assignment problem, for more as a set partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from zlib import crc32

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import coo_array

from testimonia.errors import Finding
from testimonia.matching import Floats, Ints, Spans
from testimonia.passes import Passes, part_of

EMPTY = 1.0  # delta_empty: what a unit costs that is aligned with none
SAMPLES = 30
MOST_SAMPLES = 300
PRECISION = 0.02  # of the expected disorder, with a confidence of 95%
REACH = 100_000  # unitary alignments to choose from, where annotators are three or more
PATIENCE = 60  # seconds for one best alignment of three or more


class OutOfReachError(Exception):
    """There are more unitary alignments than REACH, or the best took longer than PATIENCE."""


def gammas(passes: Passes, seed: int = 1) -> tuple[dict[str, float | None], list[Finding]]:
    """gamma of each document with two annotators or more, and `overall`: 1 - sum of observed / sum of expected costs.

    A cost is a disorder times the mean number of units. None where gamma is not defined: no spans, or out of reach.
    """
    findings: list[Finding] = []
    found: dict[str, float | None] = {}
    costs: list[tuple[float, float]] = []
    first = np.searchsorted(passes.layout.document, np.arange(len(passes.documents) + 1))
    for row, document in enumerate(passes.documents):
        numbers = np.arange(first[row], first[row + 1])
        if len(numbers) < 2:
            continue
        sides = sorted((part_of(passes.spans, numbers[n : n + 1])[0] for n in range(len(numbers))), key=_content)
        found[document.doc_id] = None
        mean = sum(map(len, sides)) / len(sides)
        if not mean:
            continue
        try:
            observed = disorder(sides)
            expected = expected_disorder(
                sides, len(document.text), np.random.default_rng([seed, crc32(document.doc_id.encode())])
            )
        except OutOfReachError:
            message = f"gamma of {len(sides)} annotators with {round(mean)} spans each is out of reach"
            text = f"{message}: too many ways to align them; choose two annotators with --annotator"
            findings.append(Finding(document.doc_id, "gamma-out-of-reach", text, "warning"))
            continue
        costs.append((observed * mean, expected * mean))
        found[document.doc_id] = 1 - observed / expected if expected else None
    total = sum(cost for _, cost in costs)
    overall = 1 - sum(cost for cost, _ in costs) / total if total else None
    return {"overall": overall, **found}, findings


def _content(side: Spans) -> list[list[int]]:
    """What a side holds, to draw the same whatever the annotators are called."""
    return [column.tolist() for column in (side.start, side.end, side.label)]


def dissimilarity(left: Spans, right: Spans) -> Floats:
    """Each unit of one side with each of the other (equations 4 to 6, alpha = beta = 1).

    ((|difference of starts| + |difference of ends|) / sum of lengths)^2, plus 1 where labels differ; in delta_empty.
    """
    starts = np.abs(left.start[:, None] - right.start[None, :])
    ends = np.abs(left.end[:, None] - right.end[None, :])
    lengths = (left.end - left.start)[:, None] + (right.end - right.start)[None, :]
    cost: Floats = EMPTY * (((starts + ends) / lengths) ** 2 + (left.label[:, None] != right.label[None, :]))
    return cost


def disorder(sides: Sequence[Spans]) -> float:
    """Disorder of the best alignment (sections 4.2 to 4.4): the sum over unitary alignments by mean number of units.

    A unitary alignment holds one unit, or none, of each annotator; its disorder is the mean over pairs of annotators,
    delta_empty where a unit is missing. Raises OutOfReachError for three or more annotators with too much to align.
    """
    mean = sum(map(len, sides)) / len(sides)
    if len(sides) == 2:
        left, right = sides
        cost = np.minimum(dissimilarity(left, right), 2 * EMPTY)  # two units alone are never dearer
        rows, columns = linear_sum_assignment(cost)
        return float(cost[rows, columns].sum() + EMPTY * abs(len(left) - len(right))) / mean
    tuples, cost = _unitary(sides)
    offsets = np.cumsum([0, *map(len, sides)])
    number, annotator = np.nonzero(tuples >= 0)
    unit = offsets[annotator] + tuples[number, annotator]
    each = coo_array((np.ones(len(unit)), (unit, number)), shape=(offsets[-1], len(cost))).tocsr()
    solved = milp(
        cost,
        constraints=LinearConstraint(each, 1, 1),
        integrality=np.ones(len(cost)),
        bounds=Bounds(0, 1),
        options={"time_limit": PATIENCE},
    )
    if not solved.success:
        raise OutOfReachError
    return float(solved.fun) / mean


def _unitary(sides: Sequence[Spans]) -> tuple[Ints, Floats]:
    """Unitary alignments (rows; a unit per annotator or -1) that may be in the best one, and their disorders.

    One whose k units cost more than k units alone cannot be (section 5.1, with k in place of n).
    """
    pairs = len(sides) * (len(sides) - 1) / 2
    costs = {
        (a, b): np.pad(dissimilarity(sides[a], sides[b]), (0, 1), constant_values=EMPTY)
        for a, b in combinations(range(len(sides)), 2)
    }
    tuples: Ints = np.empty((1, 0), np.int64)
    total: Floats = np.zeros(1)
    for nth, side in enumerate(sides):
        choices = np.append(np.arange(len(side)), -1)
        if len(tuples) * len(choices) > 50 * REACH:
            raise OutOfReachError
        grown = np.column_stack([np.repeat(tuples, len(choices), axis=0), np.tile(choices, len(tuples))])
        cost = np.repeat(total, len(choices))
        for before in range(nth):
            cost += costs[before, nth][grown[:, before], grown[:, nth]]
        units = (grown >= 0).sum(axis=1)
        kept = cost <= pairs * EMPTY * (units + len(sides) - 1 - nth) + 1e-9
        tuples, total = grown[kept], cost[kept]
        if len(tuples) > REACH:
            raise OutOfReachError
    some = (tuples >= 0).any(axis=1)
    return tuples[some], total[some] / pairs


def expected_disorder(sides: Sequence[Spans], length: int, rng: np.random.Generator) -> float:
    """Mean disorder of random continua (sections 5.2 and 5.3).

    Each random annotator is a real one drawn with replacement and rotated over the text of this length; rotations lie
    more than half the mean length of a unit apart where there is room. At least SAMPLES, at most MOST_SAMPLES, until
    the mean is within PRECISION.
    """
    apart = float(np.concatenate([side.end - side.start for side in sides]).mean()) / 2
    values: list[float] = []
    wanted = SAMPLES
    while len(values) < wanted:
        shifts = _apart(rng, len(sides), length, apart)
        drawn = [_rotated(sides[int(rng.integers(len(sides)))], shift, length) for shift in shifts]
        if not any(map(len, drawn)):
            continue
        values.append(disorder(drawn))
        if len(values) == SAMPLES:
            variation = np.std(values) / np.mean(values) if np.mean(values) else 0.0
            wanted = min(max(SAMPLES, int(np.ceil((1.96 * variation / PRECISION) ** 2))), MOST_SAMPLES)
    return float(np.mean(values))


def _apart(rng: np.random.Generator, count: int, length: int, apart: float) -> list[int]:
    shifts: list[int] = []
    free = np.ones(length, bool)
    for _ in range(count):
        places = np.flatnonzero(free)
        shifts.append(int(rng.choice(places)) if len(places) else int(rng.integers(length)))
        free &= np.abs(np.arange(length) - shifts[-1]) > apart
    return shifts


def _rotated(units: Spans, shift: int, length: int) -> Spans:
    start = (units.start + shift) % length
    return Spans(units.document, start, start + units.end - units.start, units.label)
