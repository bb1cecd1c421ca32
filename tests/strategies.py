"""Hypothesis strategies: texts that are hard on offsets, spans in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from testimonia.document import Annotation, Document, Relation, Span
from testimonia.matching import Spans

pieces = st.sampled_from(
    [
        "a",
        " ",
        "\n",
        ".",
        "é",
        "e\u0301",
        "😀",
        "👩‍🚀",
        "و",
        "ال",
        "لل",
        "ـ",
        "\u064e",
        "l'",
        "’",
        "«",
        "»",
        "\u202b",
        "\u00a0",
        "10.000",
        "中",
        "ș",
        "-",
    ]
)
texts = st.lists(pieces, min_size=1, max_size=40).map("".join)


@st.composite
def texts_with_spans(draw: st.DrawFn, labels: tuple[str, ...] = ("ACTOR", "SOURCE")) -> tuple[str, list[Span]]:
    text = draw(texts)
    bounds = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(lambda b: b[0] < b[1])
    spans = draw(st.lists(st.tuples(bounds, st.sampled_from(labels)), max_size=6, unique=True))
    return text, [Span(start, end, label) for (start, end), label in spans]


def columns(rows: Sequence[tuple[int, int, int, int]]) -> Spans:
    """Rows (document, start, end, label) as columns."""
    return Spans(*np.array(rows, np.int64).reshape(-1, 4).T.copy())


@st.composite
def span_rows(draw: st.DrawFn, most: int = 12) -> list[tuple[int, int, int, int]]:
    """Spans of two documents and two labels that often overlap, nest and repeat."""
    one = st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(1, 8), st.integers(0, 1))
    return [
        (document, start, start + length, label)
        for document, start, length, label in draw(st.lists(one, max_size=most))
    ]


@st.composite
def passes(draw: st.DrawFn, annotators: int = 3) -> tuple[list[Document], list[Annotation]]:
    """Two documents with annotations of up to `annotators`, some absent, some near copies of one another."""
    documents = [Document("d-1", "fr", "Un mot. Deux mots ici. Et trois mots là."), Document("d-2", "fr", "x" * 30)]
    found = []
    for document in documents:
        size = len(document.text)
        bounds = st.tuples(st.integers(0, size - 4), st.integers(1, 9), st.sampled_from("AB"), st.sampled_from("xy"))
        shared = draw(st.lists(bounds, max_size=5))
        for number in range(annotators):
            if draw(st.integers(0, 9)) == 0:
                continue
            rows = [row for row in shared if draw(st.integers(0, 4))] + draw(st.lists(bounds, max_size=2))
            spans = {
                (start, min(size, start + length), label): Span(
                    start, min(size, start + length), label, (("k", value),)
                )
                for start, length, label, value in rows
            }
            chosen = tuple(spans.values())
            ends = st.tuples(st.sampled_from(chosen), st.sampled_from(chosen)) if len(chosen) > 1 else st.nothing()
            relations = (
                {Relation("r", *pair) for pair in draw(st.lists(ends, max_size=3))} if len(chosen) > 1 else set()
            )
            found.append(Annotation(document.doc_id, f"a{number}", "submitted", chosen, tuple(relations)))
    return documents, found
