"""Checks of the spans and relations of one document against the scheme and the language.

Each check yields findings, severity error where it is certain and warning where a person must look.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise

import regex

from testimonia.document import Gold, Relation, Span, span_id
from testimonia.errors import Finding, InputError, Severity
from testimonia.language import Language, without_marks
from testimonia.scheme import Attribute, Label, Rule, Scheme

_PARTNERS = {
    "(": ")",
    "[": "]",
    "{": "}",
    "«": "»",
    "“": "”",
    "„": "”“",
    "‘": "’",
    "‚": "‘’",
    "‹": "›",
    '"': '"',
    "'": "'",
}
_WORD = regex.compile(r"[\w\p{M}]+")
_KEPT = "%‰°٪؉％"


def check_gold(gold: Gold, scheme: Scheme, language: Language) -> list[Finding]:
    """Every finding on one document: spans, then overlaps, then relations."""
    text = gold.document.text
    doc_id = gold.document.doc_id
    findings: list[Finding] = []
    inside = [span for span in gold.spans if 0 <= span.start < span.end <= len(text)]
    for span in sorted(set(gold.spans) - set(inside)):
        findings.append(Finding(span_id(doc_id, span), "span-outside", f"leaves the text of {len(text)} code points"))
    token_edges = {edge for token in language.tokens(text) for edge in token}
    sentences = language.sentences(text)
    for span in inside:
        label = scheme.label(span.label)
        place = f"{span_id(doc_id, span)} {text[span.start : span.end]!r}"
        results = [
            *_attributes(span, scheme),
            *check_bounds(text, span, label, language, token_edges, sentences),
            *_boilerplate(gold, span),
        ]
        findings += [Finding(place, check, message, severity) for check, message, severity in results]
    findings += _overlaps(doc_id, inside, scheme)
    findings += _relations(doc_id, gold, scheme)
    return findings


_Result = tuple[str, str, Severity]


def _attributes(span: Span, scheme: Scheme) -> Iterator[_Result]:
    label = scheme.label(span.label)
    if label is None:
        yield "label-unknown", f"{span.label} is no label of the scheme", "error"
        return
    values = dict(span.attributes)
    for name in values:
        if label.attribute(name) is None:
            yield "attribute-unknown", f"{label.name} has no attribute {name!r}", "error"
    for attribute in label.attributes:
        value = values.get(attribute.name)
        if value is None:
            if attribute.required:
                yield "attribute-missing", f"{attribute.name} is required", "error"
            continue
        problem = _value_problem(attribute, value)
        if problem:
            yield "attribute-value", f"{attribute.name} = {value!r} {problem}", "error"
        elif attribute.type == "entity":
            yield from _entity(attribute, str(value), values, scheme)
    for rule in label.rules:
        if rule.applies(values):
            for problem in _rule_problems(rule, values):
                yield "attribute-condition", f"{problem} where {rule}", "error"


def _value_problem(attribute: Attribute, value: object) -> str:
    if attribute.type == "number":
        return "" if isinstance(value, float) and math.isfinite(value) else "is no number"
    if not isinstance(value, str):
        return "is no string"
    if attribute.type == "choice" and value not in attribute.values:
        return f"is not one of {', '.join(attribute.values)}"
    if attribute.pattern and not matches(attribute.pattern, value):
        return f"does not match {attribute.pattern}"
    return ""


def matches(pattern: str, value: str) -> bool:
    """Whether all of a value is as the scheme says. Raises InputError where that takes too long to tell."""
    try:
        return regex.fullmatch(pattern, value, timeout=1) is not None
    except TimeoutError:
        raise InputError(f"pattern {pattern!r}: takes too long on {value[:60]!r}; write a simpler one") from None


def _entity(attribute: Attribute, value: str, values: Mapping[str, object], scheme: Scheme) -> Iterator[_Result]:
    entity = scheme.registries[attribute.registry].get(value)
    if entity is None:
        yield "entity-unknown", f"{value!r} is not in {attribute.registry}; add it there or choose another id", "error"
        return
    for name in attribute.same:
        expected = getattr(entity, name, None)
        if values.get(name) != expected:
            yield (
                "entity-differs",
                f"{name} = {values.get(name)!r}, but {value} is {expected!r} in the registry",
                "error",
            )


def _rule_problems(rule: Rule, values: Mapping[str, object]) -> Iterator[str]:
    for name in rule.require:
        if values.get(name) is None:
            yield f"{name} is required"
    for name in rule.forbid:
        if values.get(name) is not None:
            yield f"{name} must be empty"
    numbers = [values[name] for name in rule.equal if values.get(name) is not None]
    if len(set(map(str, numbers))) > 1:
        yield f"{' and '.join(rule.equal)} must be equal"
    rising = [value for name in rule.ascending if isinstance(value := values.get(name), float)]
    if any(left >= right for left, right in pairwise(rising)):
        yield f"{' < '.join(rule.ascending)} does not hold"
    for name, pattern in rule.match:
        value = values.get(name)
        if value is not None and not matches(pattern, str(value)):
            yield f"{name} = {value!r} does not match {pattern}"


def check_bounds(
    text: str,
    span: Span,
    label: Label | None,
    language: Language,
    edges: Collection[int],
    sentences: Iterable[tuple[int, int]],
) -> Iterator[_Result]:
    """Id, message and severity of what is wrong with where a span begins and ends.

    `edges` are the edges of the text's tokens; nothing is looked at beyond the line that holds the span.
    """
    yield from _edges(text, span, language, bool(label and label.loose_edges))
    if "\n" in text[span.start : span.end]:
        yield "crosses-line", "goes over the end of a line", "warning"
    elif not any(start <= span.start and span.end <= end for start, end in sentences):
        yield "crosses-sentence", "is in no single sentence as the library cuts them", "warning"
    if span.start not in edges or span.end not in edges:
        yield "inside-token", "does not begin and end on token edges", "warning"
    if label and label.max_tokens:
        count = len(language.tokens(text, span.start, span.end))
        if count > label.max_tokens:
            yield "too-long", f"has {count} tokens, the scheme says {label.max_tokens} at most", "warning"


def _edges(text: str, span: Span, language: Language, loose: bool) -> Iterator[_Result]:
    piece = text[span.start : span.end]
    if piece != piece.strip() or "Cf" in (unicodedata.category(piece[0]), unicodedata.category(piece[-1])):
        yield "edge-space", "begins or ends with white space or an invisible character", "error"
        return
    for index in (0, len(piece) - 1):
        character = piece[index]
        if unicodedata.category(character)[0] == "P" and character not in _KEPT and not _partner_inside(piece, index):
            certain = not (index and character == "." and "." in piece[:-1])  # U.S.
            yield "edge-punctuation", f"{character!r} stands at an edge", "error" if certain else "warning"
            return
    tokens = language.tokens(text, span.start, span.end)
    if not tokens:
        return
    first = text[slice(*tokens[0])]
    following = text[slice(*tokens[1])] if len(tokens) > 1 else ""
    if len(tokens) > 1 and language.is_function_word(first, following):
        certain = not first[0].isupper() and not loose
        yield "edge-function-word", f"{first!r} stands at the left edge", "error" if certain else "warning"
    match = _WORD.match(text, span.start)
    word = match.group() if match else ""
    proclitic = language.proclitic(word)
    if proclitic:
        message = f"{word[0]!r} of {word!r} is a proclitic; if not, add the word to `roots` of the language"
        yield "edge-proclitic", message, "error" if proclitic.certain(without_marks(word)) else "warning"


def _partner_inside(piece: str, index: int) -> bool:
    """Whether the bracket or quotation mark at an edge has its partner inside, not at the other edge."""
    partner = _partners(piece).get(index)
    return partner is not None and 0 < partner < len(piece) - 1


def _partners(piece: str) -> dict[int, int]:
    """The index of the partner of each bracket and quotation mark that has one; an apostrophe in a word is none."""
    partners: dict[int, int] = {}
    waiting: list[int] = []
    for index, character in enumerate(piece):
        if character in "'’" and piece[index - 1 : index].isalnum() and piece[index + 1 : index + 2].isalnum():
            continue
        opener = next((w for w in reversed(waiting) if character in _PARTNERS[piece[w]]), None)
        if opener is not None:
            partners[index], partners[opener] = opener, index
            del waiting[waiting.index(opener) :]
        elif character in _PARTNERS:
            waiting.append(index)
    return partners


def _boilerplate(gold: Gold, span: Span) -> Iterator[_Result]:
    for zone in gold.document.zones:
        if zone.kind == "boilerplate" and span.start < zone.end and zone.start < span.end:
            yield "in-boilerplate", f"lies in boilerplate [{zone.start}, {zone.end}), which is not annotated", "error"


def _overlaps(doc_id: str, spans: Iterable[Span], scheme: Scheme) -> Iterator[Finding]:
    active: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end, s.label, s.attributes)):
        active = [other for other in active if other.end > span.start]
        for other in active:
            if not (_allowed(other, span, scheme) or _allowed(span, other, scheme)):
                message = f"overlaps {span_id(doc_id, other)}, which the scheme does not allow"
                yield Finding(span_id(doc_id, span), "overlap", message)
        active.append(span)


def _allowed(outer: Span, inner: Span, scheme: Scheme) -> bool:
    if not outer.covers(inner):
        return False
    equal = inner.covers(outer)
    return any(o.outer == outer.label and o.inner == inner.label and (o.equal or not equal) for o in scheme.overlaps)


def _relations(doc_id: str, gold: Gold, scheme: Scheme) -> Iterator[Finding]:
    spans = set(gold.spans)
    tails: dict[tuple[str, Span], list[Span]] = {}
    for relation in gold.relations:
        tails.setdefault((relation.label, relation.head), []).append(relation.tail)
    for relation, count in Counter(gold.relations).items():
        head, tail = span_id(doc_id, relation.head), span_id(doc_id, relation.tail)
        place = f"{head} -{relation.label}-> {tail}"
        type_ = scheme.relation(relation.label)
        if count > 1:
            yield Finding(place, "relation-duplicate", f"stands {count} times; keep one")
        if relation.head not in spans or relation.tail not in spans:
            yield Finding(place, "relation-end", "an end of the relation is no span of the document")
        if relation.head == relation.tail:
            yield Finding(place, "relation-self", "joins a span to itself")
        if type_ is None:
            yield Finding(place, "relation-unknown", f"{relation.label} is no relation of the scheme")
            continue
        if relation.head.label not in type_.heads or relation.tail.label not in type_.tails:
            allowed = f"{' | '.join(type_.heads)} -> {' | '.join(type_.tails)}"
            yield Finding(place, "relation-labels", f"{relation.label} joins {allowed}")
        if relation.tail.label != type_.prefer and any(
            _coextensive(other, relation.tail) and other.label == type_.prefer for other in spans
        ):
            yield Finding(place, "relation-prefer", f"a {type_.prefer} has the bounds of the tail; link to it")
        if type_.unless:
            others = tails.get((type_.unless, relation.head), [])
            if any(_coextensive(other, relation.tail) for other in others):
                yield Finding(place, "relation-unless", f"the tail is also the {type_.unless} of the head")
    for (name, head_span), ends in tails.items():
        type_ = scheme.relation(name)
        if type_ and type_.max and len(set(ends)) > type_.max:
            message = f"{name} has {len(set(ends))} tails, at most {type_.max} are allowed"
            yield Finding(span_id(doc_id, head_span), "relation-count", message)
    for type_ in scheme.relations:
        if type_.acyclic:
            for span in _cycles([r for r in gold.relations if r.label == type_.name]):
                yield Finding(span_id(doc_id, span), "relation-cycle", f"{type_.name} leads back to the span")


def _coextensive(one: Span, other: Span) -> bool:
    return (one.start, one.end) == (other.start, other.end)


def _cycles(relations: list[Relation]) -> list[Span]:
    """The spans from which the relations lead back to themselves, in order."""
    following: dict[Span, set[Span]] = {}
    for relation in relations:
        if relation.head != relation.tail:
            following.setdefault(relation.head, set()).add(relation.tail)
    found = []
    for start in sorted(following):
        reached: set[Span] = set()
        frontier = set(following[start])
        while frontier - reached:
            reached |= frontier
            frontier = {tail for span in frontier for tail in following.get(span, ())}
        if start in reached:
            found.append(start)
    return found
