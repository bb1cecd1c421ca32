"""A baseline that predicts spans and relations by rules and lexica; what any model should do better than.

Nothing is learnt. The names of actors come from the registry without those that were seen in the predicted document
alone, from CLDR, and from the lexicon of the language.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from testimonia.corpus import Corpus
from testimonia.document import Attributes, Document, Relation, Span, attributes_of
from testimonia.errors import InputError
from testimonia.language import Language, without_marks
from testimonia.scheme import Registry
from testimonia_baseline.actors import actors, surnames
from testimonia_baseline.lexicon import Lexicon, Name, names_of, read_lexicon
from testimonia_baseline.quantities import quantities
from testimonia_baseline.statements import Source, candidates, sources, stances
from testimonia_baseline.words import Phrases, Word, words_of

__all__ = ["MODEL", "Lexicon", "lexicon_of", "predict", "predictions", "read_lexicon"]

MODEL = "baseline 1"
LABELS = ("ACTOR", "QUANTITY", "STANCE", "SOURCE")
_KEPT = "%‰°٪؉％"
_MEDIA = ("media", "state_media")

Prediction = tuple[tuple[Span, ...], tuple[Relation, ...]]


def lexicon_of(document: Document, lexica: Mapping[str, Lexicon]) -> Lexicon:
    """The lexicon of the document's language. Raises InputError that names the languages there are."""
    if document.language not in lexica:
        known = ", ".join(sorted(lexica)) or "none"
        message = f"{document.doc_id}: the baseline has no lexicon for {document.language!r}; it has {known}"
        raise InputError(message)
    return lexica[document.language]


def predictions(documents: Iterable[Document], corpus: Corpus) -> Iterator[tuple[Document, Prediction]]:
    """The prediction for each document, with the lexica, languages and registry of a corpus.

    Raises InputError before the first where a document is in another language, or the scheme has other labels.
    """
    folder = corpus.folder / "labeling"
    lexica = {path.stem: read_lexicon(path) for path in sorted((folder / "baseline").glob("*.toml"))}
    if missing := [label for label in LABELS if label not in corpus.scheme.label_names]:
        raise InputError(f"{folder / 'scheme.toml'}: has no label {missing[0]}; the baseline knows {', '.join(LABELS)}")
    entity = corpus.scheme.columns.get("actor_entity")
    registry = corpus.scheme.registries.get(entity[1].registry, {}) if entity else {}
    documents = list(documents)
    chosen = [lexicon_of(document, lexica) for document in documents]
    for document, lexicon in zip(documents, chosen, strict=True):
        yield document, predict(document, corpus.languages[document.language], lexicon, registry)


def predict(document: Document, language: Language, lexicon: Lexicon, registry: Registry) -> Prediction:
    """The spans and relations that the rules find, sorted; `entity` is left out where no name says it.

    Raises InputError where language or lexicon are not those of the document.
    """
    lexicon_of(document, {lexicon.language: lexicon})
    if language.code != document.language:
        message = f"{document.doc_id}: is {document.language!r}, the language given is {language.code!r}"
        raise InputError(f"{message}; give the document's own")
    names = names_of(lexicon, registry, document.doc_id)
    spans: list[Span] = []
    relations: set[Relation] = set()
    sentences = [words_of(document.text, language, start, end) for start, end in language.sentences(document.text)]
    full = [entry for words in sentences for entry in surnames(words, actors(words, lexicon, names))]
    names = names.extended(full)
    for words in sentences:
        found, related = _sentence(document, words, language, lexicon, names)
        spans += found
        relations |= related
    return tuple(sorted(spans)), tuple(sorted(relations))


def _sentence(
    document: Document, words: list[Word], language: Language, lexicon: Lexicon, names: Phrases[Name]
) -> tuple[list[Span], set[Relation]]:
    page = _Page(document, words, language)
    named = actors(words, lexicon, names)
    who = {}
    for mention in named:
        values = attributes_of({"kind": mention.name.kind, "entity": mention.name.entity or None})
        who[mention.first] = page.add(mention.first, mention.end, mention.offset, "ACTOR", values)
    counted = [page.add(q.first, q.end, q.offset, "QUANTITY", q.attributes) for q in quantities(words, lexicon)]
    near = candidates(words, named, lexicon)
    spoken = sources(words, near, lexicon)
    held = list(stances(words, near, spoken, named, lexicon))
    spoken += [stance.holder for stance, says in held if says and stance.holder and stance.holder not in spoken]
    said = {
        source: page.add(source.first, source.end, source.offset, "SOURCE", attributes_of({"kind": source.kind}))
        for source in sorted(spoken, key=lambda source: source.first)
    }
    relations: list[Relation | None] = []
    for stance, _ in held:
        values = attributes_of({"type": stance.type, "polarity": stance.polarity})
        span = page.add(stance.first, stance.end, stance.offset, "STANCE", values)
        holder = _actor_of(stance.holder, who, said)
        target = who.get(stance.target.first) if stance.target else None
        relations += [_relation("holder", span, holder), _relation("target", span, target)]
        source = _original(span, said)
        if source and not (stance.holder and said.get(stance.holder) == source) and not _coextensive(source, holder):
            relations.append(_relation("attributed_to", span, source))
    relations += [_relation("attributed_to", span, _original(span, said)) for span in counted]
    relations += _relayed(said)
    return page.spans, {relation for relation in relations if relation}


class _Page:
    """The spans of one sentence while they are found; a span that the scheme would not allow is not added."""

    def __init__(self, document: Document, words: Sequence[Word], language: Language) -> None:
        self.spans: list[Span] = []
        self._document = document
        self._words = words
        self._language = language

    def add(self, first: int, end: int, offset: int, label: str, attributes: Attributes) -> Span | None:
        bounds = _trimmed(self._words, first, end, offset, self._language, label in ("QUANTITY", "STANCE"))
        if bounds is None:
            return None
        span = Span(*bounds, label, attributes)
        zones = self._document.zones
        if any(zone.kind == "boilerplate" and span.start < zone.end and zone.start < span.end for zone in zones):
            return None
        if not all(_compatible(span, other) for other in self.spans):
            return None
        self.spans.append(span)
        return span


def _trimmed(
    words: Sequence[Word], first: int, end: int, offset: int, language: Language, loose: bool
) -> tuple[int, int] | None:
    """The offsets of words without punctuation, function words and proclitics at the edges."""
    while first < end and _is_mark(words[end - 1].raw):
        end -= 1
    while first < end:
        word, following = words[first], words[first + 1].raw if first + 1 < end else ""
        if offset:
            break
        edge = following and not loose and language.is_function_word(word.raw, following)
        if not (_is_mark(word.raw) or edge or (loose and word.raw.lower() == "de")):
            break
        first += 1
    if first >= end:
        return None
    start = words[first].start + offset
    raw = words[first].raw[offset:]
    proclitic = language.proclitic(raw)
    if proclitic and proclitic.certain(without_marks(raw)) and len(raw) > 1:
        start += 1
    stop = words[end - 1].end
    while stop > start and _is_mark(words[end - 1].raw[stop - 1 - words[end - 1].start]):
        stop -= 1
    if not start < stop or unicodedata.category(raw[0])[0] in "CPZM":
        return None
    return start, stop


def _is_mark(raw: str) -> bool:
    return all(unicodedata.category(character)[0] in "PCZ" and character not in _KEPT for character in raw)


def _compatible(one: Span, other: Span) -> bool:
    if one.end <= other.start or other.end <= one.start:
        return True
    inner, outer = (one, other) if other.label == "SOURCE" else (other, one)
    return outer.label == "SOURCE" and inner.label in ("ACTOR", "QUANTITY") and outer.covers(inner)


def _coextensive(one: Span, other: Span | None) -> bool:
    return other is not None and (one.start, one.end) == (other.start, other.end)


def _actor_of(source: Source | None, who: Mapping[int, Span | None], said: Mapping[Source, Span | None]) -> Span | None:
    """The ACTOR on the bounds of a holder, else its SOURCE, else the ACTOR at its beginning."""
    if source is None:
        return None
    actor, spoken = who.get(source.first), said.get(source)
    if spoken and (actor is None or not _coextensive(spoken, actor)):
        inside = [span for span in who.values() if span and _coextensive(spoken, span)]
        return inside[0] if inside else spoken
    return actor


def _original(span: Span | None, said: Mapping[Source, Span | None]) -> Span | None:
    """The source in whose words a span stands: the only one of the sentence, outlets that relay another aside."""
    spoken = [one for one in said.values() if one and span and (one.end <= span.start or span.end <= one.start)]
    original = [one for one in spoken if dict(one.attributes)["kind"] not in _MEDIA] or spoken
    return min(original, key=lambda one: abs(one.start - span.start)) if original and span else None


def _relayed(said: Mapping[Source, Span | None]) -> list[Relation | None]:
    spoken: Iterable[Span] = [span for span in said.values() if span]
    outlets = [span for span in spoken if dict(span.attributes)["kind"] in _MEDIA]
    if len(outlets) != 1:
        return []
    return [_relation("relayed_by", span, outlets[0]) for span in spoken if span not in outlets]


def _relation(label: str, head: Span | None, tail: Span | None) -> Relation | None:
    return Relation(label, head, tail) if head and tail and head != tail else None
