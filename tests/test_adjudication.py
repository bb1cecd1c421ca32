"""From several annotations to gold: what a curator gets, what comes back, where each span is from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testimonia.adjudication import candidates_of, docket_of, gold_of, provenance_of
from testimonia.corpus import Corpus, Round, read_corpus, read_rounds
from testimonia.document import Annotation, Document, Relation, Span
from testimonia.errors import InputError
from testimonia.label_config import DECISION, KEEP
from testimonia.report import differences_html
from testimonia.rounds import round_annotations
from testimonia.tasks import parse_tasks
from tests.conftest import two_readers

Json = dict[str, Any]
TEXT = "Le ministre Marco Rossi a condamné la Russie, selon Reuters."
ROUNDS = [Round("first", "annotation", True), Round("decided", "adjudication", True, "first")]


def span(quote: str, label: str, **attributes: str) -> Span:
    start = TEXT.index(quote)
    return Span(start, start + len(quote), label, tuple(sorted(attributes.items())))


ROSSI = span("Marco Rossi", "ACTOR", kind="person", entity="marco-rossi")
RUSSIA = span("Russie", "ACTOR", kind="state", entity="state-ru")
REUTERS = span("Reuters", "ACTOR", kind="media", entity="reuters")
SOURCE = span("Reuters", "SOURCE", kind="media")
STANCE = span("condamné", "STANCE", type="negative_evaluation", polarity="against")


def by(annotator: str, *spans: Span, relations: tuple[Relation, ...] = (), round_: str = "first") -> Annotation:
    return Annotation("d", annotator, "submitted", tuple(sorted(spans)), relations, round_)


def test_provenance_of_each_kind(corpus: Corpus) -> None:
    document = Document("d", "fr", TEXT)
    wide = span("ministre Marco Rossi", "ACTOR", kind="person", entity="marco-rossi")
    first = by("x", RUSSIA, wide, REUTERS, STANCE)
    second = by("y", RUSSIA, ROSSI, SOURCE, span("Reuters", "ACTOR", kind="group", entity="reuters"))
    gold = (RUSSIA, ROSSI, REUTERS, SOURCE, STANCE, span("selon", "STANCE", type="denial", polarity="against"))
    expected = ("agreed", "boundary", "attribute", "one", "one", "added")
    assert provenance_of(document, gold, [first, second], corpus.scheme) == expected
    source_for_actor = provenance_of(document, (SOURCE,), [by("x", REUTERS), by("y", SOURCE)], corpus.scheme)
    assert source_for_actor == ("label",)
    three = [by("x", RUSSIA), by("y", RUSSIA), by("z")]
    assert provenance_of(document, (RUSSIA,), three, corpus.scheme) == ("some",)
    assert provenance_of(document, (RUSSIA,), three[1:], corpus.scheme) == ("one",)
    # Both said the same; the adjudicator changed it all the same.
    assert provenance_of(document, (ROSSI,), [by("x", wide), by("y", wide)], corpus.scheme) == ("boundary",)


def test_an_adjudication_is_gold_and_changes_nobody(corpus: Corpus) -> None:
    document = Document("d", "fr", TEXT)
    annotations = [by("x", RUSSIA, REUTERS), by("y", RUSSIA), by("c", RUSSIA, REUTERS, round_="decided")]
    [gold], findings = gold_of([document], annotations, ROUNDS, corpus.scheme)
    assert findings == []
    assert (gold.spans, gold.provenance, gold.source) == ((RUSSIA, REUTERS), ("agreed", "one"), "decided/c")
    undecided = gold_of([document], annotations[:2], ROUNDS, corpus.scheme)[1]
    assert [finding.id for finding in undecided] == ["gold-undecided"]


def task_with(results: list[Json], document: Document) -> Json:
    entry = {"completed_by": "curator", "result": results}
    return {"id": 1, "data": {"doc_id": document.doc_id, "text": document.text}, "annotations": [entry]}


def test_candidates_come_back_as_they_went(corpus: Corpus) -> None:
    document = Document("d", "fr", TEXT)
    holder, target = Relation("holder", STANCE, ROSSI), Relation("target", STANCE, RUSSIA)
    new = span("Rossi", "ACTOR", kind="person", entity="a-new-one")
    docket = docket_of(
        document,
        [
            by("x", ROSSI, RUSSIA, STANCE, SOURCE, relations=(holder, target)),
            by("y", new, RUSSIA, STANCE, relations=(target,)),
        ],
        corpus.scheme,
    )
    assert [case.kind for case in docket.disputed] == ["boundary", "one"]
    assert [link.label for link in docket.disputed_links] == ["holder"]
    results = candidates_of(docket, corpus.scheme)
    [annotation], findings = parse_tasks([task_with(results, document)], {"d": document}, corpus.scheme)
    assert set(annotation.spans) == {ROSSI, new, RUSSIA, STANCE, SOURCE}
    # The relation that y did not draw between spans that y has is for the curator to draw.
    assert annotation.relations == (target,)
    assert [(f.id, f.severity) for f in findings] == [("candidate-undecided", "error")] * 3
    for result in results:
        if result.get("from_name") == DECISION:
            result["value"]["choices"] = [KEEP]
    assert parse_tasks([task_with(results, document)], {"d": document}, corpus.scheme)[1] == []
    undone = [result for result in results if result.get("from_name") != DECISION]  # the key pressed twice
    assert len(parse_tasks([task_with(undone, document)], {"d": document}, corpus.scheme)[1]) == 3


def test_a_relation_of_one_reader_alone_goes_with_its_candidates(corpus: Corpus) -> None:
    document = Document("d", "fr", TEXT)
    holder = Relation("holder", STANCE, ROSSI)
    docket = docket_of(document, [by("x", ROSSI, STANCE, relations=(holder,)), by("y", ROSSI)], corpus.scheme)
    results = candidates_of(docket, corpus.scheme)
    [annotation], _ = parse_tasks([task_with(results, document)], {"d": document}, corpus.scheme)
    assert annotation.relations == (holder,)


def test_the_table_of_differences_is_escaped(corpus: Corpus) -> None:
    text = "<script>alert(1)</script> & la Russie"
    document = Document("d", "fr", text)
    one = Annotation("d", "<b>x", "submitted", (Span(0, 25, "ACTOR", (("entity", "<i>"), ("kind", "state"))),))
    html = differences_html(docket_of(document, [one, Annotation("d", "y", "submitted")], corpus.scheme))
    assert "<script" not in html
    assert "<b>x" not in html
    assert "<i>" not in html
    assert "<mark>&lt;script&gt;alert(1)&lt;/script&gt;</mark> &amp; la Russie" in html


def test_dockets_of_real_articles(copy: Path) -> None:
    two_readers(copy)
    corpus = read_corpus(copy)
    annotations, findings = round_annotations(corpus, corpus.round("first"))
    assert findings == []
    for document in corpus.documents:
        passes = [a for a in annotations if a.doc_id == document.doc_id]
        docket = docket_of(document, passes, corpus.scheme)
        assert docket.annotators == ("reader-1", "reader-2")
        assert docket.disputed
        results = candidates_of(docket, corpus.scheme)
        [back], found = parse_tasks([task_with(results, document)], {document.doc_id: document}, corpus.scheme)
        assert set(back.spans) == {span for annotation in passes for span in annotation.spans}
        assert {finding.id for finding in found} == {"candidate-undecided"}


def test_rounds_name_what_they_decide_on(tmp_path: Path) -> None:
    path = tmp_path / "rounds.toml"
    head = 'version = "1.0.0"\n[[round]]\nid = "a"\nkind = "annotation"\n[[round]]\nid = "b"\nkind = "adjudication"\n'
    path.write_text(head)
    with pytest.raises(InputError, match="of"):
        read_rounds(path)
    path.write_text(head + 'of = "c"\n')
    with pytest.raises(InputError, match="'c'"):
        read_rounds(path)
    path.write_text(head + 'of = "a"\n')
    assert read_rounds(path)[1][1] == Round("b", "adjudication", False, "a")
