"""Gold and predictions on one footing: the same documents in the same rows, one numbering of labels, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from testimonia.errors import Finding, FindingsError, InputError, errors_among
from testimonia.extraction import Extraction, misplaced, repeated, told
from testimonia.matching import Ints
from testimonia.offsets import Ends, converted, diagnosis, unlike
from testimonia.units import Unit


@dataclass(frozen=True, slots=True)
class Subset:
    """What to score of all that is there, and how predictions say it.

    `labels`, `languages`: those to score; empty: all. `mapping`: what predicted labels are called in the gold.
    `scheme_labels`: the labels that there may be; where none are given, those of the gold. `unit`, `ends`: what the
    predicted offsets count, and whether their ends belong to the span.
    """

    labels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)
    scheme_labels: tuple[str, ...] = ()
    unit: Unit = "code-points"
    ends: Ends = "exclusive"


@dataclass(frozen=True, slots=True)
class Sides:
    """Gold and predictions with equal rows of documents and equal labels; the first `known` labels are the gold's."""

    gold: Extraction
    predictions: Extraction
    known: int
    subset: Subset
    findings: tuple[Finding, ...]

    def in_order(self) -> Sides:
        """The same with spans in order of place, so that ties do not depend on the order that they were given in."""
        common = self.gold.attributes.keys() & self.predictions.attributes.keys()
        return replace(self, gold=self.gold.in_order(common), predictions=self.predictions.in_order(common))


def sides_of(gold: Extraction, predictions: Extraction, subset: Subset) -> Sides:
    """Both sides, in the order of the gold's documents. A document without prediction has no predicted spans.

    Raises FindingsError where anything is wrong that would make scores untrue, InputError where `subset` names what
    is not there.
    """
    for name, value, choices in (("unit", subset.unit, get_args(Unit)), ("ends", subset.ends, get_args(Ends))):
        if value not in choices:
            raise InputError(f"{name} = {value!r}: is none of {', '.join(choices)}")
    _stop(
        _on("gold", [*repeated(gold), *misplaced(gold, gold.texts)])
        + _on("predictions", repeated(predictions))
        + _outside_scheme("gold", gold.labels, subset.scheme_labels)
    )
    row = pc.fill_null(pc.index_in(predictions.doc_ids, gold.doc_ids), -1)
    document: Ints = row.to_numpy(zero_copy_only=False).astype(np.int64)
    message = "is no document of the gold; its spans were left out"
    findings = told(
        np.flatnonzero(document < 0), lambda row: Finding(predictions.place(row), "document-unknown", message)
    )
    predictions = predictions.at(document, len(gold))

    labels = tuple(dict.fromkeys([*subset.scheme_labels, *gold.labels]))
    for label in (*subset.mapping.values(), *subset.labels):
        if label not in labels:
            raise InputError(f"label {label!r}: the gold does not know it; there are: {', '.join(labels) or 'none'}")
    said = tuple(dict.fromkeys(subset.mapping.get(label, label) for label in predictions.labels))
    unknown = tuple(label for label in said if label not in labels)
    gold = gold.labelled((*labels, *unknown), {})
    predictions = predictions.labelled((*labels, *unknown), subset.mapping)

    if subset.unit == "code-points" and subset.ends == "exclusive":
        findings += _diagnosis(gold, predictions)
    else:
        spans = converted(gold.texts, predictions.spans, subset.unit, subset.ends, predictions.place)
        predictions = replace(predictions, spans=spans)
    wrong = _texts_differ(gold, predictions) + _on("predictions", misplaced(predictions, gold.texts))
    wrong += _outside_scheme("predictions", _occurring(predictions), subset.scheme_labels)
    _stop(wrong, [f for f in findings if f.id == "offsets-off"])

    if subset.languages:
        chosen = _of_languages(gold, subset.languages)
        row = np.where(chosen, np.cumsum(chosen) - 1, -1)
        size = int(chosen.sum())
        gold, predictions = gold.at(row, size), predictions.at(row, size)
        document = np.where(document >= 0, row[document], -1)
    absent = np.flatnonzero(np.isin(np.arange(len(gold)), document, invert=True))
    message = "has no prediction; its spans count as missed"
    findings += told(absent, lambda row: Finding(gold.place(row), "document-missing", message, "warning"))

    if subset.labels:
        wanted = [gold.labels.index(label) for label in subset.labels]
        gold = gold.of_spans(np.isin(gold.spans.label, wanted))
        predictions = predictions.of_spans(np.isin(predictions.spans.label, wanted))
    counts = np.bincount(predictions.spans.label, minlength=len(gold.labels))
    for number in range(len(labels), len(gold.labels)):
        if counts[number]:
            message = f"the gold does not know this label; its {counts[number]} predictions count as spurious"
            findings.append(Finding(gold.labels[number], "label-unknown", f"{message} (--map renames)", "warning"))
    return Sides(gold, predictions, len(labels), subset, tuple(findings))


def _on(side: str, findings: Iterable[Finding]) -> list[Finding]:
    return [replace(finding, place=f"{side}: {finding.place}") for finding in findings]


def _stop(findings: Iterable[Finding], also: Sequence[Finding] = ()) -> None:
    if found := errors_among(findings):
        raise FindingsError(f"{len(found)} errors; nothing was scored", [*also, *found])


def _occurring(found: Extraction) -> list[str]:
    return [found.labels[number] for number in np.unique(found.spans.label).tolist()]


def _outside_scheme(side: str, labels: Iterable[str], known: Sequence[str]) -> list[Finding]:
    message = "is no label of the scheme (--map renames predicted labels)"
    wrong = [label for label in labels if label not in known] if known else []
    return [Finding(f"{side}: {label}", "label-unknown", message) for label in wrong]


def _of_languages(gold: Extraction, languages: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    codes = gold.languages.dictionary_encode()
    names = codes.dictionary.to_pylist()
    for language in languages:
        if language not in names:
            raise InputError(
                f"language {language!r}: no document of the gold is in it; there are: {', '.join(names) or 'none'}"
            )
    numbers = pc.fill_null(codes.indices, -1).to_numpy(zero_copy_only=False)
    return np.isin(numbers, [names.index(language) for language in languages])


def _texts_differ(gold: Extraction, predictions: Extraction) -> list[Finding]:
    differ = pc.fill_null(pc.not_equal(gold.texts, predictions.texts), False).to_numpy(zero_copy_only=False)

    def finding(row: int) -> Finding:
        how = unlike(gold.texts[row].as_py(), predictions.texts[row].as_py())
        message = f"has another text in the predictions than in the gold: {how}; predict on the gold's text"
        return Finding(predictions.place(row), "text-differs", message)

    return told(np.flatnonzero(differ), finding)


def _diagnosis(gold: Extraction, predictions: Extraction) -> list[Finding]:
    """Whether another reading of the offsets fits clearly better: by the quotes, if any, else by gold's bounds.

    By bounds alone, a reading that moves them by one is believed only where most bounds cut a word: a model that
    leaves out each last character may have its reasons.
    """
    spans, quotes = predictions.spans, predictions.quotes
    width = int(max(gold.spans.end.max(initial=0), spans.end.max(initial=0), gold.lengths.max(initial=0))) + 2
    order = np.argsort(gold.spans.document, kind="stable")
    documents, bounds = gold.spans.document[order], (gold.spans.start * width + gold.spans.end)[order]

    def by_bounds(row: int, _rows: Ints, start: Ints, end: Ints) -> np.ndarray[Any, np.dtype[np.bool_]]:
        low, high = np.searchsorted(documents, [row, row + 1])
        return np.isin(start * width + end, bounds[low:high])

    def by_quotes(row: int, rows: Ints, start: Ints, end: Ints) -> np.ndarray[Any, np.dtype[np.bool_]]:
        text, said = gold.texts[row].as_py(), quotes.take(pa.array(rows)).to_pylist()
        cut = [text[s:e] if 0 <= s <= e else None for s, e in zip(start.tolist(), end.tolist(), strict=True)]
        return np.array([quote is not None and quote == here for quote, here in zip(said, cut, strict=True)], bool)

    found: list[Finding] = []
    if quotes is not None and quotes.null_count < len(spans):
        found = diagnosis(gold.texts, spans, by_quotes)
    return found or diagnosis(gold.texts, spans, by_bounds, cut_words=True)
