"""Scores in parts are those of all documents at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from testimonia import partition
from testimonia.errors import FindingsError, InputError
from testimonia.scoring import Scores, score
from tests.conftest import ROOT

Json = dict[str, Any]
GOLD = ROOT / "dataset"


def predictions(folder: Path) -> Path:
    """The gold with every fifth span gone, every fourth one shorter and every seventh of another label, in JSONL."""
    names = ["ACTOR", "QUANTITY", "STANCE", "SOURCE"]
    path = folder / "predictions.jsonl"
    with path.open("w") as file:
        for row in reversed(pq.read_table(GOLD / "documents").to_pylist()[1:]):
            spans = []
            for number, span in enumerate(row["spans"]):
                label = names[(span["label"] + (number % 7 == 0)) % 4]
                prefix = label.lower() + "_"
                values = {k.removeprefix(prefix): v for k, v in span.items() if k.startswith(prefix) and v is not None}
                end = span["end"] - (number % 4 == 0 and span["end"] - span["start"] > 1)
                spans.append({"start": span["start"], "end": end, "label": label, "attributes": values})
            kept = [span for number, span in enumerate(spans) if number % 5]
            file.write(json.dumps({"doc_id": row["doc_id"], "model": "m", "spans": kept}) + "\n")
    return path


def figures(found: Scores) -> Json:
    """All but what is not told of parts: the order of sums, intervals, documents, what was drawn."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if key not in ("ci95", "resampled")}
        return pytest.approx(value) if isinstance(value, float) else value

    whole = {name: value for name, value in found.as_json().items() if name not in ("by_document", "findings")}
    return {name: plain(value) for name, value in whole.items()}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("languages", [(), ("ar",)])
def test_parts_have_the_figures_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, languages: tuple[str, ...]
) -> None:
    said = predictions(tmp_path) if form == "jsonl" else GOLD
    whole = score(GOLD, said, resamples=0, languages=languages)
    monkeypatch.setattr(partition, "MOST", 1)
    parts = score(GOLD, said, resamples=50, languages=languages)
    assert parts.sides is None
    assert figures(parts) == figures(whole) | {"settings": figures(whole)["settings"] | {"resamples": 50}}
    ids = [f.id for f in parts.findings]
    assert ids.count("documents-many") == 1
    assert ids.count("document-missing") == [f.id for f in whole.findings].count("document-missing")


def test_errors_in_parts_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "MOST", 2)
    path = tmp_path / "predictions.jsonl"
    line = {"doc_id": "ro-1", "spans": [{"start": 0, "end": 10**6, "label": "ACTOR"}]}
    path.write_text(json.dumps(line))
    with pytest.raises(FindingsError) as raised:
        score(GOLD, path)
    assert [(f.id, f"{path}:1" in f.place) for f in raised.value.findings] == [("span-outside", True)]
    path.write_text(json.dumps({"text": "?", "spans": []}))
    with pytest.raises(InputError, match=r"predictions\.jsonl:1: has no doc_id"):
        score(GOLD, path)
    with pytest.raises(InputError, match="sentences and claims are for fewer"):
        score(GOLD, GOLD, drawn="sentences")


def test_a_document_that_stands_twice_is_found_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "MOST", 2)
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"doc_id": "ro-1", "spans": []}\n{"doc_id": "fr-1", "spans": []}\n{"doc_id": "ro-1", "spans": []}')
    with pytest.raises(FindingsError) as raised:
        score(GOLD, path)
    assert [f.id for f in raised.value.findings] == ["document-duplicate"]
