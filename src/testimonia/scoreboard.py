"""Scores for people: as text, as Markdown for a paper or a card, and as one page with every error in its sentence."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from testimonia.comparison import Comparison
from testimonia.errors import plain
from testimonia.extraction import Extraction
from testimonia.language import Language, direction_of
from testimonia.measures import ABOUT_GOLD, COUNTS, Accuracy, Score, is_entity
from testimonia.report import MOST_CASES, PALETTE, environment, plot, show, table_text
from testimonia.resampling import Figure
from testimonia.scheme import Scheme
from testimonia.scoring import ByMode, Scores
from testimonia.tallies import MODES

Json = dict[str, Any]
Cell = str | float | Figure | None

MOST_ROWS = 20  # of documents in text and Markdown
ERRORS = {
    "label": "right bounds, wrong label",
    "boundary": "right label, wrong bounds",
    "both": "overlap, wrong label",
    "missed": "missed",
    "spurious": "spurious",
    "attribute": "right span, wrong attribute",
}
NOTES = (
    "strict: bounds and label; exact: bounds; partial: equal bounds count 1, any overlap 1/2; type: any overlap with "
    "the same label. In brackets the 95% interval.",
    "by label: only spans of the label are paired, so the rows do not add up to the overall counts; by label, "
    "unfiltered: as paired overall, so they do.",
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report: a head of n names, rows of n cells."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def header(scores: Scores) -> str:
    """What was scored and how, in one line."""
    s = scores.settings
    parts = [
        f"{s['documents']} documents, {s['gold_spans']} gold spans, {s['predicted_spans']} predicted",
        f"matching {s['matching']}",
        f"labels {', '.join(s['labels']) or 'none'}",
        f"languages {', '.join(s['languages']) or 'not given'}",
    ]
    if s["map"]:
        parts.append("map " + ", ".join(f"{old}={new}" for old, new in s["map"].items()))
    if s["models"]:
        parts.insert(0, "model " + ", ".join(s["models"]))
    if s["unit"] != "code-points" or s["ends"] != "exclusive":
        parts.append(f"offsets in {s['unit']}, ends {s['ends']}")
    if s["resamples"]:
        drawn = s["resampled"]["overall"]
        parts.append(f"95% intervals: bootstrap over {drawn}, {s['resamples']} draws, seed {s['seed']}")
    return "; ".join(parts)


def tables(scores: Scores) -> Iterator[Table]:
    """Everything but documents beyond twenty."""
    head = ["", "precision", "recall", "F1", *COUNTS]
    yield Table("overall", head, [_full(mode, scores.overall[mode]) for mode in MODES])
    rows: list[list[Cell]] = [[name, *(by_mode[mode] for mode in MODES)] for name, by_mode in scores.macro.items()]
    yield Table("macro F1 (mean over)", ["", *MODES], rows)
    yield _by_mode("by label, F1", scores.by_label)
    yield _by_mode("by label, unfiltered, F1", scores.by_label_unfiltered)
    yield _by_mode("by language, F1", scores.by_language)
    hidden = len(scores.by_document) - MOST_ROWS
    more = f" ({hidden} more: --json)" if hidden > 0 else ""
    yield _by_mode(f"by document, F1{more}", dict(list(scores.by_document.items())[:MOST_ROWS]))
    if scores.ceiling:
        rows = [_full(mode, score)[:4] for mode, score in scores.ceiling.items()]
        yield Table("ceiling: the best that tags over these tokens can reach", head[:4], rows)
    rows = [
        [name, measure.replace("_", " "), Figure(found.accuracy, found.ci95), f"{found.correct}/{found.compared}"]
        for name, measures in (*scores.attributes.items(), *scores.linking.items())
        for measure, found in measures.items()
        if isinstance(found, Accuracy)
    ]
    yield Table("attributes and entities on matched spans, accuracy", ["", "", "accuracy", "right"], rows)
    rows = [
        [f"{name}: span and id", *_full("", found)[1:]]
        for name, measures in scores.linking.items()
        for found in measures.values()
        if isinstance(found, Score)
    ]
    yield Table("linking", head, rows)
    rows = [
        [name, measure, *_full("", found)[1:4], found.correct, found.missed, found.spurious]
        for name, measures in {"all": scores.relations, **scores.by_relation}.items()
        for measure, found in measures.items()
    ]
    columns = ["", "ends", "precision", "recall", "F1", "correct", "missed", "spurious"]
    yield Table("relations", columns, rows)
    rows = [
        [name, measure, *_full("", found)[1:4], found.correct, found.missed, found.spurious]
        for measure, claims in (scores.claims or {}).items()
        for name, found in (("mentions", claims.mentions), ("links", claims.links), ("marks", claims.marks))
    ]
    rows += [
        ["BCubed", measure, claims.b_cubed.precision, claims.b_cubed.recall, claims.b_cubed.f1, None, None, None]
        for measure, claims in (scores.claims or {}).items()
    ]
    yield Table("claims", columns, rows)
    names = list(scores.confusion)
    rows = [[one, *line.values()] for one, line in scores.confusion.items()]
    yield Table("confusion (rows: gold; columns: predicted)", ["", *names], rows)
    rows = [
        [name, *_full("", by_mode["strict"])[1:4], by_mode["strict"].possible]
        for name, by_mode in scores.slices.items()
        if not is_entity(name.partition("=")[0])
    ]
    yield Table("slices, strict", ["", "precision", "recall", "F1", "gold"], rows)


def _full(name: str, score: Score) -> list[Cell]:
    figure = Figure(score.f1, score.ci95)
    return [name, score.precision, score.recall, figure, *(getattr(score, count) for count in COUNTS)]


def _by_mode(title: str, groups: Mapping[str, ByMode]) -> Table:
    rows: list[list[Cell]] = [
        [
            name or "not given",
            *(Figure(by_mode[mode].f1, by_mode[mode].ci95) for mode in MODES),
            by_mode["strict"].possible,
        ]
        for name, by_mode in groups.items()
    ]
    return Table(title, ["", *MODES, "gold"], rows)


def scores_text(scores: Scores) -> str:
    """Every table, for a terminal."""
    parts = [plain(header(scores)), *(table_text(t.title, t.head, t.rows) for t in tables(scores)), "\n".join(NOTES)]
    return "\n\n".join(part for part in parts if part) + "\n"


def scores_markdown(scores: Scores, title: str) -> str:
    """Overall, by label and by language, as Markdown tables."""
    wanted = [t for t in tables(scores) if t.title.startswith(("overall", "by label, F1", "by language", "ceiling"))]
    parts = [
        f"### {_escaped(title)}",
        _escaped(header(scores)) + ".",
        *(_markdown(t) for t in wanted if t.rows),
        *NOTES,
    ]
    return "\n\n".join(parts) + "\n"


def _markdown(table: Table) -> str:
    lines = [[table.title, *map(_escaped, table.head[1:])], ["---", *["---:"] * (len(table.head) - 1)]]
    lines += [[_escaped(cell) if isinstance(cell, str) else show(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _escaped(text: str) -> str:
    """Text in one line that means nothing to Markdown or HTML."""
    entities = html.escape(plain(text), quote=False)
    return "".join("\\" + c if c in "\\`*_[]|#~$" else c for c in entities)


def comparison_text(comparison: Comparison) -> str:
    """B against A, by mode and by label."""
    s = comparison.settings
    first = (
        f"{s['documents']} documents, {s['gold_spans']} gold spans; matching {s['matching']}; draws over "
        f"{s['resampled']}: {s['resamples']}, seed {s['seed']}"
    )
    head = ["", "A", "B", "B - A", "p (bootstrap)", "p (randomisation)"]
    groups = [("overall, F1", {"": comparison.overall})]
    groups.append(("by label, F1", dict(comparison.by_label)))
    parts = [first]
    for title, group in groups:
        rows: list[list[Cell]] = [
            [
                f"{name} {mode}".strip(),
                one.a.f1,
                one.b.f1,
                Figure(one.difference, one.ci95),
                one.p_bootstrap,
                one.p_randomisation,
            ]
            for name, by_mode in group.items()
            for mode, one in by_mode.items()
        ]
        parts.append(table_text(title, head, rows))
    parts.append(
        "In brackets the 95% interval of the difference (paired bootstrap). p: how often chance alone gives a "
        "difference as great, two-sided; several comparisons at once need a stricter level than 0.05."
    )
    return "\n\n".join(part for part in parts if part) + "\n"


@dataclass(frozen=True, slots=True)
class Reading:
    """One side of an error in its sentence: label and attributes, and the sentence in three pieces around the span."""

    label: str
    attributes: str
    before: str
    marked: str
    after: str


@dataclass(frozen=True, slots=True)
class Error:
    """A gold span and a prediction that differ, or one of them alone."""

    kind: str
    doc_id: str
    language: str
    direction: str
    start: int
    end: int
    gold: Reading | None
    predicted: Reading | None


def errors(scores: Scores, most: int = MOST_CASES) -> tuple[list[Error], dict[str, int]]:
    """The errors in order of place, at most so many of them; and how many there are of each kind.

    None where the documents were too many to be held at once.
    """
    if scores.sides is None or scores.pairs is None:
        return [], dict.fromkeys(ERRORS, 0)
    gold, predicted = scores.sides.gold, scores.sides.predictions
    i, j = scores.pairs
    kinds = np.where(gold.spans.label[i] == predicted.spans.label[j], 1, 0) + 2 * (
        (gold.spans.start[i] == predicted.spans.start[j]) & (gold.spans.end[i] == predicted.spans.end[j])
    )
    names = np.array(["both", "boundary", "label", ""], object)[kinds]
    names[(kinds == 3) & _attributes_differ(gold, predicted, i, j)] = "attribute"
    paired = [(str(k), int(a), int(b)) for k, a, b in zip(names, i, j, strict=True) if k]
    alone = [("missed", int(row), -1) for row in np.setdiff1d(np.arange(len(gold.spans)), i)]
    alone += [("spurious", -1, int(row)) for row in np.setdiff1d(np.arange(len(predicted.spans)), j)]
    every = paired + alone
    counts = {kind: sum(1 for one in every if one[0] == kind) for kind in ERRORS}

    def place(one: tuple[str, int, int]) -> tuple[int, int, int]:
        side, row = (gold, one[1]) if one[1] >= 0 else (predicted, one[2])
        return int(side.spans.document[row]), int(side.spans.start[row]), int(side.spans.end[row])

    found: list[Error] = []
    texts: dict[int, tuple[str, list[int], str]] = {}
    for kind, a, b in sorted(every, key=place)[:most]:
        document = place((kind, a, b))[0]
        language = gold.languages[document].as_py() or ""
        if document not in texts:
            text = gold.texts[document].as_py() or ""
            starts = [start for start, _ in Language(language or "en").sentences(text)]
            texts[document] = text, [0, *starts[1:], len(text)], direction_of(text)
        text, starts, direction = texts[document]
        bounds = [
            (int(side.spans.start[row]), int(side.spans.end[row]))
            for side, row in ((gold, a), (predicted, b))
            if row >= 0
        ]
        start, end = min(one[0] for one in bounds), max(one[1] for one in bounds)
        left = max((one for one in starts if one <= start), default=0)
        right = min((one for one in starts if one >= end), default=len(text))
        readings = [_reading(side, row, text, left, right) for side, row in ((gold, a), (predicted, b))]
        doc_id = gold.doc_ids[document].as_py()
        found.append(Error(kind, doc_id, language, direction, start, end, readings[0], readings[1]))
    return found, counts


def _figure(by_mode: ByMode) -> Figure:
    return Figure(by_mode["strict"].f1, by_mode["strict"].ci95)


def _attributes_differ(gold: Extraction, predicted: Extraction, i: Any, j: Any) -> Any:
    differ = np.zeros(len(i), bool)
    for name in gold.attributes.keys() & predicted.attributes.keys() - set(ABOUT_GOLD):
        ours = np.array(gold.attributes[name].take(i).to_pylist(), object)
        theirs = np.array(predicted.attributes[name].take(j).to_pylist(), object)
        differ |= ours != theirs
    return differ


def _reading(side: Extraction, row: int, text: str, left: int, right: int) -> Reading | None:
    if row < 0:
        return None
    start, end = int(side.spans.start[row]), int(side.spans.end[row])
    values = {name: values[row].as_py() for name, values in sorted(side.attributes.items())}
    attributes = ", ".join(
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in values.items()
        if value is not None and name not in ABOUT_GOLD
    )
    pieces = text[left:start].lstrip(), text[start:end], text[end:right].rstrip()
    return Reading(side.labels[side.spans.label[row]], attributes, *pieces)


def scores_html(scores: Scores, title: str, scheme: Scheme | None = None) -> str:
    """One page without anything from elsewhere."""
    colors = {label.name: label.color for label in scheme.labels} if scheme else {}
    labels = scores.sides.gold.labels if scores.sides else scores.settings["labels"]
    palette = {name: colors.get(name) or PALETTE[row % len(PALETTE)] for row, name in enumerate(labels)}
    shown, counts = errors(scores)
    bars = {
        "Strict F1 by label": [(name, _figure(found)) for name, found in scores.by_label.items()],
        "Strict F1 by language": [(name or "not given", _figure(found)) for name, found in scores.by_language.items()],
    }
    return (
        environment()
        .get_template("scores.html")
        .render(
            title=title,
            header=header(scores),
            scores=scores,
            modes=MODES,
            tables=list(tables(scores)),
            notes=NOTES,
            kinds=ERRORS,
            counts=counts,
            errors=shown,
            hidden=sum(counts.values()) - len(shown),
            palette=palette,
            bars=bars,
            findings=scores.findings,
            plot=plot,
        )
    )
