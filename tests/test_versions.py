"""Releases built again, compared, made and tagged: each in a repository of its own."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from testimonia import rebuild, release, tables
from testimonia.changes import (
    PARTS,
    Changes,
    Snapshot,
    changes_text,
    compare,
    read_snapshot,
    release_folder,
    summary_text,
)
from testimonia.cli import app
from testimonia.corpus import Corpus, read_corpus
from testimonia.errors import FindingsError, InputError
from testimonia.release import export_gold, write_sums
from testimonia.versions import check_rise, enter, entries, make_release
from tests.conftest import ROOT

Json = dict[str, Any]
DAY = datetime.date(2030, 1, 2)


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(alone: Path) -> Path:
    """A corpus of one reader in a git repository, with nothing released."""
    git(alone.parent, "init", "--quiet", str(alone))
    git(alone, "config", "user.name", "a")
    git(alone, "config", "user.email", "a@example.org")
    (alone / "CHANGELOG.md").write_text("# Changelog\n\nWhat changed.\n")
    (alone / ".gitignore").write_text(".*.lock\n")
    commit(alone)
    return alone


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "m")


def version(folder: Path, number: str) -> Corpus:
    path = folder / "labeling" / "rounds.toml"
    path.write_text(re.sub(r'version = ".*"', f'version = "{number}"', path.read_text()))
    return read_corpus(folder)


def released(folder: Path, number: str) -> None:
    corpus = version(folder, number)
    assert not make_release(corpus, today=DAY).tagged
    commit(folder)
    assert make_release(corpus, today=DAY).tagged


def edit(folder: Path, doc_id: str, change: Any) -> None:
    """Changes the results of the one annotation of a document."""
    path = folder / "labeling" / "exports" / "first" / f"{doc_id}.json"
    task = json.loads(path.read_text())
    task["annotations"][0]["result"] = change(task["annotations"][0]["result"])
    path.write_text(json.dumps(task, ensure_ascii=False))


def without(number: int) -> Any:
    """Takes out the region of that number, with what belongs to it."""

    def change(results: list[Json]) -> list[Json]:
        gone = [r["id"] for r in results if r["type"] == "labels"][number]
        return [r for r in results if gone not in (r.get("id"), r.get("from_id"), r.get("to_id"))]

    return change


def shorter(results: list[Json]) -> list[Json]:
    """Leaves of "mii de soldați" the first word."""
    [moved] = [r["id"] for r in results if r["type"] == "labels" and r["value"]["text"] == "mii de soldați"]
    for one in results:
        if one.get("id") == moved:
            one["value"] |= {"end": one["value"]["start"] + 3, "text": "mii"}
    return results


def test_a_release_is_made_step_by_step(repository: Path) -> None:
    corpus = version(repository, "0.1.0")
    first = make_release(corpus, today=DAY)
    assert (first.tag, first.tagged, first.since, first.changes) == ("v0.1.0", False, "", None)
    assert "dataset/manifest.json" in first.to_commit
    assert dict(entries(repository / "CHANGELOG.md")) == {"0.1.0": "First release."}
    assert release.read_citation(repository) | {"version": "0.1.0"} == release.read_citation(repository)
    assert 'date-released: "2030-01-02"' in (repository / "CITATION.cff").read_text()
    log_file = repository / "CHANGELOG.md"
    log_file.write_text(log_file.read_text() + "### Who\n\n#1 is mended.\n")
    commit(repository)
    git(repository, "branch", "v0.1.0")  # no tag
    assert make_release(corpus, today=datetime.date(2031, 1, 1)).tagged
    assert "First release.\n### Who" in git(repository, "tag", "--list", "--format=%(contents)", "v0.1.0")
    assert make_release(corpus).tagged  # again: nothing to do

    edit(repository, "fr-1", without(3))
    edit(repository, "ro-1", shorter)
    with pytest.raises(InputError, match=r"v0\.1\.0: is a tag already"):
        make_release(read_corpus(repository))
    with pytest.raises(InputError, match=r"since 0\.1\.0 the changes are minor; make it 0\.2\.0 or above"):
        make_release(version(repository, "0.1.1"))
    corpus = version(repository, "0.2.0")
    made = make_release(corpus, today=DAY)
    assert (made.since, made.tagged) == ("refs/tags/v0.1.0", False)
    assert made.changes is not None
    assert (made.changes.kind, *(len(made.changes.parts["spans"][what]) for what in ("removed", "moved"))) == (
        "minor",
        1,
        1,
    )
    log = dict(entries(repository / "CHANGELOG.md"))
    assert list(log) == ["0.2.0", "0.1.0"]
    assert "1 removed, 1 with other bounds" in log["0.2.0"]
    commit(repository)
    assert make_release(corpus).tagged

    card = repository / "DATASET_CARD.md"
    card.write_text(card.read_text().replace("# testimonia", "# testimonia, the data", 1))
    patched = make_release(version(repository, "0.2.1"), today=DAY).changes
    assert patched is not None
    assert (patched.kind, summary_text(patched)) == (
        "patch",
        "Documents, labels, relations and claims are those of 0.2.0.",
    )


def test_what_is_off_is_not_released(repository: Path, tmp_path: Path) -> None:
    released(repository, "0.1.0")
    with pytest.raises(InputError, match=r"version 0\.0\.9 is not above 0\.1\.0"):
        make_release(version(repository, "0.0.9"), since="v0.1.0")
    edit(repository, "ro-1", lambda results: [r for r in results if r.get("from_name") != "actor_kind"])
    done = CliRunner().invoke(app, ["release", "--corpus", str(repository)])
    assert done.exit_code != 0
    changed = git(repository, "status", "--porcelain").split()[1::2]
    assert changed == ["labeling/exports/first/ro-1.json", "labeling/rounds.toml"]
    for where in ("v0.1.0", "--output=made", "--list"):
        with pytest.raises(InputError, match="neither a dataset folder nor a git revision"):
            with release_folder(tmp_path if where == "v0.1.0" else repository, where):
                pass
    assert not (repository / "made").exists()
    with pytest.raises(InputError, match="not in a git repository"):
        make_release(replace(read_corpus(repository), folder=tmp_path))


def test_changes_between_revisions(repository: Path) -> None:
    released(repository, "0.1.0")
    edit(repository, "ar-2", without(0))
    edit(repository, "ro-1", shorter)
    scheme = repository / "labeling" / "scheme.toml"
    corpus = version(repository, "0.2.0")
    export_gold(corpus)
    done = CliRunner().invoke(app, ["diff-releases", "v0.1.0", "--corpus", str(repository), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["old"], found["new"], found["kind"], found["schema"]) == ("0.1.0", "0.2.0", "minor", [])
    assert [one.split(":")[0] for one in found["spans"]["removed"]] == ["ar-2"]
    [(old, new)] = found["spans"]["moved"].items()
    assert (old.split("-")[0:2], new.split("-")[0:2]) == (["ro", "1:25"], ["ro", "1:25"])
    assert found["counts"]["spans"] == [305, 304]
    ends = {end for key in found["relations"]["removed"] for end in key.split(">")}
    assert all(
        one.partition(":")[2] in "".join(ends) for one in found["spans"]["removed"] if found["relations"]["removed"]
    )
    words = CliRunner().invoke(
        app, ["diff-releases", "v0.1.0", str(repository / "dataset"), "--corpus", str(repository)]
    )
    assert "0.2.0 against 0.1.0: documents, labels, relations or claims changed" in words.stdout
    assert f"  ~ {old}" in words.stdout

    scheme.write_text(scheme.read_text().replace('version = "1.0"', 'version = "1.1"'))
    export_gold(read_corpus(repository))
    with release_folder(repository, "v0.1.0") as folder:
        major = compare(read_snapshot(folder), read_snapshot(corpus.dataset))
    assert (major.kind, major.schema) == ("major", ("scheme 1.0 became 1.1",))
    assert "  schema scheme 1.0 became 1.1\n" in changes_text(major, 1)
    assert "  ~ ro-1 0: quantity_tags 16 entries -> 16 entries\n  ~ and 1 more\n" in changes_text(major, 1)


def rewritten(folder: Path, config: str, change: Callable[[list[Json]], list[Json]]) -> None:
    """Changes the rows of a config of a dataset folder, and its sums."""
    path = folder / tables.parquet_name(config)
    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), schema=table.schema), path)
    write_sums(folder)


def first_with(**values: Any) -> Callable[[list[Json]], list[Json]]:
    return lambda rows: [rows[0] | values, *rows[1:]]


CHANGED = [
    ("documents", first_with(translation="human"), "minor", "documents", "changed"),
    ("documents", first_with(text="other"), "major", "documents", "changed"),
    ("documents", lambda rows: rows[1:], "major", "documents", "removed"),
    ("spans", first_with(actor_kind="group"), "minor", "spans", "changed"),
    ("spans", first_with(text="other"), "minor", "spans", "changed"),
    ("relations", first_with(label="other"), "minor", "relations", "changed"),
    ("claims", first_with(gloss="other"), "minor", "claims", "changed"),
    ("claims", lambda rows: rows[:-1], "minor", "claims", "removed"),
    ("claim_mentions", first_with(unit="light-year"), "minor", "claim_mentions", "changed"),
    ("tokens", first_with(tokens=[]), "minor", "tokens", "changed"),
    ("annotations", lambda rows: rows[:-1], "minor", "annotations", "removed"),
]


@pytest.mark.parametrize(("config", "change", "kind", "part", "what"), CHANGED)
def test_every_change_is_told(
    copy: Path, corpus: Corpus, config: str, change: Callable[[list[Json]], list[Json]], kind: str, part: str, what: str
) -> None:
    rewritten(copy / "dataset", config, change)
    found = compare(read_snapshot(corpus.dataset), read_snapshot(copy / "dataset"))
    assert found.kind == kind
    assert [(name, how) for name, one in found.parts.items() for how in one if one[how]] == [(part, what)]
    assert len(found.parts[part][what]) == 1


def test_a_label_between_others_is_another_schema(copy: Path, corpus: Corpus) -> None:
    path = copy / "dataset" / tables.parquet_name("documents")
    table = pq.read_table(path)
    info = table.schema.metadata[b"huggingface"].replace(b'"ACTOR", ', b'"ACTOR", "PLACE", ')
    pq.write_table(table.replace_schema_metadata({b"huggingface": info}), path)
    found = compare(read_snapshot(corpus.dataset), read_snapshot(copy / "dataset"))
    assert (found.kind, [line.split(":")[0] for line in found.schema]) == ("major", ["column documents.spans"])


def test_spans_that_moved_take_their_relations_along() -> None:
    def release(name: str, bounds: list[tuple[int, int]]) -> Snapshot:
        ids = [f"d-1:{start}-{end}:A" for start, end in bounds]
        spans = {
            key: {"id": key, "doc_id": "d-1", "label": "A", "start": start, "end": end, "text": "", "kind": "k"}
            for key, (start, end) in zip(ids, bounds, strict=True)
        }
        arrow = f"{ids[0]}>of>{ids[1].partition(':')[2]}"
        relations = {arrow: {"id": arrow, "label": "of", "head": ids[0], "tail": ids[1]}}
        empty: Json = {key: {} for key in PARTS}
        return Snapshot(name, "1", empty | {"spans": spans, "relations": relations}, {})

    found = compare(
        release("1.0.0", [(105, 110), (5, 110), (200, 210)]), release("1.1.0", [(105, 110), (6, 110), (190, 205)])
    )
    assert found.parts["spans"]["moved"] == {"d-1:5-110:A": "d-1:6-110:A", "d-1:200-210:A": "d-1:190-205:A"}
    assert not any(found.parts["relations"].values())
    assert found.parts["spans"]["changed"] == {}
    # Of two that overlap, the greater overlap counts.
    found = compare(release("1.0.0", [(0, 10), (20, 30)]), release("1.1.0", [(8, 24), (20, 29)]))
    assert found.parts["spans"]["moved"] == {"d-1:0-10:A": "d-1:8-24:A", "d-1:20-30:A": "d-1:20-29:A"}


@pytest.mark.parametrize(
    ("old", "new", "kind", "least"),
    [
        ("1.0.0", "1.0.1", "major", "2.0.0"),
        ("1.0.0", "1.9.0", "major", "2.0.0"),
        ("1.2.3", "1.2.4", "minor", "1.3.0"),
        ("1.0.0", "2.0.0", "major", ""),
        ("1.2.3", "1.3.0", "minor", ""),
        ("1.2.3", "1.2.4", "patch", ""),
        ("1.2.3", "1.2.4", "none", ""),
    ],
)
def test_how_far_a_version_must_rise(old: str, new: str, kind: str, least: str) -> None:
    changes = Changes(old, new, kind, (), {}, {})
    if least:
        with pytest.raises(InputError, match=f"the changes are {kind}; make it {re.escape(least)} or above"):
            check_rise(changes)
    else:
        check_rise(changes)


def test_a_clone_without_tags(repository: Path) -> None:
    released(repository, "0.1.0")
    git(repository, "tag", "--delete", "v0.1.0")
    with pytest.raises(InputError, match=r"has 0\.1\.0, but there is no tag below v0\.2\.0"):
        make_release(version(repository, "0.2.0"))
    assert make_release(version(repository, "0.2.0"), since="HEAD").since == "HEAD"


def test_a_dataset_that_git_ignores(repository: Path) -> None:
    corpus = version(repository, "0.1.0")
    make_release(corpus, today=DAY)
    (repository / ".gitignore").write_text(".*.lock\ndataset/spans/\n")
    git(repository, "rm", "-r", "--cached", "--quiet", "dataset/spans")
    commit(repository)
    made = make_release(corpus)
    assert (made.tagged, made.to_commit) == (False, (f"dataset/{tables.parquet_name('spans')}",))


def test_what_is_not_ready_leaves_everything_as_it_was(repository: Path) -> None:
    released(repository, "0.1.0")
    config = repository / "labeling" / "label_config.xml"
    kept = config.read_bytes()
    config.write_bytes(kept + b"<!-- -->")
    with pytest.raises(FindingsError, match="not ready"):
        make_release(version(repository, "0.2.0"))
    config.write_bytes(kept)
    (repository / "CITATION.cff").write_text("title: a\n")
    with pytest.raises(InputError, match="has no lines `version"):
        make_release(version(repository, "0.2.0"))
    (repository / "CHANGELOG.md").unlink()
    with pytest.raises(InputError, match=r"CHANGELOG\.md: cannot be read"):
        make_release(version(repository, "0.2.0"))
    assert "0.1.0" in (repository / "dataset" / "README.md").read_text()


def test_a_release_against_itself(corpus: Corpus) -> None:
    same: Changes = compare(read_snapshot(corpus.dataset), read_snapshot(corpus.dataset))
    assert (same.kind, same.schema) == ("none", ())
    assert not any(any(part.values()) for part in same.parts.values())


def test_the_release_is_built_again_with_the_same_bytes(corpus: Corpus) -> None:
    found = rebuild.verify_release(corpus)
    assert (found.findings, found.built_with) == ((), found.here)
    assert "the same bytes" in rebuild.verification_text(found)


TAMPERED: list[tuple[str, Callable[[Path], object], str]] = [
    ("card", lambda d: replace_in(d / "README.md", "Five articles", "Six articles"), "README.md"),
    ("counts", lambda d: replace_in(d / "manifest.json", '"documents": 5,', '"documents": 6,'), "manifest.json"),
    (
        "content",
        lambda d: replace_in(d / "manifest.json", '"content_sha256": "', '"content_sha256": "0'),
        "manifest.json",
    ),
    ("croissant", lambda d: replace_in(d / "croissant.json", '"sc:Text"', '"sc:Integer"'), "croissant.json"),
    ("schema", lambda d: (d / "predictions.schema.json").unlink(), "predictions.schema.json"),
    ("rows", lambda d: rewritten(d, "spans", first_with(actor_kind="media")), "spans"),
    ("types", lambda d: recast(d, "spans", "fold"), "spans"),
    ("labels", lambda d: swapped(d, "documents"), "documents"),
    ("script", lambda d: (d / "loader.py").write_text("1"), "dataset/loader.py"),
    (
        "shard",
        lambda d: shutil.copy(d / tables.parquet_name("spans"), d / "spans" / "test-00001-of-00002.parquet"),
        "spans",
    ),
]


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def recast(folder: Path, config: str, name: str) -> None:
    path = folder / tables.parquet_name(config)
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(name), name, table[name].cast("double")), path)


def swapped(folder: Path, config: str) -> None:
    path = folder / tables.parquet_name(config)
    table = pq.read_table(path)
    info = table.schema.metadata[b"huggingface"].replace(b'"ACTOR", "QUANTITY"', b'"QUANTITY", "ACTOR"')
    pq.write_table(table.replace_schema_metadata({b"huggingface": info}), path)


@pytest.mark.parametrize("pyarrow", ["", "1.0.0"])
@pytest.mark.parametrize(("change", "place"), [row[1:] for row in TAMPERED], ids=[row[0] for row in TAMPERED])
def test_tampering_is_found(copy: Path, change: Callable[[Path], object], place: str, pyarrow: str) -> None:
    """With the sums made anew, and with a manifest that names another pyarrow."""
    dataset = copy / "dataset"
    change(dataset)
    if pyarrow:
        path = dataset / "manifest.json"
        path.write_text(re.sub(r'"pyarrow": "[^"]*"', f'"pyarrow": "{pyarrow}"', path.read_text()))
    (dataset / "SHA256SUMS").unlink()
    write_sums(dataset)
    found = rebuild.verify_release(read_corpus(copy))
    places = [f.place for f in found.findings if f.id == "rebuild-differs"]
    assert any(one.startswith((place, f"dataset/{place}")) for one in places), found.findings


def test_inputs_and_the_card_are_compared(copy: Path) -> None:
    replace_in(copy / "labeling" / "guidelines.md", "Annotation guidelines", "Guidelines")
    replace_in(copy / "DATASET_CARD.md", "| ro-1 | ro |", "| ro-1 | fr |")
    done = CliRunner().invoke(app, ["verify-release", "--corpus", str(copy)])
    assert done.exit_code == 1
    assert "the inputs labeling/guidelines.md are others" in done.output
    assert "DATASET_CARD.md: is not the card that is made now" in done.output


def test_another_pyarrow_is_no_difference(copy: Path) -> None:
    path = copy / "dataset" / "manifest.json"
    path.write_text(re.sub(r'"pyarrow": "[^"]*"', '"pyarrow": "1.0.0"', path.read_text()))
    (copy / "dataset" / "SHA256SUMS").unlink()
    write_sums(copy / "dataset")
    found = rebuild.verify_release(read_corpus(copy))
    assert found.findings == ()
    assert "names pyarrow 1.0.0" in rebuild.verification_text(found)


def test_a_changelog_is_entered_once(tmp_path: Path) -> None:
    path = tmp_path / "CHANGELOG.md"
    path.write_text("# Log\n")
    enter(path, "0.1.0", "One.")
    enter(path, "0.2.0", "Two.")
    enter(path, "0.2.0", "Three.")
    assert path.read_text() == "# Log\n\n## 0.2.0\n\nTwo.\n\n## 0.1.0\n\nOne.\n"


@pytest.mark.parametrize("heading", ["## [0.1.0] - 2030-01-01", "## v0.1.0", "## 0.1.0"])
def test_headings_of_other_habits(tmp_path: Path, heading: str) -> None:
    path = tmp_path / "CHANGELOG.md"
    path.write_text(f"# Log\n\n{heading}")
    enter(path, "0.1.0", "One.")
    assert path.read_text() == f"# Log\n\n{heading}"
    enter(path, "0.1.1", "Two.")
    assert [name for name, _ in entries(path)] == ["0.1.1", "0.1.0"]


@pytest.mark.parametrize("authors", ["Ana", "[Ana]", "[]\nversion: 1\n- a", "{name: a}"])
def test_a_citation_that_is_none(tmp_path: Path, authors: str) -> None:
    (tmp_path / "CITATION.cff").write_text(f"title: a\nauthors: {authors}\n")
    with pytest.raises(InputError, match=r"CITATION\.cff: "):
        release.read_citation(tmp_path)


def test_the_citation_is_valid() -> None:
    found = release.read_citation(ROOT)
    assert {"cff-version", "message", "title", "authors", "version", "date-released", "license"} <= set(found)
    datetime.date.fromisoformat(str(found["date-released"]))
