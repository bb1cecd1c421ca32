"""Pairs of spans against brute force."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from testimonia.matching import Pairs, Spans, closest, equal, heaviest, in_turn, most, overlapping, turns
from tests.strategies import columns, span_rows

Row = tuple[int, int, int, int]


@given(span_rows(), span_rows())
def test_equal_pairs_each_span_once(left: list[Row], right: list[Row]) -> None:
    i, j = equal(columns(left), columns(right))
    assert len(set(i.tolist())) == len(i)
    assert len(set(j.tolist())) == len(j)
    assert all(left[a] == right[b] for a, b in zip(i.tolist(), j.tolist(), strict=True))
    assert len(i) == sum(min(left.count(row), right.count(row)) for row in set(left))


@given(span_rows(), span_rows())
def test_overlapping_is_every_pair_that_shares_a_character(left: list[Row], right: list[Row]) -> None:
    i, j = overlapping(columns(left), columns(right))
    expected = {
        (a, b)
        for a, one in enumerate(left)
        for b, other in enumerate(right)
        if one[0] == other[0] and one[1] < other[2] and other[1] < one[2]
    }
    assert len(i) == len(expected)
    assert set(pairs_of((i, j))) == expected


@settings(max_examples=60)
@given(span_rows(most=5), span_rows(most=5))
def test_most_is_as_many_as_there_can_be(left: list[Row], right: list[Row]) -> None:
    every = overlapping(columns(left), columns(right))
    chosen = pairs_of(most(every, len(left), len(right)))
    assert set(chosen) <= set(pairs_of(every))
    assert one_to_one(chosen)
    more = combinations(pairs_of(every), len(chosen) + 1)
    assert not any(one_to_one(candidate) for candidate in more)


@given(span_rows(), span_rows())
def test_closest_leaves_nothing_better(left: list[Row], right: list[Row]) -> None:
    chosen = pairs_of(closest(columns(left), columns(right)))
    assert one_to_one(chosen)
    of_left, of_right = dict(chosen), {b: a for a, b in chosen}
    for a, b in pairs_of(overlapping(columns(left), columns(right))):
        taken = [jaccard(left[a], right[of_left[a]])] if a in of_left else []
        taken += [jaccard(left[of_right[b]], right[b])] if b in of_right else []
        assert taken
        assert max(taken) >= jaccard(left[a], right[b])


@given(span_rows(), span_rows())
def test_closest_does_not_depend_on_the_side(left: list[Row], right: list[Row]) -> None:
    def bounds(pairs: Pairs, one: list[Row], other: list[Row]) -> list[tuple[Row, Row]]:
        return sorted((one[a][:3], other[b][:3]) for a, b in pairs_of(pairs))  # type: ignore[misc]

    there = bounds(closest(columns(left), columns(right)), left, right)
    back = bounds(closest(columns(right), columns(left)), right, left)
    assert there == sorted((b, a) for a, b in back)


def test_a_chain_is_paired_as_far_as_it_goes() -> None:
    left = columns([(0, 0, 4, 0), (0, 6, 10, 0)])
    right = columns([(0, 2, 8, 0), (0, 9, 12, 0)])
    assert len(most(overlapping(left, right), 2, 2)[0]) == 2
    assert pairs_of(closest(left, right)) == [(0, 0), (1, 1)]


def test_no_spans() -> None:
    nothing: Spans = columns([])
    for function in (equal, overlapping, closest):
        i, j = function(nothing, columns([(0, 1, 2, 0)]))
        assert (len(i), len(j)) == (0, 0)
        assert i.dtype == j.dtype == np.dtype(np.int64)


def pairs_of(pairs: Pairs) -> list[tuple[int, int]]:
    return sorted(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))


def one_to_one(pairs: object) -> bool:
    listed = list(pairs)  # type: ignore[call-overload]
    return len({a for a, _ in listed}) == len(listed) == len({b for _, b in listed})


def jaccard(one: Row, other: Row) -> float:
    return (min(one[2], other[2]) - max(one[1], other[1])) / (max(one[2], other[2]) - min(one[1], other[1]))


@given(span_rows(), span_rows(), st.randoms(use_true_random=False))
def test_in_turn_is_the_plain_loop(left: list[Row], right: list[Row], rng: random.Random) -> None:
    i, j = overlapping(columns(left), columns(right))
    turn = turns(columns(right).document)
    order = np.lexsort((i, j, turn[j]))
    i, j = i[order], j[order]
    key = np.array([rng.randint(0, 3) for _ in i], np.int64)
    taken: dict[int, int] = {}
    for b in range(len(right)):
        free = [
            (k, a) for k, a, c in zip(key.tolist(), i.tolist(), j.tolist(), strict=True) if c == b and a not in taken
        ]
        if free:
            taken[min(free)[1]] = b
    rows = in_turn((i, j), key, turn[j], len(left))
    assert pairs_of((i[rows], j[rows])) == sorted(taken.items())


@settings(max_examples=100, deadline=None)
@given(span_rows(most=6), span_rows(most=6), st.sampled_from(["type", "partial"]))
def test_heaviest_is_the_heaviest_and_then_the_largest(left: list[Row], right: list[Row], mode: str) -> None:
    i, j = overlapping(columns(left), columns(right))
    pairs = list(zip(i.tolist(), j.tolist(), strict=True))
    if mode == "type":
        weight = [int(left[a][3] == right[b][3]) for a, b in pairs]
    else:
        weight = [1 + (left[a][:3] == right[b][:3]) for a, b in pairs]
    best = (0, 0)
    base: tuple[int, ...] = ()
    for size in range(min(len(left), len(right)) + 1):
        for rows in combinations(range(len(pairs)), size):
            if one_to_one([pairs[row] for row in rows]):
                value = sum(weight[row] for row in rows), size
                if value[0] > best[0]:
                    base = rows
                best = max(best, value)
    found = pairs_of(heaviest((i, j), np.array(weight, np.int64), np.array(base, np.int64), len(left), len(right)))
    assert one_to_one(found)
    assert (sum(weight[pairs.index(pair)] for pair in found), len(found)) == best
