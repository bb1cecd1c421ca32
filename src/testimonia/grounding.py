"""Where a quote stands in a text: for quotes that come without offsets, as language models give them.

A quote is looked for in tiers, from sure to less sure; the first that finds it decides.

- `exact`: the very code points.
- `form`: but for Unicode normalisation, white space, quotation marks, dashes, tatweel, invisible characters.
- `letters`: but for diacritics, harakat, case, letter variants, kinds of digits, punctuation at the ends.
- `parts`: what stands around an ellipsis ("…", "...", "[...]") in the quote, in order and near each other.
- `words`: but for some letters or words: an alignment of words, never in numbers, negations or the outer words.

A span begins and ends at the edge of a word, or between a clitic and its word. Quotes of one text are placed
together: as many as possible in the order in which they are given, equal ones one after the other. What is
doubtful is not placed; the reason is told. Offsets are code points of the text as it is, end exclusive.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal

import regex

from testimonia.alignment import WordIndex, lexicon_of, words_of
from testimonia.folding import QUOTATION_MARKS, Folded, fold, form
from testimonia.language import Language, Range

Tier = Literal["exact", "form", "letters", "parts", "words"]
Reason = Literal["empty", "absent", "doubtful", "ambiguous"]

TIERS: tuple[Tier, ...] = ("exact", "form", "letters", "parts", "words")

_GAP = 400  # characters that an ellipsis may stand for
_LEAST = 8  # letters of a quote that is found by parts or by words
_LEAST_PART = 3  # letters of a part
_RATE = 0.25  # of a quote's letters, the greatest cost of an alignment of words
_MOST = 12  # the greatest cost of any alignment
_MARGIN = 0.1  # of a quote's letters, by which the next best place must cost more
_WORD = 30  # letters of a word on each side of a place in it
_CROWD = 100  # occurrences of a quote that says nothing on the order
_WORK = 10**8  # characters compared in search of one quote

_PUNCTUATION = " .,;:!?-'()[]{}"
_ELLIPSIS = re.compile(r"\[\s*(?:\.{2,}|…)\s*\]|\(\s*(?:\.{2,}|…)\s*\)|\.{3,}|…")
_CLUSTER = regex.compile(r"\X(?:(?<=[\p{Arabic}\p{M}])ـ\p{M}*)*")
_CONTINUOUS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_GROUPED = re.compile(r"[.,'](?=\d)| (?=\d{3}(?!\d))")


@dataclass(frozen=True, slots=True)
class Grounding:
    """Where a quote stands, or why it is not placed.

    `score`: 1 less the cost of the alignment per letter. `candidates`: places that were as good, the chosen one
    included. `reason`: `empty` has nothing to look for, `absent` is nowhere, `doubtful` differs too much or is too
    short for that, `ambiguous` is almost as near to another passage.
    """

    quote: str
    span: Range | None = None
    tier: Tier | None = None
    score: float = 0.0
    candidates: int = 0
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, order=True)
class _Hit:
    start: int
    end: int
    tier: int = field(compare=False)
    score: float = field(default=1.0, compare=False)


@dataclass(frozen=True, slots=True)
class _Found:
    """Hits in order of place; of them the best, of the best tier."""

    hits: tuple[_Hit, ...] = ()
    best: tuple[_Hit, ...] = ()
    reason: Reason | None = None


def ground(text: str, quotes: Sequence[str], language: Language) -> list[Grounding]:
    """Where each quote stands in the text; the result is as long as `quotes` and in its order."""
    source = _source(text, language)
    found = {quote: source.find(quote) for quote in dict.fromkeys(quotes)}
    hits = _in_order([found[quote] for quote in quotes])
    return [_grounding(quote, hit, found[quote]) for quote, hit in zip(quotes, hits, strict=True)]


def _grounding(quote: str, hit: _Hit | None, found: _Found) -> Grounding:
    if hit is None:
        return Grounding(quote, reason=found.reason)
    candidates = sum(other.tier <= hit.tier for other in found.hits)
    return Grounding(quote, (hit.start, hit.end), TIERS[hit.tier], hit.score, candidates)


def _in_order(found: Sequence[_Found]) -> list[_Hit | None]:
    """One hit for each, the most that can be in increasing order (longest increasing subsequence), each the first."""
    chain = _chain([places.best for places in found])
    chosen: list[_Hit | None] = [None] * len(found)
    last: _Hit | None = None
    for number in chain:
        best = found[number].best
        last = chosen[number] = best[0 if last is None else bisect_right(best, last)]
    used = {hit for hit in chosen if hit}
    ends = [*chain, len(found)]
    for number, places in enumerate(found):
        if chosen[number] is None and places.hits:
            turn = bisect_left(ends, number)
            low = chosen[ends[turn - 1]] if turn else None
            high = chosen[ends[turn]] if ends[turn] < len(found) else None
            hit = _between(places, low, high, used)
            chosen[number] = hit
            used.add(hit)
    return chosen


def _between(places: _Found, low: _Hit | None, high: _Hit | None, used: set[_Hit]) -> _Hit:
    for hits in (places.best, places.hits):
        first = 0 if low is None else bisect_left(hits, low)
        for hit in hits[first : len(hits) if high is None else bisect_right(hits, high)]:
            if hit not in used:
                return hit
    return next((hit for hit in places.best if hit not in used), places.best[-1])


def _chain(options: Sequence[Sequence[_Hit]]) -> list[int]:
    """Which of the options can be in strictly increasing order; those with a crowd of hits are left out."""
    tails: list[_Hit] = []
    nodes: list[tuple[int, object]] = []
    for number, hits in enumerate(options):
        for hit in reversed(hits) if len(hits) <= _CROWD else ():
            depth = bisect_left(tails, hit)
            node = (number, nodes[depth - 1] if depth else None)
            tails[depth : depth + 1] = [hit]
            nodes[depth : depth + 1] = [node]
    chain = []
    node_or_none: object = nodes[-1] if nodes else None
    while isinstance(node_or_none, tuple):
        number, node_or_none = node_or_none
        chain.append(number)
    return chain[::-1]


class _Source:
    """A text, folded once, in which quotes are looked for. Indices are of the folded text."""

    def __init__(self, text: str, language: Language) -> None:
        self.text = text
        self.language = language
        self.folded = fold(text)
        self.lexicon = lexicon_of(language)

    @cached_property
    def words(self) -> WordIndex:
        return WordIndex(self.folded.text, self.lexicon)

    def find(self, quote: str) -> _Found:
        quote = quote.strip()
        folded = fold(quote)
        core = folded.text.strip()
        if not core:
            return _Found(reason="empty")
        for needle in dict.fromkeys((core, core.strip(_PUNCTUATION))):
            hits = self._hits(quote, folded, needle) if needle else []
            if hits:
                return _best(hits)
        hits = self._parts(quote)
        return _best(hits) if hits else self._nearest(core)

    def _hits(self, quote: str, folded: Folded, needle: str) -> list[_Hit]:
        head = folded.offsets[folded.text.index(needle)]
        opens, closes = quote[0] in QUOTATION_MARKS, quote[-1] in QUOTATION_MARKS
        formed = form(quote)
        hits = []
        for left, right in self._occurrences(needle):
            start, end = self._span(left, right)
            if self.text.startswith(quote, max(start - head, 0)) and start - head + len(quote) >= end:
                hits.append(_Hit(start - head, start - head + len(quote), 0))
                continue
            outer = self._quoted(start, -1) if opens else start, self._quoted(end, 1) if closes else end
            if not (opens and closes) or (outer[0] < start and end < outer[1]):
                start, end = outer
            hits.append(_Hit(start, end, 1 if form(self.text[start:end]) == formed else 2))
        return hits

    def _quoted(self, offset: int, step: int) -> int:
        """The offset beyond the quotation mark that stands there, if one does."""
        near = self.text[offset : offset + 3] if step > 0 else self.text[max(offset - 3, 0) : offset][::-1]
        mark = near.lstrip()[:1]
        return offset + step * (near.index(mark) + 1) if mark in QUOTATION_MARKS else offset

    def _occurrences(self, needle: str) -> Iterator[Range]:
        text = self.folded.text
        left = text.find(needle)
        for _ in range(1 + _WORK // len(needle)):
            if left < 0:
                return
            right = left + len(needle)
            if self._begins(left) and self._ends(right) and self._whole(left, right):
                yield left, right
                left = text.find(needle, right)
            else:
                left = text.find(needle, left + 1)

    def _ends(self, index: int) -> bool:
        """Whether words part at the index."""
        text = self.folded.text
        if not 0 < index < len(text):
            return True
        before, after = text[index - 1], text[index]
        if before.isalnum() and after.isalnum():
            return bool(_CONTINUOUS.match(before) or _CONTINUOUS.match(after))
        if before.isdigit():
            return not _GROUPED.match(text, index)
        return not (after.isdigit() and index > 1 and text[index - 2].isdigit() and _GROUPED.match(text, index - 1))

    def _begins(self, index: int) -> bool:
        """Whether words part at the index, or a proclitic and its word."""
        if self._ends(index):
            return True
        if not self.language.proclitics:
            return False
        left, right = self._word_around(index)
        if index - left in self.lexicon.proclitics(self.folded.text[left:right]):
            return True
        tokens = self.language.tokens(self.text, *self._span(left, right))
        return self.folded.offsets[index] in (start for start, _ in tokens)

    def _word_around(self, index: int) -> Range:
        text = self.folded.text
        left = right = index
        while left > index - _WORD and left and text[left - 1].isalnum():
            left -= 1
        while right < min(index + _WORD, len(text)) and text[right].isalnum():
            right += 1
        return left, right

    def _whole(self, left: int, right: int) -> bool:
        """Whether no character or grapheme cluster is cut."""
        offsets = self.folded.offsets
        start, end = self._span(left, right)
        if left and (offsets[left - 1] == start or self._cluster_end(left - 1) > start):
            return False
        return right == len(offsets) or end <= offsets[right] != offsets[right - 1]

    def _cluster_end(self, index: int) -> int:
        match = _CLUSTER.match(self.text, self.folded.offsets[index])
        return int(match.end()) if match else len(self.text)

    def _span(self, left: int, right: int) -> Range:
        return self.folded.offsets[left], self._cluster_end(right - 1)

    def _parts(self, quote: str) -> list[_Hit]:
        """Hits of all that an ellipsis leaves of the quote, in order, each at the shortest."""
        needles = [fold(part).text.strip(_PUNCTUATION) for part in _ELLIPSIS.split(quote)]
        needles = [needle for needle in needles if needle]
        if len(needles) < 2 or min(map(_letters, needles)) < _LEAST_PART or sum(map(_letters, needles)) < _LEAST:
            return []
        reached = {right: left for left, right in self._occurrences(needles[0])}
        for needle in needles[1:]:
            ends = sorted(reached)
            following: dict[int, int] = {}
            for left, right in self._occurrences(needle):
                nearest = bisect_right(ends, left) - 1
                if nearest >= 0 and left - ends[nearest] <= _GAP:
                    following.setdefault(ends[nearest], right)
            reached = {right: reached[end] for end, right in following.items()}
        return [_Hit(*self._span(left, right), 3) for right, left in reached.items()]

    def _nearest(self, core: str) -> _Found:
        """Hits of the best alignment; none where another passage is almost as near."""
        words, letters = words_of(core), _letters(core)
        near = self.words.nearest(words, min(_RATE * letters, _MOST))
        near = [one for one in near if self._begins(one.left) and self._ends(one.right)]
        if not near:
            return _Found(reason="absent")
        best = min(near, key=lambda one: (one.cost, one.right - one.left, one.left))
        if letters < _LEAST:
            return _Found(reason="doubtful")
        passage = self.folded.text[best.left : best.right]
        for one in near:
            apart = one.right <= best.left or best.right <= one.left
            if (
                apart
                and one.cost <= best.cost + _MARGIN * letters
                and passage != self.folded.text[one.left : one.right]
            ):
                return _Found(reason="ambiguous")
        head, tail = _edges(core)
        score = 1 - best.cost / letters
        return _best([self._hit(left, right, head, tail, score) for left, right in self._occurrences(passage)])

    def _hit(self, left: int, right: int, head: str, tail: str, score: float) -> _Hit:
        """The hit of a passage with the punctuation at the ends that the quote has too."""
        text = self.folded.text
        if text.endswith(head, 0, left):
            left -= len(head)
        if text.startswith(tail, right):
            right += len(tail)
        return _Hit(*self._span(left, right), 4, score)


@lru_cache(maxsize=16)
def _source(text: str, language: Language) -> _Source:
    """A text made ready, kept for those who ask quote by quote."""
    return _Source(text, language)


def _best(hits: list[_Hit]) -> _Found:
    tier = min(hit.tier for hit in hits)
    ordered = tuple(sorted(hits))
    return _Found(ordered, tuple(hit for hit in ordered if hit.tier == tier))


def _letters(folded: str) -> int:
    return sum(map(str.isalnum, folded))


def _edges(folded: str) -> tuple[str, str]:
    """What stands before and after the words."""
    inner = folded.strip(_PUNCTUATION)
    head, _, tail = folded.partition(inner) if inner else (folded, "", "")
    return head, tail
