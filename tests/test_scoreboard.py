"""Scores as people see them: text, Markdown, and the page in the real browser."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from testimonia.corpus import Corpus
from testimonia.scoreboard import ERRORS, errors, scores_html, scores_markdown, scores_text
from testimonia.scoring import Scores, score
from tests.conftest import ROOT, SHOTS
from tests.test_cli import run
from tests.test_scoring import GOLD, PREDICTED, document, span

Json = dict[str, Any]
HOSTILE = '<script>document.title="gone"</script><img src=x onerror=\'document.title="gone"\'>\u202eevil | *x* '


def scored(corpus: Corpus) -> Scores:
    """Every kind of error in every article, and one article of nothing but mischief."""
    gold, said = [], []
    for one in corpus.documents:
        spans: list[Json] = [
            {"start": start, "end": start + 12, "label": "ACTOR", "kind": "person"} for start in range(0, 200, 40)
        ]
        row: Json = {"doc_id": one.doc_id, "language": one.language, "text": one.text}
        gold.append(row | {"spans": spans[:5]})
        other = [
            spans[0],
            spans[1] | {"end": spans[1]["end"] + 7},
            spans[2] | {"label": "SOURCE"},
            spans[3] | {"kind": "state"},
            {"start": 210, "end": 220, "label": "SOURCE"},
        ]
        said.append(row | {"spans": other, "model": HOSTILE})
    row = {"doc_id": HOSTILE, "language": "xx", "text": HOSTILE * 3}
    right = {"start": 20, "end": 25, "label": "SOURCE"}
    gold.append(row | {"spans": [{"start": 0, "end": 9, "label": HOSTILE, "kind": HOSTILE}, right]})
    said.append(row | {"spans": [{"start": 2, "end": 12, "label": HOSTILE, "kind": HOSTILE}, right]})
    return score(gold, said, resamples=100)


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page(theme: str, corpus: Corpus, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(scores_html(scored(corpus), f"Scores {HOSTILE}", corpus.scheme))
    context = browser.new_context(color_scheme="dark" if theme == "dark" else "light")
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert said == []
    assert page.title().startswith("Scores <script>")
    assert page.locator("article").count() == 5 * 5 + 1
    arabic = page.locator("article[data-kind=boundary]", has_text="ar-1").locator(".text")
    assert arabic.first.evaluate("e => getComputedStyle(e).direction") == "rtl"
    text = corpus.by_id["ar-1"].text
    assert [mark.strip() for mark in arabic.locator("mark").all_inner_texts()] == [
        text[40:52].strip(),
        text[40:59].strip(),
    ]
    page.get_by_label("missed (").uncheck()
    assert page.locator("article:visible").count() == 4 * 5 + 1
    assert page.locator("article[data-kind=missed]:visible").count() == 0
    page.screenshot(path=SHOTS / f"scores-{theme}.png", full_page=True)
    context.close()


def test_errors_are_of_every_kind(corpus: Corpus) -> None:
    found, counts = errors(scored(corpus))
    assert counts == {"label": 5, "boundary": 6, "both": 0, "missed": 5, "spurious": 5, "attribute": 5}
    assert set(counts) == set(ERRORS)
    one = next(e for e in found if e.kind == "boundary" and e.doc_id == "ar-1")
    assert one.gold is not None
    assert one.predicted is not None
    assert len(one.predicted.marked) == len(one.gold.marked) + 7
    assert one.direction == "rtl"
    assert len(errors(scored(corpus), most=3)[0]) == 3


def test_text_says_what_was_scored_and_nothing_reaches_the_terminal(corpus: Corpus) -> None:
    text = scores_text(scored(corpus))
    assert "matching best; labels" in text
    assert "bootstrap over sentences, 100 draws, seed 1" in text
    assert "\u202e" not in text
    assert "only spans of the label are paired" in text


def test_markdown_is_tables_and_no_more(corpus: Corpus) -> None:
    text = scores_markdown(scored(corpus), HOSTILE)
    assert "<script" not in text
    widths = {line.replace("\\|", "").count("|") for line in text.split("\n\n")[2].splitlines()}
    assert widths == {10}


def test_the_command(tmp_path: Path) -> None:
    gold, said = tmp_path / "gold.jsonl", tmp_path / "said.jsonl"
    gold.write_text("".join(json.dumps(row) + "\n" for row in GOLD))
    said.write_text("".join(json.dumps(row) + "\n" for row in PREDICTED))
    html, markdown = tmp_path / "s.html", tmp_path / "s.md"
    done = run("score-predictions", gold, said, "--json", "--html", html, "--markdown", markdown, "--resamples", "200")
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads(done.stdout)
    assert record["overall"]["strict"]["f1"] == 0.5
    assert html.read_text().startswith("<!doctype html>")
    assert "| strict | 0.500 |" in markdown.read_text()
    done = run("score-predictions", gold, said, "--labels", "ACTOR,SOURCE", "--language", "fr", "--map", "STANCE=ACTOR")
    assert "labels ACTOR, SOURCE; languages fr; map STANCE=ACTOR" in done.stdout
    said.write_text(json.dumps(document(span("Paul", "ACTOR"), doc_id="other")))
    assert run("score-predictions", gold, said).returncode == 1
    for wrong in (
        ["--map", "PER"],
        ["--resamples", "5"],
        ["--labels", "NOTHING"],
        ["--language", "xx"],
        ["--scheme", html],
    ):
        done = run("score-predictions", gold, said, *wrong)
        assert (done.returncode, done.stdout, "fault" in done.stderr) == (2, "", False)
    done = run("compare-predictions", gold, gold, gold, "--json", "--resamples", "100")
    assert json.loads(done.stdout)["overall"]["strict"]["difference"] == 0
    assert run("compare-predictions", gold, gold, said).returncode == 1
    assert "B - A" in run("compare-predictions", gold, gold, gold, "--resamples", "100").stdout
    done = run("score-predictions", ROOT / "dataset", ROOT / "dataset", "--scheme", ROOT / "labeling" / "scheme.toml")
    assert done.returncode == 0


def test_the_baseline_command(tmp_path: Path, corpus: Corpus) -> None:
    out, texts = tmp_path / "said.jsonl", tmp_path / "texts.jsonl"
    done = run("predict-baseline", "--corpus", ROOT, "--out", out)
    assert (done.returncode, "5 documents predicted by baseline 1" in done.stdout) == (0, True)
    rows = [
        {"doc_id": d.doc_id, "lang": d.language, "text": d.text, "zones": [asdict(zone) for zone in d.zones]}
        for d in corpus.documents
    ]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for source in (texts, corpus.dataset):
        done = run("predict-baseline", source, "--corpus", ROOT)
        assert [json.loads(line)["spans"] for line in done.stdout.splitlines()] == [
            json.loads(line)["spans"] for line in out.read_text().splitlines()
        ]
    found = score(corpus.dataset, out, resamples=0)
    assert not [f for f in found.findings if f.severity == "error"]
    assert found.relations["partial"].correct > 0
    for row, message in (
        ({"doc_id": "x", "text": "?"}, "no doc_id, language or text"),
        ({"doc_id": "x", "lang": "ro", "text": "?", "zones": [3]}, "zones are no list"),
        ({"doc_id": "x", "lang": "de", "text": "?"}, "no lexicon for 'de'; it has ar, fr, ro"),
        (rows[0], "stands twice"),
    ):
        texts.write_text(json.dumps(rows[0]) + "\n" + json.dumps(row) + "\n")
        done = run("predict-baseline", texts, "--corpus", ROOT)
        assert (done.returncode, done.stdout, message in done.stderr) == (2, "", True)
