"""Publishing over real HTTP to a server that speaks the Hub's endpoints; the public Hub is not asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testimonia.release import write_sums
from tests.conftest import ROOT
from tests.hub_server import REPOSITORY, TOKEN, Hub

VERSION = json.loads((ROOT / "dataset" / "manifest.json").read_text())["version"]
TAG = f"v{VERSION}"
LOAD = """
import datasets, sys
spans = datasets.load_dataset(sys.argv[1], "spans", split="test", revision=sys.argv[2])
print(len(spans), spans[0]["id"], len(datasets.load_dataset(sys.argv[1], split="test", revision=sys.argv[2])))
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    one = Hub()
    yield one
    one.close()


def run(hub: Hub, home: Path, *arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """A command with the test's server for a Hub, in a process of its own, as the Hub's address is read at import."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment = kept | own | ({"HF_TOKEN": token} if token else {})
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


def publish(hub: Hub, home: Path, *more: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    code = "from testimonia.cli import main; main('publish')"
    corpus = () if "--corpus" in more else ("--corpus", str(ROOT))
    return run(hub, home, "-c", code, REPOSITORY, *corpus, *more, token=token)


def published(hub: Hub) -> dict[str, bytes]:
    found = hub.repository.at(TAG)
    assert found is not None
    return found[1]


def test_published_and_loaded(hub: Hub, tmp_path: Path) -> None:
    hub.repository.commit({".gitattributes": b"*\n", "old/test-00000-of-00001.parquet": b"old", "README.md": b"old"})
    before = len(hub.repository.order)
    dry = publish(hub, tmp_path, "--dry-run", "--json", token="")
    assert dry.returncode == 0, dry.stderr
    planned = {one["path"]: one["what"] for one in json.loads(dry.stdout)["operations"]}
    here = {path.relative_to(ROOT / "dataset").as_posix() for path in (ROOT / "dataset").rglob("*") if path.is_file()}
    assert set(planned) == here | {"old/test-00000-of-00001.parquet"}
    assert (planned["README.md"], planned["old/test-00000-of-00001.parquet"]) == ("change", "delete")
    assert [one for one in hub.asked if one[0] != "GET"] == []

    done = publish(hub, tmp_path, "--revision", TAG)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert len(hub.repository.order) == before + 1  # one commit
    files = published(hub)
    assert set(files) == here | {".gitattributes"}
    for name in here:
        assert files[name] == (ROOT / "dataset" / name).read_bytes(), name
    again = publish(hub, tmp_path)
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True), again.stderr
    assert len(hub.repository.order) == before + 1

    loaded = run(hub, tmp_path / "cache", "-c", LOAD, REPOSITORY, TAG)
    assert loaded.returncode == 0, loaded.stderr
    rows = json.loads((ROOT / "dataset" / "manifest.json").read_text())["configs"]
    assert loaded.stdout.split()[::2] == [str(rows["spans"]["rows"]), str(rows["documents"]["rows"])]


def test_what_was_cut_off_is_finished(hub: Hub, tmp_path: Path) -> None:
    hub.fail = lambda _method, path: 500 if "/tag/" in path else None
    cut = publish(hub, tmp_path)
    assert (cut.returncode, "Traceback" in cut.stderr) == (2, False)
    assert "the Hub answers 500" in cut.stderr
    assert (len(hub.repository.order), hub.repository.tags) == (2, {})
    hub.fail = lambda _method, _path: None
    done = publish(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (len(hub.repository.order), list(hub.repository.tags)) == (2, [TAG])


@pytest.mark.parametrize(
    ("arguments", "token", "message"),
    [
        ((), "", "HF_TOKEN: is not set"),
        ((), "hf_x\n", "HF_TOKEN: holds a space, a line end"),
        ((), "hf_x ", "HF_TOKEN: holds a space, a line end"),
        ((), "hf_é", "HF_TOKEN: holds a space, a line end or a letter"),
        ((), "hf_wrong", "the Hub answers 401"),
        (("--revision", "v9.9.9"), TOKEN, f"the release in dataset/ is {TAG}"),
    ],
)
def test_what_is_refused(hub: Hub, tmp_path: Path, arguments: tuple[str, ...], token: str, message: str) -> None:
    done = publish(hub, tmp_path, *arguments, token=token)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert message in done.stderr
    assert "hf_" not in done.stdout + done.stderr
    assert len(hub.repository.order) == 1


def test_a_release_is_not_overwritten(hub: Hub, tmp_path: Path) -> None:
    hub.repository.tags[TAG] = hub.repository.commit({"README.md": b"other"})
    done = publish(hub, tmp_path)
    assert done.returncode == 2
    assert f"has {TAG} with another" in done.stderr
    assert len(hub.repository.order) == 2


def test_only_the_release_is_sent(hub: Hub, copy: Path, tmp_path: Path) -> None:
    dataset = copy / "dataset"

    def refused() -> str:
        done = publish(hub, tmp_path, "--corpus", str(copy))
        assert (done.returncode, "Traceback" in done.stderr, len(hub.repository.order)) == (2, False, 1), done.stderr
        return done.stdout + done.stderr

    for make in (
        lambda path: path.symlink_to("/etc/hostname"),
        lambda path: path.write_text("hidden"),
        os.mkfifo,
    ):
        make(dataset / "spans" / ".secret")
        if (dataset / "spans" / ".secret").is_file():
            (dataset / "SHA256SUMS").unlink()
            write_sums(dataset)
        assert "is no plain file of the release" in refused() or "checksum" in refused()
        (dataset / "spans" / ".secret").unlink()
    shutil.copy(ROOT / "dataset" / "SHA256SUMS", dataset)
    (dataset / "spans" / "test-00000-of-00001.parquet").write_bytes(b"PAR1")
    assert "cannot be read as Parquet" in refused()
    shutil.rmtree(dataset)
    dataset.symlink_to(ROOT / "dataset")
    assert "is no plain file of the release" in refused()


def test_a_commit_in_between_is_not_overwritten(hub: Hub, tmp_path: Path) -> None:
    def meanwhile(_method: str, path: str) -> int | None:
        if path.endswith("/preupload/main") and len(hub.repository.order) == 1:
            hub.repository.commit({"README.md": b"of another"})
        return None

    hub.fail = meanwhile
    done = publish(hub, tmp_path)
    assert (done.returncode, "the Hub answers 412" in done.stderr) == (2, True), done.stderr
    assert hub.repository.at("main") == (hub.repository.order[1], {"README.md": b"of another"})
    assert publish(hub, tmp_path).returncode == 0


def test_there_is_no_such_dataset(hub: Hub, tmp_path: Path) -> None:
    code = "from testimonia.cli import main; main('publish')"
    done = run(hub, tmp_path, "-c", code, "someone/else", "--corpus", str(ROOT))
    assert (done.returncode, "no such dataset" in done.stderr) == (2, True), done.stderr
    done = run(hub, tmp_path, "-c", code, "a/b/c", "--corpus", str(ROOT))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr


def test_no_server(hub: Hub, tmp_path: Path) -> None:
    hub.close()
    done = publish(hub, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr, "does not answer" in done.stderr) == (2, False, True), (
        done.stderr
    )
