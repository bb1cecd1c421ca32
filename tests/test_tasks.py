from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given

from testimonia.document import Document, Relation, Span
from testimonia.scheme import Scheme, read_scheme
from testimonia.tasks import parse_tasks, same_text
from tests.conftest import DATA, ROOT
from tests.strategies import texts_with_spans

SCHEME: Scheme = read_scheme(ROOT / "labeling" / "scheme.toml")
Json = dict[str, Any]


def task_with(text: str, spans: list[Span], convert: Any = lambda offset: offset) -> Json:
    results = [
        {
            "id": f"r{index}",
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": {
                "start": convert(span.start),
                "end": convert(span.end),
                "text": text[span.start : span.end].replace("\n", "\\n"),
                "labels": [span.label],
            },
        }
        for index, span in enumerate(spans)
    ]
    entry = {"completed_by": "reader", "was_cancelled": False, "result": results}
    return {"id": 1, "data": {"doc_id": "d-1", "text": text}, "annotations": [entry]}


@given(case=texts_with_spans())
def test_spans_come_back_in_either_unit(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    document = Document("d-1", "fr", text)
    [annotation], findings = parse_tasks([task_with(text, spans)], {"d-1": document}, SCHEME)
    assert list(annotation.spans) == sorted(spans)
    assert findings == []

    def utf16(offset: int) -> int:
        return len(text[:offset].encode("utf-16-le")) // 2

    converted = task_with(text, spans, utf16)
    [annotation], findings = parse_tasks([converted], {"d-1": document}, SCHEME)
    for finding in findings:
        assert finding.id in ("unit-utf16", "text-differs", "offset-outside", "text-stale")
    if [f.id for f in findings] == ["unit-utf16"]:
        assert list(annotation.spans) == sorted(spans)


def test_what_counts_as_the_same_text() -> None:
    assert same_text("a\nb", "a\\nb") == "equal"
    assert same_text("la Russie", "Russie") == "stale"
    assert same_text("Russie ", "Russie") == "stale"
    assert same_text("Russies", "Russie") == "different"
    assert same_text("Russie", "Prusse") == "different"


def older_scheme() -> Scheme:
    return read_scheme(DATA / "exports" / "older_scheme.toml")


def test_exports_of_a_real_server() -> None:
    sources = json.loads((DATA / "exports" / "adv_source_texts.json").read_text())
    documents = {doc_id: Document(doc_id, "fr", text) for doc_id, text in sources["texts"].items()}
    export = json.loads((DATA / "exports" / "adv_export_json.json").read_text())
    annotations, findings = parse_tasks(export, documents, older_scheme())
    assert len(annotations) == len(export) == 14
    # One region came from a prediction at UTF-16 offsets; a copy of its text tells.
    # That scheme's controls for quantities had names that the rule for names does not give; one relation has no label,
    # and only one joins its ends.
    errors = Counter((f.place, f.id) for f in findings if f.severity == "error")
    assert errors.pop(("emoji (1)", "text-differs")) == 1
    assert {check for _, check in errors} == {"attribute-unknown"}
    assert sum(errors.values()) == 4
    regions = sum(r["type"] == "labels" for task in export for a in task["annotations"] for r in a["result"])
    assert sum(len(a.spans) for a in annotations) == regions - 1
    by_id = {a.doc_id: a for a in annotations}
    kim = next(span for span in by_id["004"].spans if span.start == 0)
    assert dict(kim.attributes) == {"type": "organization", "entity": "Q56226"}
    assert any("\n" in documents["003"].text[s.start : s.end] for s in by_id["003"].spans)
    listed = json.loads((DATA / "exports" / "adv_tasks_list_fields_all.json").read_text())["tasks"]
    again, _ = parse_tasks(listed, documents, older_scheme())
    assert {a.doc_id: a.spans for a in again} == {a.doc_id: a.spans for a in annotations}


def test_states_and_relations() -> None:
    text = "La Russie a dit non."
    task = task_with(text, [Span(3, 9, "ACTOR"), Span(16, 19, "STANCE")])
    arrow = {"type": "relation", "from_id": "r0", "to_id": "r1", "direction": "left", "labels": ["holder"]}
    task["annotations"][0]["result"].append(arrow)
    task["annotations"].append({"completed_by": {"id": 7}, "was_cancelled": True, "result": []})
    task["drafts"] = [{"user": "other", "result": task["annotations"][0]["result"][:1]}]
    annotations, findings = parse_tasks([task], {"d-1": Document("d-1", "fr", text)}, SCHEME, "first")
    assert findings == []
    assert [(a.annotator, a.state, len(a.spans), a.round) for a in annotations] == [
        ("reader", "submitted", 2, "first"),
        ("7", "skipped", 0, "first"),
        ("other", "draft", 1, "first"),
    ]
    assert annotations[0].relations == (Relation("holder", Span(16, 19, "STANCE"), Span(3, 9, "ACTOR")),)


def test_a_relation_without_a_label_is_the_only_one_that_fits() -> None:
    text = "Selon TASS, Moscou dit que 3 soldats sont morts, un succès."
    spans = [Span(6, 10, "SOURCE"), Span(12, 18, "ACTOR"), Span(27, 36, "QUANTITY"), Span(51, 57, "STANCE")]
    for head, tail, label in [(2, 0, "attributed_to"), (3, 2, "target"), (3, 1, ""), (1, 0, ""), (0, 2, "")]:
        task = task_with(text, spans)
        arrow = {"type": "relation", "from_id": f"r{head}", "to_id": f"r{tail}", "direction": "right"}
        task["annotations"][0]["result"].append(arrow)
        [annotation], findings = parse_tasks([task], {"d-1": Document("d-1", "fr", text)}, SCHEME)
        assert [r.label for r in annotation.relations] == [label] * bool(label)
        assert [f.id for f in findings] == ["relation-without-label"] * (not label)


def test_a_relation_that_fits_nothing_is_shown_the_span_on_the_same_words() -> None:
    text = "Selon TASS, 3 soldats."
    spans = [Span(12, 21, "QUANTITY"), Span(6, 10, "ACTOR"), Span(6, 10, "SOURCE")]
    for there, advice in [(spans, "draw it to the SOURCE on the same words"), (spans[:2], "take it out")]:
        task = task_with(text, there)
        task["annotations"][0]["result"].append({"type": "relation", "from_id": "r0", "to_id": "r1"})
        _, [finding] = parse_tasks([task], {"d-1": Document("d-1", "fr", text)}, SCHEME)
        assert "from QUANTITY “3 soldats” [12, 21) to ACTOR “TASS” [6, 10) has no label" in finding.message
        assert finding.message.endswith(advice)


def test_a_proposed_id_is_read_as_the_id_of_the_registry() -> None:
    text, span = "Kreml a negat.", Span(0, 5, "ACTOR")
    known = dict(SCHEME.registries["actors.toml"])
    known["kremlin"] = replace(known["kremlin"], proposed=("moscow-kremlin",))
    scheme = replace(SCHEME, registries={"actors.toml": known})
    for written, read in [("moscow-kremlin", "kremlin"), ("kremlin", "kremlin"), ("somebody-else", "somebody-else")]:
        task = task_with(text, [span])
        value = {"start": 0, "end": 5, "text": [written]}
        attribute = {"id": "r0", "from_name": "actor_entity_proposed", "to_name": "text", "type": "textarea"}
        task["annotations"][0]["result"].append(attribute | {"value": value})
        [annotation], findings = parse_tasks([task], {"d-1": Document("d-1", "ro", text)}, scheme)
        assert annotation.spans == (replace(span, attributes=(("entity", read),)),)
        assert findings == []
