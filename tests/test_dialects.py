"""Exports as strangers publish them: one small file for each thing that is found in them, in `data/wild/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from testimonia.cli import app
from testimonia.dialects import Reader
from testimonia.errors import InputError
from testimonia.exports import Export, read_exports
from testimonia.label_config import read_label_config, render_label_config
from testimonia.scheme import read_scheme
from tests.conftest import DATA, ROOT

WILD = sorted((DATA / "wild").glob("*.json"))


def read(case: dict[str, object], folder: Path) -> Export:
    path = folder / "export.json"
    path.write_text(str(case["raw"]) if "raw" in case else json.dumps(case["file"]))
    config = None
    if "config" in case:
        (folder / "config.xml").write_text(str(case["config"]))
        config = read_label_config(folder / "config.xml")
    return read_exports([path], config=config)


@pytest.mark.parametrize("path", WILD, ids=lambda path: path.stem)
def test_an_export_is_read_as_the_table_says(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text())
    if "error" in case:
        with pytest.raises(InputError, match=case["error"]):
            read(case, tmp_path)
        return
    export = read(case, tmp_path)
    submitted = [a for a in export.annotations if a.state == "submitted"]
    spans = [
        " ".join([f"{a.doc_id}:{s.start}-{s.end}:{s.label}", *(f"{name}={value}" for name, value in s.attributes)])
        for a in submitted
        for s in a.spans
    ]
    assert sorted(spans) == case["spans"]
    assert case["relations"] == sorted(
        f"{a.doc_id} {r.label} {r.head.start}-{r.head.end} {r.tail.start}-{r.tail.end}"
        for a in submitted
        for r in a.relations
    )
    assert sorted({f.id for f in export.findings} - {"labels-found"}) == case["findings"]
    assert ("labels-found" in {f.id for f in export.findings}) == ("config" not in case)
    assert len(submitted) == case.get("submitted", len(submitted))
    assert sorted({a.annotator for a in submitted}) == case.get("annotators", sorted({a.annotator for a in submitted}))
    assert export.documents[0].text == case.get("text", export.documents[0].text)


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    for path in WILD:
        case = json.loads(path.read_text())
        if "error" not in case:
            assert read(case, tmp_path) == read(case, tmp_path)


def test_a_refused_file_leaves_the_others(tmp_path: Path) -> None:
    for name in ("edge-space", "text-changed"):
        case = json.loads((DATA / "wild" / f"{name}.json").read_text())
        (tmp_path / f"{name}.json").write_text(json.dumps(case["file"]))
    done = CliRunner().invoke(app, ["measure-agreement", str(tmp_path), "--json"])
    assert done.exit_code == 1
    refused = [f for f in json.loads(done.stdout)["findings"] if f["id"] == "file-refused"]
    assert [f["place"] for f in refused] == [str(tmp_path / "text-changed.json")]
    assert "of 3 regions with a copy of their text these fit it: 0 as code-points" in refused[0]["message"]
    alone = CliRunner().invoke(app, ["measure-agreement", str(tmp_path / "text-changed.json")])
    assert isinstance(alone.exception, InputError)


def test_our_own_label_config_is_read(tmp_path: Path) -> None:
    scheme = read_scheme(ROOT / "labeling" / "scheme.toml")
    path = tmp_path / "config.xml"
    path.write_text(render_label_config(scheme))
    project = read_label_config(path)
    assert (project.name, project.key) == ("text", "text")
    assert project.scheme.label_names == sorted(scheme.label_names)
    assert project.scheme.relation_names == sorted(scheme.relation_names)
    controls = {attribute.name for label in project.scheme.labels for attribute in label.attributes}
    assert controls >= set(scheme.columns)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("<View>", "is no label config"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><View>&a;</View>", "has a DOCTYPE"),
        ("<View><Text name='t' value='$t'/></View>", "they mark none"),
        ("<View><Text name='t' value='$t'/><Labels name='l' toName='u'/></View>", "they mark u"),
        ("<View><Text name='t' value='here'/><Labels name='l' toName='t'/></View>", "takes its text from 'here'"),
    ],
)
def test_a_label_config_that_says_too_little(config: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.xml").write_text(config)
    with pytest.raises(InputError, match=message):
        read_label_config(tmp_path / "config.xml")


def test_a_config_for_other_tasks(tmp_path: Path) -> None:
    case = json.loads((DATA / "wild" / "edge-space.json").read_text())
    case["config"] = "<View><Text name='text' value='$body'/><Labels name='l' toName='text'/></View>"
    with pytest.raises(InputError, match="takes the text from 'body'; the tasks have text"):
        read(case, tmp_path)


def test_a_region_nested_too_deep_to_be_named() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    value = {"start": 0, "end": 3, "text": "Ana", "labels": ["P"], "x": deep}
    result = {"type": "labels", "from_name": "label", "to_name": "text", "value": value}
    task = {"id": 1, "data": {"text": "Ana left.", "doc_id": "a"}, "annotations": [{"result": [result]}]}
    with pytest.raises(InputError, match="task 'a': is nested too deep"):
        Reader("text").plain(task, 1)
