from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testimonia.clusters import read_clusters, score_claims
from testimonia.errors import InputError
from testimonia.scoring import score

Json = dict[str, Any]


def claim(name: str, *numbers: int, marks: dict[tuple[int, int], str] | None = None) -> Json:
    """A claim whose mentions are stretches of two code points, one document each."""
    mentions = [{"doc_id": f"d{number}", "start": 10, "end": 12} for number in numbers]
    pairs = [{"first": pair[0], "second": pair[1], "mark": mark} for pair, mark in (marks or {}).items()]
    return {"claim_id": name, "mentions": mentions, "marks": pairs}


def strict(gold: list[Json], predicted: list[Json]) -> Json:
    return score_claims(read_clusters(gold), read_clusters(predicted))["strict"].as_json()


def test_the_example_of_bagga_and_baldwin() -> None:
    # Bagga and Baldwin 1998, response 1 (2 and 5 in one): precision 16/21, recall 1; response 2: 1 - 28/60 and 1.
    key = [claim("a", 1, 2, 3, 4, 5), claim("b", 6, 7), claim("c", 8, 9, 10, 11, 12)]
    first = [claim("a", 1, 2, 3, 4, 5), claim("bc", 6, 7, 8, 9, 10, 11, 12)]
    second = [claim("ac", 1, 2, 3, 4, 5, 8, 9, 10, 11, 12), claim("b", 6, 7)]
    assert strict(key, first)["b_cubed"]["precision"] == pytest.approx((5 + 2 * 2 / 7 + 5 * 5 / 7) / 12)
    assert strict(key, second)["b_cubed"]["precision"] == pytest.approx((5 * 0.5 + 5 * 0.5 + 2) / 12)
    assert strict(key, first)["b_cubed"]["recall"] == strict(key, second)["b_cubed"]["recall"] == 1


def test_links_and_marks_are_counted_by_pairs() -> None:
    gold = [claim("a", 1, 2, 3, marks={(0, 1): "same", (0, 2): "conflicting", (1, 2): "conflicting"})]
    predicted = [claim("x", 1, 2, marks={(1, 0): "same"}), claim("y", 3, 4, marks={(0, 1): "same"})]
    found = strict(gold, predicted)
    assert [found["mentions"][name] for name in ("correct", "missed", "spurious")] == [3, 0, 1]
    assert [found["links"][name] for name in ("correct", "missed", "spurious")] == [1, 2, 1]
    assert [found["marks"][name] for name in ("correct", "missed", "spurious")] == [1, 2, 1]
    assert found["b_cubed"]["precision"] == pytest.approx((1 + 1 + 1 / 2 + 0) / 4)
    assert found["b_cubed"]["recall"] == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)


def test_a_mention_in_two_claims() -> None:
    # Amigó et al. 2009, section 4.3: what shares two claims and is predicted to share one counts half in recall.
    gold = [claim("a", 1, 2), claim("b", 1, 2)]
    found = strict(gold, [claim("x", 1, 2)])
    assert found["b_cubed"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}


def test_overlap_counts_in_partial_only() -> None:
    gold = [claim("a", 1, 2)]
    near = [{"claim_id": "x", "mentions": [{"doc_id": f"d{n}", "spans": [[2, 4], [11, 13]]} for n in (1, 2)]}]
    both = score_claims(read_clusters(gold), read_clusters(near))
    assert both["strict"].mentions.correct == 0
    assert both["partial"].mentions.correct == 2
    assert both["partial"].links.correct == 1
    assert both["partial"].b_cubed.f1 == 1


claims = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4, unique=True).map(sorted), max_size=4).map(
    lambda found: [claim(f"c{n}", *numbers) for n, numbers in enumerate(found)]
)


@given(claims, claims)
def test_sides_can_be_exchanged_and_a_side_is_right_about_itself(one: list[Json], other: list[Json]) -> None:
    there, back = strict(one, other), strict(other, one)
    for name in ("mentions", "links", "marks", "b_cubed"):
        assert there[name]["precision"] == back[name]["recall"]
    itself = strict(one, one)
    assert {itself[name]["f1"] for name in ("mentions", "links", "b_cubed")} <= {1.0, None}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"mentions": []}], "is no claim"),
        ([3], "is no claim"),
        ([claim("a", 1), claim("a", 2)], "stands twice"),
        ([{"claim_id": "a", "mentions": [{"start": 1, "end": 2}]}], "mention 0: has no doc_id"),
        ([{"claim_id": "a", "mentions": [{"doc_id": "d", "start": 2, "end": 2}]}], "are no bounds"),
        ([{"claim_id": "a", "mentions": [{"doc_id": "d", "start": 1.0, "end": 2}]}], "are no bounds"),
        ([{"claim_id": "a", "mentions": [{"doc_id": "d", "spans": []}]}], "are no bounds"),
        ([claim("a", 1, 2, marks={(0, 2): "same"})], "joins no two of 2 mentions"),
        ([claim("a", 1, 2, marks={(0, 1): "alike"})], "is not one of same"),
        (7, "is no path and no list"),
    ],
)
def test_a_mistake_is_named(records: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_clusters(records)


def test_a_file_of_claims_is_scored_with_the_spans(tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in [claim("a", 1, 2), claim("b", 3)]))
    rows = [{"doc_id": "d1", "text": "abc", "spans": []}]
    found = score(rows, rows, claims=path, gold_claims=[claim("a", 1, 2, 3)]).as_json()["claims"]
    assert found["strict"]["links"]["recall"] == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="is no claim"):
        score(rows, rows, claims=path)
    with pytest.raises(InputError, match="give a dataset with claims"):
        read_clusters(tmp_path)
