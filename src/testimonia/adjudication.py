"""From annotations to gold: which annotation of a document counts, what a curator decides on, where gold comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from testimonia.cases import Case, Link, aligned, cases_of
from testimonia.corpus import Round
from testimonia.document import Annotation, Document, Gold, Span
from testimonia.errors import Finding
from testimonia.label_config import (
    DECISION,
    DISPUTED,
    LABEL_CONTROL,
    OPEN,
    PROPOSED,
    STATUS,
    TEXT_OBJECT,
    WHO,
)
from testimonia.language import Language
from testimonia.passes import passes_of
from testimonia.scheme import Attribute, Scheme

Json = dict[str, Any]

# How the annotators stood to a gold span: all had it; all had it but for attributes, bounds, the label; some or one
# of several (or the only one) had a span there; nobody had, the adjudicator added it.
PROVENANCES = ("agreed", "attribute", "boundary", "label", "some", "one", "added")
_GOLD = ""  # the name under which gold stands among annotators; no pseudonym is empty


def gold_of(
    documents: Iterable[Document], annotations: Iterable[Annotation], rounds: Sequence[Round], scheme: Scheme
) -> tuple[list[Gold], list[Finding]]:
    """The gold of each document, in the order of `documents`, and what stands in its way.

    Gold is the document's only submitted adjudication if there is one, else its only submitted annotation.
    Two or more without adjudication, or none at all, give no gold and a finding. Only rounds of the release count.
    An adjudication is traced to the annotations of its round `of`.
    """
    released = {r.id: r for r in rounds if r.release}
    traced = {r.of for r in released.values()}
    submitted: dict[tuple[str, str], list[Annotation]] = {}
    passes: dict[tuple[str, str], list[Annotation]] = {}
    for annotation in annotations:
        if annotation.state != "submitted":
            continue
        if annotation.round in traced:
            passes.setdefault((annotation.doc_id, annotation.round), []).append(annotation)
        if annotation.round in released:
            submitted.setdefault((annotation.doc_id, released[annotation.round].kind), []).append(annotation)
    golds, findings = [], []
    for document in documents:
        adjudications = submitted.get((document.doc_id, "adjudication"))
        candidates = adjudications or submitted.get((document.doc_id, "annotation"), [])
        if len(candidates) == 1:
            [one] = candidates
            of = passes.get((document.doc_id, released[one.round].of), []) if adjudications else [one]
            provenance = provenance_of(document, one.spans, of, scheme)
            golds.append(Gold(document, one.spans, one.relations, f"{one.round}/{one.annotator}", provenance))
        elif candidates:
            who = ", ".join(sorted(f"{a.round}/{a.annotator}" for a in candidates))
            what = "adjudications" if adjudications else "annotations and no adjudication"
            message = f"{len(candidates)} submitted {what} ({who}); one must decide"
            findings.append(Finding(document.doc_id, "gold-undecided", message))
        else:
            message = "no submitted annotation in a round of the release; annotate it, or take it out of sources.toml"
            findings.append(Finding(document.doc_id, "gold-missing", message))
    return golds, findings


def provenance_of(
    document: Document, spans: Sequence[Span], annotations: Sequence[Annotation], scheme: Scheme
) -> tuple[str, ...]:
    """One of PROVENANCES for each gold span: how these annotations of the document stand to it."""
    gold = Annotation(document.doc_id, _GOLD, "submitted", tuple(spans))
    bare = [replace(annotation, relations=()) for annotation in annotations]
    cases, _ = _cases(document, [gold, *bare], scheme, {})
    found: dict[Span, str] = {}
    for case in cases:
        others = [(span, name) for span, who in case.said for name in who if name != _GOLD]
        present = {name for _, name in others}
        absent = [name for name in case.absent if name != _GOLD]
        for span, who in case.said:
            if _GOLD in who:
                found[span] = _provenance(span, [other for other, _ in others], len(present), len(absent))
    return tuple(found[span] for span in spans)


def _provenance(span: Span, others: Sequence[Span], present: int, absent: int) -> str:
    if not present:
        return "added"
    if absent or present == 1:
        return "some" if present > 1 else "one"
    if any(other.label != span.label for other in others):
        return "label"
    if any((other.start, other.end) != (span.start, span.end) for other in others):
        return "boundary"
    return "attribute" if any(other != span for other in others) else "agreed"


def _cases(
    document: Document, annotations: Iterable[Annotation], scheme: Scheme, languages: Mapping[str, Language]
) -> tuple[list[Case], list[Link]]:
    passes, _ = passes_of([document], annotations, scheme.label_names, scheme.relation_names, languages)
    sides = passes.layout.sides(passes.spans)
    return cases_of(passes, sides, aligned(sides, len(passes.labels)))


@dataclass(frozen=True, slots=True)
class Docket:
    """What a curator gets for one document: its cases and links, and who passed over it."""

    document: Document
    annotators: tuple[str, ...]
    cases: tuple[Case, ...]
    links: tuple[Link, ...]

    @property
    def disputed(self) -> list[Case]:
        """The cases on which not all say the same."""
        return [case for case in self.cases if case.kind != "agreed"]

    @property
    def disputed_links(self) -> list[Link]:
        """The relations that not all drew."""
        return [link for link in self.links if link.absent]


def docket_of(document: Document, annotations: Sequence[Annotation], scheme: Scheme) -> Docket:
    """The docket of a document from its submitted annotations."""
    cases, links = _cases(document, annotations, scheme, {})
    names = tuple(sorted({annotation.annotator for annotation in annotations}))
    return Docket(document, names, tuple(cases), tuple(links))


def candidates_of(docket: Docket, scheme: Scheme) -> list[Json]:
    """Results for Label Studio: the agreed spans as they are, every other as a candidate to be decided on.

    Of the relations those that everybody drew who has both ends.
    """
    results: list[Json] = []
    regions: dict[Span, str] = {}
    having: dict[Span, set[str]] = {}
    for case in docket.cases:
        everybody = {name for _, who in case.said for name in who}
        for span, who in case.said:
            region = f"{span.start}-{span.end}-{span.label}-{len(regions)}"
            regions[span], having[span] = region, everybody
            results += region_results(docket.document, span, region, scheme)
            if case.kind != "agreed":
                results += _candidate(docket.document, span, region, who)
    for link in docket.links:
        if not set(link.absent) & having[link.head] & having[link.tail]:
            ends = {"from_id": regions[link.head], "to_id": regions[link.tail]}
            results.append(ends | {"type": "relation", "direction": "right", "labels": [link.label]})
    return results


def region_results(document: Document, span: Span, region: str, scheme: Scheme) -> list[Json]:
    """A span and its attributes as the results of one region."""
    label = scheme.label(span.label)
    controls = (
        {attribute.name: (name, attribute) for name, attribute in scheme.controls(label).items()} if label else {}
    )
    results = [_result(document, span, region, LABEL_CONTROL, "labels", {"labels": [span.label]})]
    for attribute, value in span.attributes:
        name, definition = controls[attribute]
        kind, said = _value(definition, value, scheme)
        proposed = definition.type == "entity" and kind == "textarea"
        results.append(_result(document, span, region, name + PROPOSED if proposed else name, kind, said))
    return results


def _value(attribute: Attribute, value: str | float, scheme: Scheme) -> tuple[str, Json]:
    """The type of control and the value of an attribute, as Label Studio writes them."""
    if attribute.type == "number":
        return "number", {"number": value}
    if attribute.type == "choice":
        return "choices", {"choices": [value]}
    if attribute.type == "entity" and value in scheme.registries.get(attribute.registry, {}):
        return "taxonomy", {"taxonomy": [[value]]}
    return "textarea", {"text": [value]}


def _candidate(document: Document, span: Span, region: str, who: Sequence[str]) -> list[Json]:
    """What makes a region a candidate: that it is disputed, that nobody has decided, who said it."""
    return [
        _result(document, span, region, STATUS, "choices", {"choices": [DISPUTED]}),
        _result(document, span, region, DECISION, "choices", {"choices": [OPEN]}),
        _result(document, span, region, WHO, "textarea", {"text": [", ".join(who)]}),
    ]


def _result(document: Document, span: Span, region: str, control: str, kind: str, said: Json) -> Json:
    value = {"start": span.start, "end": span.end, "text": document.text[span.start : span.end]} | said
    return {"id": region, "from_name": control, "to_name": TEXT_OBJECT, "type": kind, "value": value}
