"""The screen: documents of which it says nothing is wrong are those in which the checks find nothing."""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testimonia import screening, tables
from testimonia.corpus import Corpus, read_corpus
from testimonia.document import Document, Gold, Relation, Span, Zone, attributes_of, span_id
from testimonia.screening import Screen
from testimonia.validation import check_documents, check_row, findings_of
from tests.conftest import ROOT

Json = dict[str, Any]

SIGNS = [
    *".,;:!?…'’‘\"«»“”()-–/%٪،؟؛_",
    "\n",
    "\u00a0",
    "\u202f",
    "\u200f",
    "\u064e",
    "e\u0301",
    "中",
    "😀",
    "א",
    "İ",
    "Σ",
]
WORDS = {
    "ro": ["Rusia", "un", "an", "de", "12.000", "președintele", "S.U.A.", "într-o", "a", "condamnat", "10,5", "Kim"],
    "fr": [
        "l’armée",
        "d'Ukraine",
        "Russie",
        "le",
        "Le",
        "Monde",
        "aujourd'hui",
        "qu’elle",
        "mille",
        "3 %",
        "Une",
        "M.",
    ],
    "ar": [
        "وزارة",
        "والجيش",
        "لروسيا",
        "روسيا",
        "بقوات",
        "كوريا",
        "من",
        "قال",
        "«كيم",
        "أون»",
        "وَالوزير",
        "٣٠٪",
        "الف",
    ],
}


@cache
def world() -> tuple[Corpus, Screen]:
    corpus = read_corpus(ROOT)
    return corpus, Screen(corpus.scheme, corpus.languages)


RIGHT: dict[str, Json] = {
    "ACTOR": {"kind": "state", "entity": "state-ru"},
    "QUANTITY": {"kind": "duration", "bound": "exact", "value_min": 1.0, "value_max": 1.0, "unit": "year"},
    "STANCE": {"type": "denial", "polarity": "against"},
    "SOURCE": {"kind": "official"},
}
ODD: list[tuple[str, Json]] = [
    ("ACTOR", RIGHT["ACTOR"] | {"kind": "person"}),
    ("ACTOR", {"kind": "state", "entity": "nobody"}),
    ("QUANTITY", RIGHT["QUANTITY"] | {"value_max": 2.0}),
    ("QUANTITY", RIGHT["QUANTITY"] | {"unit": "USD"}),
    ("QUANTITY", RIGHT["QUANTITY"] | {"unit": "Year"}),
    ("QUANTITY", {"kind": "other", "bound": "range", "value_min": 0.0, "value_max": -0.0}),
    ("QUANTITY", {"kind": "other", "bound": "range", "value_min": 1.0, "value_max": 2.0}),
    ("QUANTITY", {"kind": "other", "bound": "vague"}),
    ("QUANTITY", {"kind": "other", "bound": "lower", "value_min": float("inf")}),
    ("STANCE", {"type": "denial"}),
    ("SOURCE", {"kind": "unheard"}),
]


@st.composite
def near(draw: st.DrawFn) -> Gold:
    """A short text with one span that is right but, maybe, in its bounds."""
    language = draw(st.sampled_from(["ro", "fr", "ar"]))
    words = st.sampled_from(WORDS[language])
    signs = draw(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(SIGNS)), max_size=2))
    pieces = draw(st.lists(words, min_size=2, max_size=7))
    for place, sign in signs:
        pieces.insert(min(place, len(pieces)), sign)
    glue = draw(st.lists(st.sampled_from([" ", " ", " ", " ", ""]), min_size=len(pieces), max_size=len(pieces)))
    ends = list(accumulate(len(piece + space) for piece, space in zip(pieces, glue, strict=True)))
    text = "".join(piece + space for piece, space in zip(pieces, glue, strict=True))
    first = draw(st.integers(0, len(pieces) - 1))
    last = draw(st.integers(first, min(first + 2, len(pieces) - 1)))
    start = ends[first] - len(pieces[first] + glue[first]) + draw(st.sampled_from([0, 0, 0, 0, 0, 1, 2]))
    end = ends[last] - len(glue[last]) - draw(st.sampled_from([0, 0, 0, 0, 0, 1]))
    span = _right(start, max(end, start + 1), draw(st.sampled_from(list(RIGHT))))
    return Gold(Document("d", language, text), (span,), provenance=("agreed",))


def _right(start: int, end: int, label: str) -> Span:
    return Span(start, end, label, attributes_of(RIGHT[label]))


@st.composite
def joined(draw: st.DrawFn) -> Gold:
    """Words with spans on their edges that may lie in one another, and relations; or one with odd attributes."""
    text = " ".join(["Ana", "Bor", "Cas", "Dan", "Eva", "Fox"])
    words = st.tuples(st.integers(0, 5), st.integers(0, 2), st.sampled_from(list(RIGHT)))
    found = draw(st.lists(words, min_size=1, max_size=5, unique_by=lambda w: w[0] if draw(st.booleans()) else w))
    spans = [_right(4 * first, 4 * min(first + more, 5) + 3, label) for first, more, label in found]
    if draw(st.integers(0, 3)) == 0:
        label, values = draw(st.sampled_from(ODD))
        spans[0] = Span(spans[0].start, spans[0].end, label, attributes_of(values))
    spans = list({span_id("d", span): span for span in spans}.values())
    pairs = [
        Relation(one.name, head, tail)
        for one in world()[0].scheme.relations
        for head in spans
        for tail in spans
        if (head.label in one.heads and tail.label in one.tails) or draw(st.integers(0, 20)) == 0
    ]
    relations = draw(st.lists(st.sampled_from(pairs), max_size=3)) if pairs else []
    zone = Zone(*draw(st.sampled_from([(0, 3, "title"), (16, 19, "boilerplate"), (20, 99, "body"), (0, 3, "hill")])))
    zones = (zone,) if draw(st.integers(0, 5)) == 0 else ()
    words_ = (draw(st.sampled_from(["agreed"] * 9 + ["odd"])),) * len(spans)
    return Gold(Document("d", "ro", text, zones=zones), tuple(spans), tuple(relations), provenance=words_)


@st.composite
def rows(draw: st.DrawFn) -> list[Json]:
    """Rows of documents, some spoilt in one value."""
    corpus, _ = world()
    made = draw(st.lists(st.one_of(near(), near(), joined()), min_size=1, max_size=5))
    found = tables.rows("documents", corpus.scheme, corpus.languages, made)
    for number, row in enumerate(found):
        row["doc_id"] = f"d-{number}"
        for one in (*row["spans"], *row["relations"]):
            one |= {name: one[name].replace("d:", f"d-{number}:", 1) for name in ("id", "head", "tail") if name in one}
        if draw(st.integers(0, 9)) == 0:
            draw(st.sampled_from([_spoil_document, _spoil_span, _spoil_relation]))(draw, row)
    return found


def _spoil_document(draw: st.DrawFn, row: Json) -> None:
    name = draw(
        st.sampled_from(["doc_id", "language", "text", "text_sha256", "translation", "spans", "zones", "title"])
    )
    row[name] = draw(st.sampled_from([None, [] if isinstance(row[name], list) else "other"]))


def _spoil_span(draw: st.DrawFn, row: Json) -> None:
    if row["spans"]:
        span = draw(st.sampled_from(row["spans"]))
        name = draw(st.sampled_from(list(span)))
        values: dict[type, list[Any]] = {
            str: ["", "other", "state-ru"],
            int: [-1, 0, 1, 3, 4, 10**6],
            float: [0.0, float("nan")],
        }
        kind = type(span[name]) if span[name] is not None else (float if "value" in name else str)
        span[name] = draw(st.sampled_from([None, *values[kind]]))


def _spoil_relation(draw: st.DrawFn, row: Json) -> None:
    if row["relations"]:
        relation = draw(st.sampled_from(row["relations"]))
        name = draw(st.sampled_from(["id", "label", "head", "tail", "twice"]))
        if name == "twice":
            row["relations"].append(dict(relation))
        else:
            relation[name] = draw(
                st.sampled_from([None, -1, 0, 3, 9] if name == "label" else [None, "", "d:0-1:ACTOR"])
            )


@settings(max_examples=500, deadline=None)
@given(found=rows())
def test_the_screen_finds_what_the_checks_find(found: list[Json]) -> None:
    corpus, screen = world()
    batch = pa.RecordBatch.from_pylist(found, schema=tables.schema("documents", corpus.scheme))
    wanted = [finding for row in batch.to_pylist() for finding in check_row(row, corpus.scheme, corpus.languages)]
    assert findings_of(check_documents(batch, screen)) == wanted


def test_the_screen_lets_pass_what_is_right() -> None:
    corpus, screen = world()
    batch = next(tables.batches([corpus.dataset / tables.parquet_name("documents")]))
    wrong = {row["doc_id"] for row in batch.to_pylist() if check_row(row, corpus.scheme, corpus.languages)}
    assert set(batch["doc_id"].filter(pa.array(screen.suspects(batch))).to_pylist()) == wrong
    assert len(wrong) < batch.num_rows / 2


def test_a_crowd_of_spans_is_left_to_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, _ = world()
    spans = tuple(_right(0, 3, label) for label in ("SOURCE", "ACTOR"))
    made = [Gold(Document("d", "ro", "Ana a spus."), spans, provenance=("agreed", "agreed"))]
    batch = pa.RecordBatch.from_pylist(
        tables.rows("documents", corpus.scheme, corpus.languages, made),
        schema=tables.schema("documents", corpus.scheme),
    )
    assert Screen(corpus.scheme, corpus.languages).suspects(batch).tolist() == [False]
    monkeypatch.setattr(screening, "_CROWD", 1)
    assert Screen(corpus.scheme, corpus.languages).suspects(batch).tolist() == [True]


def test_a_screen_of_small_tables_proves_less_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, screen = world()
    batch = next(tables.batches([corpus.dataset / tables.parquet_name("documents")]))
    wanted = [finding for row in batch.to_pylist() for finding in check_row(row, corpus.scheme, corpus.languages)]
    suspects = screen.suspects(batch)
    monkeypatch.setattr(screening, "_NEAR", 4)
    assert Screen(corpus.scheme, corpus.languages).suspects(batch).tolist() == suspects.tolist()
    monkeypatch.setattr(screening, "_BITS", 2)
    small = Screen(corpus.scheme, corpus.languages)
    assert findings_of(check_documents(batch, small)) == wanted
    assert not (suspects & ~small.suspects(batch)).any()


def test_relations_that_stand_twice_or_lead_from_nowhere_are_seen() -> None:
    corpus, screen = world()
    spans = (_right(0, 3, "STANCE"), _right(4, 7, "SOURCE"))
    holder = Relation("holder", *spans)
    gold = Gold(Document("d", "ro", "Ana Bor Cas"), spans, (holder,), provenance=("one", "one"))
    right, twice, lost = tables.rows("documents", corpus.scheme, corpus.languages, [gold] * 3)
    twice["relations"] *= 2
    relation = lost["relations"][0]
    relation |= {name: relation[name].replace("d:0-3:", "d:0-7:") for name in ("id", "head")}
    batch = pa.RecordBatch.from_pylist([right, twice, lost], schema=tables.schema("documents", corpus.scheme))
    assert [bool(screen.suspects(batch.slice(row, 1))[0]) for row in range(3)] == [False, True, True]
