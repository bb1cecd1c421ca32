"""gamma: best alignments against those of pygamma-agreement, expected disorder within its sampling error."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from testimonia.gamma import OutOfReachError, disorder, expected_disorder
from testimonia.matching import Spans
from tests.conftest import DATA
from tests.strategies import columns

Json = dict[str, Any]
GOLDEN = json.loads((DATA / "agreement_golden.json").read_text())


def sides_of(case: Json) -> list[Spans]:
    names = sorted({name for _, _, _, name in case["units"]})
    return [
        columns(sorted({(0, s, e, names.index(c)) for who, s, e, c in case["units"] if who == annotator}))
        for annotator in case["annotators"]
    ]


@pytest.mark.parametrize("case", GOLDEN["gamma"] + GOLDEN["real"])
def test_disorder_is_that_of_pygamma(case: Json) -> None:
    assert disorder(sides_of(case)) == pytest.approx(case["disorder"], rel=1e-6, abs=1e-9)


def test_expected_disorder_is_near_that_of_pygamma() -> None:
    # pygamma draws three rotations less far apart than the paper says (two are the same), so only pairs are compared.
    cases = [case for case in GOLDEN["gamma"] if len(case["annotators"]) == 2 and len(case["units"]) > 20]
    assert len(cases) >= 8
    ratios = []
    for number, case in enumerate(cases):
        length = max(end for _, _, end, _ in case["units"])
        ours = expected_disorder(sides_of(case), length, np.random.default_rng(number))
        ratios.append(ours / case["expected"][0])
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)


def test_disorder_by_hand() -> None:
    # [0, 10) and [2, 10) of one label: ((2 + 0) / 18)^2; [20, 30) with nothing: 1; mean number of units 1.5.
    left = columns([(0, 0, 10, 0), (0, 20, 30, 0)])
    assert disorder([left, columns([(0, 2, 10, 0)])]) == pytest.approx(((2 / 18) ** 2 + 1) / 1.5)
    assert disorder([left, left]) == disorder([left, left, left]) == 0


def test_too_much_is_out_of_reach() -> None:
    crowd = columns([(0, start, start + 400, 0) for start in range(60)])
    with pytest.raises(OutOfReachError):
        disorder([crowd] * 5)
