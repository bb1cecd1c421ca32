"""Exports turned into sharded Parquet: the rows of `read_exports`, whatever the form, the size of parts, the faults."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from testimonia.cli import app
from testimonia.document import Annotation, Span
from testimonia.engine import processes, ray_tasks
from testimonia.errors import InputError
from testimonia.exports import read_exports
from testimonia.label_config import Project, foreign_scheme, read_label_config
from testimonia.scheme import Scheme
from testimonia.shards import WORK, convert_exports
from testimonia.streams import CHUNK
from tests.conftest import DATA
from tests.strategies import texts_with_spans

Json = dict[str, Any]
WILD = sorted((DATA / "wild").glob("*.json"))
# Said of a whole run by `read_exports` only.
OF_THE_WHOLE = {"labels-found", "regions-left-out"}


def table(out: Path, name: str) -> list[Json]:
    """The rows of a table in the order of its parts."""
    parts = [pq.read_table(path) for path in sorted((out / name).glob("part-*.parquet"))]
    rows: list[Json] = pa.concat_tables(parts).to_pylist()
    return rows


def annotated(out: Path) -> list[Any]:
    """Annotations as plain values that sort."""
    found = []
    for row in table(out, "annotations"):
        spans = [
            (s["start"], s["end"], s["label"], tuple((a["name"], a["text"], a["number"]) for a in s["attributes"]))
            for s in row["spans"]
        ]
        arrows = sorted((r["label"], spans[r["head"]], spans[r["tail"]]) for r in row["relations"])
        found.append((row["doc_id"], row["annotator"], row["state"], spans, arrows))
    return sorted(found, key=repr)


def expected(given: Sequence[Annotation]) -> list[Any]:
    def plain(span: Any) -> Any:
        own = [(n, v, None) if isinstance(v, str) else (n, None, v) for n, v in span.attributes]
        return span.start, span.end, span.label, tuple(own)

    found = []
    for one in given:
        arrows = sorted((r.label, plain(r.head), plain(r.tail)) for r in one.relations)
        found.append((one.doc_id, one.annotator, one.state, [plain(span) for span in one.spans], arrows))
    return sorted(found, key=repr)


def same(
    paths: Sequence[Path],
    out: Path,
    scheme: Scheme | None = None,
    config: Project | None = None,
    against: Sequence[Path] = (),
    **options: Any,
) -> Json:
    """Converts, and holds rows and findings against what `read_exports` reads, there or elsewhere; the totals."""
    try:
        export = read_exports(against or paths, scheme, config)
    except InputError:
        with pytest.raises(InputError):
            convert_exports(paths, out, scheme, config, **options)
        return {}
    totals, _ = convert_exports(paths, out, scheme, config, **options)
    documents = {row["doc_id"]: (row["language"], row["title"], row["text"]) for row in table(out, "documents")}
    assert len(documents) == len(table(out, "documents"))
    assert documents == {d.doc_id: (d.language, d.title, d.text) for d in export.documents}
    assert annotated(out) == expected(export.annotations)
    found = Counter(finding.id for finding in export.findings if finding.id not in OF_THE_WHOLE)
    assert totals["findings"] == dict(sorted(found.items()))
    submitted = [a for a in export.annotations if a.state == "submitted"]
    assert totals["annotations"] == sum(a.state != "draft" for a in export.annotations)
    assert totals["spans"] == sum(len(a.spans) for a in submitted)
    assert totals["relations"] == sum(len(a.relations) for a in submitted)
    assert not (out / WORK).exists()
    return totals


@pytest.mark.parametrize("path", WILD, ids=lambda path: path.stem)
def test_strangers_exports(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text())
    export = tmp_path / "export.json"
    export.write_text(str(case["raw"]) if "raw" in case else json.dumps(case["file"]))
    config = None
    if "config" in case:
        (tmp_path / "config.xml").write_text(str(case["config"]))
        config = read_label_config(tmp_path / "config.xml")
    same([export], tmp_path / "out", config=config)


LABELS = ("ACTOR", "QUANTITY")
ODD: list[Json] = [
    {"value": {"start": 0.0, "end": 1.0, "text": "a", "labels": ["ACTOR"]}},
    {"value": {"start": "0", "end": 1, "text": "a", "labels": ["ACTOR"]}},
    {"value": {"start": -1, "end": 1, "text": "a", "labels": ["ACTOR"]}},
    {"value": {"start": 0, "end": 10**20, "text": "a", "labels": ["ACTOR"]}},
    {"value": {"start": 0, "end": 1, "text": "nothing of the kind", "labels": ["ACTOR"]}},
    {"value": {"start": 0, "end": 1, "labels": ["ACTOR"]}},
    {"value": {"start": 0, "end": 1, "labels": []}},
    {"value": {"start": 0, "end": 1, "labels": ["ACTOR", "QUANTITY"]}},
    {"value": {"start": 0, "end": 1, "labels": "ACTOR"}},
    {"value": None},
    {"type": "hypertextlabels", "value": {"start": 0, "end": 1, "hypertextlabels": ["ACTOR"]}},
    {"type": "rectanglelabels", "value": {"x": 1, "rectanglelabels": ["CAR"]}},
    {"type": "choices", "from_name": "about", "value": {"choices": ["war"]}},
    {"type": "choices", "from_name": "about", "value": {"choices": ["war", "peace"], "start": 0, "end": 1, "text": ""}},
    {"to_name": "elsewhere"},
    {"id": None},
    {"type": None},
]
SAID: list[tuple[str, str, Any]] = [
    ("kind", "choices", ["person"]),
    ("kind", "choices", ["person", "state"]),
    ("kind", "choices", []),
    ("size", "number", 4),
    ("size", "number", 1e305),
    ("size", "number", "4"),
    ("stars", "rating", 3),
    ("unit", "text", ["day"]),
    ("unit", "text", [""]),
    ("topic", "taxonomy", [["a", "b"]]),
    ("topic", "taxonomy", [["a"], ["b"]]),
]


@st.composite
def results(draw: st.DrawFn, text: str, spans: list[Span]) -> list[Any]:
    """The results of an annotation, most of them as the server writes them."""
    found: list[Any] = []
    names = []
    for number, span in enumerate(spans):
        bounds = {"start": span.start, "end": span.end, "text": text[span.start : span.end]}
        names.append(draw(st.sampled_from([f"r{number}"] * 8 + ["r0"])))
        common = {"id": names[-1], "to_name": "text", "origin": "manual"}
        found.append(common | {"from_name": "label", "type": "labels", "value": bounds | {"labels": [span.label]}})
        for control, kind, value in draw(st.lists(st.sampled_from(SAID), max_size=2)):
            said = common | {"from_name": control, "type": "textarea" if kind == "text" else kind}
            found.append(said | {"value": bounds | {kind: value}})
        if draw(st.integers(0, 15)) == 0:
            found.append(found[-1] | draw(st.sampled_from(ODD)))
    for head, tail in draw(st.lists(st.tuples(*[st.sampled_from([*names, "gone"])] * 2), max_size=2)) if names else ():
        arrow = {"type": "relation", "from_id": head, "to_id": tail}
        arrow["direction"] = draw(st.sampled_from(["right"] * 6 + ["left", "bi", "up"]))
        labels = draw(st.sampled_from([["of"]] * 4 + [["of", "by"], [], None]))
        found.append(arrow | ({} if labels is None else {"labels": labels}))
    if draw(st.integers(0, 9)) == 0:
        found.append(draw(st.sampled_from([None, 3, {}, {"type": "labels"}, *found])))
    return found


@st.composite
def exports(draw: st.DrawFn) -> list[Json]:
    """The tasks of an export."""
    tasks: list[Json] = []
    texts = draw(st.lists(texts_with_spans(LABELS), min_size=1, max_size=6))
    for number, (text, spans) in enumerate(texts):
        entries = []
        for _ in range(draw(st.integers(0, 2))):
            who: Any = draw(
                st.sampled_from([1, 2, "ana", "ana@example.org", "bo@example.org", {"id": 5}, {}, None, " "])
            )
            entry: Json = {"result": draw(results(text, spans)), "completed_by": who}
            entries.append(entry | draw(st.sampled_from([{}] * 4 + [{"was_cancelled": True}, {"result": None}])))
        data: Json = {"text": text, "doc_id": f"d-{draw(st.integers(0, 9))}", "language": "ro"}
        data |= draw(
            st.sampled_from([{}] * 6 + [{"doc_id": ""}, {"doc_id": 7}, {"title": 5}, {"text": text + "\ud800"}])
        )
        task: Json = {"id": draw(st.sampled_from([number] * 6 + [None, "t"])), "data": data, "annotations": entries}
        if draw(st.integers(0, 5)) == 0:
            task["drafts"] = [{"user": 3, "result": draw(results(text, spans))}]
        tasks.append(task)
    return tasks


SCHEME = foreign_scheme(
    "given", {"ACTOR": {"kind": "choice", "size": "number", "topic": "entity"}, "QUANTITY": {"unit": "string"}}, ["of"]
)
FORMS: dict[str, Callable[[list[Json]], bytes]] = {
    "array.json": lambda tasks: json.dumps(tasks, separators=(",", ":")).encode(),
    "pretty.json": lambda tasks: b"\xef\xbb\xbf" + json.dumps(tasks, indent=2).encode(),
    "lines.jsonl": lambda tasks: b"".join(json.dumps(task).encode() + b"\r\n" for task in tasks),
    "array.json.gz": lambda tasks: gzip.compress(json.dumps(tasks).encode()),
}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(exports(), st.sampled_from(sorted(FORMS)), st.sampled_from([16, 300, CHUNK]), st.booleans())
def test_rows_and_findings_are_those_of_the_readers(
    tmp_path_factory: pytest.TempPathFactory, tasks: list[Json], form: str, size: int, with_scheme: bool
) -> None:
    if not with_scheme:  # the labels of drafts are then those that others submitted, which a part alone cannot know
        tasks = [{key: value for key, value in task.items() if key != "drafts"} for task in tasks]
    folder = tmp_path_factory.mktemp("export")
    plain = folder / "plain.json"
    plain.write_text(json.dumps(tasks))
    (folder / form).write_bytes(FORMS[form](tasks))
    totals = same([folder / form], folder / "out", SCHEME if with_scheme else None, against=[plain], size=size)
    if totals:
        assert totals["spans"] + sum(totals["left_out"].values()) == regions(tasks)
    shutil.rmtree(folder)


def regions(tasks: list[Json]) -> int:
    """The labelled regions of an export: ids with a result of some type of labels, by annotation."""
    found = 0
    for task in tasks:
        for entry in [*task["annotations"], *task.get("drafts", [])]:
            listed = [r for r in entry["result"] or [] if isinstance(r, dict) and str(r.get("type")).endswith("labels")]
            found += len({r["id"] if isinstance(r.get("id"), str) else json.dumps(r) for r in listed})
    return found


def made(count: int, doc_id: str = "made") -> list[Json]:
    """Tasks as the server writes them, each with a region, an attribute and a relation to itself."""
    tasks = []
    for number in range(count):
        text = f"Rome 🇮🇹 a dit {number}."
        value = {"start": 8, "end": 13, "text": "a dit"}
        common = {"id": "r", "to_name": "text"}
        results = [
            common | {"from_name": "label", "type": "labels", "value": value | {"labels": ["STANCE"]}},
            common | {"from_name": "kind", "type": "choices", "value": value | {"choices": ["denial"]}},
            {"type": "relation", "from_id": "r", "to_id": "r", "labels": ["same"], "direction": "right"},
        ]
        data = {"text": text, "doc_id": f"{doc_id}-{number}"}
        tasks.append({"id": number, "data": data, "annotations": [{"completed_by": 1, "result": results}]})
    return tasks


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_file_that_is_cut_off_is_an_error_with_its_byte(form: str, tmp_path: Path) -> None:
    whole = FORMS[form](made(40))
    path = tmp_path / form
    for end in (len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"byte [\d,]+: |broken gzip"):
            convert_exports([path], tmp_path / "out", size=500)
        assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("size", [1, 50, 1000, CHUNK])
@pytest.mark.parametrize("first", ["id", "annotations", "data"])
def test_texts_that_look_like_tasks_and_keys_in_any_order(first: str, size: int, tmp_path: Path) -> None:
    tasks = made(8)
    for task in tasks:
        task["data"]["text"] += ' },{"id": 7, "data": {"text": "x"}},{"annotations": ['
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{first: task[first]} | task for task in tasks]))
    assert same([path], tmp_path / "out", size=size)["spans"] == 8


@pytest.mark.parametrize("size", [50, CHUNK])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("01", "not JSON: Expecting"),
        ("[" * 200_000, "not JSON: nested too deep"),
        ('"\\q"', "not JSON: Invalid"),
        ("{,", "not JSON"),
    ],
)
def test_a_broken_task_in_the_middle_is_an_error_with_its_byte(
    wrong: str, message: str, size: int, tmp_path: Path
) -> None:
    path = tmp_path / "export.json"
    text = json.dumps(made(20)).replace('"doc_id": "made-10"', f'"doc_id": {wrong}')
    path.write_text(text)
    with pytest.raises(InputError, match=rf"byte [\d,]+: {message}"):
        convert_exports([path], tmp_path / "out", size=size)
    with pytest.raises(InputError, match="is not there"):
        convert_exports([tmp_path / "none.json"], tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(FORMS["array.json"](made(100)))
    once, twice = tmp_path / "once", tmp_path / "twice"
    convert_exports([path], once, size=2000)
    done = 0

    def stop(tasks: int) -> None:
        nonlocal done
        done += tasks
        if done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_exports([path], twice, size=2000, progress=stop)
    receipts = {one: one.stat().st_mtime_ns for one in (twice / WORK).glob("*.json")}
    assert len(receipts) > 3
    made_anew: list[int] = []
    convert_exports([path], twice, size=2000, progress=made_anew.append)
    assert sum(made_anew) == 100
    assert content(twice) == content(once)
    with pytest.raises(InputError, match="is not empty"):
        convert_exports([path], twice)


def test_a_part_is_made_anew_where_the_file_has_changed(tmp_path: Path) -> None:
    path, out = tmp_path / "export.json", tmp_path / "out"
    path.write_bytes(FORMS["array.json"](made(100)))

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_exports([path], out, size=2000, progress=stop)
    path.write_bytes(FORMS["array.json"](made(100, "other")))
    convert_exports([path], out, size=2000)
    assert {row["doc_id"].rpartition("-")[0] for row in table(out, "documents")} == {"other"}


def workers_of_ray() -> list[int]:
    """The processes that run tasks of Ray."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::make_part"):
                found.append(int(path.parent.name))
    return found


ENGINES: list[Any] = [
    pytest.param(lambda: processes(2), lambda: [child.pid for child in active_children()], id="processes"),
    pytest.param(lambda: ray_tasks(2), workers_of_ray, id="ray"),
]


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_an_engine_gives_the_same_also_where_a_worker_is_killed(engine: Any, workers: Any, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(FORMS["array.json"](made(6000)))
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    totals, _ = convert_exports([path], alone, size=10_000)
    killed: list[int] = []

    def kill(_: int) -> None:
        if not killed and (there := workers()):
            killed.append(there[0])
            os.kill(killed[0], signal.SIGKILL)

    with engine() as run:
        assert convert_exports([path], shared, engine=run, size=10_000, progress=kill)[0] == totals
    assert killed
    assert {name: totals[name] for name in ("tasks", "annotations", "spans")} == dict.fromkeys(
        ("tasks", "annotations", "spans"), 6000
    )
    assert content(shared) == content(alone)


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_an_engine_raises_what_is_wrong_with_the_input(engine: Any, workers: Any, tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    path.write_bytes(FORMS["lines.jsonl"](made(6000)) + b'{"id": 4, "data": \n')
    with engine() as run, pytest.raises(InputError, match=r"export.jsonl: byte [\d,]+: task 6,001 is not JSON"):
        convert_exports([path], tmp_path / "out", engine=run)


def test_workers_that_die_again_and_again_are_an_error() -> None:
    with processes(2) as run, pytest.raises(InputError, match="7: its workers died 4 times"):
        list(run(os._exit, [7]))


def test_documents_that_stand_twice_and_annotators_by_e_mail(tmp_path: Path) -> None:
    tasks, others = made(30), made(30)
    for task in others[:5]:
        task["data"]["text"] += " Encore."
    for task in others:
        task["annotations"][0]["completed_by"] = "zoe@example.org"
        task["annotations"][0]["result"].append({"id": "r"})  # has no type: something to find
    paths = [tmp_path / "a.json", tmp_path / "b.jsonl"]
    paths[0].write_bytes(FORMS["array.json"](tasks))
    paths[1].write_bytes(FORMS["lines.jsonl"](others))
    plain = tmp_path / "b.json"
    plain.write_text(json.dumps(others))
    totals = same(paths, tmp_path / "out", against=[paths[0], plain], size=700)
    assert totals["left_out"] == {"document-texts": 5}
    assert totals["findings"]["annotator-renamed"] == 1
    everything = b"".join(content(tmp_path / "out").values())
    assert b"zoe" not in everything


@pytest.mark.parametrize("before", ["", "🇮🇹 "])
def test_offsets_in_another_unit_are_found_over_the_whole_file(before: str, tmp_path: Path) -> None:
    tasks = made(50)
    for task in tasks[10:]:  # the first of them would do in either unit
        value = task["annotations"][0]["result"][0]["value"]
        value["start"], value["end"] = value["start"] + 2, value["end"] + 2
    for task in tasks[:10]:
        task["data"]["text"] = task["data"]["text"].replace("🇮🇹", "it") + before
    path = tmp_path / "export.json"
    path.write_bytes(FORMS["array.json"](tasks))
    totals = same([path], tmp_path / "out", size=1000)
    assert totals["findings"] == {"unit-utf16": 1}
    assert totals["spans"] == 50


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(FORMS["array.json"](made(3)))
    done = CliRunner().invoke(app, ["convert-export", str(path), str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["spans"] == 3
    told = CliRunner().invoke(app, ["convert-export", str(path), str(tmp_path / "words")])
    assert "3 tasks, 3 annotations, 3 spans, 3 relations" in told.stdout
    assert isinstance(CliRunner().invoke(app, ["convert-export", str(path), str(path)]).exception, InputError)
