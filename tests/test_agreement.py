"""Agreement as a whole: hand-derived figures, properties, an oracle for F1, the command."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from testimonia.agreement import MODES, Agreement, measure_agreement
from testimonia.cli import app
from testimonia.document import Annotation, Document, Relation, Span
from testimonia.errors import InputError
from testimonia.exports import Export, read_exports
from testimonia.resampling import Figure, Resampling
from testimonia.scheme import Label, RelationType, Scheme
from tests.conftest import ROOT, two_readers
from tests.strategies import passes

Json = dict[str, Any]
QUICK = Resampling(resamples=50)
TEXT = "Le ministre parle. La Grèce envoie dix navires, dit-elle. Rien de plus."


def scheme_of(labels: str, relations: str = "r") -> Scheme:
    return Scheme(
        "any",
        "1",
        tuple(Label(name, "", "", "", ()) for name in labels),
        tuple(RelationType(name, "", (), (), 0) for name in relations),
    )


def measured(documents: list[Document], annotations: list[Annotation], labels: str = "AB") -> Agreement:
    return measure_agreement(Export(tuple(documents), tuple(annotations), scheme_of(labels), ()), {}, QUICK)


def two(left: list[Span], right: list[Span], *relations: list[Relation]) -> Agreement:
    arrows = [tuple(found) for found in relations] or [(), ()]
    annotations = [
        Annotation("d", "x", "submitted", tuple(left), arrows[0]),
        Annotation("d", "y", "submitted", tuple(right), arrows[1]),
    ]
    return measured([Document("d", "fr", TEXT)], annotations)


def test_figures_by_hand() -> None:
    # x: A[0,5) A[10,15) B[20,25) B[30,35); y: A[0,5) A[11,15) A[20,25) and nothing else.
    left = [Span(0, 5, "A"), Span(10, 15, "A"), Span(20, 25, "B"), Span(30, 35, "B")]
    right = [Span(0, 5, "A"), Span(11, 15, "A"), Span(20, 25, "A")]
    found = two(left, right).figures
    values = {mode: found["overall"]["span_f1"][mode].value for mode in MODES}
    # 4 + 3 spans: strict 1, exact 2, partial 2 + 0.5, type 2.
    assert values == {"strict": 2 / 7, "exact": 4 / 7, "partial": 5 / 7, "type": 4 / 7}
    by_a = {mode: found["by_label"]["A"]["span_f1"][mode].value for mode in MODES}
    assert by_a == {"strict": 2 / 5, "exact": 2 / 5, "partial": 3 / 5, "type": 4 / 5}
    assert found["by_label"]["B"]["span_f1"]["strict"].value == 0
    assert found["confusion"] == {"A": {"A": 2, "B": 1, "none": 0}, "B": {"A": 1, "B": 0, "none": 1}}
    assert found["cases"] == {"agreed": 1, "boundary": 1, "label": 1, "one": 1}


def test_relations_match_where_both_ends_do() -> None:
    a, b, wide, other = Span(0, 5, "A"), Span(10, 15, "B"), Span(9, 15, "B"), Span(30, 35, "B")
    left = [Relation("r", a, b), Relation("r", b, a), Relation("r", a, other)]
    right = [Relation("r", a, wide), Relation("r", a, a)]
    found = two([a, b, other], [a, wide], left, right)
    assert found.figures["overall"]["relation_f1"].value == pytest.approx(2 * 1 / 5)
    assert found.figures["by_relation"]["r"]["f1"].value == pytest.approx(2 / 5)
    assert [(link.said, link.absent) for link in found.links if link.absent == ()] == [(("x", "y"), ())]
    assert len(found.links) == 4


def test_attributes_are_compared_on_matched_spans() -> None:
    def spans(*values: tuple[str, float | None]) -> list[Span]:
        return [
            Span(10 * n, 10 * n + 5, "A", (("kind", kind), *((("value", number),) if number is not None else ())))
            for n, (kind, number) in enumerate(values)
        ]

    left = spans(("p", 1e3), ("p", None), ("q", 7.0), ("q", None))
    right = spans(("p", 1000.0), ("q", 2.0), ("q", 8.0), ("q", None))
    found = two(left, right).as_json()["attributes"]
    assert (found["A.kind"]["agreed"], found["A.kind"]["compared"]) == (3, 4)
    # Cohen: p_o = 3/4, p_e = (2 * 1 + 2 * 3) / 16 = 1/2.
    assert found["A.kind"]["kappa"]["value"] == pytest.approx(0.5)
    # 1e3 = 1000.0; where neither has a value nothing is compared.
    assert (found["A.value"]["agreed"], found["A.value"]["compared"]) == (1, 3)


def test_absent_is_not_empty() -> None:
    spans = (Span(0, 2, "A"), Span(19, 21, "A"))
    both = [Document("d-1", "fr", TEXT), Document("d-2", "fr", TEXT)]
    annotations = [
        Annotation("d-1", "x", "submitted", spans),
        Annotation("d-1", "y", "submitted", spans),
        Annotation("d-2", "x", "submitted", spans),
    ]
    absent = measured(both, annotations)
    assert absent.figures["overall"]["span_f1"]["strict"].value == 1
    assert absent.figures["by_document"]["d-2"]["span_f1"]["strict"].value is None
    assert [(f.id, f.place) for f in absent.findings] == [("annotation-absent", "d-2")]
    for state in ("skipped", "draft"):
        skipped = measured(both, [*annotations, Annotation("d-2", "y", state)])
        assert skipped.figures["overall"] == absent.figures["overall"]
    empty = measured(both, [*annotations, Annotation("d-2", "y", "submitted")])
    assert empty.figures["overall"]["span_f1"]["strict"].value == pytest.approx(2 * 2 / 6)
    assert empty.findings == ()
    nothing = measured(both, [replace(a, spans=()) for a in annotations])
    assert nothing.figures["overall"]["span_f1"]["strict"] == Figure(None)
    assert nothing.figures["by_label"]["A"]["char_alpha"] == Figure(None)


@settings(max_examples=40, deadline=None)
@given(passes())
def test_order_and_names_do_not_matter(drawn: tuple[list[Document], list[Annotation]]) -> None:
    documents, annotations = drawn
    before = measured(documents, annotations)
    rng = random.Random(1)
    shuffled = [
        replace(a, spans=tuple(rng.sample(a.spans, len(a.spans))), annotator={"a0": "z"}.get(a.annotator, a.annotator))
        for a in rng.sample(annotations, len(annotations))
    ]
    after = measured(documents[::-1], shuffled)
    for key in ("overall", "by_label", "by_language", "by_document", "by_relation", "cases", "confusion"):
        assert close(before.figures[key], after.figures[key]), key
    counts = [{k: v["agreed"] for k, v in one.figures["attributes"].items()} for one in (before, after)]
    assert counts[0] == counts[1]


def close(one: Any, other: Any) -> bool:
    """Equal values; intervals may differ, for who is left in a pair decides where a count falls."""
    if isinstance(one, Figure):
        return (one.value is None and other.value is None) or one.value == pytest.approx(other.value, abs=1e-12)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    return bool(one == other)


@settings(max_examples=30, deadline=None)
@given(passes())
def test_copies_agree_wholly(drawn: tuple[list[Document], list[Annotation]]) -> None:
    documents, annotations = drawn
    first = {a.doc_id: a for a in annotations}
    copies = [replace(a, annotator=name) for a in first.values() for name in ("p", "q", "r")]
    found = measured(documents, copies)
    spans = sum(len(a.spans) for a in first.values())
    for mode in MODES:
        assert found.figures["overall"]["span_f1"][mode].value == (1 if spans else None)
    for label, figures in found.figures["by_label"].items():
        if any(span.label == label for a in first.values() for span in a.spans):
            assert figures["alpha_u"].value == pytest.approx(1, abs=1e-12)
    for figures in found.figures["attributes"].values():
        assert figures["agreed"] == figures["compared"]
        assert figures["alpha"].value in (None, pytest.approx(1))
    assert set(found.figures["cases"]) <= {"agreed"}


@settings(max_examples=40, deadline=None)
@given(passes())
def test_strict_and_exact_are_set_intersections(drawn: tuple[list[Document], list[Annotation]]) -> None:
    documents, annotations = drawn
    matched, total = Counter[str](), 0
    for one, other in combinations(annotations, 2):
        if one.doc_id == other.doc_id:
            total += len(one.spans) + len(other.spans)
            for mode, key in (("strict", lambda s: (s.start, s.end, s.label)), ("exact", lambda s: (s.start, s.end))):
                shared = Counter(map(key, one.spans)) & Counter(map(key, other.spans))
                matched[mode] += sum(shared.values())
    found = measured(documents, annotations).figures["overall"]["span_f1"]
    for mode in ("strict", "exact"):
        assert found[mode].value == (pytest.approx(2 * matched[mode] / total) if total else None)


def test_intervals_hold_the_value_and_shrink() -> None:
    rng = random.Random(7)
    widths = []
    for count in (25, 400):
        documents = [Document(f"d-{n:03}", "fr", TEXT) for n in range(count)]
        annotations = []
        for document in documents:
            spans = [Span(start, start + 4, "A") for start in range(0, 60, 10)]
            for who in "xy":
                kept = tuple(span for span in spans if rng.random() < 0.8)
                annotations.append(Annotation(document.doc_id, who, "submitted", kept))
        figures = measured(documents, annotations).figures
        assert figures["overall"]["resampled"] == "documents"
        assert figures["by_document"]["d-000"]["resampled"] == "sentences"
        for figure in (figures["overall"]["span_f1"]["strict"], figures["overall"]["alpha_u"]):
            low, high = figure.ci95
            assert low < figure.value < high
        widths.append(high - low)
    # 16 times the documents: about a quarter of the width.
    assert 2.5 < widths[0] / widths[1] < 6.5


@pytest.fixture
def exports(copy: Path) -> Path:
    """The exports of the round with a second annotator."""
    two_readers(copy)
    return copy / "labeling" / "exports" / "first"


def test_the_command_on_anybodys_export(exports: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["measure-agreement", str(exports), "--json", "--gamma", "--html", str(page)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found["overall"]["span_f1"]) == set(MODES)
    strict = found["overall"]["span_f1"]["strict"]
    assert strict["ci95"][0] < strict["value"] < strict["ci95"][1]
    assert 0.75 < strict["value"] < 0.9
    assert set(found["by_label"]) == {"ACTOR", "QUANTITY", "SOURCE", "STANCE"}
    assert set(found["by_label"]["ACTOR"]) == {"span_f1", "alpha_u", "char_alpha"}
    assert found["overall"]["alpha_u"]["value"] > 0.7
    assert found["attributes"]["ACTOR.actor_kind"]["kappa"]["value"] == 1
    assert set(found["by_document"]) == {"ar-1", "ar-2", "fr-1", "fr-2", "ro-1"}
    assert 0.8 < found["gamma"]["overall"] < 1
    assert all(one["annotator"] == "reader-1" for one in found["disagreements"]["only_one"])
    assert len(found["disagreements"]["only_one"]) == found["cases"]["one"] > 20
    with_scheme = ["--scheme", str(ROOT / "labeling/scheme.toml")]
    named = CliRunner().invoke(app, ["measure-agreement", str(exports), "--json", *with_scheme])
    again = json.loads(named.stdout)
    assert again["overall"] == found["overall"]
    assert set(again["attributes"]) >= {"ACTOR.kind", "QUANTITY.value_min"}
    text = CliRunner().invoke(app, ["measure-agreement", str(exports), "--resamples", "0"])
    assert f"{strict['value']:.3f}" in text.stdout
    assert "Krippendorff 1995" in text.stdout


def test_files_of_one_annotator_each_are_put_together(exports: Path, tmp_path: Path) -> None:
    tasks = [json.loads(path.read_text()) for path in sorted(exports.glob("*.json"))]
    for number in (0, 1):
        one = [task | {"annotations": [task["annotations"][number]]} for task in tasks]
        for task in one:
            task["annotations"][0]["completed_by"] = f"{'ab'[number]}@example.com"
        (tmp_path / f"{number}.json").write_text(json.dumps(one))
    apart = read_exports([tmp_path / "0.json", tmp_path / "1.json"])
    assert {a.annotator for a in apart.annotations} == {"annotator-1", "annotator-2"}
    assert "@" not in json.dumps(measure_agreement(apart, {}, QUICK).as_json())
    together = measure_agreement(read_exports([exports]), {}, QUICK)
    assert measure_agreement(apart, {}, QUICK).figures["overall"] == together.figures["overall"]
    assert measure_agreement(apart.of(["annotator-1"]), {}, QUICK).findings[-1].id == "annotators-too-few"
    with pytest.raises(InputError, match=r"annotator 'nobody'.*annotator-1, annotator-2"):
        apart.of(["nobody"])


def test_the_first_round_of_the_corpus_has_one_annotator() -> None:
    done = CliRunner().invoke(app, ["measure-agreement", "--round", "first", "--corpus", str(ROOT), "--json"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert [f["id"] for f in found["findings"] if f["severity"] == "error"] == ["annotators-too-few"]
    assert found["overall"]["span_f1"]["strict"] == {"value": None, "ci95": None}
