"""The scores of whole corpora: what is counted where, and that it does not depend on form or order."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pytest
from datasets import load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

import testimonia
from testimonia import metric, scoring
from testimonia.corpus import Corpus
from testimonia.errors import FindingsError, InputError
from testimonia.measures import COUNTS, Accuracy, Score
from testimonia.scoring import Scores, score
from testimonia.tallies import MODES

Json = dict[str, Any]
TEXT = "Le maire Paul a salué trois cents volontaires, selon Radio Sud. Marie doute."


def span(text: str, label: str, where: str = TEXT, **attributes: Any) -> Json:
    start = where.index(text)
    return {"start": start, "end": start + len(text), "label": label, "attributes": attributes}


def document(*spans: Json, doc_id: str = "d1", text: str | None = TEXT, **more: Any) -> Json:
    return {"doc_id": doc_id, "language": "fr", "text": text, "spans": list(spans)} | more


GOLD = [
    document(
        span("maire Paul", "ACTOR", kind="person", entity="paul"),
        span("trois cents volontaires", "QUANTITY", kind="personnel", value_min=300, value_max=300),
        span("a salué", "STANCE"),
        span("Radio Sud", "ACTOR", kind="media", entity="radio-sud"),
        span("Radio Sud", "SOURCE"),
        span("Marie", "ACTOR", kind="person", entity="marie"),
        relations=[
            {"label": "holder", "head": 2, "tail": 0},
            {"label": "attributed_to", "head": 1, "tail": 4},
        ],
        zones=[{"start": 0, "end": 63, "kind": "body"}, {"start": 64, "end": len(TEXT), "kind": "caption"}],
    )
]
PREDICTED = [
    document(
        span("Paul", "ACTOR", kind="person", entity="paul"),
        span("trois cents volontaires", "QUANTITY", kind="casualties", value_min=302),
        span("a salué", "STANCE"),
        span("Radio Sud", "SOURCE"),
        span("Marie", "SOURCE"),
        span("doute", "STANCE"),
        relations=[
            {"label": "holder", "head": 2, "tail": 0},
            {"label": "attributed_to", "head": 1, "tail": 3},
            {"label": "attributed_to", "head": 1, "tail": 3},
            {"label": "holder", "head": 5, "tail": 4},
        ],
    )
]


def counts(one: Score) -> list[int | None]:
    return [getattr(one, name) for name in COUNTS]


@pytest.fixture(scope="module")
def scores() -> Scores:
    return score(GOLD, PREDICTED, resamples=200)


def test_counts_by_hand(scores: Scores) -> None:
    expected = {
        "strict": [3, 2, 0, 1, 1],
        "exact": [4, 1, 0, 1, 1],
        "partial": [4, 0, 1, 1, 1],
        "type": [4, 1, 0, 1, 1],
    }
    assert {mode: counts(scores.overall[mode]) for mode in MODES} == expected
    partial = scores.overall["partial"]
    assert (partial.possible, partial.actual) == (6, 6)
    assert (partial.precision, partial.recall, partial.f1) == (4.5 / 6, 4.5 / 6, 9 / 12)
    assert counts(scores.by_label["ACTOR"]["strict"]) == [0, 1, 0, 2, 0]
    assert counts(scores.by_label["SOURCE"]["strict"]) == [1, 0, 0, 0, 1]
    # Unfiltered, the gold ACTOR "Marie" is paired with the predicted SOURCE, and only this adds up.
    assert counts(scores.by_label_unfiltered["ACTOR"]["strict"]) == [0, 2, 0, 1, 0]
    assert counts(scores.by_label_unfiltered["SOURCE"]["strict"]) == [1, 0, 0, 0, 0]


def test_beyond_spans_by_hand(scores: Scores) -> None:
    found = {
        (name, measure): (one.correct, one.compared)
        for name, measures in scores.attributes.items()
        for measure, one in measures.items()
        if isinstance(one, Accuracy)
    }
    assert found == {
        ("actor_kind", "accuracy"): (1, 1),
        ("quantity_kind", "accuracy"): (0, 1),
        ("quantity_value_min", "exact"): (0, 1),
        ("quantity_value_min", "within_1_percent"): (1, 1),
        ("quantity_value_min", "order_of_magnitude"): (1, 1),
    }
    accuracy, strict = scores.linking["actor_entity"]["accuracy"], scores.linking["actor_entity"]["strict"]
    assert isinstance(accuracy, Accuracy)
    assert isinstance(strict, Score)
    assert (accuracy.correct, accuracy.compared) == (1, 1)
    assert counts(strict) == [0, 0, 0, 3, 1]
    assert counts(scores.relations["strict"]) == [1, 0, 0, 1, 2]
    assert counts(scores.relations["partial"]) == [2, 0, 0, 0, 1]
    assert counts(scores.by_relation["holder"]["partial"]) == [1, 0, 0, 0, 1]
    assert scores.confusion["ACTOR"] == {
        "ACTOR": 1, "QUANTITY": 0, "STANCE": 0, "SOURCE": 1, "none": 1,
    }  # fmt: skip
    assert scores.confusion["none"]["STANCE"] == 1


def test_slices_by_hand(scores: Scores) -> None:
    assert counts(scores.slices["actor_kind=person"]["strict"]) == [0, 1, 0, 1, 0]
    assert counts(scores.slices["actor_kind=media"]["partial"]) == [0, 0, 0, 1, 0]
    assert counts(scores.slices["zone=caption"]["type"]) == [0, 0, 0, 1, 2]
    assert counts(scores.slices["zone=body"]["type"]) == [4, 0, 0, 1, 0]
    silent = score(GOLD, [document(span("Marie", "ACTOR"))], resamples=0).slices["actor_kind=person"]["strict"]
    assert (silent.recall, silent.spurious, silent.precision, silent.f1) == (0.5, None, None, None)


def test_quantities_by_value() -> None:
    def found(gold: Json, said: Json) -> dict[str, int]:
        sides = [[document(span("Paul", "Q", **values))] for values in (gold, said)]
        attributes = score(*sides, resamples=0).attributes
        return {f"{name} {m}": one.correct for name, ms in attributes.items() for m, one in ms.items()}

    lower, upper = "q_value_min ", "q_value_max "
    same = found({"value_min": 100.0, "value_max": 200.0}, {"value_min": 250.0, "value_max": 300.0})
    assert same[lower + "within_1_percent"] == 0
    assert same[lower + "order_of_magnitude"] == 1
    assert same["q_value interval_overlap"] == 0
    assert found({"value_min": 100, "value_max": 200}, {"value_min": 200, "value_max": 900})["q_value interval_overlap"]
    assert found({"value_min": 0, "value_max": 0}, {"value_min": 0, "value_max": 1})[lower + "order_of_magnitude"] == 1
    assert found({"value_min": 100, "value_max": 1}, {"value_min": 400, "value_max": -1}) == {
        lower + "exact": 0, lower + "within_1_percent": 0, lower + "order_of_magnitude": 0,
        upper + "exact": 0, upper + "within_1_percent": 0, upper + "order_of_magnitude": 0,
        "q_value interval_overlap": 0,
    }  # fmt: skip


def test_json_has_its_shape(scores: Scores) -> None:
    found = json.loads(json.dumps(scores.as_json()))
    keys = {*COUNTS, "possible", "actual", "precision", "recall", "f1", "ci95"}
    for group in ("by_label", "by_label_unfiltered", "by_language", "by_document", "slices"):
        for by_mode in found[group].values():
            assert set(by_mode) == set(MODES)
            assert all(set(one) == keys for one in by_mode.values())
    assert set(found["overall"]) == set(MODES)
    assert set(found["overall"]["strict"]) == keys
    low, high = found["overall"]["strict"]["ci95"]
    assert low <= found["overall"]["strict"]["f1"] <= high
    assert found["settings"]["resampled"] == {"overall": "sentences", "fr": "sentences"}


def plain(found: Scores) -> Json:
    return {name: value for name, value in found.as_json().items() if name not in ("settings", "findings")}


def test_any_form_of_the_dataset_scores_alike(corpus: Corpus, tmp_path: Path) -> None:
    dataset = load_dataset(str(corpus.dataset), split="test")
    table = dataset.with_format("arrow")[:].replace_schema_metadata(dataset.features.arrow_schema.metadata)
    names = {"spans": corpus.scheme.label_names, "relations": corpus.scheme.relation_names}
    rows = dataset.to_list()
    for row in rows:
        for key, words in names.items():
            for one in row[key]:
                one["label"] = words[one["label"]]
    lines = tmp_path / "gold.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    array = tmp_path / "gold.json"
    array.write_text(json.dumps(rows, indent=1))
    whole = plain(score(corpus.dataset, corpus.dataset, resamples=100))
    assert whole["overall"]["strict"]["f1"] == whole["relations"]["strict"]["f1"] == 1
    assert whole["overall"]["strict"]["correct"] == sum(len(row["spans"]) for row in rows)
    for form in (dataset, table, table.to_batches()[0], rows, lines, array, str(lines)):
        assert plain(score(form, corpus.dataset, resamples=100)) == whole
        assert plain(score(corpus.dataset, form, resamples=100)) == whole
    flat = corpus.dataset / "spans"
    found = score(corpus.dataset, flat, resamples=0)
    assert found.overall["strict"].f1 == 1
    assert found.linking["actor_entity"]["strict"].f1 == 1  # type: ignore[union-attr]
    assert score(corpus.dataset, load_dataset(str(corpus.dataset), "spans", split="test")).overall["exact"].f1 == 1


def test_labels_languages_and_map(corpus: Corpus) -> None:
    one = score(corpus.dataset, corpus.dataset, labels=["ACTOR"], languages=["fr"], resamples=0)
    assert set(one.by_language) == {"fr"}
    assert one.overall["strict"].possible == one.by_label["ACTOR"]["strict"].possible == one.overall["type"].correct
    assert one.by_label["SOURCE"]["strict"].f1 is None
    assert one.settings["labels"] == ["ACTOR"]
    said = [document(span("Marie", "PER"), span("Radio Sud", "ORG"), span("doute", "VERB"))]
    found = score(GOLD, said, mapping={"PER": "ACTOR", "ORG": "ACTOR"}, resamples=0)
    assert counts(found.by_label["ACTOR"]["strict"]) == [2, 0, 0, 1, 0]
    assert counts(found.overall["partial"]) == [2, 0, 0, 4, 1]
    assert "VERB" not in found.by_label
    assert [f.id for f in found.findings if f.place == "VERB"] == ["label-unknown"]
    chosen = score(GOLD, said, mapping={"PER": "ACTOR", "ORG": "ACTOR"}, labels=["ACTOR"], resamples=0)
    assert counts(chosen.overall["strict"]) == [2, 0, 0, 1, 0]
    with pytest.raises(FindingsError) as caught:
        score(GOLD, said, scheme=corpus.scheme)
    assert {f.place for f in caught.value.findings} == {"predictions: PER", "predictions: ORG", "predictions: VERB"}
    for wrong in ({"labels": ["PLACE"]}, {"languages": ["de"]}, {"mapping": {"PER": "PERSON"}}):
        with pytest.raises(InputError):
            score(GOLD, said, **wrong)


def test_a_label_that_the_gold_does_not_know_pairs_with_nothing() -> None:
    found = score(GOLD, [document(span("Marie", "PER"))], resamples=0)
    for mode in MODES:
        assert counts(found.overall[mode]) == [0, 0, 0, 6, 1]


def test_nothing_is_neither_right_nor_wrong() -> None:
    found = score([document()], [document()], resamples=100).overall["strict"]
    assert (found.precision, found.recall, found.f1, found.ci95) == (None, None, None, None)
    missed = score(GOLD, [], resamples=0).overall["strict"]
    assert (missed.precision, missed.recall, missed.f1) == (None, 0, 0)
    assert score([], [], resamples=0).overall["strict"].f1 is None


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_order_does_not_matter(random: Any) -> None:
    gold, said = json.loads(json.dumps(GOLD[0])), json.loads(json.dumps(PREDICTED[0]))
    for one in (gold, said):  # spans that differ in their attributes only
        one["spans"] += [
            span("Paul", "ACTOR", kind="state", entity="a"),
            span("Paul", "ACTOR", entity="b", kind="media"),
        ]
        one["spans"] += [span("Paul", "ACTOR", rank=3), span("Paul", "ACTOR")]
    more = {"doc_id": "d2", "language": "ar", "text": "قال", "spans": [{"start": 0, "end": 3, "label": "ACTOR"}]}
    there = plain(score([gold, more], [said, more], resamples=0))
    for one in (gold, said):
        order = list(range(len(one["spans"])))
        random.shuffle(order)
        one["spans"] = [one["spans"][row] for row in order]
        one["relations"] = [
            r | {"head": order.index(r["head"]), "tail": order.index(r["tail"])} for r in one["relations"]
        ]
    assert plain(score([more, gold], [said, more], resamples=0)) == there


def test_documents_are_drawn_where_there_are_twenty() -> None:
    rng = np.random.default_rng(3)
    gold = [document(span("Marie", "A"), span("Paul", "A"), doc_id=f"d{n}") for n in range(40)]
    said = [document(*(one for one in row["spans"] if rng.random() < 0.6), doc_id=row["doc_id"]) for row in gold]
    found = score(gold, said, seed=2)
    assert found.settings["resampled"]["overall"] == "documents"
    strict, again = found.overall["strict"], score(gold, said, seed=2).overall["strict"]
    assert strict == again
    assert strict.ci95 is not None
    hits = np.array([len(row["spans"]) for row in said])
    drawn = hits[np.random.default_rng(5).integers(40, size=(20_000, 40))].sum(axis=1)
    low, high = np.percentile(2 * drawn / (80 + drawn), [2.5, 97.5])
    assert strict.ci95 == pytest.approx((low, high), abs=0.02)
    mean = found.macro["documents"]["strict"]
    assert mean.value == pytest.approx(np.mean(2 * hits / (2 + hits)))
    assert mean.ci95 is not None
    assert score(gold, said, drawn="sentences").settings["resampled"]["overall"] == "sentences"
    with pytest.raises(InputError, match="sentences"):
        score([document(text=None)], [], drawn="sentences")


def test_many_documents_have_scores_without_intervals_of_their_own() -> None:
    gold = [document(span("Marie", "A"), doc_id=f"d{n}") for n in range(300)]
    found = score(gold, gold, resamples=100)
    assert found.by_document["d299"]["strict"] == Score(1, 0, 0, 0, 0)
    assert found.overall["strict"].ci95 == (1, 1)


def test_a_document_without_spans_is_not_listed() -> None:
    found = score([*GOLD, document(doc_id="d2", text="")], PREDICTED, resamples=0)
    assert set(found.by_document) == {"d1"}
    assert [f.place for f in found.findings if f.id == "document-missing"] == ["gold[1] (d2)"]


def test_the_examples_in_the_docs_run() -> None:
    for module in (scoring, metric):
        assert doctest.testmod(module).failed == 0
        assert doctest.testmod(module).attempted > 2


def test_metric() -> None:
    one = testimonia.SpanMetric()
    one.add_batch(predictions=[PREDICTED[0]["spans"], []], references=[GOLD[0]["spans"], []])
    found = one.compute()
    assert found["strict_f1"] == 0.5
    assert found["type_f1_STANCE"] == pytest.approx(2 / 3)
    assert one.compute(predictions=[[]], references=[[]])["strict_f1"] is None
    with pytest.raises(InputError, match="1 for 2 references"):
        one.add_batch(predictions=[[]], references=[[], []])


def test_matching_by_name() -> None:
    gold = [document({"start": 0, "end": 200, "label": "A"}, text="x" * 200)]
    said = [document({"start": 0, "end": 1, "label": "A"}, text="x" * 200)]
    assert score(gold, said, resamples=0).overall["type"].correct == 1
    assert score(gold, said, matching="nervaluate", resamples=0).overall["type"].correct == 0  # under its 1%
    assert score(gold, said, matching="hipe", resamples=0).overall["type"].correct == 1


def test_attributes_given_twice() -> None:
    one = {"start": 0, "end": 2, "label": "ACTOR", "actor_kind": "p", "attributes": {"kind": "p"}}
    two = {"start": 3, "end": 8, "label": "ACTOR", "attributes": {"kind": "q"}}
    found = score([document(one, two)], [document(one, two)], resamples=0).attributes["actor_kind"]["accuracy"]
    assert found == Accuracy(2, 2, None)
    with pytest.raises(InputError, match="actor_kind stands twice"):
        score([document(one | {"actor_kind": "x"})], [])


def test_spans_that_differ_in_attributes_only() -> None:
    gold = [document(span("Paul", "A", k="a", m="1"))]
    said = [span("Paul", "A", k="a", m="2"), span("Paul", "A", k="b", m="1")]
    there = [plain(score(gold, [document(*side)], resamples=0)) for side in (said, said[::-1])]
    assert there[0] == there[1]


def test_what_is_compared_is_paired_within_its_label() -> None:
    text = "x" * 40
    gold = [
        document({"start": 0, "end": 10, "label": "X", "k": "a"}, {"start": 20, "end": 25, "label": "Y"}, text=text)
    ]
    said = [document({"start": 0, "end": 10, "label": "Y"}, {"start": 0, "end": 9, "label": "X", "k": "a"}, text=text)]
    found = score(gold, said, resamples=0)
    assert found.attributes["k"]["accuracy"] == Accuracy(1, 1, None)
    assert found.slices["k=a"]["type"].correct == found.by_label["X"]["type"].correct == 1


def test_labels_numbered_otherwise_score_alike(corpus: Corpus) -> None:
    gold = [document({"start": 0, "end": 4, "label": "X"}, {"start": 0, "end": 4, "label": "Y"})]
    said = [document({"start": 2, "end": 3, "label": "Y"})]
    tables = [
        pa.table({"doc_id": ["d1"], "text": [TEXT], "spans": [[gold[0]["spans"][row] for row in order]]})
        for order in ((0, 1), (1, 0))
    ]
    there = [score(side, said, resamples=0).by_label_unfiltered for side in (gold, *tables)]
    assert there[0] == there[1] == there[2]


def test_values_of_every_kind() -> None:
    def accuracy(gold: Any, said: Any, **more: Any) -> dict[str, tuple[int, int]]:
        sides = [[document(span("Paul", "A", k=value), span("Marie", "A", **more))] for value in (gold, said)]
        found = score(*sides, resamples=0).attributes["a_k"]
        return {name: (one.correct, one.compared) for name, one in found.items() if isinstance(one, Accuracy)}

    assert accuracy(1234567, 1234568, k="x") == {"accuracy": (1, 2)}
    assert accuracy(2, 2.0, k="x") == {"accuracy": (2, 2)}
    assert accuracy(None, "abc") == {"accuracy": (0, 1)}
    assert accuracy(3, "three")["exact"] == (0, 1)
    assert accuracy(3, "3")["exact"] == (1, 1)


def test_names_that_mean_something_here() -> None:
    relations = [{"label": "overall", "head": 0, "tail": 1}, {"label": "b", "head": 1, "tail": 0}]
    zones = [{"start": 0, "end": 9, "kind": "x"}]
    gold = [document(span("Paul", "A", zone="x"), span("Marie", "A"), relations=relations, zones=zones)]
    found = score(gold, [document()], resamples=0)
    assert found.relations["strict"].missed == 2
    assert found.by_relation["overall"]["strict"].missed == 1
    assert found.slices["a_zone=x"]["strict"].possible == 1
    many = [document(span("Paul", "A", k=f"v{n}"), doc_id=f"d{n}") for n in range(60)]
    few = [row | {"spans": [row["spans"][0] | {"attributes": {"k": "v"}}]} for row in many]
    assert "a_k=v" in score(few, many, resamples=0).slices


def test_mapped_labels_keep_their_attributes() -> None:
    said = [document(span("Paul", "PER", kind="person"), span("Marie", "ORG", kind="group"))]
    gold = [document(span("Paul", "ACTOR", kind="person"), span("Marie", "ACTOR", kind="person"))]
    found = score(gold, said, mapping={"PER": "ACTOR", "ORG": "ACTOR"}, resamples=0)
    assert found.attributes["actor_kind"]["accuracy"] == Accuracy(1, 2, None)


WRONG_CHOICES: list[Json] = [{"matching": "Best"}, {"unit": "utf16"}, {"ends": "incl"}, {"drawn": "x"}, {"model": "m"}]


@pytest.mark.parametrize("wrong", WRONG_CHOICES)
def test_choices_are_checked(wrong: Json) -> None:
    with pytest.raises(InputError):
        score(GOLD, PREDICTED, **wrong)


def test_a_label_may_be_given_as_a_string() -> None:
    assert score(GOLD, PREDICTED, labels="ACTOR", resamples=0).settings["labels"] == ["ACTOR"]


def test_streams_frames_and_splits(corpus: Corpus) -> None:
    whole = load_dataset(str(corpus.dataset))
    stream = load_dataset(str(corpus.dataset), streaming=True)["test"]
    spans = load_dataset(str(corpus.dataset), "spans", split="test")
    for form in (
        stream,
        spans.to_pandas(),
        polars.from_arrow(spans.data.table),
        spans.shuffle(seed=1).select(range(len(spans))),
    ):
        assert score(corpus.dataset, form, resamples=0).overall["strict"].f1 == 1
    with pytest.raises(InputError, match="holds the splits test"):
        score(whole, whole)
    assert score(GOLD[0], PREDICTED[0], resamples=0).overall["strict"].f1 == 0.5


def test_a_long_chain_of_nested_spans_is_paired_in_bounded_time() -> None:
    rows: list[Json] = [{"start": n, "end": 6000 - n, "label": "A"} for n in range(1000)]
    gold = [document(*rows, text="x" * 6001)]
    said = [document(*(row | {"start": row["start"] + 1} for row in rows), text="x" * 6001)]
    found = score(gold, said, resamples=0)
    assert found.overall["type"].correct == 1000
