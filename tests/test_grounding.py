"""Quotes without offsets: each tier by example, and what holds for any text."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testimonia.folding import fold, form
from testimonia.grounding import Grounding, ground
from testimonia.language import read_languages
from tests.conftest import ROOT
from tests.strategies import texts

LANGUAGES = read_languages(ROOT / "labeling" / "languages")
RO = "Primarul a spus „nu plecăm” după ce 3.000 de muncitori şi-au pierdut slujbele în oraşul vechi. Primarul a plecat."
FR = "Selon l’Élysée, « la réunion n’a pas eu lieu » ; plus de 200 délégués attendaient à Genève depuis l'aube."
AR = "قال الوزير إنّ المدرسةَ الجديدة فتحت أبوابها لأكثر من ٣٠٠ طالب، وروسيا لم ترسل أي وفد إلى المؤتمر الكبير"


def one(text: str, quote: str, code: str) -> Grounding:
    return ground(text, [quote], LANGUAGES[code])[0]


@pytest.mark.parametrize(
    ("text", "code", "quote", "passage", "tier"),
    [
        (RO, "ro", "3.000 de muncitori", "3.000 de muncitori", "exact"),
        (RO, "ro", unicodedata.normalize("NFD", "pierdut slujbele în"), "pierdut slujbele în", "form"),
        (RO, "ro", '"nu plecăm"', "„nu plecăm”", "form"),
        (RO, "ro", "muncitori și-au", "muncitori şi-au", "letters"),
        (RO, "ro", "ORAȘUL VECHI", "oraşul vechi", "letters"),
        (RO, "ro", "«muncitori»!", "muncitori", "letters"),
        (RO, "ro", "Primarul a spus ... slujbele", RO[: RO.index(" în ora")], "parts"),
        (RO, "ro", "au pierdut slujebele în orasul", "au pierdut slujbele în oraşul", "words"),
        (FR, "fr", "Élysée", "Élysée", "exact"),
        (FR, "fr", "l'Élysée", "l’Élysée", "form"),
        (FR, "fr", '"la réunion n\'a pas eu lieu"', "« la réunion n’a pas eu lieu »", "form"),
        (FR, "fr", "delegues attendaient\u00a0a Geneve", "délégués attendaient à Genève", "letters"),
        (FR, "fr", "délégués attendaient Genève depuis", "délégués attendaient à Genève depuis", "words"),
        (AR, "ar", "المدرســة الجديدة", "المدرسةَ الجديدة", "letters"),
        (AR, "ar", "ان المدرسه", "إنّ المدرسةَ", "letters"),
        (AR, "ar", "300 طالب", "٣٠٠ طالب", "letters"),
        (AR, "ar", "روسيا", "روسيا", "exact"),
        (AR, "ar", "أي وفد \u200fإلى", "أي وفد إلى", "form"),
        (AR, "ar", "المدرسة الجديده فتحث أبوابها", "المدرسةَ الجديدة فتحت أبوابها", "words"),
    ],
)
def test_a_quote_is_found_in_its_tier(text: str, code: str, quote: str, passage: str, tier: str) -> None:
    found = one(text, quote, code)
    assert found.span
    assert text[slice(*found.span)] == passage
    assert found.tier == tier
    assert found.candidates == 1


@pytest.mark.parametrize(
    ("text", "code", "quote", "reason"),
    [
        (RO, "ro", "", "empty"),
        (RO, "ro", " \u200f„” ", "empty"),
        (RO, "ro", "8.000 de muncitori şi-au pierdut slujbele", "absent"),
        (RO, "ro", "000 de muncitori", "absent"),
        (RO, "ro", "muncitori nu şi-au pierdut slujbele", "absent"),
        (RO, "ro", "uncitor", "absent"),
        (RO, "ro", "guvernul a demisionat ieri", "absent"),
        (FR, "fr", "la réunion a eu lieu", "absent"),
        (FR, "fr", "plus de 300 délégués attendaient à Genève", "absent"),
        (AR, "ar", "وروسيا ترسل أي وفد إلى المؤتمر", "absent"),
        ("prima casă veche, a doua: prima masă veche", "ro", "prima vasă veche", "ambiguous"),
    ],
)
def test_what_is_doubtful_is_not_placed(text: str, code: str, quote: str, reason: str) -> None:
    found = one(text, quote, code)
    assert found.span is None
    assert found.reason == reason


def test_equal_quotes_take_one_place_after_the_other() -> None:
    found = ground("Ana a venit. Ion a venit. Ana a plecat.", ["Ana", "a venit", "Ion", "Ana", "Ana"], LANGUAGES["ro"])
    assert [grounding.span for grounding in found] == [(0, 3), (4, 11), (13, 16), (26, 29), (26, 29)]
    assert [grounding.candidates for grounding in found] == [2, 2, 1, 2, 2]


def test_a_quote_between_two_others_is_the_one_between_them() -> None:
    found = ground("Kim, Putin, Kim, Ion", ["Putin", "Kim", "Ion"], LANGUAGES["ro"])
    assert [grounding.span for grounding in found] == [(5, 10), (12, 15), (17, 20)]


def test_no_grapheme_cluster_is_cut() -> None:
    text = "A\u0301na 👩\u200d🚀 e\u0301"
    assert one(text, "👩", "ro").span is None
    assert one(text, "ána", "ro").span == (0, 4)
    assert one(text, "e", "ro").span == (9, 11)


@given(texts)
def test_the_folding_maps_back(text: str) -> None:
    folded = fold(text)
    assert len(folded.text) == len(folded.offsets)
    assert list(folded.offsets) == sorted(folded.offsets)
    for letter, offset in zip(folded.text, folded.offsets, strict=True):
        assert letter in fold(f"a{text[offset]}a").text
    assert fold(unicodedata.normalize("NFD", text)).text == fold(unicodedata.normalize("NFC", text)).text
    assert form(form(text)) == form(text)


@given(texts, st.data())
def test_a_substring_at_the_edges_of_words_is_found_as_it_is(text: str, data: st.DataObject) -> None:
    language = LANGUAGES["fr"]
    words = [(s, e) for s, e in language.tokens(text) if text[s].isalpha() and text[e - 1].isalpha()]
    if words:
        first = data.draw(st.integers(0, len(words) - 1))
        quote = text[words[first][0] : words[data.draw(st.integers(first, len(words) - 1))][1]]
        found = ground(text, [quote], language)[0]
        span = found.span
        assert span or found.reason == "empty"
        assert span is None or text[slice(*span)] == quote


anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=40) | texts


@given(anything, st.lists(anything, max_size=5), st.sampled_from(sorted(LANGUAGES)))
def test_any_strings_will_do(text: str, quotes: list[str], code: str) -> None:
    found = ground(text, [*quotes, text[3:9], text[1:]], LANGUAGES[code])
    assert [grounding.quote for grounding in found] == [*quotes, text[3:9], text[1:]]
    for grounding in found:
        assert (grounding.span is None) == (grounding.reason is not None) == (grounding.candidates == 0)
        assert grounding.span is None or 0 <= grounding.span[0] < grounding.span[1] <= len(text)


@pytest.mark.parametrize(
    ("text", "quotes"),
    [("glue" * 50_000, ["glue" * 50]), ("و" * 200_000, ["و" * 50]), ("la " * 50_000, ["la la la lo la la"] * 500)],
)
def test_time_is_bounded(text: str, quotes: list[str]) -> None:
    start = time.process_time()
    ground(text, quotes, LANGUAGES["ar"])
    assert time.process_time() - start < 20
