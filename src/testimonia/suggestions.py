"""Suggestions: a model's predictions as annotators find them in Label Studio, and what became of them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from testimonia.adjudication import region_results
from testimonia.dialects import listed
from testimonia.document import Document, Span, attributes_of
from testimonia.errors import InputError
from testimonia.extraction import Extraction, of_rows
from testimonia.formats import read_predictions, read_records
from testimonia.scheme import Scheme

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Predictions of one model as Label Studio holds them, by doc_id."""

    model: str
    by_document: Mapping[str, Json]

    def of(self, doc_id: str) -> Json:
        """What a task gets: its predictions, and their hash under `data`."""
        found = [self.by_document[doc_id]] if doc_id in self.by_document else []
        content = msgspec.json.encode(found, order="sorted")
        return {"predictions": found, "predictions_sha256": hashlib.sha256(content).hexdigest()}


def read_suggestions(path: Path, documents: Mapping[str, Document], scheme: Scheme) -> Suggestions:
    """The predictions of one model in any of the forms that are scored. Raises InputError.

    The score of a document is its own, else the mean of its spans' scores, where the file is JSONL and gives any.
    """
    texts = of_rows(
        (doc_id, {"doc_id": doc_id, "language": one.language, "text": one.text, "spans": []})
        for doc_id, one in documents.items()
    )
    read = read_predictions(path, texts).extraction
    models = sorted({str(model) for model in read.models.to_pylist() if model})
    if len(models) > 1:
        raise InputError(f"{path}: holds predictions of {', '.join(models)}; give one model at a time")
    model = models[0] if models else path.name.split(".")[0]
    scores = _scores(path) if path.name.endswith((".jsonl", ".jsonl.gz", ".json")) else {}
    unknown = sorted({read.labels[n] for n in set(read.spans.label.tolist())} - set(scheme.label_names))
    if unknown:
        raise InputError(f"{path}: {', '.join(unknown)} are no labels of the scheme; rename them in the file")
    found = {}
    for row, doc_id in enumerate(read.doc_ids.to_pylist()):
        if doc_id not in documents:
            raise InputError(f"{path}: {read.place(row)} is no document of the corpus; leave it out")
        score = {"score": scores[doc_id]} if doc_id in scores else {}
        result = _results(read, row, documents[doc_id], scheme, path)
        found[doc_id] = {"model_version": model, **score, "result": result}
    return Suggestions(model, found)


def _results(read: Extraction, row: int, document: Document, scheme: Scheme, path: Path) -> list[Json]:
    spans: dict[int, Span] = {}
    results: list[Json] = []
    for n in (read.spans.document == row).nonzero()[0].tolist():
        start, end, name = int(read.spans.start[n]), int(read.spans.end[n]), read.labels[read.spans.label[n]]
        quoted = read.quotes[n].as_py() if read.quotes is not None else None
        if not 0 <= start < end <= len(document.text) or quoted not in (None, document.text[start:end]):
            message = f"[{start}, {end}) of {document.doc_id} is not {quoted!r}" if quoted else f"[{start}, {end})"
            raise InputError(f"{path}: {message} leaves the text or is other words; score-predictions says why")
        label = scheme.label(name)
        columns = {
            attribute.name: f"{name}_{attribute.name}".lower() for attribute in (label.attributes if label else ())
        }
        values = {a: read.attributes[c][n].as_py() for a, c in columns.items() if c in read.attributes}
        spans[n] = Span(start, end, name, attributes_of(values))
        results += region_results(document, spans[n], f"{start}-{end}-{name}", scheme)
    relations = read.relations
    for n in (relations.document == row).nonzero()[0].tolist():
        head, tail, name = (
            spans[int(relations.start[n])],
            spans[int(relations.end[n])],
            read.relation_labels[relations.label[n]],
        )
        if name not in scheme.relation_names:
            raise InputError(f"{path}: {name} is no relation of the scheme; rename it in the file")
        ends = {key: f"{s.start}-{s.end}-{s.label}" for key, s in (("from_id", head), ("to_id", tail))}
        results.append(ends | {"type": "relation", "direction": "right", "labels": [name]})
    return results


def _scores(path: Path) -> dict[str, float]:
    found = {}
    for _, row in read_records(path):
        if isinstance(row, dict) and isinstance(row.get("doc_id"), str):
            spans = row.get("spans") if isinstance(row.get("spans"), list) else []
            given = [s["score"] for s in spans or [] if isinstance(s, dict) and isinstance(s.get("score"), int | float)]
            own = row.get("score")
            if isinstance(own, int | float):
                found[row["doc_id"]] = float(own)
            elif given:
                found[row["doc_id"]] = sum(given) / len(given)
    return found


@dataclass(frozen=True, slots=True)
class Fate:
    """What annotators made of suggested spans: kept as they were, changed, thrown away; and what they added."""

    kept: int = 0
    changed: int = 0
    dropped: int = 0
    added: int = 0


def fate_of(entries: Iterable[Json]) -> Fate:
    """The fate of the suggestions that submitted annotations started from, in exported entries.

    Kept is what has the same label, bounds and attributes. Label Studio's own word for it (`origin`) is not asked: it
    stays `prediction` where an annotator gives a region an attribute that it had none of.
    """
    counts: Counter[str] = Counter()
    for entry in entries:
        start = entry.get("prediction")
        if entry.get("was_cancelled") or not isinstance(start, dict) or not isinstance(start.get("result"), list):
            continue
        suggested, submitted = _regions(start), _regions(entry)
        for region, said in suggested.items():
            counts["kept" if submitted.get(region) == said else "changed" if region in submitted else "dropped"] += 1
        counts["added"] += len(submitted.keys() - suggested.keys())
    return Fate(**counts)


def _regions(entry: Json) -> dict[str, list[str]]:
    """What each labelled region of an entry says, by id."""
    found: dict[str, list[str]] = {}
    results = [r for r in listed(entry.get("result")) if isinstance(r, dict) and isinstance(r.get("value"), dict)]
    labelled = {r.get("id") for r in results if r.get("type") == "labels"}
    for result in results:
        if result.get("id") in labelled:
            said = {
                name: float(item) if isinstance(item, int | float) else item  # 5 and 5.0 are one number
                for name, item in result["value"].items()
                if name != "text" or result["type"] == "textarea"
            }
            text = json.dumps([result.get("from_name"), said], ensure_ascii=False, sort_keys=True)
            found.setdefault(str(result["id"]), []).append(text)
    return {region: sorted(said) for region, said in found.items()}
