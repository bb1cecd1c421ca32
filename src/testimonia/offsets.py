"""Offsets in other units and of other texts: conversion where it is asked for, diagnosis where it is not."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from testimonia.errors import Finding, InputError
from testimonia.matching import Ints, Spans
from testimonia.units import Unit, rows_of, to_code_points

Ends = Literal["exclusive", "inclusive"]
SAMPLE = 5000  # spans looked at for a diagnosis
_LEAST = 3


def converted(texts: pa.Array, spans: Spans, unit: Unit, ends: Ends, place: Callable[[int], str]) -> Spans:
    """Spans with their bounds as code points, end exclusive. `texts`: (d,) what they lie in.

    Raises InputError with the place of a document where a bound lies within a character, outside the text, or in no
    text at all.
    """
    start, end = spans.start.copy(), spans.end + 1 if ends == "inclusive" else spans.end.copy()
    for row, rows in _by_document(spans.document) if unit != "code-points" else ():
        text = texts[row].as_py()
        if text is None:
            raise InputError(f"{place(row)}: offsets in {unit}: the gold has no text to count them in; give it one")
        for values in (start, end):
            found = to_code_points(text, values[rows], unit)
            if (found < 0).any():
                bad = int(values[rows][found < 0][0])
                raise InputError(
                    f"{place(row)}: offset {bad} in {unit} lies within a character or outside the text; "
                    "is it in another unit?"
                )
            values[rows] = found
    return Spans(spans.document, start, end, spans.label)


def _by_document(document: Ints) -> Iterator[tuple[int, Ints]]:
    order = np.argsort(document, kind="stable")
    rows, first = np.unique(document[order], return_index=True)
    ends = np.append(first, len(order))[1:]
    for row, low, high in zip(rows.tolist(), first, ends, strict=True):
        yield row, order[low:high]


# A reading of offsets: what it is, what to do about it, and how to read the bounds of spans in one text.
Bounds = tuple[Ints, Ints]
_Reading = tuple[str, str, Callable[[str, Ints, Ints], Bounds]]


def _units(unit: Unit, past: int = 0) -> Callable[[str, Ints, Ints], Bounds]:
    return lambda text, start, end: (to_code_points(text, start, unit), to_code_points(text, end + past, unit))


def _stripped(text: str, start: Ints, end: Ints) -> Bounds:
    lead = len(text) - len(text.lstrip())
    return start + lead, end + lead


def _unix_lines(text: str, start: Ints, end: Ints) -> Bounds:
    """Offsets of the text with each CRLF as one LF."""
    letters = np.frombuffer((text + " ").encode("utf-32-le"), np.uint32)
    dropped = (letters[:-1] == 13) & (letters[1:] == 10)
    place = np.append(np.flatnonzero(~dropped), len(text))
    return place[np.clip(start, 0, len(place) - 1)], place[np.clip(end, 0, len(place) - 1)]


def _windows_lines(text: str, start: Ints, end: Ints) -> Bounds:
    """Offsets of the text with each LF as CRLF."""
    edges = np.append(0, np.cumsum(1 + (np.frombuffer(text.encode("utf-32-le"), np.uint32) == 10)))
    return rows_of(edges, start), rows_of(edges, end)


_READINGS: tuple[_Reading, ...] = (
    ("all your ends are one short: inclusive ends?", "use --ends inclusive", lambda _, s, e: (s, e + 1)),
    ("your offsets count UTF-16 code units", "use --unit utf-16", _units("utf-16")),
    ("your offsets count UTF-16 code units, ends inclusive", "use --unit utf-16 --ends inclusive", _units("utf-16", 1)),
    ("your offsets count bytes of UTF-8", "use --unit bytes", _units("bytes")),
    ("your offsets count bytes of UTF-8, ends inclusive", "use --unit bytes --ends inclusive", _units("bytes", 1)),
    (
        "your offsets are those of the text without the white space it begins with",
        "predict on the text as it is",
        _stripped,
    ),
    ("your offsets are those of the text with LF for CRLF", "predict on the text as it is", _unix_lines),
    ("your offsets are those of the text with CRLF for LF", "predict on the text as it is", _windows_lines),
    ("your offsets begin at 1", "count from 0, end exclusive", lambda _, s, e: (s - 1, e - 1)),
    ("your offsets begin at 1, ends inclusive", "count from 0, end exclusive", lambda _, s, e: (s - 1, e)),
)

_MOVED = ("all your ends are one short", "your offsets begin at 1")
_IN_UNITS = {what for what, do, _ in _READINGS if "--unit" in do and "--ends" in do}
_BY_ONE = {what for what, _, _ in _READINGS if what.startswith(_MOVED)}

Fits = Callable[[int, Ints, Ints, Ints], NDArray[np.bool_]]


def diagnosis(texts: pa.Array, spans: Spans, fits: Fits, cut_words: bool = False) -> list[Finding]:
    """What is wrong with offsets as a whole, where another reading of them fits clearly better; else nothing.

    `fits(row, rows, start, end)` tells which spans (of the document in that row, by their rows) are right with these
    bounds. A reading is told where, of the spans that it changes, three and a fifth fit, and three times as many as
    without it; with `cut_words`, one that moves bounds by one also needs that most bounds lie within a word as they
    are. Some 5,000 spans are looked at, from documents here and there.
    """
    changed = np.zeros(len(_READINGS), np.int64)
    better, as_they_are, cut = changed.copy(), changed.copy(), 0
    seen = 0
    step = max(1, len(spans) // SAMPLE)
    for row, rows in islice(_by_document(spans.document), 0, None, step):
        text = texts[row].as_py()
        if text is None:
            continue
        start, end = spans.start[rows], spans.end[rows]
        plain = fits(row, rows, start, end)
        for number, (what, _, reading) in enumerate(_READINGS):
            left, right = reading(text, start, end)
            other = left != start
            if what not in _IN_UNITS:  # in other units with ends inclusive, every end changes, which proves no unit
                other |= right != end
            changed[number] += other.sum()
            better[number] += (other & fits(row, rows, left, right)).sum()
            as_they_are[number] += (other & plain).sum()
        edges = zip(start.tolist(), end.tolist(), strict=True)
        cut += sum(_within_word(text, left) or _within_word(text, right) for left, right in edges)
        seen += len(rows)
    clear = (better >= _LEAST) & (better * 5 >= changed) & (better >= as_they_are * 3)
    if cut_words and cut * 2 < seen:
        clear &= np.array([what not in _BY_ONE for what, _, _ in _READINGS])
    gain = np.where(clear, better - as_they_are, 0)
    if not gain.any():
        return []
    best = int(np.argmax(gain))
    what, do, _ = _READINGS[best]
    message = f"{what} ({better[best]} of {changed[best]} spans fit that way, {as_they_are[best]} as they are); {do}"
    return [Finding("offsets", "offsets-off", message)]


def _within_word(text: str, offset: int) -> bool:
    return 0 < offset < len(text) and text[offset - 1].isalnum() and text[offset].isalnum()


def unlike(gold: str, other: str) -> str:
    """In which way a text is not the gold's, in words."""
    ways = {
        "it is the gold's without white space at its edges": gold.strip() == other.strip(),
        "it has other line ends": _lines(gold) == _lines(other),
        "it is in another Unicode normal form": unicodedata.normalize("NFC", gold)
        == unicodedata.normalize("NFC", other),
        "it has other white space": gold.split() == other.split(),
    }
    where = next((i for i, (a, b) in enumerate(zip(gold, other, strict=False)) if a != b), min(len(gold), len(other)))
    way = next((words for words, fits in ways.items() if fits), "it has other words")
    return f"{way} (first difference at {where})"


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
