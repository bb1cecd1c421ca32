"""The guidelines: every worked example is read, checked as gold is, and shares no wording with the articles."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from testimonia.checks import check_gold
from testimonia.corpus import Corpus
from testimonia.document import Attributes, Document, Gold, Relation, Span, attributes_of
from testimonia.instruction import render_instruction
from testimonia.scheme import Entity, Scheme
from tests.conftest import ROOT

LANGUAGES = {"Romanian": "ro", "Arabic": "ar", "French": "fr"}
DIGITS = {ord(superscript): str(digit) for digit, superscript in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
SHARED_WORDS = 5


@dataclass(frozen=True)
class Example:
    language: str
    sentence: str
    numbers: dict[int, tuple[int, int]]
    items: dict[int, str]


def unmarked(marked: str) -> tuple[str, dict[int, tuple[int, int]]]:
    """The bare sentence, and the bounds of each numbered stretch."""
    text, open_at, closed, numbers = "", list[int](), None, dict[int, tuple[int, int]]()
    for piece in re.findall(r"[\[\]]|[⁰¹²³⁴⁵⁶⁷⁸⁹]+|[^\[\]⁰¹²³⁴⁵⁶⁷⁸⁹]+", marked):
        if piece == "[":
            open_at.append(len(text))
        elif piece == "]":
            closed = (open_at.pop(), len(text))
        elif closed and piece.translate(DIGITS).isdigit():
            assert int(piece.translate(DIGITS)) not in numbers, marked
            numbers[int(piece.translate(DIGITS))], closed = closed, None
        else:
            assert closed is None, f"a bracket without a number: {marked}"
            text += piece
    assert not open_at, marked
    assert closed is None, marked
    return text, numbers


def read_examples() -> list[Example]:
    guidelines = (ROOT / "labeling" / "guidelines.md").read_text("utf-8")
    examples = []
    for section in guidelines.split("\n## Worked examples: ")[1:]:
        title, body = section.split("\n", 1)
        for block in re.split(r"^> ", body.split("\n## ")[0], flags=re.MULTILINE)[1:]:
            sentence, *rest = block.splitlines()
            items = {int(n): item for n, item in re.findall(r"^(\d+)\. (.+)$", "\n".join(rest), flags=re.MULTILINE)}
            examples.append(Example(LANGUAGES[title], *unmarked(sentence), items))
    return examples


def attributes(label: str, words: list[str], scheme: Scheme) -> Attributes:
    if label == "QUANTITY":
        kind, bound, *rest = words
        numbers = [float(word) for word in rest if re.fullmatch(r"[\d.]+", word)]
        units = [word for word in rest if not re.fullmatch(r"[\d.]+", word)]
        low = numbers[0] if numbers and bound != "upper" else None
        high = numbers[-1] if numbers and bound != "lower" else None
        assert len(units) <= 1, words
        assert len(numbers) == {"vague": 0, "range": 2}.get(bound, 1), words
        unit = units[0] if units else None
        return attributes_of({"kind": kind, "bound": bound, "value_min": low, "value_max": high, "unit": unit})
    found = scheme.label(label)
    assert found
    return attributes_of(dict(zip([a.name for a in found.attributes], words, strict=True)))


def gold_of(example: Example, scheme: Scheme) -> Gold:
    assert sorted(example.numbers) == sorted(example.items) == list(range(1, len(example.items) + 1)), example
    spans: dict[int, dict[str, Span]] = {}
    arrows: list[tuple[Span, str, int]] = []
    for number, item in example.items.items():
        for part in item.replace("`", "").split("; "):
            name, *words = part.split()
            if scheme.label(name):
                span = Span(*example.numbers[number], name, attributes(name, words, scheme))
                spans.setdefault(number, {})[name] = span
            else:
                arrows.append((span, name, int(words[0])))
    relations = []
    for head, name, number in arrows:
        type_ = scheme.relation(name)
        assert type_, name
        tail = next(label for label in (type_.prefer, *type_.tails) if label in spans[number])
        relations.append(Relation(name, head, spans[number][tail]))
    document = Document("example", example.language, example.sentence)
    every = tuple(sorted(span for at in spans.values() for span in at.values()))
    return Gold(document, every, tuple(sorted(relations)))


EXAMPLES = read_examples()


def scheme_of_examples(scheme: Scheme) -> Scheme:
    """The scheme with the invented actors of the examples in its registry; one id is always of one kind."""
    known = dict(scheme.registries["actors.toml"])
    for example in EXAMPLES:
        for span in gold_of(example, scheme).spans:
            values = dict(span.attributes)
            if span.label == "ACTOR":
                known.setdefault(str(values["entity"]), Entity(str(values["entity"]), str(values["kind"]), {}))
    return replace(scheme, registries={"actors.toml": known})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.sentence[:30])
def test_an_example_passes_the_checks_of_gold(example: Example, corpus: Corpus) -> None:
    scheme = scheme_of_examples(corpus.scheme)
    gold = gold_of(example, scheme)
    findings = check_gold(gold, scheme, corpus.languages[example.language])
    # What the rules ask for: an auxiliary or a numeral at the left edge, a name behind a proclitic.
    assert [f for f in findings if f.severity == "error" or f.id not in ("edge-function-word", "inside-token")] == []


@pytest.mark.parametrize("language", LANGUAGES.values())
def test_each_label_has_eight_examples_in_each_language(language: str, corpus: Corpus) -> None:
    sentences = Counter(
        label
        for example in EXAMPLES
        if example.language == language
        for label in {span.label for span in gold_of(example, corpus.scheme).spans}
    )
    assert {label: count for label, count in sentences.items() if count >= 8}.keys() == set(corpus.scheme.label_names)


def test_every_value_of_every_choice_is_shown(corpus: Corpus) -> None:
    shown = {
        (span.label, name, value)
        for example in EXAMPLES
        for span in gold_of(example, corpus.scheme).spans
        for name, value in span.attributes
    }
    missing = [
        (label.name, attribute.name, value)
        for label in corpus.scheme.labels
        for attribute in label.attributes
        for value in attribute.values
        if (label.name, attribute.name, value) not in shown
    ]
    assert missing == []


def test_no_example_is_taken_from_an_article(corpus: Corpus) -> None:
    def words(text: str) -> list[str]:
        return re.findall(r"\w+", text.casefold())

    taken = {
        tuple(article[i : i + SHARED_WORDS])
        for document in corpus.documents
        for article in [words(document.text)]
        for i in range(len(article))
    }
    texts = [words(example.sentence) for example in EXAMPLES]
    runs = {tuple(text[i : i + SHARED_WORDS]) for text in texts for i in range(len(text) - SHARED_WORDS + 1)}
    assert EXAMPLES
    assert runs & taken == set()


def test_the_instruction_keeps_what_label_studio_takes_off() -> None:
    html = render_instruction(
        "1. *selon des* [responsables]; *قال* [مصدر حكومي]; *و*\n\n| name | rule |\n|---|---|\n| holder | *who* |\n\n"
        "> و[تخشى]¹ [لشبونة]² 300 طبيب.\n\n<b>&</b>\n"
    )
    assert (
        "<li>1. <em>selon des</em> [responsables]; \u2067<em>قال</em> [مصدر حكومي]\u2069; \u2067<em>و</em>\u2069</li>"
        in html
    )
    assert "<p><strong>holder</strong> · rule: <em>who</em></p>" in html
    assert "<table>" not in html
    assert "<p>\u2067و[تخشى]¹ [لشبونة]² 300 طبيب.\u2069</p>" in html
    assert "&lt;b&gt;&amp;&lt;/b&gt;" in html
