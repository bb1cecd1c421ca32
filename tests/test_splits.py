"""Splits: what repeats stays together, nothing moves, every tool reads a release of several."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testimonia import tables
from testimonia.corpus import read_corpus
from testimonia.document import SPLITS
from testimonia.errors import FindingsError, InputError, errors_among
from testimonia.rebuild import verify_release
from testimonia.release import export_gold, validate_dataset
from testimonia.splits import Policy, assigned, check_splits, repeats
from testimonia.standoff import rehydrate, strip_text
from testimonia.toml import Table

POLICY = Policy({"train": 0.5, "validation": 0.25, "test": 0.25})


def article(seed: int, words: int = 200) -> str:
    draw = random.Random(seed)
    return " ".join(f"w{draw.randrange(5000)}" for _ in range(words))


def edited(text: str, share: float, seed: int = 9) -> str:
    """The text with a share of its words replaced, in one stretch at the end."""
    words = text.split()
    kept = round(len(words) * (1 - share))
    return " ".join([*words[:kept], *article(seed, len(words) - kept).split()])


def test_what_repeats_is_found_and_what_does_not_is_not() -> None:
    texts = [article(1), article(2), edited(article(1), 0.1), "", "Un.", "un", article(3)]
    assert repeats(texts, 0.5) == {2: [0], 5: [4]}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([0.0, 0.05, 0.2])), min_size=1, max_size=12))
def test_adding_articles_moves_none(made: list[tuple[int, float]]) -> None:
    articles = [(f"d-{n}", edited(article(seed), share, n)) for n, (seed, share) in enumerate(made)]
    whole = assigned(articles, POLICY)
    for size in range(len(articles)):
        assert assigned(articles[:size], POLICY) == whole[:size]
    first: dict[int, str] = {}
    for (seed, _), split in zip(made, whole, strict=True):
        assert first.setdefault(seed, split) == split


def test_shares_are_kept_and_the_salt_deals_anew() -> None:
    articles = [(f"d-{n}", f"{n}") for n in range(4000)]
    found = assigned(articles, POLICY)
    assert {name: round(found.count(name) / 4000, 1) for name in SPLITS} == {
        "train": 0.5,
        "validation": 0.2,
        "test": 0.2,
    }
    assert found != assigned(articles, Policy(POLICY.shares, salt="2"))


def test_an_article_between_two_splits_is_a_finding() -> None:
    one, other = article(1, 300), article(2, 300)
    both = " ".join(one.split()[:250] + other.split()[:250])
    split = {"a": "train", "b": "test", "c": "train"}
    texts = {"a": one, "b": other, "c": both}
    [finding] = check_splits([(name, split[name], texts[name]) for name in "abc"])
    assert (finding.place, finding.id, "repeats b, which is in test" in finding.message) == ("c", "split-leak", True)
    assert check_splits([(name, "test", texts[name]) for name in "abc"]) == []


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("train = 0.5\ntest = 0.4", "do not add up to 1"),
        ("train = 1.5\ntest = -0.5", "do not add up to 1"),
        ("test = 1\nsimilarity = 0", "similarity = 0.0"),
        ("dev = 1", "unknown key 'dev'"),
    ],
)
def test_a_policy_that_cannot_be_is_an_error(copy: Path, policy: str, message: str) -> None:
    with_policy(copy, policy)
    with pytest.raises(InputError, match=message):
        read_corpus(copy)


def with_policy(folder: Path, policy: str) -> None:
    path = folder / "seeds" / "sources.toml"
    text = path.read_text()
    assert "[splits]\ntest = 1\n" in text
    path.write_text(text.replace("[splits]\ntest = 1\n", f"[splits]\n{policy}\n"))


@pytest.fixture
def parted(copy: Path) -> Path:
    """A copy of the corpus, its release in three splits."""
    with_policy(copy, 'train = 0.5\nvalidation = 0.25\ntest = 0.25\nsalt = "0"')
    export_gold(read_corpus(copy))
    return copy


def test_a_release_of_several_splits(parted: Path, tmp_path: Path) -> None:
    corpus = read_corpus(parted)
    where = {document.doc_id: document.split for document in corpus.documents}
    assert set(where.values()) == set(SPLITS)
    for split in SPLITS:
        loaded = datasets.load_dataset(str(corpus.dataset), split=split, cache_dir=str(tmp_path / "cache"))
        assert {row["doc_id"]: split for row in loaded}.items() <= where.items()
        assert all(row["spans"] for row in loaded)
    files = json.loads((corpus.dataset / "manifest.json").read_text())["configs"]["documents"]["files"]
    assert [file["file"] for file in files] == [tables.parquet_name("documents", split) for split in SPLITS]
    assert errors_among(validate_dataset(corpus.dataset, corpus)) == []
    assert not verify_release(corpus).findings
    strip_text(corpus.dataset, tmp_path / "stripped")
    _, same = rehydrate(tmp_path / "stripped", parted / "seeds", tmp_path / "full")
    assert same
    claims = pq.read_table(corpus.dataset / "claims").to_pylist()
    assert {row["claim_id"] for row in claims} == {claim.id for claim in corpus.claims.claims}


def test_a_split_without_documents_is_not_written(copy: Path) -> None:
    with_policy(copy, "train = 1")
    export_gold(read_corpus(copy))
    names = {path.name for path in (copy / "dataset").rglob("*.parquet")}
    assert names == {"train-00000-of-00001.parquet"}
    assert errors_among(validate_dataset(copy / "dataset", read_corpus(copy))) == []


def test_a_release_with_a_leak_is_refused(parted: Path) -> None:
    corpus = read_corpus(parted)
    one, other = (next(d for d in corpus.documents if d.split == split) for split in ("train", "test"))
    text = f"{one.text}\n{other.text}"
    (parted / "seeds" / "both.txt").write_text(text)
    entry = {"id": "both", "file": "both.txt", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    entry |= {"language": one.language, "title": "", "translation": "unknown"}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    with (parted / "seeds" / "sources.toml").open("a") as file:
        file.write(f"\n[[document]]\n{lines}zones = [{{ start = 0, end = {len(text)}, kind = 'body' }}]\n")
    with pytest.raises(FindingsError) as raised:
        export_gold(read_corpus(parted))
    assert "split-leak" in {finding.id for finding in raised.value.findings}


def test_a_policy_is_read() -> None:
    from testimonia.splits import read_policy

    table = Table({"train": 0.9, "test": 0.1, "similarity": 0.4, "salt": "x"}, "here")
    assert read_policy(table) == Policy({"train": 0.9, "test": 0.1}, 0.4, "x")
