"""The command line on good and bad input: exit codes, messages, no tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testimonia import __version__
from testimonia.corpus import read_corpus
from tests.conftest import ROOT


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "testimonia.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "testimonia.cli", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "pull-annotations" in done.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert loaded & {"typer", "testimonia"} == {"typer", "testimonia"}
    assert loaded & {"numpy", "pyarrow", "datasets", "scipy", "httpx", "jinja2", "babel", "label_studio_sdk"} == set()


def test_version_and_usage() -> None:
    assert run("--version").stdout == f"{__version__}\n"
    for arguments in (["nosuch"], ["validate-dataset", "--corpus"], ["serve", "--port", "x"]):
        done = run(*arguments)
        assert (done.returncode, "fault" in done.stderr) == (2, False)


def test_a_finding_is_exit_code_1(copy: Path) -> None:
    card, version = copy / "dataset" / "README.md", read_corpus(copy).version
    card.write_text(card.read_text().replace(f"version: {version}", "version: 9.9.9"))
    done = run("validate-dataset", "--corpus", copy)
    assert done.returncode == 1
    assert f"error: card: version is 9.9.9, the manifest says {version} [card-disagrees]" in done.stdout
    records = json.loads(run("validate-dataset", "--corpus", copy, "--json").stdout)["findings"]
    assert {"card-disagrees", "checksum", "too-long"} == {record["id"] for record in records}


def test_parquet_files_and_folders(tmp_path: Path) -> None:
    documents = ROOT / "dataset" / "documents" / "test-00000-of-00001.parquet"
    done = run("validate-dataset", documents, "--corpus", ROOT)
    assert (done.returncode, ": 0 errors, " in done.stdout) == (0, True)
    twice = run("validate-dataset", documents, documents, "--corpus", ROOT)
    assert (twice.returncode, "[document-duplicate]" in twice.stdout) == (1, True)
    spans = ROOT / "dataset" / "spans" / "test-00000-of-00001.parquet"
    other = run("validate-dataset", spans, "--corpus", ROOT)
    assert (other.returncode, "[column-missing]" in other.stdout) == (1, True)
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    for target, message in ((tmp_path / "x.parquet", "cannot be read as Parquet"), (tmp_path / "none", "is no folder")):
        done = run("validate-dataset", target, "--corpus", ROOT)
        assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (2, True, False)


@pytest.mark.parametrize(
    ("path", "data", "message"),
    [
        ("labeling/exports/first/fr-1.json", b"{", "fr-1.json: line 1: not JSON"),
        ("labeling/exports/first/fr-1.json", b"[" * 100_000, "fr-1.json"),
        ("labeling/exports/first/fr-1.json", b"[]", "is not the exported task of fr-1"),
        ("labeling/exports/first/fr-1.json", b'{"data": {"doc_id": "fr-1"}}', "task-text-missing"),
        ("labeling/rounds.toml", b'version = "1"', "is not major.minor.patch"),
        ("labeling/languages/ro.toml", b"", "name is missing"),
        ("DATASET_CARD.md", b"# no header", "no YAML header"),
        ("DATASET_CARD.md", b"---\na: 1\n---\n", "it needs agreement, annotators"),
    ],
)
def test_export_gold_refuses_and_writes_nothing(alone: Path, path: str, data: bytes, message: str) -> None:
    before = {p: p.read_bytes() for p in (alone / "dataset").rglob("*") if p.is_file()}
    (alone / path).write_bytes(data)
    done = run("export-gold", "--corpus", alone)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert message in done.stdout + done.stderr
    assert {p: p.read_bytes() for p in (alone / "dataset").rglob("*") if p.is_file()} == before


def test_a_stale_card_is_found(copy: Path) -> None:
    card = copy / "DATASET_CARD.md"
    card.write_text(card.read_text() + "\nOne more sentence.\n")
    done = run("validate-dataset", "--corpus", copy)
    assert (done.returncode, "DATASET_CARD.md: its text is not that of" in done.stdout) == (1, True)
