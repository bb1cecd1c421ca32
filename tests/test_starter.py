"""A corpus that has nothing to do with ours: other labels, attributes, languages, writing directions and emoji."""

from __future__ import annotations

import ast
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from datasets import load_dataset
from typer.testing import CliRunner

from testimonia.cli import app
from testimonia.corpus import read_corpus
from testimonia.errors import FindingsError, InputError
from testimonia.release import export_gold, validate_dataset
from testimonia.scoring import score
from testimonia.starter import add_document, start_corpus
from testimonia.studio import Studio
from testimonia.transfer import load_seeds, project_title, pull_annotations
from tests.conftest import ROOT
from tests.test_studio import logged_in, quiet

Json = dict[str, Any]
SCHEME = """
name = "harbour-news"
version = "1.0"

[[label]]
name = "SHIP"
description = "a named ship"
color = "#0072B2"

[[label]]
name = "CARGO"
description = "what it carries"
color = "#009E73"

[[label.attribute]]
name = "tons"
type = "number"
required = false
description = "metric tons"

[[label.attribute]]
name = "danger"
type = "choice"
required = true
values = ["none", "fire", "poison"]
description = "what it may do"

[[label.attribute]]
name = "code"
type = "string"
required = false
pattern = "UN[0-9]{4}"
description = "UN number"

[[label.rule]]
when = { danger = ["fire", "poison"] }
require = ["code"]

[[label]]
name = "EVENT"
description = "what happened"
color = "#D55E00"

[[relation]]
name = "carries"
description = "which ship carries it"
heads = ["CARGO"]
tails = ["SHIP"]
max = 1
"""
TEXTS = {
    "he-1": ("he", "האונייה «כרמל» 🚢 הביאה 300 טון אורז לחיפה.\nהיא עגנה אתמול."),
    "zh-1": ("zh", "“海星号”🛳️昨天运来三百吨大米。船上没有危险品。"),
    "en-1": ("en", "The Sea Star 👩‍👩‍👧 brought 40 tons of petrol 🔥 (UN1203) to Haifa. It docked."),
}
SPANS: dict[str, list[tuple[str, str, Json]]] = {
    "he-1": [("כרמל", "SHIP", {}), ("300 טון אורז", "CARGO", {"tons": 300, "danger": "none"}), ("עגנה", "EVENT", {})],
    "zh-1": [("海星号", "SHIP", {}), ("三百吨大米", "CARGO", {"tons": 300, "danger": "none"})],
    "en-1": [
        ("Sea Star", "SHIP", {}),
        ("40 tons of petrol", "CARGO", {"tons": 40, "danger": "fire", "code": "UN1203"}),
        ("docked", "EVENT", {}),
    ],
}


def started(folder: Path) -> Path:
    start_corpus(folder, "harbour-news", "Ships.", ["he", "zh", "en"], ["SHIP", "CARGO", "EVENT"])
    (folder / "labeling" / "scheme.toml").write_text(SCHEME)
    assert CliRunner().invoke(app, ["label-config", "--corpus", str(folder)]).exit_code == 0
    for doc_id, (language, text) in TEXTS.items():
        file = folder.parent / f"{doc_id}.txt"
        file.write_text(text)
        add_document(folder, file, doc_id, language, title="Ships")
    return folder


def results(doc_id: str) -> list[Json]:
    """What the page sends for these spans: offsets in code points, quotes beside them."""
    text, found = TEXTS[doc_id][1], []
    for number, (quote, label, attributes) in enumerate(SPANS[doc_id]):
        start = text.index(quote)
        base = {"start": start, "end": start + len(quote), "text": quote}
        common = {"id": f"r{number}", "to_name": "text"}
        found.append(common | {"from_name": "label", "type": "labels", "value": base | {"labels": [label]}})
        for name, value in attributes.items():
            kind = {"tons": "number", "danger": "choices", "code": "textarea"}[name]
            said = {"number": value} if name == "tons" else {"choices" if name == "danger" else "text": [value]}
            found.append(common | {"from_name": f"cargo_{name}", "type": kind, "value": base | said})
    found.append({"from_id": "r1", "to_id": "r0", "type": "relation", "direction": "right", "labels": ["carries"]})
    return found


@pytest.mark.server
def test_another_corpus_goes_the_whole_path(studio: Studio, tmp_path: Path) -> None:
    corpus = read_corpus(started(tmp_path / "corpus"))
    first = corpus.round(None)
    assert load_seeds(corpus, studio, first, False, quiet).new == 3
    project = studio.project(project_title(corpus, first))
    tasks: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    with closing(logged_in(studio, "harbour-1@example.org")) as http:
        for task in tasks:
            answer: httpx.Response = http.post(
                f"/api/tasks/{task.id}/annotations/", json={"result": results(task.data["doc_id"]), "lead_time": 1}
            )
            assert answer.status_code == 201, answer.text
    assert len(pull_annotations(corpus, studio, first, tmp_path, quiet).new) == 3
    release = export_gold(corpus)
    assert [f for f in release.findings if f.severity == "error"] == []
    assert release.manifest["counts"]["spans"] == {"CARGO": 3, "EVENT": 2, "SHIP": 3}
    assert [f for f in validate_dataset(corpus.dataset, corpus) if f.severity == "error"] == []

    rows = load_dataset(str(corpus.dataset), split="test", cache_dir=str(tmp_path / "cache"))
    assert {row["doc_id"]: [span["text"] for span in row["spans"]] for row in rows} == {
        doc_id: sorted((quote for quote, _, _ in spans), key=TEXTS[doc_id][1].index) for doc_id, spans in SPANS.items()
    }
    [cargo] = [s for row in rows for s in row["spans"] if s["cargo_code"]]
    assert (cargo["cargo_tons"], cargo["cargo_danger"], cargo["cargo_code"]) == (40.0, "fire", "UN1203")
    assert all(row["text"][s["start"] : s["end"]] == s["text"] for row in rows for s in row["spans"])
    tokens = load_dataset(str(corpus.dataset), "tokens", split="test", cache_dir=str(tmp_path / "cache"))
    assert {row["language"] for row in tokens} == {"he", "zh", "en"}
    perfect = score(corpus.dataset, corpus.dataset)
    assert perfect.overall["strict"].f1 == 1
    assert set(perfect.by_label) == {"SHIP", "CARGO", "EVENT"}
    assert perfect.relations["strict"].correct == 3


def test_a_conditional_attribute_of_another_scheme_is_checked(tmp_path: Path) -> None:
    corpus = read_corpus(started(tmp_path / "corpus"))
    folder = corpus.exports / "first"
    folder.mkdir(parents=True)
    for doc_id, (language, text) in TEXTS.items():
        kept = [r for r in results(doc_id) if r.get("from_name") != "cargo_code"]
        data = {"doc_id": doc_id, "language": language, "text": text}
        entry = {"completed_by": "harbour-1", "was_cancelled": False, "result": kept}
        (folder / f"{doc_id}.json").write_text(json.dumps({"id": 1, "data": data, "annotations": [entry]}))
    with pytest.raises(FindingsError) as raised:
        export_gold(corpus)
    [finding] = [f for f in raised.value.findings if f.severity == "error"]
    assert finding.id == "attribute-condition"
    assert "code is required where danger" in finding.message
    assert not corpus.dataset.exists()


def test_a_baseline_is_of_one_scheme(tmp_path: Path) -> None:
    corpus = read_corpus(started(tmp_path / "corpus"))
    done = CliRunner().invoke(app, ["predict-baseline", "--corpus", str(corpus.folder)])
    assert isinstance(done.exception, InputError)
    assert f"no baseline for the scheme {corpus.scheme.name!r} is installed" in str(done.exception)


def test_a_corpus_is_started_by_options_or_by_questions(tmp_path: Path) -> None:
    options = ["--name", "harbour-news", "--languages", "en, he", "--labels", "SHIP", "--purpose", "Ships."]
    asked = CliRunner().invoke(app, ["init", str(tmp_path / "asked")], input="harbour-news\nen, he\nSHIP\nShips.\n")
    given = CliRunner().invoke(app, ["init", str(tmp_path / "given"), *options])
    assert (asked.exit_code, given.exit_code) == (0, 0), asked.output + given.output
    files = [path.relative_to(tmp_path / "given") for path in (tmp_path / "given").rglob("*") if path.is_file()]
    assert len(files) == 11
    for path in files:
        assert (tmp_path / "asked" / path).read_text() == (tmp_path / "given" / path).read_text()
    assert 'direction = "rtl"' in (tmp_path / "given/labeling/languages/he.toml").read_text()
    again = CliRunner().invoke(app, ["init", str(tmp_path / "given"), *options])
    assert again.exit_code != 0


@pytest.mark.parametrize(
    ("name", "languages", "labels", "message"),
    [
        ("Harbour", ["en"], ["SHIP"], "is not lower-case words"),
        ("harbour", ["xx"], ["SHIP"], "is no code that CLDR knows"),
        ("harbour", [], ["SHIP"], "languages none: give one at least"),
        ("harbour", ["en"], ["SHIP", "SHIP"], "labels SHIP, SHIP: give one at least, and each once"),
        ("harbour", ["en"], ["a b"], "a b"),
    ],
)
def test_a_start_that_will_not_do(
    tmp_path: Path, name: str, languages: list[str], labels: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        start_corpus(tmp_path / "new", name, "", languages, labels)


def test_an_article_is_added_once_and_never_changed(tmp_path: Path) -> None:
    folder, file = started(tmp_path / "corpus"), tmp_path / "more.txt"
    file.write_text(' \nAnother "ship" came.\n')
    add_document(folder, file, "en-2", "en", title='A "ship"\\')
    before = (folder / "seeds/sources.toml").read_text()
    add_document(folder, file, "en-2", "en")
    assert (folder / "seeds/sources.toml").read_text() == before
    document = read_corpus(folder).by_id["en-2"]
    assert (document.title, document.text) == ('A "ship"\\', file.read_text())
    assert [(zone.start, zone.end) for zone in document.zones] == [(2, 22)]
    file.write_text("Other words.")
    with pytest.raises(InputError, match="an annotated text never changes"):
        add_document(folder, file, "en-2", "en")
    for doc_id, language, message in (("EN", "en", "lower-case"), ("fr-1", "fr", "has no file under")):
        with pytest.raises(InputError, match=message):
            add_document(folder, file, doc_id, language)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        add_document(folder, file, "en-3", "en")
    assert (folder / "seeds/sources.toml").read_text() == before


def test_the_library_knows_no_label_article_or_language_of_ours() -> None:
    ours = {"ACTOR", "QUANTITY", "STANCE", "SOURCE", "ro", "ar", "fr", "ro-1", "Romanian", "Arabic", "French"}
    for path in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text())
        named = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert named & ours == set(), path
