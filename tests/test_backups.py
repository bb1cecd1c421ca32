"""Backups of the real Label Studio: whole while annotators work, and nothing broken or hostile gets in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import sqlite3
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from testimonia import backups, server
from testimonia.backups import DATABASE, MANIFEST, SECRETS, make_backup, restore_backup
from testimonia.corpus import read_corpus
from testimonia.errors import InputError, StudioError
from testimonia.rounds import read_round
from testimonia.server import PSEUDONYMS
from testimonia.studio import Pseudonyms, Studio
from testimonia.transfer import load_seeds, project_title, pull_annotations
from tests.conftest import copy_corpus, one_reader
from tests.test_studio import FIRST, logged_in, named, quiet, region, run

pytestmark = pytest.mark.server
Json = dict[str, Any]
Contents = dict[str, bytes]
POSTGRESQL = "postgresql://me@127.0.0.1:5432/studio"


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but locks, and what is in it."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@contextlib.contextmanager
def submitting(studio: Studio, task: int) -> Iterator[list[int]]:
    """Submits annotations one after the other; yields the numbers of those that the server confirmed so far."""
    confirmed: list[int] = []
    over = threading.Event()

    def submit() -> None:
        headers = {"Authorization": f"Token {studio.address.token}"}
        with httpx.Client(base_url=studio.address.url, headers=headers, timeout=60) as http:
            while not over.is_set():
                answer = http.post(f"/api/tasks/{task}/annotations/", json={"result": []})
                if answer.status_code == 201:
                    confirmed.append(answer.json()["id"])

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield confirmed
    finally:
        over.set()
        thread.join()


def test_backed_up_while_annotators_work_and_restored(studio: Studio, home: Path, tmp_path: Path) -> None:
    here, there = (
        named(read_corpus(one_reader(copy_corpus(tmp_path / name))), "backed up") for name in ("here", "there")
    )
    load_seeds(here, studio, FIRST, True, quiet)
    project = studio.project(project_title(here, FIRST))
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    tasks = {str(task.data["doc_id"]): task.id for task in listed}
    ro, ar = here.by_id["ro-1"].text, here.by_id["ar-2"].text
    maria = logged_in(studio, "maria.backup@mail.example.com")
    sent = [
        maria.post(f"/api/tasks/{tasks['ro-1']}/annotations/", json={"result": [region(ro, 0, 11)]}),
        maria.post(f"/api/tasks/{tasks['ar-1']}/annotations/", json={"result": [], "was_cancelled": True}),
        maria.post(f"/api/tasks/{tasks['ar-2']}/drafts", json={"result": [region(ar, 6, 13)]}),
    ]
    busy = int(studio.client.projects.create(title="busy", label_config=CONFIG).id or 0)
    upload = {"file": ("note.txt", b"a file that was uploaded")}
    sent.append(maria.post(f"/api/projects/{busy}/import", files=upload))
    assert [answer.status_code for answer in sent] == [201] * 4
    target: Any = next(iter(studio.client.tasks.list(project=busy, include="id,data")))
    [medium] = [str(path.relative_to(home)) for path in home.rglob("*-note.txt")]
    pull_annotations(here, studio, FIRST, home, quiet)

    with submitting(studio, target.id) as confirmed:
        while len(confirmed) < 5:
            time.sleep(0.01)
        before = list(confirmed)
        made = make_backup(home, tmp_path / "studio.zip")
        wanted = len(confirmed) + 3
        while len(confirmed) < wanted:  # annotators go on after it
            time.sleep(0.01)
    after = list(confirmed)
    assert made.counts["annotations"] >= len(before)
    assert made.missing == ()
    assert stat.S_IMODE((tmp_path / "studio.zip").stat().st_mode) == 0o600

    restored = restore_backup(tmp_path / "studio.zip", tmp_path / "home")
    assert (restored.backup, restored.aside) == (made, None)
    assert stat.S_IMODE((tmp_path / "home" / SECRETS).stat().st_mode) == 0o600
    with server.running(tmp_path / "home") as second, Studio(second.address) as other:
        # The same exports, under the same pseudonyms; every annotation that was confirmed before is in it.
        assert second.address.token == studio.address.token
        pull_annotations(there, other, FIRST, tmp_path / "home", quiet)
        assert files(there.exports) == files(here.exports)
        pulled = read_round(there.exports / "first")
        assert [len(pulled[doc_id]["annotations"]) for doc_id in ("ro-1", "ar-1", "ar-2")] == [2, 2, 1]
        assert len(pulled["ar-2"]["drafts"]) == 1
        there_now = {int(one.id or 0) for one in other.client.annotations.list(target.id)}
        assert set(before) <= there_now <= set(after)
        assert not set(after) <= there_now
        cookies = maria.cookies  # she is still logged in
        with httpx.Client(base_url=second.address.url, cookies=cookies) as http:
            assert http.get("/api/current-user/whoami").json()["email"] == "maria.backup@mail.example.com"
            assert http.get(f"/data/{medium.partition('media/')[2]}").content == b"a file that was uploaded"

        # What was done since on the first server is newer than what the second one knows.
        number = sent[0].json()["id"]
        maria.patch(f"/api/annotations/{number}/", json={"result": [region(ro, 0, 12)]})
        maria.post(f"/api/tasks/{tasks['fr-1']}/annotations/", json={"result": []})
        maria.close()
        assert pull_annotations(here, studio, FIRST, home, quiet).changed == ("fr-1", "ro-1")
        newest = read_round(here.exports / "first")
        back = pull_annotations(here, other, FIRST, tmp_path / "home", quiet)
        assert back.kept == ("fr-1", "ro-1")
        assert [finding.id for finding in back.findings] == ["annotation-lost", "annotation-older"]
        assert read_round(here.exports / "first") == newest

        with pytest.raises(StudioError, match=r"Label Studio already runs on .*/home, at http"):
            restore_backup(tmp_path / "studio.zip", tmp_path / "home", replace=True)


CONFIG = '<View><Text name="text" value="$text"/><Labels name="label" toName="text"><Label value="A"/></Labels></View>'


@pytest.fixture(scope="module")
def backup(home: Path, studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the session's server."""
    file = tmp_path_factory.mktemp("backup") / "studio.zip"
    Pseudonyms(home / PSEUDONYMS).of("somebody@mail.example.com")
    make_backup(home, file)
    return file


@pytest.fixture
def used(backup: Path, tmp_path: Path) -> Path:
    """A folder in which a server has run."""
    folder = tmp_path / "used"
    restore_backup(backup, folder)
    (folder / SECRETS).write_text((folder / SECRETS).read_text().replace('"token"', '"token" '))
    (folder / "mine.txt").write_text("something else")
    return folder


def written(file: Path, contents: Contents, manifest: Json | None = None, names: dict[str, str] | None = None) -> None:
    """A backup of these contents, with sums that fit unless a manifest is given; some under other names."""
    told = json.loads(contents[MANIFEST])
    told["contents"] = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in contents.items()
        if name != MANIFEST
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in (contents | {MANIFEST: json.dumps(told if manifest is None else manifest).encode()}).items():
            archive.writestr((names or {}).get(name, name), data)


def contents_of(file: Path) -> Contents:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_sql(contents: Contents, statement: str, folder: Path) -> Contents:
    path = folder / "changed.sqlite3"
    path.write_bytes(contents[DATABASE])
    with contextlib.closing(sqlite3.connect(path)) as one, one:
        one.execute(statement)
    return contents | {DATABASE: path.read_bytes()}


def damaged(contents: Contents) -> Contents:
    """The database with pages of its middle overwritten, which its header does not show."""
    data = bytearray(contents[DATABASE])
    for start in range(len(data) // 8, len(data), len(data) // 8):
        data[start : start + 4096] = bytes(4096)
    return contents | {DATABASE: bytes(data)}


def secrets_with(contents: Contents, **values: Any) -> Contents:
    return contents | {SECRETS: json.dumps(json.loads(contents[SECRETS]) | values).encode()}


NEWER = "INSERT INTO django_migrations (app, name, applied) VALUES ('tasks', '9999_later', '2030-01-01')"
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON task BEGIN DELETE FROM task_completion; END"
EVIL = "studio/media/../../../evil"
BROKEN: dict[str, tuple[Callable[[Contents, Path], Contents], str]] = {
    "a newer database": (lambda c, f: with_sql(c, NEWER, f), r"newer Label Studio than .*\(tasks.9999_later\)"),
    "a trigger": (lambda c, f: with_sql(c, TRIGGER, f), "has triggers or views"),
    "a table less": (lambda c, f: with_sql(c, "DROP TABLE task_completion", f), "not Label Studio's, or damaged"),
    "damaged": (lambda c, f: damaged(c), "damaged"),
    "no database": (lambda c, f: c | {DATABASE: b"x" * 5000}, "not Label Studio's, or damaged"),
    "an empty database": (lambda c, f: c | {DATABASE: b""}, "not Label Studio's, or damaged"),
    "out of the folder": (lambda c, f: c | {EVIL: b"x"}, "is in no backup"),
    "absolute": (lambda c, f: c | {"/tmp/evil": b"x"}, "is in no backup"),
    "another name": (lambda c, f: c | {"studio/.env": b"SECRET_KEY=x"}, "is in no backup"),
    "the place of a restore": (lambda c, f: c | {".restoring/ready.json": b"{}"}, "is in no backup"),
    "the journal of a database": (lambda c, f: c | {f"{DATABASE}-journal": b"x"}, "is in no backup"),
    "a file where a folder is": (
        lambda c, f: c | {"studio/media/a": b"x", "studio/media/a/b": b"y"},
        "is no backup, or not whole",
    ),
    "a name too long": (lambda c, f: c | {f"studio/media/{'a' * 300}": b"x"}, "is in no backup"),
    "no secrets": (lambda c, f: {n: d for n, d in c.items() if n != SECRETS}, "the secrets are not in it"),
    "secrets of another kind": (lambda c, f: c | {SECRETS: b"[]"}, "secrets.json is not as"),
    "secrets that are no JSON": (lambda c, f: c | {SECRETS: b"{"}, "not JSON"),
    "a secret less": (lambda c, f: secrets_with(c, token=""), "secrets.json is not as"),
    "a secret with a NUL": (lambda c, f: secrets_with(c, token="a\0b"), "secrets.json is not as"),
    "an address for a pseudonym": (lambda c, f: c | {PSEUDONYMS: b'{"a@b.c": "a@b.c"}'}, "pseudonyms.json is not as"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_would_not_serve_is_refused(case: str, backup: Path, used: Path, tmp_path: Path) -> None:
    change, message = BROKEN[case]
    file = tmp_path / "broken.zip"
    written(file, change(contents_of(backup), tmp_path))
    before = files(used)
    with pytest.raises(InputError, match=message) as raised:
        restore_backup(file, used, replace=True)
    assert str(file) in str(raised.value) or "secrets.json" in str(raised.value)
    assert files(used) == before
    with pytest.raises(InputError, match=message):
        restore_backup(file, tmp_path / "new")
    assert files(tmp_path / "new") == {}
    assert not (tmp_path / "evil").exists()


def lying(told: Json, bytes: int | None = None, sha256: str | None = None) -> Json:
    one = told["contents"][SECRETS]
    more = {"bytes": one["bytes"] if bytes is None else bytes, "sha256": sha256 or one["sha256"]}
    return told | {"contents": told["contents"] | {SECRETS: more}}


LIES: dict[str, tuple[Callable[[Json], Any], str]] = {
    "longer": (lambda told: lying(told, bytes=10_000), "secrets.json is not as"),
    "shorter": (lambda told: lying(told, bytes=10), "secrets.json is not as"),
    "negative": (lambda told: lying(told, bytes=-1), "not in it"),
    "far too long": (lambda told: lying(told, bytes=1 << 60), "needs 1,152,921,504,6.* make room"),
    "no number": (lambda told: lying(told, bytes="x"), "is no backup"),  # type: ignore[arg-type]
    "another sum": (lambda told: lying(told, sha256="0" * 64), "secrets.json is not as"),
    "a file more": (lambda told: told | {"contents": told["contents"] | {"x": told["contents"][SECRETS]}}, "not hold"),
    "later": (lambda told: told | {"format": 2}, "made by a newer testimonia"),
    "none": (lambda told: {}, "is not that of a backup"),
    "a list": (lambda told: [], "is not that of a backup"),
    "a list of contents": (lambda told: told | {"contents": []}, "is not that of a backup"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_manifest_that_lies(case: str, backup: Path, tmp_path: Path) -> None:
    change, message = LIES[case]
    contents = contents_of(backup)
    file = tmp_path / "broken.zip"
    written(file, contents, change(json.loads(contents[MANIFEST])))
    with pytest.raises(InputError, match=message):
        restore_backup(file, tmp_path / "new")
    assert files(tmp_path / "new") == {}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR])
def test_links_and_devices(kind: int, backup: Path, tmp_path: Path) -> None:
    file = tmp_path / "broken.zip"
    shutil.copy(backup, file)
    contents = contents_of(backup) | {"studio/media/x": b"/etc/passwd"}
    written(file, {name: data for name, data in contents.items() if name != "studio/media/x"})
    told = json.loads(contents_of(file)[MANIFEST])
    told["contents"]["studio/media/x"] = {"bytes": 11, "sha256": hashlib.sha256(b"/etc/passwd").hexdigest()}
    contents = contents_of(file) | {MANIFEST: json.dumps(told).encode()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
        info = zipfile.ZipInfo("studio/media/x")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, b"/etc/passwd")
    with pytest.raises(InputError, match="'studio/media/x' is no plain file"):
        restore_backup(file, tmp_path / "new")


def test_cut_off_or_with_bytes_changed(backup: Path, tmp_path: Path) -> None:
    data, new = backup.read_bytes(), tmp_path / "new"
    file, draw = tmp_path / "broken.zip", random.Random(5)
    for length in (0, 1, 21, 1000, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(InputError, match="is no backup, or not whole"):
            restore_backup(file, new)
    end = data.rindex(b"PK\x01\x02") - 200
    refused = 0
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(draw.randint(1, 3)):
            broken[draw.randrange(end, len(data)) if draw.random() < 0.7 else draw.randrange(100)] = draw.randrange(256)
        file.write_bytes(broken)
        try:
            restore_backup(file, new)
        except InputError:
            refused += 1
            assert files(new) == {}
        shutil.rmtree(new)
    assert refused > 20
    with pytest.raises(InputError, match="is not there"):
        restore_backup(tmp_path / "none.zip", new)


@pytest.mark.parametrize("step", [20, backups._STEP])
def test_a_database_is_copied_while_others_write(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "_STEP", step)
    path, over, stored = tmp_path / "live.sqlite3", threading.Event(), [0]
    with contextlib.closing(sqlite3.connect(path)) as one, one:
        one.execute("CREATE TABLE t (number INTEGER, text TEXT)")
        one.executemany("INSERT INTO t VALUES (0, ?)", [("x" * 4000,)] * 200)

    def write() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as one:
            one.execute("PRAGMA synchronous = OFF")
            while not over.wait(0.005):
                with one:
                    one.execute("INSERT INTO t VALUES (?, ?)", (stored[0] + 1, "x" * 4000))
                stored[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(2):
            while (before := stored[0]) < 3 * (number + 1):
                time.sleep(0.01)
            backups._copy(path, tmp_path / f"copy-{number}.sqlite3")
            with contextlib.closing(sqlite3.connect(tmp_path / f"copy-{number}.sqlite3")) as one:
                assert one.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                [[most, count]] = one.execute("SELECT max(number), count(*) FROM t").fetchall()
            assert count == 200 + most
            assert before <= most <= stored[0] + 1
    finally:
        over.set()
        thread.join()


def test_what_is_there_is_moved_aside(backup: Path, used: Path, tmp_path: Path) -> None:
    before = files(used)
    with pytest.raises(InputError, match=r"holds studio, secrets.json, .* say --replace"):
        restore_backup(backup, used)
    assert files(used) == before
    aside = restore_backup(backup, used, replace=True).aside
    assert aside is not None
    assert files(aside) | {"mine.txt": b"something else"} == before
    shutil.rmtree(aside)
    restore_backup(backup, tmp_path / "fresh")
    assert files(used) == files(tmp_path / "fresh") | {"mine.txt": b"something else"}


def test_cut_off_at_any_move_it_goes_on(
    backup: Path, used: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(used)
    restore_backup(backup, tmp_path / "fresh")
    moves, found, rename = 0, 0, Path.rename

    def cut(self: Path, target: Path) -> Path:
        nonlocal moves
        moves += 1
        if moves == last:
            raise KeyboardInterrupt
        return rename(self, target)

    for last in range(1, 9):
        folder, moves = tmp_path / f"cut-{last}", 0
        shutil.copytree(used, folder)
        (folder / ".restoring").mkdir()
        (folder / ".restoring" / "left").write_text("of a run that was killed earlier")
        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", cut)
            with pytest.raises(KeyboardInterrupt):
                restore_backup(backup, folder, replace=True)
        with pytest.raises(StudioError, match="a restore was cut off; run the same"), server.running(folder):
            pass
        between = {}
        if not (folder / PSEUDONYMS).exists():  # a pull from another server makes it
            (folder / PSEUDONYMS).write_text("{}")
            between = {f"{PSEUDONYMS}~": b"{}"}
        found += len(between)
        with pytest.raises(InputError, match="a restore was cut off; run the same"):
            make_backup(folder, tmp_path / "mixed.zip")
        aside = restore_backup(backup, folder).aside  # what is there was to be replaced already
        assert aside is not None
        assert files(aside) | {"mine.txt": b"something else"} == before | between
        shutil.rmtree(aside)
        assert files(folder) == files(tmp_path / "fresh") | {"mine.txt": b"something else"}
    assert (moves, found) == (last, 1)


def test_what_cannot_be_backed_up(backup: Path, used: Path, tmp_path: Path) -> None:
    file = tmp_path / "studio.zip"
    with pytest.raises(InputError, match="holds no Label Studio yet"):
        make_backup(tmp_path / "none", file)
    with pytest.raises(InputError, match="lies in the folder that is backed up"):
        make_backup(used, used / "studio.zip")
    file.write_text("another file")
    with pytest.raises(InputError, match="is no backup"):
        make_backup(used, file)
    assert file.read_text() == "another file"
    shutil.copy(backup, file)
    (used / "studio" / "media" / "linked").symlink_to(tmp_path)
    with pytest.raises(InputError, match="linked: is a link"):
        make_backup(used, file)
    (used / "studio" / "media" / "linked").unlink()
    database = used / DATABASE
    database.write_bytes(damaged({DATABASE: database.read_bytes()})[DATABASE])
    with pytest.raises(InputError, match=r"damaged|malformed"):
        make_backup(used, file)
    database.write_bytes(b"x" * 5000)
    with pytest.raises(InputError, match="not a database"):
        make_backup(used, file)
    assert file.read_bytes() == backup.read_bytes()
    assert not (used / ".backup").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["studio.zip", "used"]


def test_an_upload_that_is_not_there_is_told(used: Path, tmp_path: Path) -> None:
    insert = "INSERT INTO data_import_fileupload (file, project_id, user_id) SELECT 'upload/1/x.txt', p.id, u.id "
    with contextlib.closing(sqlite3.connect(used / DATABASE)) as one, one:
        one.execute(insert + "FROM project p, htx_user u LIMIT 1")
    file = tmp_path / "studio.zip"
    assert "upload/1/x.txt" in make_backup(used, file).missing
    (used / "studio" / "media" / "upload" / "1").mkdir(parents=True, exist_ok=True)
    (used / "studio" / "media" / "upload" / "1" / "x.txt").write_text("x")
    assert "upload/1/x.txt" not in make_backup(used, file).missing
    assert contents_of(file)["studio/media/upload/1/x.txt"] == b"x"
    for name in (b"back\\slash", b"no-utf-8-\xff"):  # a backup that holds them would not be restored
        (used / "studio" / "media" / os.fsdecode(name)).write_text("x")
    assert {"back\\slash", "no-utf-8-·"} <= set(make_backup(used, file).missing)
    restore_backup(file, tmp_path / "new")


def test_where_the_annotations_are_elsewhere(used: Path, tmp_path: Path) -> None:
    file = tmp_path / "studio.zip"
    (used / "database.json").write_text(json.dumps({"database": POSTGRESQL}))
    with pytest.raises(InputError, match=f"pg_dump --format=custom --file=studio.dump '{POSTGRESQL}'"):
        make_backup(used, file)
    (used / "database.json").unlink()
    with pytest.raises(InputError, match="are in this PostgreSQL") as raised:
        make_backup(used, file, "postgresql://me:open@127.0.0.1/studio")
    assert "open" not in str(raised.value)
    with pytest.raises(InputError, match=r"studio\.example\.org: is another Label Studio"):
        make_backup(used, file, "https://studio.example.org")
    assert not file.exists()


def test_the_commands(used: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, new = tmp_path / "studio.zip", tmp_path / "new"
    monkeypatch.setenv("TESTIMONIA_DATABASE", POSTGRESQL)
    refused = run(used, "backup", str(file))
    assert (refused.returncode, "pg_dump" in refused.stderr, file.exists()) == (2, True, False)
    monkeypatch.delenv("TESTIMONIA_DATABASE")
    made = run(used, "backup", str(file))
    assert (made.returncode, "keep it from others" in made.stdout) == (0, True), made.stderr
    restored = run(new, "restore", str(file))
    assert (restored.returncode, "accounts" in restored.stdout) == (0, True), restored.stderr
    again = run(new, "restore", str(file))
    assert (again.returncode, "say --replace" in again.stderr) == (2, True)
    replaced = run(new, "restore", str(file), "--replace")
    assert (replaced.returncode, f"what was there is in {new}/replaced-" in replaced.stdout) == (0, True)
    told = run(new, "backup", str(file), "--json")
    assert json.loads(told.stdout)["counts"]["accounts"] >= 1
    assert json.loads(contents_of(file)[MANIFEST])["format"] == backups.FORMAT
