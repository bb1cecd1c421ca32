"""Texts folded for comparison, with a map back: each folded character knows the code point it comes from.

Two depths. *Form* is what a text keeps when it is typed anew: canonical decomposition, one kind of white space,
dash and apostrophe, no quotation marks at the edges of words, no tatweel, no format characters (bidirectional marks,
zero width, soft hyphen). *Letters* goes on to compatibility decomposition (NFKD) and case folding, without combining
marks (harakat, diacritics, cedilla or comma below), with one form of alif, ya, ha, kaf and one set of digits. White
space before closing punctuation and within a run counts for nothing at both depths.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

QUOTATION_MARKS = frozenset("\"'«»“”„‟‹›‘’‚‛「」『』〝〞〟＂＇❝❞❛❜″′`´")

_TATWEEL = "ـ"
_VARIANTS = {
    "ا": "ٱ",
    "ي": "ىیېۍئ",
    "ه": "ةەہھۀۃ",
    "و": "ؤ",
    "ك": "کڪ",
    ",": "،٬",
    ".": "٫۔",
    ";": "؛",
    "?": "؟",
    "%": "٪",
    "-": "−",
}
_SAME_LETTER = str.maketrans({variant: letter for letter, variants in _VARIANTS.items() for variant in variants})
_STRAY = re.compile(r"(?<![^\W_])(?<!')'++|'++(?![^\W_])|(?<=')'++|(?<=\.)\.")
_EXCESS = re.compile(r" +(?=[ ,;:!?.)\]%])|(?<=[(\[]) +")


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text; `offsets[i]` is the offset in the original of what `text[i]` comes from, never decreasing."""

    text: str
    offsets: Sequence[int]


def fold(text: str) -> Folded:
    """The text folded to its letters."""
    pieces = {character: _letters(character) for character in set(text)}
    uneven = "".join(character for character, piece in pieces.items() if len(piece) != 1)
    offsets: list[int] = []
    left = 0
    for match in re.finditer(f"[{re.escape(uneven)}]", text) if uneven else ():
        offsets += range(left, match.start())
        offsets += [match.start()] * len(pieces[match.group()])
        left = match.end()
    offsets += range(left, len(text))
    folded = Folded(text.translate({ord(character): piece for character, piece in pieces.items()}), offsets)
    return _without(_EXCESS, _without(_STRAY, folded))


def form(text: str) -> str:
    """The text folded to its form."""
    before, kept = "", "".join(map(_form, unicodedata.normalize("NFD", text)))
    while kept != before:  # what one pattern takes away can make a match of the other
        before, kept = kept, _EXCESS.sub("", _STRAY.sub("", kept))
    return unicodedata.normalize("NFD", kept.strip())


def _without(pattern: re.Pattern[str], folded: Folded) -> Folded:
    pieces: list[str] = []
    offsets: list[int] = []
    left = 0
    for match in pattern.finditer(folded.text):
        pieces.append(folded.text[left : match.start()])
        offsets += folded.offsets[left : match.start()]
        left = match.end()
    if not left:
        return folded
    return Folded("".join(pieces) + folded.text[left:], offsets + list(folded.offsets[left:]))


@cache
def _form(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return " "
    if character in QUOTATION_MARKS or character in "ʼʹ":
        return "'"
    if category == "Cf" or character == _TATWEEL:
        return ""
    return "-" if category == "Pd" else "..." if character == "…" else character


@cache
def _letters(character: str) -> str:
    if _form(character) in ("", " ", "'", "-"):
        return _form(character)
    if unicodedata.category(character) == "No" and unicodedata.decomposition(character).startswith("<super>"):
        return ""
    return "".join(_letter(part) for part in _compatible(character))


def _compatible(character: str) -> str:
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())


def _letter(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(character) in ("Mn", "Me"):
        return ""
    return _form(character).translate(_SAME_LETTER)
