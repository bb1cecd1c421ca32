"""Predictions in quotes: placed, told, scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testimonia.corpus import Corpus
from testimonia.scoring import score
from tests.conftest import ROOT
from tests.test_cli import run

TEXT = "Le maire Paul a salué trois cents volontaires, selon Radio Sud. Paul doute."
QUOTES = [
    {"quote": "maire Paul", "label": "ACTOR", "attributes": {"kind": "person"}},
    {"quote": "salue", "label": "STANCE", "actor_kind": "none"},
    {"quote": "trois cent volontaires", "label": "QUANTITY"},
    {"quote": "« Radio Sud »", "label": "SOURCE"},
    {"quote": "Paul", "label": "ACTOR"},
    {"quote": "la Tour Eiffel", "label": "ACTOR"},
]
RECORD = {
    "doc_id": "d-1",
    "model": "m",
    "quotes": QUOTES,
    "relations": [{"label": "holder", "head": 1, "tail": 0}, {"label": "target", "head": 1, "tail": 5}],
}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_quotes_become_spans_that_the_scorer_reads(tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", {"doc_id": "d-1", "language": "fr", "text": TEXT, "spans": []})
    quotes, out = write(tmp_path / "quotes.jsonl", RECORD), tmp_path / "out.jsonl"
    done = run("ground-quotes", texts, quotes, "--out", out, "--corpus", ROOT)
    assert done.returncode == 0
    assert "'la Tour Eiffel' stands nowhere in the text; it was left out (absent) [quote-unplaced]" in done.stdout
    assert "1 relations name a quote that was left out" in done.stdout
    record = json.loads(out.read_text())
    assert [TEXT[span["start"] : span["end"]] for span in record["spans"]] == [span["text"] for span in record["spans"]]
    assert [span["text"] for span in record["spans"]][:2] == ["maire Paul", "salué"]
    assert [span["text"] for span in record["spans"]][-2:] == ["Radio Sud", "Paul"]
    assert record["spans"][-1]["start"] == TEXT.rindex("Paul")  # in the order of the quotes
    tiers = {span["text"]: span["grounding"]["tier"] for span in record["spans"]}
    assert tiers["salué"] == "letters"
    assert {"quote": "la Tour Eiffel", "label": "ACTOR", "reason": "absent"} in record["ungrounded"]
    assert record["relations"] == [{"label": "holder", "head": 1, "tail": 0}]
    found = score(out, out, resamples=0)
    assert found.overall["strict"].f1 == 1
    assert found.settings["models"] == ["m"]
    assert set(found.attributes) == {"actor_kind"}
    counts = json.loads(run("ground-quotes", texts, quotes, "--out", out, "--corpus", ROOT, "--json").stdout)
    assert counts["placed"] == len(record["spans"])
    assert counts["left_out"] == len(record["ungrounded"])


def test_the_quotes_of_the_gold_are_found_again(corpus: Corpus, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in run("predict-baseline", "--corpus", ROOT).stdout.splitlines()]
    records = [
        {"doc_id": row["doc_id"], "quotes": [{"quote": s["text"], "label": s["label"]} for s in row["spans"]]}
        for row in rows
    ]
    out = tmp_path / "out.jsonl"
    run("ground-quotes", corpus.dataset, write(tmp_path / "q.jsonl", *records), "--out", out, "--corpus", ROOT)
    placed = [json.loads(line)["spans"] for line in out.read_text().splitlines()]
    meant = [(s["start"], s["end"]) for row in rows for s in row["spans"]]
    found = [(s["start"], s["end"]) for spans in placed for s in spans]
    assert len(found) == len(meant)
    assert sum(one in found for one in meant) > 0.97 * len(meant)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"quotes": []}, "has no doc_id"),
        ({"doc_id": "x", "quotes": []}, "no document of the gold"),
        ({"doc_id": "d-1"}, "quotes is no list"),
        ({"doc_id": "d-1", "quotes": [{"quote": 3, "label": "A"}]}, "no quote or no label"),
        ({"doc_id": "d-1", "quotes": [], "relations": 3}, "relations is no list"),
        ({"doc_id": "d-1", "quotes": [], "relations": [{"label": "r", "head": 0, "tail": 1}]}, "number of no quote"),
        (7, "has no doc_id"),
    ],
)
def test_wrong_records(row: Any, message: str, tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", {"doc_id": "d-1", "language": "fr", "text": TEXT})
    quotes = write(tmp_path / "quotes.jsonl", {"doc_id": "d-1", "quotes": []} if message == "x" else row)
    done = run("ground-quotes", texts, quotes, "--out", tmp_path / "out.jsonl")
    assert (done.returncode, message in done.stderr, (tmp_path / "out.jsonl").exists()) == (2, True, False)


def test_a_document_twice(tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", {"doc_id": "d-1", "language": "fr", "text": TEXT})
    done = run("ground-quotes", texts, write(tmp_path / "q.jsonl", RECORD, RECORD), "--out", tmp_path / "out.jsonl")
    assert (done.returncode, "stands twice" in done.stderr) == (2, True)
