"""A metric with the methods of those in the package `evaluate`: add, add_batch, compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from testimonia.errors import InputError
from testimonia.scoring import score
from testimonia.tallies import MODES, Matching

Span = Mapping[str, Any]


class SpanMetric:
    """Span scores over documents given one by one or all at once; without intervals.

    A prediction and its reference are lists of spans of one document, each with `start`, `end` (code points, end
    exclusive) and `label`.

    >>> metric = SpanMetric()
    >>> metric.add(prediction=[{"start": 0, "end": 4, "label": "ACTOR"}],
    ...            reference=[{"start": 0, "end": 4, "label": "ACTOR"}])
    >>> metric.compute()["strict_f1"]
    1.0
    """

    def __init__(self, matching: Matching = "best") -> None:
        self._matching = matching
        self._sides: list[tuple[Sequence[Span], Sequence[Span]]] = []

    def add(self, *, prediction: Sequence[Span], reference: Sequence[Span]) -> None:
        """One document. Raises InputError where one of the two is no list."""
        if not isinstance(prediction, Sequence) or not isinstance(reference, Sequence):
            raise InputError(
                "add: prediction and reference are lists of spans; a document without any has an empty one"
            )
        self._sides.append((prediction, reference))

    def add_batch(self, *, predictions: Iterable[Sequence[Span]], references: Iterable[Sequence[Span]]) -> None:
        """Some documents. Raises InputError where the two differ in number."""
        said, true = list(predictions), list(references)
        if len(said) != len(true):
            raise InputError(f"predictions: {len(said)} for {len(true)} references; give one for each document")
        self._sides += zip(said, true, strict=True)

    def compute(
        self,
        *,
        predictions: Iterable[Sequence[Span]] | None = None,
        references: Iterable[Sequence[Span]] | None = None,
    ) -> dict[str, float | None]:
        """`strict_precision`, `strict_recall`, `strict_f1` and so on for each mode, and `strict_f1_<label>`.

        None for 0/0. What was added is forgotten.
        """
        if predictions is not None or references is not None:
            self.add_batch(predictions=predictions or [], references=references or [])
        sides = [[{"doc_id": str(n), "spans": list(spans[k])} for n, spans in enumerate(self._sides)] for k in (0, 1)]
        self._sides = []
        found = score(sides[1], sides[0], matching=self._matching, resamples=0)
        result: dict[str, float | None] = {}
        for mode in MODES:
            one = found.overall[mode]
            result |= {f"{mode}_precision": one.precision, f"{mode}_recall": one.recall, f"{mode}_f1": one.f1}
            result |= {f"{mode}_f1_{label}": by_mode[mode].f1 for label, by_mode in found.by_label.items()}
        return result
