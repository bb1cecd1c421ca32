"""A hostile article in a real Chromium: two annotators on it, nesting, relations, a skipped task, a draft."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from testimonia.corpus import Corpus, Round, read_corpus
from testimonia.document import Document, Span, attributes_of
from testimonia.rounds import round_annotations
from testimonia.studio import Studio
from testimonia.transfer import load_seeds, project_title, pull_annotations
from tests.conftest import SHOTS
from tests.test_browser import quiet

pytestmark = pytest.mark.browser
ROUND = Round("hostile", "annotation", True)
# Flags beyond the BMP, a combining accent, no-break spaces, bidi controls, markup, entities, two directions.
TEXT = (
    "Le <b>ministère</b> &amp; l'e\u0301tat 🇰🇵 envoie\u00a0: 10\u00a0000 soldats 👩🏽‍🚀 <script>alert(1)</script>\n\n"
    "أعلن \u2067سيرجي شويغو\u2069، سكرتير مجلس الأمن، تأييده\n"
    "الكامل لإرسال \u200f١٠٠٠ جندي إلى كورسك 🇷🇺.\n"
    "Fin de l'article = {{ title }} ${x} \\u0041"
)
SHOIGU, SECRETARY, COUNCIL = "سيرجي شويغو", "سكرتير مجلس الأمن", "مجلس الأمن"
STATE, SOLDIERS, SUPPORT = "l'e\u0301tat 🇰🇵", "10\u00a0000 soldats 👩🏽\u200d🚀", "تأييده\nالكامل"
# A stretch of the text from the n-th to the last code point of a quote: the boxes of its ends, over line breaks too.
ENDS = """([quote]) => {
  const root = document.querySelector('.lsf-richtext__container');
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  let text = '', at = [], node;
  while ((node = walker.nextNode())) {
    for (let i = 0; i < node.data.length; i++) at.push([node, i]);
    text += node.data;
  }
  const start = text.indexOf(quote.replaceAll('\\n', ''));
  if (start < 0) return null;
  at[start][0].parentElement.scrollIntoView({block: 'center'});
  const box = (i) => {
    const range = document.createRange();
    range.setStart(at[i][0], at[i][1]); range.setEnd(at[i][0], at[i][1] + 1);
    const r = range.getBoundingClientRect();
    return [r.left, r.top, r.right, r.bottom];
  };
  return [box(start), box(start + quote.replaceAll('\\n', '').length - 1)];
}"""


@pytest.fixture
def corpus(alone: Path) -> Corpus:
    there = read_corpus(alone)
    document = Document("hostile-1", "fr", TEXT, title="<img src=x onerror=alert(2)>")
    return replace(there, scheme=replace(there.scheme, name="hostile"), documents=(document, *there.documents[1:3]))


@pytest.fixture
def log_in(browser: Browser, studio: Studio) -> Iterator[Callable[[str, str], Page]]:
    """Pages of annotators, each in a browser context of their own, light or dark."""
    contexts = []

    def page_of(email: str, theme: str) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
        contexts.append(context)
        context.add_init_script(f"localStorage.setItem('preferred-color-scheme', '{theme}')")
        page = context.new_page()
        page.on("dialog", lambda dialog: pytest.fail(f"a script of the text ran: {dialog.message}"))
        page.goto(f"{studio.address.url}/user/login")
        page.fill("input[name=email]", email)
        page.fill("input[name=password]", studio.add_annotator(email))
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/user/login" not in url)
        page.wait_for_load_state("networkidle")
        return page

    yield page_of
    for context in contexts:
        context.close()


def mark(page: Page, key: str, quote: str, right_to_left: bool = False) -> None:
    """Presses the hotkey of a label and drags over a quote."""
    page.keyboard.press("Escape")
    page.keyboard.press(key)
    for _ in range(2):
        first, last = page.evaluate(ENDS, [quote])
        page.wait_for_timeout(300)
    start = first[2] - 1 if right_to_left else first[0] + 1
    end = last[0] + 1 if right_to_left else last[2] - 1
    page.mouse.move(start, (first[1] + first[3]) / 2)
    page.mouse.down()
    page.mouse.move((start + end) / 2, (last[1] + last[3]) / 2)
    page.mouse.move(end, (last[1] + last[3]) / 2)
    page.mouse.up()
    page.wait_for_timeout(500)


def choose(page: Page, index: int, *keys: str) -> None:
    """Selects a region of the list and presses the hotkeys of its attributes."""
    page.keyboard.press("Escape")
    page.locator("[class*=outliner-item__title]").nth(index).click()
    page.wait_for_timeout(400)
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(200)


def opened(page: Page, studio: Studio, project: int, task: int) -> None:
    page.goto(f"{studio.address.url}/projects/{project}/data?task={task}")
    page.wait_for_selector(".lsf-richtext__line")
    page.wait_for_timeout(2000)


def relate(page: Page, head: int, tail: str, label: str) -> None:
    """Draws a relation from a region of the list to the one that is clicked in the text, and names it."""
    choose(page, head)
    page.keyboard.press("Alt+r")
    first, _ = page.evaluate(ENDS, [tail])
    page.mouse.click((first[0] + first[2]) / 2, (first[1] + first[3]) / 2)
    page.wait_for_timeout(500)
    page.locator("#Relations-draggable").click()
    page.locator(".lsf-relations__item").last.hover()
    page.locator("[aria-label='Show Relation Labels']").last.click()
    page.get_by_text("Select labels").last.click()
    page.get_by_role("option", name=label).last.click()
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    page.locator("#Regions-draggable").click()
    page.wait_for_timeout(300)


def test_two_annotators_on_a_hostile_article(
    corpus: Corpus, studio: Studio, log_in: Callable[[str, str], Page], tmp_path: Path
) -> None:
    load_seeds(corpus, studio, ROUND, False, quiet)
    project = studio.project(project_title(corpus, ROUND)) or 0
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    task = {t.data["doc_id"]: t.id for t in listed}

    one = log_in("one@example.org", "light")
    opened(one, studio, project, task["hostile-1"])
    for key, quote, right_to_left in (
        ("1", SHOIGU, True),
        ("4", SHOIGU, True),
        ("4", SECRETARY, True),
        ("1", COUNCIL, True),
        ("2", SOLDIERS, False),
        ("3", SUPPORT, True),
    ):
        mark(one, key, quote, right_to_left)
    for index, keys in enumerate((("q",), ("z",), ("x",), ("e",), ("Shift+1", "a"), ("5", "i"))):
        choose(one, index, *keys)
    relate(one, 5, "شويغو", "holder")
    relate(one, 4, "سكرتير", "attributed_to")
    one.screenshot(path=SHOTS / "hostile-light.png")
    one.locator("button:has-text('Submit')").click()
    one.wait_for_selector("button:has-text('Update')")

    two = log_in("two@example.org", "dark")
    two.goto(f"{studio.address.url}/projects/{project}/data")
    two.get_by_text("Label All Tasks").click()
    two.get_by_text("hostile-1 · fr").wait_for()
    two.wait_for_timeout(1500)
    two.keyboard.press("Escape")  # the guidelines
    two.wait_for_timeout(1000)
    assert two.locator("[class*=outliner-item__title]").count() == 0  # the work of the other is not shown
    mark(two, "1", STATE)
    choose(two, 0, "w")
    two.screenshot(path=SHOTS / "hostile-dark.png")
    two.locator("button:has-text('Submit')").click()
    two.get_by_text("ar-1 · ar").wait_for()
    two.wait_for_timeout(1500)
    two.locator("button:has-text('Skip')").click()
    two.get_by_text("ar-2 · ar").wait_for()
    two.wait_for_timeout(1500)
    with two.expect_response(lambda response: "/drafts" in response.url):  # the page saves by itself
        mark(two, "1", "كوريا الشمالية", True)
    two.screenshot(path=SHOTS / "draft-dark.png")

    pull_annotations(corpus, studio, ROUND, tmp_path, quiet)
    annotations, findings = round_annotations(corpus, ROUND)
    assert [f for f in findings if f.severity == "error"] == []
    assert [(a.doc_id, a.annotator, a.state, len(a.spans)) for a in annotations] == [
        ("ar-1", "two", "skipped", 0),
        ("ar-2", "two", "draft", 1),
        ("hostile-1", "one", "submitted", 6),
        ("hostile-1", "two", "submitted", 1),
    ]

    def span(quote: str, label: str, **attributes: str | float | None) -> Span:
        start = TEXT.index(quote)
        return Span(start, start + len(quote), label, attributes_of(attributes))

    actor, source = span(SHOIGU, "ACTOR", kind="person"), span(SHOIGU, "SOURCE", kind="official")
    around, inside = span(SECRETARY, "SOURCE", kind="gov_body"), span(COUNCIL, "ACTOR", kind="gov_body")
    quantity = span(SOLDIERS, "QUANTITY", kind="personnel", bound="exact")
    stance = span(SUPPORT, "STANCE", type="support_commitment", polarity="favor")
    assert set(annotations[2].spans) == {actor, source, around, inside, quantity, stance}
    assert [(r.label, r.head, r.tail) for r in annotations[2].relations] == [
        ("attributed_to", quantity, around),
        ("holder", stance, actor),
    ]
    assert set(annotations[3].spans) == {span(STATE, "ACTOR", kind="state")}
