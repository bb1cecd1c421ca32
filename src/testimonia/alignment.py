"""The passages of a folded text that are nearest to a list of words: a semi-global alignment of words.

Equal words cost nothing, similar ones their edit distance (optimal string alignment), a word that the query leaves
out, adds or changes a few letters; two words may be written as one, or parted at another place. The outer words of
the query are always aligned.
Numbers and the words that a language calls fixed are never changed, left out or added.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf

from rapidfuzz import process
from rapidfuzz.distance import OSA

from testimonia.folding import fold
from testimonia.language import Language

LONGEST = 400  # words of a query

_LEFT_OUT = 2.5  # cost of a word of the text that the query leaves out
_CHANGED = 6  # greatest cost of a word that is another, or is added
_SHORT = 3  # letters of a word that is easily another
_STEP = 3  # words between windows of the text
_SLACK = 4  # words by which an alignment may leave the diagonal of its window
_WINDOWS = 8  # windows that are aligned with one query
_RARE = 300  # occurrences of a word that still say where a query is
_VOTES = 0.4  # least share of a query's letters in words that stand in a window
_SIMILAR = 8  # words of the text taken for a word of the query that is not in it

_NOWHERE = (inf, 0)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True, order=True)
class Alignment:
    """A passage `[left, right)` of the folded text, and what it differs by, in letters."""

    cost: float
    left: int
    right: int


class Lexicon:
    """What a language says on folded words: which are fixed, and where proclitics end."""

    def __init__(self, language: Language) -> None:
        entries = [fold(entry).text for entry in language.fixed]
        self._fixed = {entry for entry in entries if not entry.endswith("-")}
        self._prefixes = tuple(entry.removesuffix("-") for entry in entries if entry.endswith("-"))
        self._roots = {fold(proclitic.letter).text: _folded(proclitic.roots) for proclitic in language.proclitics}

    def fixed(self, word: str) -> bool:
        """Whether a word may not be changed, left out or added: a number, a negation, with or without proclitic."""
        if word in self._fixed or any(character.isdigit() for character in word):
            return True
        return word[:1] in self._roots and word[1:] in self._fixed

    def negates(self, word: str, other: str, distance: int) -> bool:
        """Whether words at this distance differ by a fixed prefix."""
        return any(
            one.startswith(prefix) and distance == len(prefix) + OSA.distance(one[len(prefix) :], two)
            for prefix in self._prefixes
            for one, two in ((word, other), (other, word))
        )

    def proclitics(self, word: str) -> Iterator[int]:
        """How many letters at the beginning of a word can be proclitics; a word of three letters or more is left."""
        for length in range(1, len(word) - 2):
            letter, rest = word[length - 1], word[length - 1 :]
            if letter not in self._roots or rest in self._roots[letter]:
                return
            yield length


class WordIndex:
    """The words of a folded text, to be aligned with queries."""

    def __init__(self, text: str, lexicon: Lexicon) -> None:
        self._ranges = [match.span() for match in _WORD.finditer(text)]
        self._words = [text[left:right] for left, right in self._ranges]
        self._lexicon = lexicon
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(self._words):
            self._places[word].append(place)
        self._by_length: dict[int, list[str]] = defaultdict(list)
        for word in self._places:
            self._by_length[len(word)].append(word)
        self._fixed = cache(lexicon.fixed)
        self._pair = cache(self._pair_cost)

    def nearest(self, query: Sequence[str], bound: float) -> list[Alignment]:
        """The alignments of a cost up to `bound` where words of the query stand, for each end the best; best first."""
        if not 0 < len(query) <= LONGEST:
            return []
        return sorted({alignment for shift in self._shifts(query) for alignment in self._align(query, shift, bound)})

    def _shifts(self, query: Sequence[str]) -> list[int]:
        """Places in the text where the query may begin: those for which most letters of its words speak."""
        votes: dict[int, int] = defaultdict(int)
        for number, word in enumerate(query):
            for known in [word] if word in self._places else self._similar(word):
                places = self._places[known]
                for place in places if len(places) <= _RARE else ():
                    bucket = (place - number) // _STEP
                    votes[bucket] += len(word)
                    votes[bucket + 1] += len(word)
        enough = _VOTES * sum(map(len, query))
        shifts: list[int] = []
        for bucket in sorted(votes, key=lambda bucket: (-votes[bucket], bucket)):
            if votes[bucket] < enough or len(shifts) == _WINDOWS:
                break
            if not {(bucket - 1) * _STEP, (bucket + 1) * _STEP} & set(shifts):
                shifts.append(bucket * _STEP)
        return shifts

    def _similar(self, word: str) -> list[str]:
        most = _edits(len(word))
        if len(word) < 4:
            return []
        known = [near for length in range(len(word) - most, len(word) + most + 1) for near in self._by_length[length]]
        found = process.extract(word, known, scorer=OSA.distance, score_cutoff=most, limit=_SIMILAR, processor=None)
        return [near for near, _, _ in found]

    def _align(self, query: Sequence[str], shift: int, bound: float) -> list[Alignment]:
        words, last, reach = self._words, len(query) - 1, _STEP + _SLACK
        low, high = max(0, shift - reach), min(len(words), shift + len(query) + reach)
        window = words[low:high]
        left_out = [inf if self._fixed(known) else _LEFT_OUT for known in window]
        before = row = [_NOWHERE] * (len(window) + 1)
        for number, word in enumerate(query):
            outer = number in (0, last)
            added = inf if outer or self._fixed(word) else min(len(word), _CHANGED)
            new = [_NOWHERE] * (len(window) + 1)
            first, end = shift + number - reach - low, shift + number + reach + 1 - low
            for column in range(max(0, first), min(len(window), end)):
                if number and not (
                    row[column - 1] is not _NOWHERE
                    or row[column] is not _NOWHERE
                    or new[column - 1] is not _NOWHERE
                    or row[column - 2] is not _NOWHERE
                    or before[column - 1] is not _NOWHERE
                    or before[column - 2] is not _NOWHERE
                ):
                    continue
                known = window[column]
                cost = self._pair(word, known, outer, number == 0)
                best = (cost, -column) if number == 0 else _plus(row[column - 1], cost)
                if number < last:
                    best = min(best, _plus(new[column - 1], left_out[column]), _plus(row[column], added))
                if column and word[0] == window[column - 1][0]:
                    cost = self._joined(word, window[column - 1], known)
                    best = min(best, (cost, 1 - column) if number == 0 else _plus(row[column - 2], cost))
                if number and known[0] == query[number - 1][0]:
                    cost = self._joined(known, query[number - 1], word)
                    best = min(best, (cost, -column) if number == 1 else _plus(before[column - 1], cost))
                if number and column and query[number - 1] + word == window[column - 1] + known:
                    best = min(best, (1, 1 - column) if number == 1 else _plus(before[column - 2], 1))
                if best[0] <= bound:
                    new[column] = best
            before, row = row, new
            if min(row) is _NOWHERE and min(before) is _NOWHERE:
                return []
        found = []
        for column, (cost, start) in enumerate(row):
            if cost <= bound:
                first = low - start
                left = self._ranges[first][0] + self._proclitic(query[0], words[first])
                found.append(Alignment(cost, left, self._ranges[low + column][1]))
        return found

    def _pair_cost(self, word: str, known: str, outer: bool, first: bool) -> float:
        if word == known:
            return 0
        if first and (length := self._proclitic(word, known)):
            return self._pair(word, known[length:], True, False)
        if self._fixed(word) or self._fixed(known):
            return inf
        longer = max(len(word), len(known))
        most = _edits(longer)
        distance = OSA.distance(word, known, score_cutoff=most)
        if distance <= most:
            short = 0 if longer > _SHORT else 3 if outer else 1
            return inf if self._lexicon.negates(word, known, distance) else distance + short
        return inf if outer else max(_LEFT_OUT, min(longer, _CHANGED))

    def _proclitic(self, word: str, known: str) -> int:
        """How many letters of the known word stand before the word as proclitics."""
        lengths = (0, *self._lexicon.proclitics(known))
        return min(lengths, key=lambda length: OSA.distance(word, known[length:])) if len(lengths) > 1 else 0

    def _joined(self, word: str, left: str, right: str) -> float:
        """The cost of one word for two."""
        if abs(len(word) - len(left) - len(right)) > 1:
            return inf
        if word == left + right:
            return 1
        if min(len(left), len(right)) < 2 or any(map(self._fixed, (word, left, right))):
            return inf
        distance = OSA.distance(word, left + right, score_cutoff=1)
        return distance + 1 if distance <= 1 else inf


@cache
def lexicon_of(language: Language) -> Lexicon:
    """The lexicon of a language, made once."""
    return Lexicon(language)


def words_of(text: str) -> list[str]:
    """The words of a folded text."""
    return _WORD.findall(text)


def _plus(entry: tuple[float, int], cost: float) -> tuple[float, int]:
    return entry[0] + cost, entry[1]


def _edits(length: int) -> int:
    """Letters by which words of this length may differ and still be the same word."""
    return 0 if length < 2 else 1 if length < 8 else 2


def _folded(words: frozenset[str]) -> frozenset[str]:
    return frozenset(fold(word).text for word in words)
