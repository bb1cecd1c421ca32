"""alpha_U against DKPro, alphas against the package krippendorff, kappa by hand."""

from __future__ import annotations

import json
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testimonia import alpha
from testimonia.alpha import Unitizing
from testimonia.matching import Floats, Ints, Spans
from testimonia.passes import Layout, part_of
from testimonia.resampling import Statistic
from tests.conftest import DATA
from tests.strategies import columns

Json = dict[str, Any]
GOLDEN = json.loads((DATA / "agreement_golden.json").read_text())
DKPRO = json.loads((DATA / "alpha_u_golden.json").read_text())["cases"]


def ints(values: object) -> Ints:
    return np.array(values, np.int64)


def layout_of(lengths: list[int], raters: list[list[int]], cuts: list[int] | None = None) -> Layout:
    """Documents with these raters each; every document is cut into blocks at `cuts`."""
    passes = [(document, rater) for document, names in enumerate(raters) for rater in names]
    blocks = [
        (document, cut) for document, length in enumerate(lengths) for cut in sorted({0, *(cuts or [])}) if cut < length
    ]
    return Layout(
        ints(lengths),
        ints([document for document, _ in passes]),
        ints([rater for _, rater in passes]),
        ints([document for document, _ in blocks]),
        ints([start for _, start in blocks]),
    )


def unitizing_of(layout: Layout, units: Spans, labels: int) -> Unitizing:
    units = alpha.disjoint(units)
    parts = alpha.observed(layout, units, labels)
    part, passes, _ = layout.part(np.flatnonzero(layout.raters > 1))
    units, rows = part_of(units, passes)
    return alpha.unitizing(part, units, parts[rows], np.arange(len(part.block_start)), labels)


def value_of(counts: Floats, statistic: Statistic) -> float | None:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(counts.sum(axis=0, keepdims=True)).ravel()[0])
    return value if np.isfinite(value) else None


def alpha_u(raters: int, length: int, units: list[list[Any]], cuts: list[int] | None = None) -> float | None:
    names = sorted({unit[3] for unit in units})
    layout = layout_of([length], [list(range(raters))], cuts)
    rows = sorted((rater, start, end, names.index(name)) for rater, start, end, name in units)
    counted = unitizing_of(layout, columns(rows), len(names))
    return value_of(counted.counts, counted.alphas)


@pytest.mark.parametrize("case", DKPRO, ids=lambda case: case["name"])
def test_alpha_u_is_that_of_dkpro(case: Json) -> None:
    value = alpha_u(case["raters"], case["length"], case["units"])
    assert value == pytest.approx(case["alpha_u"], abs=1e-12)


@pytest.mark.parametrize("case", DKPRO, ids=lambda case: case["name"])
def test_blocks_add_up_to_the_whole(case: Json) -> None:
    length = case["length"]
    cut = alpha_u(case["raters"], length, case["units"], [length // 4, length // 3, length // 2, length - 1])
    assert cut == pytest.approx(case["alpha_u"], abs=1e-12)


def test_alpha_u_by_hand() -> None:
    # Two raters, ten places; one unit each, [2, 4) and [3, 5): they overlap, 1 + 1 in both orders.
    # Observed: 2 * 2 / (2 * 1 * 10^2) = 0.02. A unit of length 2 fits into gaps of 2, 6, 3, 5: 1 + 5 + 2 + 4 = 12 ways;
    # among the N = 2 units: (N - 1) / 3 * (2 * 8 - 3 * 4 + 2) = 2 each. Expected:
    # 2 / 10 * 2 * (2 + 4 * 12) / (20 * 19 - 2 * 2 * 1) = 20 / 376.
    assert alpha_u(2, 10, [[0, 2, 4, "A"], [1, 3, 5, "A"]]) == pytest.approx(1 - 0.02 / (20 / 376), abs=1e-15)


def test_absent_raters_are_left_out_of_alpha_u() -> None:
    # The third rater never opened the second document, which lies between the others in the continuum.
    units = columns([(0, 1, 3, 0), (1, 1, 3, 0), (2, 2, 3, 0), (3, 0, 4, 0), (4, 0, 4, 0)])
    layout = layout_of([10, 8], [[0, 1, 2], [0, 1]])
    counted = unitizing_of(layout, units, 1)
    [length, line] = counted.counts.sum(axis=0)[1:3]
    assert (length, line) == (18, 46)
    value = value_of(counted.counts, counted.alphas)
    assert value is not None
    assert 0 < value < 1
    alone = unitizing_of(layout_of([10, 8], [[0, 1], [0]]), columns([(0, 1, 3, 0), (1, 1, 4, 0), (2, 0, 4, 0)]), 1)
    one = unitizing_of(layout_of([10], [[0, 1]]), columns([(0, 1, 3, 0), (1, 1, 4, 0)]), 1)
    assert value_of(alone.counts, alone.alphas) == value_of(one.counts, one.alphas)


def test_overlaps_within_a_rater_keep_the_first() -> None:
    units = columns([(0, 0, 5, 0), (0, 3, 8, 0), (0, 5, 9, 0), (0, 6, 7, 0), (0, 3, 8, 1), (1, 3, 8, 0)])
    kept = alpha.disjoint(units)
    assert list(
        zip(kept.document.tolist(), kept.start.tolist(), kept.end.tolist(), kept.label.tolist(), strict=True)
    ) == [
        (0, 0, 5, 0),
        (0, 5, 9, 0),
        (0, 3, 8, 1),
        (1, 3, 8, 0),
    ]


@pytest.mark.parametrize("case", GOLDEN["char_alpha"])
def test_character_alpha_is_that_of_krippendorff(case: Json) -> None:
    layout = layout_of(case["lengths"], case["raters"], [7, 20])
    number = {
        (document, rater): row
        for row, (document, rater) in enumerate((d, r) for d, raters in enumerate(case["raters"]) for r in raters)
    }
    rows = sorted((number[document, rater], start, end, 0) for document, rater, start, end in case["units"])
    value = value_of(alpha.characters(layout, columns(rows), 1), alpha.character_alphas)
    assert value == (None if case["alpha"] is None else pytest.approx(case["alpha"], abs=1e-12))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 3), min_size=4, max_size=4), min_size=2, max_size=30), st.integers(2, 4))
def test_value_alpha_is_that_of_krippendorff(data: list[list[int]], raters: int) -> None:
    table = np.array(data)[:, :raters]  # -1: no value
    unit, rater = np.nonzero(table >= 0)
    counts = alpha.unit_counts(unit, table[unit, rater], unit % 7, 7, 4)
    value = value_of(counts, alpha.value_alpha)
    pairable = table[(table >= 0).sum(axis=1) > 1]
    if len(np.unique(pairable[pairable >= 0])) > 1:
        reliability = np.where(table >= 0, table, np.nan).T
        expected = krippendorff.alpha(reliability, level_of_measurement="nominal")
        assert value == pytest.approx(expected, abs=1e-12)
    else:
        assert value is None


def test_kappa_by_hand() -> None:
    # Cohen (1960), as in any textbook: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: p_o = 0.7, p_e = 0.5, kappa = 0.4.
    left = ints([0] * 25 + [1] * 25)
    right = ints([0] * 20 + [1] * 5 + [0] * 10 + [1] * 15)
    counts = alpha.pair_counts(left, right, ints(range(50)), 50, 2)
    assert value_of(counts, alpha.kappa) == pytest.approx(0.4, abs=1e-15)
