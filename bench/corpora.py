"""Made datasets of any size: the sentences of the committed gold with other words in them.

Each document is of one language and joins sentences of its articles until it has thirty spans, with their attributes
and relations. Every longer word takes one of two hundred other forms of its length, so that offsets and tokens stay
and texts, names and numbers differ; a form that a proclitic would be split from, or not, as the word is not, is none.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import regex

from testimonia import tables
from testimonia.checks import check_gold
from testimonia.corpus import Corpus, read_corpus
from testimonia.document import Document, Gold, Relation, Span, Zone
from testimonia.language import Language
from testimonia.release import build_gold

ROOT = Path(__file__).parent.parent
SPANS = 30
FORMS = 200
_LONG = regex.compile(r"\p{L}{4,}|\d+")
_ALPHABET = {"ar": "ابتجدرسشعفقلمنهوي"}
_LAST = "2026-01-02 · 12:34"  # a line that is not annotated
_LATIN = "abcdefghijlmnoprstuvz"


def write_documents(folder: Path, documents: int, seed: int, shard: int = 10_000) -> list[Path]:
    """Writes shards of the config `documents`, if they are not there already; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    count = -(-documents // shard)
    sizes = [min(shard, documents - number * shard) for number in range(count)]
    paths = [folder / f"test-{number:05}-of-{count:05}.parquet" for number in range(count)]
    jobs = [job for job in zip(range(count), sizes, paths, strict=True) if not job[2].exists()]
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_write, seed), *zip(*jobs, strict=True)) if jobs else ())
    return paths


def _write(seed: int, number: int, size: int, path: Path) -> None:
    corpus = read_corpus(ROOT)
    made = made_documents(corpus, size, seed * 1_000_003 + number, f"{number:05}")
    schema = tables.schema("documents", corpus.scheme)
    unfinished = path.with_suffix(".unfinished")
    with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        some: list[Gold] = []
        for gold in made:
            some.append(gold)
            if len(some) == 1000:
                writer.write_table(_table(some, corpus, schema))
                some = []
        if some:
            writer.write_table(_table(some, corpus, schema))
    unfinished.rename(path)


def _table(golds: list[Gold], corpus: Corpus, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(tables.rows("documents", corpus.scheme, corpus.languages, golds), schema=schema)


def made_documents(corpus: Corpus, count: int, seed: int, name: str) -> Iterator[Gold]:
    """So many documents with ids `made-NAME-0`, ..."""
    draw = random.Random(seed)
    golds = build_gold(corpus)[0]
    pools = {code: _sentences([g for g in golds if g.document.language == code], corpus) for code in ("ro", "ar", "fr")}
    forms: dict[tuple[str, str], list[str]] = {}
    for number in range(count):
        code = draw.choice(list(pools))
        text, spans, relations = "", list[Span](), list[Relation]()
        while len(spans) < SPANS:
            words, own, joined = draw.choice(pools[code])
            words = _LONG.sub(partial(_other, draw, forms, corpus.languages[code]), words)
            moved = {span: replace(span, start=span.start + len(text), end=span.end + len(text)) for span in own}
            relations += [Relation(r.label, moved[r.head], moved[r.tail]) for r in joined]
            spans += moved.values()
            text += words + draw.choice((" ", " ", "\n"))
        kept = set(sorted(spans)[:SPANS])
        relations = [r for r in relations if r.head in kept and r.tail in kept]
        text = text.rstrip()
        zones = (Zone(0, len(text), "body"), Zone(len(text) + 1, len(text) + 1 + len(_LAST), "boilerplate"))
        document = Document(f"made-{name}-{number}", code, f"{text}\n{_LAST}", zones=zones)
        yield Gold(document, tuple(sorted(kept)), tuple(relations), provenance=("agreed",) * len(kept))


def _sentences(golds: list[Gold], corpus: Corpus) -> list[tuple[str, list[Span], list[Relation]]]:
    """Each sentence in which the checks find nothing, with its spans and relations, offsets from its start."""
    found = []
    for gold in golds:
        language, text = corpus.languages[gold.document.language], gold.document.text
        for start, end in language.sentences(text):
            moved = {
                span: replace(span, start=span.start - start, end=span.end - start)
                for span in gold.spans
                if start <= span.start and span.end <= end
            }
            inside = [r for r in gold.relations if r.head in moved and r.tail in moved]
            joined = [Relation(r.label, moved[r.head], moved[r.tail]) for r in inside]
            alone = Gold(Document("alone", language.code, text[start:end]), tuple(moved.values()), tuple(joined))
            if not check_gold(alone, corpus.scheme, language):
                found.append((text[start:end], list(moved.values()), joined))
    return found


def _other(
    draw: random.Random, forms: dict[tuple[str, str], list[str]], language: Language, match: regex.Match[str]
) -> str:
    word = str(match.group())
    if word[0].isdigit():
        return word[0] + "".join(draw.choice("0123456789") for _ in word[1:])
    found = forms.get((language.code, word))
    if found is None:
        alphabet = _ALPHABET.get(language.code, _LATIN)
        made = {word[:2] + "".join(draw.choice(alphabet) for _ in word[2:]) for _ in range(FORMS)}
        found = [one for one in sorted(made) if _alike(language, word, one)] or [word]
        forms[language.code, word] = found
    return draw.choice(found)


def _alike(language: Language, word: str, other: str) -> bool:
    split = [[(0, len(word))] == language.tokens(one) for one in (word, other)]
    return (
        split[0] == split[1]
        and language.proclitic(word) == language.proclitic(other)
        and not language.is_function_word(other, "")
        and not language.is_function_word(word, "")
    )
