"""Stand-off releases: nothing of the texts is in them, and what is put back is the release, byte for byte."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from testimonia import tables
from testimonia.cli import app
from testimonia.corpus import Corpus, read_corpus
from testimonia.errors import InputError
from testimonia.release import export_gold, validate_dataset, write_sums
from testimonia.standoff import rehydrate, strip_text
from tests.conftest import ROOT, one_reader

SEEDS = ROOT / "seeds"


@pytest.fixture(scope="module")
def stripped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("standoff") / "standoff"
    strip_text(ROOT / "dataset", out)
    return out


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def test_put_back_it_is_the_release(stripped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "articles"  # under other names, with other files among them
    folder.mkdir()
    for number, path in enumerate(sorted(SEEDS.glob("*.txt"))):
        shutil.copyfile(path, folder / f"{number}.html.txt")
    (folder / "notes.bin").write_bytes(b"\xff\xfe")
    _, same = rehydrate(stripped, folder, tmp_path / "full")
    assert same
    for path in (ROOT / "dataset").rglob("*"):
        if path.is_file():
            assert (tmp_path / "full" / path.relative_to(ROOT / "dataset")).read_bytes() == path.read_bytes()


def test_nothing_of_the_texts_is_left(stripped: Path, corpus: Corpus) -> None:
    held = [path.read_text() for path in stripped.rglob("*") if path.is_file() and path.suffix != ".parquet"]
    for path in stripped.rglob("*.parquet"):
        table = pq.read_table(path)
        held += strings(table.to_pylist())
        held += [value.decode(errors="replace") for value in (table.schema.metadata or {}).values()]
    everything = "\n".join(held)
    for document in corpus.documents:
        words = document.text.split()
        for number in range(len(words) - 7):
            passage = " ".join(words[number : number + 8])
            assert passage not in everything, passage
    quoting = {"text", "title", "head_text", "tail_text", "tokens", "texts", "source_texts"}
    for path in stripped.glob("*/*.parquet"):
        row = pq.read_table(path).slice(0, 1).to_pylist()[0]
        spans = row["spans"] if path.parent.name in ("documents", "annotations") else [{}]
        assert not quoting & {*row, *spans[0]}, path
    assert "license_name" not in (stripped / "README.md").read_text()
    rows = pq.read_table(stripped / tables.parquet_name("spans")).to_pylist()
    words = pq.read_table(ROOT / "dataset" / tables.parquet_name("spans"))["text"].to_pylist()
    texts = {document.doc_id: document.text_sha256 for document in corpus.documents}
    expected = [f"{texts[row['doc_id']]}\0{own}".encode() for row, own in zip(rows, words, strict=True)]
    assert [row["text_sha256"] for row in rows] == [hashlib.sha256(one).hexdigest() for one in expected]


def test_it_loads(stripped: Path, tmp_path: Path, corpus: Corpus) -> None:
    for config in json.loads((stripped / "manifest.json").read_text())["configs"]:
        loaded = datasets.load_dataset(str(stripped), config, split="test", cache_dir=str(tmp_path))
        assert len(loaded) == len(pq.read_table(stripped / tables.parquet_name(config)))
    spans = datasets.load_dataset(str(stripped), "spans", split="test", cache_dir=str(tmp_path))
    assert set(spans["label"]) == set(corpus.scheme.label_names)
    card = (stripped / "README.md").read_text()
    assert "license: cc-by-4.0\n" in card
    assert card.index("# testimonia") < card.index("**Without the texts.**") < card.index("## Load it")


def test_validation_wants_the_texts(stripped: Path, corpus: Corpus) -> None:
    with pytest.raises(InputError, match="is a stand-off release, without its texts; put them back with rehydrate"):
        validate_dataset(stripped, corpus)


def test_what_does_not_fit_is_refused(stripped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "articles"
    shutil.copytree(SEEDS, folder)
    [fr] = folder.glob("003_*.txt")
    fr.unlink()
    with pytest.raises(InputError, match=r"no file has the SHA-256 of fr-1 \(f7a69b0a"):
        rehydrate(stripped, folder, tmp_path / "out")
    text = next(SEEDS.glob("003_*.txt")).read_text()
    (folder / "fr-1.txt").write_text(text.replace("armée russe", "armee russe", 1))
    with pytest.raises(InputError, match=r"fr-1:\d+-\d+:ACTOR does not fit, there stands 'armee russe'"):
        rehydrate(stripped, folder, tmp_path / "out")
    (folder / "fr-1.txt").write_text(text + "\n")
    with pytest.raises(InputError, match="though every span fits"):
        rehydrate(stripped, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(app, ["rehydrate", str(stripped), "--texts", str(SEEDS), "--out", str(tmp_path / "out")])
    assert "the same bytes" in done.output


def test_a_stand_off_release_that_was_changed(stripped: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(stripped, other)
    path = other / tables.parquet_name("spans")
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["end"] += 1
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    with pytest.raises(InputError, match="is not the file that was summed"):
        rehydrate(other, SEEDS, tmp_path / "out")
    (other / "SHA256SUMS").unlink()
    write_sums(other)
    with pytest.raises(InputError, match=re.escape(f"{rows[0]['id']}: the words there")):
        rehydrate(other, SEEDS, tmp_path / "out")
    rows[0] |= {"end": rows[0]["end"] - 1, "provenance": "added"}
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    (other / "SHA256SUMS").unlink()
    write_sums(other)
    with pytest.raises(InputError, match="spans: the rows are not those of the full release"):
        rehydrate(other, SEEDS, tmp_path / "out")


def test_nothing_else_is_written_over_or_taken_along(stripped: Path, tmp_path: Path) -> None:
    articles = tmp_path / "articles"
    shutil.copytree(SEEDS, articles)
    before = sorted(path.name for path in articles.iterdir())
    for out in (articles, tmp_path, articles / "below", stripped, stripped / "full", Path("/")):
        with pytest.raises(InputError, match="name another"):
            rehydrate(stripped, articles, out)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("all of it")
    with pytest.raises(InputError, match="holds other things"):
        strip_text(ROOT / "dataset", other)
    assert (other / "thesis.txt").read_text() == "all of it"
    assert sorted(path.name for path in articles.iterdir()) == before
    link = tmp_path / "link"
    link.symlink_to(other)
    with pytest.raises(InputError, match="is a link"):
        strip_text(ROOT / "dataset", link)

    dataset = tmp_path / "dataset"
    shutil.copytree(ROOT / "dataset", dataset)
    for stray in (dataset / "article.txt", dataset / "spans" / "test-00001-of-00002.parquet"):
        shutil.copyfile(SEEDS / "sources.toml", stray)
        (dataset / "SHA256SUMS").unlink()
        write_sums(dataset)
        with pytest.raises(InputError, match=f"{stray.name}: is no plain file of the release"):
            strip_text(dataset, tmp_path / "out")
        stray.unlink()
    (dataset / "croissant.json").unlink()
    (dataset / "croissant.json").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match=r"croissant\.json: is no plain file"):
        strip_text(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["manifest.json", "full/manifest.json"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["configs"]["spans"].update(file="../spans.parquet"), "the file of spans is"),
        (lambda m: m["configs"]["spans"].update(file="/tmp/spans.parquet"), "the file of spans is"),
        (lambda m: m["configs"].update(raw=m["configs"]["spans"]), "config 'raw' is not one"),
        (lambda m: m["configs"].update(spans=3), "config 'spans' is not one"),
        (lambda m: m["configs"].pop("tokens"), "tokens|has other configs"),
        (lambda m: m.pop("version"), "has no name, version|other configs"),
        (lambda m: m.update(tools=[]), "or tools"),
        (lambda m: m.pop("configs"), "lists no config documents"),
    ],
)
def test_a_manifest_that_was_changed(stripped: Path, tmp_path: Path, name: str, change: Any, message: str) -> None:
    other = tmp_path / "other"
    shutil.copytree(stripped, other)
    manifest = json.loads((other / name).read_text())
    change(manifest)
    (other / name).write_text(json.dumps(manifest))
    (other / "SHA256SUMS").unlink()
    write_sums(other)
    with pytest.raises(InputError, match=message):
        rehydrate(other, SEEDS, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["other"]


def test_what_cannot_be_stripped(copy: Path, tmp_path: Path, stripped: Path) -> None:
    with pytest.raises(InputError, match="is no stand-off release"):
        rehydrate(ROOT / "dataset", SEEDS, tmp_path / "out")
    sources = copy / "seeds" / "sources.toml"
    sources.write_text(sources.read_text().replace('title = ""', 'title = "Another headline"'))
    one_reader(copy)
    export_gold(read_corpus(copy))
    with pytest.raises(InputError, match="ar-1: its title is not in its text"):
        strip_text(copy / "dataset", tmp_path / "out")
    (copy / "dataset" / "README.md").write_text("---\n---\n")
    with pytest.raises(InputError, match=r"SHA256SUMS README\.md"):
        strip_text(copy / "dataset", tmp_path / "out")
