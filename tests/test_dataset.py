"""The released dataset: rebuilt to the byte, and loaded by what strangers use."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pandas as pd
import polars as pl
import pytest

from testimonia import tables
from testimonia.corpus import Corpus, read_corpus
from testimonia.document import Span
from testimonia.errors import FindingsError
from testimonia.release import build_gold, export_gold, read_citation
from tests.conftest import ROOT

DATASET = ROOT / "dataset"
MANIFEST = json.loads((DATASET / "manifest.json").read_text())


def test_a_rebuild_gives_the_committed_bytes(copy: Path) -> None:
    card = (copy / "DATASET_CARD.md").read_text()
    made = export_gold(read_corpus(copy))
    assert made.manifest == MANIFEST
    for path in DATASET.rglob("*"):
        if path.is_file():
            assert (copy / "dataset" / path.relative_to(DATASET)).read_bytes() == path.read_bytes(), path
    assert (copy / "DATASET_CARD.md").read_text() == card


def test_an_error_in_an_export_writes_nothing(alone: Path) -> None:
    path = alone / "labeling" / "exports" / "first" / "fr-1.json"
    task = json.loads(path.read_text())
    task["annotations"][0]["result"][0]["value"]["start"] += 1
    path.write_text(json.dumps(task))
    before = {p: p.read_bytes() for p in alone.rglob("*") if p.is_file() and not p.name.endswith(".lock")}
    with pytest.raises(FindingsError, match="nothing was written") as raised:
        export_gold(read_corpus(alone))
    assert "text-differs" in {finding.id for finding in raised.value.findings}
    after = {p: p.read_bytes() for p in alone.rglob("*") if p.is_file() and not p.name.endswith(".lock")}
    assert after == before


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("config", MANIFEST["configs"])
def test_load_dataset(config: str, streaming: bool, tmp_path: Path, corpus: Corpus) -> None:
    cache = str(tmp_path)
    loaded = datasets.load_dataset(str(DATASET), config, split="test", streaming=streaming, cache_dir=cache)
    raw = datasets.load_dataset(
        "parquet", data_files=str(DATASET / config / "*.parquet"), split="train", streaming=streaming, cache_dir=cache
    )
    rows = list(loaded)
    assert len(rows) == MANIFEST["configs"][config]["rows"]
    assert rows == list(raw) == pl.read_parquet(DATASET / config).to_dicts()
    assert list(loaded.features) == list(tables.features(config, corpus.scheme))
    assert str(loaded.features) == str(raw.features)


def test_default_config_and_label_names(tmp_path: Path, corpus: Corpus) -> None:
    documents = datasets.load_dataset(str(DATASET), split="test", cache_dir=str(tmp_path))
    assert documents["doc_id"] == [d.doc_id for d in corpus.documents]
    assert documents.features["spans"].feature["label"].names == corpus.scheme.label_names
    for row in documents:
        for span in row["spans"]:
            assert row["text"][span["start"] : span["end"]] == span["text"]
    tokens = datasets.load_dataset(str(DATASET), "tokens", split="test", cache_dir=str(tmp_path))
    assert tokens.features["actor_tags"].feature.names == ["O", "B-ACTOR", "I-ACTOR"]


def test_tables_for_sql(corpus: Corpus) -> None:
    golds, _, _ = build_gold(corpus)
    wanted = Counter(span.label for gold in golds for span in gold.spans)
    path = str(DATASET / "spans" / "*.parquet")
    with duckdb.connect() as sql:
        found = sql.execute(f"select label, count(*) from '{path}' group by label").fetchall()
        joined = f"select count(*) from '{path}' s join '{DATASET}/relations/*.parquet' r on r.head = s.id"
        heads = sql.execute(joined).fetchall()
    assert dict(found) == dict(wanted) == MANIFEST["counts"]["spans"]
    assert pd.read_parquet(DATASET / "spans")["label"].value_counts().to_dict() == dict(wanted)
    assert heads == [(sum(MANIFEST["counts"]["relations"].values()),)]


def test_tags_give_back_the_spans(corpus: Corpus) -> None:
    golds, _, _ = build_gold(corpus)
    for row in pl.read_parquet(DATASET / "tokens").to_dicts():
        assert len(row["tokens"]) == len(row["starts"]) == len(row["ends"]) == len(row["actor_tags"])
    decoded: set[tuple[str, int, int, str]] = set()
    for row in pl.read_parquet(DATASET / "tokens").to_dicts():
        for label in corpus.scheme.label_names:
            tags: list[int] = row[tables.tag_column(label)]
            for index, tag in enumerate(tags):
                if tag == 1:
                    last = index
                    while last + 1 < len(tags) and tags[last + 1] == 2:
                        last += 1
                    decoded.add((row["doc_id"], row["starts"][index], row["ends"][last], label))
    assert decoded == {(g.document.doc_id, s.start, s.end, s.label) for g in golds for s in g.spans}


def test_iob2_leaves_out_what_does_not_fit() -> None:
    tokens = [(0, 2), (3, 5), (6, 8)]
    spans = [Span(0, 5, "A"), Span(3, 8, "A"), Span(7, 8, "A")]
    assert tables.iob2(tokens, spans) == [1, 2, 0]
    assert tables.iob2(tokens, [Span(0, 2, "A"), Span(3, 5, "A")]) == [1, 1, 0]


def test_one_version_everywhere(corpus: Corpus) -> None:
    card = (DATASET / "README.md").read_text()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^version: (.+)$", card, re.MULTILINE) == [corpus.version]
    assert re.findall(r"^## (.+)$", changelog, re.MULTILINE)[0] == corpus.version
    assert MANIFEST["version"] == corpus.version
    assert read_citation(ROOT)["version"] == corpus.version
    assert json.loads((DATASET / "croissant.json").read_text())["version"] == corpus.version


def test_no_address_and_no_secret_in_what_is_published() -> None:
    at: list[Any] = []
    for folder in ("labeling", "dataset", "seeds"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                at += re.findall(rb"[\w.+-]+@[\w-]+\.[\w.]+", path.read_bytes())
    assert at == []
