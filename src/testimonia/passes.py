"""The passes over a corpus: what each annotator submitted for each document, as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from testimonia.document import Annotation, Attributes, Document
from testimonia.errors import Finding
from testimonia.language import Language
from testimonia.matching import Ints, Spans, runs


@dataclass(frozen=True, slots=True)
class Layout:
    """Who passed over which document, and where its blocks begin.

    A pass is one annotator's over one document; `document` and `annotator` are columns over passes, sorted by
    document, then annotator. `lengths`: code points of each document. A block is a stretch of a document that is
    drawn whole in a bootstrap, such as a sentence; `block_document` and `block_start` are sorted, and the first
    block of a document starts at 0.
    """

    lengths: Ints
    document: Ints
    annotator: Ints
    block_document: Ints
    block_start: Ints

    @property
    def width(self) -> int:
        """A number greater than any offset."""
        return int(self.lengths.max(initial=0)) + 1

    @property
    def raters(self) -> Ints:
        """How many passed over each document."""
        return np.bincount(self.document, minlength=len(self.lengths))

    def block_of(self, document: Ints, position: Ints) -> Ints:
        """Rows of the blocks that hold these positions."""
        keys = self.block_document * self.width + self.block_start
        return np.searchsorted(keys, document * self.width + position, side="right") - 1

    def part(self, rows: Ints) -> tuple[Layout, Ints, Ints]:
        """The layout of these documents alone (rows rise), the rows of its passes and of its blocks."""
        passes, per_document = _within(self.document, rows)
        blocks, blocks_per_document = _within(self.block_document, rows)
        numbers = np.arange(len(rows))
        return (
            Layout(
                self.lengths[rows],
                np.repeat(numbers, per_document),
                self.annotator[passes],
                np.repeat(numbers, blocks_per_document),
                self.block_start[blocks],
            ),
            passes,
            blocks,
        )

    def sides(self, spans: Spans) -> Sides:
        """Both sides of every two passes over one document; `spans` are sorted by pass."""
        last = np.searchsorted(self.document, self.document, side="right")
        rows = np.arange(len(self.document))
        counts = last - rows - 1
        first, second = np.repeat(rows, counts), runs(rows + 1, counts)
        begin = np.searchsorted(spans.document, np.arange(len(self.document) + 1))
        sizes = np.diff(begin)
        left_rows = runs(begin[first], sizes[first])
        right_rows = runs(begin[second], sizes[second])
        numbers = np.arange(len(first))
        return Sides(
            first,
            second,
            _renumbered(spans.take(left_rows), np.repeat(numbers, sizes[first])),
            _renumbered(spans.take(right_rows), np.repeat(numbers, sizes[second])),
            left_rows,
            right_rows,
        )


@dataclass(frozen=True, slots=True)
class Sides:
    """Every two passes over one document: rows of the passes; their spans, whose `document` is the row of the pair.

    `left_rows` and `right_rows` are the rows that the spans have among all.
    """

    first: Ints
    second: Ints
    left: Spans
    right: Spans
    left_rows: Ints
    right_rows: Ints


def _within(column: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Where a sorted column has these values, and how often each."""
    first = np.searchsorted(column, rows)
    counts = np.searchsorted(column, rows, side="right") - first
    return runs(first, counts), counts


def part_of(spans: Spans, passes: Ints) -> tuple[Spans, Ints]:
    """The spans of these passes (rows rise), whose `document` becomes the number among them; and their rows."""
    rows, counts = _within(spans.document, passes)
    return _renumbered(spans.take(rows), np.repeat(np.arange(len(passes)), counts)), rows


def _renumbered(spans: Spans, document: Ints) -> Spans:
    return Spans(document, spans.start, spans.end, spans.label)


@dataclass(frozen=True, slots=True)
class Passes:
    """The submitted annotations of a corpus as columns.

    Documents are sorted by doc_id. `spans.document` is the row of the pass. `relations` are columns of the same
    kind: document = pass, start and end = rows of head and tail in `spans`.
    """

    documents: tuple[Document, ...]
    annotators: tuple[str, ...]
    labels: tuple[str, ...]
    relation_labels: tuple[str, ...]
    layout: Layout
    spans: Spans
    attributes: tuple[Attributes, ...]
    relations: Spans


def passes_of(
    documents: Iterable[Document],
    annotations: Iterable[Annotation],
    labels: Sequence[str],
    relation_labels: Sequence[str],
    languages: Mapping[str, Language],
) -> tuple[Passes, list[Finding]]:
    """The submitted annotations as columns, and what stands in the way of comparing them.

    A skipped or draft annotation is absent: its document counts for that annotator as never opened. A submitted
    one without spans says that there is nothing. A document that fewer than two submitted compares nothing.
    """
    by_id = {document.doc_id: document for document in documents}
    ordered = tuple(by_id[doc_id] for doc_id in sorted(by_id))
    findings = [
        Finding(d.doc_id, "document-empty", "has no text; it counts for nothing", "warning")
        for d in ordered
        if not d.text
    ]
    chosen: dict[tuple[str, str], Annotation] = {}
    everybody = set()
    for annotation in annotations:
        if annotation.doc_id not in by_id:
            continue
        everybody.add(annotation.annotator)
        key = annotation.doc_id, annotation.annotator
        if annotation.state != "submitted":
            continue
        if key in chosen:
            message = f"{annotation.annotator} submitted it more than once; the first was taken, delete the others"
            findings.append(Finding(annotation.doc_id, "annotation-twice", message))
        else:
            chosen[key] = annotation
    submitted = Counter(doc_id for doc_id, _ in chosen)
    annotators = tuple(sorted({annotator for _, annotator in chosen}))
    for document in ordered:
        absent = [name for name in sorted(everybody) if (document.doc_id, name) not in chosen]
        if absent and submitted[document.doc_id]:
            more = f" and {len(absent) - 5} others" if len(absent) > 6 else ""
            who = ", ".join(absent[: 5 if more else 6]) + more
            alone = "" if submitted[document.doc_id] > 1 else "; only one did, so it compares nothing"
            message = f"not submitted by {who}: absent, which is not the same as without spans{alone}"
            findings.append(Finding(document.doc_id, "annotation-absent", message, "warning"))
        elif not submitted[document.doc_id]:
            findings.append(Finding(document.doc_id, "annotation-absent", "nobody submitted it", "warning"))
    if len(annotators) < 2:
        who = f"only {annotators[0]}" if annotators else "nobody"
        message = f"{who} submitted an annotation; agreement needs two annotators of the same documents"
        findings.append(Finding("annotators", "annotators-too-few", message))
    elif max(submitted.values()) < 2:
        message = "no document was submitted by two annotators; there is nothing to compare"
        findings.append(Finding("annotators", "annotators-too-few", message))
    return _columns(ordered, chosen, annotators, labels, relation_labels, languages), findings


def _columns(
    documents: tuple[Document, ...],
    chosen: Mapping[tuple[str, str], Annotation],
    annotators: tuple[str, ...],
    labels: Sequence[str],
    relation_labels: Sequence[str],
    languages: Mapping[str, Language],
) -> Passes:
    rank = {name: row for row, name in enumerate(annotators)}
    document_row = {document.doc_id: row for row, document in enumerate(documents)}
    label_row = {name: row for row, name in enumerate(labels)}
    relation_row = {name: row for row, name in enumerate(relation_labels)}
    passes = sorted(chosen, key=lambda key: (document_row[key[0]], key[1]))
    spans: list[tuple[int, int, int, int]] = []
    attributes: list[Attributes] = []
    relations: list[tuple[int, int, int, int]] = []
    for number, key in enumerate(passes):
        rows = {}
        for span in sorted(chosen[key].spans):
            rows[span] = len(spans)
            spans.append((number, span.start, span.end, label_row[span.label]))
            attributes.append(span.attributes)
        for relation in sorted(chosen[key].relations):
            relations.append((number, rows[relation.head], rows[relation.tail], relation_row[relation.label]))
    blocks = [
        (row, start)
        for row, document in enumerate(documents)
        for start in _block_starts(document, languages.get(document.language) or Language(document.language))
    ]
    return Passes(
        documents=documents,
        annotators=annotators,
        labels=tuple(labels),
        relation_labels=tuple(relation_labels),
        layout=Layout(
            lengths=np.array([len(document.text) for document in documents], np.int64),
            document=np.array([document_row[doc_id] for doc_id, _ in passes], np.int64),
            annotator=np.array([rank[name] for _, name in passes], np.int64),
            block_document=_table(blocks, 2)[0],
            block_start=_table(blocks, 2)[1],
        ),
        spans=Spans(*_table(spans, 4)),
        attributes=tuple(attributes),
        relations=Spans(*_table(relations, 4)),
    )


def _block_starts(document: Document, language: Language) -> list[int]:
    """Where sentences begin; the first block begins with the text."""
    return [0, *(start for start, _ in language.sentences(document.text)[1:])]


def _table(rows: Sequence[tuple[int, ...]], columns: int) -> list[Ints]:
    return list(np.array(rows, np.int64).reshape(-1, columns).T.copy())
