"""Adjudication in the real Label Studio and the real browser: made, decided, renewed, pulled, gold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from testimonia.adjudication import docket_of
from testimonia.corpus import Corpus, read_corpus
from testimonia.errors import FindingsError, InputError
from testimonia.release import build_gold, export_gold, validate_dataset
from testimonia.rounds import round_annotations
from testimonia.studio import Studio
from testimonia.transfer import adjudicate, load_seeds, project_title, pull_annotations
from tests.conftest import SHOTS, two_readers

Json = dict[str, Any]
REGIONS = "() => window.Htx.annotationStore.selected.serializeAnnotation()"


def quiet(done: int, total: int) -> None:
    pass


def named(folder: Path, name: str) -> Corpus:
    two_readers(folder)
    corpus = read_corpus(folder)
    return replace(corpus, scheme=replace(corpus.scheme, name=name))


def tasks_of(studio: Studio, corpus: Corpus) -> dict[str, Any]:
    project = studio.project(project_title(corpus, corpus.round("decided")))
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    return {task.data["doc_id"]: task for task in listed}


def versions(studio: Studio, task: Any) -> list[str]:
    return sorted(str(p.model_version) for p in studio.client.predictions.list(task=task.id))


def accepted(corpus: Corpus, doc_id: str) -> list[Json]:
    """What a curator submits who keeps every span of reader-1: its results, as exported."""
    task = json.loads((corpus.exports / "first" / f"{doc_id}.json").read_text())
    results: list[Json] = task["annotations"][0]["result"]
    return results


@pytest.mark.server
def test_made_renewed_and_pulled(studio: Studio, copy: Path, tmp_path: Path) -> None:
    corpus = named(copy, "curation")
    decided = corpus.round("decided")
    with pytest.raises(InputError, match="adjudicate"):
        load_seeds(corpus, studio, decided, False, quiet)
    with pytest.raises(InputError, match="round of annotation"):
        adjudicate(corpus, studio, corpus.round("first"), False, quiet)
    alone = corpus.exports / "first" / "ro-1.json"
    both = json.loads(alone.read_text())
    alone.write_text(json.dumps(both | {"annotations": both["annotations"][:1]}))
    done = adjudicate(corpus, studio, decided, False, quiet)
    assert (done.loaded.new, done.waiting) == (4, ("ro-1",))
    alone.write_text(json.dumps(both))
    before = {path.name: path.read_bytes() for path in (corpus.exports / "first").glob("*.json")}
    done = adjudicate(corpus, studio, decided, False, quiet)
    assert (done.loaded.new, done.loaded.present, done.loaded.renewed, done.waiting) == (1, 4, (), ())
    tasks = tasks_of(studio, corpus)
    assert all(versions(studio, task) == ["All readings", "reader-1", "reader-2"] for task in tasks.values())

    for doc_id, task in tasks.items():
        studio.client.annotations.create(task.id, result=accepted(corpus, doc_id), was_cancelled=False)
    pulled = pull_annotations(corpus, studio, decided, tmp_path, quiet)
    assert len(pulled.new) == 5
    golds, _, findings = build_gold(corpus)
    assert [f for f in findings if f.severity == "error"] == []
    first, _ = round_annotations(corpus, corpus.round("first"))
    for gold in golds:
        doc_id = gold.document.doc_id
        passes = [a for a in first if a.doc_id == doc_id]
        assert set(gold.spans) == set(passes[0].spans)
        agreed = sum(case.kind == "agreed" for case in docket_of(gold.document, passes, corpus.scheme).cases)
        assert gold.provenance.count("agreed") == agreed > 0
        assert {"boundary", "one"} <= set(gold.provenance) <= {"agreed", "boundary", "one"}
    plain = replace(corpus, scheme=replace(corpus.scheme, name="testimonia"))
    export_gold(plain)
    assert [f for f in validate_dataset(corpus.dataset, plain) if f.severity == "error"] == []
    assert "| ACTOR |" in (copy / "DATASET_CARD.md").read_text().split("begin provenance")[1]

    # A third annotator: new predictions and a new table, the decisions stay.
    path = corpus.exports / "first" / "fr-1.json"
    third = json.loads(path.read_text())
    third["annotations"].append(third["annotations"][0] | {"completed_by": "reader-3", "id": 999})
    path.write_text(json.dumps(third))
    decisions = {doc_id: studio.client.annotations.list(task.id) for doc_id, task in tasks.items()}
    done = adjudicate(corpus, studio, decided, False, quiet)
    assert done.loaded.renewed == ("fr-1",)
    assert adjudicate(corpus, studio, decided, False, quiet).loaded.renewed == ()
    renewed = tasks_of(studio, corpus)["fr-1"]
    assert versions(studio, renewed) == ["All readings", "reader-1", "reader-2", "reader-3"]
    assert "reader-3" in renewed.data["differences"]
    for doc_id, task in tasks.items():
        after = studio.client.annotations.list(task.id)
        assert [(a.id, a.result, a.updated_at) for a in after] == [
            (a.id, a.result, a.updated_at) for a in decisions[doc_id]
        ]
    unchanged = {name: body for name, body in before.items() if name != "fr-1.json"}
    assert {name: (corpus.exports / "first" / name).read_bytes() for name in unchanged} == unchanged

    # On another server the committed decisions come along.
    elsewhere = replace(corpus, scheme=replace(corpus.scheme, name="curation elsewhere"))
    assert adjudicate(elsewhere, studio, decided, True, quiet).loaded.annotations == 5
    third["annotations"][0]["result"][0]["value"]["end"] = 99999
    path.write_text(json.dumps(third))
    with pytest.raises(FindingsError, match="mend them"):
        adjudicate(corpus, studio, decided, False, quiet)


@pytest.mark.browser
@pytest.mark.parametrize("doc_id", ["ro-1", "ar-1"])
def test_a_curator_decides_in_the_page(page: Page, studio: Studio, copy: Path, tmp_path: Path, doc_id: str) -> None:
    corpus = named(copy, f"curator {doc_id}")
    decided = corpus.round("decided")
    adjudicate(corpus, studio, decided, False, quiet)
    project = studio.project(project_title(corpus, decided))
    document = corpus.by_id[doc_id]
    passes = [a for a in round_annotations(corpus, corpus.round("first"))[0] if a.doc_id == doc_id]
    docket = docket_of(document, passes, corpus.scheme)

    page.goto(f"{studio.address.url}/projects/{project}/data?task={tasks_of(studio, corpus)[doc_id].id}")
    page.wait_for_selector(".lsf-richtext__line")
    page.wait_for_timeout(2000)
    # Everybody's reading is in the page: agreed spans, candidates, the table, the passes by name.
    there = page.evaluate(REGIONS)
    assert len([r for r in there if r["type"] == "labels"]) == len(docket.cases) + sum(
        len(case.said) - 1 for case in docket.disputed
    )
    assert page.locator(".differences tr").count() == 1 + len(docket.disputed) + len(docket.disputed_links)
    for name in ("reader-1", "reader-2"):
        assert page.get_by_text(name, exact=True).count() > 1
    page.screenshot(path=SHOTS / f"adjudication-{doc_id}.png")

    # Keep each first reading, delete the others: by the two keys alone.
    kept = {f"{case.said[0][0].start}-{case.said[0][0].end}-{case.said[0][0].label}" for case in docket.disputed}
    candidates = [r["id"] for r in there if r.get("from_name") == "adjudication_status"]
    for number, region in enumerate(candidates):
        page.evaluate(
            "(id) => { const a = window.Htx.annotationStore.selected; a.unselectAll();"
            " a.selectArea(a.regions.find((r) => r.cleanId === id)); }",
            region,
        )
        page.wait_for_timeout(120)
        if number == 0:
            page.wait_for_timeout(500)
            page.screenshot(path=SHOTS / f"adjudication-{doc_id}-candidate.png")
            assert page.get_by_text("decision (Backspace drops the candidate)").is_visible()
        page.keyboard.press("k" if region.rsplit("-", 1)[0] in kept else "Backspace")
        page.wait_for_timeout(120)
    page.locator("button:has-text('Submit')").click()
    page.wait_for_selector("button:has-text('Update')")

    assert doc_id in pull_annotations(corpus, studio, decided, tmp_path, quiet).new
    golds, _, findings = build_gold(corpus)
    assert [f.id for f in findings if f.severity == "error" and f.place.startswith(("decided", doc_id))] == []
    [gold] = [gold for gold in golds if gold.document.doc_id == doc_id]
    assert set(gold.spans) == {case.said[0][0] for case in docket.cases}
    assert "added" not in gold.provenance


@pytest.mark.browser
def test_what_is_not_decided_is_no_gold(page: Page, studio: Studio, copy: Path, tmp_path: Path) -> None:
    corpus = named(copy, "undecided")
    decided = corpus.round("decided")
    adjudicate(corpus, studio, decided, False, quiet)
    project = studio.project(project_title(corpus, decided))
    page.goto(f"{studio.address.url}/projects/{project}/data?task={tasks_of(studio, corpus)['fr-2'].id}")
    page.wait_for_selector(".lsf-richtext__line")
    page.wait_for_timeout(2000)
    page.locator("button:has-text('Submit')").click()
    page.wait_for_selector("button:has-text('Update')")
    pull_annotations(corpus, studio, decided, tmp_path, quiet)
    found = [f for f in build_gold(corpus)[2] if f.id == "candidate-undecided"]
    assert found
    assert all(f.severity == "error" and f.place.startswith("decided/fr-2") for f in found)
    with pytest.raises(FindingsError):
        export_gold(corpus)
