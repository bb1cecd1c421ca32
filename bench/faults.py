"""Faults on purpose: commands killed at random moments, servers killed, answers lost; then the same command again.

Each fault is set into one run of one command on a copy of its own. The same command is then run again, and everything
that is there must be as after a run that nothing disturbed: each task in Label Studio with its annotations and
predictions, each file byte for byte, nothing twice, nothing left over, no process left behind.

Run: .venv/bin/python -m bench.faults [--kills 200] [--seed 1] [--cases all|files|server]
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import hashlib
import http.client
import importlib
import json
import os
import platform
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.exports import made_tasks
from testimonia import server
from testimonia.studio import Studio
from tests.conftest import copy_corpus

Json = dict[str, Any]
Outcome = dict[str, Any]
SAID = "said"  # the file of a trial that takes what a command prints
SETTINGS = ("label_config", "expert_instruction", "model_version", "show_collab_predictions", "maximum_annotations")
PATIENCE = 300  # seconds that a command may take
GONE = 10  # seconds in which the processes of a killed command must be gone


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    said: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Case:
    """A command, how its folder is made ready, and all that must be there after it."""

    name: str
    arguments: Callable[[Path], list[str]]
    prepare: Callable[[Path], None]
    outcome: Callable[[Path], Outcome]
    victims: tuple[str, ...] = ("client",)

    @property
    def on_server(self) -> bool:
        return "server" in self.victims


@dataclass(slots=True)
class Counts:
    """What was done and what came of it."""

    faults: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    again: int = 0
    wrong: list[str] = field(default_factory=list)


class Host:
    """An embedded server that can be killed and started again on the same data."""

    def __init__(self, home: Path, wanted: bool = True) -> None:
        self.home, self._stack, self._wanted = home, contextlib.ExitStack(), wanted

    def __enter__(self) -> Host:
        if self._wanted:
            self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        self.up = self._stack.enter_context(server.running(self.home))

    def stop(self) -> None:
        self._stack.close()

    def kill(self) -> None:
        """Kills the server and all its processes, without a warning."""
        os.killpg(self.up.process.pid, signal.SIGKILL)
        self.stop()


class Forked:
    """A command in a process forked from one that has loaded the modules, so that faults fall into its work."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], said: Path) -> None:
        process = _loaded()
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps([arguments, environment, str(said)]).encode() + b"\n")
        self._from = process.stdout
        self.returncode: int | None = None
        self.pid = int(self._from.readline())

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float) -> int:
        if self.returncode is None:
            if not select.select([self._from], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("testimonia", timeout)
            self.returncode = int(self._from.readline())
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


@functools.cache
def _loaded() -> subprocess.Popen[bytes]:
    """The process that commands are forked from; it ends with this one."""
    command = [sys.executable, "-m", "bench.faults", "--fork"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def close() -> None:
        process.communicate()

    atexit.register(close)
    return process


def fork() -> None:
    """For each line of standard input, runs that command in a child; says its number, and how it ended."""
    from testimonia import cli

    for name in ("adjudication", "agreement", "formats", "rebuild", "scoreboard", "shards", "transfer", "viewer"):
        importlib.import_module(f"testimonia.{name}")
    for text in sys.stdin:
        arguments, environment, said = json.loads(text)
        sys.stdout.flush()
        child = os.fork()
        if not child:
            code = 99
            try:
                for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, said, os.O_WRONLY | os.O_TRUNC)):
                    os.dup2(os.open(path, flags | os.O_CREAT), number)
                os.dup2(1, 2)
                os.environ.clear()
                os.environ.update(environment)
                sys.argv = ["testimonia", *arguments]
                cli.main()
            except SystemExit as error:
                code = int(error.code or 0)
            finally:
                sys.stdout.flush()
                os._exit(code)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


Running = subprocess.Popen[bytes] | Forked


def begun(
    arguments: Sequence[str],
    folder: Path,
    home: Path,
    more: Mapping[str, str] = MappingProxyType({}),
    said: str = SAID,
    alone: bool = False,
) -> Running:
    """A command of testimonia that runs, with its temporary files and its words in this folder.

    Forked, one after the other; `alone`, or with workers, in a process of its own from its start.
    """
    (folder / "tmp").mkdir(exist_ok=True)
    own = {"TESTIMONIA_HOME": str(home), "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABEL_STUDIO_")}
    (folder / said).touch()
    if not alone and "--workers" not in arguments:
        return Forked(arguments, kept | own | dict(more), folder / said)
    with (folder / said).open("wb") as file:
        command = [sys.executable, "-m", "testimonia.cli", *arguments]
        return subprocess.Popen(
            command, env=kept | own | dict(more), stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )


def run(arguments: Sequence[str], folder: Path, home: Path, **more: str) -> Ended:
    """A command of testimonia from its start to its end."""
    start = time.monotonic()
    process = begun(arguments, folder, home, more)
    try:
        code = process.wait(PATIENCE)
    finally:
        process.kill()
    return Ended(code, (folder / SAID).read_text(), time.monotonic() - start)


def unfair(ended: Ended) -> str:
    """What is wrong with how a command ended under a fault: it is told in an error, without a traceback."""
    if "Traceback" in ended.said or "fault of testimonia" in ended.said:
        return f"a traceback: {ended.said[-600:]}"
    if ended.code not in (0, 2) or (ended.code == 2 and "error: " not in ended.said):
        return f"ended with {ended.code}: {ended.said[-600:]}"
    return ""


def listing(folder: Path) -> Outcome:
    """Every file in a folder, hidden ones too, by its content; and every folder that is empty."""
    found: Outcome = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != SAID:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_dir() and name != "tmp" and not any(path.iterdir()):
            found[f"{name}/"] = ""
    return found


def differences(outcome: Outcome, expected: Outcome) -> str:
    """What is lost, left over or different; empty where nothing is."""
    parts = {
        "lost": sorted(expected.keys() - outcome.keys()),
        "left over": sorted(outcome.keys() - expected.keys()),
        "different": sorted(key for key in outcome.keys() & expected.keys() if outcome[key] != expected[key]),
    }
    return "; ".join(f"{what} {', '.join(names[:8])}" for what, names in parts.items() if names)


def in_studio(host: Host, title: str) -> Outcome:
    """A project as annotators find it: settings, views, and each task with what hangs on it, by doc_id."""
    with Studio(host.up.address) as studio:
        project = studio.project(title)
        if project is None:
            return {}
        users = studio.users()
        settings = studio.client.projects.get(project).dict()
        names = (
            "label_config",
            "expert_instruction",
            "model_version",
            "show_collab_predictions",
            "maximum_annotations",
        )
        found: Outcome = {"settings": {name: settings[name] for name in names}}
        views: list[Any] = [view.data for view in studio.client.views.list(project=project)]
        found["views"] = sorted(json.dumps(view, sort_keys=True) for view in views)
        tasks: Any = studio.client.tasks.list(project=project, fields="all", page_size=500)
        for task in (one.dict() for one in tasks):
            annotations = [
                [users[one["completed_by"]], one["was_cancelled"], one["result"]] for one in task["annotations"]
            ]
            predictions = [[one["model_version"], one["result"]] for one in task["predictions"]]
            hanging = [sorted(json.dumps(one, sort_keys=True) for one in some) for some in (annotations, predictions)]
            found.setdefault(task["data"]["doc_id"], []).append([task["data"], *hanging])
        return found


def left_behind(folder: Path) -> list[int]:
    """The processes that still run for a folder a while after their command was killed."""
    until = time.monotonic() + GONE
    while found := [pid for pid, words in _processes("environ") if str(folder).encode() in words]:
        if time.monotonic() > until:
            return found
        time.sleep(0.1)
    return []


def _processes(file: str) -> Iterator[tuple[int, bytes]]:
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(path.name) != os.getpid():
                yield int(path.name), (path / file).read_bytes()


def _workers(parent: int) -> list[int]:
    """The processes that convert for a command."""
    spawned = [pid for pid, words in _processes("cmdline") if b"spawn_main" in words]
    return [pid for pid in spawned if f"\nPPid:\t{parent}\n" in Path(f"/proc/{pid}/status").read_text()]


class Faults:
    """Sets faults into cases, each in a folder of its own, and holds what comes of them to an undisturbed run."""

    def __init__(self, folder: Path, home: Path, seed: int) -> None:
        self.folder, self.home, self.draw, self.counts = folder, home, random.Random(seed), Counts()
        self._undisturbed: dict[str, tuple[Outcome, float, float]] = {}
        self._kinds: dict[str, Counter[str]] = {}
        self._number = 0

    def _trial(self, case: Case) -> Path:
        self._number += 1
        folder = self.folder / f"trial-{self._number}"
        folder.mkdir(parents=True)
        case.prepare(folder)
        return folder

    def undisturbed(self, case: Case) -> tuple[Outcome, float, float]:
        """What a run that nothing disturbs leaves, the seconds to the first sign of its work, and all its seconds."""
        if case.name not in self._undisturbed:
            folder = self._trial(case)
            before, start, first = set(folder.rglob("*")), time.monotonic(), 0.0
            process = begun(case.arguments(folder), folder, self.home)
            while process.poll() is None:
                new = set(folder.rglob("*")) - before - {folder / SAID, folder / "tmp"}
                if not first and (new or (folder / SAID).stat().st_size):
                    first = time.monotonic() - start
                time.sleep(0.01)
            seconds = time.monotonic() - start
            if process.returncode:
                raise RuntimeError(f"{case.name}: ended with {process.returncode}: {(folder / SAID).read_text()}")
            self._undisturbed[case.name] = case.outcome(folder), first or seconds / 2, seconds
            shutil.rmtree(folder)
        return self._undisturbed[case.name]

    def kill(self, case: Case, victim: str, host: Host | None = None) -> None:
        """Kills the client, one of its workers or the server at a random moment, most of them within the work."""
        expected, first, seconds = self.undisturbed(case)
        folder, kind = self._trial(case), f"kill {victim}, {case.name}"
        self.counts.faults[kind] += 1
        process = begun(case.arguments(folder), folder, self.home)
        if victim == "worker":
            while not (found := _workers(process.pid)) and process.poll() is None:
                time.sleep(0.01)
            time.sleep(self.draw.uniform(0, (seconds - first) / 4))
            for pid in self.draw.sample(found, min(len(found), 1)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.counts.hits[kind] += 1
        else:
            working = self.draw.random() < 0.8
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.draw.uniform(first, 0.9 * seconds) if working else self.draw.uniform(0, first))
            self.counts.hits[kind] += process.poll() is None
            if victim == "server" and host:
                host.kill()
            else:
                process.kill()
        code = process.wait(PATIENCE)
        if victim != "client" and (said := unfair(Ended(code, (folder / SAID).read_text(), 0))):
            self.counts.wrong.append(f"{kind}: {said}")
        if victim == "server" and host:
            host.start()
        if there := left_behind(folder):
            self.counts.wrong.append(f"{kind}: {len(there)} processes left")
        self._again(case, kind, folder, expected, ended=victim == "worker" and code == 0)

    def _again(self, case: Case, kind: str, folder: Path, expected: Outcome, ended: bool = False) -> None:
        """Runs the command again, unless it has ended as it should; what is there then must be what is expected."""
        if not ended:
            whole = not differences(case.outcome(folder), expected)
            again = run(case.arguments(folder), folder, self.home)
            self.counts.again += 1
            if again.code and not (whole and again.code == 2):
                self.counts.wrong.append(f"{kind}: again: ended with {again.code}: {again.said[-600:]}")
        if found := differences(case.outcome(folder), expected):
            self.counts.wrong.append(f"{kind}: {found}")
        else:
            shutil.rmtree(folder)

    def kinds(self, case: Case, proxy: Proxy) -> Counter[str]:
        """The kinds of requests that a command sends, and how many of each."""
        if case.name not in self._kinds:
            folder = self._trial(case)
            proxy.listen()
            done(case.arguments(folder), folder, self.home, **proxy.environment)
            self._kinds[case.name] = Counter(proxy.heard)
            shutil.rmtree(folder)
        return self._kinds[case.name]

    def cut(self, case: Case, proxy: Proxy, asked: str, half: bool) -> None:
        """Cuts the connection between what the server did and its answer, or in the middle of the answer."""
        expected, _, _ = self.undisturbed(case)
        number = self.draw.randrange(self.kinds(case, proxy)[asked])
        folder, kind = self._trial(case), f"cut {'half of an' if half else 'the'} answer, {case.name}, {asked}"
        proxy.listen(asked, number, half)
        ended = run(case.arguments(folder), folder, self.home, **proxy.environment)
        self.counts.faults[kind] += 1
        self.counts.hits[kind] += proxy.cut
        if said := unfair(ended):
            self.counts.wrong.append(f"{kind}: {said}")
        self._again(case, kind, folder, expected)


class Proxy:
    """Between a client and the server: hears every request, and cuts one answer."""

    def __init__(self, to: server.Address) -> None:
        self._server = urllib.parse.urlsplit(to.url).netloc
        self.listen()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *arguments: object) -> None:
                pass

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                proxy.pass_on(self)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.environment = {
            "LABEL_STUDIO_URL": f"http://127.0.0.1:{self._http.server_port}",
            "LABEL_STUDIO_API_KEY": to.token,
        }

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def listen(self, asked: str = "", number: int = 0, half: bool = False) -> None:
        """Begins anew; with `asked`, the answer to the so-manieth request of this kind is cut."""
        self.heard: list[str] = []
        self.cut = False
        self._asked, self._number, self._half = asked, number, half

    def pass_on(self, client: BaseHTTPRequestHandler) -> None:
        body = client.rfile.read(int(client.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(self._server, timeout=PATIENCE)
        connection.request(client.command, client.path, body or None, dict(client.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        kind = f"{client.command} {re.sub('[0-9]+', '#', urllib.parse.urlsplit(client.path).path)}"
        self.heard.append(kind)
        drop = not self.cut and kind == self._asked and self.heard.count(kind) == self._number + 1
        self.cut |= drop
        client.close_connection = drop
        if not drop or self._half:
            client.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    client.send_header(name, value)
            client.send_header("Content-Length", str(len(content)))
            client.end_headers()
            client.wfile.write(content[: len(content) // 2] if drop else content)
        if drop:
            client.wfile.flush()
            client.connection.shutdown(socket.SHUT_RDWR)


def copied(base: Path, folder: Path) -> None:
    """A copy of a corpus that was made ready once."""
    shutil.copytree(base, folder / "corpus")


def named(base: Path, folder: Path) -> None:
    """The same under a name of its own, so that its project is one."""
    copied(base, folder)
    scheme = folder / "corpus" / "labeling" / "scheme.toml"
    scheme.write_text(scheme.read_text().replace('name = "testimonia"', f'name = "{title(folder)}"'))


def done(arguments: Sequence[str], folder: Path, home: Path, **more: str) -> None:
    """A command that nothing disturbs. Raises RuntimeError where it does not end well."""
    if (ended := run(arguments, folder, home, **more)).code:
        raise RuntimeError(f"{arguments[0]}: ended with {ended.code}: {ended.said}")


def title(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode()).hexdigest()[:12]


def with_articles(base: Path, count: int) -> None:
    """Adds made articles to a corpus."""
    entries = []
    for number in range(count):
        text = f"Articolul {number}.\n" * 20
        (base / "seeds" / f"made-{number}.txt").write_text(text)
        entries.append(
            f'[[document]]\nid = "made-{number}"\nfile = "made-{number}.txt"\nlanguage = "ro"\ntitle = "t"\n'
            f'translation = "unknown"\nsha256 = "{hashlib.sha256(text.encode()).hexdigest()}"\n'
        )
    with (base / "seeds" / "sources.toml").open("a") as file:
        file.write("\n" + "\n".join(entries))


def file_cases(base: Path, tasks: int, seed: int) -> list[Case]:
    """The commands that need no server, each on a release or an export that is already older."""
    corpus, export = copy_corpus(base / "release"), base / "export.json"
    rounds = corpus / "labeling" / "rounds.toml"
    now = rounds.read_text()
    rounds.write_text(re.sub('(?m)^version = ".*"', 'version = "0.0.1"', now))
    done(["export-gold", "--corpus", str(corpus)], base, base)
    rounds.write_text(now)
    for lock in corpus.glob(".*.lock"):
        lock.unlink()
    export.write_text(json.dumps(list(made_tasks(tasks, seed))))

    def converting(workers: int, folder: Path) -> list[str]:
        return ["convert-export", str(export), str(folder / "out"), "--workers", str(workers)]

    return [
        Case(
            "export-gold",
            lambda folder: ["export-gold", "--corpus", str(folder / "corpus")],
            partial(copied, corpus),
            listing,
        ),
        Case("convert-export", partial(converting, 1), _nothing, listing),
        Case("convert-export --workers 2", partial(converting, 2), _nothing, listing, ("client", "worker")),
    ]


def _nothing(folder: Path) -> None:
    pass


def studio_cases(base: Path, host: Host, articles: int) -> list[Case]:
    """The commands between a corpus and Label Studio, each in a project of its own; what is pulled stays one."""
    few, predictions, other = copy_corpus(base / "few"), base / "predictions.jsonl", base / "other.jsonl"
    done(["predict-baseline", "--corpus", str(few), "--out", str(predictions)], base, host.home)
    records = map(json.loads, predictions.read_text().splitlines())
    other.write_text("".join(json.dumps(one | {"model": "other", "relations": []}) + "\n" for one in records))
    entries = [path.read_text() for path in few.glob("labeling/exports/*/*.json")]
    names = {name for entry in entries for name in re.findall('"completed_by": "([^"]+)"', entry)}
    with Studio(host.up.address) as studio:
        studio.ensure_users(sorted(names))  # views are made for each account that there is
    many = copy_corpus(base / "many")
    with_articles(many, articles)
    loading = ["load-seeds", "--with-annotations", "--predictions", str(predictions)]

    def command(*arguments: str) -> Callable[[Path], list[str]]:
        return lambda folder: [*arguments, "--corpus", str(folder / "corpus")]

    def project(name: str) -> Callable[[Path], Outcome]:
        return lambda folder: in_studio(host, f"{title(folder)}: {name}")

    def loaded(folder: Path) -> None:
        named(few, folder)
        done(command("load-seeds", "--predictions", str(other))(folder), folder, host.home)

    pulled = base / "pulled"
    pulled.mkdir()
    named(many, pulled)
    done(command(*loading)(pulled), pulled, host.home)
    shutil.rmtree(pulled / "corpus" / "labeling" / "exports" / "second")
    both, decide = ("client", "server"), ("adjudicate", "--with-annotations")
    return [
        Case("load-seeds", command(*loading), partial(named, many), project("second"), both),
        Case("load-seeds once more", command(*loading), loaded, project("second"), both),
        Case("pull-annotations", command("pull-annotations"), partial(copied, pulled / "corpus"), listing, both),
        Case("adjudicate", command(*decide), partial(named, few), project("decided"), both),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--articles", type=int, default=400, help="made articles that are loaded and pulled")
    parser.add_argument("--tasks", type=int, default=3000, help="made tasks that are converted")
    parser.add_argument("--cases", choices=("all", "files", "server"), default="all")
    parser.add_argument("--fork", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fork:
        return fork()
    names = ("label-studio", "label-studio-sdk", "pyarrow")
    tools = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"{tools}, Python {platform.python_version()}, {os.cpu_count()} cores; {vars(given)}", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        faults = Faults(base / "trials", base / "home", given.seed)
        with Host(base / "home", given.cases != "files") as host:
            cases = [] if given.cases == "server" else file_cases(base, given.tasks, given.seed)
            cases += [] if given.cases == "files" else studio_cases(base, host, given.articles)
            with contextlib.suppress(KeyboardInterrupt):  # what was counted until then is told
                for case, victim in planned(cases, given.kills):
                    faults.kill(case, victim, host)
                for case in (case for case in cases if case.on_server):
                    with Proxy(host.up.address) as proxy:
                        for asked in changing(faults.kinds(case, proxy)):
                            for half in (False, True):
                                faults.cut(case, proxy, asked, half)
    counts = faults.counts
    print("| fault | set | while the command ran |\n| --- | --- | --- |")
    for kind, number in sorted(counts.faults.items()):
        print(f"| {kind} | {number} | {counts.hits[kind]} |")
    kills = [kind for kind in counts.faults if kind.startswith("kill")]
    hit = [sum(some[kind] for kind in kills) for some in (counts.faults, counts.hits)]
    print(f"kills: {hit[0]}, while the command ran: {hit[1]}; answers cut: {counts.faults.total() - hit[0]}")
    print(f"runs again: {counts.again}; {(time.monotonic() - start) / 60:.0f} minutes")
    print(f"lost, twice, different or left over: {len(counts.wrong)}", *counts.wrong, sep="\n")
    sys.exit(bool(counts.wrong))


def changing(asked: Iterable[str]) -> list[str]:
    """The requests that change something, and the export; others are only read, and asked again."""
    return [one for one in asked if not one.startswith("GET") or one.endswith("/export")]


def planned(cases: Sequence[Case], kills: int) -> list[tuple[Case, str]]:
    """So many kills over all cases; where a server works, or must start again, fewer."""
    weights = {case.name: {"client": 3 if case.on_server else 12, "worker": 12, "server": 1} for case in cases}
    turn = [(case, victim) for case in cases for victim in case.victims for _ in range(weights[case.name][victim])]
    return [turn[number * 7 % len(turn)] for number in range(kills)]


if __name__ == "__main__":
    main()
