"""Tasks of Label Studio's JSON as Arrow: a kernel from a chunk of tasks to the rows of a part.

Most tasks of most exports are as the server writes them: regions of one label whose words are those of the text in
code points, with attributes of one value, and relations between them. These are read by typed decoding, without a dict
for each result. A task in which anything is otherwise is read by `dialects` and `tasks`, which say what; both ways give
equal rows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import lt
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from testimonia.dialects import Reader, is_task, renewed
from testimonia.document import Annotation, Document, Span
from testimonia.errors import Finding, InputError
from testimonia.exports import encodable, found_scheme
from testimonia.label_config import DECISION, PROPOSED, STATUS, WHO
from testimonia.scheme import Attribute, Scheme
from testimonia.streams import Chunk
from testimonia.tasks import CONTROLS, HUGE, REFUSALS, fit_of, parse_tasks
from testimonia.units import UNITS, Unit

Json = dict[str, Any]

DOCUMENTS = pa.schema(
    [(name, pa.string()) for name in ("task", "doc_id", "language", "title", "text")] + [("text_sha256", pa.binary(32))]
)
_ATTRIBUTE = pa.struct([("name", pa.string()), ("text", pa.string()), ("number", pa.float64())])
_SPAN = pa.struct(
    [
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("label", pa.string()),
        ("text", pa.string()),
        ("attributes", pa.list_(_ATTRIBUTE)),
    ]
)
_RELATION = pa.struct([("label", pa.string()), ("head", pa.int64()), ("tail", pa.int64())])
ANNOTATIONS = pa.schema(
    [(name, pa.string()) for name in ("task", "doc_id", "annotator", "state")]
    + [("spans", pa.list_(_SPAN)), ("relations", pa.list_(_RELATION))]
)
FINDINGS = pa.schema([(name, pa.string()) for name in ("task", "place", "id", "severity", "message")])

# What makes a region none of the spans, beside REFUSALS: its annotation does not count, another region equals it, it
# lies nowhere in the text. Results without an id are refused whether they label or not, so those that do are counted.
SKIPPED, DRAFT, TWICE, WHOLE = "skipped", "draft", "span-duplicate", "result-of-document"
NAMELESS = "region-without-id"
_LOST = REFUSALS - {NAMELESS}


@dataclass(frozen=True, slots=True)
class Source:
    """How the tasks of a file are to be read: the key of their texts, the annotated object, the unit of offsets.

    `plain` is whether tasks may be read by typed decoding; without, all go the long way.
    """

    key: str
    turn_key: str
    name: str
    unit: Unit = "code-points"
    plain: bool = True


@dataclass(slots=True)
class Part:
    """What a chunk gives: rows, and what is counted over all chunks.

    `entries_of` and `found_of` have the numbers of annotations and findings of each document, after those findings
    that are of none; `told` the things said otherwise (dialects); `regions` and `fitting` how regions fit the units
    of offsets; `perhaps` how many more may fit a unit, which only the long way tells.
    """

    documents: pa.RecordBatch
    annotations: pa.RecordBatch
    findings: pa.RecordBatch
    entries_of: list[int]
    found_of: list[int]
    tasks: int
    entries: int
    spans: int
    relations: int
    left_out: Counter[str]
    found: Counter[str]
    told: Counter[str]
    regions: int
    fitting: Counter[Unit]
    perhaps: Counter[Unit]


class _Value(msgspec.Struct, gc=False):
    start: int
    end: int
    text: str | list[str]
    labels: list[str] | None = None
    choices: list[str] | None = None
    number: float | None = None
    rating: float | None = None
    taxonomy: list[list[str]] | None = None


class _Result(msgspec.Struct, gc=False):
    type: Literal["labels", "relation", "choices", "number", "rating", "textarea", "taxonomy"]
    value: _Value | None = None
    id: str | None = None
    from_name: str | None = None
    to_name: str | None = None
    from_id: str | None = None
    to_id: str | None = None
    direction: Literal["right"] = "right"
    labels: list[str] | None = None


class _Who(msgspec.Struct, gc=False):
    id: int | None = None


class _Entry(msgspec.Struct, gc=False):
    result: list[_Result]
    completed_by: int | str | _Who
    was_cancelled: bool | None = False


def _decoder(key: str) -> msgspec.json.Decoder[Any] | None:
    """Decodes a task whose text is under a key; None where the key is one of those that are read too, or no name."""
    if key in ("doc_id", "language", "title") or not key.isprintable() or set(key) & set('"\\'):
        return None
    fields: list[Any] = [("text", str, msgspec.field(name=key))]
    fields += [(name, str, "") for name in ("doc_id", "language", "title")]
    data = msgspec.defstruct("_Data", fields, gc=False)
    fields = [("data", data), ("annotations", list[_Entry]), ("id", int | str), ("drafts", list[msgspec.Raw], [])]
    return msgspec.json.Decoder(msgspec.defstruct("_Task", fields, gc=False))


@dataclass(slots=True)
class _Columns:
    """The columns of a part as they grow; lists are given by their offsets."""

    source: list[str] = field(default_factory=list)
    document: list[str] = field(default_factory=list)
    language: list[str] = field(default_factory=list)
    title: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)
    findings: list[int] = field(default_factory=list)
    task: list[str] = field(default_factory=list)
    doc_id: list[str] = field(default_factory=list)
    annotator: list[str] = field(default_factory=list)
    state: list[str] = field(default_factory=list)
    spans: list[int] = field(default_factory=lambda: [0])
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    holder: list[int] = field(default_factory=list)  # the span of each attribute
    name: list[str] = field(default_factory=list)
    value: list[str | None] = field(default_factory=list)
    number: list[float | None] = field(default_factory=list)
    relations: list[int] = field(default_factory=lambda: [0])
    relation: list[str] = field(default_factory=list)
    head: list[int] = field(default_factory=list)
    tail: list[int] = field(default_factory=list)

    def document_rows(self) -> pa.RecordBatch:
        digests = b"".join([hashlib.sha256(text.encode()).digest() for text in self.words])
        columns = [_strings(column) for column in (self.source, self.document, self.language, self.title, self.words)]
        buffers = [None, pa.py_buffer(digests)]
        columns.append(pa.Array.from_buffers(pa.binary(32), len(self.words), buffers))
        return pa.RecordBatch.from_arrays(columns, schema=DOCUMENTS)

    def annotation_rows(self) -> pa.RecordBatch:
        holder = np.array(self.holder, np.int64)
        order = np.argsort(holder, kind="stable")
        edges = np.concatenate([[0], np.cumsum(np.bincount(holder, minlength=len(self.start)))])
        attributes = pa.StructArray.from_arrays(
            [_recurring(self.name), _strings(self.value), _floats(self.number)], fields=list(_ATTRIBUTE)
        ).take(_integers(order))
        lists = pa.ListArray.from_arrays(_integers(edges, np.int32), attributes)
        spans = pa.StructArray.from_arrays(
            [_integers(self.start), _integers(self.end), _recurring(self.label), _strings(self.text), lists],
            fields=list(_SPAN),
        )
        relations = pa.StructArray.from_arrays(
            [_strings(self.relation), _integers(self.head), _integers(self.tail)], fields=list(_RELATION)
        )
        return pa.RecordBatch.from_arrays(
            [
                *(_strings(column) for column in (self.task, self.doc_id, self.annotator, self.state)),
                pa.ListArray.from_arrays(_integers(self.spans, np.int32), spans),
                pa.ListArray.from_arrays(_integers(self.relations, np.int32), relations),
            ],
            schema=ANNOTATIONS,
        )


# Arrays without `pyarrow.array`, which imports pandas where it is installed: a third of a second in each process.
def _strings(values: Sequence[str | None]) -> pa.Array:
    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def _recurring(values: Sequence[str]) -> pa.Array:
    """The same for few words that come again and again."""
    words = {word: number for number, word in enumerate(dict.fromkeys(values))}
    return _strings(list(words)).take(_integers(list(map(words.__getitem__, values))))


def _integers(values: Sequence[int] | npt.NDArray[np.int64], kind: type[np.signedinteger[Any]] = np.int64) -> pa.Array:
    numbers = np.ascontiguousarray(values, kind)
    return pa.Array.from_buffers(pa.from_numpy_dtype(kind), len(numbers), [None, pa.py_buffer(numbers)])


def _floats(values: Sequence[float | None]) -> pa.Array:
    there = np.array([value is not None for value in values], bool)
    numbers = np.zeros(len(values))
    numbers[there] = [value for value in values if value is not None]
    buffers = [pa.py_buffer(np.packbits(there, bitorder="little")), pa.py_buffer(numbers)]
    return pa.Array.from_buffers(pa.float64(), len(numbers), buffers)


class _Known:
    """Which labels, attributes and relations are read: those of a scheme, or whatever there is."""

    def __init__(self, scheme: Scheme | None) -> None:
        self.scheme = scheme
        self.labels = frozenset(scheme.label_names) if scheme else None
        self.relations = frozenset(scheme.relation_names) if scheme else None
        self._attributes: dict[tuple[str, str, str], Attribute] = {}
        for label in scheme.labels if scheme else ():
            for control, attribute in scheme.controls(label).items() if scheme else ():
                for kind in CONTROLS[attribute.type]:
                    self._attributes[label.name, control, kind] = attribute
                    if attribute.type == "entity":
                        self._attributes[label.name, control + PROPOSED, kind] = attribute

    def said(self, label: str, result: _Result) -> tuple[str, str | None, float | None] | None:
        """The attribute that a result says of a region: name, words or number; None where it is to be looked at."""
        name, kind, value = result.from_name, result.type, result.value
        if name is None or value is None or name in (STATUS, DECISION, WHO):
            return None
        attribute = self._attributes.get((label, name, kind))
        if self.scheme is not None and attribute is None:
            return None
        whole = attribute is None or bool(attribute.control)
        if kind in ("number", "rating"):
            number = value.number if kind == "number" else value.rating
            if number is None or not abs(number) < HUGE:
                return None
            return (attribute.name if attribute else name), None, number
        item: str | None = None
        if kind == "choices" and value.choices is not None and len(value.choices) == 1:
            item = value.choices[0]
        elif kind == "textarea" and isinstance(value.text, list) and len(value.text) == 1:
            item = value.text[0]
        elif kind == "taxonomy" and value.taxonomy is not None and len(value.taxonomy) == 1 and value.taxonomy[0]:
            item = " > ".join(value.taxonomy[0]) if whole else value.taxonomy[0][-1]
        if not item:
            return None
        if attribute is not None and attribute.type == "entity" and self.scheme is not None:
            item = self.scheme.resolved(attribute, item)
        return (attribute.name if attribute else name), item, None


def convert(chunk: Chunk, source: Source, scheme: Scheme | None, place: str) -> Part:
    """The rows of a chunk. `place` names its file in findings. Raises InputError for what is no task, with its byte."""
    columns, known = _Columns(), _Known(scheme)
    decoder = _decoder(source.key) if source.plain and source.unit == "code-points" else None
    slow = _Slow(source, scheme, place)
    entries = spans = relations = 0
    left_out: Counter[str] = Counter()
    fitting: Counter[Unit] = Counter()
    perhaps: Counter[Unit] = Counter()
    for number, raw in enumerate(chunk.values(), chunk.first + 1):
        try:
            task = decoder.decode(raw) if decoder else None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            task = None
        read = None if task is None or task.drafts else _plain(task, source.name, known)
        if task is None or read is None:
            slow.read(number, raw, columns, chunk)
            continue
        entries += len(read)
        _put(columns, str(task.id), task.data, read)
        text = task.data.text
        wide = not text.isascii() and len(text.encode("utf-16-le", "surrogatepass")) > 2 * len(text)
        own = sum(len(one.starts) for one in read)
        fitting["code-points"] += own
        (perhaps if wide else fitting)["utf-16"] += own
        (fitting if text.isascii() else perhaps)["bytes"] += own
        for one in read:
            if one.state == "submitted":
                spans += len(one.starts)
                relations += len(one.relations)
            elif one.starts:
                left_out[one.state] += len(one.starts)
    regions = fitting["code-points"]
    return Part(
        columns.document_rows(),
        columns.annotation_rows(),
        finding_rows(slow.unread + slow.findings),
        columns.entries,
        columns.findings,
        tasks=chunk.count,
        entries=entries + slow.entries,
        spans=spans + slow.spans,
        relations=relations + slow.relations,
        left_out=left_out + slow.left_out,
        found=slow.found,
        told=+slow.reader.told,
        regions=regions + slow.regions,
        fitting=fitting + slow.fitting,
        perhaps=perhaps,
    )


@dataclass(slots=True)
class _Read:
    """An annotation: its spans in order, attributes by span, relations between spans."""

    annotator: str
    state: str
    starts: Sequence[int]
    ends: Sequence[int]
    labels: Sequence[str]
    texts: Sequence[str]
    attributes: Sequence[tuple[int, str, str | None, float | None]]
    relations: Sequence[tuple[str, int, int]]


def _put(columns: _Columns, task: str, data: Any, read: Sequence[_Read]) -> None:
    doc_id = data.doc_id or f"task-{task}"
    columns.source.append(task)
    columns.document.append(doc_id)
    columns.language.append(data.language)
    columns.title.append(data.title)
    columns.words.append(data.text)
    columns.entries.append(len(read))
    columns.findings.append(0)
    for one in read:
        _put_annotation(columns, task, doc_id, one)


def _put_annotation(columns: _Columns, task: str, doc_id: str, one: _Read) -> None:
    columns.task.append(task)
    columns.doc_id.append(doc_id)
    columns.annotator.append(one.annotator)
    columns.state.append(one.state)
    at = len(columns.start)
    columns.start += one.starts
    columns.end += one.ends
    columns.label += one.labels
    columns.text += one.texts
    for row, name, value, number in one.attributes:
        columns.holder.append(at + row)
        columns.name.append(name)
        columns.value.append(value)
        columns.number.append(number)
    for label, head, tail in one.relations:
        columns.relation.append(label)
        columns.head.append(head)
        columns.tail.append(tail)
    columns.spans.append(len(columns.start))
    columns.relations.append(len(columns.relation))


def _plain(task: Any, name: str, known: _Known) -> list[_Read] | None:
    """The annotations of a task in which everything is as the server writes it, else None."""
    if not task.annotations:
        return None
    read = []
    for entry in task.annotations:
        one = _entry(entry, task.data.text, name, known)
        if one is None:
            return None
        read.append(one)
    return read


def _entry(entry: _Entry, text: str, name: str, known: _Known) -> _Read | None:
    regions = [result for result in entry.result if result.type == "labels" and result.to_name == name]
    values = [result.value for result in regions if result.value is not None]
    count = len(values)
    starts, ends = [value.start for value in values], [value.end for value in values]
    texts = [value.text for value in values]
    slices = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    if texts != slices or (count and (min(starts) < 0 or max(ends) > len(text) or "" in slices)):
        return None
    labels = [label for value in values for label in value.labels or ("", "")]
    ids = [result.id for result in regions]
    if not len(labels) == count == len(ids) == len(set(ids)) or None in ids:
        return None
    if known.labels is not None and not known.labels.issuperset(labels):
        return None
    who = entry.completed_by.id if isinstance(entry.completed_by, _Who) else entry.completed_by
    if who is None or (isinstance(who, str) and not (who.isprintable() and who.strip())):
        return None
    place: Sequence[int] = range(count)
    if not all(map(lt, starts, starts[1:])):
        keys = list(zip(starts, ends, labels, strict=True))
        order = sorted(place, key=keys.__getitem__)
        if len(set(keys)) != count:
            return None
        starts, ends = [starts[row] for row in order], [ends[row] for row in order]
        labels, slices = [labels[row] for row in order], [slices[row] for row in order]
        place = sorted(place, key=order.__getitem__)
    attributes: list[tuple[int, str, str | None, float | None]] = []
    relations: list[tuple[str, int, int]] = []
    if count < len(entry.result):
        rows = dict(zip(ids, place, strict=True))
        others = [result for result in entry.result if result.type != "labels"]
        if count + len(others) < len(entry.result):
            return None
        for result in others:
            if result.type == "relation":
                head, tail = rows.get(result.from_id), rows.get(result.to_id)
                if head is None or tail is None or not result.labels or len(result.labels) != 1:
                    return None
                if known.relations is not None and result.labels[0] not in known.relations:
                    return None
                relations.append((result.labels[0], head, tail))
            else:
                row = rows.get(result.id)
                said = None if row is None else known.said(labels[row], result)
                if row is None or said is None:
                    return None
                attributes.append((row, *said))
        if len(set(relations)) < len(relations) or len({one[:2] for one in attributes}) < len(attributes):
            return None
        relations.sort()
        attributes.sort(key=_by_name)
    state = "skipped" if entry.was_cancelled else "submitted"
    return _Read(str(who), state, starts, ends, labels, slices, attributes, relations)


def _by_name(attribute: tuple[int, str, str | None, float | None]) -> tuple[int, str]:
    return attribute[:2]


class _Slow:
    """The long way: tasks as `exports` reads them, with what is found wrong."""

    def __init__(self, source: Source, scheme: Scheme | None, place: str) -> None:
        self.source, self.scheme, self.place = source, scheme, place
        self.reader = Reader(source.key, source.turn_key, source.name)
        self.findings: list[tuple[str, Finding]] = []
        self.unread: list[tuple[str, Finding]] = []  # of tasks that give no document
        self.found: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.fitting: Counter[Unit] = Counter()
        self.entries = self.spans = self.relations = self.regions = 0

    def read(self, number: int, raw: bytes | msgspec.Raw, columns: _Columns, chunk: Chunk) -> None:
        """One task into the columns."""
        value = chunk.read(raw, number)
        if not is_task(value):
            raise InputError(f"{chunk.path}: task {number:,} is no task of an export in the format JSON; export again")
        task = self.reader.plain(renewed(value), number)
        data, known = task["data"], str(value.get("id", number))
        counted = _regions(task)
        whole = encodable(task)
        if not whole or data["text"] is None:
            id_ = "task-without-text" if whole else "task-surrogate"
            what = f"has no text under {self.source.key!r}" if whole else "holds half a surrogate pair"
            place = f"{self.place}: {data['doc_id']}".encode(errors="replace").decode()
            self.unread.append((known, Finding(place, id_, f"{what}; left out")))
            self.found[id_] += 1
            self.left_out[id_] += sum(counted.values())
            return
        fit = fit_of([(data["text"], task)])
        self.regions += fit.regions
        self.fitting.update({unit: fit.fitting.get(unit, 0) for unit in UNITS})
        document = Document(data["doc_id"], data["language"], data["text"], title=data["title"])
        used = self.scheme or found_scheme([task])
        annotations, findings = parse_tasks([task], {document.doc_id: document}, used, unit=self.source.unit)
        self.findings += [(known, finding) for finding in findings]
        self.found.update(finding.id for finding in findings)
        columns.source.append(known)
        columns.document.append(document.doc_id)
        columns.language.append(document.language)
        columns.title.append(document.title)
        columns.words.append(document.text)
        columns.entries.append(len(annotations))
        columns.findings.append(len(findings))
        for annotation in annotations:
            _put_annotation(columns, known, document.doc_id, _read(annotation, document.text))
        submitted = [annotation for annotation in annotations if annotation.state == "submitted"]
        spans = sum(len(annotation.spans) for annotation in submitted)
        self.entries += sum(annotation.state != "draft" for annotation in annotations)
        self.spans += spans
        self.relations += sum(len(annotation.relations) for annotation in submitted)
        refused = Counter(f.id for f in findings if f.id in _LOST and f.severity == "error")
        refused += Counter({NAMELESS: counted[NAMELESS]})
        rest = WHOLE if any(f.id == WHOLE for f in findings) else TWICE
        self.left_out += refused + Counter({SKIPPED: counted[SKIPPED], DRAFT: counted[DRAFT]})
        self.left_out += Counter({rest: counted["submitted"] + counted[NAMELESS] - spans - refused.total()})


def finding_rows(found: Sequence[tuple[str, Finding]]) -> pa.RecordBatch:
    """Findings, each with the id of its task, as rows."""
    columns = [[task for task, _ in found]]
    columns += [[getattr(finding, name) for _, finding in found] for name in FINDINGS.names[1:]]
    return pa.RecordBatch.from_arrays([_strings(column) for column in columns], schema=FINDINGS)


def _regions(task: Json) -> Counter[str]:
    """How many labelled regions the annotations of a task have, by state, those without an id that count apart."""
    counted: Counter[str] = Counter()
    for kind in ("annotations", "drafts"):
        for entry in task[kind]:
            if not isinstance(entry, dict) or not isinstance(entry.get("result"), list):
                continue
            state = DRAFT if kind == "drafts" else SKIPPED if entry.get("was_cancelled") else "submitted"
            results = [result for result in entry["result"] if isinstance(result, dict)]
            labelled = [r for r in results if str(r.get("type")).endswith("labels")]
            named = {r["id"] for r in labelled if isinstance(r.get("id"), str)}
            counted[state] += len(named)
            counted[NAMELESS if state == "submitted" else state] += sum(
                not isinstance(r.get("id"), str) for r in labelled
            )
    return counted


def _read(annotation: Annotation, text: str) -> _Read:
    rows: Mapping[Span, int] = {span: row for row, span in enumerate(annotation.spans)}
    attributes = [
        (row, name, value if isinstance(value, str) else None, value if isinstance(value, float) else None)
        for row, span in enumerate(annotation.spans)
        for name, value in span.attributes
    ]
    return _Read(
        annotation.annotator,
        annotation.state,
        [span.start for span in annotation.spans],
        [span.end for span in annotation.spans],
        [span.label for span in annotation.spans],
        [text[span.start : span.end] for span in annotation.spans],
        attributes,
        sorted((r.label, rows[r.head], rows[r.tail]) for r in annotation.relations),
    )
