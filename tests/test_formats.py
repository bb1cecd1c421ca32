"""Predictions in the forms that models give them, and offsets that are off."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from nervaluate import Evaluator
from spacy.tokens import DocBin, Span

from testimonia.adjudication import region_results
from testimonia.corpus import Corpus
from testimonia.errors import FindingsError, InputError
from testimonia.extraction import of_rows, of_table
from testimonia.formats import read_gold, read_predictions, spans_of_tags, taggable, tokens_of
from testimonia.release import build_gold
from testimonia.scoring import score
from testimonia.tasks import task_of
from testimonia.units import to_code_points
from tests.strategies import texts
from tests.test_scoring import counts

Json = dict[str, Any]
TEXT = "  Rome 😀 aime Paris et Kiev.\r\nLe Caire dort à Kiev, dit Rome."
NAMES = ((2, 6), (14, 19), (23, 27), (33, 38), (46, 50), (56, 60))
GOLD: list[Json] = [
    {"doc_id": "a", "lang": "fr", "text": TEXT, "spans": [{"start": s, "end": e, "label": "ACTOR"} for s, e in NAMES]},
    {"doc_id": "b", "lang": "ar", "text": "قال الوزير", "spans": []},
]


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_entities_of_gliner(tmp_path: Path) -> None:
    found = [{"start": s, "end": e, "text": TEXT[s:e], "label": "ACTOR", "score": 0.9} for s, e in NAMES]
    by_id = {"a": found, "b": []}
    for form in (
        by_id,
        write(tmp_path / "by_id.json", by_id),
        [{"doc_id": "a", "entities": found}, {"doc_id": "b", "entities": []}],
    ):
        assert counts(score(GOLD, form, resamples=0).overall["strict"]) == [6, 0, 0, 0, 0]
    assert counts(score(GOLD, [{"text": TEXT, "entities": [[2, 6, "ACTOR"]]}], resamples=0).overall["strict"])[0] == 1


def test_docs_of_spacy(tmp_path: Path) -> None:
    nlp = spacy.blank("fr")
    docs = []
    for row in GOLD:
        doc = nlp(row["text"])
        doc.ents = [
            span
            for one in row["spans"]
            if isinstance(span := doc.char_span(one["start"], one["end"], one["label"]), Span)
        ]
        doc.user_data["doc_id"] = row["doc_id"]
        docs.append(doc)
    path = tmp_path / "docs.spacy"
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    as_json = write(tmp_path / "docs.jsonl", *(doc.to_json() for doc in docs))  # known by their text
    for form in (docs, dict(zip("ab", docs, strict=True)), path, as_json):
        assert counts(score(GOLD, form, resamples=0).overall["strict"]) == [6, 0, 0, 0, 0]
    path.write_bytes(b"no DocBin")
    with pytest.raises(InputError, match="DocBin"):
        score(GOLD, path)


def test_predictions_in_label_studio(corpus: Corpus) -> None:
    tasks: list[Any] = []
    golds = build_gold(corpus)[0]
    for gold in golds:
        ids = {span: f"r{row}" for row, span in enumerate(gold.spans)}
        result = [r for span in gold.spans for r in region_results(gold.document, span, ids[span], corpus.scheme)]
        for relation in gold.relations:
            ends = {"from_id": ids[relation.head], "to_id": ids[relation.tail]}
            result.append(ends | {"type": "relation", "direction": "right", "labels": [relation.label]})
        one = {"model_version": "m1", "result": result, "score": 0.5}
        predictions = [one, {"model_version": "m2", "result": []}]
        tasks.append({"id": len(tasks), "data": task_of(gold.document), "predictions": predictions})
    spans = sum(len(gold.spans) for gold in golds)
    found = score(corpus.dataset, tasks, model="m1", resamples=0)
    assert counts(found.overall["strict"]) == [spans, 0, 0, 0, 0]
    assert found.relations["strict"].f1 == 1
    assert found.linking["actor_entity"]["strict"].f1 == 1  # type: ignore[union-attr]
    assert found.settings["models"] == ["m1"]
    assert counts(score(corpus.dataset, tasks, model="m2", resamples=0).overall["strict"]) == [0, 0, 0, spans, 0]
    with pytest.raises(InputError, match="m1, m2"):
        score(corpus.dataset, tasks)
    with pytest.raises(InputError, match="m3"):
        score(corpus.dataset, tasks, model="m3")
    with pytest.raises(InputError, match="no task has a prediction"):
        score(corpus.dataset, [task | {"predictions": []} for task in tasks])
    tasks[0]["predictions"][0]["result"] = [dict(tasks[0]["predictions"][0]["result"][0], value={"start": 9**9})]
    with pytest.raises(FindingsError):
        score(corpus.dataset, tasks, model="m1")


def test_tags_over_the_tokens_config(corpus: Corpus, tmp_path: Path) -> None:
    found = score(corpus.dataset, corpus.dataset / "tokens", resamples=0)
    assert found.ceiling is not None
    assert found.overall["strict"] == found.ceiling["strict"]
    rows = pa.parquet.read_table(corpus.dataset / "tokens").to_pylist()
    single = []
    for row in rows:
        tags = ["O"] * len(row["tokens"])
        for label in corpus.scheme.label_names[::-1]:
            for place, tag in enumerate(row[f"{label.lower()}_tags"]):
                tags[place] = ["O", f"B-{label}", f"I-{label}"][tag] if tag else tags[place]
        single.append({"doc_id": row["doc_id"], "sentence": row["sentence"], "tags": tags})
    one = score(corpus.dataset, write(tmp_path / "tags.jsonl", *single), resamples=0)
    assert one.ceiling is not None
    strict = one.ceiling["strict"]
    assert strict.precision == 1  # what cannot be said in one column of tags is missed: SOURCE on ACTOR
    assert strict.recall is not None
    assert 0.7 < strict.recall < 0.9
    gold = read_gold(corpus.dataset)
    reading = read_predictions(tmp_path / "tags.jsonl", gold, tokens_of(corpus.dataset))
    said = taggable(gold, reading, {})
    assert len(said.spans) == strict.correct


def test_the_ceiling_leaves_out_what_tags_cannot_say() -> None:
    bounds = ((0, 5, "X"), (3, 5, "X"), (3, 5, "Y"), (6, 7, "X"))
    spans = [{"start": start, "end": end, "label": label} for start, end, label in bounds]
    gold = of_rows([("", {"doc_id": "a", "text": "ab cd ef", "spans": spans})])
    row = {"doc_id": "a", "starts": [0, 3, 6], "ends": [2, 5, 8], "sentence": 0}
    two = read_predictions([row | {"x_tags": ["B-X", "O", "O"], "y_tags": ["B-Y", "O", "O"]}], gold)
    assert taggable(gold, two, {}).spans.start.tolist() == [3, 3]
    one = read_predictions([row | {"tags": ["B-X", "B-Y", "O"]}], gold)
    assert taggable(gold, one, {}).spans.start.tolist() == [3]
    alone = read_predictions([row | {"x_tags": ["B-X", "O", "O"]}], gold)
    assert len(taggable(gold, alone, {}).spans) == 1  # no column for Y


def test_iobes_and_tags_that_go_on_from_nowhere() -> None:
    tokens = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]

    def said(*tags: str) -> tuple[list[tuple[int, int, str]], int]:
        spans, broken = spans_of_tags("here", list(tags), tokens)
        return [(s["start"], s["end"], s["label"]) for s in spans], broken

    assert said("B-A", "I-A", "E-A", "S-A", "O") == ([(0, 5, "A"), (6, 7, "A")], 0)
    assert said("B-A", "B-A", "O", "I-A", "I-B") == ([(0, 1, "A"), (2, 3, "A"), (6, 7, "A"), (8, 9, "B")], 2)
    for wrong in ("A", "B-", "X-A", "B_A"):
        with pytest.raises(InputError, match="is no tag"):
            said(wrong, "O", "O", "O", "O")


def test_tags_as_nervaluate_reads_them() -> None:
    rng = random.Random(7)
    tokens = [(n, n + 1) for n in range(12)]
    for _ in range(200):
        sides = []
        for _ in range(2):
            tags: list[str] = []
            for place in range(12):
                before = tags[-1][2:] if place else ""
                after = [f"I-{before}"] * 2 if before else []
                tags.append(rng.choice(["O", "O", "B-X", "B-Y", *after]))
            sides.append(tags)
        theirs = Evaluator([sides[0]], [sides[1]], tags=["X", "Y"], loader="list").evaluate()["overall"]["strict"]
        spans = [[{"doc_id": "d", "spans": spans_of_tags("", side, tokens)[0]}] for side in sides]
        ours = score(*spans, matching="nervaluate", resamples=0).overall["strict"]
        assert (ours.correct, ours.possible, ours.actual) == (theirs.correct, theirs.possible, theirs.actual)


WRONG_TAGS = {
    "not known": {"doc_id": "a", "sentence": 0, "tags": ["O"]},
    "2 tags for 1 tokens": {"doc_id": "a", "tags": ["O", "O"], "starts": [0], "ends": [1]},
    "0 tags for 1 tokens": {"doc_id": "a", "tags": 3, "starts": [0], "ends": [1]},
    "has no doc_id": {"tags": ["O"], "starts": [0], "ends": [1]},
    "not whole numbers": {"doc_id": "a", "tags": ["O"], "starts": [[0]], "ends": [1]},
    "differ in number": {"doc_id": "a", "tags": ["O"], "starts": [0], "ends": []},
}


@pytest.mark.parametrize("message", WRONG_TAGS)
def test_wrong_tags(message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(GOLD, [WRONG_TAGS[message]])


UNITS = {
    "code-points": lambda n: n,
    "utf-16": lambda n: len(TEXT[:n].encode("utf-16-le")) // 2,
    "bytes": lambda n: len(TEXT[:n].encode()),
}


@pytest.mark.parametrize("ends", ["exclusive", "inclusive"])
@pytest.mark.parametrize("unit", UNITS)
def test_offsets_in_other_units(unit: str, ends: str) -> None:
    less = ends == "inclusive"
    spans = [{"start": UNITS[unit](s), "end": UNITS[unit](e) - less, "label": "ACTOR"} for s, e in NAMES]
    said = [{"doc_id": "a", "spans": spans}, {"doc_id": "b", "spans": []}]
    told = score(GOLD, said, unit=unit, ends=ends, resamples=0)  # type: ignore[arg-type]
    assert counts(told.overall["strict"]) == [6, 0, 0, 0, 0]
    assert "offsets-off" not in {f.id for f in told.findings}
    if (unit, ends) != ("code-points", "exclusive"):
        silent: Any
        try:
            silent = score(GOLD, said, resamples=0)
            assert silent.overall["strict"].correct < 2  # never mended
        except FindingsError as error:
            silent = error
        message = next(f.message for f in silent.findings if f.id == "offsets-off")
        assert (f"--unit {unit}" in message) == (unit != "code-points")
        assert ("--ends inclusive" in message) == less


READINGS = {
    "white space": lambda s, e: (s - 2, e - 2),
    "LF for CRLF": lambda s, e: (s - (s > 28), e - (e > 28)),
    "CRLF for LF": lambda s, e: (s + (s > 29), e + (e > 29)),
    "begin at 1;": lambda s, e: (s + 1, e + 1),
    "begin at 1, ends inclusive": lambda s, e: (s + 1, e),
}


@pytest.mark.parametrize("words", READINGS)
@pytest.mark.parametrize("quoted", [True, False])
def test_offsets_of_another_text_are_named(words: str, quoted: bool) -> None:
    spans = []
    for s, e in NAMES:
        start, end = READINGS[words](s, e)
        spans.append({"start": start, "end": end, "label": "ACTOR"} | ({"text": TEXT[s:e]} if quoted else {}))
    try:
        findings = score(GOLD, [{"doc_id": "a", "spans": spans}], resamples=0).findings
        assert not quoted
    except FindingsError as error:
        findings = error.findings
    assert words.rstrip(";") in next(f.message for f in findings if f.id == "offsets-off")


def test_good_offsets_are_not_suspected(corpus: Corpus) -> None:
    rng = np.random.default_rng(1)
    gold = read_gold(corpus.dataset)
    for share in (0.0, 0.1, 0.5):
        kept = rng.random(len(gold.spans)) >= share
        found = score(gold, gold.of_spans(kept), resamples=0)
        assert "offsets-off" not in {f.id for f in found.findings}
        starts = rng.integers(0, 500, 60).tolist()
        spans = [{"start": start, "end": start + 7, "label": "ACTOR"} for start in starts]
        poor = [{"doc_id": doc_id, "spans": spans} for doc_id in gold.doc_ids.to_pylist()]
        assert "offsets-off" not in {f.id for f in score(gold, poor, resamples=0).findings}


@given(texts, st.sampled_from(["utf-16", "bytes"]))
def test_every_offset_there_and_back(text: str, unit: Any) -> None:
    codec, size = ("utf-16-le", 2) if unit == "utf-16" else ("utf-8", 1)
    there = np.array([len(text[:n].encode(codec)) // size for n in range(len(text) + 1)])
    assert to_code_points(text, there, unit).tolist() == list(range(len(text) + 1))
    between = np.setdiff1d(np.arange(-2, there[-1] + 3), there)
    assert (to_code_points(text, between, unit) == -1).all()


WRONG = {
    "is no JSON": '{"doc_id": "b", "spans": [}',
    "no whole number": '{"doc_id": "b", "spans": [{"start": NaN, "end": 2, "label": "ACTOR"}]}',
    "start = 1.0 is no whole": '{"doc_id": "b", "spans": [{"start": 1.0, "end": 2, "label": "ACTOR"}]}',
    "start = True": '{"doc_id": "b", "spans": [{"start": true, "end": 2, "label": "ACTOR"}]}',
    "outside any text": '{"doc_id": "b", "spans": [{"start": 1, "end": 1' + "0" * 400 + ', "label": "ACTOR"}]}',
    "label = None": '{"doc_id": "b", "spans": [{"start": 1, "end": 2}]}',
    "label = 3": '{"doc_id": "b", "spans": [{"start": 1, "end": 2, "label": 3}]}',
    "spans is no list": '{"doc_id": "b"}',
    "doc_id = None": '{"spans": []}',
    "doc_id = 7": '{"doc_id": 7, "spans": []}',
    "surrogate": '{"doc_id": "b\\ud800", "spans": []}',
    "is no object but list": "[1]",
    "nowhere is no number": '{"doc_id": "b", "spans": [{"start": 1, "end": 2, "label": "A", "nowhere": NaN}]}',
    "id = ":
        '{"doc_id": "b", "spans": [{"start": 1, "end": 2, "label": "A", "id": [1]}]}',
    "big is no number": '{"doc_id": "b", "spans": [{"start": 1, "end": 2, "label": "A", "big": 1' + "0" * 400 + "}]}",
    "attributes is no object": '{"doc_id": "b", "spans": [{"start": 1, "end": 2, "label": "A", "attributes": 3}]}',
    "neither a string nor a number": '{"doc_id": "b", "spans": [{"start": 1, "end": 2, "label": "A", "x": []}]}',
    "head = 4 is no span": '{"doc_id": "b", "spans": [], "relations": [{"label": "r", "head": 4, "tail": 0}]}',
    "no document of the gold has this text": '{"text": "?", "spans": []}',
    "recursion|is no JSON": '{"doc_id": "b", "spans":' + "[" * 200_000,
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_records(message: str, tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    path.write_text(json.dumps(GOLD[0]) + "\n" + WRONG[message] + "\n")
    with pytest.raises(InputError, match=rf"said\.jsonl:2.*({message})"):
        score(GOLD, path)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl.gz"
    path.write_bytes(gzip.compress("\ufeff\n\n".encode() + "".join(json.dumps(row) + "\n\n" for row in GOLD).encode()))
    assert score(GOLD, path, resamples=0).overall["strict"].f1 == 1
    assert score(tmp_path, GOLD, resamples=0).overall["strict"].f1 == 1
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="cannot be read"):
        score(GOLD, path)
    for content, message in (
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[]", "is empty"),
    ):
        wrong = tmp_path / "wrong.jsonl"
        wrong.write_bytes(content)
        with pytest.raises(InputError, match=message):
            score(GOLD, wrong)
    with pytest.raises(InputError, match="is not there"):
        score(GOLD, tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="neither"):
        (tmp_path / "folder").mkdir()
        score(GOLD, tmp_path / "folder")
    with pytest.raises(InputError, match="int"):
        score(GOLD, 3)


def table(**columns: Any) -> pa.Table:
    return pa.table(columns)


SPAN = {"start": 2, "end": 6, "label": "ACTOR"}
TABLES = {
    "has the columns": table(doc=["a"]),
    "numbers without names": table(doc_id=["a"], spans=[[SPAN | {"label": 0}]]),
    "whole numbers": table(doc_id=["a"], spans=[[SPAN | {"start": 2.0}]]),
    "end is null": table(doc_id=["a"], spans=[[SPAN | {"end": None}]]),
    "one is null": table(doc_id=["a"], spans=[[SPAN | {"label": None}, SPAN]]),
    "holds a null; leave it out": table(doc_id=["a"], spans=[[None, SPAN]]),
    "list of structs": table(doc_id=["a"], spans=[3]),
    "doc_id is null": table(doc_id=[None, "a"], spans=[[SPAN], []]),
    "spans have no id": table(doc_id=["a"], spans=[[SPAN]], relations=[[{"label": "r", "head": "x", "tail": "y"}]]),
    "is no span of the document": table(
        doc_id=["a"], spans=[[SPAN]], relations=[[{"label": "r", "head": 0, "tail": 1}]]
    ),
}


@pytest.mark.parametrize("message", TABLES)
def test_wrong_tables(message: str) -> None:
    with pytest.raises(InputError, match=message):
        of_table(TABLES[message], "here")


def test_structs_of_lists_and_dictionaries() -> None:
    old = table(
        doc_id=["a", "b"],
        spans=[{"start": [2, 14], "end": [6, 19], "label": ["ACTOR", "ACTOR"]}, {"start": [], "end": [], "label": []}],
    )
    assert counts(score(GOLD, old, resamples=0).overall["strict"]) == [2, 0, 0, 4, 0]
    labels = pa.array(["ACTOR", "PER"]).dictionary_encode()
    flat = pa.table(
        {
            "doc_id": ["a", "a"],
            "start": pa.array([2, 14], pa.uint8()),
            "end": pa.array([6, 19], pa.int32()),
            "label": labels,
        }
    )
    assert counts(score(GOLD, flat, mapping={"PER": "ACTOR"}, resamples=0).overall["strict"]) == [2, 0, 0, 4, 0]


def test_two_texts_for_one_id() -> None:
    for other, words in (
        (TEXT.strip(), "white space at its edges"),
        (TEXT.replace("\r", ""), "line ends"),
        ("x", "other words"),
    ):
        with pytest.raises(FindingsError) as caught:
            score(GOLD, [{"doc_id": "a", "text": other, "spans": []}])
        assert [f.id for f in caught.value.findings] == ["text-differs"]
        assert words in caught.value.findings[0].message


def test_a_model_with_a_habit_is_not_accused() -> None:
    text = "«Rome» dit. «Paris» dort. «Kiev» va. «Oslo» rit. «Bonn» lit."
    names = [text.index(name) for name in ("Rome", "Paris", "Kiev", "Oslo", "Bonn")]
    whole: list[Json] = [{"start": s - 1, "end": text.index("»", s) + 1, "label": "A"} for s in names]
    gold = [{"doc_id": "a", "text": text, "spans": whole}]
    for start, end in ((1, 0), (0, 1), (1, 1)):  # it leaves out a quotation mark, or both
        said = [one | {"start": one["start"] + start, "end": one["end"] - end} for one in whole]
        found = score(gold, [{"doc_id": "a", "spans": said}], resamples=0)
        assert "offsets-off" not in {f.id for f in found.findings}


def test_quotes_cut_with_offsets_that_are_off() -> None:
    spans = [{"start": s, "end": e - 1, "label": "ACTOR", "text": TEXT[s : e - 1]} for s, e in NAMES]
    found = score(GOLD, [{"doc_id": "a", "spans": spans}], resamples=0)
    assert "--ends inclusive" in next(f.message for f in found.findings if f.id == "offsets-off")


MIXED = {
    "give one form in one file": [
        {"doc_id": "a", "tags": ["O"], "starts": [0], "ends": [1]},
        {"doc_id": "b", "spans": []},
    ],
    "id = 's' stands twice": [
        {"doc_id": "a", "spans": [{"start": s, "end": s + 2, "label": "X", "id": "s"} for s in (0, 3)]}
    ],
}


@pytest.mark.parametrize("message", MIXED)
def test_mixed_and_repeated(message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(GOLD, MIXED[message])


def test_class_tags_that_stand_for_padding(corpus: Corpus) -> None:
    tokens = pa.parquet.read_table(corpus.dataset / "tokens")
    rows = tokens.to_pylist()
    rows[0]["actor_tags"][0] = -100
    with pytest.raises(InputError, match="-100 is none of the 3 classes"):
        score(corpus.dataset, pa.Table.from_pylist(rows, schema=tokens.schema))


def test_zones_that_overlap() -> None:
    zones = [{"start": 0, "end": 9, "kind": "a"}, {"start": 5, "end": 12, "kind": "b"}]
    with pytest.raises(FindingsError) as caught:
        score([GOLD[0] | {"zones": zones}], [])
    assert [f.id for f in caught.value.findings] == ["zone"]


def test_folders(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", GOLD[0])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps(GOLD[1]).encode()))
    assert score(GOLD, tmp_path, resamples=0).settings["predicted_spans"] == 6
    assert not [f for f in score(GOLD, tmp_path, resamples=0).findings if f.id == "document-missing"]
    pa.parquet.write_table(pa.table({"doc_id": ["a"], "spans": [[SPAN]]}), tmp_path / "c.parquet")
    with pytest.raises(InputError, match="Parquet and JSON"):
        score(GOLD, tmp_path)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"{" * 1000)[:-9] + b"rubbish!!")
    with pytest.raises(InputError):
        score(GOLD, tmp_path / "b.jsonl.gz")


def test_entities_keep_what_else_they_say() -> None:
    entity = {"start": 2, "end": 6, "label": "ACTOR", "actor_kind": "state", "score": 0.5, "vector": [1]}
    found = read_predictions([{"doc_id": "a", "entities": [entity]}], read_gold(GOLD)).extraction
    assert {name: values.to_pylist() for name, values in found.attributes.items()} == {"actor_kind": ["state"]}
