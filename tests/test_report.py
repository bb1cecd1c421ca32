"""The page that people look at, in the real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from testimonia.agreement import measure_agreement
from testimonia.corpus import Corpus
from testimonia.document import Annotation, Document, Span
from testimonia.exports import Export
from testimonia.report import agreement_html
from testimonia.resampling import Resampling
from tests.conftest import SHOTS

pytestmark = pytest.mark.browser
HOSTILE = '<script>document.title="gone"</script><img src=x onerror=\'document.title="gone"\'>\u202eevil'


def page_of(corpus: Corpus) -> str:
    documents = [*corpus.documents, Document("x-1", "xx", f"{HOSTILE} says {HOSTILE}.")]
    annotations = []
    for document in documents:
        hostile = document.doc_id == "x-1"
        value = (("kind", HOSTILE),) if hostile else (("kind", "person"),)
        spans = [Span(start, start + 12, "ACTOR", value) for start in range(0, 120, 40)]
        other = [spans[0], Span(spans[1].start, spans[1].end + 7, "ACTOR", value)]
        annotations.append(Annotation(document.doc_id, HOSTILE, "submitted", tuple(spans)))
        annotations.append(Annotation(document.doc_id, "reader-2", "submitted", tuple(other)))
    export = Export(tuple(documents), tuple(annotations), corpus.scheme, ())
    measured = measure_agreement(export, corpus.languages, Resampling(100))
    return agreement_html(measured, f"Agreement {HOSTILE}", corpus.scheme, corpus.languages)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_agreement_page(theme: str, corpus: Corpus, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page_of(corpus))
    context = browser.new_context(color_scheme="dark" if theme == "dark" else "light")
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert said == []
    assert page.title().startswith("Agreement <script>")
    articles = page.locator("article")
    assert articles.count() == 12
    arabic = page.locator("article", has_text="ar-1").locator(".text").first
    assert arabic.evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert arabic.locator("mark").inner_text() == corpus.by_id["ar-1"].text[40:52]
    marked = page.locator("article mark").first
    ink, paper = marked.evaluate("e => [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]")
    assert ink != paper
    page.get_by_label("one annotator only").uncheck()
    assert page.locator("article:visible").count() == 6
    page.screenshot(path=SHOTS / f"agreement-{theme}.png", full_page=True)
    context.close()
