"""Scores against nervaluate 1.2.1, a plain reading of HIPE's rules, and every pairing there is."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from nervaluate import Evaluator

from testimonia.tallies import MODES, Matching, Tallies, Tally, tallies
from tests.strategies import columns, span_rows

Row = tuple[int, int, int, int]
LABELS = "ABC"
COUNTS = ("correct", "incorrect", "partial", "missed", "spurious")


def corpus(seed: int) -> tuple[list[Row], list[Row], int]:
    """Gold spans, predictions in random order, number of documents; many overlap, nest, repeat."""
    rng = random.Random(seed)
    documents, size = rng.randint(1, 4), rng.choice([12, 30, 400])

    def drawn(document: int, count: int) -> list[Row]:
        rows = []
        for _ in range(count):
            start = rng.randrange(size)
            rows.append((document, start, start + rng.randint(1, rng.choice([3, 8, 150])), rng.randrange(3)))
        return rows

    gold: list[Row] = []
    predictions: list[Row] = []
    for document in range(documents):
        here = drawn(document, rng.randint(0 if document else 1, 7))
        copies = [row if rng.random() < 0.6 else (*row[:3], rng.randrange(3)) for row in here if rng.random() < 0.8]
        said = copies + drawn(document, rng.randint(0, 4))
        rng.shuffle(said)
        gold += here
        predictions += said
    return gold, predictions, documents


def counted(tally: Tally, label: int | None = None) -> list[int]:
    arrays = [getattr(tally, name) for name in COUNTS]
    return [int((array if label is None else array[label]).sum()) for array in arrays]


def scored(gold: list[Row], predictions: list[Row], documents: int, matching: Matching) -> Tallies:
    return tallies(columns(gold), columns(predictions), documents, len(LABELS), matching)


def test_the_counts_of_nervaluate() -> None:
    for seed in range(2000):
        gold, predictions, documents = corpus(seed)
        ours = scored(gold, predictions, documents, "nervaluate")
        sides = [
            [
                [
                    {"label": LABELS[label], "start": start, "end": end - 1}
                    for d, start, end, label in rows
                    if d == document
                ]
                for document in range(documents)
            ]
            for rows in (gold, predictions)
        ]
        theirs = Evaluator(*sides, tags=list(LABELS), loader="dict").evaluate()
        for mode in MODES:
            name = "ent_type" if mode == "type" else mode
            expected = [getattr(theirs["overall"][name], count) for count in COUNTS]
            assert counted(ours.overall[mode]) == expected, (seed, mode)
            for number, label in enumerate(LABELS):
                if label in theirs["entities"]:
                    expected = [getattr(theirs["entities"][label][name], count) for count in COUNTS]
                    assert counted(ours.filtered[mode], number) == expected, (seed, mode, label)


def hipe(gold: list[Row], predictions: list[Row]) -> dict[str, Counter[tuple[int, str]]]:
    """HIPE's rules as the tool applies them, one document, counts by (label, count)."""
    found: dict[str, Counter[tuple[int, str]]] = {mode: Counter() for mode in MODES}
    used: list[Row] = []

    def count(label: int, *words: str) -> None:
        for mode, word in zip(MODES, words, strict=True):
            found[mode][label, word] += 1

    for span in predictions:
        if span in gold:
            used.append(span)
            count(span[3], *["correct"] * 4)
            continue
        for other in gold:
            if other[:3] == span[:3]:
                used.append(other)
                count(other[3], "incorrect", "correct", "correct", "incorrect")
                break
            if other[1] < span[2] and span[1] < other[2] and other not in used:
                used.append(other)
                hit = "correct" if other[3] == span[3] else "incorrect"
                count(other[3], "incorrect", "incorrect", "partial", hit)
                break
        else:
            count(span[3], *["spurious"] * 4)
    for other in gold:
        if other not in used:
            count(other[3], *["missed"] * 4)
    return found


def test_the_counts_of_hipe() -> None:
    for seed in range(2000):
        gold, predictions, documents = corpus(seed)
        ours = scored(gold, predictions, documents, "hipe")
        expected: dict[str, Counter[tuple[int, str]]] = {mode: Counter() for mode in MODES}
        for document in range(documents):
            sides = [[row for row in rows if row[0] == document] for rows in (gold, predictions)]
            for mode, found in hipe(*sides).items():
                expected[mode] += found
        for mode in MODES:
            for label in range(3):
                wanted = [expected[mode][label, word] for word in COUNTS]
                assert counted(ours.filtered[mode], label) == wanted, (seed, mode)
            wanted = [sum(expected[mode][label, word] for label in range(3)) for word in COUNTS]
            assert counted(ours.overall[mode]) == wanted, (seed, mode)


@settings(max_examples=60, deadline=None)
@given(span_rows(most=5), span_rows(most=5))
def test_best_is_the_best_of_all_pairings(gold: list[Row], predictions: list[Row]) -> None:
    pairs = [
        (a, b)
        for a, one in enumerate(gold)
        for b, other in enumerate(predictions)
        if one[0] == other[0] and one[1] < other[2] and other[1] < one[2]
    ]

    def earned(mode: str, chosen: tuple[tuple[int, int], ...]) -> tuple[int, int]:
        hits = sum(hit(mode, gold[a], predictions[b]) for a, b in chosen)
        credit = 2 * hits + (len(chosen) - hits if mode == "partial" else 0)
        return credit, len(chosen)

    ours = scored(gold, predictions, 2, "best").overall
    for mode in MODES:
        credit, size = 0, 0
        for count in range(min(len(gold), len(predictions)) + 1):
            for chosen in combinations(pairs, count):
                if len({a for a, _ in chosen}) == count == len({b for _, b in chosen}):
                    credit, size = max((credit, size), earned(mode, chosen))
        correct, incorrect, partial, missed, spurious = counted(ours[mode])
        assert (2 * correct + partial, correct + incorrect + partial) == (credit, size)
        assert correct + incorrect + partial + missed == len(gold)
        assert correct + incorrect + partial + spurious == len(predictions)


def hit(mode: str, one: Row, other: Row) -> bool:
    bounds, label = one[1:3] == other[1:3], one[3] == other[3]
    return {"strict": bounds and label, "exact": bounds, "partial": bounds, "type": label}[mode]


@settings(max_examples=60, deadline=None)
@given(span_rows(), span_rows())
def test_best_does_not_depend_on_order(gold: list[Row], predictions: list[Row]) -> None:
    there = scored(gold, predictions, 2, "best")
    back = scored(gold[::-1], predictions[::-1], 2, "best")
    turned = scored(predictions, gold, 2, "best")
    whole = scored(gold, gold, 2, "best")
    for mode in MODES:
        assert counted(there.overall[mode]) == counted(back.overall[mode])
        correct, incorrect, partial, missed, spurious = counted(there.overall[mode])
        assert counted(turned.overall[mode]) == [correct, incorrect, partial, spurious, missed]
        assert counted(whole.overall[mode]) == [len(gold), 0, 0, 0, 0]
        by_label = there.filtered[mode]
        one = scored([r for r in gold if r[3] == 1], [r for r in predictions if r[3] == 1], 2, "best")
        assert counted(by_label, 1) == counted(one.overall[mode])


@pytest.mark.parametrize("matching", ["best", "nervaluate", "hipe"])
def test_nothing_to_score(matching: Matching) -> None:
    for gold, predictions in (([], []), ([(0, 0, 1, 0)], []), ([], [(1, 0, 1, 2)])):
        found = scored(gold, predictions, 3, matching)
        for mode in MODES:
            assert counted(found.overall[mode]) == [0, 0, 0, len(gold), len(predictions)]
            assert found.filtered[mode].missed.shape == (3, 3)
            assert found.overall[mode].missed.dtype == np.dtype(np.int64)
