"""Sentences, tokens and edge words of a language, from a library and the data under `labeling/languages/`.

Sentences: sentencex (Wikimedia) on each line. Tokens: the default word boundaries of Unicode Standard Annex
#29, by `regex`; elisions and proclitics are then split as the language's data says. Neither looks at spans.
All offsets are code points of the text, end exclusive.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import regex
import sentencex

from testimonia.toml import Table

Range = tuple[int, int]

_LINE = regex.compile(r"[^\n]+")
_SPACE = regex.compile(r"\s")
_MARKS = regex.compile(r"\p{Mn}+")
_WORD = regex.compile(r"(?ws).+?(?:\b|\Z)")


@dataclass(frozen=True, slots=True)
class Proclitic:
    """A letter that may be a word of its own in front of another; see labeling/languages/ar.toml."""

    letter: str
    before: tuple[str, ...]
    hosts: frozenset[str]
    roots: frozenset[str]
    otherwise: bool

    def splits(self, word: str) -> bool:
        rest = word[1:]
        if word[:1] != self.letter or word in self.roots or not rest:
            return False
        return rest.startswith(self.before) or rest in self.hosts or (self.otherwise and len(rest) > 1)

    def certain(self, word: str) -> bool:
        """Whether the split is beyond doubt: a listed word follows, or one of `before` and three letters more."""
        rest = word[1:]
        long = any(rest.startswith(prefix) and len(rest) >= len(prefix) + 3 for prefix in self.before)
        return self.splits(word) and (rest in self.hosts or (self.otherwise and long))


@dataclass(frozen=True, slots=True)
class Language:
    """What a language needs: its code (ISO 639-1), direction, edge words and clitics."""

    code: str
    name: str = ""
    direction: str = "ltr"
    function_words: frozenset[str] = frozenset()
    numerals: frozenset[str] = frozenset()
    articles: frozenset[str] = frozenset()
    cues: frozenset[str] = frozenset()
    elisions: tuple[str, ...] = ()
    proclitics: tuple[Proclitic, ...] = ()
    fixed: frozenset[str] = frozenset()

    def sentences(self, text: str) -> list[Range]:
        """Ranges of the sentences; no sentence crosses a line, white space at the edges is left out."""
        ranges = []
        for line in _LINE.finditer(text):
            start = line.start()
            plain = _SPACE.sub(" ", line.group())  # sentencex breaks down at some spaces that take several bytes
            for piece in sentencex.segment(self.code, plain):
                end = start + len(piece)
                ranges += _trimmed(text, start, end)
                start = end
            if start < line.end():
                ranges += _trimmed(text, start, line.end())
        return ranges

    def tokens(self, text: str, start: int = 0, end: int | None = None) -> list[Range]:
        """Ranges of the tokens within `[start, end)`; white space is no token."""
        ranges = []
        for match in _WORD.finditer(text, start, len(text) if end is None else end):
            word = match.group()
            if word.isspace():
                continue
            left = match.start()
            for length in self._splits(word):
                ranges.append((left, left + length))
                left += length
            ranges.append((left, match.end()))
        return ranges

    def proclitic(self, word: str) -> Proclitic | None:
        """The proclitic that a word begins with, or None."""
        bare = without_marks(word) if self.proclitics else ""
        for proclitic in self.proclitics:
            if bare.startswith(proclitic.letter) and proclitic.splits(bare):
                return proclitic
        return None

    def is_function_word(self, word: str, following: str) -> bool:
        """Whether `word` may not open a span that goes on with `following`."""
        folded = word.lower().replace("’", "'")
        if folded in self.articles and following.lower() in self.numerals:
            return False
        return folded in self.function_words or without_marks(folded) in self.cues

    def _splits(self, word: str) -> Iterator[int]:
        folded = word.lower().replace("’", "'")
        for elision in self.elisions:
            if folded.startswith(elision) and len(folded) > len(elision):
                yield len(elision)
                return
        while self.proclitic(word):
            length = len(word) - len(word[1:].lstrip(_marks(word)))
            yield length
            word = word[length:]


def read_language(path: Path) -> Language:
    """The language in `<code>.toml`. Raises InputError."""
    table = Table.read(path)
    proclitics = []
    for t in table.tables("proclitic"):
        proclitics.append(
            Proclitic(
                letter=t.string("letter"),
                before=t.strings("before"),
                hosts=frozenset(t.strings("hosts")),
                roots=frozenset(t.strings("roots")),
                otherwise=t.boolean("otherwise", False),
            )
        )
        t.end()
    language = Language(
        code=path.stem,
        name=table.string("name"),
        direction=table.string("direction", among=("ltr", "rtl")),
        function_words=frozenset(table.strings("function_words")),
        numerals=frozenset(table.strings("numerals")),
        articles=frozenset(table.strings("articles")),
        cues=frozenset(table.strings("cues")),
        elisions=table.strings("elisions"),
        proclitics=tuple(proclitics),
        fixed=frozenset(table.strings("fixed")),
    )
    table.end()
    return language


def read_languages(folder: Path) -> dict[str, Language]:
    """Every language in a folder, by code. Raises InputError."""
    return {path.stem: read_language(path) for path in sorted(folder.glob("*.toml"))}


def _trimmed(text: str, start: int, end: int) -> list[Range]:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = end - (len(piece) - len(piece.rstrip()))
    return [(left, right)] if left < right else []


def without_marks(word: str) -> str:
    """The word without combining marks that are not part of a letter (harakat)."""
    return str(_MARKS.sub("", word))


def _marks(word: str) -> str:
    return "".join(character for character in word if unicodedata.category(character) == "Mn") or "\0"


def direction_of(text: str) -> str:
    """The direction that most letters of a text run in."""
    runs = [unicodedata.bidirectional(c) for c in text[:5000]]
    return "rtl" if sum(run in ("R", "AL") for run in runs) > runs.count("L") else "ltr"
