"""Cases: the spans that annotators meant as one, who said which, and how they differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from testimonia.document import Span
from testimonia.matching import Ints, Pairs, Spans, closest, equal
from testimonia.passes import Passes, Sides

# How the annotators of a document stand to a case, from the least to the greatest difference.
KINDS = ("agreed", "attribute", "boundary", "label", "some", "one")


@dataclass(frozen=True, slots=True)
class Alignment:
    """Pairs (rows in `sides.left`, `sides.right`) that mean the same: of one label, and of two labels."""

    same: Pairs
    other: Pairs

    @property
    def both(self) -> Pairs:
        """All of them."""
        return np.append(self.same[0], self.other[0]), np.append(self.same[1], self.other[1])


def aligned(sides: Sides, labels: int) -> Alignment:
    """Pairs the spans of every two passes one to one: first within each label, then what is left across labels.

    Both times the pair that overlaps most goes first.
    """
    i, j = closest(sides.left.by_label(labels), sides.right.by_label(labels))
    left, right = np.ones(len(sides.left), bool), np.ones(len(sides.right), bool)
    left[i] = right[j] = False
    rest_left, rest_right = np.flatnonzero(left), np.flatnonzero(right)
    k, m = closest(sides.left.take(rest_left), sides.right.take(rest_right))
    return Alignment((i, j), (rest_left[k], rest_right[m]))


def components(passes: Passes, sides: Sides, pairs: Pairs) -> Ints:
    """For each span the number of its component: spans that the pairs join, directly or through others."""
    size = len(passes.spans)
    i, j = pairs
    ends = sides.left_rows[i], sides.right_rows[j]
    graph = coo_array((np.ones(len(i), np.int8), ends), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def matched_relations(passes: Passes, sides: Sides, alignment: Alignment) -> tuple[Sides, Ints, Ints]:
    """The relations of every two passes, and the pairs of equal label whose heads and tails are aligned by label."""
    both = passes.layout.sides(passes.relations)
    # The partner of each span in each pair of passes, by (pair, row of the span).
    size = len(passes.spans)
    i, j = alignment.same
    key = sides.left.document[i] * size + sides.left_rows[i]
    order = np.argsort(key)
    key, partner = key[order], sides.right_rows[j][order]

    def other(ends: Ints) -> Ints:
        wanted = both.left.document * size + ends
        if not len(key):
            return np.full(len(wanted), -1)
        at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        return np.where(key[at] == wanted, partner[at], -1)

    moved = Spans(both.left.document, other(both.left.start), other(both.left.end), both.left.label)
    left, right = equal(moved, both.right)
    return both, left, right


@dataclass(frozen=True, slots=True)
class Case:
    """Spans of one document that mean the same; `said` holds each span with the annotators who said it.

    `absent`: annotators who submitted the document and have no such span.
    """

    doc_id: str
    kind: str
    said: tuple[tuple[Span, tuple[str, ...]], ...]
    absent: tuple[str, ...]

    @property
    def start(self) -> int:
        return min(span.start for span, _ in self.said)

    @property
    def end(self) -> int:
        return max(span.end for span, _ in self.said)

    @property
    def labels(self) -> str:
        """The labels said, such as `ACTOR` or `ACTOR / SOURCE`."""
        return " / ".join(sorted({span.label for span, _ in self.said}))


@dataclass(frozen=True, slots=True)
class Link:
    """A relation between two cases: its label, who drew it, and who submitted the document and did not.

    `head` and `tail` are spans as the first who drew it has them.
    """

    doc_id: str
    label: str
    head: Span
    tail: Span
    said: tuple[str, ...]
    absent: tuple[str, ...]


def cases_of(passes: Passes, sides: Sides, alignment: Alignment) -> tuple[list[Case], list[Link]]:
    """Every case and every link, in order of document and place. A document with one pass has cases of kind one."""
    layout = passes.layout
    number = components(passes, sides, alignment.both)
    names = [passes.annotators[row] for row in layout.annotator.tolist()]
    present: dict[int, list[str]] = {}
    for document, name in zip(layout.document.tolist(), names, strict=True):
        present.setdefault(document, []).append(name)
    spans = [
        Span(start, end, passes.labels[label], attributes)
        for start, end, label, attributes in zip(
            passes.spans.start.tolist(),
            passes.spans.end.tolist(),
            passes.spans.label.tolist(),
            passes.attributes,
            strict=True,
        )
    ]
    owner = passes.spans.document.tolist()
    grouped: dict[int, dict[Span, list[str]]] = {}
    where: dict[int, int] = {}
    for row, case in enumerate(number.tolist()):
        grouped.setdefault(case, {}).setdefault(spans[row], []).append(names[owner[row]])
        where[case] = int(layout.document[owner[row]])
    cases = []
    for case, said in grouped.items():
        who = present[where[case]]
        absent = tuple(name for name in who if not any(name in whose for whose in said.values()))
        pairs = tuple(sorted((span, tuple(sorted(whose))) for span, whose in said.items()))
        cases.append(
            Case(
                passes.documents[where[case]].doc_id, kind_of(said, len(who) - len(absent), len(absent)), pairs, absent
            )
        )
    drawn: dict[tuple[int, int, int], list[tuple[str, int, int]]] = {}
    relations = passes.relations
    for row, head, tail, label in zip(
        relations.document.tolist(),
        relations.start.tolist(),
        relations.end.tolist(),
        relations.label.tolist(),
        strict=True,
    ):
        drawn.setdefault((label, int(number[head]), int(number[tail])), []).append((names[row], head, tail))
    links = []
    for (label, head_case, _), found in drawn.items():
        said_by = tuple(sorted({name for name, _, _ in found}))
        who = present[where[head_case]]
        _, head, tail = min(found)
        links.append(
            Link(
                passes.documents[where[head_case]].doc_id,
                passes.relation_labels[label],
                spans[head],
                spans[tail],
                said_by,
                tuple(name for name in who if name not in said_by),
            )
        )
    cases.sort(key=lambda case: (case.doc_id, case.start, case.end, case.said))
    links.sort(key=lambda link: (link.doc_id, link.head, link.tail, link.label))
    return cases, links


def kind_of(said: Iterable[Span], present: int, absent: int) -> str:
    """The kind of a case: the greatest difference among the spans of those who have one, and those who have none."""
    spans = set(said)
    if present < 2:
        return "one"
    if absent:
        return "some"
    if len({span.label for span in spans}) > 1:
        return "label"
    if len({(span.start, span.end) for span in spans}) > 1:
        return "boundary"
    return "attribute" if len(spans) > 1 else "agreed"
