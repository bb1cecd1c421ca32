"""Against the real Label Studio: load, load again, kill, annotate, pull, export; nothing twice, nothing lost."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from testimonia import server
from testimonia import studio as studios
from testimonia.corpus import Corpus, Round, read_corpus
from testimonia.document import Document
from testimonia.errors import FindingsError, StudioError
from testimonia.release import export_gold, validate_dataset
from testimonia.rounds import read_annotations, read_round
from testimonia.studio import Pseudonyms, Studio
from testimonia.transfer import load_seeds, project_title, pull_annotations
from tests.conftest import ROOT

pytestmark = pytest.mark.server
FIRST = Round("first", "annotation", True)


def quiet(done: int, total: int) -> None:
    pass


def named(corpus: Corpus, name: str) -> Corpus:
    """The corpus under another name: a project of its own on the session's server."""
    return replace(corpus, scheme=replace(corpus.scheme, name=name))


def doc_ids(studio: Studio, corpus: Corpus) -> list[str]:
    project = studio.project(project_title(corpus, FIRST))
    tasks: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    return sorted(str(task.data["doc_id"]) for task in tasks)


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"TESTIMONIA_HOME": str(home)}


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "testimonia.cli", *arguments]
    return subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=300)


def test_round_trip_gives_back_every_span_attribute_and_relation(studio: Studio, alone: Path, tmp_path: Path) -> None:
    corpus = read_corpus(alone)
    before = read_annotations(corpus)
    committed = export_gold(corpus).manifest
    there = named(corpus, "round trip")
    loaded = load_seeds(there, studio, FIRST, True, quiet)
    assert (loaded.new, loaded.present, loaded.annotations) == (5, 0, 5)
    again = load_seeds(there, studio, FIRST, True, quiet)
    assert (again.new, again.present, again.annotations) == (0, 5, 0)
    shutil.rmtree(there.exports / "first")
    pulled = pull_annotations(there, studio, FIRST, tmp_path, quiet)
    assert pulled.new == tuple(sorted(d.doc_id for d in corpus.documents))
    assert read_annotations(there) == before
    assert len(pull_annotations(there, studio, FIRST, tmp_path, quiet).same) == 5
    made = export_gold(replace(there, scheme=corpus.scheme))
    assert made.manifest["content_sha256"] == committed["content_sha256"]
    assert "@" not in "".join(p.read_text() for p in (there.exports / "first").glob("*.json"))


def test_articles_added_and_a_changed_text(studio: Studio, corpus: Corpus) -> None:
    there = named(corpus, "growing")
    fewer = replace(there, documents=there.documents[:2])
    assert load_seeds(fewer, studio, FIRST, False, quiet).new == 2
    loaded = load_seeds(there, studio, FIRST, False, quiet)
    assert (loaded.new, loaded.present) == (3, 2)
    first = there.documents[0]
    changed = replace(there, documents=(replace(first, text=first.text + "x"), *there.documents[1:]))
    with pytest.raises(StudioError, match=r"ro-1: task .* holds another text"):
        load_seeds(changed, studio, FIRST, False, quiet)
    assert doc_ids(studio, there) == sorted(d.doc_id for d in there.documents)


def many(corpus: Corpus, count: int) -> Corpus:
    first = corpus.documents[0]
    documents = tuple(
        Document(f"made-{i}", first.language, f"{i} {first.text}", title=first.title) for i in range(count)
    )
    return replace(corpus, documents=documents)


def test_a_client_killed_in_mid_load_and_loaded_again(studio: Studio, corpus: Corpus, home: Path, alone: Path) -> None:
    sources = (alone / "seeds" / "sources.toml").read_text()
    entries = [sources]
    for index in range(900):
        text = f"Articolul {index}.\n" * 20
        (alone / "seeds" / f"made-{index}.txt").write_text(text)
        entries.append(
            f'[[document]]\nid = "made-{index}"\nfile = "made-{index}.txt"\nlanguage = "ro"\ntitle = "t"\n'
            f'translation = "unknown"\nsha256 = "{hashlib.sha256(text.encode()).hexdigest()}"\n'
        )
    (alone / "seeds" / "sources.toml").write_text("".join(entries))
    scheme = alone / "labeling" / "scheme.toml"
    scheme.write_text(scheme.read_text().replace('name = "testimonia"', 'name = "killed client"'))
    command = [sys.executable, "-m", "testimonia.cli", "load-seeds", "--round", "first", "--corpus", str(alone)]
    client = subprocess.Popen(command, env=environment(home), stderr=subprocess.PIPE, text=True)
    assert client.stderr is not None
    for line in client.stderr:
        if line.startswith("loading 200/"):
            break
    client.kill()
    client.wait()
    client.stderr.close()
    there = read_corpus(alone)
    time.sleep(1)
    before = len(doc_ids(studio, there))
    assert 200 <= before < 905
    finished = run(home, "load-seeds", "--round", "first", "--corpus", str(alone))
    assert finished.returncode == 0, finished.stderr
    assert Counter(doc_ids(studio, there)) == Counter(d.doc_id for d in there.documents)


def test_an_export_in_several_requests_has_each_task_once(
    studio: Studio, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = named(read_corpus(alone), "several requests")
    load_seeds(corpus, studio, FIRST, False, quiet)
    monkeypatch.setattr(studios, "BATCH", 2)
    tasks = studio.export(studio.project(project_title(corpus, FIRST)) or 0, quiet)
    assert [task["data"]["doc_id"] for task in tasks] == [document.doc_id for document in corpus.documents]


def test_a_second_server_on_the_same_folder_says_where_the_first_is(studio: Studio, home: Path) -> None:
    with pytest.raises(StudioError, match=f"already runs on {home}, at {studio.address.url}: use that one"):
        with server.running(home):
            pass


def test_a_server_killed_in_mid_load_loses_nothing(corpus: Corpus, tmp_path: Path) -> None:
    there = many(named(corpus, "killed server"), 900)

    def kill(done: int, total: int) -> None:
        if done >= 400:
            os.killpg(one.process.pid, signal.SIGKILL)

    with server.running(tmp_path / "home") as one:
        with Studio(one.address) as studio, pytest.raises(StudioError, match="then run this again"):
            load_seeds(there, studio, FIRST, False, kill)
    with server.running(tmp_path / "home") as two, Studio(two.address) as studio:
        assert 200 <= len(doc_ids(studio, there)) < 900
        load_seeds(there, studio, FIRST, False, quiet)
        assert Counter(doc_ids(studio, there)) == Counter(d.doc_id for d in there.documents)


def logged_in(studio: Studio, email: str) -> httpx.Client:
    password = studio.sign_up(email)
    http = httpx.Client(base_url=studio.address.url, follow_redirects=True, timeout=60)
    http.get("/user/login")
    form = {"email": email, "password": password, "csrfmiddlewaretoken": http.cookies["csrftoken"]}
    http.post("/user/login", data=form, headers={"Referer": studio.address.url})
    http.headers.update({"X-CSRFToken": http.cookies["csrftoken"], "Referer": studio.address.url})
    assert http.get("/api/current-user/whoami").json()["email"] == email.lower()
    return http


def region(text: str, start: int, end: int) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": text[start:end], "labels": ["SOURCE"]}
    return {"id": f"r{start}", "from_name": "label", "to_name": "text", "type": "labels", "value": value}


def test_a_second_annotator_drafts_and_skipped(studio: Studio, alone: Path, tmp_path: Path) -> None:
    corpus = named(read_corpus(alone), "two annotators")
    load_seeds(corpus, studio, FIRST, True, quiet)
    project = studio.project(project_title(corpus, FIRST))
    http = logged_in(studio, "Second.Person@mail.example.com")
    me = http.get("/api/current-user/whoami").json()["id"]
    assert http.patch(f"/api/users/{me}", json={"first_name": "Persona", "last_name": "Secunda"}).status_code == 200
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    tasks = {str(task.data["doc_id"]): task.id for task in listed}
    text = corpus.documents[0].text
    posted = http.post(f"/api/tasks/{tasks['ro-1']}/annotations/", json={"result": [region(text, 0, 11)]})
    skipped = http.post(f"/api/tasks/{tasks['ar-1']}/annotations/", json={"result": [], "was_cancelled": True})
    draft = http.post(f"/api/tasks/{tasks['ar-2']}/drafts", json={"result": [region(corpus.documents[2].text, 6, 13)]})
    http.close()
    assert [posted.status_code, skipped.status_code, draft.status_code] == [201, 201, 201]
    pulled = pull_annotations(corpus, studio, FIRST, tmp_path, quiet)
    assert pulled.new == ()
    annotations, findings = read_annotations(corpus)
    assert [f for f in findings if f.severity == "error"] == []
    others = {a.doc_id: a for a in annotations if a.annotator != "reader-1"}
    assert {doc_id: (a.state, len(a.spans)) for doc_id, a in others.items()} == {
        "ro-1": ("submitted", 1),
        "ar-1": ("skipped", 0),
        "ar-2": ("draft", 1),
    }
    [pseudonym] = {a.annotator for a in others.values()}
    assert re.fullmatch(r"annotator-[0-9a-f]{6}", pseudonym)
    written = "".join(path.read_text() for path in (corpus.exports / "first").glob("*.json"))
    assert "mail.example.com" not in written.lower()
    assert "Persona" not in written
    secret = tmp_path / "pseudonyms.json"
    assert json.loads(secret.read_text())["second.person@mail.example.com"] == pseudonym
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert Pseudonyms(secret).of("SECOND.person@mail.example.com") == pseudonym
    with pytest.raises(FindingsError) as raised:
        export_gold(corpus)
    assert [(f.place, f.id) for f in raised.value.findings if f.severity == "error"] == [("ro-1", "gold-undecided")]
    [theirs] = list(studio.client.annotations.list(tasks["fr-1"]))
    studio.client.annotations.delete(int(theirs.id or 0))
    before = read_round(corpus.exports / "first")["fr-1"]
    assert pull_annotations(corpus, studio, FIRST, tmp_path, quiet).kept == ("fr-1",)
    assert read_round(corpus.exports / "first")["fr-1"] == before
    assert pull_annotations(corpus, studio, FIRST, tmp_path, quiet, overwrite=True).changed == ("fr-1",)
    assert read_round(corpus.exports / "first")["fr-1"]["annotations"] == []
    studio.client.tasks.delete(str(tasks["fr-2"]))
    kept = read_round(corpus.exports / "first")["fr-2"]
    assert pull_annotations(corpus, studio, FIRST, tmp_path, quiet).gone == ("fr-2",)
    assert read_round(corpus.exports / "first")["fr-2"] == kept


def test_the_commands_from_load_to_validate(home: Path, studio: Studio, alone: Path) -> None:
    scheme = alone / "labeling" / "scheme.toml"
    scheme.write_text(scheme.read_text().replace('name = "testimonia"', 'name = "commands"'))
    load = ["load-seeds", "--with-annotations", "--round", "first"]
    for arguments, said in (
        (load, "5 articles loaded, 0 were there, 5 annotations added"),
        (load, "0 articles loaded, 5 were there, 0 annotations added"),
        (["pull-annotations", "--round", "first"], "changed       5"),
        (["export-gold"], "305 spans, 82 relations"),
        (["validate-dataset"], "0 errors"),
    ):
        done = run(home, *arguments, "--corpus", str(alone))
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        assert said in done.stdout
    assert validate_dataset(alone / "dataset", read_corpus(alone)) != []


def test_a_project_is_exported_in_parts(studio: Studio, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    there = named(corpus, "in parts")
    load_seeds(there, studio, FIRST, False, quiet)
    monkeypatch.setattr(studios, "BATCH", 2)
    project = studio.project(project_title(there, FIRST))
    assert project is not None
    exported = [task["data"]["doc_id"] for task in studio.export(project, quiet)]
    assert sorted(exported) == sorted(d.doc_id for d in there.documents)
    assert [task["data"]["doc_id"] for task in studio.export(project, quiet, ["ar-2"])] == ["ar-2"]


def test_what_a_user_is_told(home: Path, tmp_path: Path, studio: Studio) -> None:
    nowhere = run(tmp_path / "none", "load-seeds", "--corpus", str(ROOT))
    assert nowhere.returncode == 2
    assert nowhere.stderr.startswith("error: no Label Studio is running; start one with `testimonia serve`")
    wrong = run(home, "pull-annotations", "--round", "ninth", "--corpus", str(ROOT))
    assert (wrong.returncode, "no round 'ninth'; there are: first" in wrong.stderr) == (2, True)
    empty = run(home, "export-gold", "--corpus", str(tmp_path))
    assert (empty.returncode, "does not exist; is this the folder of a corpus?" in empty.stderr) == (2, True)
    address = server.Address(studio.address.url, "0" * 40)
    with Studio(address) as stranger, pytest.raises(StudioError, match=r"HTTP 401.*is the token right"):
        stranger.users()
    assert studio.address.token not in repr(studio) + str(studio.address)


def processes_with(word: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if word.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except (OSError, ProcessLookupError):
            continue
    return [pid for pid in found if pid != os.getpid()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_serve_says_when_it_is_ready_and_leaves_no_process(number: int, tmp_path: Path, home: Path) -> None:
    ready = tmp_path / "home"
    shutil.copytree(home / "studio", ready / "studio", ignore=shutil.ignore_patterns("*.sqlite3-*"))
    command = [sys.executable, "-u", "-m", "testimonia.cli", "serve"]
    process = subprocess.Popen(command, env=environment(ready), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [next(process.stdout), next(process.stdout), next(process.stdout)]
    assert re.fullmatch(r"ready: http://127\.0\.0\.1:\d+\n", lines[1])
    assert server.OWNER in lines[2]
    assert httpx.get(lines[1].split()[1] + "/health").json() == {"status": "UP"}
    second = run(ready, "serve")
    assert (second.returncode, f"already runs on {ready}, at {lines[1].split()[1]}" in second.stderr) == (2, True)
    process.send_signal(number)
    assert process.wait(30) == (-number if number == signal.SIGKILL else 0)
    process.stdout.close()
    deadline = time.monotonic() + 20
    while processes_with(str(ready)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_with(str(ready)) == []


def test_entries_say_that_they_are_no_ground_truth() -> None:
    entry = {"result": [], "completed_by": "a", "ground_truth": True}
    assert studios._entry(entry, {"a": 3})["ground_truth"] is False


def test_an_edited_annotation_is_not_loaded_again(studio: Studio, corpus: Corpus) -> None:
    there = named(corpus, "edited")
    load_seeds(there, studio, FIRST, True, quiet)
    project = studio.project(project_title(there, FIRST))
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    [annotation] = studio.client.annotations.list(listed[0].id)
    studio.client.annotations.update(int(annotation.id or 0), result=[])
    assert load_seeds(there, studio, FIRST, True, quiet).annotations == 0
    [edited] = studio.client.annotations.list(listed[0].id)
    assert edited.result == []


def test_only_whole_addresses_become_pseudonyms(tmp_path: Path) -> None:
    pseudonyms = Pseudonyms(tmp_path / "pseudonyms.json")
    users = {1: "jo@mail.example.com", 2: "bojo@mail.example.com"}
    data = {"text": "Write to jo@mail.example.com."}
    drafts = [
        {
            "user": "BoJo@mail.example.com",
            "created_username": "Bo Jo bojo@mail.example.com, 2",
            "result": [{"id": "a"}],
        },
        {"user": {"id": 1, "first_name": "Jo"}, "created_ago": "1 minute", "result": []},
    ]
    task = {"data": data, "drafts": drafts, "updated_by": [{"user_id": 2}], "annotations": [{"completed_by": 9}]}
    jo, bojo = pseudonyms.of(users[1]), pseudonyms.of(users[2])
    assert studios.pseudonymised(task, users, pseudonyms) == {
        "data": data,
        "drafts": [{"user": bojo, "result": [{"id": "a"}]}, {"user": jo, "result": []}],
        "updated_by": [bojo],
        "annotations": [{"completed_by": "user-9"}],
    }


def test_another_server_by_its_address_and_either_kind_of_key(
    studio: Studio, personal_token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, legacy = studio.address.url, studio.address.token
    for number, key in enumerate((legacy, personal_token)):
        monkeypatch.setenv("LABEL_STUDIO_URL", url + "/")
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", key)
        done = run(tmp_path / "nothing here", "load-seeds", "--round", "first", "--corpus", str(ROOT))
        assert (done.returncode, "5 articles loaded" in done.stdout or "5 were there" in done.stdout) == (0, True)
        assert key not in done.stdout + done.stderr
        with Studio(server.address(tmp_path)) as one:
            email = f"by-key-{number}@example.org"
            one.sign_up(email)
            assert email in one.users().values()
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    refused = run(tmp_path, "load-seeds", "--corpus", str(ROOT))
    assert (refused.returncode, "HTTP 401" in refused.stderr, "Traceback" in refused.stderr) == (2, True, False)


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("https://studio.example.org", "", "LABEL_STUDIO_API_KEY is not set"),
        ("", "k", "LABEL_STUDIO_URL is not set"),
        ("studio.example.org", "k", "is no address"),
        ("http://studio.example.org", "k", "use https, or set LABEL_STUDIO_ALLOW_HTTP=1"),
        ("https://me:secret@studio.example.org", "k", "leave them out"),
    ],
)
def test_an_address_that_will_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, key: str, message: str
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", key)
    with pytest.raises(StudioError, match=message) as raised:
        server.address(tmp_path)
    assert "secret" not in str(raised.value)
    if message.startswith("use https"):
        monkeypatch.setenv("LABEL_STUDIO_ALLOW_HTTP", "1")
        assert server.address(tmp_path).url == url


def test_a_server_that_is_too_old_or_grants_too_little(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.check(["projects.create"])
    with pytest.raises(StudioError, match=r"owner@example.net may not tasks.fly; ask an administrator"):
        studio.check(["tasks.fly"])
    monkeypatch.setattr(studios, "OLDEST", (99, 0))
    with pytest.raises(StudioError, match=r"is Label Studio 1\.\d+\.\d+; 99\.0 is needed"):
        studio.check()
