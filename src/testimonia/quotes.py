"""Predictions that say what they mean by quotes, as language models give them, turned into spans."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from testimonia.document import Document
from testimonia.errors import Finding, InputError
from testimonia.grounding import Grounding, ground
from testimonia.language import Language

Json = dict[str, Any]

_WORDS = {
    "empty": "has nothing to look for",
    "absent": "stands nowhere in the text",
    "doubtful": "is too short, or too unlike the text, to be placed",
    "ambiguous": "is almost as near to another passage",
}


@dataclass(frozen=True, slots=True)
class Grounded:
    """Records that the scorer reads, what was found wrong, and how many quotes each tier placed."""

    records: tuple[Json, ...]
    findings: tuple[Finding, ...]
    tiers: Mapping[str, int]


def ground_records(
    rows: Iterable[tuple[str, Any]], documents: Mapping[str, Document], languages: Mapping[str, Language]
) -> Grounded:
    """Each record of quotes with its spans.

    A record: `doc_id`, `quotes` (each `quote` and `label`; the rest is kept), and where given `model` and `relations`
    (head and tail: numbers of quotes). Each span has `grounding`: tier, score, candidates. A quote that is not placed
    is a finding and stands under `ungrounded` with its reason; a relation on it is left out. Raises InputError.
    """
    records: dict[str, Json] = {}
    findings: list[Finding] = []
    tiers: Counter[str] = Counter()
    for place, row in rows:
        doc_id, quotes = _checked(place, row)
        if doc_id in records:
            raise InputError(f"{place}: {doc_id} stands twice; put its quotes into one record, in order")
        document = documents.get(doc_id)
        if document is None:
            raise InputError(f"{place}: {doc_id} is no document of the gold; its text is needed to look in")
        language = languages.get(document.language) or Language(document.language)
        found = ground(document.text, [quote["quote"] for quote in quotes], language)
        tiers.update(one.tier for one in found if one.tier)
        records[doc_id] = _record(document, row, quotes, found)
        lost = len(row.get("relations", [])) - len(records[doc_id]["relations"])
        if lost:
            message = f"{lost} relations name a quote that was left out; they were left out too"
            findings.append(Finding(f"{place} ({doc_id})", "quote-relation", message, "warning"))
        for number, one in enumerate(found):
            if one.reason:
                message = f"quote {number} {one.quote[:60]!r} {_WORDS[one.reason]}; it was left out ({one.reason})"
                findings.append(Finding(f"{place} ({doc_id})", "quote-unplaced", message, "warning"))
    return Grounded(tuple(records.values()), tuple(findings), dict(tiers))


def _checked(place: str, row: Any) -> tuple[str, list[Json]]:
    if not isinstance(row, dict) or not isinstance(row.get("doc_id"), str):
        raise InputError(f"{place}: has no doc_id; give each record the doc_id of its text")
    quotes = row.get("quotes")
    if not isinstance(quotes, list):
        raise InputError(f"{place}: quotes is no list; a document without any has an empty one")
    for number, quote in enumerate(quotes):
        if not isinstance(quote, dict) or not all(isinstance(quote.get(name), str) for name in ("quote", "label")):
            raise InputError(f"{place}: quote {number}: has no quote or no label; give both as strings")
    relations = row.get("relations", [])
    if not isinstance(relations, list) or not all(isinstance(relation, dict) for relation in relations):
        raise InputError(f"{place}: relations is no list of objects; leave it out where there are none")
    for number, relation in enumerate(relations):
        for end in ("head", "tail"):
            if not isinstance(relation.get(end), int) or not 0 <= relation[end] < len(quotes):
                raise InputError(f"{place}: relation {number}: {end} = {relation.get(end)!r} is the number of no quote")
    try:
        json.dumps(row)
    except RecursionError:
        raise InputError(f"{place}: is nested too deep; leave out what the scorer does not read") from None
    return row["doc_id"], quotes


def _record(document: Document, row: Json, quotes: list[Json], found: list[Grounding]) -> Json:
    spans: list[Json] = []
    number: dict[int, int] = {}
    ungrounded = []
    for position, (quote, one) in enumerate(zip(quotes, found, strict=True)):
        if one.span is None:
            ungrounded.append({"quote": quote["quote"], "label": quote["label"], "reason": one.reason})
            continue
        number[position] = len(spans)
        start, end = one.span
        rest = {name: value for name, value in quote.items() if name not in ("quote", "text", "start", "end")}
        grounding = {"tier": one.tier, "score": one.score, "candidates": one.candidates}
        text = document.text[start:end]
        spans.append({"start": start, "end": end} | rest | {"text": text, "grounding": grounding})
    relations = [
        relation | {"head": number[relation["head"]], "tail": number[relation["tail"]]}
        for relation in row.get("relations", [])
        if relation["head"] in number and relation["tail"] in number
    ]
    known = {"doc_id": document.doc_id, "language": document.language}
    known |= {"model": row["model"]} if "model" in row else {}
    return known | {"spans": spans, "relations": relations, "ungrounded": ungrounded}
