"""The boundary rules, case by case: what must pass and what must not."""

from __future__ import annotations

import pytest

from testimonia.checks import check_gold
from testimonia.corpus import Corpus
from testimonia.document import Document, Gold, Span, attributes_of

RU = attributes_of({"kind": "state", "entity": "state-ru"})
S = attributes_of({"type": "denial", "polarity": "against"})
ONE = attributes_of({"kind": "duration", "bound": "exact", "value_min": 1.0, "value_max": 1.0, "unit": "year"})
SHARE = attributes_of({"kind": "other", "bound": "exact", "value_min": 30.0, "value_max": 30.0, "unit": "percent"})


@pytest.mark.parametrize(
    ("language", "text", "span", "label", "attributes", "errors"),
    [
        ("fr", "Dit «Russie (Moscou)» hier", "Russie (Moscou)", "ACTOR", RU, []),
        ("fr", "Dit (Russie) hier", "(Russie)", "ACTOR", RU, ["edge-punctuation"]),
        ("fr", "Dit «Russie hier", "«Russie", "ACTOR", RU, ["edge-punctuation"]),
        ("fr", 'Dit "Russie" et "Kiev" hier', '"Russie" et "Kiev"', "ACTOR", RU, []),
        ("fr", 'Dit "Russie et Kiev" hier', '"Russie et Kiev"', "ACTOR", RU, ["edge-punctuation"]),
        ("ro", "a spus „Rusia” azi", "„Rusia” azi", "ACTOR", RU, []),
        ("fr", "La Russie.", "Russie.", "ACTOR", RU, ["edge-punctuation"]),
        ("fr", "l’armée russe", "l’armée russe", "ACTOR", RU, ["edge-function-word"]),
        ("fr", "Le Monde a dit", "Le Monde", "ACTOR", RU, []),
        ("ro", "Rusia a condamnat ferm", "a condamnat ferm", "STANCE", S, []),
        ("ro", "timp de un an", "un an", "QUANTITY", ONE, []),
        ("ar", "نسبة 30٪ من", "30٪", "QUANTITY", SHARE, []),
        ("fr", "environ 30 % de", "30 %", "QUANTITY", SHARE, []),
        ("ar", "قالت كالاس", "كالاس", "ACTOR", RU, []),
        ("ar", "وزارة الدفاع", "وزارة الدفاع", "ACTOR", RU, []),
        ("ar", "وَالوزير قال", "وَالوزير", "ACTOR", RU, ["edge-proclitic"]),
        ("ar", "إلى لروسيا", "لروسيا", "ACTOR", RU, ["edge-proclitic"]),
        ("ar", "قال \u200fالوزير", "\u200fالوزير", "ACTOR", RU, ["edge-space"]),
    ],
)
def test_boundaries(
    corpus: Corpus, language: str, text: str, span: str, label: str, attributes: tuple[()], errors: list[str]
) -> None:
    start = text.index(span)
    gold = Gold(Document("d-1", language, text), (Span(start, start + len(span), label, attributes),))
    findings = check_gold(gold, corpus.scheme, corpus.languages[language])
    assert [f.id for f in findings if f.severity == "error"] == errors


def test_not_a_number_is_no_value(corpus: Corpus) -> None:
    nan = attributes_of({"kind": "other", "bound": "lower", "value_min": float("nan")})
    gold = Gold(Document("d-1", "fr", "trois"), (Span(0, 5, "QUANTITY", nan),))
    assert "attribute-value" in {f.id for f in check_gold(gold, corpus.scheme, corpus.languages["fr"])}
