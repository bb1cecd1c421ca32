from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from typer.testing import CliRunner

from testimonia.audit import (
    PLANTED,
    Audit,
    Decision,
    Place,
    by_recall,
    capture_recapture,
    notated,
    plant,
    read_audit,
    residual,
    wilson,
)
from testimonia.checks import check_gold
from testimonia.cli import app
from testimonia.corpus import Corpus
from testimonia.document import Document, Gold, Relation, Span
from testimonia.errors import InputError, errors_among
from testimonia.release import build_gold
from tests.conftest import ROOT


def test_planted_errors_are_of_every_kind_and_no_check_tells_them(corpus: Corpus) -> None:
    golds, _, _ = build_gold(corpus)
    spoilt, places = plant(golds, 20, 7, corpus.scheme, corpus.languages)
    assert Counter(place.problem for place in places) == dict.fromkeys(PLANTED, 4)
    assert len({(place.doc_id, place.start, place.end, place.label) for place in places}) == 20
    for worse in spoilt:
        assert errors_among(check_gold(worse, corpus.scheme, corpus.languages[worse.document.language])) == []
    before = {(g.document.doc_id, s) for g in golds for s in g.spans}
    after = {(g.document.doc_id, s) for g in spoilt for s in g.spans}
    assert len(before - after) == 16  # a relation changes no span
    assert len(after - before) == 12  # nor is there a new one where one is missing
    links = {(g.document.doc_id, r) for g in golds for r in g.relations}
    for place in places:
        if place.problem == "relation":
            own = {
                r for doc, r in links if (doc, r.head.start, r.head.label) == (place.doc_id, place.start, place.label)
            }
            left = {r for g in spoilt for r in g.relations if g.document.doc_id == place.doc_id}
            assert own - left
    assert plant(golds, 20, 7, corpus.scheme, corpus.languages) == (spoilt, places)
    assert plant(golds, 20, 8, corpus.scheme, corpus.languages)[1] != places


def test_too_many_errors_are_refused(corpus: Corpus) -> None:
    gold = Gold(Document("d", "fr", "Rome"), (Span(0, 4, "SOURCE", (("kind", "media"),)),))
    with pytest.raises(InputError, match=r"no place for error . of 20; ask for fewer"):
        plant([gold], 20, 1, corpus.scheme, corpus.languages)


def test_the_notation_holds_text_spans_and_relations() -> None:
    actor, source = Span(6, 10, "ACTOR", (("kind", "state"),)), Span(6, 10, "SOURCE")
    quantity = Span(12, 15, "QUANTITY", (("value_min", 300.0),))
    gold = Gold(Document("d", "fr", "Selon Rome, 300 [sic]."), (actor, quantity, source), ())
    gold = Gold(gold.document, gold.spans, (Relation("attributed_to", quantity, source),))
    assert notated(gold) == (
        "# d\n\nSelon [Rome]¹, [300]² [[sic]].\n\n1. ACTOR kind=state | SOURCE\n"
        "2. QUANTITY value_min=300; attributed_to 1 SOURCE\n"
    )
    with pytest.raises(InputError, match="cross"):
        notated(Gold(gold.document, (Span(0, 5, "A"), Span(3, 8, "B"))))


def test_the_notation_of_the_release_gives_back_its_texts(corpus: Corpus) -> None:
    for gold in build_gold(corpus)[0]:
        page = notated(gold).split("\n\n1. ")[0].split("\n\n", 1)[1]
        bare = re.sub(r"(?<!\[)\[(?!\[)|(?<!\])\](?!\])[⁰¹²³⁴⁵⁶⁷⁸⁹]+|(?<=[⁰¹²³⁴⁵⁶⁷⁸⁹])\][⁰¹²³⁴⁵⁶⁷⁸⁹]+", "", page)
        bare = re.sub(r"\][⁰¹²³⁴⁵⁶⁷⁸⁹]+", "", bare).replace("[[", "[").replace("]]", "]")
        assert bare.replace("[", "") == gold.document.text.strip().replace("[", "")


def place(start: int, problem: str = "missing", label: str = "ACTOR") -> Place:
    return Place("d", start, start + 5, label, problem)


def audit(first: int, second: int, both: int, recalled: int = 10, planted: int = 20) -> Audit:
    """So many confirmed finds of each auditor, of them so many of both; both recalled so many planted errors."""
    decisions = [Decision(place(10 * n), ("a", "b"), True, "") for n in range(both)]
    decisions += [Decision(place(10 * n + 1000), ("a",), True, "") for n in range(first - both)]
    decisions += [Decision(place(10 * n + 2000), ("b",), True, "") for n in range(second - both)]
    finds = tuple(place(10 * n + 5000) for n in range(recalled))
    own = tuple(place(10 * n + 5000) for n in range(planted))
    return Audit({"a": finds, "b": finds}, {"a": own, "b": own}, tuple(decisions))


def test_capture_recapture_is_that_of_chapman() -> None:
    # 10 and 15 found, 5 of them by both: N = 11 * 16 / 6 - 1 = 28.33, of which 20 are known.
    found = capture_recapture(audit(10, 15, 5))
    assert found.value == pytest.approx(11 * 16 / 6 - 1 - 20)
    assert found.ci95
    assert found.value
    assert 0 < found.ci95[0] < found.value < found.ci95[1]
    assert capture_recapture(audit(3, 3, 3)).value == 0
    assert capture_recapture(audit(0, 0, 0)).value is None


def test_by_recall_two_auditors_miss_with_the_product_of_their_chances() -> None:
    assert by_recall(audit(10, 15, 5)).value == pytest.approx(20 / 0.75 - 20)
    assert by_recall(audit(4, 4, 0, recalled=0)).value is None
    assert by_recall(audit(4, 4, 0, recalled=20)).value == 0
    # Nothing found, each of two auditors recalls 10 of 20: at least 0.352 of errors by Wilson, so 0.42 escape both.
    nothing = by_recall(audit(0, 0, 0))
    assert nothing.ci95
    assert (nothing.value, nothing.ci95[0]) == (0, 0)
    low = binomtest(20, 40).proportion_ci(method="wilson").low
    assert (1 - low) ** (2 * nothing.ci95[1]) == pytest.approx(0.05)


def test_the_residual_is_the_greater() -> None:
    found = audit(10, 15, 5)
    assert residual(found) == max(capture_recapture(found), by_recall(found), key=lambda e: e.value or 0)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(case: tuple[int, int]) -> None:
    expected = binomtest(*case).proportion_ci(method="wilson")
    assert wilson(*case) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_find_meets_an_error_of_its_kind_there() -> None:
    assert place(3).meets(place(5, "bounds"))
    assert not place(3).meets(place(3, "entity"))
    assert not place(3).meets(place(3, label="SOURCE"))
    assert not place(3).meets(place(8))


FIND: dict[str, Any] = {"document": "ro-1", "label": "ACTOR", "quote": "Kim", "n": 2, "problem": "missing"}


def folder_with(folder: Path, finds: list[Any], decisions: list[Any]) -> Path:
    for name in ("a", "b"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in finds))
        (folder / f"{name}.planted.json").write_text('{"seed": 1, "planted": []}')
    (folder / "decisions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in decisions))
    return folder


def test_an_audit_is_read_and_told(tmp_path: Path) -> None:
    decision = FIND | {"by": ["a", "b", "baseline"], "confirmed": True, "reason": "not marked"}
    folder = folder_with(tmp_path, [FIND], [decision])
    result = CliRunner().invoke(app, ["estimate-errors", str(folder), "--corpus", str(ROOT), "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["by"]["a"] == {"planted": 0, "recalled": 0, "candidates": 1, "confirmed": 1}
    assert said["by"]["baseline"] == {"planted": None, "recalled": None, "candidates": 1, "confirmed": 1}
    assert said["capture_recapture"]["value"] == 0
    assert said["problems"] == {"missing": 1}
    text = CliRunner().invoke(app, ["estimate-errors", str(folder), "--corpus", str(ROOT)])
    assert "a: 0 of 0 planted errors found; 1 of 1 candidates confirmed" in text.stdout


def test_a_find_without_a_decision_is_told(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, [FIND], [])
    result = CliRunner().invoke(app, ["estimate-errors", str(folder), "--corpus", str(ROOT)])
    assert result.exit_code == 1
    assert "a: ro-1:" in result.stderr
    assert "missing, without a decision" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"document": "xx"}, "document 'xx' is not in the corpus"),
        ({"problem": "odd"}, "problem 'odd' is not one of missing, spurious"),
        ({"n": 0}, "needs quote, the words, and n"),
        ({"n": 99}, "'Kim' does not occur 99 times in ro-1"),
        ({"quote": ""}, "needs quote"),
    ],
)
def test_a_mistake_in_a_find_is_named(tmp_path: Path, corpus: Corpus, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_audit(folder_with(tmp_path, [FIND | change], []), corpus.by_id)


def test_a_folder_that_is_no_audit_is_refused(tmp_path: Path, corpus: Corpus) -> None:
    with pytest.raises(InputError, match=r"has no \*.planted.json"):
        read_audit(tmp_path, corpus.by_id)
    folder_with(tmp_path, [[1]], [])
    with pytest.raises(InputError, match=r"a.jsonl:1: is no JSON object"):
        read_audit(tmp_path, corpus.by_id)


def test_a_copy_with_planted_errors_is_written(tmp_path: Path) -> None:
    out, key = tmp_path / "copy", tmp_path / "key.json"
    options = ["plant-errors", str(out), "--key", str(key), "--corpus", str(ROOT), "--count", "5", "--seed", "4"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == ["ar-1.md", "ar-2.md", "fr-1.md", "fr-2.md", "ro-1.md"]
    assert len(json.loads(key.read_text())["planted"]) == 5
