"""Two models on one gold: against every exchange there is, and on data where the answer is known."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testimonia.comparison import compare
from testimonia.errors import InputError
from testimonia.scoreboard import comparison_text
from testimonia.tallies import MODES
from tests.test_scoring import GOLD, PREDICTED, document, span

Json = dict[str, Any]


def corpus(documents: int, good: float, seed: int) -> list[Json]:
    """Documents of two spans each, of which a share is found."""
    rng = np.random.default_rng(seed)
    spans = span("Marie", "A"), span("Paul", "A")
    return [document(*(s for s in spans if rng.random() < good), doc_id=f"d{n}") for n in range(documents)]


def test_p_of_every_exchange() -> None:
    gold, a, b = corpus(10, 1, 0), corpus(10, 0.4, 1), corpus(10, 0.8, 2)
    found = compare(gold, a, b, drawn="documents", resamples=20_000).overall["strict"]
    hits = np.array([[len(row["spans"]) for row in side] for side in (a, b)])

    def difference(exchanged: np.ndarray[Any, Any]) -> float:
        one, other = np.where(exchanged, hits[::-1], hits).sum(axis=1)
        return float(2 * other / (20 + other) - 2 * one / (20 + one))

    actual = difference(np.zeros(10, bool))
    every = [abs(difference(np.array(one, bool))) >= abs(actual) - 1e-12 for one in product([0, 1], repeat=10)]
    assert found.difference == pytest.approx(actual)
    assert found.p_randomisation == pytest.approx(np.mean(every), abs=0.01)
    assert found.ci95 is not None
    rng = np.random.default_rng(9)
    drawn = hits[:, rng.integers(10, size=(20_000, 10))].sum(axis=2)
    differences = 2 * drawn[1] / (20 + drawn[1]) - 2 * drawn[0] / (20 + drawn[0])
    assert found.ci95 == pytest.approx(np.percentile(differences, [2.5, 97.5]), abs=0.02)
    tail = min((differences <= 0).mean(), (differences >= 0).mean())
    assert found.p_bootstrap == pytest.approx(2 * tail, abs=0.01)


def test_equal_models_are_not_told_apart() -> None:
    gold, a = corpus(30, 1, 0), corpus(30, 0.5, 1)
    found = compare(gold, a, a, resamples=500)
    one = found.overall["strict"]
    assert (one.difference, one.ci95, one.p_bootstrap, one.p_randomisation) == (0, (0, 0), 1, 1)
    assert [f.place for f in found.findings if f.id == "difference-unclear"] == list(MODES)


def test_a_clear_difference_is_said() -> None:
    gold, a, b = corpus(200, 1, 0), corpus(200, 0.4, 1), corpus(200, 0.8, 2)
    found = compare(gold, a, b, resamples=1000)
    assert found.settings["resampled"] == "documents"
    for one in found.overall.values():
        assert one.difference is not None
        assert one.difference > 0.2
        assert one.p_randomisation is not None
        assert one.p_randomisation < 0.01
        assert one.p_bootstrap is not None
        assert one.p_bootstrap < 0.01
    assert not found.findings
    back = compare(gold, b, a, resamples=1000).overall["strict"]
    assert back.difference == pytest.approx(-(found.overall["strict"].difference or 0))


def test_nothing_to_draw_from_and_nothing_to_score() -> None:
    found = compare([document(span("Marie", "A"), text=None)], [], [document(span("Marie", "A"), text=None)])
    assert found.overall["strict"].difference == 1
    assert found.overall["strict"].ci95 is None
    assert "too little" in next(f.message for f in found.findings if f.id == "difference-unclear")
    empty = compare([document()], [], [], resamples=100).overall["strict"]
    assert (empty.difference, empty.p_bootstrap) == (None, None)


def test_text_and_json_say_the_same() -> None:
    found = compare(GOLD, PREDICTED, GOLD, resamples=200)
    record = json.loads(json.dumps(found.as_json()))
    assert set(record["overall"]["strict"]) == {"a", "b", "difference", "ci95", "p_bootstrap", "p_randomisation"}
    assert record["overall"]["strict"]["a"]["f1"] == 0.5
    text = comparison_text(found)
    assert "0.500" in text
    assert "ACTOR strict" in text


def test_what_is_wrong_names_the_side(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^B\[0\]"):
        compare(GOLD, PREDICTED, [3])
    findings = compare(GOLD, PREDICTED, [document(doc_id="x")], resamples=0).findings
    assert "B: B[0] (x)" in {f.place for f in findings}


def test_tasks_of_several_models() -> None:
    def result(end: int) -> list[Json]:
        value = {"start": 0, "end": end, "text": "Le maire"[:end], "labels": ["ACTOR"]}
        return [{"id": "r", "from_name": "label", "to_name": "text", "type": "labels", "value": value}]

    text = "Le maire dort."
    predictions = [{"model_version": "m", "result": result(8)}, {"model_version": "n", "result": result(2)}]
    tasks = [{"id": 1, "data": {"doc_id": "d", "text": text}, "predictions": predictions}]
    gold = [{"doc_id": "d", "text": text, "spans": [{"start": 0, "end": 8, "label": "ACTOR"}]}]
    found = compare(gold, tasks, tasks, model_a="n", model_b="m", resamples=0).overall["strict"]
    assert (found.a.f1, found.b.f1, found.difference) == (0, 1, 1)
