"""Which documents of a batch may have something wrong, told from Arrow columns.

The rules are those of `checks` and of the reading in `validation`, which look at one document after the other and say
what is wrong. A screen only has to prove that they would say nothing, and may prove it in a cheaper way: a word whose
characters and neighbours are plain begins and ends on token edges; a stretch without any sentence-ending mark crosses
no sentence; what has been proven of the same words under the same label once need not be again. Documents of which it
proves nothing are suspects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex
from numpy.typing import NDArray

from testimonia.adjudication import PROVENANCES
from testimonia.checks import check_bounds, matches
from testimonia.document import Span
from testimonia.language import Language, without_marks
from testimonia.matching import Floats, Ints, Spans, overlapping, runs
from testimonia.scheme import Attribute, Label, Rule, Scheme, column
from testimonia.seeds import TRANSLATIONS, ZONES

Mask = NDArray[np.bool_]
Kinds = NDArray[np.uint16]
Points = NDArray[np.uint16] | NDArray[np.uint32]
Cells = dict[str, Any]  # pyarrow Arrays by name

# What a character is, as far as it is below _FAR, all others being odd; the classes may be added up.
_FAR = 0x3000
_ALL = 0x110000
_WORD, _DIGIT, _MARK, _SPACE, _LINE, _BREAK, _JOIN, _STOP, _QUOTE, _ODD = (1 << n for n in range(10))
_HARD = _SPACE | _LINE | _BREAK  # a token ends before it and begins after it, whatever else is there
_BREAKING = '([{«“„‹)]}»”…!?؟/›-–%°"'
_JOINING = ".,;:،؛'’‘"
_HARMLESS = "([{«“„‹)]}»”/›-–%°\",،'’‘‰٪"  # marks that end no sentence
_AROUND = 20  # characters that are looked through for the next hard one
_PREFIX = 4  # letters of a first word that are compared with those of function words
_NEAR = 1 << 14  # offsets below it, in ids, are made once
_TABLE = 17  # bits of a row in a table of words
_BITS = 15  # of each number that something is proven for
_MOST, _LONG = 1_000_000, 100  # words that are remembered, and how long these may be
_CROWD = 1000  # spans of a document that share characters with others, up to which all pairs are looked at
_REQUIRED = {
    "spans": ("id", "start", "end", "label", "text"),
    "relations": ("id", "label", "head", "tail"),
    "zones": ("start", "end", "kind"),
}


@dataclass(frozen=True, slots=True)
class _Values:
    """A column of n values: where there is one; the place of each in `words`, else -2, of nulls -1; numbers."""

    there: Mask
    codes: Ints
    words: Sequence[str]
    numbers: Floats | None = None

    @classmethod
    def of(cls, array: Any, words: Sequence[str] | None) -> _Values:
        """Those of a column; `words`: the ones that are looked for, if not all."""
        there = _valid(array)
        if pa.types.is_floating(array.type):
            return cls(there, np.where(there, -2, -1), (), _floats(array))
        if words is None:
            words = array.drop_null().unique().to_pylist()
        codes = _ints(pc.fill_null(pc.index_in(array, pa.array(words, pa.string())), -2))
        return cls(there, np.where(there, codes, -1), words)

    def where(self, holds: Callable[[str], bool]) -> Mask:
        """Where there is a word of which something holds, (n,)."""
        return np.array([*map(holds, self.words), False, False])[self.codes]


class Screen:
    """The screen of a scheme and its languages. It remembers what it has proven of words, nothing else."""

    def __init__(self, scheme: Scheme, languages: Mapping[str, Language]) -> None:
        self.scheme, self.languages = scheme, languages
        self._languages = list(languages.values())
        self._codes = pa.array(list(languages), pa.string())
        self._proclitics = _proclitics(self._languages)
        openings = [_opening(one) for one in self._languages]
        self._listed, self._openings = _table([_listed(one) for one in self._languages]), _table(openings)
        self._longest = min(max((len(word) for some in openings for word in some), default=0), _PREFIX)
        # Whether a word is split by nothing but what ends in an apostrophe.
        self._elisions = np.array(
            [not one.proclitics and all(elision.endswith("'") for elision in one.elisions) for one in self._languages]
        )
        self._overlaps = _overlaps(scheme)
        self._tags = pa.array([f":{name}" for name in scheme.label_names], pa.string())
        near, tags = np.arange(_NEAR), len(scheme.labels)
        self._starts = _marked(near, "-")
        self._ends = _marked(np.repeat(near, tags), self._tags.take(pa.array(np.tile(np.arange(tags), _NEAR))))
        self._clean: dict[tuple[str, int], bool] = {}

    def suspects(self, batch: pa.RecordBatch) -> Mask:
        """Of documents in rows of the config `documents`, those of which nothing is proven, (d,)."""
        lists = {name: batch[name].flatten() for name in _REQUIRED}
        cells = {name: _children(values) for name, values in lists.items()}
        needed = [batch[name] for name in ("doc_id", "language", "text", "text_sha256", *_REQUIRED)]
        needed += [*lists.values(), *(cells[name][one] for name, names in _REQUIRED.items() for one in names)]
        if any(array.null_count for array in needed) or not self._languages:
            return np.ones(batch.num_rows, bool)
        found = _documents(batch)
        languages = _ints(pc.fill_null(pc.index_in(batch["language"], self._codes), -1))
        found |= languages < 0
        rows = {name: np.repeat(np.arange(batch.num_rows), _ints(pc.list_value_length(batch[name]))) for name in lists}
        lengths = _ints(pc.utf8_length(batch["text"]))
        spans, wrong = _bounded(rows["spans"], cells["spans"], len(self.scheme.labels), lengths)
        place = self._places(spans)
        document = pc.binary_join_element_wise(batch["doc_id"], ":", "").take(pa.array(spans.document))
        ids = pc.binary_join_element_wise(document, *place, "")
        wrong |= _unequal(cells["spans"]["id"], ids)
        wrong |= _unlisted(cells["spans"]["provenance"], PROVENANCES)
        wrong |= _ints(pc.utf8_length(cells["spans"]["text"])) != spans.end - spans.start
        wrong |= self._attributes(spans.label, cells["spans"])
        crowded, overlapping_ = self._overlapping(spans)
        wrong[overlapping_] = True
        good, quotes = np.flatnonzero(~wrong), cells["spans"]["text"]
        quotes = quotes if len(good) == len(quotes) else quotes.take(pa.array(good))
        wrong[good] = self._words(spans.take(good), quotes, batch["text"], lengths, np.maximum(languages, 0))
        found[spans.document[wrong]] = True
        found[_zones(rows["zones"], cells["zones"], spans, lengths)] = True
        if len(rows["relations"]):
            joined = self._relations(rows["relations"], cells["relations"], spans, ids, place, crowded)
            found[rows["relations"][joined]] = True
        return found

    def _places(self, spans: Spans) -> list[Any]:
        """What makes up the ids of spans after that of the document and a colon, such as `0-` and `11:ACTOR`."""
        if spans.end.max(initial=0) < _NEAR:
            end = spans.end * len(self.scheme.labels) + spans.label
            return [self._starts.take(pa.array(spans.start)), self._ends.take(pa.array(end))]
        return [_marked(spans.start, "-"), _marked(spans.end, self._tags.take(pa.array(spans.label)))]

    def _attributes(self, label: Ints, cells: Cells) -> Mask:
        """Spans with an attribute that is missing, not theirs, of no allowed value, or against a rule, (n,)."""
        wrong = np.zeros(len(label), bool)
        for number, one in enumerate(self.scheme.labels):
            rows = np.flatnonzero(label == number)
            values, bad = dict[str, _Values](), np.zeros(len(rows), bool)
            for attribute in one.attributes:
                array = cells[column(one.name, attribute.name)]
                value = _Values.of(array.take(pa.array(rows)), self._known(attribute))
                values[attribute.name] = value
                if len(array) - array.null_count > np.count_nonzero(value.there):
                    wrong |= _valid(array) & (label != number)
                if attribute.required:
                    bad |= ~value.there
            for attribute in one.attributes:
                bad |= values[attribute.name].there & ~self._allowed(attribute, values)
            for rule in one.rules:
                bad |= _broken(rule, values)
            wrong[rows] |= bad
        return wrong

    def _known(self, attribute: Attribute) -> Sequence[str] | None:
        """The words that an attribute may have, where they are listed."""
        if attribute.type == "entity":
            return list(self.scheme.registries[attribute.registry])
        return attribute.values or None

    def _allowed(self, attribute: Attribute, values: Mapping[str, _Values]) -> Mask:
        """Where the value of an attribute, if there is one, is as the scheme says, (n,)."""
        value = values[attribute.name]
        if value.numbers is not None:
            return np.isfinite(value.numbers)
        good: Mask = value.codes >= 0
        if attribute.pattern:
            good &= value.where(partial(matches, attribute.pattern))
        if attribute.type == "entity":
            registry = self.scheme.registries[attribute.registry]
            for name in attribute.same:
                codes = {None: -1} | {word: code for code, word in enumerate(values[name].words)}
                said = [codes.get(getattr(registry[word], name, None), -3) for word in value.words]
                good &= np.array([*said, -3, -3])[value.codes] == values[name].codes
        return good

    def _words(self, spans: Spans, quotes: Any, texts: Any, lengths: Ints, languages: Ints) -> Mask:
        """Spans that say another text than theirs, or whose bounds are not proven to be right, (n,)."""
        if not len(spans):
            return np.zeros(0, bool)
        words = b"\n".join([b"", *_pieces(texts), b""]).decode()  # what is before and after a text is a line's end
        first = np.cumsum(lengths + 1) - lengths
        sizes = spans.end - spans.start
        begin = first[spans.document] + spans.start
        end = begin + sizes
        places, heads = runs(begin, sizes), np.cumsum(sizes) - sizes
        text, letters, kinds = _code_points(words), _code_points(_whole(quotes)), _kinds()
        other = text[places] != letters
        wrong = np.logical_or.reduceat(other, heads) if other.any() else np.zeros(len(spans), bool)

        inside = kinds[letters]
        point = np.flatnonzero(letters == ord("."))
        inside[point[(kinds[text[places[point] + 1]] & _DIGIT) != 0]] = _JOIN  # no sentence ends there
        within = np.bitwise_or.reduceat(inside, heads)
        plain = _any(inside[heads] & _WORD) & ~_any(within & (_ODD | _STOP | _LINE))
        low, high = _extended(text, begin, end)
        plain &= low >= 0
        language = languages[spans.document]
        ends = np.flatnonzero((inside & _WORD) == 0)  # of words, as far as they lie in spans
        size = np.minimum(np.append(ends, len(letters))[np.searchsorted(ends, heads)] - heads, sizes)
        word = begin + size
        listed, opened = self._first_words(letters, heads, size, language)
        limit = self._limits(spans.label, sizes, inside, letters, language)
        tail = (inside[heads + sizes - 1] & _WORD) == 0
        head = opened | (low < begin)
        whole = listed | (limit > 0) | (high > end) | (head & tail)
        whole |= (size < sizes) & _any(kinds[text[word]] & (_MARK | _QUOTE))

        # What is doubted of a span is looked at once for all that are alike in it: all its words; no more than their
        # shape, where the doubt is of the last character; the first word, or as much of it as makes a difference.
        columns = (low, high, begin - low, end - low, limit, language)
        rows = np.flatnonzero(plain & whole & ~wrong)
        wrong[rows] = ~self._proven(words, *(values[rows] for values in columns))
        rows = np.flatnonzero(plain & tail & ~whole & ~wrong)
        shape = letters[runs(heads[rows], sizes[rows])]
        shape[_any(kinds[shape] & _WORD)] = ord("x")
        stop = np.cumsum(sizes[rows])
        columns = (stop - sizes[rows], stop, 0 * rows, sizes[rows], limit[rows], language[rows])
        wrong[rows] = ~self._proven(_text(shape), *columns)
        rows = np.flatnonzero(plain & head & ~whole & ~wrong)
        stop = np.where(self._elisions[language], begin + 1, word)
        columns = (low, stop, begin - low, stop - low, limit, language)
        wrong[rows] = ~self._proven(words, *(values[rows] for values in columns))
        rows = np.flatnonzero(~plain & ~wrong)
        wrong[rows] = ~self._proven_in_line(words, begin[rows], end[rows], spans.label[rows], language[rows])
        return wrong

    def _first_words(self, letters: Points, heads: Ints, sizes: Ints, language: Ints) -> tuple[Mask, Mask]:
        """Whether a first word may be one that is looked at: a listed one; one that a proclitic may open, (n,)."""
        windows = np.lib.stride_tricks.sliding_window_view(np.append(letters, [letters[-1]] * _PREFIX), _PREFIX)
        first = _lower()[windows[heads]].view(np.uint64)[:, 0] & _masks()[np.minimum(sizes, _PREFIX)]
        spoken, opened = language.astype(np.uint64), np.zeros(len(heads), bool)
        for mask in _masks()[1 : self._longest + 1]:
            opened |= self._openings[_slots(first & mask, spoken)]
        return self._listed[_slots(first, spoken)], opened

    def _limits(self, label: Ints, sizes: Ints, inside: Kinds, letters: Points, language: Ints) -> Ints:
        """How many tokens a span may have, where it may have more; else 0, (n,).

        Counted are its words, its marks, and the letters at the head of a word that may be proclitics.
        """
        most = np.array([one.max_tokens for one in self.scheme.labels])[label]
        some = (most > 0) & (sizes > most)
        rows = np.flatnonzero(some)
        limits = np.zeros(len(label), np.int64)
        if len(rows):
            mine = np.repeat(some, sizes)
            heads = np.cumsum(sizes[rows]) - sizes[rows]
            word = _any(inside[mine] & _WORD)
            within = np.append(False, word[1:] & word[:-1])
            within[heads] = False
            count = (~within & ~_any(inside[mine] & (_SPACE | _LINE))).astype(np.int64)
            may = self._proclitics[np.repeat(language[rows], sizes[rows]), letters[mine]]
            split = may & ~within
            while split.any():
                count += split
                split = np.append(False, split[:-1]) & within & may
            limits[rows] = np.where(np.add.reduceat(count, heads) > most[rows], most[rows], 0)
        return limits

    def _proven(self, text: str, low: Ints, high: Ints, *columns: Ints) -> Mask:
        """Whether nothing is wrong with spans that stand in words apart from all others, (n,).

        `columns`: start and end of each, counted from `low`, how many tokens it may have, and its language.
        """
        if len(self._clean) > _MOST:
            self._clean.clear()
        what, good = np.zeros_like(low), np.ones(len(low), bool)
        for values in columns:
            what = (what << _BITS) + values
            good &= values < 1 << _BITS
        rows = zip(low.tolist(), high.tolist(), what.tolist(), strict=True)
        keys = [(text[left:right], one) for left, right, one in rows]
        for row, known in enumerate(map(self._clean.get, keys)):
            if not known:
                good[row] = known is None and good[row] and self._is_clean_now(*keys[row])
        return good

    def _is_clean_now(self, words: str, what: int) -> bool:
        columns = (what >> _BITS * place & (1 << _BITS) - 1 for place in (3, 2, 1, 0))
        good = self._is_clean(words, [(0, len(words))], *columns)
        if len(words) <= _LONG:
            self._clean[words, what] = good
        return good

    def _proven_in_line(self, text: str, begin: Ints, end: Ints, label: Ints, language: Ints) -> Mask:
        """Whether nothing is wrong with spans, looked at in the line that they stand in, (n,)."""
        good = np.zeros(len(begin), bool)
        most = np.array([one.max_tokens for one in self.scheme.labels])[label]
        columns = (begin, end, most, language)
        for row, (start, stop, *what) in enumerate(zip(*(values.tolist() for values in columns), strict=True)):
            left, right = text.rfind("\n", 0, start) + 1, text.find("\n", start)
            if stop <= right:
                line = text[left:right]
                sentences = self._languages[what[1]].sentences(line)
                good[row] = self._is_clean(line, sentences, start - left, stop - left, *what)
        return good

    def _is_clean(
        self, text: str, sentences: list[tuple[int, int]], start: int, end: int, most: int, language: int
    ) -> bool:
        spoken = self._languages[language]
        edges = {edge for token in spoken.tokens(text) for edge in token}
        label = Label("", "", "", "", (), max_tokens=most)
        return next(check_bounds(text, Span(start, end, ""), label, spoken, edges, sentences), None) is None

    def _overlapping(self, spans: Spans) -> tuple[Ints, Ints]:
        """Spans that share a character with another; and those that may not, or that stand twice."""
        width = int(spans.end.max(initial=0)) + 1
        place, end = spans.document * width + spans.start, spans.document * width + spans.end
        order = np.arange(len(place)) if (place[1:] >= place[:-1]).all() else np.argsort(place, kind="stable")
        begins = np.append(True, place[order][1:] >= np.maximum.accumulate(end[order])[:-1])[: len(order)]
        crowded = order[~(begins & np.append(begins[1:], True))] if len(order) else order
        many = np.bincount(spans.document[crowded], minlength=1)[spans.document[crowded]] > _CROWD
        too_many, crowded = crowded[many], crowded[~many]
        some = spans.take(crowded)
        i, j = overlapping(some, some)
        i, j = i[i != j], j[i != j]
        one, other = some.take(i), some.take(j)
        equal = (one.start == other.start) & (one.end == other.end)
        allowed = np.zeros(len(i), bool)
        for outer, inner in ((one, other), (other, one)):
            covers = (outer.start <= inner.start) & (inner.end <= outer.end)
            allowed |= covers & self._overlaps[outer.label, inner.label, equal.astype(np.int64)]
        wrong = crowded[i[~allowed | (equal & (one.label == other.label))]]
        return crowded, np.append(wrong, too_many)

    def _relations(self, document: Ints, cells: Cells, spans: Spans, ids: Any, after: list[Any], crowded: Ints) -> Mask:
        """Relations that are not as the scheme says, or of which that is not proven, (r,)."""
        kinds = self.scheme.relations
        label = _ints(cells["label"])
        if not len(spans) or not kinds or not ((label >= 0) & (label < len(kinds))).all():
            return np.ones(len(label), bool)
        ends = pa.concat_arrays([cells["head"], cells["tail"]]).dictionary_encode()
        place, row = pc.index_in(ids, ends.dictionary), np.full(len(ends.dictionary), -1)
        row[_ints(place.drop_null())] = np.flatnonzero(_valid(place))
        head, tail = row[_ints(ends.indices)].reshape(2, -1)
        wrong: Mask = (head < 0) | (tail < 0) | (spans.document[head] != document) | (spans.document[tail] != document)
        arrow = pa.array([f">{name}>" for name in self.scheme.relation_names]).take(pa.array(label))
        end = [array.take(pa.array(np.maximum(tail, 0))) for array in after]
        wrong |= _unequal(cells["id"], pc.binary_join_element_wise(cells["head"], arrow, *end, ""))
        wrong |= head == tail
        triple = (label * len(spans) + head) * len(spans) + tail
        again = np.sort(triple)
        wrong |= np.isin(triple, again[1:][again[1:] == again[:-1]])
        names = self.scheme.label_names
        width = int(spans.end.max()) + 1
        bounds = (spans.document * width + spans.start) * width + spans.end  # may run over; equal ones stay equal
        for number, one in enumerate(kinds):
            mine = np.flatnonzero(label == number)
            of, to = head[mine], tail[mine]
            bad = ~_among(names, one.heads)[spans.label[of]] | ~_among(names, one.tails)[spans.label[to]]
            if one.prefer:
                better = crowded[_among(names, [one.prefer])[spans.label[crowded]]]
                bad |= ~_among(names, [one.prefer])[spans.label[to]] & np.isin(bounds[to], bounds[better])
            if one.unless:
                barred = label == self.scheme.relation_names.index(one.unless)
                bad |= np.isin(of * len(spans) + bounds[to], head[barred] * len(spans) + bounds[tail[barred]])
            if one.max:
                bad |= np.bincount(np.maximum(of, 0), minlength=len(spans))[of] > one.max
            if one.acyclic:
                bad |= np.isin(to, of)
            wrong[mine] |= bad
        return wrong


def _documents(batch: pa.RecordBatch) -> Mask:
    """Documents whose text has another hash than they say, or whose translation is of no known kind, (d,)."""
    hashed = pa.array([hashlib.sha256(text).hexdigest() for text in _pieces(batch["text"])], pa.string())
    unknown = _unlisted(pc.fill_null(batch["translation"], "unknown"), (*TRANSLATIONS, ""))
    return _unequal(batch["text_sha256"], hashed) | unknown


def _bounded(document: Ints, cells: Cells, labels: int, lengths: Ints) -> tuple[Spans, Mask]:
    """The spans, those that leave their text or have no label moved to its beginning; and which these are, (n,)."""
    start, end, label = (_ints(cells[name]) for name in ("start", "end", "label"))
    wrong = (start < 0) | (start >= end) | (end > lengths[document]) | (label < 0) | (label >= labels)
    if wrong.any():
        start, end, label = np.where(wrong, 0, start), np.where(wrong, 1, end), np.where(wrong, 0, label)
    return Spans(document, start, end, label), wrong


def _marked(numbers: Ints, mark: Any) -> Any:
    """Numbers as strings with a mark behind."""
    return pc.binary_join_element_wise(pa.array(numbers).cast(pa.string()), mark, "")


def _among(names: Sequence[str], some: Sequence[str]) -> Mask:
    return np.array([name in some for name in names])


def _zones(document: Ints, cells: Cells, spans: Spans, lengths: Ints) -> Ints:
    """Documents with a zone that leaves the text or is of no known kind, or with a span in boilerplate."""
    start, end = _ints(cells["start"]), _ints(cells["end"])
    wrong = (start < 0) | (start >= end) | (end > lengths[document]) | _unlisted(cells["kind"], ZONES)
    rows = np.flatnonzero(~wrong & ~_unlisted(cells["kind"], ("boilerplate",)))
    barred = Spans(document[rows], start[rows], end[rows], np.zeros_like(rows))
    first, last = np.full(len(lengths), np.iinfo(np.int64).max), np.zeros(len(lengths), np.int64)
    np.minimum.at(first, barred.document, barred.start)
    np.maximum.at(last, barred.document, barred.end)
    near = (first[spans.document] < spans.end) & (spans.start < last[spans.document])
    touched, _ = overlapping(barred, spans.take(near))
    return np.append(document[wrong], barred.document[touched])


def _extended(text: Points, begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Bounds widened to the next hard character on either side, where a token surely ends; the first -1 if none is
    near, or a character between them that needs a closer look."""
    low, high, kinds = begin.copy(), end.copy(), _kinds()
    for bound, step, back in ((low, -1, 1), (high, 1, 0)):
        waiting: Ints = np.arange(len(begin))
        for _ in range(_AROUND):
            here = np.clip(bound[waiting] - back, 0, len(text) - 1)
            kind = kinds[text[here]]
            hard = _any(kind & _HARD)
            if step > 0:
                beyond = kinds[text[np.minimum(here + 1, len(text) - 1)]]
                hard |= _any(kind & _JOIN) & _any(beyond & (_HARD | _JOIN))
            low[waiting[~hard & _any(kind & (_ODD | _STOP))]] = -1
            waiting = waiting[~hard]
            waiting = waiting[low[waiting] >= 0]
            if not len(waiting):
                break
            bound[waiting] += step
        low[waiting] = -1
    return low, high


def _broken(rule: Rule, values: Mapping[str, _Values]) -> Mask:
    """Where a rule applies and is not proven to hold, (n,)."""
    applies: Mask = np.ones(len(next(iter(values.values())).there), bool)
    for name, allowed in rule.when:
        applies &= values[name].where(allowed.__contains__)
    wrong: Mask = np.zeros(len(applies), bool)
    if not applies.any():
        return wrong
    for name in rule.require:
        wrong |= ~values[name].there
    for name in rule.forbid:
        wrong |= values[name].there
    for names, holds in ((rule.equal, np.equal), (rule.ascending, np.less)):
        last: Floats = np.zeros(len(applies))
        given: Mask = np.zeros(len(applies), bool)
        for name in names:
            there, number = values[name].there, values[name].numbers
            if number is None:
                wrong |= there
                continue
            both = given & there
            wrong |= both & (~holds(last, number) | ((number == 0) & (last == 0)))
            last, given = np.where(there, number, last), given | there
    for name, pattern in rule.match:
        wrong |= values[name].there & ~values[name].where(partial(matches, pattern))
    broken: Mask = applies & wrong
    return broken


@cache
def _kinds() -> Kinds:
    """What each character is, (_ALL,)."""
    kinds = np.full(_ALL, _ODD, np.uint16)
    everything = "".join(map(chr, range(_FAR)))
    for pattern, kind in (
        (r"(?!\p{WB=ExtendNumLet})\p{P}", _STOP),
        (r"(?=\p{WB=Other})\p{S}", 0),
        (r"(?=\p{WB=ALetter})\p{L}", _WORD),
        (r"(?=\p{WB=Numeric})\p{Nd}", _WORD | _DIGIT),
        (r"(?=\p{WB=Extend})\p{Mn}", _MARK),
    ):
        kinds[[ord(one) for one in regex.findall(pattern, everything)]] = kind
    # Letters that become several in lower case, or one or another by what follows.
    kinds[[ord(one) for one in everything if len(one.lower()) > 1 or one in "Σς"]] = _ODD
    kinds[[ord(one) for one in _HARMLESS]] &= ~np.uint16(_STOP)
    for some, kind in ((" \u00a0", _SPACE), ("\n", _LINE)):
        kinds[[ord(one) for one in some]] = kind
    for some, kind in ((_BREAKING, _BREAK), (_JOINING, _JOIN), ("'’‘", _QUOTE)):
        kinds[[ord(one) for one in some]] |= kind
    return kinds


@cache
def _lower() -> NDArray[np.uint16]:
    """The lower-case twin of each character below _FAR, else the character, as far as it has two bytes, (_ALL,)."""
    lower = np.arange(_ALL).astype(np.uint16)
    lower[:_FAR] = [ord(chr(code).lower()[0]) for code in range(_FAR)]
    return lower


@cache
def _masks() -> NDArray[np.uint64]:
    """Of the first letters of a word, two bytes each, those that are left of so many, (_PREFIX + 1,)."""
    return (np.tri(_PREFIX + 1, _PREFIX, -1, np.uint16) * np.uint16(0xFFFF)).view(np.uint64)[:, 0]


def _slots(first: NDArray[np.uint64], language: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Rows in a table of the first letters of words of languages, (n,)."""
    key = first + language * np.uint64(0xBF58476D1CE4E5B9)
    slots: NDArray[np.uint64] = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _TABLE)
    return slots


def _table(words: Sequence[Collection[str]]) -> Mask:
    """A table of the first letters of the words of each language."""
    table = np.zeros(1 << _TABLE, bool)
    for number, some in enumerate(words):
        codes = [[ord(letter) for letter in word[:_PREFIX].ljust(_PREFIX, "\0")] for word in some]
        first = np.array(codes, np.int64).reshape(-1, _PREFIX).astype(np.uint16).view(np.uint64)[:, 0]
        table[_slots(first, np.array([number], np.uint64))] = True
    return table


def _listed(language: Language) -> set[str]:
    """Words whose place in a span is looked at: function words, and proclitics with their hosts."""
    words = {*language.function_words, *language.cues}
    words |= {proclitic.letter + host for proclitic in language.proclitics for host in proclitic.hosts}
    return {without_marks(word.lower()) for word in words}


def _opening(language: Language) -> list[str]:
    """Letters that may be a proclitic at the beginning of a word, with those that they stand before."""
    return [
        proclitic.letter + letters
        for proclitic in language.proclitics
        for letters in ([""] if proclitic.otherwise else proclitic.before)
    ]


def _proclitics(languages: Sequence[Language]) -> Mask:
    """Whether a letter may be a proclitic of a language, (languages, _ALL)."""
    table = np.zeros((len(languages), _ALL), bool)
    for number, language in enumerate(languages):
        for proclitic in language.proclitics:
            table[number, ord(proclitic.letter[0])] = True
    return table


def _overlaps(scheme: Scheme) -> Mask:
    """Whether a span of a label may lie in one of another, (outer, inner, with equal bounds)."""
    table = np.zeros((len(scheme.labels), len(scheme.labels), 2), bool)
    names = scheme.label_names
    for one in scheme.overlaps:
        table[names.index(one.outer), names.index(one.inner)] |= [True, one.equal]
    return table


def _children(structs: Any) -> Cells:
    return {structs.type.field(number).name: array for number, array in enumerate(structs.flatten())}


def _ints(array: Any) -> Ints:
    found: Ints = array.to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _floats(array: Any) -> Floats:
    """Numbers, with 0 where there is none."""
    found: Floats = pc.fill_null(array, 0.0).to_numpy(zero_copy_only=False)
    return found


def _valid(array: Any) -> Mask:
    found: Mask = array.is_valid().to_numpy(zero_copy_only=False)
    return found


def _unlisted(array: Any, values: Sequence[str]) -> Mask:
    """Where a string is none of these, or null, (n,)."""
    return ~_valid(pc.index_in(array, pa.array(values, pa.string())))


def _unequal(one: Any, other: Any) -> Mask:
    """Where two strings differ, or just one of them is null, (n,)."""
    same = pc.fill_null(pc.equal(one, other), False).to_numpy(zero_copy_only=False)
    found: Mask = ~same & (_valid(one) | _valid(other))
    return found


def _any(flags: NDArray[Any]) -> Mask:
    found: Mask = np.not_equal(flags, 0)
    return found


def _values(strings: Any) -> tuple[NDArray[np.int32], memoryview]:
    """Where each string begins, and the last ends, (n + 1,), in the bytes of all, none null."""
    _, offsets, data = strings.buffers()
    return np.frombuffer(offsets, np.int32)[strings.offset :][: len(strings) + 1], memoryview(data or b"")


def _pieces(strings: Any) -> list[memoryview]:
    offsets, data = _values(strings)
    return [data[low:high] for low, high in pairwise(offsets.tolist())]


def _whole(strings: Any) -> str:
    offsets, data = _values(strings)
    return str(data[offsets[0] : offsets[-1]], "utf-8")


def _code_points(text: str) -> Points:
    """What code points a text has, in as few bytes as it needs, (len(text),)."""
    short = text.encode("utf-16-le")
    if len(short) == 2 * len(text):
        return np.frombuffer(short, np.uint16)
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _text(points: Points) -> str:
    return points.tobytes().decode(f"utf-{8 * points.itemsize}-le")
