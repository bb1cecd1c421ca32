"""Nothing that was pulled is lost: versions kept beside the exports, and brought back into the real Label Studio."""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from testimonia import release, versions
from testimonia.cli import app
from testimonia.corpus import Corpus, read_corpus
from testimonia.errors import InputError, StudioError
from testimonia.history import HISTORY, keep, keep_text
from testimonia.rounds import read_annotations, read_round
from testimonia.studio import Pseudonyms, Studio
from testimonia.transfer import Pulled, load_seeds, project_title, pull_annotations, put_back
from tests.test_studio import FIRST, logged_in, named, quiet, region

Json = dict[str, Any]


def kept(corpus: Corpus, doc_id: str) -> list[Path]:
    return sorted((corpus.exports / "first" / HISTORY / doc_id).glob("*"))


def results(task: Json, annotator: str) -> list[list[Json]]:
    return [entry["result"] for entry in task["annotations"] if entry["completed_by"] == annotator]


def test_equal_contents_are_kept_once(tmp_path: Path) -> None:
    entry = {"id": 1, "completed_by": "a", "result": [{"id": "r"}], "updated_at": "2026-01-02T03:04:05.6Z"}
    task: Json = {"id": 1, "data": {"doc_id": "d-1"}, "annotations": [entry], "updated_at": "2026-01-01T00:00:00Z"}
    path = keep(tmp_path, "d-1", task, tmp_path)
    assert path.parent == tmp_path / HISTORY / "d-1"
    assert path.name.startswith("20260102T030405Z-")
    assert json.loads(path.read_text()) == task
    again = task | {"id": 9, "annotations": [entry | {"id": 7, "updated_at": "2027-01-01T00:00:00Z"}]}
    assert keep(tmp_path, "d-1", again, tmp_path) == path
    others = [
        task | {"annotations": []},
        task | {"annotations": [entry, entry]},
        task | {"annotations": [entry | {"result": []}]},
        task | {"annotations": [entry | {"completed_by": "b"}]},
        task | {"annotations": [entry | {"was_cancelled": True}]},
        task | {"annotations": [], "drafts": [entry | {"user": "a"}]},
        {"annotations": [3, None], "drafts": "x", "updated_at": 5},
    ]
    assert len({path, *(keep(tmp_path, "d-1", other, tmp_path) for other in others)}) == 8
    text = keep_text(tmp_path, "d-1", "<<<<\udcff", tmp_path)
    assert text.read_bytes() == b"<<<<\xff"
    assert (tmp_path / HISTORY / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("link", [HISTORY, f"{HISTORY}/d-1"])
def test_no_link_leads_elsewhere(tmp_path: Path, link: str) -> None:
    folder, elsewhere = tmp_path / "first", tmp_path / "elsewhere"
    (folder / link).parent.mkdir(parents=True)
    elsewhere.mkdir()
    (folder / link).symlink_to(elsewhere)
    with pytest.raises(InputError, match="a symbolic link leads elsewhere"):
        keep(folder, "d-1", {}, tmp_path)
    assert list(elsewhere.iterdir()) == []


def test_builds_and_releases_do_not_see_it(alone: Path) -> None:
    corpus, git = read_corpus(alone), ["git", "-C", str(alone), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *arguments], check=True)
    before = read_annotations(corpus), release._inputs(corpus), read_round(corpus.exports / "first")
    task = before[2]["ro-1"] | {"annotations": []}
    keep(corpus.exports / "first", "ro-1", task, alone)
    keep_text(corpus.exports / "first", "label_config", "<View/>", alone)
    assert len(list((corpus.exports / "first" / HISTORY).rglob("*.*"))) == 3
    assert (read_annotations(corpus), release._inputs(corpus), read_round(corpus.exports / "first")) == before
    assert versions._uncommitted(alone) == ()


@pytest.mark.server
def test_overwritten_deleted_and_brought_back(studio: Studio, home: Path, alone: Path) -> None:
    corpus = named(read_corpus(alone), "brought back")
    load_seeds(corpus, studio, FIRST, True, quiet, home=home)
    project = studio.project(project_title(corpus, FIRST))
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    tasks = {str(task.data["doc_id"]): task.id for task in listed}
    ro, ar = corpus.by_id["ro-1"].text, corpus.by_id["ar-2"].text

    def pull(overwrite: bool = False) -> Pulled:
        return pull_annotations(corpus, studio, FIRST, home, quiet, overwrite)

    def exported(doc_id: str) -> Json:
        return read_round(corpus.exports / "first")[doc_id]

    with contextlib.closing(logged_in(studio, "maria.history@mail.example.com")) as maria:
        me = Pseudonyms(home / "pseudonyms.json").of("maria.history@mail.example.com")
        first, second, third = ([region(ro, 0, end)] for end in (11, 12, 13))
        number = maria.post(f"/api/tasks/{tasks['ro-1']}/annotations/", json={"result": first}).json()["id"]
        drafted = {"result": [region(ar, 6, 13)]}
        draft = maria.post(f"/api/tasks/{tasks['ar-2']}/drafts", json=drafted).json()["id"]
        pull()
        assert not any(kept(corpus, document.doc_id) for document in corpus.documents)  # nothing was written over

        # An annotation that is written over, and a draft that is submitted: taken, and the old one kept.
        maria.patch(f"/api/annotations/{number}/", json={"result": second})
        submitted = {"result": [region(ar, 6, 14)], "draft_id": draft}
        assert maria.post(f"/api/tasks/{tasks['ar-2']}/annotations/", json=submitted).status_code == 201
        pulled = pull()
        assert (pulled.changed, pulled.findings) == (("ar-2", "ro-1"), ())
        [version] = [path for path in kept(corpus, "ro-1") if results(json.loads(path.read_text()), me) == [first]]
        assert len(kept(corpus, "ar-2")) == 1
        assert results(exported("ro-1"), me) == [second]
        assert "example.com" not in "".join(path.read_text() for path in kept(corpus, "ro-1") + kept(corpus, "ar-2"))

        # Loaded again, her annotation is hers and not another account's.
        accounts = studio.users()
        assert load_seeds(corpus, studio, FIRST, True, quiet, home=home).annotations == 0
        assert studio.users() == accounts

        # The old version comes back in place of the new one, which was never pulled, but is kept.
        maria.patch(f"/api/annotations/{number}/", json={"result": third})
    theirs = results(exported("ro-1"), "reader-1")
    done = put_back(corpus, studio, FIRST, home, version, [me])
    assert (done.replaced, done.added, done.same) == ((me,), (), ())
    assert pull().changed == ("ro-1",)
    assert results(exported("ro-1"), me) == [first]
    assert results(exported("ro-1"), "reader-1") == theirs
    says = [results(json.loads(path.read_text()), me) for path in kept(corpus, "ro-1")]
    assert [first] in says
    assert [second] in says
    assert [third] in says
    assert put_back(corpus, studio, FIRST, home, version).same == ("reader-1", me)
    assert len(kept(corpus, "ro-1")) == len(says)

    # One that vanished: told, kept, put back from the export; or given up, and in the history.
    before = exported("fr-1")
    [entry] = list(studio.client.annotations.list(tasks["fr-1"]))
    studio.client.annotations.delete(int(entry.id or 0))
    pulled = pull()
    assert (pulled.kept, [(f.place, f.id) for f in pulled.findings]) == (
        ("fr-1",),
        [("fr-1 (reader-1)", "annotation-lost")],
    )
    assert exported("fr-1") == before
    assert put_back(corpus, studio, FIRST, home, corpus.exports / "first" / "fr-1.json").added == ("reader-1",)
    pulled = pull()
    assert (pulled.changed, pulled.findings) == (("fr-1",), ())
    assert results(exported("fr-1"), "reader-1") == results(before, "reader-1")
    [entry] = list(studio.client.annotations.list(tasks["fr-1"]))
    studio.client.annotations.delete(int(entry.id or 0))
    assert pull(overwrite=True).changed == ("fr-1",)
    says = [results(json.loads(path.read_text()), "reader-1") for path in kept(corpus, "fr-1")]
    assert sorted(map(len, says)) == [0, 1]

    # A file that cannot be read is written anew, its text is kept without addresses; the label config too.
    path = corpus.exports / "first" / "fr-2.json"
    path.write_text("<<<<<<< maria.history@mail.example.com\n" + path.read_text())
    (path.parent / "label_config.xml").write_text("<View/>")
    assert pull().changed == ("fr-2",)
    [text] = kept(corpus, "fr-2")
    assert text.read_text().startswith(f"<<<<<<< {me}\n{{")
    assert "<View/>" in [path.read_text() for path in kept(corpus, "label_config")]

    (path.parent / "ar-1.json").write_text(json.dumps(exported("ar-1") | {"data": {"doc_id": "ar-1", "text": "?"}}))
    for file, who, message in (
        (path.parent / "ar-1.json", [], "is not the export of a document"),
        (path, ["nobody"], "has no annotation by nobody"),
    ):
        with pytest.raises(InputError, match=message):
            put_back(corpus, studio, FIRST, home, file, who)
    elsewhere = replace(corpus, scheme=replace(corpus.scheme, name="not loaded"))
    with pytest.raises(StudioError, match="fr-2: 0 tasks of 'not loaded: first' hold it"):
        put_back(elsewhere, studio, FIRST, home, path)


@pytest.mark.server
def test_the_commands_pull_and_put_back(
    home: Path, studio: Studio, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESTIMONIA_HOME", str(home))
    scheme = alone / "labeling" / "scheme.toml"
    scheme.write_text(scheme.read_text().replace('name = "testimonia"', 'name = "commands back"'))
    export = alone / "labeling" / "exports" / "first" / "ro-1.json"
    load_seeds(read_corpus(alone), studio, FIRST, False, quiet)

    def said(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*arguments, "--corpus", str(alone)])
        return done.exit_code, done.output + str(done.exception or "")

    code, text = said("pull-annotations", "--round", "first")
    assert (code, "kept          5" in text, text.count("[annotation-lost]")) == (1, True, 5)
    code, text = said("pull-annotations", "--round", "first", "--json")
    errors = [
        f for f in json.loads(text[text.index("{") : text.rindex("}") + 1])["findings"] if f["severity"] == "error"
    ]
    assert (code, [f["id"] for f in errors]) == (1, ["annotation-lost"] * 5)
    code, text = said("put-back", str(export), str(export.with_name("fr-1.json")))
    assert (code, text) == (0, "".join(f"{d}: replaced -, added reader-1, same -\n" for d in ("ro-1", "fr-1")))
    outside = tmp_path / "x.json"
    outside.write_text(export.read_text())
    code, text = said("put-back", str(outside))
    assert (code, "say --round" in text) == (1, True)
    code, text = said("put-back", str(outside), "--round", "first")
    assert (code, "same reader-1" in text) == (0, True)
