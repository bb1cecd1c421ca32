"""What an article costs its annotator in the real page: drags, clicks and keys, before and after.

Each kind of gesture is made once in a real Chromium on a real Label Studio and checked in what the page holds; the
sums are those counts times what the gold of an article has. Before: Label Studio's own template for spans, with
each attribute as choices or a box, by mouse; after: the label config of the corpus.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from playwright.sync_api import Page, sync_playwright

from testimonia import __version__, server
from testimonia.card import table
from testimonia.corpus import Corpus, read_corpus
from testimonia.document import Gold
from testimonia.release import build_gold
from testimonia.scheme import Scheme
from testimonia.studio import Studio
from testimonia.tasks import task_of

ROOT = Path(__file__).parent.parent
ARTICLE = "ro-1"
PLACE = """([quote]) => {
  const walker = document.createTreeWalker(document.querySelector('.lsf-richtext__container'), NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const start = node.data.indexOf(quote);
    if (start < 0) continue;
    node.parentElement.scrollIntoView({block: 'center'});
    const range = document.createRange();
    range.setStart(node, start); range.setEnd(node, start + quote.length);
    const box = range.getClientRects()[0];
    return [box.left + 1, box.right - 1, (box.top + box.bottom) / 2];
  }
}"""
HELD = "() => window.Htx.annotationStore.selected.serializeAnnotation()"


@dataclass
class Hand:
    """A hand on mouse and keyboard that counts what it does."""

    page: Page
    done: Counter[str] = field(default_factory=Counter)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self._rest("keys")

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self._rest("keys", len(text))

    def click(self, target: Any) -> None:
        target.click()
        self._rest("clicks")

    def drag(self, quote: str) -> None:
        for _ in range(2):  # the page scrolls first
            left, right, y = self.page.evaluate(PLACE, [quote])
            self.page.wait_for_timeout(200)
        self.page.mouse.move(left, y)
        self.page.mouse.down()
        self.page.mouse.move((left + right) / 2, y)
        self.page.mouse.move(right, y)
        self.page.mouse.up()
        self._rest("drags")

    def click_words(self, quote: str) -> None:
        left, right, y = self.page.evaluate(PLACE, [quote])
        self.page.mouse.click((left + right) / 2, y)
        self._rest("clicks")

    def _rest(self, what: str, count: int = 1) -> None:
        self.done[what] += count
        self.page.wait_for_timeout(400)


def plain_config(scheme: Scheme) -> str:
    """What the template for named entities gives, with controls for the attributes below the labels."""
    view = ET.Element("View")
    labels = ET.SubElement(view, "Labels", name="label", toName="text")
    for label in scheme.labels:
        ET.SubElement(labels, "Label", value=label.name)
    ET.SubElement(view, "Text", name="text", value="$text")
    for name, (_, attribute) in scheme.columns.items():
        common = {"name": name, "toName": "text", "perRegion": "true"}
        if attribute.type == "choice":
            choices = ET.SubElement(view, "Choices", common, choice="single-radio")
            for value in attribute.values:
                ET.SubElement(choices, "Choice", value=value)
        elif attribute.type == "number":
            ET.SubElement(view, "Number", common)
        else:
            ET.SubElement(view, "TextArea", common, maxSubmissions="1", rows="1")
    relations = ET.SubElement(view, "Relations")
    for relation in scheme.relations:
        ET.SubElement(relations, "Relation", value=relation.name)
    return ET.tostring(view, encoding="unicode")


Gesture = Callable[[Hand], None]


def measured(page: Page, what: Gesture, expected: Callable[[list[dict[str, Any]]], bool]) -> Counter[str]:
    """What a gesture takes. Raises AssertionError where the page does not hold then what it should."""
    hand = Hand(page)
    what(hand)
    held = page.evaluate(HELD)
    assert expected(held), held
    return hand.done


def has(name: str, value: object) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda held: any(r.get("from_name") == name and value in r["value"].values() for r in held)


def labelled(label: str, quote: str) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda held: any(
        r.get("type") == "labels" and r["value"]["text"] == quote and r["value"]["labels"] == [label] for r in held
    )


def anything(held: list[dict[str, Any]]) -> bool:
    return bool(held)


def choice(page: Page, value: str) -> Any:
    return page.locator("label.ant-radio-wrapper:visible", has_text=value).first


def before(page: Page) -> dict[str, Counter[str]]:
    def mark(label: str, quote: str) -> Gesture:
        def gesture(hand: Hand) -> None:
            hand.click(page.locator(".lsf-label", has_text=label).first)
            hand.drag(quote)

        return gesture

    def box(name: str, text: str) -> Gesture:
        def gesture(hand: Hand) -> None:
            hand.click(page.locator(f"input[name={name}]:visible, textarea[name={name}]:visible").first)
            hand.type(text)
            hand.press("Enter")

        return gesture

    def number(hand: Hand) -> None:
        hand.click(page.locator("input[type=number]:visible").first)
        hand.type("1000")

    def relate(hand: Hand) -> None:
        hand.click_words("impuls puternic")
        hand.click(page.locator("[aria-label='Create Relation']").first)
        hand.click_words("Kim Jong Un")

    def relation_name(hand: Hand) -> None:
        hand.click(page.get_by_text("Relations", exact=True).first)
        name(hand)

    def name(hand: Hand) -> None:
        page.locator(".lsf-relations__item").first.hover()
        page.wait_for_timeout(300)
        hand.click(page.locator("[aria-label='Show Relation Labels']").first)
        hand.click(page.get_by_text("Select labels").first)
        hand.click(page.get_by_role("option", name="holder").first)

    found = {"span": measured(page, mark("ACTOR", "Kim Jong Un"), labelled("ACTOR", "Kim Jong Un"))}
    found["select"] = measured(page, lambda hand: hand.click_words("Kim Jong Un"), anything)
    found["choice"] = measured(page, lambda h: h.click(choice(page, "person")), has("actor_kind", ["person"]))
    found["entity"] = measured(page, box("actor_entity", "kim-jong-un"), has("actor_entity", ["kim-jong-un"]))
    page.keyboard.press("Escape")
    measured(page, mark("QUANTITY", "mii de"), labelled("QUANTITY", "mii de"))
    Hand(page).click_words("mii de")
    found["number"] = measured(page, number, has("quantity_value_min", 1000))
    found["string"] = measured(page, box("quantity_unit", "week"), has("quantity_unit", ["week"]))
    page.keyboard.press("Escape")
    measured(page, mark("STANCE", "impuls puternic"), labelled("STANCE", "impuls puternic"))
    page.keyboard.press("Escape")
    found["relation"] = measured(page, relate, lambda held: any(r.get("type") == "relation" for r in held))
    named = lambda held: any(r.get("labels") == ["holder"] for r in held)  # noqa: E731
    found["relation's name"] = measured(page, relation_name, named)
    found["relation's name"]["clicks"] -= 1  # the tab is opened once
    return found


def after(page: Page) -> dict[str, Counter[str]]:
    def mark(key: str, quote: str) -> Gesture:
        def gesture(hand: Hand) -> None:
            hand.press(key)
            hand.drag(quote)

        return gesture

    def entity(hand: Hand) -> None:
        hand.click(page.locator(".htx-taxonomy:visible"))
        page.locator("input[placeholder=Search]:visible").focus()
        hand.type("kim-j")
        page.wait_for_timeout(600)
        hand.click(page.locator(".ant-select-tree-treenode:visible .ant-select-tree-checkbox").first)

    def number(hand: Hand) -> None:
        hand.click(page.locator("input[type=number]:visible").first)
        hand.type("1000")

    def unit(hand: Hand) -> None:
        hand.click(page.locator("input[name=quantity_unit]:visible").first)
        hand.type("week")
        hand.press("Enter")

    def relate(hand: Hand) -> None:
        hand.click_words("impuls puternic")
        hand.press("Alt+r")
        hand.click_words("mii de")

    found = {"span": measured(page, mark("1", "Kim Jong Un"), labelled("ACTOR", "Kim Jong Un"))}
    found["select"] = measured(page, lambda hand: hand.click_words("Kim Jong Un"), anything)
    found["choice"] = measured(page, lambda hand: hand.press("q"), has("actor_kind", ["person"]))
    found["entity"] = measured(page, entity, lambda held: any(r.get("type") == "taxonomy" for r in held))
    page.locator(".meta").click()
    page.keyboard.press("Escape")
    measured(page, mark("2", "mii de"), labelled("QUANTITY", "mii de"))
    Hand(page).click_words("mii de")
    found["number"] = measured(page, number, has("quantity_value_min", 1000))
    found["string"] = measured(page, unit, has("quantity_unit", ["week"]))
    page.keyboard.press("Escape")
    measured(page, mark("3", "impuls puternic"), labelled("STANCE", "impuls puternic"))
    page.keyboard.press("Escape")
    found["relation"] = measured(page, relate, lambda held: any(r.get("type") == "relation" for r in held))
    return found


def work(gold: Gold, scheme: Scheme) -> Counter[str]:
    """How often an article asks for each kind of gesture; a relation's name only where several fit, for `after`."""
    types = {(label.name, a.name): a.type for label in scheme.labels for a in label.attributes}
    counts = Counter({"span": len(gold.spans), "select": len(gold.spans)})
    counts.update(types[span.label, name] for span in gold.spans for name, _ in span.attributes)
    counts["relation"] = len(gold.relations)
    for relation in gold.relations:
        fitting = [r for r in scheme.relations if relation.head.label in r.heads and relation.tail.label in r.tails]
        counts["relation's name"] += len(fitting) > 1
    return counts


def totals(per: dict[str, Counter[str]], counts: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for gesture, count in counts.items():
        for what, number in per[gesture].items():
            found[what] += number * count
    return found


def opened(page: Page, studio: Studio, corpus: Corpus, title: str, config: str) -> None:
    project = studio.ensure_project(title, config, "")
    studio.load(project, [{"data": task_of(corpus.by_id[ARTICLE])}], {}, {}, lambda *_: None)
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    task = listed[0].id
    page.goto(f"{studio.address.url}/projects/{project}/data?task={task}")
    page.wait_for_selector(".lsf-richtext__container")
    page.wait_for_timeout(2500)


def main() -> None:
    corpus = read_corpus(ROOT)
    [gold] = [gold for gold in build_gold(corpus)[0] if gold.document.doc_id == ARTICLE]
    home = Path(tempfile.mkdtemp(prefix="gestures-"))
    with server.running(home) as one, Studio(one.address) as studio, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1500, "height": 1000})
        secrets = server.read_secrets(home)
        page.goto(f"{one.address.url}/user/login")
        page.fill("input[name=email]", secrets["email"])
        page.fill("input[name=password]", secrets["password"])
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/user/login" not in url)
        page.wait_for_load_state("networkidle")
        opened(page, studio, corpus, "plain", plain_config(corpus.scheme))
        plain = before(page)
        opened(page, studio, corpus, "ours", (ROOT / "labeling" / "label_config.xml").read_text())
        ours = after(page)
        chromium.close()
    ours["relation's name"] = plain["relation's name"]
    counts = work(gold, corpus.scheme)
    every = counts | Counter({"relation's name": len(gold.relations)})
    kinds = ("drags", "clicks", "keys")
    rows = [
        [name, counts[name] if name != "relation's name" else f"{every[name]} / {counts[name]}"]
        + [f"{plain[name][kind]} / {ours[name][kind]}" for kind in kinds]
        for name in plain
    ]
    sums = totals(plain, every), totals(ours, counts)
    rows.append([ARTICLE, "", *(f"{sums[0][kind]} / {sums[1][kind]}" for kind in kinds)])
    print(f"testimonia {__version__}, Label Studio {one.address.url and '1.23'}; before / after")
    print(table(["gesture", "times", *kinds], rows))


if __name__ == "__main__":
    main()
