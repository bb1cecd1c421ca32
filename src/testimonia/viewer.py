"""One self-contained page of a dataset: its texts with their spans, attributes and relations, for people who read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testimonia.errors import InputError
from testimonia.extraction import Extraction
from testimonia.formats import read_gold
from testimonia.language import direction_of
from testimonia.measures import ABOUT_GOLD
from testimonia.report import PALETTE, environment
from testimonia.scheme import Scheme
from testimonia.tables import read_parquet

Json = dict[str, Any]


LONGEST = 500  # code points of a span that stand beside the text


@dataclass(frozen=True, slots=True)
class Piece:
    """What comes next on the page: a span (`row`) or `zone` that begins, text, the end of what began last, a new line.

    `first` is false where a span goes on, on the next line or beyond a span that crosses it.
    """

    kind: str
    row: int = -1
    zone: str = ""
    text: str = ""
    first: bool = True


def pieces(text: str, spans: Sequence[tuple[int, int, int]], zones: Sequence[tuple[int, int, str]]) -> Iterator[Piece]:
    """The text with its elements in nesting order. Spans: (start, end, row); of equal ones the later row lies inside.

    A span that another crosses, or a line feed ends, goes on in a second element: each line takes its own direction.
    """
    lines = {feed.end() for feed in re.finditer("\n", text)} - {len(text)}
    items = [(start, min(end, len(text)), 0, n, Piece("zone", zone=kind)) for n, (start, end, kind) in enumerate(zones)]
    items += [(start, end, 1, row, Piece("span", row=row)) for start, end, row in spans if start < end]
    items.sort(key=lambda item: (item[0], -item[1], item[2], item[3]))
    edges = sorted({0, len(text), *lines, *(edge for item in items for edge in item[:2])})
    open_: list[tuple[int, Piece]] = []
    at, number = 0, 0
    for edge in edges:
        if edge > at:
            yield Piece("text", text=text[at:edge])
            at = edge
        ends = (n for n, (end, _) in enumerate(open_) if end == edge or edge in lines)
        last = next(ends, len(open_))
        again = [(end, piece) for end, piece in open_[last:] if end != edge]
        for _ in open_[last:]:
            yield Piece("end")
        del open_[last:]
        if edge in lines:
            yield Piece("line")
        for end, piece in again:
            open_.append((end, piece))
            yield Piece(piece.kind, piece.row, piece.zone, first=False)
        while number < len(items) and items[number][0] == edge:
            _, end, _, _, piece = items[number]
            open_.append((end, piece))
            yield piece
            number += 1


def browse_html(source: Path, title: str, scheme: Scheme | None = None, most: int = 200) -> tuple[str, int]:
    """The page of a dataset, or of predictions that carry their texts; and how many documents are not on it.

    Colours are those of the scheme, where one is given. Claims are shown where the dataset has them. Raises InputError
    where a document has no text, or a span leaves it.
    """
    gold = read_gold(source).in_order()
    colors = {label.name: label.color for label in scheme.labels} if scheme else {}
    palette = [colors.get(name) or PALETTE[row % len(PALETTE)] for row, name in enumerate(gold.labels)]
    documents = [_document(gold, row, source) for row in range(min(len(gold), most))]
    shown = sum(len(document["rows"]) for document in documents)
    spans = _spans(gold, shown)
    page = (
        environment()
        .get_template("browse.html")
        .render(
            title=title,
            documents=documents,
            hidden=len(gold) - len(documents),
            labels=gold.labels,
            palette=palette,
            languages=sorted({document["language"] for document in documents}),
            spans=spans,
            counts=[sum(span["label"] == row for span in spans) for row in range(len(gold.labels))],
            claims=_claims(source, {span["id"]: row for row, span in enumerate(spans)}),
            data={"labels": gold.labels, "relations": gold.relation_labels, "spans": spans},
        )
    )
    return page, len(gold) - len(documents)


def _document(gold: Extraction, row: int, source: Path) -> Json:
    text = gold.texts[row].as_py()
    if text is None:
        raise InputError(f"{source}: {gold.place(row)} has no text; give a dataset, or records with their text")
    rows = (gold.spans.document == row).nonzero()[0].tolist()
    spans = [(int(gold.spans.start[n]), int(gold.spans.end[n]), n) for n in rows]
    for start, end, _ in spans:
        if not 0 <= start < end <= len(text):
            raise InputError(f"{source}: {gold.place(row)}: a span [{start}, {end}) leaves the text; validate it first")
    zones = [
        (int(gold.zones.start[n]), int(gold.zones.end[n]), gold.zone_kinds[gold.zones.label[n]])
        for n in (gold.zones.document == row).nonzero()[0].tolist()
    ]
    return {
        "doc_id": gold.doc_ids[row].as_py(),
        "language": gold.languages[row].as_py() or "",
        "direction": direction_of(text),
        "rows": rows,
        "pieces": list(pieces(text[: max([len(text.rstrip()), *(end for _, end, _ in spans)])], spans, zones)),
    }


def _spans(gold: Extraction, shown: int) -> list[Json]:
    """What the page knows of each span: id, label, text, attributes without their label's name, relations."""
    attributes = {
        name: values.to_pylist() for name, values in gold.attributes.items() if name not in (*ABOUT_GOLD, "id")
    }
    found: list[Json] = []
    spans = gold.spans
    for row in range(shown):
        document, label = int(spans.document[row]), int(spans.label[row])
        start, end, name = int(spans.start[row]), int(spans.end[row]), gold.labels[label]
        values = {
            key.removeprefix(f"{name.lower()}_"): _said(values[row])
            for key, values in attributes.items()
            if values[row] is not None
        }
        doc_id = gold.doc_ids[document].as_py()
        found.append(
            {
                "id": f"{doc_id}:{start}-{end}:{name}",
                "document": document,
                "label": label,
                "text": _shortened(gold.texts[document].as_py()[start:end]),
                "values": values,
                "relations": [],
            }
        )
    relations = gold.relations
    for head, tail, label in zip(
        relations.start.tolist(), relations.end.tolist(), relations.label.tolist(), strict=True
    ):
        if head < shown:
            found[head]["relations"].append([label, tail])
    return found


def _shortened(text: str) -> str:
    """The words of a span as they stand beside the text, where many long ones would fill the page."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _claims(source: Path, rows: Mapping[str, int]) -> list[Json]:
    """The claims of a dataset folder with their mentions; none where it has none."""
    if not (source / "claims").is_dir():
        return []
    read = {
        name: [row for path in sorted((source / name).glob("*.parquet")) for row in read_parquet(path).to_pylist()]
        for name in ("claims", "claim_mentions")
    }
    mentions: dict[str, list[Json]] = {}
    try:
        for row in read["claim_mentions"]:
            links = [(text, rows.get(span)) for text, span in zip(row["texts"], row["spans"], strict=True)]
            sources = [(text, rows.get(span)) for text, span in zip(row["source_texts"], row["sources"], strict=True)]
            ends = [_said(row[name]) for name in ("value_min", "value_max") if row[name] is not None]
            value = " ".join([row["bound"] or "", " to ".join(dict.fromkeys(ends)), row["unit"] or ""]).strip()
            mention = {"mention": row["mention_id"], "language": row["language"], "value": value}
            mentions.setdefault(row["claim_id"], []).append(mention | {"links": links, "sources": sources})
        return [
            {name: row[name] for name in ("claim_id", "type", "gloss")}
            | {"marks": [f"{mark['first']} and {mark['second']}: {mark['mark']}" for mark in row["marks"]]}
            | {"said": mentions.get(row["claim_id"], [])}
            for row in read["claims"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{source}: its claims cannot be read: {error!r}; validate it first") from None
