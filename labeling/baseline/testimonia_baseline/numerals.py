"""Numerals of a language read from its tokens: digits in the usual notations and number words, with their values.

The words come from data. Three facts of grammar are rules here: a word adds or multiplies; Arabic says the units
before the tens; French says four twenties and sixty-ten.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_GROUPED = re.compile(r"(?!0[^\d])\d{1,3}(?:([.,'’٬])\d{3})(?:\1\d{3})*(?:(?!\1)[.,٫]\d+)?")
_DECIMAL = re.compile(r"\d+(?:[.,٫]\d+)?")
_WHOLE = re.compile(r"\d{1,3}")
_REST = re.compile(r"\d{3}([.,٫]\d+)?")


@dataclass(frozen=True, slots=True)
class Numerals:
    """The number words of a language, folded.

    `words` add their value, `scales` multiply what stands before them; `ones` (articles) are 1 before a scale only;
    `joiners` stand between parts, `links` before a scale ("douăzeci de mii"); with `units_first` a unit may go before
    a ten.
    """

    words: Mapping[str, int] = field(default_factory=dict)
    scales: Mapping[str, int] = field(default_factory=dict)
    ones: frozenset[str] = frozenset()
    joiners: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    units_first: bool = False


@dataclass(frozen=True, slots=True)
class Numeral:
    """A numeral that ends before token `end`; `scale` is its last multiplier, `digits`: it begins with digits."""

    end: int
    value: float
    scale: int = 1
    digits: bool = False


def digits_value(token: str) -> float | None:
    """The value of a token of digits, or None: `1.500` and `1,500` are 1500, `1,5` and `1.5` are one and a half.

    One separator before exactly three digits groups thousands, unless a lone zero stands before it.
    """
    if not token[:1].isdigit():
        return None
    ascii_ = "".join(str(unicodedata.decimal(c)) if unicodedata.category(c) == "Nd" else c for c in token)
    match = _GROUPED.fullmatch(ascii_)
    if match:
        return float(ascii_.replace(match.group(1), "").replace(",", ".").replace("٫", "."))
    if _DECIMAL.fullmatch(ascii_):
        return float(ascii_.replace(",", ".").replace("٫", "."))
    return None


def numeral_at(forms: Sequence[str], start: int, numerals: Numerals) -> Numeral | None:
    """The longest numeral that begins at token `start` of folded `forms`, or None."""
    value = digits_value(forms[start])
    if value is not None:
        return _digits_at(forms, start, value, numerals)
    return _words_at(forms, start, numerals)


def _digits_at(forms: Sequence[str], start: int, value: float, numerals: Numerals) -> Numeral:
    end = start + 1
    if _WHOLE.fullmatch(forms[start]) and value > 0:
        while end < len(forms) and _REST.fullmatch(forms[end]):
            rest = forms[end].replace(",", ".").replace("٫", ".")
            value = value * 1000 + float(rest)
            end += 1
            if "." in rest:
                break
    scale = 1
    while True:
        linked = end + (end < len(forms) and forms[end] in numerals.links)
        if linked == len(forms) or forms[linked] not in numerals.scales:
            return Numeral(end, value * scale, scale, digits=True)
        scale *= numerals.scales[forms[linked]]
        end = linked + 1


def _words_at(forms: Sequence[str], start: int, numerals: Numerals) -> Numeral | None:
    total, current, last, ceiling, scale = 0, 0, 0, 0, 1
    end = position = start
    while position < len(forms):
        form = forms[position]
        joined = position > start and (form in numerals.joiners or form in "-‑")
        linked = form in numerals.links and current and _scale_follows(forms, position, numerals)
        position += bool(joined or linked)
        form = forms[position] if position < len(forms) else ""
        if form in numerals.ones and current == 0 and not joined and _scale_follows(forms, position, numerals):
            current, last = 1, 1
        elif form in numerals.words and _adds(current, last, numerals.words[form], joined, numerals):
            word = numerals.words[form]
            if word >= 1000:
                total, current, last, position = total + word, 0, 0, position + 1
                ceiling, scale, end = 1000, 1000, position
                continue
            current = (
                80 + current - 4 if (current % 100, word) == (4, 20) and not numerals.units_first else current + word
            )
            last = 80 if current % 100 == 80 else word
        elif form in numerals.scales and not (joined and current and forms[position - 1] in numerals.joiners):
            factor = numerals.scales[form]
            if factor == 100:
                current, last = max(current, 1) * 100, 100
            elif ceiling and factor > ceiling and not joined:
                total, current, last = (total + current) * factor, 0, 0
            elif ceiling and factor == ceiling:
                break
            else:
                total, current, last = total + max(current, 1) * factor, 0, 0
            ceiling = factor if factor > 100 else ceiling
            scale = factor
        else:
            break
        position += 1
        end = position
    return Numeral(end, float(total + current), scale) if end > start else None


def _scale_follows(forms: Sequence[str], position: int, numerals: Numerals) -> bool:
    return position + 1 < len(forms) and forms[position + 1] in numerals.scales


def _adds(current: int, last: int, word: int, joined: bool, numerals: Numerals) -> bool:
    if current == 0:
        return not joined or last == 0
    if numerals.units_first and last < 10:
        return word == 10 if not joined else word in range(20, 100, 10)
    if last == 4 and word == 20 and not numerals.units_first:
        return True
    if last in (60, 80):
        return word < 20
    if last == 10:
        return word in (7, 8, 9) and not numerals.units_first
    return word < 10 if last < 100 and last % 10 == 0 else last >= 100 and word < 100
