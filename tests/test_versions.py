"""Releases built again, compared, made and tagged: each in a repository of its own."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from testimonia import rebuild, release
from testimonia.changes import Changes, changes_text, compare, read_snapshot, release_folder, summary_text
from testimonia.cli import app
from testimonia.corpus import Corpus, read_corpus
from testimonia.errors import InputError
from testimonia.release import export_gold
from testimonia.versions import cite, enter, entries, make_release
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
    commit(repository)
    assert make_release(corpus, today=datetime.date(2031, 1, 1)).tagged
    assert "First release." in git(repository, "tag", "--list", "--format=%(contents)", "v0.1.0")
    assert make_release(corpus).tagged  # again: nothing to do

    edit(repository, "fr-1", without(3))
    edit(repository, "ro-1", shorter)
    with pytest.raises(InputError, match=r"v0\.1\.0: is a tag already"):
        make_release(read_corpus(repository))
    with pytest.raises(InputError, match=r"since 0\.1\.0 the changes are minor; make it 0\.2\.0 or above"):
        make_release(version(repository, "0.1.1"))
    corpus = version(repository, "0.2.0")
    made = make_release(corpus, today=DAY)
    assert (made.since, made.tagged) == ("v0.1.0", False)
    assert made.changes is not None
    assert (made.changes.kind, len(made.changes.spans["removed"]), len(made.changes.spans["moved"])) == ("minor", 1, 1)
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
    with pytest.raises(InputError, match="neither a folder nor a git revision"):
        with release_folder(tmp_path, "v0.1.0"):
            pass
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
    assert changes_text(major, 1).count("\n  ~ ") <= 3


def test_a_release_against_itself(corpus: Corpus) -> None:
    same: Changes = compare(read_snapshot(corpus.dataset), read_snapshot(corpus.dataset))
    assert (same.kind, same.schema) == ("none", ())
    for part in (same.documents, same.spans, same.relations, same.claims):
        assert not any(part.values())


def test_the_release_is_built_again_with_the_same_bytes(corpus: Corpus) -> None:
    found = rebuild.verify_release(corpus)
    assert (found.findings, found.built_with) == ((), found.here)
    assert "the same bytes" in rebuild.verification_text(found)


@pytest.mark.parametrize(
    ("name", "old", "new", "place"),
    [
        ("dataset/README.md", "Five articles", "Six articles", "README.md"),
        ("DATASET_CARD.md", "| ro-1 | ro |", "| ro-1 | fr |", "DATASET_CARD.md"),
        ("dataset/manifest.json", '"documents": 5,', '"documents": 6,', "manifest.json"),
        ("labeling/guidelines.md", "Annotation guidelines", "Guidelines", "manifest.json"),
    ],
)
def test_what_differs_is_named(copy: Path, name: str, old: str, new: str, place: str) -> None:
    path = copy / name
    text = path.read_text()
    path.write_text(text.replace(old, new, 1) if old in text else text + new)
    found = rebuild.verify_release(read_corpus(copy))
    assert place in {f.place for f in found.findings if f.id == "rebuild-differs"}, found.findings
    done = CliRunner().invoke(app, ["verify-release", "--corpus", str(copy)])
    assert done.exit_code == 1


def test_a_changelog_is_entered_once(tmp_path: Path) -> None:
    path = tmp_path / "CHANGELOG.md"
    path.write_text("# Log\n")
    enter(path, "0.1.0", "One.")
    enter(path, "0.2.0", "Two.")
    enter(path, "0.2.0", "Three.")
    assert path.read_text() == "# Log\n\n## 0.2.0\n\nTwo.\n\n## 0.1.0\n\nOne.\n"


def test_a_citation_without_a_version(tmp_path: Path) -> None:
    (tmp_path / "CITATION.cff").write_text("title: a\n")
    with pytest.raises(InputError, match="has no line `version"):
        cite(tmp_path, "1.0.0", DAY)


def test_the_citation_is_valid() -> None:
    found = release.read_citation(ROOT)
    assert {"cff-version", "message", "title", "authors", "version", "date-released", "license"} <= set(found)
    datetime.date.fromisoformat(str(found["date-released"]))
