"""The embedded server on a real PostgreSQL: the whole path, and what is told where the database is not there."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from testimonia import server
from testimonia.backups import make_backup
from testimonia.corpus import Round, read_corpus
from testimonia.errors import InputError, StudioError
from testimonia.rounds import round_annotations
from testimonia.studio import Studio
from testimonia.transfer import load_seeds, pull_annotations
from tests.test_studio import quiet, run

pytestmark = pytest.mark.server
PASSWORD = "seven/ships@sea"  # a password of the test, with what a URL must quote


def binaries() -> Path:
    """Where Debian keeps initdb and postgres."""
    [*_, newest] = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return newest


def connected(port: int) -> psycopg.Connection[tuple[object, ...]]:
    """A connection, as soon as the database takes one."""
    for _ in range(300):
        try:
            return psycopg.connect(
                host="127.0.0.1", port=port, user="ship", password=PASSWORD, dbname="postgres", autocommit=True
            )
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("PostgreSQL did not come up in 30 s")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A PostgreSQL of its own on loopback, as a URL with its password."""
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    folder = Path(tempfile.mkdtemp(prefix="testimonia-pg-"))
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    (folder / "password").write_text(PASSWORD)
    os.chown(folder / "password", owner.pw_uid, owner.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    as_owner = {"user": owner.pw_uid, "group": owner.pw_gid} if os.geteuid() == 0 else {}
    initdb = [binaries() / "initdb", "-D", data, "-U", "ship", "-A", "scram-sha-256", "--pwfile", folder / "password"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **as_owner)  # type: ignore[call-overload]
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "fsync=off"]
    process = subprocess.Popen(
        [binaries() / "postgres", "-D", data, *options],
        cwd=folder,
        stderr=subprocess.DEVNULL,
        **as_owner,  # type: ignore[call-overload]
    )
    try:
        with connected(port) as one:
            one.execute("CREATE DATABASE studio")
        yield f"postgresql://ship:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@127.0.0.1:{port}/studio"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def test_the_whole_path_on_postgresql(database: str, alone: Path, tmp_path: Path) -> None:
    corpus, first = read_corpus(alone), Round("first", "annotation", True)
    with server.running(tmp_path / "home", database=database) as up, Studio(up.address) as studio:
        studio.check(["projects.create"])
        assert load_seeds(corpus, studio, first, True, quiet).annotations == 5
        assert load_seeds(corpus, studio, first, True, quiet).present == 5
        before = round_annotations(corpus, first)
        shutil.rmtree(corpus.exports / "first")
        assert len(pull_annotations(corpus, studio, first, tmp_path, quiet).new) == 5
        command = Path(f"/proc/{up.process.pid}/cmdline").read_text()
        log = up.log.read_text(errors="replace")
    assert PASSWORD not in command + log
    assert not list((tmp_path / "home" / "studio").glob("*.sqlite3"))
    assert round_annotations(corpus, first) == before
    with pytest.raises(InputError, match=r"pg_dump .* 'postgresql://ship@127\.0\.0\.1:\d+/studio'") as raised:
        make_backup(tmp_path / "home", tmp_path / "studio.zip")
    assert PASSWORD not in str(raised.value) + (tmp_path / "home" / "database.json").read_text()


def test_a_database_that_does_not_answer_is_named(database: str, tmp_path: Path) -> None:
    elsewhere = database.replace("/studio", "/absent")
    with pytest.raises(StudioError, match=r'OperationalError.*"absent" does not exist') as raised:
        with server.running(tmp_path, database=elsewhere):
            pass
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize("url", ["mysql://a@b/c", "postgresql://a@b", "postgresql:///c", "postgresql://a@b:x/c"])
def test_an_address_that_is_no_database(url: str, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="postgresql://user@host:port/name"), server.running(tmp_path, database=url):
        pass


def test_a_password_on_the_command_line_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--database", "postgresql://me:open@127.0.0.1/studio")
    assert (done.returncode, "every process of this machine can see" in done.stderr) == (2, True)
