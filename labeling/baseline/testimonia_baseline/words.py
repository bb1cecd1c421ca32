"""Words of a text folded for look-up, and phrases looked up in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

import regex

from testimonia.language import Language

T = TypeVar("T")

_PIECE = regex.compile(
    r"(?i)(?<!\w)(?:l|d|j|m|t|s|n|c|qu|jusqu|lorsqu|puisqu|quoiqu)['’](?=\w|\s|$)"
    r"|[\w\p{M}]+(?:[.,'’٬٫][\w\p{M}]+)*|[^\w\s]"
)
_ARABIC_LETTERS = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ـ": None, "ؤ": "و", "ئ": "ي"})
_LATIN_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "’": "'", "ı": "i"})
_CLITICS = "وفبكل"


@dataclass(frozen=True, slots=True)
class Word:
    """A token `[start, end)` of a text.

    `form` is folded as the language's lexicon is, `bare` without any diacritics; `heads` are the readings as the first
    word of a phrase, each with the length of the proclitic that it leaves out.
    """

    start: int
    end: int
    raw: str
    form: str
    bare: str
    heads: tuple[tuple[int, str], ...]

    @property
    def is_word(self) -> bool:
        return self.raw[0].isalpha()

    @property
    def is_capital(self) -> bool:
        return self.raw[0].isupper()


@lru_cache(maxsize=1 << 16)
def folded(word: str, language: str) -> str:
    """Lower case; Arabic also without marks, tatweel and hamza, Romanian without diacritics."""
    if language == "ar":
        return _unmarked(unicodedata.normalize("NFC", word).translate(_ARABIC_LETTERS)).lower()
    return bared(word) if language == "ro" else unicodedata.normalize("NFC", word).lower().translate(_LATIN_LETTERS)


@lru_cache(maxsize=1 << 16)
def bared(word: str) -> str:
    """Lower case without diacritics, for names."""
    letters = unicodedata.normalize("NFC", word).translate(_ARABIC_LETTERS)
    return _unmarked(unicodedata.normalize("NFD", letters)).lower().translate(_LATIN_LETTERS)


def _unmarked(word: str) -> str:
    return "".join(character for character in word if unicodedata.category(character) != "Mn")


@lru_cache(maxsize=1 << 16)
def _heads(raw: str, form: str) -> tuple[tuple[int, str], ...]:
    heads = [(0, form)]
    if len(form) > 3 and form[0] in _CLITICS and form[0] >= "\u0600":
        skipped = len(raw) - len(raw[1:].lstrip("ـ"))
        heads.append((0, "ال" + form[2:]) if form.startswith("لل") else (skipped, form[1:]))
    return tuple(heads)


def words_of(text: str, language: Language, start: int, end: int) -> list[Word]:
    """The tokens of the language in `[start, end)` of the text."""
    words = []
    for left, right in language.tokens(text, start, end):
        raw = text[left:right]
        form = folded(raw, language.code)
        if form:
            words.append(Word(left, right, raw, form, bared(raw), _heads(raw, form)))
    return words


def pieces(phrase: str, language: str) -> tuple[str, ...]:
    """The folded words of a phrase, cut as tokens are; proclitics stay with their word."""
    return tuple(folded(piece, language) for piece in _PIECE.findall(phrase))


def bare_pieces(phrase: str) -> tuple[str, ...]:
    """The bare words of a name."""
    return tuple(bared(piece) for piece in _PIECE.findall(phrase))


@dataclass(frozen=True, slots=True)
class Hit(Generic[T]):
    """A phrase found: it ends before word `end`, begins `offset` characters into its first word, and means `value`."""

    end: int
    offset: int
    value: T


class Phrases(Generic[T]):
    """Phrases of folded words with a value each; the longest one wins, then the one added first."""

    def __init__(self, entries: Iterable[tuple[tuple[str, ...], T]] = (), bare: bool = False) -> None:
        self._bare = bare
        self._by_first: dict[str, dict[tuple[str, ...], T]] = {}
        for phrase, value in entries:
            if phrase:
                self._by_first.setdefault(phrase[0], {}).setdefault(phrase, value)

    def at(self, words: Sequence[Word], start: int) -> Hit[T] | None:
        """The longest phrase that begins at word `start`."""
        if start >= len(words):
            return None
        for offset, reading in words[start].heads:
            head = bared(reading) if self._bare else reading
            best: Hit[T] | None = None
            for phrase, value in self._by_first.get(head, {}).items():
                end = start + len(phrase)
                if (best is None or end > best.end) and self._rest(words, start + 1, end) == phrase[1:]:
                    best = Hit(end, offset, value)
            if best:
                return best
        return None

    def extended(self, entries: Iterable[tuple[tuple[str, ...], T]]) -> Phrases[T]:
        """These phrases and more; those that are here already keep their value."""
        own = [entry for phrases in self._by_first.values() for entry in phrases.items()]
        return Phrases([*own, *entries], self._bare)

    def __contains__(self, phrase: tuple[str, ...]) -> bool:
        return phrase in self._by_first.get(phrase[0], {}) if phrase else False

    def single(self, form: str) -> T | None:
        """The value of a phrase of one word."""
        return self._by_first.get(form, {}).get((form,))

    def before(self, words: Sequence[Word], end: int, longest: int = 5) -> tuple[int, T] | None:
        """The longest phrase that ends right before word `end`: its first word and its value."""
        for start in range(max(0, end - longest), end):
            for _, head in words[start].heads:
                value = self._by_first.get(head, {}).get((head, *self._rest(words, start + 1, end)))
                if value is not None:
                    return start, value
        return None

    def _rest(self, words: Sequence[Word], start: int, end: int) -> tuple[str, ...]:
        if end > len(words):
            return ("",)
        return tuple(word.bare if self._bare else word.form for word in words[start:end])
