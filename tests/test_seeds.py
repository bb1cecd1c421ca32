from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from testimonia.corpus import Corpus, read_corpus
from testimonia.errors import InputError
from testimonia.seeds import read_text


def test_the_five_articles(corpus: Corpus) -> None:
    assert [d.doc_id for d in corpus.documents] == ["ro-1", "ar-1", "ar-2", "fr-1", "fr-2"]
    assert [d.fold for d in corpus.documents] == [0, 1, 2, 3, 4]
    for document in corpus.documents:
        covered = {i for zone in document.zones for i in range(zone.start, zone.end)}
        assert all(c.isspace() for i, c in enumerate(document.text) if i not in covered), document.doc_id


def test_a_changed_byte_names_the_file(copy: Path) -> None:
    path = next((copy / "seeds").glob("002*.txt"))
    path.write_bytes(path.read_bytes().replace(b"2024", b"2025"))
    with pytest.raises(InputError, match=rf"{path.name}: the bytes are not those of sources.toml"):
        read_corpus(copy)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xef\xbb\xbfText", "byte 0: a byte order mark"),
        (b"Te\xffxt", "byte 2: not UTF-8"),
        (b"\xed\xa0\x80", "byte 0: not UTF-8"),  # a lone surrogate
        (b"a\nb\0c", "line 2: a NUL, code point 3"),
        (b"a\r\nb", "line 1: a carriage return, code point 1"),
        (b" \n", "no text"),
    ],
)
def test_bytes_that_may_not_enter(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=re.escape(message)):
        read_text(path, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('language = "ro"', 'language = "tlh"', "language = 'tlh' is not one of ar, fr, ro"),
        ("start = 0, end = 76", "start = 0, end = 99", r"zones \[0, 99\) and \[77, 2594\) overlap"),
        ("end = 2594", "end = 9999", r"leaves the text of 2598 code points"),
        ('id = "ar-1"', 'id = "ro-1"', "the id stands twice"),
        ('id = "ar-1"', 'id = "../x"', "not lower-case words"),
        ('file = "001_fbe25afba0410910.txt"', 'file = "000_7fd4331a8fd6c2c3.txt"', "the bytes are not those"),
        ('file = "000_', 'file = "../000_', "is not a plain file"),
        ('translation = "unknown"', 'translator = "x"', "translation is missing"),
        ("[[document]]", "[document", "cannot be read as TOML"),
        ("000_7fd4331a8fd6c2c3.txt", "000.txt", "cannot be read"),
    ],
)
def test_entries_that_are_refused(copy: Path, old: str, new: str, message: str) -> None:
    path = copy / "seeds" / "sources.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_corpus(copy)


def test_a_file_without_an_entry_and_one_with(copy: Path) -> None:
    (copy / "seeds" / "new.txt").write_text("Un article.")
    with pytest.raises(InputError, match=r"has no entry for new.txt"):
        read_corpus(copy)
    digest = hashlib.sha256(b"Un article.").hexdigest()
    with (copy / "seeds" / "sources.toml").open("a") as file:
        file.write(
            f'[[document]]\nid = "fr-3"\nfile = "new.txt"\nsha256 = "{digest}"\n'
            'language = "fr"\ntitle = ""\ntranslation = "unknown"\n'
        )
    assert read_corpus(copy).documents[-1].fold == 5
