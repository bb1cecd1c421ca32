"""Label Studio tasks: a document as a task, and an exported task as annotations. No network.

An export says a span as `value.start`, `value.end` and a copy of its text. The offsets are the truth; the copy
proves their unit (code points; UTF-16 code units, as older servers wrote; UTF-8 bytes, as some scripts write) and
that the text is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard, TypeVar

import numpy as np

from testimonia.document import Annotation, Document, Relation, Span, State, Value, attributes_of
from testimonia.errors import Finding, Severity
from testimonia.label_config import DECISION, DISPUTED, KEEP, PROPOSED, STATUS, TEXT_OBJECT, WHO
from testimonia.scheme import Attribute, Label, Scheme
from testimonia.units import UNITS, Unit, edges_of, rows_of, to_code_points

Json = dict[str, Any]
_T = TypeVar("_T", Span, Relation)
# Findings by which a region is left out.
REFUSALS = frozenset(
    {
        "label-unknown",
        "offset-outside",
        "offset-type",
        "offset-unplaced",
        "region-elsewhere",
        "region-label-count",
        "region-type",
        "region-without-id",
        "text-differs",
    }
)


def task_of(document: Document) -> Json:
    """The `data` of a task: every `$variable` of the label config, the id, and the hash of the text."""
    origin = "" if document.translation == "unknown" else f" · {document.translation} translation"
    boilerplate = [zone for zone in document.zones if zone.kind == "boilerplate"]
    skip = " · ".join(repr(document.text[zone.start : zone.end]) for zone in boilerplate)
    return {
        "doc_id": document.doc_id,
        "language": document.language,
        "title": document.title or document.doc_id,
        "meta_line": f"{document.doc_id} · {document.language}{origin}" + (f" · not annotated: {skip}" if skip else ""),
        "text": document.text,
        "text_sha256": document.text_sha256,
    }


# The kinds of control from which a value of each type of attribute may come.
CONTROLS = {
    "choice": ("choices",),
    "number": ("number", "rating"),
    "string": ("textarea",),
    "entity": ("taxonomy", "textarea", "choices"),
}
HUGE = 1e300


@dataclass(slots=True)
class _Region:
    """The results of one region id, gathered before they are read."""

    labels: list[Json] = field(default_factory=list)
    attributes: list[Json] = field(default_factory=list)


def parse_tasks(
    tasks: Iterable[Json],
    documents: Mapping[str, Document],
    scheme: Scheme,
    round_id: str = "",
    unit: Unit | None = None,
) -> tuple[list[Annotation], list[Finding]]:
    """Every annotation in exported tasks: submitted, skipped and draft; and what was found wrong on the way.

    `documents` by doc_id; a task's text must be its document's. `unit`: of the offsets; that which most regions fit
    where it is not given. A region that cannot be read is left out with a finding of severity error (one of
    REFUSALS). Predictions are not annotations.
    """
    findings: list[Finding] = []
    known: list[tuple[Document, Json]] = []
    seen: Counter[str] = Counter()
    for task in tasks:
        document = _document_of(task, documents, findings)
        if document is not None:
            seen[document.doc_id] += 1
            if seen[document.doc_id] == 2:
                findings.append(
                    Finding(document.doc_id, "task-duplicate", "two tasks hold this document; keep one in Label Studio")
                )
            known.append((document, task))
    unit = unit or _unit(known, findings)
    annotations = []
    for document, task in known:
        for entry, state in _entries(task, document.doc_id, findings):
            annotator = _annotator(entry)
            if annotator == "unknown":
                findings.append(Finding(document.doc_id, "annotator-unknown", "an annotation names nobody", "warning"))
            reader = _Reader(document, annotator, scheme, unit, state)
            annotations.append(reader.read(entry, state, round_id))
            findings += reader.findings
    return annotations, findings


def _document_of(task: Json, documents: Mapping[str, Document], findings: list[Finding]) -> Document | None:
    data = task.get("data") if isinstance(task, dict) else None
    data = data if isinstance(data, dict) else {}
    doc_id = data.get("doc_id")
    if not isinstance(doc_id, str) or doc_id not in documents:
        message = f"doc_id {doc_id!r} is no document of the corpus; add it to sources.toml or remove the task"
        findings.append(
            Finding(f"task {task.get('id') if isinstance(task, dict) else task!r}", "task-unknown", message)
        )
        return None
    text = data.get("text")
    if not isinstance(text, str):
        findings.append(Finding(doc_id, "task-text-missing", f"the task's text is {type(text).__name__}, not a string"))
        return None
    if text != documents[doc_id].text:
        findings.append(
            Finding(doc_id, "task-text-changed", "the task's text is not the seed's; its offsets mean nothing here")
        )
        return None
    return documents[doc_id]


def _entries(task: Json, doc_id: str, findings: list[Finding]) -> Iterator[tuple[Json, State]]:
    severities: dict[str, Severity] = {"annotations": "error", "drafts": "warning"}
    for key, severity in severities.items():
        entries = task.get(key, [])
        for entry in entries if isinstance(entries, list) else [entries]:
            if isinstance(entry, dict) and isinstance(entry.get("result"), list):
                cancelled: State = "skipped" if entry.get("was_cancelled") else "submitted"
                yield entry, "draft" if key == "drafts" else cancelled
            else:
                message = f"one of the {key} has no list of results"
                findings.append(Finding(doc_id, "annotation-unreadable", message, severity))


def _annotator(entry: Json) -> str:
    for key in ("completed_by", "user"):
        value = entry.get(key)
        if isinstance(value, dict):
            value = value.get("id", value.get("email"))
        if (isinstance(value, str) and value.isprintable() and value.strip()) or _is_int(value):
            return str(value)
    return "unknown"


def same_text(actual: str, quoted: str) -> Literal["equal", "stale", "different"]:
    """Whether a region's copy of its text fits the slice.

    Label Studio writes a newline as backslash-n: that is equal. Stale: the copy lost white space, or is a piece
    of the slice that ends on word boundaries. Anything else is different.
    """
    if quoted == actual or quoted.replace("\\n", "\n") == actual.replace("\\n", "\n"):
        return "equal"
    folded = "".join(actual.split())
    if folded == "".join(quoted.replace("\\n", "\n").split()):
        return "stale"
    piece = quoted.strip()
    index = actual.find(piece) if piece else -1
    if index >= 0:
        before, after = actual[:index][-1:], actual[index + len(piece) :][:1]
        if not before.isalnum() and not after.isalnum():
            return "stale"
    return "different"


@dataclass(frozen=True, slots=True)
class Fit:
    """How many regions with a copy of their text there are, and how many fit it under each unit."""

    regions: int
    fitting: Mapping[Unit, int]

    @property
    def unit(self) -> Unit:
        """The unit under which most regions fit; of equals the first of UNITS."""
        return max(UNITS, key=lambda unit: self.fitting.get(unit, 0))

    def __str__(self) -> str:
        counts = ", ".join(f"{self.fitting.get(unit, 0):,} as {unit}" for unit in UNITS)
        return f"of {self.regions:,} regions with a copy of their text these fit it: {counts}"


def fit_of(tasks: Iterable[tuple[str, Json]]) -> Fit:
    """How the labelled regions of tasks, each with its text, fit their copies. Drafts do not count."""
    regions, fitting = 0, Counter[Unit]()
    for text, task in tasks:
        values = [
            value
            for entry in _list(task.get("annotations"))
            for result in _list(entry.get("result") if isinstance(entry, dict) else None)
            if isinstance(result, dict)
            and "labels" in (value := _value_of(result))
            and isinstance(value.get("text"), str)
        ]
        regions += len(values)
        placed = [v for v in values if _is_int(v.get("start")) and _is_int(v.get("end"))]
        bounds = np.array([(_clipped(v["start"]), _clipped(v["end"])) for v in placed], np.int64).reshape(-1, 2)
        for unit in UNITS[:1] if text.isascii() else UNITS:
            ends = to_code_points(text, bounds, unit).tolist()
            fits = sum(
                0 <= left <= right and same_text(text[left:right], value["text"]) != "different"
                for (left, right), value in zip(ends, placed, strict=True)
            )
            fitting.update(dict.fromkeys(UNITS, fits) if text.isascii() else {unit: fits})
    return Fit(regions, fitting)


def _clipped(offset: int) -> int:
    """An offset that no text reaches as one that an array holds."""
    return min(max(offset, -1), 2**62)


def _unit(tasks: Sequence[tuple[Document, Json]], findings: list[Finding]) -> Unit:
    fit = fit_of((document.text, task) for document, task in tasks)
    findings += unit_findings("export", fit)
    return fit.unit


def unit_findings(place: str, fit: Fit) -> list[Finding]:
    """That offsets are in another unit than code points and were converted."""
    if fit.unit == "code-points":
        return []
    message = f"offsets are {fit.unit}, and were converted: {fit}"
    if fit.unit == "bytes":
        return [Finding(place, "unit-bytes", message, "warning")]
    return [Finding(place, "unit-utf16", message, "warning")]


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _value_of(result: Json) -> Json:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    """A list as it is, nothing as an empty one, anything else as the only item."""
    return value if isinstance(value, list) else [] if value is None else [value]


class _Reader:
    """Reads the results of one annotation; keeps the findings."""

    def __init__(self, document: Document, annotator: str, scheme: Scheme, unit: Unit, state: State) -> None:
        self.document = document
        self.annotator = annotator
        self.scheme = scheme
        self.findings: list[Finding] = []
        self._controls = {name for label in scheme.labels for name in scheme.controls(label)}
        self._severity: Literal["error", "warning"] = "error" if state == "submitted" else "warning"
        self._unit = unit
        self._edges = edges_of(document.text, unit) if unit != "code-points" else None

    def read(self, entry: Json, state: State, round_id: str) -> Annotation:
        regions: dict[str, _Region] = {}
        arrows: list[Json] = []
        results: list[Json] = []
        alike: dict[str, list[Json]] = {}
        for result in entry["result"]:
            if not isinstance(result, dict):
                self._error("result-unreadable", f"{result!r} is no result")
                continue
            before = alike.setdefault(f"{result.get('id')} {result.get('from_name')} {result.get('from_id')}", [])
            if result in before:
                self._warn("result-duplicate", f"result {result.get('id')} stands twice; one was kept")
            else:
                before.append(result)
                results.append(result)
        for result in results:
            if result.get("type") == "relation":
                arrows.append(result)
            elif not isinstance(result.get("id"), str):
                self._error("region-without-id", f"a result of type {result.get('type')!r} has no id")
            elif result.get("type") == "labels":
                regions.setdefault(result["id"], _Region()).labels.append(result)
            else:
                regions.setdefault(result["id"], _Region()).attributes.append(result)
        spans: dict[str, Span] = {}
        for region_id, region in regions.items():
            span = self._span(region_id, region)
            if span is not None:
                spans[region_id] = span
        relations = [r for arrow in arrows for r in self._relations(arrow, spans, regions)]
        return Annotation(
            doc_id=self.document.doc_id,
            annotator=self.annotator,
            state=state,
            spans=tuple(sorted(self._unique(spans.values()))),
            relations=tuple(sorted(self._once(relations))),
            round=round_id,
        )

    def _span(self, region_id: str, region: _Region) -> Span | None:
        if not region.labels:
            names = ", ".join(str(result.get("from_name")) for result in region.attributes)
            kinds = {str(result.get("type")) for result in region.attributes}
            if all(_value_of(result).get("start") is None for result in region.attributes):
                self._warn("result-of-document", f"{names} speak of the whole document; left out")
                return None
            if any(kind.endswith("labels") for kind in kinds):
                self._error("region-type", f"region {region_id} is of type {', '.join(sorted(kinds))}, not labels")
                return None
            self._error("attribute-without-region", f"{names} belong to region {region_id}, which has no label")
            return None
        value = _value_of(region.labels[0])
        labels = [label for result in region.labels for label in _list(_value_of(result).get("labels"))]
        if len(labels) != 1 or len(region.labels) != 1:
            self._error("region-label-count", f"region {region_id} has {len(labels)} labels; it must have one")
            return None
        self._decided(region, value)
        label = self.scheme.label(labels[0]) if isinstance(labels[0], str) else None
        if label is None:
            self._error("label-unknown", f"region {region_id} is {labels[0]!r}, which is no label of the scheme")
            return None
        if region.labels[0].get("to_name", TEXT_OBJECT) != TEXT_OBJECT:
            self._error("region-elsewhere", f"region {region_id} lies on {region.labels[0].get('to_name')!r}")
            return None
        bounds = self._bounds(region_id, value)
        if bounds is None:
            return None
        return Span(*bounds, label.name, attributes_of(self._attributes(label, region, bounds)))

    def _decided(self, region: _Region, bounds: Json) -> None:
        """Takes what an adjudication says of a candidate out of the region; one not decided on is a finding."""
        said = {str(r.get("from_name")): _value_of(r).get("choices") for r in region.attributes}
        region.attributes = [r for r in region.attributes if r.get("from_name") not in (STATUS, DECISION, WHO)]
        if said.get(STATUS) == [DISPUTED] and said.get(DECISION) != [KEEP]:
            where = f"[{bounds.get('start')}, {bounds.get('end')})"
            self._error("candidate-undecided", f"{where} is a candidate without a decision; keep it or delete it")

    def _bounds(self, region_id: str, value: Json) -> tuple[int, int] | None:
        start, end = value.get("start"), value.get("end")
        if "startOffset" in value:
            at, to = value["startOffset"], value.get("endOffset")
            message = f"region {region_id}: {start!r} at {at!r} to {end!r} at {to!r} has no proven place in the text"
            self._error("offset-unplaced", message)
            return None
        if not _is_int(start) or not _is_int(end):
            self._error("offset-type", f"region {region_id}: start {start!r}, end {end!r} are not whole numbers")
            return None
        if self._edges is not None:
            left, right = rows_of(self._edges, np.array([_clipped(start), _clipped(end)])).tolist()
            if left < 0 or right < 0:
                self._error(
                    "offset-outside", f"region {region_id}: [{start}, {end}) is no range of {self._unit} of the text"
                )
                return None
            start, end = left, right
        if not 0 <= start < end <= len(self.document.text):
            self._error("offset-outside", f"region {region_id}: [{start}, {end}) is empty or leaves the text")
            return None
        actual, quoted = self.document.text[start:end], value.get("text")
        if quoted is None:
            self._warn("text-missing", f"region {region_id} [{start}, {end}) has no copy of its text to check against")
        elif isinstance(quoted, str):
            fit = same_text(actual, quoted)
            if fit == "different":
                self._error(
                    "text-differs", f"region {region_id} [{start}, {end}) is {actual!r}, the export says {quoted!r}"
                )
                return None
            if fit == "stale":
                self._warn(
                    "text-stale", f"[{start}, {end}) is {actual!r}, the export's copy is {quoted!r}; offsets count"
                )
        else:
            self._warn("text-list", f"region {region_id} [{start}, {end}) has {quoted!r} for its text; offsets count")
        return start, end

    def _attributes(self, label: Label, region: _Region, bounds: tuple[int, int]) -> dict[str, Value | None]:
        controls = self._controls
        own = self.scheme.controls(label)
        place = f"[{bounds[0]}, {bounds[1]}) {label.name}"
        values: dict[str, Value | None] = {}
        for result in region.attributes:
            name = str(result.get("from_name"))
            target = name.removesuffix(PROPOSED) if name not in controls else name
            if target in own:
                attribute = own[target]
                value = self._value(place, attribute, result)
                if value is None:
                    continue
                if attribute.name in values and values[attribute.name] != value:
                    self._error(
                        "attribute-twice", f"{place}: {target} is both {values[attribute.name]!r} and {value!r}"
                    )
                else:
                    values[attribute.name] = value
            elif target in controls:
                self._warn("attribute-of-other-label", f"{place}: {name} is left from another label; left out")
            else:
                self._error("attribute-unknown", f"{place}: {name!r} is no attribute of the scheme")
        return values

    def _value(self, place: str, attribute: Attribute, result: Json) -> Value | None:
        value = _value_of(result)
        if result.get("type") not in CONTROLS[attribute.type]:
            self._error("attribute-type", f"{place}: {attribute.name} comes from a control {result.get('type')!r}")
            return None
        if result.get("type") in ("number", "rating"):
            number = value.get(str(result["type"]))
            if not isinstance(number, int | float) or isinstance(number, bool) or not abs(number) < HUGE:
                self._error("attribute-value", f"{place}: {attribute.name} = {number!r} is no number")
                return None
            return float(number)
        key = {"choices": "choices", "taxonomy": "taxonomy", "textarea": "text"}.get(str(result.get("type")), "")
        items = value.get(key)
        items = [items] if isinstance(items, str) else items
        if attribute.control and isinstance(items, list) and items:
            # Of a label config that is not ours: several choices are one value, a taxonomy's is its whole path.
            items = [" | ".join(sorted(" > ".join(map(str, _list(item))) for item in items))]
        if not isinstance(items, list) or len(items) != 1:
            self._error("attribute-count", f"{place}: {attribute.name} = {items!r}; one value is wanted")
            return None
        item = items[0][-1] if isinstance(items[0], list) and items[0] else items[0]
        if not isinstance(item, str) or not item:
            self._error("attribute-value", f"{place}: {attribute.name} = {item!r} is no text")
            return None
        return self.scheme.resolved(attribute, item) if attribute.type == "entity" else item

    def _relations(self, arrow: Json, spans: Mapping[str, Span], regions: Mapping[str, _Region]) -> Iterator[Relation]:
        ends = arrow.get("from_id"), arrow.get("to_id")
        labels = _list(arrow.get("labels"))
        missing = [end for end in ends if not isinstance(end, str) or end not in regions]
        if missing:
            self._error("relation-end-missing", f"a relation {labels} joins region {missing[0]}, which does not exist")
            return
        if arrow.get("direction", "right") not in ("left", "right"):
            self._error("relation-direction", f"relation {labels} points both ways; give it one direction")
            return
        if any(end not in spans for end in ends):
            return  # the region was refused by name already
        head, tail = spans[str(ends[0])], spans[str(ends[1])]
        if arrow.get("direction") == "left":
            head, tail = tail, head
        if not labels:
            labels = self.scheme.relations_between(head.label, tail.label)
            if len(labels) != 1:
                which = f"it could be {' or '.join(labels)}; choose one" if labels else self._instead(head, tail, spans)
                message = f"the relation from {self._quoted(head)} to {self._quoted(tail)} has no label; {which}"
                self._error("relation-without-label", message)
                return
        for label in labels:
            if not isinstance(label, str) or self.scheme.relation(label) is None:
                self._error("relation-unknown", f"{label!r} is no relation of the scheme")
            else:
                yield Relation(label, head, tail)

    def _instead(self, head: Span, tail: Span, spans: Mapping[str, Span]) -> str:
        """What to do about a relation for which the scheme has none: another span may lie on the tail's words."""
        there = {s.label for s in spans.values() if (s.start, s.end) == (tail.start, tail.end)}
        fitting = sorted(label for label in there if self.scheme.relations_between(head.label, label))
        if fitting:
            return f"draw it to the {' or '.join(fitting)} on the same words"
        return f"none of the scheme leads from {head.label} to {tail.label}; take it out"

    def _quoted(self, span: Span) -> str:
        return f"{span.label} “{self.document.text[span.start : span.end]}” [{span.start}, {span.end})"

    def _unique(self, spans: Iterable[Span]) -> list[Span]:
        unique = list(self._once(spans))
        for (start, end, label), count in Counter((s.start, s.end, s.label) for s in unique).items():
            if count > 1:
                self._error("span-conflict", f"[{start}, {end}) {label} stands {count} times with different attributes")
        return unique

    def _once(self, values: Iterable[_T]) -> Iterator[_T]:
        seen: set[_T] = set()
        for value in values:
            if value in seen:
                kind = type(value).__name__.lower()
                self._warn(f"{kind}-duplicate", f"{kind} {value.label} stands twice; one was kept")
            else:
                seen.add(value)
                yield value

    def _error(self, id: str, message: str) -> None:
        self.findings.append(Finding(self._place, id, message, self._severity))

    def _warn(self, id: str, message: str) -> None:
        self.findings.append(Finding(self._place, id, message, "warning"))

    @property
    def _place(self) -> str:
        return f"{self.document.doc_id} ({self.annotator})"
