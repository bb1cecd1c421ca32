"""Nobody gets in where they do not belong: the real server's doors, and what travels, is written or told of secrets."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser

from testimonia import server
from testimonia import studio as studios
from testimonia.corpus import Corpus, Round, read_corpus
from testimonia.errors import StudioError
from testimonia.release import export_gold
from testimonia.studio import Pseudonyms, Studio
from testimonia.suggestions import read_suggestions
from testimonia.transfer import adjudicate, exported, load_seeds, project_title, pull_annotations
from tests.conftest import ROOT, two_readers
from tests.loopback import Answer, Asked, recorder, self_signed, tls_before
from tests.test_browser import drag
from tests.test_studio import logged_in, named, quiet, region, run
from tests.test_suggestions import predicted, written

Json = dict[str, Any]
KEY = "0123456789abcdef0123456789abcdef01234567"
FIRST = Round("first", "annotation", True)


def members(group: int) -> list[int]:
    """The processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (OSError, ProcessLookupError):
            continue
        if int(fields[2]) == group:
            found.append(int(path.parent.name))
    return found


def listening(pids: list[int]) -> list[tuple[str, int]]:
    """Address and port of every TCP socket on which the processes listen."""
    own = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                match = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
            except OSError:  # closed meanwhile
                continue
            if match:
                own.add(match.group(1))
    found = []
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        path = Path(f"/proc/{pids[0]}/net/{name}")
        for line in path.read_text().splitlines()[1:] if path.is_file() else ():
            fields = line.split()
            if fields[3] == "0A" and fields[9] in own:
                words, _, port = fields[1].partition(":")
                raw = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
                found.append((socket.inet_ntop(family, raw), int(port, 16)))
    return found


def own_addresses() -> set[str]:
    """The IPv4 addresses of this machine but its loopback, as its kernel routes to them."""
    trie = Path("/proc/net/fib_trie").read_text()
    return {one for one in re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", trie) if not one.startswith("127.")}


def answers(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")])
def test_an_open_socket_is_seen(family: int, address: str) -> None:
    here = Path("/proc/net/if_inet6")
    if family == socket.AF_INET6 and not (here.is_file() and "0" * 31 + "1 " in here.read_text()):
        pytest.skip("this machine has no ::1")
    with socket.socket(family) as one:
        one.bind((address, 0))
        one.listen()
        port = one.getsockname()[1]
        assert (address, port) in listening([os.getpid()])
        assert answers("127.0.0.2" if family == socket.AF_INET else address, port)
    assert os.getpid() in members(os.getpgrp())


@pytest.mark.server
def test_the_server_answers_on_loopback_only(running: server.Server) -> None:
    port = urlsplit(running.address.url).port or 0
    sockets = listening(members(running.process.pid))
    assert ("127.0.0.1", port) in sockets
    assert [one for one in sockets if not server.is_loopback(one[0])] == []
    assert answers("127.0.0.1", port)
    for other in {"127.0.0.2", "::1"} | own_addresses():
        assert not answers(other, port), other


@pytest.mark.server
@pytest.mark.parametrize("token", ["", "made-up-0123456789abcdef0123456789abcdef"])
def test_nobody_signs_up_without_an_invitation(studio: Studio, token: str) -> None:
    before = studio.users()
    for email in ("intruder@example.com", "owner@example.net"):
        with httpx.Client(base_url=studio.address.url, params={"token": token} if token else {}) as http:
            http.get("/user/signup/")  # shows a form, which leads nowhere
            form = {"email": email, "password": "x" * 12, "csrfmiddlewaretoken": http.cookies["csrftoken"]}
            refused = http.post("/user/signup/", data=form, headers={"Referer": studio.address.url})
            assert refused.status_code == 403
            assert http.get("/api/projects").status_code == 401
            assert http.get("/projects", follow_redirects=False).headers["location"].startswith("/user/login")
    assert studio.users() == before


@pytest.fixture(scope="module")
def recorded(
    studio: Studio, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[tuple[str, str]], Callable[[], Json]]:
    """Method and path of every request that the commands' work makes, and what then is on the server."""
    folder = tmp_path_factory.mktemp("recorded") / "corpus"
    shutil.copytree(ROOT / "seeds", folder / "seeds")
    shutil.copytree(ROOT / "labeling", folder / "labeling")
    for name in ("DATASET_CARD.md", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy2(ROOT / name, folder)
    two_readers(folder)
    corpus = named(read_corpus(folder), "recorded")
    first, decided = corpus.round("first"), corpus.round("decided")
    asked: list[tuple[str, str]] = []
    with Studio(studio.address) as one:
        hooks = one._http.event_hooks
        more = [*hooks["request"], lambda r: asked.append((r.method, r.url.raw_path.decode()))]
        one._http.event_hooks = hooks | {"request": more}
        one.check(["projects.create"])
        for quote in ("Kim Jong Un", "Anunțul"):  # other predictions the second time
            path = written(folder / "p.jsonl", predicted(corpus, [(quote, "ACTOR")]))
            load_seeds(corpus, one, first, True, quiet, read_suggestions(path, corpus.by_id, corpus.scheme))
            project = studio.project(project_title(corpus, first)) or 0
            listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
            gone = studio.client.annotations.list(listed[0].id)[0]
            studio.client.annotations.delete(int(gone.id or 0))  # what the second load puts back
        adjudicate(corpus, one, decided, False, quiet)
        pull_annotations(corpus, one, first, folder / "home", quiet, overwrite=True)
        exported(corpus, one, first, folder / "home", quiet)
        one.add_annotator("recorded@example.org")

    def state() -> Json:
        projects = [studio.project(project_title(corpus, of)) or 0 for of in (first, decided)]
        return {
            "users": studio.users(),
            "projects": [studio.client.projects.get(project).model_dump(mode="json") for project in projects],
            "tasks": [list(studio.export(project, quiet)) for project in projects],
        }

    return sorted(set(asked)), state


@pytest.mark.server
def test_every_path_in_use_needs_a_token(
    studio: Studio, recorded: tuple[list[tuple[str, str]], Callable[[], Json]]
) -> None:
    asked, state = recorded
    kinds = {(method, re.sub(r"\d+", "N", path.partition("?")[0]).rstrip("/")) for method, path in asked}
    for kind in (
        ("POST", "/api/projects"),
        ("PATCH", "/api/projects/N"),
        ("POST", "/api/projects/N/import"),
        ("GET", "/api/projects/N/export"),
        ("POST", "/api/tasks/N/annotations"),
        ("PATCH", "/api/tasks/N"),
        ("DELETE", "/api/predictions/N"),
        ("POST", "/api/dm/views"),
        ("GET", "/api/users"),
        ("GET", "/api/invite"),
    ):
        assert kind in kinds, sorted(kinds)
    before = state()
    wrong: tuple[dict[str, str], ...] = ({}, {"Authorization": f"Token {KEY}"}, {"Authorization": f"Bearer {jwt()}"})
    open_to_all = set()
    with httpx.Client(base_url=studio.address.url, timeout=60) as http:
        for headers in wrong:
            for method, path in asked:
                status = http.request(method, path, headers=headers).status_code
                if status != 401:
                    open_to_all.add((method, path.rstrip("/"), status))
    assert open_to_all == {("GET", "/api/version", 200)}
    assert state() == before


def jwt(seconds: int = 3600) -> str:
    """A token in the form of a personal access token, signed by nobody."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    claims = {"exp": int(time.time()) + seconds, "token_type": "refresh", "jti": "0" * 32, "user_id": 1}
    head = {"alg": "HS256", "typ": "JWT"}
    return ".".join(map(part, (json.dumps(head).encode(), json.dumps(claims).encode(), b"signature" * 3)))


def told(error: BaseException) -> str:
    """All that an error may show."""
    return repr(error) + str(error) + "".join(traceback.format_exception(error))


@pytest.mark.parametrize("key", [KEY, jwt()], ids=["legacy", "personal"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_key_does_not_follow_a_redirect(key: str, status: int) -> None:
    with recorder() as other:
        with recorder(lambda asked: (status, {"Location": f"{other.url}{asked.path}"}, b"")) as first:
            with Studio(server.Address(first.url, key)) as studio:
                with pytest.raises(StudioError, match=f"redirects to {other.url}, where the key is not sent") as raised:
                    studio.users()
                with pytest.raises(StudioError, match="redirects to"):
                    studio.check()
            assert len(first.asked) == 2
            assert key in first.asked[0]
        assert other.asked == []
        assert key not in told(raised.value)
        # Without that care a body goes along: this is what is prevented.
        with recorder(lambda asked: (307, {"Location": f"{other.url}{asked.path}"}, b"")) as first:
            httpx.post(f"{first.url}/api/token/refresh/", json={"refresh": key}, follow_redirects=True)
        assert key in other.asked[0]


def test_a_password_does_not_follow_a_redirect() -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path.startswith("/api/invite"):
            return 200, {"Content-Type": "application/json"}, b'{"token": "invited", "invite_url": "/user/signup/"}'
        if asked.path.startswith("/api/users"):
            return 200, {"Content-Type": "application/json"}, b"[]"
        if asked.method == "GET":
            return 200, {"Set-Cookie": "csrftoken=c"}, b""
        return 307, {"Location": f"{other.url}/user/signup/"}, b""

    with recorder() as other, recorder(answer) as first, Studio(server.Address(first.url, KEY)) as studio:
        with pytest.raises(StudioError, match="redirects to"):
            studio.add_annotator("one@example.org")
        assert "password=" in first.asked[-1]
        assert other.asked == []


def test_redirects_that_stay_are_followed() -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path.startswith("/api/there"):
            return 200, {"Content-Type": "application/json"}, b'[{"id": 1, "email": "A@example.org"}]'
        return 302, {"Location": "/api/there"}, b""

    with recorder(answer) as first, Studio(server.Address(first.url, KEY)) as studio:
        assert studio.users() == {1: "a@example.org"}
        assert KEY in first.asked[-1]


def test_a_key_does_not_go_from_https_to_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path / "own.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with recorder() as plain:
        with recorder(lambda asked: (307, {"Location": f"{plain.url}{asked.path}"}, b""), certificate) as first:
            with (
                Studio(server.Address(first.url, KEY)) as studio,
                pytest.raises(StudioError, match="redirects to http:"),
            ):
                studio.users()
            assert KEY in first.asked[0]
        assert plain.asked == []


@pytest.mark.server
def test_certificates_are_verified(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: Corpus
) -> None:
    port = urlsplit(studio.address.url).port or 0
    own, other = self_signed(tmp_path / "own.pem"), self_signed(tmp_path / "other.pem", "DNS:studio.example.org")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.address.token)
    with tls_before(port, own) as (url, came):
        monkeypatch.setenv("LABEL_STUDIO_URL", url)
        refused = run(tmp_path, "load-seeds", "--corpus", str(ROOT))
        assert (refused.returncode, came, "Traceback" in refused.stderr) == (2, [], False)
        assert re.search(r"its certificate is not trusted \(self-signed.*set SSL_CERT_FILE to", refused.stderr)
    for certificate, wrong in ((own, "self-signed certificate"), (other, "IP address mismatch")):
        monkeypatch.setenv("SSL_CERT_FILE", str(other))
        with tls_before(port, certificate) as (url, came), Studio(server.Address(url, KEY)) as secure:
            with pytest.raises(StudioError, match=rf"its certificate is not trusted \(.*{wrong}"):
                secure.users()
            assert came == []
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    with tls_before(port, own) as (url, came), Studio(server.Address(url, studio.address.token)) as secure:
        assert load_seeds(named(corpus, "by TLS"), secure, FIRST, False, quiet).new == 5
        assert secure.add_annotator("by-tls@example.org")
        assert studio.address.token.encode() in b"".join(came)


@pytest.mark.server
def test_what_is_on_this_machine_is_not_asked_through_a_proxy(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    with recorder() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with Studio(studio.address) as one:
            one.check()
            one.add_annotator("past-a-proxy@example.org")
        assert proxy.asked == []
        httpx.get("http://studio.example.org/")  # as any other address would be
        assert [one.path for one in proxy.asked] == ["http://studio.example.org/"]


@pytest.mark.parametrize("key", [KEY, jwt()], ids=["legacy", "personal"])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 422])
def test_errors_do_not_repeat_the_key(key: str, status: int) -> None:
    """Of a server that sends back all that it was sent."""

    def answer(asked: Asked) -> Answer:
        said = {"sent": [asked.headers.get("Authorization"), asked.body.decode()], "headers": asked.headers}
        return status, {"Content-Type": "application/json"}, json.dumps(said).encode()

    def answer_in_words(asked: Asked) -> Answer:
        return status, {}, f"{asked.headers.get('Authorization')} {asked.body!r} {asked.headers}".encode()

    for said in (answer, answer_in_words):
        with recorder(said) as echo, Studio(server.Address(echo.url, key)) as studio:
            with pytest.raises(StudioError) as raised:
                studio.check()
            assert any(key in one for one in echo.asked)
            assert key not in told(raised.value)
            assert key not in repr(studio) + str(studio) + repr(studio.address)


def test_errors_do_not_repeat_an_invitation() -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path.startswith("/api/invite"):
            return 200, {"Content-Type": "application/json"}, b'{"token": "invited-by-this"}'
        if asked.path.startswith("/api/users"):
            return 200, {"Content-Type": "application/json"}, b"[]"
        return 404, {}, b""

    with recorder(answer) as first, Studio(server.Address(first.url, KEY)) as studio:
        with pytest.raises(StudioError, match="cannot sign up") as raised:
            studio.add_annotator("one@example.org")
        assert "invited-by-this" in first.asked[-1]
        assert "invited-by-this" not in told(raised.value)


def test_a_key_that_has_run_out_is_told() -> None:
    key = jwt(-60)
    with pytest.raises(StudioError, match=r"HTTP 401.*expired") as raised:
        Studio(server.Address("http://127.0.0.1:9", key))
    assert key not in told(raised.value)


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("me:s3cret@studio.example.org", KEY, "leave them out"),
        ("ftp://me:s3cret@studio.example.org", KEY, "leave them out"),
        ("https://studio.example.org/?token=s3cret", KEY, "leave them out"),
        ("http://127.0.0.1\\@evil.example", KEY, "leave them out"),
        ("http://127.0.0.1.evil.example", KEY, "use https"),
        ("http://localhost.evil.example", KEY, "use https"),
        ("http://127.0.0.999", KEY, "use https"),
        ("http://0.0.0.0:8080", KEY, "use https"),
        ("https://studio.example.org:99999", KEY, "is no address"),
        ("https://[::1", KEY, "is no address"),
        ("https://studio.example.org/a b", KEY, "is no address"),
        ("https://", KEY, "is no address"),
        ("https://studio.example.org", "s3cret\nX-Other: 1", "LABEL_STUDIO_API_KEY holds"),
        ("https://studio.example.org", "s3cret é", "LABEL_STUDIO_API_KEY holds"),
    ],
)
def test_addresses_and_keys_that_will_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, key: str, message: str
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", key)
    with pytest.raises(StudioError, match=message) as raised:
        server.address(tmp_path)
    assert "s3cret" not in told(raised.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost", "http://127.9.9.9"])
def test_plain_http_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", KEY)
    assert server.address(tmp_path).url == url
    with Studio(server.address(tmp_path)) as one:
        assert one.address.token == KEY


def test_passwords_of_databases_are_not_repeated(tmp_path: Path) -> None:
    for url in (
        "mysql://me:s3cret@127.0.0.1/name",
        "postgresql://me:s3cret@127.0.0.1:99999/name",
        "postgresql://me:s3cret@",
    ):
        with pytest.raises(StudioError) as raised, server.running(tmp_path, database=url):
            pass
        assert "s3cret" not in told(raised.value)
    done = run(tmp_path, "serve", "--database", "postgresql://me:s3cret@127.0.0.1/name")
    assert (done.returncode, "s3cret" in done.stdout + done.stderr) == (2, False)


def test_the_server_is_given_no_secrets_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "TESTIMONIA_DATABASE", "LABEL_STUDIO_API_KEY", "HEARTEX_COLLECT_ANALYTICS"):
        monkeypatch.setenv(name, "s3cret")
    values = {"email": "e", "password": "p", "token": "t", "secret_key": "k"}
    environment = server._environment(tmp_path, values)
    assert "s3cret" not in environment.values()
    assert environment["COLLECT_ANALYTICS"] == "false"
    assert "PATH" in environment


@pytest.mark.server
def test_secrets_stay_where_they_are(
    home: Path, studio: Studio, personal_token: str, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the process list, a log, what commands say, exports, the dataset; the server's files are its user's."""
    values = server.read_secrets(home)
    secrets = {"key": personal_token} | {name: values[name] for name in ("password", "token", "secret_key")}
    scheme = alone / "labeling" / "scheme.toml"
    scheme.write_text(scheme.read_text().replace('name = "testimonia"', 'name = "secrets"'))
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.address.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", personal_token)
    shown: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    shown.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except (OSError, ProcessLookupError):
                    continue
            done.wait(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = ""
    try:
        for command in (["load-seeds", "--with-annotations"], ["pull-annotations"]):
            finished = run(tmp_path / "own", *command, "--round", "first", "--corpus", str(alone))
            assert finished.returncode == 0, finished.stderr
            said += finished.stdout + finished.stderr
        added = run(tmp_path / "own", "add-annotator", "told-once@mail.example.com")
    finally:
        done.set()
        watcher.join()
    [password] = re.findall(r"password: (\S+) \(shown this once", added.stdout)
    assert any("load-seeds" in line for line in shown)
    assert any("label-studio" in line for line in shown)
    export_gold(read_corpus(alone))
    kept = [path for folder in (alone, tmp_path / "own") for path in folder.rglob("*") if path.is_file()]
    assert alone / "dataset" / "manifest.json" in kept
    texts = {str(path): path.read_bytes() for path in [*kept, home / "studio.log"]}
    texts |= {"process list": "\n".join(shown).encode(), "output": said.encode()}
    for name, secret in (secrets | {"annotator's password": password}).items():
        assert [where for where, text in texts.items() if secret.encode() in text] == [], name
        assert secret not in added.stdout.replace(f"password: {password}", "") + added.stderr
    assert b"told-once@" not in b"".join(path.read_bytes() for path in kept if tmp_path / "own" not in path.parents)
    with_secret = [
        path for path in home.rglob("*") if path.is_file() and values["password"].encode() in path.read_bytes()
    ]
    assert with_secret == [home / "secrets.json"]
    assert home.stat().st_mode & 0o777 == 0o700  # nobody reaches what lies below, whatever its mode
    for name in ("secrets.json", "server.json", "studio.log"):
        assert (home / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "own" / "pseudonyms.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.server
def test_who_wrote_in_whose_name(studio: Studio, alone: Path, tmp_path: Path) -> None:
    corpus = named(read_corpus(alone), "authors")
    load_seeds(corpus, studio, FIRST, True, quiet)
    project = studio.project(project_title(corpus, FIRST))
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    task = {str(one.data["doc_id"]): one.id for one in listed}
    text = {one.doc_id: one.text for one in corpus.documents}
    eve, bob = logged_in(studio, "eve@mail.example.com"), logged_in(studio, "bob@example.org")
    with closing(eve), closing(bob):
        bobs, eves = (http.get("/api/current-user/whoami").json()["id"] for http in (bob, eve))

        def post(http: httpx.Client, doc_id: str, **more: Any) -> int:
            body = {"result": [region(text[doc_id], 0, 5)], **more}
            answer = http.post(f"/api/tasks/{task[doc_id]}/annotations/", json=body)
            assert answer.status_code == 201
            return int(answer.json()["id"])

        # What load-seeds puts back, by import or into a task that is there, and what annotators do themselves.
        [there] = studio.client.annotations.list(task["fr-2"])
        studio.client.annotations.delete(int(there.id or 0))
        assert load_seeds(corpus, studio, FIRST, True, quiet).annotations == 1
        post(bob, "ro-1")
        assert pull_annotations(corpus, studio, FIRST, tmp_path, quiet).findings == ()

        forged = {"completed_by": bobs, "updated_by": bobs, "last_created_by": bobs, "import_id": 7}
        post(eve, "ar-1", **forged)  # in another's name, as if it had been loaded
        given = post(eve, "ar-2")
        assert eve.patch(f"/api/annotations/{given}/", json={"completed_by": bobs}).status_code == 200
        changed = post(bob, "fr-1")
        assert eve.patch(f"/api/annotations/{changed}/", json={"result": [], "updated_by": bobs}).status_code == 200
        key = {"Authorization": f"Token {studio.address.token}"}
        owners = httpx.post(
            f"{studio.address.url}/api/tasks/{task['fr-2']}/annotations/",
            json={"result": [], "completed_by": eves},
            headers=key,
        )
        assert owners.status_code == 201
        draft = eve.post(f"/api/tasks/{task['ar-1']}/drafts", json={"result": [], "user": bobs})
        assert draft.json()["user"] == "eve@mail.example.com"  # of a draft nobody else can be the author
    pulled = pull_annotations(corpus, studio, FIRST, tmp_path, quiet)
    pseudonyms = Pseudonyms(tmp_path / "pseudonyms.json")
    who, owner = pseudonyms.of("eve@mail.example.com"), pseudonyms.of(server.OWNER)
    assert {(one.id, one.severity) for one in pulled.findings} == {("annotation-author", "warning")}
    assert {(one.place, one.message.split()[0]) for one in pulled.findings} == {
        ("ar-1 (bob)", who),
        ("ar-2 (bob)", who),
        ("fr-1 (bob)", who),
        (f"fr-2 ({who})", owner),
    }
    assert pull_annotations(corpus, studio, FIRST, tmp_path, quiet).findings == pulled.findings  # and again
    logged = logged_in(studio, "mallory@example.org")
    with closing(logged):  # an import leaves no trace of who did it, but an article that two tasks hold
        made = {"result": [region(text["ro-1"], 0, 5)], "completed_by": bobs}
        body = [{"data": dict(listed[0].data), "annotations": [made]}]
        assert logged.post(f"/api/projects/{project}/import", json=body).status_code == 201
    imported = list(studio.export(project or 0, quiet))[-1]["annotations"]
    assert [(one["completed_by"], one["updated_by"]) for one in imported] == [(bobs, None)]
    with pytest.raises(StudioError, match="two tasks hold it"):
        pull_annotations(corpus, studio, FIRST, tmp_path, quiet)


@pytest.mark.server
def test_no_account_is_told_in_what_is_pulled(studio: Studio, alone: Path, tmp_path: Path, home: Path) -> None:
    corpus = named(read_corpus(alone), "accounts")
    record = predicted(corpus, [("Kim Jong Un", "ACTOR")], model="guesser of Grace.Secret+x@mail.example.com")
    path = written(tmp_path / "p.jsonl", record)
    load_seeds(corpus, studio, FIRST, True, quiet, read_suggestions(path, corpus.by_id, corpus.scheme))
    project = studio.project(project_title(corpus, FIRST))
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    task = {str(one.data["doc_id"]): one.id for one in listed}
    http = logged_in(studio, "Grace.Secret+x@mail.example.com")
    with closing(http):
        me = http.get("/api/current-user/whoami").json()["id"]
        named_ = {"first_name": "Zebulonia", "last_name": "Quartzheim", "phone": "+40 700 555 019"}
        assert http.patch(f"/api/users/{me}", json=named_).status_code == 200
        picture = base64.b64decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        )
        sent = http.post(f"/api/users/{me}/avatar", files={"avatar": ("quartzheim.png", picture, "image/png")})
        assert sent.status_code < 300, sent.text
        avatar = http.get(f"/api/users/{me}").json()["avatar"]
        assert avatar
        result = [region(corpus.by_id["ro-1"].text, 0, 11)]
        posted = http.post(f"/api/tasks/{task['ro-1']}/annotations/", json={"result": result})
        [prediction] = studio.client.predictions.list(task=task["ro-1"])
        based = {"result": result, "parent_prediction": prediction.id, "draft_id": 0}
        other = http.post(f"/api/tasks/{task['ro-1']}/annotations/", json=based)
        skipped = http.post(f"/api/tasks/{task['ar-2']}/annotations/", json={"result": [], "was_cancelled": True})
        draft = http.post(f"/api/tasks/{task['fr-1']}/drafts", json={"result": []})
        again = http.post(
            f"/api/tasks/{task['ro-1']}/annotations/{posted.json()['id']}/drafts", json={"result": result}
        )
        assert [one.status_code for one in (posted, other, skipped, draft, again)] == [201] * 5
        meta = {"by": "grace.secret+x@mail.example.com", "grace.secret+x@mail.example.com": {"seen": True}}
        assert http.patch(f"/api/tasks/{task['fr-2']}/", json={"meta": meta}).status_code == 200
    whole = "".join(json.dumps(one) for one in studio.export(project or 0, quiet))
    words = ("zebulonia", "quartzheim", "grace.secret", "mail.example.com", "0700", "700 555", avatar.lower())
    assert [word for word in words[:4] if word not in whole.lower()] == []  # the server does tell them
    pull_annotations(corpus, studio, FIRST, tmp_path, quiet)
    tasks, _ = exported(corpus, studio, FIRST, tmp_path, quiet)
    pulled = "".join(one.read_text() for one in (corpus.exports / "first").rglob("*") if one.is_file()).lower()
    for text in (pulled, json.dumps(tasks).lower()):
        assert [word for word in words if word in text] == []
        assert re.findall(r"[\w.+-]+@[\w.-]+", text) == []
        assert Pseudonyms(tmp_path / "pseudonyms.json").of("grace.secret+x@mail.example.com") in text
        assert '"model_version": "guesser of annotator-' in text


def test_addresses_that_are_hard_to_see(tmp_path: Path) -> None:
    users = {1: "o'brien@mail.example.com", 2: "admin@localhost", 3: "jo@mail.example.com"}
    pseudonyms = Pseudonyms(tmp_path / "pseudonyms.json")
    brien, admin, jo = (pseudonyms.of(email) for email in users.values())
    task: Json = {
        "data": {},
        "drafts": [{"user": "O'Brien@mail.example.com"}, {"user": "admin@localhost"}, {"user": "was@gone"}],
        "meta": {"jo@mail.example.com": ["by 'jo@mail.example.com', o'brien@mail.example.com and admin@localhost."]},
    }
    gone = pseudonyms.of("was@gone")
    assert studios.pseudonymised(task, users, pseudonyms) == {
        "data": {},
        "drafts": [{"user": brien}, {"user": admin}, {"user": gone}],
        "meta": {jo: [f"by '{jo}', {brien} and {admin}."]},
    }


@pytest.mark.server
@pytest.mark.browser
def test_the_page_asks_nobody_else(browser: Browser, studio: Studio, home: Path, copy: Path, tmp_path: Path) -> None:
    """Every request of the page of annotation and of adjudication, with words in it that would load something."""
    two_readers(copy)
    bait = '<img src="http://198.51.100.7/x.png"><script src="//198.51.100.7/x.js"></script>'
    for path in (copy / "labeling" / "exports" / "first").glob("*.json"):
        path.write_text(path.read_text().replace("reader-2", "img-src-198-51-100-7"))
        exported_ = json.loads(path.read_text())
        for result in exported_["annotations"][1]["result"]:
            if result["type"] == "textarea":
                result["value"]["text"] = [bait]
        path.write_text(json.dumps(exported_))
    corpus = named(read_corpus(copy), "asking")
    documents = tuple(replace(one, title=bait) for one in corpus.documents)
    corpus = replace(corpus, documents=documents)
    load_seeds(corpus, studio, corpus.round("first"), False, quiet)
    adjudicate(corpus, studio, corpus.round("decided"), False, quiet)
    values = server.read_secrets(home)
    asked: list[str] = []
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("websocket", lambda one: asked.append(one.url))
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(f"{studio.address.url}/user/login")
    page.fill("input[name=email]", values["email"])
    page.fill("input[name=password]", values["password"])
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/user/login" not in url)
    page.wait_for_load_state("networkidle")
    for name in ("first", "decided"):
        project = studio.project(project_title(corpus, corpus.round(name)))
        listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
        task = next(one for one in listed if one.data["doc_id"] == "fr-2")
        if name == "decided":
            assert "198.51.100.7" in task.data["differences"]
        page.goto(f"{studio.address.url}/projects/{project}/data?task={task.id}")
        page.wait_for_selector(".lsf-richtext__line")
        page.wait_for_timeout(2000)
        assert page.locator('img[src*="198.51.100.7"], script[src*="198.51.100.7"]').count() == 0
        if name == "first":
            page.keyboard.press("1")
            drag(page, "Kim Jong-un", False)
            page.locator("button:has-text('Submit')").wait_for()
    for path_ in ("/organization", "/user/account", f"/projects/{project}/settings"):
        page.goto(f"{studio.address.url}{path_}")
        page.wait_for_load_state("networkidle")
    context.close()
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme not in ("data", "blob")}
    assert hosts == {urlsplit(studio.address.url).netloc}


def test_a_token_of_the_hub_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    for endpoint, message in (
        ("http://hub.example.org", "everybody on the way could read the token"),
        ("https://me:s3cret@hub.example.org", "leave them out"),
        ("http://127.0.0.1.evil.example", "everybody on the way"),
    ):
        done = publish(endpoint, tmp_path)
        assert (done.returncode, message in done.stderr, "s3cret" in done.stderr) == (2, True, False), done.stderr


def publish(endpoint: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder), "HF_TOKEN": "hf_" + KEY, "HF_HUB_DISABLE_XET": "1"}
    code = "from testimonia.cli import main; main('publish')"
    command = [sys.executable, "-c", code, "someone/articles", "--corpus", str(ROOT)]
    return subprocess.run(command, capture_output=True, text=True, env=kept | own | more, check=False)


def test_a_token_of_the_hub_does_not_follow_a_redirect(tmp_path: Path) -> None:
    with recorder() as other:
        with recorder(lambda asked: (307, {"Location": f"{other.url}{asked.path}"}, b"")) as first:
            done = publish(first.url, tmp_path)
            assert (done.returncode, "Traceback" in done.stderr) == (2, False)
            assert any("hf_" + KEY in one for one in first.asked)
        assert [one for one in other.asked if "hf_" + KEY in one] == []
        assert KEY not in done.stdout + done.stderr


def test_the_hubs_certificate_is_verified(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "own.pem")
    with recorder(certificate=certificate) as hub:
        done = publish(hub.url, tmp_path)
        assert (done.returncode, hub.asked, "certificate" in done.stderr) == (2, [], True), done.stderr
        assert "its certificate is not trusted (self-signed certificate)" in done.stderr
        publish(hub.url, tmp_path, SSL_CERT_FILE=str(certificate))
        assert hub.asked != []
