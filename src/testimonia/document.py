"""The model: documents, spans, relations, annotations. Frozen values; equal content is an equal object.

Offsets are Unicode code points of the raw text, end exclusive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Value = str | float
Attributes = tuple[tuple[str, Value], ...]
State = Literal["submitted", "skipped", "draft"]
SPLITS = ("train", "validation", "test")


def attributes_of(values: Mapping[str, Value | None]) -> Attributes:
    """Attributes as a sorted tuple, so that they hash; those without a value are left out."""
    return tuple(sorted((name, value) for name, value in values.items() if value is not None))


@dataclass(frozen=True, slots=True, order=True)
class Zone:
    """A stretch of the text with one role in the layout, such as `title` or `boilerplate`."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its id and language. `zones` are sorted and do not overlap; `rights` are those in the text."""

    doc_id: str
    language: str
    text: str
    title: str = ""
    translation: str = "unknown"
    fold: int = 0
    zones: tuple[Zone, ...] = ()
    rights: str = field(default="", compare=False)
    split: str = "test"

    @property
    def text_sha256(self) -> str:
        """Hex SHA-256 of the text's UTF-8 bytes."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A labelled stretch `[start, end)` of a text."""

    start: int
    end: int
    label: str
    attributes: Attributes = ()

    def covers(self, other: Span) -> bool:
        """Whether `other` lies within this span (equal bounds included)."""
        return self.start <= other.start and other.end <= self.end


@dataclass(frozen=True, slots=True, order=True)
class Relation:
    """A labelled arrow from one span to another."""

    label: str
    head: Span
    tail: Span


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one annotator said about one document."""

    doc_id: str
    annotator: str
    state: State
    spans: tuple[Span, ...] = ()
    relations: tuple[Relation, ...] = ()
    round: str = ""


@dataclass(frozen=True, slots=True)
class Gold:
    """The spans and relations of a document that count, and where they come from.

    `provenance` has a word for each span, in order: how the annotators stood to it.
    """

    document: Document
    spans: tuple[Span, ...] = ()
    relations: tuple[Relation, ...] = ()
    source: str = field(default="", compare=False)
    provenance: tuple[str, ...] = ()


def span_id(doc_id: str, span: Span) -> str:
    """A stable id made of document, offsets and label, such as `ro-1:0-11:ACTOR`."""
    return f"{doc_id}:{span.start}-{span.end}:{span.label}"


def relation_id(doc_id: str, relation: Relation) -> str:
    """A stable id such as `ro-1:44-51:STANCE>holder>0-11:ACTOR`."""
    head, tail = relation.head, relation.tail
    return f"{doc_id}:{head.start}-{head.end}:{head.label}>{relation.label}>{tail.start}-{tail.end}:{tail.label}"
