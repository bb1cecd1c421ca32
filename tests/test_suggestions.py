"""Suggestions and status: what a model predicts in front of an annotator, what becomes of it, who is how far."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page
from typer.testing import CliRunner

from testimonia.cli import app
from testimonia.corpus import Corpus, Round, read_corpus
from testimonia.errors import InputError, StudioError
from testimonia.rounds import read_round, round_annotations
from testimonia.status import status_of, status_text
from testimonia.studio import Pseudonyms, Studio
from testimonia.suggestions import Fate, fate_of, read_suggestions
from testimonia.transfer import exported, load_seeds, project_title, pull_annotations
from tests.conftest import ROOT, SHOTS

Json = dict[str, Any]
ROUND = Round("helped", "annotation", True)


def quiet(done: int, total: int) -> None:
    pass


def predicted(corpus: Corpus, quotes: list[tuple[str, str]], **more: Any) -> Json:
    """A record of predictions on ro-1: each quote at its first occurrence."""
    text = corpus.by_id["ro-1"].text
    kinds = {"QUANTITY": "personnel", "ACTOR": "state", "SOURCE": "official"}
    spans = [
        {"start": text.index(q), "end": text.index(q) + len(q), "label": label, "score": 0.5}
        | {"attributes": {"kind": kinds[label]} | ({"bound": "vague"} if label == "QUANTITY" else {})}
        for q, label in quotes
    ]
    return {"doc_id": "ro-1", "model": "guesser 1", "spans": spans} | more


def written(path: Path, *records: Json) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_predictions_become_suggestions(corpus: Corpus, tmp_path: Path) -> None:
    attributes = {"kind": "person", "entity": "kim-jong-un"}
    record = predicted(corpus, [("Kim Jong Un", "ACTOR"), ("Anunțul", "SOURCE")])
    record["spans"][0]["attributes"] = attributes
    record["spans"][1]["score"] = 0.25
    found = read_suggestions(written(tmp_path / "p.jsonl", record), corpus.by_id, corpus.scheme)
    assert found.model == "guesser 1"
    one = found.by_document["ro-1"]
    assert (one["model_version"], one["score"]) == ("guesser 1", 0.375)
    assert {r["from_name"]: r["value"] for r in one["result"] if r["id"].endswith("ACTOR")} == {
        "label": {"start": 0, "end": 11, "text": "Kim Jong Un", "labels": ["ACTOR"]},
        "actor_kind": {"start": 0, "end": 11, "text": "Kim Jong Un", "choices": ["person"]},
        "actor_entity": {"start": 0, "end": 11, "text": "Kim Jong Un", "taxonomy": [["kim-jong-un"]]},
    }
    assert found.of("fr-1")["predictions"] == []
    assert found.of("fr-1")["predictions_sha256"] != found.of("ro-1")["predictions_sha256"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doc_id": "xx-9"}, "no document"),
        ({"spans": [{"start": 0, "end": 3, "label": "PER"}]}, "PER are no labels"),
        ({"spans": [{"start": 0, "end": 99999, "label": "ACTOR"}]}, "leaves the text"),
        ({"spans": [{"start": 0, "end": 3, "label": "ACTOR", "text": "Ana"}]}, "other words"),
    ],
)
def test_predictions_that_do_not_fit(corpus: Corpus, tmp_path: Path, change: Json, message: str) -> None:
    path = written(tmp_path / "p.jsonl", predicted(corpus, [("Kim", "ACTOR")]) | change)
    with pytest.raises(InputError, match=message):
        read_suggestions(path, corpus.by_id, corpus.scheme)


def test_one_model_at_a_time(corpus: Corpus, tmp_path: Path) -> None:
    records = [predicted(corpus, []), predicted(corpus, [], doc_id="fr-1", model="guesser 2")]
    with pytest.raises(InputError, match="guesser 1, guesser 2"):
        read_suggestions(written(tmp_path / "p.jsonl", *records), corpus.by_id, corpus.scheme)


@pytest.mark.browser
def test_suggestions_are_kept_changed_thrown_away(page: Page, studio: Studio, alone: Path, tmp_path: Path) -> None:
    there = read_corpus(alone)
    corpus = replace(there, scheme=replace(there.scheme, name="helped"))
    quotes = [("Kim Jong Un", "ACTOR"), ("mii de soldați", "QUANTITY"), ("Vladimir Putin", "ACTOR"), ("CSR", "ACTOR")]
    path = written(tmp_path / "p.jsonl", predicted(corpus, quotes))
    studio.ensure_users(["idle-1"])
    loaded = load_seeds(corpus, studio, ROUND, False, quiet, read_suggestions(path, corpus.by_id, corpus.scheme))
    assert (loaded.new, loaded.renewed) == (5, ())
    project = studio.project(project_title(corpus, ROUND)) or 0
    titles = [str((view.data or {})["title"]) for view in studio.client.views.list(project=project)]
    assert titles[:6] == ["all", "to do", "skipped", "ar", "fr", "ro"]

    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    [task] = [task.id for task in listed if task.data["doc_id"] == "ro-1"]
    page.goto(f"{studio.address.url}/projects/{project}/data?task={task}")
    page.wait_for_selector(".lsf-richtext__line")
    page.wait_for_timeout(2000)
    regions = page.locator("[class*=outliner-item__title]")
    assert regions.count() == 4
    regions.nth(0).click()
    page.wait_for_timeout(500)
    page.keyboard.press("q")
    page.wait_for_timeout(500)
    page.keyboard.press("Escape")
    regions.nth(1).click()
    page.wait_for_timeout(500)
    page.keyboard.press("Backspace")
    page.wait_for_timeout(500)
    page.screenshot(path=SHOTS / "suggestions.png")
    page.locator("button:has-text('Submit')").click()
    page.wait_for_selector("button:has-text('Update')")

    pull_annotations(corpus, studio, ROUND, tmp_path, quiet)
    tasks = read_round(corpus.exports / ROUND.id)
    assert fate_of(tasks["ro-1"]["annotations"]) == Fate(kept=2, changed=1, dropped=1, added=0)
    annotations, _ = round_annotations(corpus, ROUND)
    assert [len(a.spans) for a in annotations] == [3]
    live, accounts = exported(corpus, studio, ROUND, tmp_path, quiet)
    labels = corpus.scheme.label_names
    status = status_of(corpus.documents, annotations, live, labels, accounts)
    assert "idle-1" in status["without_work"]
    assert status["documents"] == {"all": 5, "by_two_or_more": 0, "by_one": 1, "by_nobody": 4}
    assert status["suggestions"] == {"kept": 2, "changed": 1, "dropped": 1, "added": 0}
    assert "4, kept as they were 2, changed 1, thrown away 1" in status_text(status, labels)

    again = load_seeds(corpus, studio, ROUND, False, quiet)
    assert (again.new, again.renewed) == (0, ())
    other = read_suggestions(written(path, predicted(corpus, quotes[:1])), corpus.by_id, corpus.scheme)
    assert load_seeds(corpus, studio, ROUND, False, quiet, other).renewed == ("ro-1",)
    assert [len(p.result or []) for p in studio.client.predictions.list(task=task)] == [2]
    assert len(list(studio.client.views.list(project=project))) == len(titles)


def test_the_status_of_a_round(corpus: Corpus) -> None:
    one = corpus.round("second")
    tasks = list(read_round(corpus.exports / one.id).values())
    annotations, _ = round_annotations(corpus, one)
    status = status_of(corpus.documents, annotations, tasks, corpus.scheme.label_names)
    assert set(status["by_language"]) == {"ar", "fr", "ro"}
    assert sum(found["all"] for found in status["by_language"].values()) == status["documents"]["all"] == 5
    for name, found in status["by_annotator"].items():
        assert (found["submitted"], found["skipped"], found["draft"], found["left"]) == (5, 0, 0, 0)
        assert found["spans"]["ACTOR"] == sum(
            span.label == "ACTOR" for a in annotations if a.annotator == name for span in a.spans
        )
    assert sum(status["by_label"].values()) == sum(len(a.spans) for a in annotations)
    assert "suggested" not in status_text(status, corpus.scheme.label_names)


@pytest.mark.server
def test_an_annotator_is_added(studio: Studio, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTIMONIA_HOME", str(home))
    done = CliRunner().invoke(app, ["add-annotator", "Maria@Some-Paper.example"])
    assert done.exit_code == 0, done.output
    password = done.output.partition("password: ")[2].split()[0]
    pseudonym = done.output.rpartition("dataset: ")[2].strip()
    assert pseudonym.startswith("annotator-")
    assert Pseudonyms(home / "pseudonyms.json").of("maria@some-paper.example") == pseudonym
    with httpx.Client(base_url=studio.address.url, follow_redirects=True) as http:
        http.get("/user/login")
        form = {
            "email": "maria@some-paper.example",
            "password": password,
            "csrfmiddlewaretoken": http.cookies["csrftoken"],
        }
        http.post("/user/login", data=form, headers={"Referer": studio.address.url})
        assert http.get("/api/current-user/whoami").json()["email"] == "maria@some-paper.example"
    for path in home.rglob("*"):
        assert (
            not path.is_file()
            or path.suffix in (".sqlite3", ".sqlite3-wal")
            or password.encode() not in path.read_bytes()
        )
    with pytest.raises(StudioError, match="has an account already"):
        studio.add_annotator("maria@some-paper.example")
    with pytest.raises(StudioError, match="is no e-mail address"):
        studio.add_annotator("maria")


def test_status_of_the_command_needs_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTIMONIA_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["status", "--corpus", str(ROOT)])
    assert isinstance(done.exception, StudioError)
    assert "no Label Studio is running" in str(done.exception)
