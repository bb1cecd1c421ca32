"""Files as strangers may send them end in a result, in findings or in an error that says what to do; pages run nothing.

The mutated ones are those of bench/fuzz.py; the rest is made by hand, among it each input that once did otherwise.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from playwright.sync_api import Browser, Dialog, Page
from typer.main import get_command

from bench.fuzz import GOOD, fuzz, run_command
from bench.mutations import nested
from testimonia.cli import app, main
from testimonia.errors import InputError, TestimoniaError
from testimonia.tables import read_parquet
from tests.conftest import ROOT

Json = dict[str, Any]
MB = 1 << 20
GOLD: Json = {"doc_id": "a", "lang": "en", "text": "Ana left Rome.", "spans": [{"start": 0, "end": 3, "label": "P"}]}
REGION: Json = {"start": 0, "end": 3, "text": "Ana", "labels": ["P"]}


def test_mutated_files(tmp_path: Path) -> None:
    found = list(fuzz(1000, seed=7, processes=min(4, os.cpu_count() or 1), folder=tmp_path))
    assert [one for one in found if one.outcome not in GOOD] == []
    assert sorted(one.number for one in found) == list(range(1000))
    counts = Counter(one.outcome for one in found)
    assert min(counts[outcome] for outcome in GOOD) >= 50
    assert sum(one.mutation.startswith("same-") for one in found) >= 50


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a gold, which becomes the current one."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write("gold.jsonl", GOLD)
    return folder


def write(name: str, *records: Json) -> None:
    Path(name).write_text("".join(json.dumps(one) + "\n" for one in records))


def a_task(text: str = "Ana left.", **more: object) -> Json:
    """A task of one region; what is given replaces the keys of its annotation, its data, or itself."""
    result: Json = {"id": "r", "type": "labels", "from_name": "l", "to_name": "text", "value": REGION}
    entry: Json = {"completed_by": "x", "result": [result]}
    task: Json = {"id": 1, "data": {"doc_id": "a", "text": text}, "annotations": [entry]}
    for name, value in more.items():
        holder: Json = next((one for one in (entry, task["data"], result) if name in one), task)
        holder[name] = value
    return task


def read_both(name: str) -> list[str]:
    """How the two readers of exports end on a file."""
    shutil.rmtree("made", ignore_errors=True)
    commands = ("measure-agreement", name, "--resamples", "0"), ("convert-export", name, "made")
    return [ended(*command) for command in commands]


def run(*command: str) -> None:
    """A command that raises what it refuses."""
    get_command(app).main(list(command), prog_name="testimonia")


def ended(*command: str) -> str:
    try:
        return run_command(command)[0]
    finally:
        shutil.rmtree("made", ignore_errors=True)


SCORE = ("score-predictions", "gold.jsonl", "p.jsonl", "--resamples", "0")
VALUES = [nested(depth, kind) for depth in (100, 900, 950, 960, 970, 980, 990, 100_000) for kind in ("[]", "{}")]
VALUES += ["9" * 1_000_000, "-" + "9" * 4000, "1e999", "-1e999", "NaN", "1" + "0" * 308, '"\\ud800"', '"a\\u0000"']
VALUES += ['{"a": 1, "a": 2}', "null", "[]", "true", '""', "0.5", "1E400"]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:12] + str(len(value)))
def test_values_of_json(folder: Path, value: str) -> None:
    mark = json.dumps("here")
    span = {"start": 0, "end": 3, "label": "P"}
    for record in (
        GOLD | {"text": "here"},
        GOLD | {"doc_id": "here"},
        GOLD | {"x": "here"},
        GOLD | {"spans": "here"},
        GOLD | {"spans": [span | {"x": "here"}]},
        GOLD | {"spans": [span | {"label": "here"}]},
        GOLD | {"spans": [span | {"attributes": {"x": "here"}}]},
        GOLD | {"spans": [{"start": "here", "end": 3, "label": "P"}]},
        GOLD | {"relations": [{"label": "x", "head": "here", "tail": 0}]},
        GOLD | {"zones": "here"},
        {"doc_id": "a", "entities": [["here", 1, "P"]]},
        {"doc_id": "a", "actor_tags": "here"},
        {"data": {"doc_id": "a", "text": "Ana left."}, "predictions": "here"},
    ):
        Path("p.jsonl").write_text(json.dumps(record).replace(mark, value) + "\n")
        assert ended(*SCORE, "--html", "x.html", "--markdown", "x.md") in GOOD
        assert ended("browse", "p.jsonl", "--out", "x.html") in GOOD
    for task in (
        a_task(id="here"),
        a_task(doc_id="here"),
        a_task(completed_by="here"),
        a_task(result="here"),
        a_task(result=["here"]),
        a_task(value="here"),
        a_task(value=REGION | {"start": "here"}),
        a_task(value=REGION | {"labels": "here"}),
        a_task(value=REGION | {"text": "here"}),
        a_task(from_name="here"),
        a_task(type="here"),
        a_task(drafts="here"),
        a_task(meta="here"),
    ):
        text = json.dumps([task, a_task(), a_task("Bo left.", id=2, doc_id="b")]).replace(mark, value)
        Path("e.json").write_text(text)
        assert set(read_both("e.json")) <= set(GOOD)


def test_bytes_that_are_no_text(folder: Path) -> None:
    for junk in (b"\xed\xa0\x80", b"\xff", b"\0", b"\xc3"):
        for name, text in (("e.json", json.dumps([a_task()])), ("e.jsonl", json.dumps(a_task()) + "\n" + "{}")):
            for at in ("Ana left", '"P"'):
                Path(name).write_bytes(text.encode().replace(at.encode(), at.encode()[:3] + junk + at.encode()[3:]))
                assert set(read_both(name)) <= set(GOOD)


def test_keys_that_name_no_field(folder: Path) -> None:
    for key in ("a\\b", 'a"b', "a\nb", "\u202e", "", "text\0"):
        task = a_task()
        task["data"] = {key: "Ana left."}
        Path("e.json").write_text(json.dumps([task]))
        assert read_both("e.json")[1] == "result"


def test_toml_that_is_too_much(copy: Path) -> None:
    labeling = copy / "labeling"
    for name in (
        "scheme.toml",
        "rounds.toml",
        "actors.toml",
        "claims.toml",
        "languages/ro.toml",
        "../seeds/sources.toml",
    ):
        path = labeling / name
        before = path.read_bytes()
        for more in (nested(100_000), "9" * 5000, '"\\ud800"', "1979-99-99"):
            path.write_bytes(f"deep = {more}\n".encode() + before)
            with pytest.raises(InputError, match="cannot be read as TOML"):
                run("validate-dataset", "--corpus", str(copy))
        path.write_bytes(before)
    path = labeling / "claims.toml"
    path.write_text(path.read_text().replace("value_min = 1000", f"value_min = {10**400}", 1))
    with pytest.raises(InputError, match="no finite number"):
        run("validate-dataset", "--corpus", str(copy))


def test_a_pattern_without_end(alone: Path) -> None:
    path = alone / "labeling" / "scheme.toml"
    text = path.read_text()
    start = text.index('pattern = "')
    end = text.index("\n", start)
    path.write_text(text[:start] + r'pattern = "(?:(?:.?){90}){90}[~@]"' + text[end:])
    with pytest.raises(InputError, match="takes too long"):
        run("export-gold", "--corpus", str(alone))
    path.write_text(text[:start] + 'pattern = "(a"' + text[end:])
    with pytest.raises(InputError, match="no regular expression"):
        run("export-gold", "--corpus", str(alone))


def test_yaml_that_grows(copy: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(40))
    citation, readme = copy / "CITATION.cff", copy / "dataset" / "README.md"
    for path in (citation, readme, copy / "DATASET_CARD.md"):
        before = path.read_text()
        for more in (bomb, f"a: {nested(5000)}\n", "a: 2026-99-99\n", "a: &a [*a]\n"):
            path.write_text("---\n" + more + before.removeprefix("---\n") if path.suffix == ".md" else more + before)
            for command in ("validate-dataset", "export-gold"):
                if path != readme or command == "validate-dataset":
                    with pytest.raises(InputError, match="YAML"):
                        run(command, "--corpus", str(copy))
        path.write_text(before)
    header, _, body = readme.read_text().removeprefix("---\n").partition("---\n")
    values = yaml.safe_load(header)
    values["dataset_info"][0]["features"] = [__import__("datetime").date(2026, 1, 1)]
    readme.write_text(f"---\n{yaml.safe_dump(values)}---\n{body}")
    assert ended("validate-dataset", "--corpus", str(copy)) == "findings"
    citation.write_text(citation.read_text().replace("license:", "license: 5\nwas:"))
    with pytest.raises(InputError, match="license"):
        run("export-gold", "--corpus", str(copy))


def limited(*command: str) -> tuple[int, str, int, float]:
    """A command in a process that may have 4 GB: exit code, what it said, bytes of memory and seconds that it took."""
    code = (
        "import atexit, pathlib, resource, sys; from testimonia.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)); sys.argv[0] = 'testimonia'\n"
        "atexit.register(lambda: pathlib.Path('used').write_text(pathlib.Path('/proc/self/status').read_text()))\n"
        "main()"
    )
    begun = os.times()
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    took = os.times().children_user - begun.children_user
    used = next(line for line in Path("used").read_text().splitlines() if line.startswith("VmHWM:"))
    return done.returncode, done.stdout + done.stderr, int(used.split()[1]) << 10, took


def test_a_string_of_100_mb(folder: Path) -> None:
    long = "a" * 100_000_000
    write("p.jsonl", GOLD | {"spans": [{"start": 0, "end": 3, "label": "P", "text": long}]})
    code, said, memory, _ = limited(*SCORE)
    assert (code, len(said) < 10_000) == (2, True)
    assert "span-text" in said or "text-differs" in said or "quote" in said, said[:500]
    assert memory < 800 * MB
    Path("e.json").write_text(json.dumps([a_task(long), a_task("Bo left.", id=2, doc_id="b")]))
    code, said, memory, _ = limited("measure-agreement", "e.json", "--resamples", "0")
    assert code in (1, 2)
    assert "fit" in said or "text-differs" in said
    assert memory < 800 * MB


def bomb(name: str, before: bytes, unit: bytes, after: bytes) -> None:
    """A small file that unpacks to a gigabyte of a unit."""
    packed = gzip.compress(unit * (MB // len(unit)), 9)
    Path(name).write_bytes(gzip.compress(before) + packed * 1024 + gzip.compress(after))


def test_gzip_that_grows(folder: Path) -> None:
    line = json.dumps(GOLD).encode()
    task = json.dumps(a_task()).encode()
    convert, score = ("convert-export", "p.jsonl.gz", "made"), ("score-predictions", "gold.jsonl", "p.jsonl.gz")
    for parts, commands in (
        ((b"", b"\0", b""), (convert, score)),
        ((b"[" + task + b",", b" ", task + b"]"), (convert,)),
        ((b'[{"data": {"doc_id": "a", "text": "', b"x", b'"}}]'), (convert, score)),
        ((b"", b"[", b""), (convert,)),
        ((b"", b" ", b""), (score,)),
    ):
        bomb("p.jsonl.gz", *parts)
        for command in commands:
            code, said, memory, seconds = limited(*command)
            assert (code, said.startswith("error: ")) == (2, True), (parts, command, said[-500:])
            assert memory < 1024 * MB, (parts, command)
            assert seconds < 20, (parts, command)
    for parts in ((line + b"\n", b" ", b""), (line + b"\n", b"\n", b""), (line + b"\n", b"{}\n", b"")):
        bomb("p.jsonl.gz", *parts)
        code, said, memory, _ = limited("score-predictions", "gold.jsonl", "p.jsonl.gz")
        assert (code, "far more than its size" in said) == (2, True)
        assert memory < 1024 * MB


def test_docbin_that_grows(folder: Path) -> None:
    Path("p.spacy").write_bytes(zlib.compress(bytes(1 << 30), 9))
    code, said, memory, _ = limited("score-predictions", "gold.jsonl", "p.spacy")
    assert (code, "far more than its size" in said) == (2, True)
    assert memory < 1024 * MB
    for content in (b"\x81\x90\x01", b"\x93\x01\x02\x03", b"\xc0", b""):
        Path("p.spacy").write_bytes(zlib.compress(content))
        with pytest.raises(InputError, match="cannot be read as a DocBin"):
            run("score-predictions", "gold.jsonl", "p.spacy")


def test_parquet_that_grows(folder: Path) -> None:
    def again(size: int, times: int) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array(["x" * size]))

    for column, options in (
        (pa.nulls(200_000_000, pa.string()), {}),
        (again(1_000_000, 100_000), {}),
        (again(100_000, 100_000), {"store_schema": False}),
        (again(100_000_000, 1000), {}),
    ):
        pq.write_table(pa.table({"doc_id": column}), "p.parquet", compression="zstd", write_statistics=False, **options)
        assert Path("p.parquet").stat().st_size < MB
        code, said, memory, _ = limited("score-predictions", "gold.jsonl", "p.parquet")
        assert (code, "unpacks to more than" in said) == (2, True)
        assert memory < 1024 * MB


def test_what_unpacks_as_files_do_is_read(tmp_path: Path) -> None:
    names = pa.array([f"d{row % 5000}" for row in range(400_000)]).dictionary_encode()
    table = pa.table({"doc_id": names, "n": range(400_000), "none": pa.nulls(400_000, pa.string())})
    pq.write_table(table, tmp_path / "p.parquet", compression="zstd")
    found = read_parquet(tmp_path / "p.parquet")
    assert found.num_rows == 400_000
    assert found.to_pydict() == table.to_pydict()


def test_a_footer_that_pyarrow_trips_over(copy: Path) -> None:
    path = next((copy / "dataset" / "claims").iterdir())
    data = path.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    code = "import sys; from testimonia.cli import main; main('validate-dataset')"
    for at in range(len(data) - 8 - size, len(data) - 4, size // 12):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        arguments = [sys.executable, "-c", code, str(copy / "dataset"), "--corpus", str(copy)]
        run = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert run.returncode in (1, 2), run.stderr
        assert "Traceback" not in run.stderr
        assert "fault of testimonia" not in run.stderr


Change = Callable[[list[Json]], object]


def change_rows(path: Path, change: Change) -> None:
    """Changes the rows of a Parquet file, whatever types come of it."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(table.schema.metadata), path)


CLAIMS: list[tuple[str, Change]] = [
    ("claims", lambda rows: [row.pop("claim_id") for row in rows]),
    ("claims", lambda rows: [row.pop("gloss") for row in rows]),
    ("claims", lambda rows: rows[0].update(marks=None)),
    ("claim_mentions", lambda rows: [row.pop("claim_id") for row in rows]),
    ("claim_mentions", lambda rows: [row.pop("unit") for row in rows]),
    ("claim_mentions", lambda rows: rows[0].update(spans=None)),
    ("claim_mentions", lambda rows: rows[0].update(texts=[])),
]


@pytest.mark.parametrize(("config", "change"), CLAIMS)
def test_claims_that_cannot_be_shown(copy: Path, config: str, change: Change) -> None:
    change_rows(next((copy / "dataset" / config).iterdir()), change)
    with pytest.raises(InputError, match="its claims cannot be read"):
        run("browse", str(copy / "dataset"), "--out", str(copy / "x.html"))


RELATIONS: list[Change] = [
    lambda rows: [row.pop("head") for row in rows],
    lambda rows: [row.pop("label") for row in rows],
    lambda rows: rows[0].update(tail=None),
]


@pytest.mark.parametrize("change", RELATIONS)
def test_releases_that_cannot_be_compared(copy: Path, change: Change) -> None:
    path = next((copy / "dataset" / "relations").iterdir())
    change_rows(path, change)
    with pytest.raises(InputError, match="is this a release"):
        run("diff-releases", str(copy / "dataset"), str(ROOT / "dataset"))
    shutil.copy(next((ROOT / "dataset" / "relations").iterdir()), path)
    path = next((copy / "dataset" / "spans").iterdir())
    change_rows(path, lambda rows: [row.update(text=row["text"].encode()) for row in rows])
    outcome, said = run_command(["diff-releases", str(ROOT / "dataset"), str(copy / "dataset"), "--json"])
    assert outcome == "result"
    assert json.loads(said)["spans"]["changed"]


def test_features_of_anything(folder: Path) -> None:
    schema = pq.read_schema(next((ROOT / "dataset" / "documents").iterdir()))
    table = pq.read_table(next((ROOT / "dataset" / "documents").iterdir()))
    tokens = pq.read_table(next((ROOT / "dataset" / "tokens").iterdir()))
    assert b"huggingface" in schema.metadata
    for features in ("0.5", "[]", "null", nested(100_000), '{"spans": []}', '{"spans": [{"label": {"names": 5}}]}'):
        told = table.replace_schema_metadata({"huggingface": f'{{"info": {{"features": {features}}}}}'})
        pq.write_table(told, "p.parquet")
        assert ended("score-predictions", str(ROOT / "dataset"), "p.parquet", "--resamples", "0") in GOOD
        pq.write_table(tokens.replace_schema_metadata(told.schema.metadata), "p.parquet")
        assert ended("score-predictions", str(ROOT / "dataset"), "p.parquet", "--resamples", "0") in GOOD


def test_columns_that_stand_twice_and_zones_of_half(folder: Path) -> None:
    table = pq.read_table(next((ROOT / "dataset" / "documents").iterdir()))
    pq.write_table(table.append_column("doc_id", table["doc_id"]), "p.parquet")
    write("q.jsonl", {"doc_id": "ro-1", "quotes": []})
    with pytest.raises(InputError, match="several columns doc_id"):
        run("ground-quotes", "p.parquet", "q.jsonl", "--out", "x.jsonl")
    zones = pa.array([[{"start": 0, "kind": "body"}]] * len(table))
    pq.write_table(table.set_column(table.column_names.index("zones"), "zones", zones), "p.parquet")
    with pytest.raises(InputError, match="zones have no end"):
        run("score-predictions", "p.parquet", "gold.jsonl")


def test_audits_of_anything(copy: Path) -> None:
    folder = copy / "labeling" / "audits" / "one"
    command = ["estimate-errors", str(folder), "--corpus", str(copy)]
    place = {"doc_id": "ro-1", "start": 0, "end": 1, "label": "ACTOR", "problem": "missing"}
    path = folder / "auditor-1.planted.json"
    before = path.read_text()
    for planted in ([place | {"problem": []}], [place | {"start": "x"}], [place | {"more": 1}], 5, [5], None):
        path.write_text(json.dumps({"planted": planted}))
        with pytest.raises(InputError, match="planted is no list"):
            run(*command)
    path.write_text(before)
    (folder / "auditor-1.jsonl").write_text(nested(100_000))
    with pytest.raises(InputError, match="is no JSON"):
        run(*command)


def test_halves_of_surrogate_pairs_are_written_as_json(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    write("q.jsonl", {"doc_id": "a", "quotes": [{"quote": "Ana", "label": "\ud800", "more": "\udc00"}]})
    assert ended("ground-quotes", "gold.jsonl", "q.jsonl", "--out", "x.jsonl") == "result"
    [record] = map(json.loads, Path("x.jsonl").read_text().splitlines())
    assert record["spans"][0]["label"] == "\ud800"
    shutil.copytree(ROOT / "dataset", "dataset")
    manifest = json.loads(Path("dataset/manifest.json").read_text())
    manifest["configs"]["spans"]["sha256"] = "\ud800"
    Path("dataset/manifest.json").write_text(json.dumps(manifest))
    outcome, said = run_command(["validate-dataset", "dataset", "--corpus", str(ROOT), "--json"])
    assert outcome == "findings"
    assert any("\ud800" in finding["message"] for finding in json.loads(said)["findings"])
    deep = '{"doc_id": "a", "quotes": [{"quote": "Ana", "label": "x", "more": %s}]}\n'
    for depth in (900, 940, 950, 960, 970, 980, 990):
        Path("q.jsonl").write_text(deep % nested(depth))
        assert ended("ground-quotes", "gold.jsonl", "q.jsonl", "--out", "x.jsonl") in GOOD


def test_messages_do_nothing_to_a_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    escape = "\x1b]0;gone\x07\x1b[31m\u202e"
    Path("e.json").write_text(json.dumps([a_task(completed_by=escape, type="labels\x1b[2J", from_name=escape)]))
    write("p.jsonl", GOLD | {"doc_id": escape, "model": escape})
    for command in (["measure-agreement", "e.json", "--resamples", "0"], [*SCORE], ["browse", "p.jsonl" + escape]):
        monkeypatch.setattr(sys, "argv", ["testimonia", *command])
        with pytest.raises(SystemExit):
            main()
        said = "".join(capsys.readouterr())
        assert said
        assert all(character.isprintable() or character == "\n" for character in said)


NAMES = ["../../x", "..", "/tmp/x", "a/b", "a\0b", "CON", "x" * 300, "-rf", "x\n", "", " ", "..\\x", "\u202ex"]


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_out(folder: Path, name: str) -> None:
    outside = everything(folder.parent) - everything(folder)
    task = a_task(doc_id=name, completed_by=name, id=name, value=REGION | {"labels": [name]}, language=name, title=name)
    Path("e.json").write_text(json.dumps([task]))
    assert set(read_both("e.json")) <= set(GOOD)
    write("p.jsonl", GOLD | {"doc_id": name, "language": name, "model": name})
    assert ended("score-predictions", "p.jsonl", "p.jsonl", "--html", "x.html", "--markdown", "x.md") in GOOD
    assert ended("browse", "p.jsonl", "--out", "x.html") in GOOD
    assert everything(folder.parent) - everything(folder) == outside


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_names_no_file_elsewhere(alone: Path, name: str) -> None:
    before = everything(alone.parent) - everything(alone)
    quoted = json.dumps(name)
    for path, old in (
        ("seeds/sources.toml", '"ro-1"'),
        ("seeds/sources.toml", '"000_7fd4331a8fd6c2c3.txt"'),
        ("labeling/rounds.toml", '"first"'),
        ("labeling/scheme.toml", '"actors.toml"'),
    ):
        text = (alone / path).read_text()
        assert old in text
        (alone / path).write_text(text.replace(old, quoted))
        for command in (
            ["export-gold", "--corpus", str(alone)],
            ["plant-errors", str(alone / "planted"), "--key", str(alone / "key.json"), "--corpus", str(alone)],
        ):
            with pytest.raises(TestimoniaError):
                run(*command)
        (alone / path).write_text(text)
    for key in ("file", "sha256"):
        manifest = json.loads((ROOT / "dataset" / "manifest.json").read_text())
        manifest["configs"]["spans"][key] = name if key == "file" else 5
        (alone / "dataset" / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(InputError, match="restore it"):
            run("strip-text", str(alone / "bare"), "--dataset", str(alone / "dataset"))
    manifest["configs"] = {name: manifest["configs"]["documents"]} | manifest["configs"]
    (alone / "dataset" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError):
        run("strip-text", str(alone / "bare"), "--dataset", str(alone / "dataset"))
    assert everything(alone.parent) - everything(alone) == before


def test_links_that_lead_out(copy: Path) -> None:
    secret = copy.parent / "secret"
    secret.write_text("a secret")
    for name, command in (
        ("labeling/label_config.xml", ["label-config"]),
        ("DATASET_CARD.md", ["export-gold"]),
        ("seeds/new.txt", ["add-document", str(copy / "CITATION.cff"), "--id", "new", "--language", "fr"]),
    ):
        path = copy / name
        before = path.read_bytes() if path.exists() else None
        target = copy.parent / "target"
        target.write_bytes(before or b"")
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        with pytest.raises(InputError, match="leads out of"):
            run(*command, "--corpus", str(copy))
        assert target.read_bytes() == (before or b"")
        path.unlink()
        if before is not None:
            path.write_bytes(before)
    path = copy / "dataset" / "croissant.json"
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(InputError, match="no plain file"):
        run("strip-text", str(copy / "bare"), "--dataset", str(copy / "dataset"))
    assert ended("validate-dataset", "--corpus", str(copy)) in ("findings", "refused")
    seed = copy / "seeds" / "000_7fd4331a8fd6c2c3.txt"
    seed.unlink()
    seed.symlink_to(secret)
    with pytest.raises(InputError, match="not a plain file"):
        run("export-gold", "--corpus", str(copy))


def test_devices_are_not_read(copy: Path) -> None:
    for name in ("labeling/scheme.toml", "labeling/actors.toml", "dataset/manifest.json", "seeds/sources.toml"):
        path = copy / name
        before = path.read_bytes()
        path.unlink()
        path.symlink_to("/dev/zero")
        for command in ("validate-dataset", "verify-release", "measure-agreement"):
            assert ended(command, "--corpus", str(copy)) in GOOD
        path.unlink()
        path.write_bytes(before)


def test_markdown_means_nothing(folder: Path) -> None:
    words = "a|b `c` <img src=x onerror=window.__hit=1> [d](http://e) **f** ]]> =1+1"
    span = {"start": 0, "end": 3, "label": words}
    write("p.jsonl", GOLD | {"language": words, "model": words, "spans": [span]})
    assert ended("score-predictions", "p.jsonl", "p.jsonl", "--markdown", "x.md") == "result"
    said = Path("x.md").read_text()
    for raw in ("a|b", "`c`", "<img", "[d](", "**f**"):
        assert raw not in said
    tables = [line for line in said.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables if "a\\|b" in line} <= {
        line.replace("\\|", "").count("|") for line in tables if line.startswith("| ---")
    }


def test_the_card_means_nothing(alone: Path) -> None:
    words = "a|b `c` <img src=x> [d](http://e)"
    sources = alone / "seeds" / "sources.toml"
    sources.write_text(sources.read_text().replace("its publisher, whom the file does not name", words))
    for path in (alone / "labeling" / "exports" / "first").glob("*.json"):
        task = json.loads(path.read_text())
        task["annotations"][0]["completed_by"] = words
        path.write_text(json.dumps(task))
    assert ended("export-gold", "--corpus", str(alone)) == "result"
    said = (alone / "dataset" / "README.md").read_text()
    assert said.count("a\\|b \\`c\\` &lt;img src=x&gt; \\[d\\](http://e)") >= 6
    assert "a|b" not in said
    assert "<img" not in said


HIT = (
    "<script>window.__hit=1</script>",
    "<img src=x onerror=window.__hit=1>",
    '"><svg onload=window.__hit=1>',
    "' onmouseover=window.__hit=1 autofocus onfocus=window.__hit=1 x='",
    "</script><script>window.__hit=1</script>",
    "<!--<script>",
    "]]>",
    "`|`|{{ 7*7 }}{% raw %}",
    "=cmd|' /C calc'!A0",
    "\u202eno\u202c\u2066x",
    "javascript:window.__hit=1",
    "</style><style>@import url(http://127.0.0.1:9/x.css)</style>",
    "<iframe src=http://127.0.0.1:9/></iframe><base href=http://127.0.0.1:9/><meta http-equiv=refresh content=0>",
)


@pytest.fixture
def pages(folder: Path) -> list[Path]:
    """Every page that is written, with hostile words wherever words of strangers come to stand."""
    every = " ".join(HIT)
    text = every + "\n" + every
    spans: list[Json] = [
        {"start": text.index(word), "end": text.index(word) + len(word), "label": word, "id": str(n)}
        | {"attributes": {word: other, "entity": word, "kind": every}}
        for n, (word, other) in enumerate(zip(HIT, reversed(HIT), strict=True))
    ]
    record: Json = {"doc_id": every, "language": HIT[1], "model": every, "text": text, "spans": spans}
    record["relations"] = [{"label": word, "head": n, "tail": 0} for n, word in enumerate(HIT)]
    record["zones"] = [{"start": 0, "end": len(every), "kind": HIT[2]}]
    other = record | {"doc_id": "b", "language": HIT[3]}
    write("gold.jsonl", record, other)
    write(
        "p.jsonl",
        record | {"spans": [*spans[1:], spans[0] | {"label": "X", "end": spans[0]["end"] - 1}]} | {"relations": []},
    )
    named = Path("<img src=x onerror=window.__hit=1>.jsonl")
    shutil.copy("p.jsonl", named)
    found = []
    for number, command in enumerate(
        (
            ["score-predictions", "gold.jsonl", str(named), "--html"],
            ["browse", "gold.jsonl", "--title", every, "--out"],
            ["browse", str(named), "--out"],
        )
    ):
        found.append(Path(f"{number}.html").absolute())
        assert run_command([*command, found[-1].name])[0] in ("result", "findings")
    tasks = [a_task(text, doc_id=every, id=1, language=HIT[1], title=every)]
    entries = []
    for who in range(3):
        results: list[Json] = []
        for n, word in enumerate(HIT[who:]):
            value = {"start": text.index(word), "end": text.index(word) + len(word), "text": word, "labels": [word]}
            own = {"id": f"{word}{n}", "from_name": word, "to_name": "text"}
            results.append(own | {"type": "labels", "value": value})
            results.append(own | {"type": "choices", "value": value | {"choices": [HIT[n]]}})
        ids = [one["id"] for one in results]
        results += [
            {"type": "relation", "from_id": one, "to_id": ids[0], "labels": [every], "direction": "right"}
            for one in ids[2:5]
        ]
        entries.append({"completed_by": f"{who}{every}", "result": results})
    tasks[0]["annotations"] = entries
    Path("e.json").write_text(json.dumps(tasks))
    found.append(Path("agreement.html").absolute())
    assert run_command(["measure-agreement", "e.json", "--html", found[-1].name])[0] in ("result", "findings")
    shutil.copytree(ROOT / "dataset", "dataset")
    for config in ("claims", "claim_mentions"):
        path = next(Path("dataset", config).iterdir())
        table = pq.read_table(path)
        for name in table.column_names:
            if table.schema.field(name).type == pa.string() and name != "claim_id":
                table = table.set_column(table.column_names.index(name), name, pa.array([every] * len(table)))
        pq.write_table(table, path)
    found.append(Path("claims.html").absolute())
    assert run_command(["browse", "dataset", "--out", found[-1].name])[0] == "result"
    return found


def listening(page: Page) -> list[str]:
    """What a page says, does or asks for, as it comes."""
    said: list[str] = []

    def dismissed(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismissed)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
    return said


@pytest.mark.browser
def test_pages_run_nothing(browser: Browser, pages: list[Path]) -> None:
    for path in pages:
        context = browser.new_context()
        page = context.new_page()
        said = listening(page)
        page.goto(path.as_uri())
        policy = page.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content") or ""
        assert policy.startswith("default-src 'none';")
        script = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
        assert "sha256-" in script
        assert "unsafe" not in script
        for box in page.locator("input[type=checkbox]").all()[:3]:
            box.uncheck()
            box.check()
        for mark in page.locator("mark[id]").all()[:20]:
            mark.focus()
            mark.hover(force=True)
        assert page.evaluate("typeof window.__hit") == "undefined"
        assert page.locator("script").count() <= 2
        assert (
            page.locator(
                "img, iframe, base, object, embed, link, [onerror], [onload], [onmouseover], [onfocus]"
            ).count()
            == 0
        )
        assert page.locator("meta[http-equiv]").count() == 1
        assert page.locator('a[href]:not([href^="#"])').count() == 0
        assert said == []
        # The policy itself: what is not the page's own script does not run, and nothing is loaded.
        with page.expect_event("requestfailed") as failed:
            page.evaluate("""() => {
                const put = (name, values) => document.body.append(Object.assign(document.createElement(name), values));
                put("script", { textContent: "window.__hit = 1" });
                put("img", { src: "http://127.0.0.1:9/x.png" });
            }""")
        assert failed.value.failure == "csp"
        assert page.evaluate("typeof window.__hit") == "undefined"
        context.close()
