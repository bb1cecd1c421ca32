"""The annotation page in a real Chromium: what is dragged and clicked is what is pulled."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from testimonia.corpus import Corpus, Round, read_corpus
from testimonia.document import Span, attributes_of
from testimonia.rounds import read_annotations
from testimonia.studio import Studio
from testimonia.transfer import load_seeds, project_title, pull_annotations
from tests.conftest import SHOTS

pytestmark = pytest.mark.browser
FIRST = Round("first", "annotation", True)

# The box of a stretch of the text, by its first occurrence: [left, top, right, bottom] of its first and last character.
BOX = """([quote]) => {
  const walker = document.createTreeWalker(document.querySelector('.lsf-richtext__container'), NodeFilter.SHOW_TEXT);
  let node;
  while ((node = walker.nextNode())) {
    const start = node.data.indexOf(quote);
    if (start < 0) continue;
    node.parentElement.scrollIntoView({block: 'center'});
    const box = (i) => {
      const range = document.createRange();
      range.setStart(node, i); range.setEnd(node, i + 1);
      const r = range.getBoundingClientRect();
      return [r.left, r.top, r.right, r.bottom];
    };
    return [box(start), box(start + quote.length - 1)];
  }
  return null;
}"""
TOP = "document.querySelector('.lsf-richtext__container').getBoundingClientRect().top"


def quiet(done: int, total: int) -> None:
    pass


def drag(page: Page, quote: str, right_to_left: bool) -> None:
    first, last = page.evaluate(BOX, [quote])
    page.wait_for_timeout(300)
    first, last = page.evaluate(BOX, [quote])
    start = first[2] - 1 if right_to_left else first[0] + 1
    end = last[0] + 1 if right_to_left else last[2] - 1
    page.mouse.move(start, (first[1] + first[3]) / 2)
    page.mouse.down()
    page.mouse.move((start + end) / 2, (last[1] + last[3]) / 2)
    page.mouse.move(end, (last[1] + last[3]) / 2)
    page.mouse.up()
    page.wait_for_timeout(500)


def select(page: Page, index: int) -> None:
    page.keyboard.press("Escape")
    page.locator("[class*=outliner-item__title]").nth(index).click()
    page.wait_for_timeout(500)


CASES = [
    ("ro-1", "Kim Jong Un", "w", "Kim Jong", "kim-jong-un", "cinci mii de", 5000.0),
    ("ar-1", "سيرجي شويغو", "q", "șoigu", "sergei-shoigu", "الآلاف من البنائين", 1000.0),
    ("fr-2", "Kim Jong-un", "q", "kim-jong", "kim-jong-un", "dix", 10.0),
]


@pytest.mark.parametrize(("doc_id", "actor", "kind", "search", "entity", "quantity", "number"), CASES)
def test_what_is_dragged_is_what_is_pulled(
    page: Page,
    studio: Studio,
    alone: Path,
    tmp_path: Path,
    doc_id: str,
    actor: str,
    kind: str,
    search: str,
    entity: str,
    quantity: str,
    number: float,
) -> None:
    there = read_corpus(alone)
    corpus: Corpus = replace(there, scheme=replace(there.scheme, name=f"browser {doc_id}"))
    shutil.rmtree(corpus.exports / "first")
    load_seeds(corpus, studio, FIRST, False, quiet)
    project = studio.project(project_title(corpus, FIRST))
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    [task] = [task.id for task in listed if task.data["doc_id"] == doc_id]
    document = corpus.by_id[doc_id]
    right_to_left = document.language == "ar"

    page.goto(f"{studio.address.url}/projects/{project}/data?task={task}")
    page.wait_for_selector(".lsf-richtext__line")
    page.wait_for_timeout(2000)
    page.keyboard.press("1")
    drag(page, actor, right_to_left)
    page.locator("button:has-text('Submit')").click()
    page.get_by_text("a span of ACTOR has no kind").first.wait_for()
    page.locator("button:has-text('OK')").click()
    page.wait_for_timeout(500)
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    before = page.evaluate(TOP)
    select(page, 0)
    assert page.evaluate(TOP) == before, "the text moves when a span is selected"
    page.keyboard.press(kind)
    page.locator(".htx-taxonomy:visible").click()
    page.locator("input[placeholder=Search]:visible").fill(search)
    choice = page.locator(".ant-select-tree-treenode:visible", has_text=entity)
    page.wait_for_timeout(700)
    page.screenshot(path=SHOTS / f"{doc_id}-search.png")
    assert page.locator(".ant-select-tree-treenode:visible").count() <= 3
    choice.first.locator(".ant-select-tree-checkbox").click()
    page.locator(".meta").click()
    page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    page.screenshot(path=SHOTS / f"{doc_id}-actor.png")
    page.keyboard.press("2")
    drag(page, quantity, right_to_left)
    select(page, 1)
    page.keyboard.press("Shift+1")
    page.keyboard.press("a")
    boxes = page.locator("input[type=number]:visible")
    boxes.nth(0).fill(str(int(number)))
    boxes.nth(1).fill(str(int(number)))
    boxes.nth(1).press("Enter")
    page.wait_for_timeout(500)
    page.screenshot(path=SHOTS / f"{doc_id}-quantity.png")
    page.locator("button:has-text('Submit')").click()
    page.wait_for_selector("button:has-text('Update')")

    pulled = pull_annotations(corpus, studio, FIRST, tmp_path, quiet)
    assert doc_id in pulled.changed + pulled.new
    annotations, findings = read_annotations(corpus)
    [annotation] = [a for a in annotations if a.doc_id == doc_id and a.state == "submitted"]
    assert [f for f in findings if f.severity == "error"] == []
    kinds = {"q": "person", "w": "state"}
    a, q = document.text.index(actor), document.text.index(quantity)
    values: dict[str, str | float | None] = {
        "kind": "personnel",
        "bound": "exact",
        "value_min": number,
        "value_max": number,
    }
    assert set(annotation.spans) == {
        Span(a, a + len(actor), "ACTOR", attributes_of({"kind": kinds[kind], "entity": entity})),
        Span(q, q + len(quantity), "QUANTITY", attributes_of(values)),
    }


def test_the_annotated_page(page: Page, studio: Studio, alone: Path) -> None:
    """Every committed span of one Arabic article is shown, right to left, with the name of its actor."""
    corpus = read_corpus(alone)
    there = replace(corpus, scheme=replace(corpus.scheme, name="annotated page"))
    load_seeds(there, studio, FIRST, True, quiet)
    project = studio.project(project_title(there, FIRST))
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    [task] = [task.id for task in listed if task.data["doc_id"] == "ar-2"]
    page.goto(f"{studio.address.url}/projects/{project}/data?task={task}")
    page.wait_for_selector(".lsf-richtext__line")
    page.wait_for_timeout(3000)
    [annotation] = [a for a in read_annotations(corpus)[0] if a.doc_id == "ar-2"]
    assert page.locator("[class*=htx-highlight]").count() >= len(annotation.spans)
    first, last = page.evaluate(BOX, ["أعرب"])
    assert first[0] > last[0]  # the first letter is to the right of the last
    page.locator("[class*=outliner-item__title]", has_text="بوتين").first.click()
    page.wait_for_timeout(800)
    assert "vladimir-putin" in page.locator(".htx-taxonomy:visible").inner_text()
    page.screenshot(path=SHOTS / "annotated.png")
