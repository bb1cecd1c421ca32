"""Reports for people: agreement as plain text and as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from testimonia.adjudication import Docket
from testimonia.agreement import DEFINITIONS, MODES, Agreement, frequent, none_of, only_one
from testimonia.cases import KINDS, Case, Link
from testimonia.document import Span
from testimonia.errors import plain
from testimonia.language import Language
from testimonia.resampling import Figure
from testimonia.scheme import Scheme

Json = dict[str, Any]

MOST_CASES = 2000  # on one page
MOST_LINES = 20  # of a list on a terminal
PALETTE = ("#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442", "#999999")
KIND_WORDS = {
    "agreed": "agreed",
    "attribute": "same span, another attribute",
    "boundary": "same label, other bounds",
    "label": "another label",
    "some": "some annotators only",
    "one": "one annotator only",
}


def agreement_text(agreement: Agreement) -> str:
    """Tables of every figure, the most frequent disagreements, and what the figures are."""
    figures = agreement.figures
    parts = [
        f"annotators: {', '.join(figures['annotators']) or 'none'}; documents: {figures['compared']} with two or more "
        f"of {figures['documents']}; spans: {figures['spans']}; intervals over {figures['overall']['resampled']}",
    ]
    head = ["", *MODES, "alpha_U", "relation F1"]
    groups = [("overall", {"all": figures["overall"]}), ("by language", figures["by_language"])]
    groups.append(("by document", figures["by_document"]))
    for title, group in groups:
        rows = [[name, *_f1(found), found["alpha_u"], found["relation_f1"]] for name, found in group.items()]
        parts.append(table_text(title, head, rows))
    rows = [[name, *_f1(found), found["alpha_u"], found["char_alpha"]] for name, found in figures["by_label"].items()]
    parts.insert(2, table_text("by label", ["", *MODES, "alpha_U", "character alpha"], rows))
    parts.append(table_text("relations", ["", "F1"], [[n, f["f1"]] for n, f in figures["by_relation"].items()]))
    if len(figures["by_pair"]) > 1:
        rows = [[name, *_f1(found)] for name, found in figures["by_pair"].items()]
        parts.append(table_text("by pair of annotators", ["", *MODES], rows))
    rows = [
        [name, found["kappa"], found["alpha"], f"{found['agreed']}/{found['compared']}"]
        for name, found in figures["attributes"].items()
    ]
    parts.append(table_text("attributes", ["", "kappa", "alpha", "agreed"], rows))
    names = [*figures["by_label"], none_of(list(figures["by_label"]))]
    rows = [[one, *(line[other] for other in names)] for one, line in figures["confusion"].items()]
    parts.append(table_text("confusion of labels (pairs of annotators, both directions)", ["", *names], rows))
    kinds = [[KIND_WORDS[kind], figures["cases"].get(kind, 0)] for kind in KINDS]
    parts.append(table_text("cases (spans that mean the same, over all annotators)", ["", "n"], kinds))
    if "gamma" in figures:
        rows = [[name, value] for name, value in figures["gamma"].items()]
        parts.append(table_text("gamma", ["", "gamma"], rows))
    rows = [[d["count"], d["kind"], d["labels"], d["text"][:60]] for d in frequent(agreement, 10)]
    parts.append(table_text("most frequent disagreements", ["n", "kind", "label", "text"], rows))
    alone = only_one(agreement)
    rows = [
        [one["doc_id"], f"{one['start']}-{one['end']}", one["label"], one["annotator"], one["text"][:60]]
        for one in alone
    ]
    more = f" ({len(alone) - MOST_LINES} more: --json, --html)" if len(alone) > MOST_LINES else ""
    head = ["document", "offsets", "label", "annotator", "text"]
    parts.append(table_text(f"spans that only one annotator saw{more}", head, rows[:MOST_LINES]))
    used = [key for key in DEFINITIONS if key != "gamma" or "gamma" in figures]
    parts.append("\n".join(f"{key}: {DEFINITIONS[key]}" for key in used))
    return "\n\n".join(part for part in parts if part) + "\n"


def _f1(found: Json) -> list[Figure]:
    return [found["span_f1"][mode] for mode in MODES]


def show(figure: Figure | float | None) -> str:
    """`0.93 [0.90, 0.95]`, a count as it is, a dash where nothing is defined."""
    if not isinstance(figure, Figure):
        return "-" if figure is None else f"{figure:.3f}" if isinstance(figure, float) else str(figure)
    if figure.value is None:
        return "-"
    return f"{figure.value:.3f}" + (f" [{figure.ci95[0]:.3f}, {figure.ci95[1]:.3f}]" if figure.ci95 else "")


def table_text(title: str, head: Sequence[str], rows: Sequence[Sequence[str | float | Figure | None]]) -> str:
    if not rows:
        return ""
    cells = [[plain(cell) if isinstance(cell, str) else show(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([title, *lines])


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading of a case in its sentence: who, what, and the sentence in three pieces around the span."""

    who: str
    label: str
    attributes: str
    before: str
    marked: str
    after: str


def agreement_html(agreement: Agreement, title: str, scheme: Scheme, languages: Mapping[str, Language]) -> str:
    """One page without anything from elsewhere. Texts run as their language does, else as their letters do."""
    palette = {label.name: label.color or PALETTE[row % len(PALETTE)] for row, label in enumerate(scheme.labels)}
    directions = {code: language.direction for code, language in languages.items()}
    disagreeing = [case for case in agreement.cases if case.kind != "agreed" and (case.absent or len(case.said) > 1)]
    links = [link for link in agreement.links if link.absent]
    documents = {document.doc_id: document for document in agreement.passes.documents}
    blocks = _blocks(agreement)
    shown = [
        {
            "case": case,
            "direction": directions.get(documents[case.doc_id].language, "auto"),
            "language": documents[case.doc_id].language,
            "readings": _readings(case, documents[case.doc_id].text, blocks[case.doc_id]),
        }
        for case in disagreeing[:MOST_CASES]
    ]
    return (
        environment()
        .get_template("agreement.html")
        .render(
            title=title,
            figures=agreement.figures,
            modes=MODES,
            kinds=KINDS,
            kind_words=KIND_WORDS,
            definitions=DEFINITIONS,
            findings=agreement.findings,
            frequent=frequent(agreement),
            palette=palette,
            cases=shown,
            hidden=len(disagreeing) - len(shown),
            links=[
                _link(link, documents[link.doc_id].text, directions.get(documents[link.doc_id].language, "auto"))
                for link in links[:MOST_CASES]
            ],
            hidden_links=max(len(links) - MOST_CASES, 0),
            plot=plot,
        )
    )


def differences_html(docket: Docket) -> str:
    """What the annotators differ in, side by side, as a table for the adjudication page; everything is escaped."""
    text = docket.document.text
    template = environment().get_template("differences.html")
    return template.render(docket=docket, text=text, kind_words=KIND_WORDS, around=lambda span: _around(text, span))


def _around(text: str, span: Span, width: int = 30) -> tuple[str, str, str]:
    """A span in its line with some words on both sides."""
    line = text.rfind("\n", 0, span.start) + 1, text.find("\n", span.end) % (len(text) + 1)
    before, after = text[line[0] : span.start], text[span.end : line[1]]
    if len(before) > width:
        before = "… " + before[-width:].partition(" ")[2]
    if len(after) > width:
        after = after[:width].rpartition(" ")[0] + " …"
    return before, text[span.start : span.end], after


def environment() -> Environment:
    """The templates of pages and of files; values are escaped in HTML."""
    environment = Environment(
        loader=PackageLoader("testimonia"),
        autoescape=select_autoescape(["html"]),
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["show"] = show
    environment.filters["value"] = _value
    environment.filters["digest"] = _digest
    return environment


def _blocks(agreement: Agreement) -> dict[str, list[int]]:
    """Where the sentences of each document begin, and its end."""
    layout = agreement.passes.layout
    starts: dict[str, list[int]] = {document.doc_id: [] for document in agreement.passes.documents}
    for row, start in zip(layout.block_document.tolist(), layout.block_start.tolist(), strict=True):
        starts[agreement.passes.documents[row].doc_id].append(start)
    for document in agreement.passes.documents:
        starts[document.doc_id].append(len(document.text))
    return starts


def _readings(case: Case, text: str, starts: Sequence[int]) -> list[_Reading]:
    left = max((start for start in starts if start <= case.start), default=0)
    right = min((start for start in starts if start >= case.end), default=len(text))
    readings = []
    for span, who in case.said:
        attributes = ", ".join(f"{name} = {_value(value)}" for name, value in span.attributes)
        pieces = text[left : span.start], text[span.start : span.end], text[span.end : right]
        readings.append(
            _Reading(", ".join(who), span.label, attributes, pieces[0].lstrip(), pieces[1], pieces[2].rstrip())
        )
    if case.absent:
        readings.append(_Reading(", ".join(case.absent), "", "", text[left:right].strip(), "", ""))
    return readings


def _digest(script: str) -> str:
    """What a Content-Security-Policy calls a script by, so that no other runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _value(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else value


def _link(link: Link, text: str, direction: str) -> Json:
    def piece(span: Span) -> Json:
        return {"label": span.label, "text": text[span.start : span.end]}

    return {"link": link, "head": piece(link.head), "tail": piece(link.tail), "direction": direction}


def plot(rows: Iterable[tuple[str, Figure]], width: int = 460) -> Json:
    """Where to draw points and intervals: an axis from 0 (or below, where a value is; at most -1) to 1, in pixels."""
    defined = [(name, figure) for name, figure in rows if figure.value is not None]
    lows = [figure.ci95[0] if figure.ci95 else figure.value or 0.0 for _, figure in defined]
    low = max(min([0.0, *(value // 0.2 * 0.2 for value in lows)]), -1.0)
    scale = width / (1 - low)

    def x(value: float) -> float:
        return round((max(value, low) - low) * scale, 1)

    marks = [
        {
            "name": name if len(name) <= 22 else name[:21] + "…",
            "title": name,
            "x": x(figure.value or 0.0),
            "low": x(figure.ci95[0]) if figure.ci95 else None,
            "high": x(figure.ci95[1]) if figure.ci95 else None,
            "text": show(figure),
        }
        for name, figure in defined
    ]
    ticks = [{"x": x(step / 5), "text": f"{step / 5:g}"} for step in range(round(low * 5), 6)]
    return {"marks": marks, "ticks": ticks, "width": width, "height": 24 * len(marks)}
