from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testimonia.corpus import Corpus
from testimonia.language import Language, read_languages
from tests.conftest import ROOT
from tests.strategies import texts

LANGUAGES = read_languages(ROOT / "labeling" / "languages")


@given(text=texts, code=st.sampled_from(sorted(LANGUAGES)))
def test_sentences_and_tokens_cover_everything_but_white_space(text: str, code: str) -> None:
    language = LANGUAGES[code]
    sentences = language.sentences(text)
    tokens = [token for start, end in sentences for token in language.tokens(text, start, end)]
    covered = {index for start, end in tokens for index in range(start, end)}
    assert all(text[index].isspace() for index in range(len(text)) if index not in covered)
    assert tokens == sorted(tokens)
    assert all(left[1] <= right[0] for left, right in pairwise(tokens))
    assert all(start < end for start, end in tokens)


@pytest.mark.parametrize(
    ("code", "text", "tokens"),
    [
        ("fr", "l’armée d'Ukraine aujourd'hui", ["l’", "armée", "d'", "Ukraine", "aujourd'hui"]),
        ("ro", "a-l susține, 10.000", ["a", "-", "l", "susține", ",", "10.000"]),
        ("ar", "والوزير", ["و", "الوزير"]),
        ("ar", "وزارة", ["وزارة"]),
        ("ar", "وَزارة", ["وَزارة"]),
        ("ar", "للزعيم", ["للزعيم"]),
        ("ar", "ووفقا لروسيا", ["و", "وفقا", "ل", "روسيا"]),
        ("ar", "بالتعاون", ["ب", "التعاون"]),
        ("ar", "بوتين", ["بوتين"]),
    ],
)
def test_tokens(code: str, text: str, tokens: list[str]) -> None:
    assert [text[start:end] for start, end in LANGUAGES[code].tokens(text)] == tokens


def test_no_sentence_crosses_a_line(corpus: Corpus) -> None:
    for document in corpus.documents:
        language = corpus.languages[document.language]
        assert all("\n" not in document.text[start:end] for start, end in language.sentences(document.text))


def test_numeral_keeps_its_article() -> None:
    romanian = LANGUAGES["ro"]
    assert not romanian.is_function_word("o", "mie")
    assert romanian.is_function_word("o", "armată")
    assert LANGUAGES["fr"].is_function_word("L’", "armée")
    assert Language("xx").tokens("a b") == [(0, 1), (2, 3)]


def test_marks_stay_with_their_letter() -> None:
    text = "وَالوزير"
    assert [text[start:end] for start, end in LANGUAGES["ar"].tokens(text)] == ["وَ", "الوزير"]
