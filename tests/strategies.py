"""Hypothesis strategies: texts that are hard on offsets, spans in them."""

from __future__ import annotations

from hypothesis import strategies as st

from testimonia.document import Span

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
