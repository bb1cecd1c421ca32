"""Injected faults: whatever is killed, cut, full or read-only, the same command run again ends as if nothing had been.

The machinery is that of `bench/faults.py`, which sets hundreds of faults; here are some of each kind.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.exports import made_tasks
from bench.faults import (
    Ended,
    Outcome,
    differences,
    done,
    listing,
    run,
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
