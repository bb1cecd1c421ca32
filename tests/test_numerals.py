"""Numerals and quantities in three languages: invented phrases, their spans and their values."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testimonia_baseline import predict, read_lexicon
from testimonia_baseline.numerals import Numerals, digits_value, numeral_at
from testimonia_baseline.words import words_of

from testimonia.document import Document
from testimonia.language import read_languages

LABELING = Path(__file__).parent.parent / "labeling"
LANGUAGES = read_languages(LABELING / "languages")
LEXICA = {path.stem: read_lexicon(path) for path in sorted((LABELING / "baseline").glob("*.toml"))}

DIGITS = [
    ("7", 7),
    ("1.500", 1500),
    ("1,500", 1500),
    ("1'500", 1500),
    ("1.234.567", 1234567),
    ("1.234,5", 1234.5),
    ("1,234.5", 1234.5),
    ("1,5", 1.5),
    ("1.5", 1.5),
    ("0,500", 0.5),
    ("12,25", 12.25),
    ("1500", 1500),
    ("١٬٥٠٠", 1500),
    ("١٫٥", 1.5),
    ("٢٥٠", 250),
    ("۲۵۰", 250),
    ("3e", None),
    ("1.2.3", None),
    ("", None),
    ("x", None),
]


@pytest.mark.parametrize(("token", "value"), DIGITS)
def test_digits(token: str, value: float | None) -> None:
    assert digits_value(token) == value


@given(st.text(max_size=12))
def test_any_token_has_a_value_or_none(token: str) -> None:
    value = digits_value(token)
    assert value is None or value >= 0


@given(st.integers(min_value=1, max_value=999_999_999), st.sampled_from([".", ",", "'", "٬"]))
def test_grouped_digits_are_the_number(number: int, separator: str) -> None:
    assert digits_value(f"{number:,}".replace(",", separator)) == number


WORDS = [
    ("ro", "douăzeci și cinci", 25),
    ("ro", "trei mii două sute cincizeci și patru", 3254),
    ("ro", "o sută", 100),
    ("ro", "un milion", 1_000_000),
    ("ro", "douăzeci de mii", 20_000),
    ("ro", "200 de mii", 200_000),
    ("ro", "2,5 milioane", 2_500_000),
    ("ro", "1 500 000", 1_500_000),
    ("ro", "nouasprezece", 19),
    ("fr", "quatre-vingt-dix-sept", 97),
    ("fr", "soixante et onze", 71),
    ("fr", "vingt et un", 21),
    ("fr", "deux cent mille", 200_000),
    ("fr", "mille deux cents", 1200),
    ("fr", "cent quatre-vingts", 180),
    ("fr", "3,5 milliards", 3_500_000_000),
    ("fr", "10\u00a0000", 10_000),
    ("ar", "خمسة وعشرون", 25),
    ("ar", "ثلاثة آلاف وخمسمئة", 3500),
    ("ar", "خمسة عشر", 15),
    ("ar", "مئة وأربعة وعشرين", 124),
    ("ar", "ألفان وخمسمئة", 2500),
    ("ar", "ثمانون ألفا", 80_000),
    ("ar", "١٫٥ مليون", 1_500_000),
    ("ar", "ثلاث مئة", 300),
]


@pytest.mark.parametrize(("language", "text", "value"), WORDS)
def test_number_words(language: str, text: str, value: float) -> None:
    forms = [word.form for word in words_of(text, LANGUAGES[language], 0, len(text))]
    numeral = numeral_at(forms, 0, LEXICA[language].numerals)
    assert numeral is not None
    assert (numeral.value, numeral.end) == (value, len(forms))


@pytest.mark.parametrize(
    ("language", "text", "end"),
    [
        ("ro", "doi trei", 1),
        ("fr", "deux trois", 1),
        ("fr", "dix-douze", 1),
        ("ar", "ثلاثة وأربعة", 1),
        ("fr", "de", 0),
    ],
)
def test_what_is_no_one_number_ends(language: str, text: str, end: int) -> None:
    forms = [word.form for word in words_of(text, LANGUAGES[language], 0, len(text))]
    numeral = numeral_at(forms, 0, LEXICA[language].numerals)
    assert (numeral.end if numeral else 0) == end


def test_no_words_no_number() -> None:
    assert numeral_at(["un"], 0, Numerals()) is None


# Language, text, and of each quantity: its words, kind, bound, least, most and unit.
QUANTITIES = [
    ("ro", "Au venit 25 de soldați.", [("25 de soldați", "personnel", "exact", 25, 25, None)]),
    ("ro", "Au venit între 10 și 20 de nave.", [("între 10 și 20 de nave", "weapons", "range", 10, 20, None)]),
    ("ro", "Sunt 10-12 mii de tone.", [("10-12 mii de tone", "other", "range", 10_000, 12_000, None)]),
    ("ro", "A dat peste 3,5 milioane de lei.", [("peste 3,5 milioane de lei", "money", "lower", 3.5e6, None, "RON")]),
    ("ro", "Au sosit sute de voluntari.", [("sute de voluntari", "personnel", "vague", None, None, None)]),
    ("ro", "A crescut cu 5,5%.", [("5,5%", "other", "exact", 5.5, 5.5, "percent")]),
    ("ro", "A crescut cu 20 la sută.", [("20 la sută", "other", "exact", 20, 20, "percent")]),
    ("ro", "Are cel mult trei zile.", [("cel mult trei zile", "duration", "upper", None, 3, "day")]),
    ("ro", "A plecat la 3 martie 2021, în 2020 și la ora 10.", []),
    ("ro", "Cele două țări au semnat de trei ori articolul 5.", []),
    ("ro", "Un bărbat în vârstă de 35 de ani a plecat.", []),
    ("ro", "Au murit circa 40 de soldați.", [("circa 40 de soldați", "casualties", "approx", 40, 40, None)]),
    ("ro", "Trei brigăzi și un grup de ofițeri.", [
        ("Trei brigăzi", "military_units", "exact", 3, 3, None),
        ("grup de ofițeri", "personnel", "vague", None, None, None),
    ]),
    ("fr", "Plus de 300 pompiers grecs.", [("Plus de 300 pompiers", "personnel", "lower", 300, None, None)]),
    ("fr", "Il faut de 10 à 20 jours.", [("10 à 20 jours", "duration", "range", 10, 20, "day")]),
    ("fr", "Il reste 1 500 tonnes.", [("1 500 tonnes", "other", "exact", 1500, 1500, None)]),
    ("fr", "Une centaine de chars.", [("centaine de chars", "weapons", "approx", 100, 100, None)]),
    ("fr", "Des centaines de drones.", [("centaines de drones", "weapons", "vague", None, None, None)]),
    ("fr", "Coût : 2,5 millions d'euros.", [("2,5 millions d'euros", "money", "exact", 2.5e6, 2.5e6, "EUR")]),
    ("fr", "Jusqu'à 5 % des voix.", [("Jusqu'à 5 %", "other", "upper", None, 5, "percent")]),
    ("fr", "Près de vingt-deux soldats.", [("Près de vingt-deux soldats", "personnel", "approx", 22, 22, None)]),
    ("fr", "Les deux pays ont signé deux fois l'article 5 en 2020.", []),
    ("fr", "Il est arrivé le 3 mars, âgé de 35 ans, à 10:30.", []),
    ("fr", "Un F-16 et le T-72.", []),
    ("fr", "Plusieurs pays ont signé.", [("Plusieurs pays", "states", "vague", None, None, None)]),
    ("fr", "Plusieurs ont signé.", []),
    ("fr", "Cinquante ans de paix.", [("Cinquante ans", "duration", "exact", 50, 50, "year")]),
    ("fr", "Il y a deux décennies.", [("deux décennies", "duration", "exact", 2, 2, "decade")]),
    ("fr", "Une amende de $5 millions.", [("$5 millions", "money", "exact", 5e6, 5e6, "USD")]),
    ("ar", "وصل ثلاثة آلاف متطوع.", [("ثلاثة آلاف متطوع", "personnel", "exact", 3000, 3000, None)]),
    ("ar", "وصل الجنديان بعد سنتين.", [
        ("الجنديان", "personnel", "exact", 2, 2, None),
        ("سنتين", "duration", "exact", 2, 2, "year"),
    ]),
    ("ar", "وصل مئات المتطوعين.", [("مئات المتطوعين", "personnel", "vague", None, None, None)]),
    ("ar", "أكثر من ١٬٥٠٠ دبابة.", [("أكثر من ١٬٥٠٠ دبابة", "weapons", "lower", 1500, None, None)]),
    ("ar", "بين 10 و20 يوما.", [("بين 10 و20 يوما", "duration", "range", 10, 20, "day")]),
    ("ar", "حوالي 30 بالمئة.", [("حوالي 30 بالمئة", "other", "approx", 30, 30, "percent")]),
    ("ar", "في عام 2021 وفي 3 مارس.", []),
    ("ar", "اتفق البلدان.", []),
    ("ar", "كلف 2.5 مليون دولار.", [("2.5 مليون دولار", "money", "exact", 2.5e6, 2.5e6, "USD")]),
    ("ar", "قتل جندي واحد.", [("جندي واحد", "casualties", "exact", 1, 1, None)]),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), QUANTITIES)
def test_quantities(language: str, text: str, expected: list[tuple[object, ...]]) -> None:
    spans, _ = predict(Document("x-1", language, text), LANGUAGES[language], LEXICA[language], {})
    keys = "kind", "bound", "value_min", "value_max", "unit"
    actual = [
        (text[span.start : span.end], *(dict(span.attributes).get(key) for key in keys))
        for span in spans
        if span.label == "QUANTITY"
    ]
    assert actual == expected
