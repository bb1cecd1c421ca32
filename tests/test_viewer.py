"""The page of a dataset: what it is made of, and what it does in a real Chromium."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from playwright.sync_api import Page
from typer.testing import CliRunner

from testimonia.cli import app
from testimonia.document import Span
from testimonia.errors import InputError
from testimonia.scheme import read_scheme
from testimonia.viewer import browse_html, pieces
from tests.conftest import ROOT, SHOTS
from tests.strategies import texts_with_spans

SCHEME = read_scheme(ROOT / "labeling" / "scheme.toml")
HOSTILE = "<script>document.title = 'gone'</script> & <img src=x onerror=alert(1)> said \u202eno\u202c."


@given(case=texts_with_spans())
def test_every_span_is_there_whole(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    said = dict.fromkeys(range(len(spans)), "")
    begun = []
    open_: list[int | None] = []
    whole = ""
    for piece in pieces(text, [(s.start, s.end, row) for row, s in enumerate(spans)], [(0, len(text), "body")]):
        if piece.kind == "text":
            whole += piece.text
            for row in set(open_) - {None}:
                said[row] += piece.text  # type: ignore[index]
        elif piece.kind == "end":
            open_.pop()
        elif piece.kind == "line":
            assert open_ == []
            assert whole.endswith("\n")
        else:
            open_.append(piece.row if piece.kind == "span" else None)
            begun += [piece.row] if piece.kind == "span" and piece.first else []
    assert whole == text
    assert open_ == []
    assert sorted(begun) == sorted(said)
    assert said == {row: text[s.start : s.end] for row, s in enumerate(spans)}


def record(doc_id: str, language: str, text: str, spans: list[tuple[str, str]]) -> str:
    found = [{"start": text.index(q), "end": text.index(q) + len(q), "label": label} for q, label in spans]
    return json.dumps({"doc_id": doc_id, "language": language, "text": text, "spans": found}) + "\n"


def test_what_cannot_be_shown_is_told(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"doc_id": "a", "spans": []}\n')
    with pytest.raises(InputError, match="a\\) has no text"):
        browse_html(path, "title")
    path.write_text('{"doc_id": "a", "text": "abc", "spans": [{"start": 1, "end": 9, "label": "X"}]}\n')
    with pytest.raises(InputError):
        browse_html(path, "title")
    path.write_text("".join(record(f"d-{n}", "en", "Ana left.", [("Ana", "PER")]) for n in range(5)))
    page, hidden = browse_html(path, "title", most=3)
    assert hidden == 2
    assert "2 more documents are not on this page" in page


@pytest.mark.browser
def test_the_page_in_a_browser(page: Page, tmp_path: Path) -> None:
    out = tmp_path / "browse.html"
    done = CliRunner().invoke(app, ["browse", "--corpus", str(ROOT), "--out", str(out)])
    assert done.exit_code == 0, done.output
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(out.as_uri())
    spans = page.locator("mark[id]").count()
    assert page.locator("#count").inner_text() == f"{spans} spans in 5 documents"

    first = page.locator(".document mark[id]").first
    first.focus()
    title = page.locator("#panel bdi").first.inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#panel bdi").first.inner_text() != title
    page.keyboard.press("ArrowLeft")
    assert page.locator("#panel bdi").first.inner_text() == title
    arabic = page.locator('.document[data-language="ar"]').first
    assert arabic.locator(".text").evaluate("one => getComputedStyle(one).direction") == "rtl"
    arabic.locator("mark[id]").first.focus()
    page.keyboard.press("ArrowLeft")
    second = arabic.locator("mark[id]").nth(1)
    assert second.evaluate("one => one === document.activeElement")
    page.screenshot(path=SHOTS / "browse-arabic.png")
    page.set_viewport_size({"width": 1240, "height": 640})
    page.locator('.document[data-language="ar"]').nth(1).locator('mark[id][aria-label^="STANCE"]').nth(1).focus()
    page.locator('.document[data-language="ar"]').nth(1).evaluate("one => { one.scrollIntoView(); scrollBy(0, -120); }")
    page.wait_for_timeout(200)
    page.screenshot(path=SHOTS / "browse.png")
    page.set_viewport_size({"width": 1500, "height": 1000})

    inner = page.locator("mark > mark:only-child").first  # an ACTOR that is a SOURCE too
    inner.click()
    above = page.locator("#panel h2").inner_text()
    there = page.locator("#panel li", has_text=" here:").first.inner_text().split()[0]
    inner.click()
    assert page.locator("#panel h2").inner_text() == there != above
    page.locator("fieldset label", has_text=there).locator("input").uncheck()
    assert page.locator("#panel").inner_text() == "No mark is at hand."
    page.locator("fieldset label", has_text=there).locator("input").check()
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.set_viewport_size({"width": 1500, "height": 1000})

    stance = SCHEME.label_names.index("STANCE")
    held = page.locator('mark[id][aria-label^="STANCE"]').nth(1)
    held.click()
    related = page.locator("#panel li", has_text="holder →").first
    page.screenshot(path=SHOTS / "browse-stance.png")
    target = related.locator("a").get_attribute("href")
    related.locator("a").click()
    assert page.evaluate("document.activeElement.id") == (target or "")[1:]
    for row, name in enumerate(SCHEME.label_names):
        if row != stance:
            page.locator("fieldset label", has_text=name).locator("input").uncheck()
    stances = page.locator('mark[id][aria-label^="STANCE"]').count()
    assert page.locator("#count").inner_text().startswith(f"{stances} spans")
    page.locator('input[name="language"][value="ro"]').uncheck()
    assert not page.locator('.document[data-language="ro"]').first.is_visible()
    page.locator('input[name="language"][value="ro"]').check()
    for name in SCHEME.label_names:
        page.locator("fieldset label", has_text=name).locator("input").check()
    page.locator("#value").select_option(label=page.locator("#value option").nth(1).inner_text())
    chosen = page.locator("#value option:checked").inner_text()
    assert page.locator("#count").inner_text().split()[0] == chosen.rpartition("(")[2].rstrip(")")
    assert said == []


@pytest.mark.browser
def test_hostile_texts_are_only_texts(page: Page, tmp_path: Path) -> None:
    path, out = tmp_path / "predictions.jsonl", tmp_path / "browse.html"
    path.write_text(record('"><b>', "en", HOSTILE, [("<script>", "</mark>"), (HOSTILE[:60], "X"), ("no", "onclick=")]))
    out.write_text(browse_html(path, "<title>")[0])
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(out.as_uri())
    assert page.title() == "<title>"
    assert page.locator(".text").text_content() == HOSTILE
    assert page.locator(".text img, .text script, .text b").count() == 0
    page.locator("mark[id]").first.focus()
    assert page.locator("#panel").inner_text().startswith("X")
    assert said == []
