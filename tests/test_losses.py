"""What a pull would lose: each thing that can happen to work in Label Studio between two pulls."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testimonia.losses import losses

Json = dict[str, Any]


def annotation(number: int, who: str = "a", says: str = "x", at: int = 10, **more: Any) -> Json:
    entry = {"id": number, "unique_id": f"u-{number}", "completed_by": who, "result": [says]}
    return entry | {"updated_at": f"2026-01-01T00:00:{at:02}Z"} | more


def draft(number: int, who: str = "a", says: str = "x", at: int = 10, of: int | None = None) -> Json:
    entry = {"id": number, "user": who, "result": [says], "annotation": of}
    return entry | {"updated_at": f"2026-01-01T00:00:{at:02}.5Z"}


def task(*entries: Json) -> Json:
    found: Json = {"annotations": [], "drafts": []}
    for entry in entries:
        found["drafts" if "user" in entry else "annotations"].append(entry)
    return found


PROGRESS = {
    "edited": ([annotation(1)], [annotation(1, says="y", at=11)]),
    "skipped since": ([annotation(1)], [annotation(1, at=11, was_cancelled=True)]),
    "one more": ([annotation(1)], [annotation(1), annotation(2, "b")]),
    "a draft that went on": ([draft(1)], [draft(1, says="y", at=11)]),
    "a draft submitted as it was": ([draft(1)], [annotation(4, at=9)]),
    "a draft submitted with changes": ([draft(1)], [annotation(4, says="y", at=11)]),
    "a draft of an annotation submitted": (
        [annotation(1), draft(7, says="y", at=12, of=1)],
        [annotation(1, says="y", at=13)],
    ),
    "a draft of an annotation submitted with changes": (
        [annotation(1), draft(7, says="y", at=12, of=1)],
        [annotation(1, says="z", at=13)],
    ),
    "a draft that became a skip": ([draft(1)], [annotation(4, says="", at=11, was_cancelled=True)]),
    "a draft begun anew": ([draft(1)], [draft(2, says="y", at=11)]),
    "made anew": ([annotation(1)], [annotation(5, says="y", at=11)]),
    "loaded again, other numbers and times": (
        [annotation(1, at=20), annotation(2, "b", at=20)],
        [annotation(7, "b", at=3), annotation(8, at=3)],
    ),
    "loaded again and edited": (
        [annotation(1), annotation(2, says="y")],
        [annotation(7, says="y", at=12), annotation(8, says="z", at=12)],
    ),
    "older, but the same": ([annotation(1, at=20)], [annotation(1, at=10)]),
    "said twice, once is enough": ([annotation(1), annotation(2)], [annotation(2)]),
}
LOST = {
    "gone": ([annotation(1)], []),
    "gone, another annotator has one": ([annotation(1)], [annotation(2, "b", at=11)]),
    "one of two gone": ([annotation(1), annotation(2, says="y")], [annotation(2, says="y")]),
    "one of two gone, the other edited": ([annotation(1), annotation(2, says="y")], [annotation(2, says="z", at=11)]),
    "one of two gone, the other says the same": (
        [annotation(1), annotation(2, says="y")],
        [annotation(1, says="y", at=11)],
    ),
    "only a draft is left": ([annotation(1, at=11)], [draft(1, at=10)]),
    "a draft thrown away": ([draft(1)], []),
    "a draft of an annotation thrown away": ([annotation(1), draft(7, says="y", at=12, of=1)], [annotation(1)]),
    "a draft gone, an old annotation is there": ([annotation(1), draft(7, says="y", at=12)], [annotation(1)]),
}
OLDER = {
    "edited, and the database went back": ([annotation(1, says="y", at=11)], [annotation(1, at=10)]),
    "a skip that is none any more": ([annotation(1, at=11, was_cancelled=True)], [annotation(1, at=10)]),
    "a draft": ([draft(1, says="y", at=11)], [draft(1, at=10)]),
    "another server, loaded before": ([annotation(1, says="y", at=11)], [annotation(6, at=10)]),
    "a clock that went back": ([annotation(1, at=10)], [annotation(1, says="y", at=9)]),
}
CASES = {"": PROGRESS, "annotation-lost": LOST, "annotation-older": OLDER}


@pytest.mark.parametrize(("id", "name"), [(kind, name) for kind, cases in CASES.items() for name in cases])
def test_between_two_pulls(id: str, name: str) -> None:
    before, pulled = CASES[id][name]
    assert [finding.id for finding in losses("d-1", task(*before), task(*pulled))] == ([id] if id else [])


def test_whose_it_is_and_what_to_do() -> None:
    [lost, older] = losses("d-1", task(annotation(1), annotation(2, "b", "y", 11)), task(annotation(2, "b", "z", 10)))
    assert (lost.place, older.place) == ("d-1 (a)", "d-1 (b)")
    assert "2026-01-01 00:00:10 (1 results) is not in Label Studio any more" in lost.message
    assert "2026-01-01 00:00:11 (1 results) is of 2026-01-01 00:00:10 in Label Studio" in older.message
    assert all("`testimonia put-back`" in finding.message for finding in (lost, older))


def test_the_same_under_another_name() -> None:
    [lost] = losses("d-1", task(annotation(1)), task(annotation(1, "b")))
    assert "another annotator has the same: is pseudonyms.json the one that it was?" in lost.message


works = st.one_of(
    st.builds(annotation, st.integers(1, 4), st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 20)),
    st.builds(draft, st.integers(1, 4), st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 20)),
)


@given(st.lists(works, max_size=5), st.lists(works, max_size=5))
def test_what_is_there_is_never_called_lost(before: list[Json], pulled: list[Json]) -> None:
    again = [entry | {"id": 90 + i, "unique_id": f"v-{i}", "updated_at": "2020"} for i, entry in enumerate(before)]
    assert losses("d-1", task(*before), task(*again, *pulled)) == []
    found = {finding.place for finding in losses("d-1", task(*before), task())}
    assert found == {f"d-1 ({entry.get('completed_by', entry.get('user'))})" for entry in before}


@pytest.mark.parametrize("odd", [None, 3, "x", [3, "x", None], [{}], [{"completed_by": [], "result": 4, "id": {}}]])
def test_odd_exports(odd: Any) -> None:
    losses("d-1", {"annotations": odd, "drafts": odd}, {"annotations": odd})
    assert losses("d-1", {}, {"annotations": odd, "drafts": odd}) == []
