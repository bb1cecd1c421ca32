"""Injected faults: whatever is killed, cut, full or read-only, the same command run again ends as if nothing had been.

The machinery is that of `bench/faults.py`, which sets hundreds of faults; here are some of each kind.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.exports import made_tasks
from bench.faults import (
    Case,
    Ended,
    Faults,
    Host,
    Outcome,
    Proxy,
    begun,
    changing,
    differences,
    done,
    file_cases,
    listing,
    run,
    studio_cases,
    unfair,
)
from tests.conftest import ROOT, copy_corpus

pytestmark = [pytest.mark.faults, pytest.mark.server]
DISK = "16m"
BLOCKS = 1 << 15  # of fewer bytes no half is tried
SEED = random.SystemRandom().randrange(10**6)


@dataclass(frozen=True, slots=True)
class Writer:
    """A command that writes to a target: its arguments, what stands there before, and its environment."""

    name: str
    arguments: Callable[[Path, Path], list[str]]
    before: Callable[[Path, Path], object] = lambda _target, _given: None
    environment: Callable[[Path], dict[str, str]] = lambda _target: {}
    writes: bool = True

    def run(self, target: Path, given: Path, folder: Path) -> Ended:
        return run(self.arguments(target, given), folder, folder / "home", **self.environment(target))


def corpus_before(target: Path, given: Path) -> None:
    copy_corpus(target / "corpus")
    (target / "corpus" / "labeling" / "label_config.xml").write_text("<View></View>")


def said_before(*names: str) -> Callable[[Path, Path], None]:
    def write(target: Path, _given: Path) -> None:
        for name in names:
            (target / name).write_text("earlier")

    return write


def made_before(*arguments: str) -> Callable[[Path, Path], None]:
    def make(target: Path, given: Path) -> None:
        done([one.format(target=target, given=given) for one in arguments], given, given / "home")

    return make


def line(*arguments: str) -> Callable[[Path, Path], list[str]]:
    return lambda target, given: [one.format(target=target, given=given) for one in arguments]


RELEASE = ROOT / "dataset"
IN_CORPUS = ("--corpus", "{target}/corpus")
OF_ROOT = ("--corpus", str(ROOT))
NEW = ["--name", "harbour-news", "--languages", "en,he", "--labels", "SHIP,CARGO", "--purpose", "Ships."]
PLANT = ("plant-errors", "{target}/out", "--key", "{target}/key.json", *OF_ROOT)
STRIP = ("strip-text", "{target}/out", "--dataset", str(RELEASE))
FILL = ("rehydrate", "{given}/stripped", "--texts", str(ROOT / "seeds"), "--out", "{target}/out")
FOLDERS = [
    Writer("export-gold", line("export-gold", *IN_CORPUS), corpus_before),
    Writer("strip-text", line(*STRIP), made_before(*STRIP)),
    Writer("rehydrate", line(*FILL), made_before(*FILL)),
    Writer("plant-errors", line(*PLANT), made_before(*PLANT, "--seed", "2")),
    Writer("init", line("init", "{target}/new", *NEW)),
    Writer("convert-export", line("convert-export", "{given}/export.json", "{target}/out")),
    Writer(
        "convert-export --workers 2", line("convert-export", "{given}/export.json", "{target}/out", "--workers", "2")
    ),
]
ADD = ("add-document", "{given}/article.txt", "--id", "fr-3", "--language", "fr", *IN_CORPUS)
FILES = [
    Writer("label-config", line("label-config", *IN_CORPUS), corpus_before),
    Writer("add-document", line(*ADD), corpus_before),
    Writer(
        "score-predictions",
        line(
            *("score-predictions", str(RELEASE), "{given}/predictions.jsonl", "--resamples", "0"),
            *("--html", "{target}/a.html", "--markdown", "{target}/a.md"),
        ),
        said_before("a.html", "a.md"),
    ),
    Writer(
        "measure-agreement",
        line("measure-agreement", "--resamples", "0", "--html", "{target}/a.html", *OF_ROOT),
        said_before("a.html"),
    ),
    Writer("browse", line("browse", "--out", "{target}/a.html", *OF_ROOT), said_before("a.html")),
    Writer("predict-baseline", line("predict-baseline", "--out", "{target}/a.jsonl", *OF_ROOT), said_before("a.jsonl")),
    Writer(
        "ground-quotes",
        line("ground-quotes", str(RELEASE), "{given}/quotes.jsonl", "--out", "{target}/a.jsonl", *OF_ROOT),
        said_before("a.jsonl"),
    ),
    Writer(
        "convert-export to a URL",
        line("convert-export", "{given}/export.json", "file://{target}/bucket/out", "--work", "{target}/work"),
    ),
    Writer(
        "verify-release",
        line("verify-release", *OF_ROOT),
        environment=lambda target: {"TMPDIR": str(target)},
        writes=False,
    ),
]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What commands read."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "export.json").write_text(json.dumps(list(made_tasks(300, 1))))
    (folder / "article.txt").write_text("Le port est ouvert.\n")
    quotes = [{"quote": "Moscou", "label": "ACTOR"}]
    (folder / "quotes.jsonl").write_text(json.dumps({"doc_id": "fr-1", "model": "m", "quotes": quotes}) + "\n")
    done(["predict-baseline", "--out", str(folder / "predictions.jsonl"), *OF_ROOT], folder, folder / "home")
    done(["strip-text", str(folder / "stripped"), "--dataset", str(RELEASE)], folder, folder / "home")
    return folder


@dataclass(slots=True)
class Disk:
    """A small disk of its own."""

    path: Path

    def fill(self, room: int) -> None:
        """Leaves so many bytes."""
        self.free()
        state = os.statvfs(self.path)
        with (self.path / ".filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, state.f_bavail * state.f_frsize - room))

    def free(self) -> None:
        (self.path / ".filler").unlink(missing_ok=True)

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(path)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.fail(f"no small disk can be mounted: {made.stderr.strip()}; run this as root")
    yield Disk(path)
    subprocess.run(["umount", str(path)], check=True)


def told(ended: Ended) -> None:
    """Exit code 2, and a line that says where, what is wrong and what to do."""
    assert not unfair(ended), ended.said
    assert ended.code == 2, ended.said
    assert re.search(r"(?m)^error: \S.*: .*(; |\?$)", ended.said), ended.said


def kept(target: Path, before: Outcome) -> None:
    """What was there is there, and nothing else but what a command goes on with."""
    now = {name: content for name, content in listing(target).items() if name != ".filler"}
    left = {n for n in now.keys() - before.keys() if not re.search(r"\.lock$|(^|/)(\.converting|work)/", n)}
    assert {name: now.get(name) for name in before if not name.endswith("/")} == {
        name: content for name, content in before.items() if not name.endswith("/")
    }
    assert {name for name in left if not name.endswith("/")} == set()


@pytest.mark.parametrize("writer", FOLDERS + FILES, ids=lambda writer: writer.name)
def test_a_full_disk_and_one_that_is_read_only(writer: Writer, disk: Disk, given: Path, tmp_path: Path) -> None:
    plain, folder = tmp_path / "plain", tmp_path / "own"
    for path in (plain, folder):
        path.mkdir()
    writer.before(plain, given)
    shutil.copytree(plain, disk.path, dirs_exist_ok=True)
    before = listing(disk.path)
    assert writer.run(plain, given, folder).code == 0, (folder / "said").read_text()
    expected = listing(plain)
    written = sum((plain / name).stat().st_size for name in expected if expected[name] != before.get(name))
    disk.fill(written // 2 if written > BLOCKS else BLOCKS // 4 * (not writer.writes))
    ended = writer.run(disk.path, given, folder)
    disk.free()
    told(ended)
    kept(disk.path, before)
    if writer.writes:
        disk.remount("ro")
        told(writer.run(disk.path, given, folder))
        disk.remount("rw")
        kept(disk.path, before)
    again = writer.run(disk.path, given, folder)
    assert again.code == 0, again.said
    assert not differences(listing(disk.path), expected)


@pytest.mark.parametrize("writer", [FOLDERS[0], FOLDERS[5], FILES[0]], ids=lambda writer: writer.name)
def test_a_folder_of_somebody_else(writer: Writer, given: Path, tmp_path: Path) -> None:
    target, folder = tmp_path / "target", tmp_path / "own"
    folder.mkdir()
    target.mkdir()
    writer.before(target, given)
    before = listing(target)
    paths = [target, *target.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    # root without the right to write everywhere: as anybody is whose folder it is not
    command = ["setpriv", "--bounding-set=-dac_override,-fowner", sys.executable, "-m", "testimonia.cli"]
    denied = subprocess.run([*command, *writer.arguments(target, given)], capture_output=True, text=True)
    told(Ended(denied.returncode, denied.stderr, 0))
    assert "is it yours to write?" in denied.stderr
    assert listing(target) == before
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert writer.run(target, given, folder).code == 0


@pytest.mark.parametrize("command", ["predict-baseline", "status"])
def test_output_that_does_not_fit(command: str, host: Host, cases: dict[str, Case], tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    cases["pull-annotations"].prepare(folder)
    corpus = ROOT if command == "predict-baseline" else folder / "corpus"
    with Path("/dev/full").open("w") as full:
        arguments = [sys.executable, "-m", "testimonia.cli", command, "--corpus", str(corpus)]
        environment = os.environ | {"TESTIMONIA_HOME": str(host.home)}
        ended = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    told(Ended(ended.returncode, ended.stderr, 0))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def host(base: Path) -> Iterator[Host]:
    with Host(base / "home") as one:
        yield one


@pytest.fixture(scope="module")
def cases(base: Path, host: Host) -> dict[str, Case]:
    """The commands that are killed and cut off, by name."""
    return {case.name: case for case in [*file_cases(base, 3000, 1), *studio_cases(base, host, 250)]}


@pytest.fixture(scope="module")
def faults(base: Path, host: Host) -> Faults:
    return Faults(base / "trials", host.home, SEED)


def nothing_wrong(faults: Faults) -> None:
    assert faults.counts.wrong == [], f"with seed {SEED}"


KILLS = {"client": 2, "worker": 3, "server": 1}


@pytest.mark.timeout(1800)
def test_killed_at_random_moments(faults: Faults, cases: dict[str, Case], host: Host) -> None:
    for case in cases.values():
        for victim in case.victims:
            for _ in range(KILLS[victim]):
                faults.kill(case, victim, host)
    nothing_wrong(faults)
    assert faults.counts.faults.total() == 21
    assert faults.counts.hits.total() > 10, faults.counts


CHANGING = ("load-seeds", "load-seeds once more", "pull-annotations")


@pytest.mark.timeout(1800)
def test_answers_that_are_lost_on_the_way(faults: Faults, cases: dict[str, Case], host: Host) -> None:
    lost = set()
    with Proxy(host.up.address) as proxy:
        for case in (cases[name] for name in CHANGING):
            for asked in changing(faults.kinds(case, proxy)):
                for half in (False, True) if asked.endswith("/export") else (False,):
                    faults.cut(case, proxy, asked, half)
                    lost.add(asked)
    nothing_wrong(faults)
    assert lost >= {
        "POST /api/projects/",
        "POST /api/projects/#/import",
        "POST /api/tasks/#/annotations/",
        "POST /api/predictions/",
        "DELETE /api/predictions/#/",
        "GET /api/projects/#/export",
    }, lost


def test_the_answer_to_a_new_account_is_lost(host: Host, tmp_path: Path) -> None:
    with Proxy(host.up.address) as proxy:
        proxy.listen("POST /user/signup/")
        ended = run(["add-annotator", "ana@example.com"], tmp_path, tmp_path / "home", **proxy.environment)
    assert (proxy.cut, ended.code, "password: " in ended.said) == (True, 0, True), ended.said


def test_no_room_for_what_is_pulled(cases: dict[str, Case], host: Host, disk: Disk, tmp_path: Path) -> None:
    case, folder = cases["pull-annotations"], tmp_path / "own"
    folder.mkdir()
    case.prepare(disk.path)
    for room in (0, 1 << 18):
        disk.fill(room)
        told(run(case.arguments(disk.path), folder, host.home))
        disk.free()
    exports = disk.path / "corpus" / "labeling" / "exports" / "second"
    assert len(list(exports.glob("*.json"))) > 0
    assert [json.loads(path.read_text())["data"]["doc_id"] for path in sorted(exports.glob("*.json"))]
    disk.remount("ro")
    told(run(case.arguments(disk.path), folder, host.home))
    disk.remount("rw")
    assert run(case.arguments(disk.path), folder, host.home).code == 0
    plain = tmp_path / "plain"
    plain.mkdir()
    case.prepare(plain)
    assert run(case.arguments(plain), folder, host.home).code == 0
    assert not differences(listing(disk.path), listing(plain))


def test_no_room_for_a_pseudonym_or_for_secrets(host: Host, disk: Disk, tmp_path: Path) -> None:
    address = {"LABEL_STUDIO_URL": host.up.address.url, "LABEL_STUDIO_API_KEY": host.up.address.token}
    home = disk.path / "home"
    disk.fill(0)
    told(run(["add-annotator", "bo@example.com"], tmp_path, home, **address))
    told(run(["serve"], tmp_path, home))
    disk.free()
    added = run(["add-annotator", "bo@example.com"], tmp_path, home, **address)
    assert (added.code, "password: " in added.said) == (0, True), added.said


def at_once(arguments: Sequence[str], folder: Path, home: Path) -> list[Ended]:
    """The same command twice at the same time."""
    running = [begun(arguments, folder, home, said=name, alone=True) for name in ("one", "two")]
    return [
        Ended(one.wait(300), (folder / name).read_text(), 0) for one, name in zip(running, ("one", "two"), strict=True)
    ]


def one_wins(ended: list[Ended]) -> None:
    """Both end right, or one does and the other says why not."""
    assert {0} <= {one.code for one in ended} <= {0, 2}, ended
    for one in ended:
        if one.code:
            told(one)
            assert re.search(r"another process is writing it|not empty", one.said), one.said


@pytest.mark.parametrize("writer", [*FOLDERS, *FILES[:2]], ids=lambda writer: writer.name)
def test_two_at_once(writer: Writer, given: Path, tmp_path: Path) -> None:
    plain, target, folder = tmp_path / "plain", tmp_path / "target", tmp_path / "own"
    for path in (plain, folder):
        path.mkdir()
    writer.before(plain, given)
    shutil.copytree(plain, target)
    assert writer.run(plain, given, folder).code == 0
    one_wins(at_once(writer.arguments(target, given), folder, folder / "home"))
    assert not differences(listing(target), listing(plain))


def test_two_pulls_at_once(cases: dict[str, Case], host: Host, tmp_path: Path) -> None:
    case = cases["pull-annotations"]
    plain, target = tmp_path / "plain", tmp_path / "target"
    for path in (plain, target):
        path.mkdir()
        case.prepare(path)
    assert run(case.arguments(plain), tmp_path, host.home).code == 0
    one_wins(at_once(case.arguments(target), tmp_path, host.home))
    assert not differences(listing(target), listing(plain))


def test_two_loads_at_once(cases: dict[str, Case], host: Host, tmp_path: Path) -> None:
    case = cases["load-seeds"]
    case.prepare(tmp_path)
    one_wins(at_once(case.arguments(tmp_path), tmp_path, host.home))
    faults = Faults(tmp_path / "trials", host.home, 1)  # there are as many accounts as a moment ago, so as many views
    assert not differences(case.outcome(tmp_path), faults.undisturbed(case)[0])


def without_history(folder: Path) -> Outcome:
    """What is in a folder, but for the history of pulled exports, which may grow."""
    return {name: found for name, found in listing(folder).items() if "history" not in name.split("/")}


def test_files_that_are_cut_off(cases: dict[str, Case], host: Host, given: Path, tmp_path: Path) -> None:
    case = cases["pull-annotations"]
    case.prepare(tmp_path)
    assert run(case.arguments(tmp_path), tmp_path, host.home).code == 0
    whole = without_history(tmp_path / "corpus")
    cut = tmp_path / "corpus" / "labeling" / "exports" / "second" / "fr-1.json"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    corpus = ["--corpus", str(tmp_path / "corpus")]
    (tmp_path / "cut.json").write_bytes((given / "export.json").read_bytes()[:100_000])
    for arguments, place in (
        (["export-gold", *corpus], f"{cut}: line "),
        (["measure-agreement", *corpus], f"{cut}: line "),
        (["measure-agreement", str(cut)], f"{cut}: "),
        (["convert-export", str(cut), str(tmp_path / "out")], f"{cut}: "),
        (["convert-export", str(tmp_path / "cut.json"), str(tmp_path / "out")], "cut.json: byte "),
    ):
        ended = run(arguments, tmp_path, host.home)
        told(ended)
        assert place in ended.said
    again = run(case.arguments(tmp_path), tmp_path, host.home)
    assert (again.code, re.search(r"(?m)^changed +1 +fr-1$", again.said) is not None) == (0, True), again.said
    assert differences(without_history(tmp_path / "corpus"), whole) in ("", "left over .DATASET_CARD.md.lock")


@pytest.mark.parametrize("writer", [FOLDERS[0], FOLDERS[5]], ids=lambda writer: writer.name)
def test_a_clock_that_went_back(writer: Writer, given: Path, tmp_path: Path) -> None:
    plain, target, folder = tmp_path / "plain", tmp_path / "target", tmp_path / "own"
    for path in (plain, folder):
        path.mkdir()
    writer.before(plain, given)
    shutil.copytree(plain, target)
    for path, day in ((plain, "2031-01-01"), (target, "1999-01-01")):
        command = ["faketime", day, sys.executable, "-m", "testimonia.cli", *writer.arguments(path, given)]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
    assert not differences(listing(target), listing(plain))


class Database:
    """The server's database as a file, between a stop and a start."""

    def __init__(self, host: Host, kept: Path) -> None:
        self._host, self._kept, self.path = host, kept, host.home / "studio" / "label_studio.sqlite3"

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        self._host.stop()
        yield
        self._host.start()

    def keep(self) -> None:
        with self.stopped():
            shutil.copy2(self.path, self._kept)

    def restore(self) -> None:
        with self.stopped():
            for path in self.path.parent.glob(f"{self.path.name}*"):
                path.unlink()
            shutil.copy2(self._kept, self.path)


def test_a_database_that_went_back(cases: dict[str, Case], host: Host, tmp_path: Path) -> None:
    """An older copy is put in the server's place: what was pulled stays, and is brought there again."""
    database = Database(host, tmp_path / "kept.sqlite3")
    corpus = ["--corpus", str(tmp_path / "corpus")]
    exports = tmp_path / "corpus" / "labeling" / "exports" / "second"
    cases["load-seeds once more"].prepare(tmp_path)
    content = json.loads((exports.parents[2] / "dataset" / "manifest.json").read_text())["content_sha256"]
    database.keep()
    for arguments in (["load-seeds", "--with-annotations"], ["pull-annotations"]):
        done([*arguments, *corpus], tmp_path, host.home)
    before = without_history(exports)
    database.restore()
    ended = run(["pull-annotations", *corpus], tmp_path, host.home)
    assert ended.code == 1, ended.said
    for doc_id in ("ro-1", "ar-1", "ar-2", "fr-1", "fr-2"):
        assert doc_id in ended.said
    assert without_history(exports) == before
    for arguments in (["load-seeds", "--with-annotations"], ["pull-annotations"]):
        done([*arguments, *corpus], tmp_path, host.home)
    scheme = tmp_path / "corpus" / "labeling" / "scheme.toml"
    scheme.write_text((ROOT / "labeling" / "scheme.toml").read_text())
    done(["label-config", *corpus], tmp_path, host.home)
    done(["export-gold", *corpus], tmp_path, host.home)
    assert json.loads((exports.parents[2] / "dataset" / "manifest.json").read_text())["content_sha256"] == content


def test_an_annotation_of_a_server_whose_clock_went_back(cases: dict[str, Case], host: Host, tmp_path: Path) -> None:
    """What was annotated last is brought home, or told, though the server says that it is older."""
    corpus = ["--corpus", str(tmp_path / "corpus")]
    cases["load-seeds once more"].prepare(tmp_path)
    for arguments in (["load-seeds", "--with-annotations"], ["pull-annotations"]):
        done([*arguments, *corpus], tmp_path, host.home)
    exported = tmp_path / "corpus" / "labeling" / "exports" / "second" / "ro-1.json"
    [first, *_] = json.loads(exported.read_text())["annotations"]
    database = Database(host, tmp_path / "kept.sqlite3")
    with database.stopped(), contextlib.closing(sqlite3.connect(database.path)) as connection, connection:
        changed = (json.dumps(first["result"][:1]), "2001-01-01 00:00:00", first["id"])
        connection.execute("UPDATE task_completion SET result = ?, updated_at = ? WHERE id = ?", changed)
        connection.execute("UPDATE task SET updated_at = ? WHERE id = ?", (changed[1], first["task"]))
    ended = run(["pull-annotations", *corpus], tmp_path, host.home)
    results = [one["result"] for one in json.loads(exported.read_text())["annotations"]]
    if first["result"][:1] not in results:
        assert (ended.code, "ro-1" in ended.said, first["result"] in results) == (1, True, True), ended.said
