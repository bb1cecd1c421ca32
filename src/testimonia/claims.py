"""Claims: what several documents say about the same thing, and how far their versions agree.

A reader decides on them; they stand in `labeling/claims.toml`. A claim has mentions, each with its spans, its
sources and its value in the claim's unit; every two mentions of a claim are marked with one of MARKS.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from testimonia.document import Gold, Span, span_id
from testimonia.errors import Finding
from testimonia.scheme import Scheme
from testimonia.toml import Table

Json = dict[str, Any]
# Two mentions say the same; both can be true; they cannot both be true; one speaks of a part of the other.
MARKS = ("same", "compatible", "conflicting", "partial")
BOUNDS = ("exact", "approx", "lower", "upper", "range", "vague")


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a document makes a claim: ids of its spans and of the spans of its sources, and the value, if it has one.

    `value_min` and `value_max` are in `unit`, which is one for the whole claim.
    """

    id: str
    doc_id: str
    spans: tuple[str, ...]
    sources: tuple[str, ...] = ()
    bound: str = ""
    value_min: float | None = None
    value_max: float | None = None
    unit: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The values that the mention allows, both ends included; None where it has no number."""
        if self.value_min is None and self.value_max is None:
            return None
        low = -math.inf if self.value_min is None else self.value_min
        return low, math.inf if self.value_max is None else self.value_max


@dataclass(frozen=True, slots=True)
class Mark:
    """How two mentions of one claim stand to each other."""

    first: str
    second: str
    mark: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that documents speak of, with a gloss in English that takes no side."""

    id: str
    type: str
    gloss: str
    mentions: tuple[Mention, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Claims:
    """All claims of a corpus. `types` is their closed set; `spans` and `sources` are the labels that may be linked."""

    types: tuple[str, ...] = ()
    spans: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()


def read_claims(path: Path, scheme: Scheme) -> Claims:
    """The claims in a TOML file; none where there is no file. Raises InputError."""
    if not path.exists():
        return Claims()
    table = Table.read(path)
    types, labels = table.strings("types"), scheme.label_names
    spans, sources = table.strings("spans", among=labels), table.strings("sources", among=labels)
    claims = []
    for t in table.tables("claim"):
        mentions = []
        for m in t.tables("mention"):
            mention = Mention(
                id=m.string("id"),
                doc_id=m.string("document"),
                spans=m.strings("spans"),
                sources=m.strings("sources"),
                bound=m.string("bound", "", among=BOUNDS),
                value_min=m.number("value_min"),
                value_max=m.number("value_max"),
                unit=m.string("unit", ""),
            )
            m.end()
            mentions.append(mention)
        marks = []
        for p in t.tables("pair"):
            pair = p.strings("mentions")
            if len(pair) != 2:
                raise p.error(f"mentions = {list(pair)} are not two mentions of the claim; name two")
            marks.append(Mark(min(pair), max(pair), p.string("mark", among=MARKS), p.string("reason", "")))
            p.end()
        claim = Claim(t.string("id"), t.string("type"), t.string("gloss"), tuple(mentions), tuple(sorted_marks(marks)))
        for name in (claim.id, *(mention.id for mention in mentions)):
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
                raise t.error(f"id = {name!r} is not lower-case words joined by hyphens; rename it")
        t.end()
        claims.append(claim)
    table.end()
    return Claims(types, spans, sources, tuple(claims))


def sorted_marks(marks: Iterable[Mark]) -> list[Mark]:
    """Marks in the order of their mentions."""
    return sorted(marks, key=lambda mark: (mark.first, mark.second, mark.mark))


def check_claims(claims: Claims, golds: Iterable[Gold]) -> list[Finding]:
    """Every finding on the claims against the gold: ids, types, spans, documents, marks, values."""
    known = {span_id(gold.document.doc_id, span): (gold.document.doc_id, span) for gold in golds for span in gold.spans}
    findings = []
    for name, count in Counter(claim.id for claim in claims.claims).items():
        if count > 1:
            findings.append(Finding(name, "claim-duplicate", f"the id stands {count} times; one id is one claim"))
    for claim in claims.claims:
        if claim.type not in claims.types:
            message = f"type {claim.type!r} is not one of {', '.join(claims.types)}"
            findings.append(Finding(claim.id, "claim-type", message))
        for name, count in Counter(mention.id for mention in claim.mentions).items():
            if count > 1:
                message = f"the mention stands {count} times; one id is one mention"
                findings.append(Finding(f"{claim.id}/{name}", "claim-duplicate", message))
        if len({mention.doc_id for mention in claim.mentions}) < 2:
            message = "is made in fewer than two documents; a claim is what several say"
            findings.append(Finding(claim.id, "claim-documents", message))
        for mention in claim.mentions:
            place = f"{claim.id}/{mention.id}"
            findings += [Finding(place, "claim-span", message) for message in _span_problems(mention, claims, known)]
            findings += [Finding(place, "claim-value", message) for message in _value_problems(mention, known)]
        findings += _mark_findings(claim)
    return findings


def _span_problems(mention: Mention, claims: Claims, known: Mapping[str, tuple[str, Span]]) -> Iterator[str]:
    if not mention.spans:
        yield "has no span; a mention points to one at least"
    for name, labels in [(s, claims.spans) for s in mention.spans] + [(s, claims.sources) for s in mention.sources]:
        doc_id, span = known.get(name, ("", None))
        if span is None:
            yield f"{name} is no span of the gold"
        elif doc_id != mention.doc_id:
            yield f"{name} is in another document than {mention.doc_id}"
        elif span.label not in labels:
            yield f"{name} is {span.label}, here stands one of {', '.join(labels)}"


def _value_problems(mention: Mention, known: Mapping[str, tuple[str, Span]]) -> Iterator[str]:
    low, high = mention.value_min, mention.value_max
    has = {"exact": (1, 1), "approx": (1, 1), "range": (1, 1), "lower": (1, 0), "upper": (0, 1)}
    if (low is not None, high is not None) != has.get(mention.bound, (0, 0)):
        yield f"value_min = {low}, value_max = {high} do not go with bound {mention.bound!r}"
    elif mention.bound in ("exact", "approx") and low != high:
        yield f"value_min = {low} and value_max = {high} are not equal, but the value is {mention.bound}"
    elif low is not None and high is not None and low > high:
        yield f"value_min = {low} is greater than value_max = {high}"
    for name in mention.spans:
        said = dict(known[name][1].attributes) if name in known else {}
        if "bound" not in said or str(said.get("unit", "")) != mention.unit:
            continue  # no quantity, or converted
        if len(mention.spans) == 1 and (said["bound"], said.get("value_min"), said.get("value_max")) != (
            mention.bound,
            low,
            high,
        ):
            yield f"the value is not that of {name}"


def _mark_findings(claim: Claim) -> Iterator[Finding]:
    by_id = {mention.id: mention for mention in claim.mentions}
    marked = Counter((mark.first, mark.second) for mark in claim.marks)
    for first, second in combinations(sorted(by_id), 2):
        if marked[first, second] != 1:
            message = f"the pair is marked {marked[first, second]} times; mark every two mentions once"
            yield Finding(f"{claim.id}/{first}+{second}", "claim-mark", message)
    for mark in claim.marks:
        place = f"{claim.id}/{mark.first}+{mark.second}"
        if mark.first not in by_id or mark.second not in by_id or mark.first == mark.second or mark.mark not in MARKS:
            yield Finding(place, "claim-mark", f"{mark.mark!r} joins no two mentions, or is not one of {MARKS}")
            continue
        one, other = by_id[mark.first], by_id[mark.second]
        if one.unit != other.unit and one.interval and other.interval:
            yield Finding(place, "claim-value", f"units {one.unit!r} and {other.unit!r}; write both in one unit")
        elif one.interval and other.interval:
            equal = (one.bound, one.interval) == (other.bound, other.interval)
            disjoint = one.interval[0] > other.interval[1] or other.interval[0] > one.interval[1]
            if equal and mark.mark != "same":
                yield Finding(place, "claim-value", f"the values are equal, the mark is {mark.mark}, not same")
            if disjoint and mark.mark == "same":
                yield Finding(place, "claim-value", "the values exclude each other, the mark is same")


def claim_rows(claims: Claims, golds: Iterable[Gold]) -> list[Json]:
    """The rows of the config `claims`: one per claim, with its marks."""
    languages = {gold.document.doc_id: gold.document.language for gold in golds}
    return [
        {
            "claim_id": claim.id,
            "type": claim.type,
            "gloss": claim.gloss,
            "languages": sorted({languages[mention.doc_id] for mention in claim.mentions}),
            "documents": sorted({mention.doc_id for mention in claim.mentions}),
            "mentions": [mention.id for mention in claim.mentions],
            "marks": [
                {"first": mark.first, "second": mark.second, "mark": mark.mark, "reason": mark.reason}
                for mark in claim.marks
            ],
        }
        for claim in claims.claims
    ]


def mention_rows(claims: Claims, golds: Iterable[Gold], scheme: Scheme) -> list[Json]:
    """The rows of the config `claim_mentions`: one per mention, with the texts of its spans and who its sources are."""
    by_id = {gold.document.doc_id: gold for gold in golds}
    rows = []
    for claim in claims.claims:
        for mention in claim.mentions:
            gold = by_id[mention.doc_id]
            spans = {span_id(mention.doc_id, span): span for span in gold.spans}
            texts = {name: gold.document.text[span.start : span.end] for name, span in spans.items()}
            rows.append(
                {
                    "claim_id": claim.id,
                    "mention_id": mention.id,
                    "doc_id": mention.doc_id,
                    "language": gold.document.language,
                    "fold": gold.document.fold,
                    "spans": list(mention.spans),
                    "texts": [texts[name] for name in mention.spans],
                    "sources": list(mention.sources),
                    "source_texts": [texts[name] for name in mention.sources],
                    "source_entities": _entities([spans[name] for name in mention.sources], gold.spans, scheme),
                    "bound": mention.bound or None,
                    "value_min": mention.value_min,
                    "value_max": mention.value_max,
                    "unit": mention.unit or None,
                }
            )
    return rows


def _entities(sources: Sequence[Span], spans: Sequence[Span], scheme: Scheme) -> list[str]:
    """The ids of the entities that lie on or in the sources, each once, in the order of the text."""
    names = {(label.name, a.name) for label in scheme.labels for a in label.attributes if a.type == "entity"}
    found = [
        str(value)
        for source in sources
        for span in sorted(spans)
        if source.covers(span)
        for name, value in span.attributes
        if (span.label, name) in names
    ]
    return list(dict.fromkeys(found))


def claims_of(claim_table: Sequence[Json], mention_table: Sequence[Json], frame: Claims) -> Claims:
    """The claims in rows of the two configs; types and labels are those of `frame`."""
    mentions: dict[str, list[Mention]] = {}
    for row in mention_table:
        mention = Mention(
            row["mention_id"],
            row["doc_id"],
            tuple(row["spans"]),
            tuple(row["sources"]),
            row["bound"] or "",
            row["value_min"],
            row["value_max"],
            row["unit"] or "",
        )
        mentions.setdefault(row["claim_id"], []).append(mention)
    found = [
        Claim(
            row["claim_id"],
            row["type"],
            row["gloss"],
            tuple(mentions.get(row["claim_id"], ())),
            tuple(Mark(mark["first"], mark["second"], mark["mark"], mark.get("reason") or "") for mark in row["marks"]),
        )
        for row in claim_table
    ]
    return Claims(frame.types, frame.spans, frame.sources, tuple(found))
