"""Audits of gold: auditors look for errors in copies that carry planted ones; what is left over is estimated.

An audit is a folder: `<auditor>.jsonl`, the finds as the auditor gave them; `<auditor>.planted.json`, the errors that
the auditor's copy carried; `decisions.jsonl`, what the adjudicator made of each find that is no planted error, and of
what models suggested.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from testimonia.checks import check_gold
from testimonia.document import Document, Gold, Relation, Span, attributes_of
from testimonia.errors import InputError, errors_among
from testimonia.files import read_json
from testimonia.language import Language
from testimonia.scheme import Scheme

Json = dict[str, Any]
_Item = TypeVar("_Item")

# What can be wrong: a span is not there, should not be there, or its bounds, an attribute, its entity, a relation.
PROBLEMS = ("missing", "spurious", "bounds", "attribute", "entity", "relation")
PLANTED = ("missing", "bounds", "attribute", "entity", "relation")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_Z = 1.959963984540054  # of a 95% interval
_TRIES = 200


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Something that is wrong: in which document, with which label and bounds, and of which of PROBLEMS."""

    doc_id: str
    start: int
    end: int
    label: str
    problem: str

    def meets(self, other: Place) -> bool:
        """Whether both may speak of one error: overlapping bounds, one label, one problem.

        A span with wrong bounds is one that is missing and one that is spurious, so that these go together.
        """
        bounds = {"missing", "spurious", "bounds"}
        alike = self.problem == other.problem or {self.problem, other.problem} <= bounds
        same = (self.doc_id, self.label) == (other.doc_id, other.label)
        return same and alike and self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is still wrong by one way of estimating, with its 95% interval; None where it cannot be told."""

    value: float | None
    ci95: tuple[float, float] | None = None


def plant(
    golds: Sequence[Gold], count: int, seed: int, scheme: Scheme, languages: Mapping[str, Language]
) -> tuple[list[Gold], list[Place]]:
    """Copies of the gold with so many errors, kinds in turn, drawn with a seed; and where they are.

    No span carries two errors, and none is such that a check would tell. Raises InputError where the gold is too
    small for so many.
    """
    rng = np.random.default_rng(seed)
    changed = list(golds)
    touched: set[tuple[str, int, int, str]] = set()
    places: list[Place] = []
    kinds = [kind for kind, _ in zip(cycle(PLANTED), range(count), strict=False)]
    for kind in kinds:
        free = [
            (row, span)
            for row, gold in enumerate(changed)
            for span in gold.spans
            if (gold.document.doc_id, span.start, span.end, span.label) not in touched
        ]
        for _ in range(_TRIES if free else 0):
            row, span = _one(rng, free)
            gold = changed[row]
            language = languages[gold.document.language]
            worse = _spoilt(gold, span, kind, rng, scheme, language, golds)
            if worse is None or errors_among(check_gold(worse, scheme, language)):
                continue
            changed[row] = worse
            doc_id = gold.document.doc_id
            new = set(worse.spans) - set(gold.spans)
            touched |= {(doc_id, one.start, one.end, one.label) for one in (span, *new)}
            places.append(Place(doc_id, span.start, span.end, span.label, kind))
            break
        else:
            raise InputError(f"no place for error {len(places) + 1} of {count}; ask for fewer")
    return changed, sorted(places)


def _one(rng: np.random.Generator, items: Sequence[_Item]) -> _Item:
    return items[int(rng.integers(len(items)))]


def _spoilt(
    gold: Gold,
    span: Span,
    kind: str,
    rng: np.random.Generator,
    scheme: Scheme,
    language: Language,
    golds: Sequence[Gold],
) -> Gold | None:
    """The gold with an error of this kind at the span; None where there can be none."""
    if kind == "missing":
        return _exchanged(gold, span, None)
    if kind == "relation":
        return _relinked(gold, span, rng, scheme)
    if kind == "bounds":
        tokens = [token for token in language.tokens(gold.document.text) if token[1] > span.start - 40]
        starts = [start for start, _ in tokens if start < span.end and abs(start - span.start) < 25]
        ends = [end for _, end in tokens if end > span.start and abs(end - span.end) < 25]
        others = [(start, span.end) for start in starts if start != span.start]
        others += [(span.start, end) for end in ends if end != span.end]
        if not others:
            return None
        start, end = _one(rng, others)
        return _exchanged(gold, span, replace(span, start=start, end=end))
    values = dict(span.attributes)
    label = scheme.label(span.label)
    names = [a for a in label.attributes if a.type == ("entity" if kind == "entity" else "choice")] if label else []
    names = [a for a in names if a.name in values]
    if not names:
        return None
    attribute = _one(rng, names)
    if kind == "attribute":
        others_ = [value for value in attribute.values if value != values[attribute.name]]
    else:
        registry = scheme.registries[attribute.registry]
        seen = {str(dict(s.attributes).get(attribute.name)) for g in golds for s in g.spans}
        alike = registry[str(values[attribute.name])].kind
        others_ = sorted(name for name in seen & registry.keys() if registry[name].kind == alike)
        others_ = [name for name in others_ if name != values[attribute.name]]
    if not others_:
        return None
    other = values | {attribute.name: _one(rng, others_)}
    return _exchanged(gold, span, replace(span, attributes=attributes_of(other)))


def _exchanged(gold: Gold, span: Span, other: Span | None) -> Gold:
    """The gold with another span in the place of one, relations included; without it where there is no other."""
    new = {one: one for one in gold.spans} | {span: other}
    relations = [
        replace(relation, head=head, tail=tail)
        for relation in gold.relations
        if (head := new[relation.head]) and (tail := new[relation.tail])
    ]
    spans = sorted(one for one in new.values() if one)
    return replace(gold, spans=tuple(spans), relations=tuple(sorted(relations)), provenance=())


def _relinked(gold: Gold, span: Span, rng: np.random.Generator, scheme: Scheme) -> Gold | None:
    """The gold with one relation of the span left out, or led to another span of a label that it allows."""
    own = [relation for relation in gold.relations if relation.head == span]
    if not own:
        return None
    relation = _one(rng, own)
    rest = [other for other in gold.relations if other != relation]
    type_ = scheme.relation(relation.label)
    tails = [s for s in gold.spans if type_ and s.label in type_.tails and s not in (relation.tail, span)]
    if rng.random() < 0.5 and tails:
        nearest = sorted(tails, key=lambda s: abs(s.start - relation.tail.start))[:5]
        rest.append(replace(relation, tail=_one(rng, nearest)))
    return replace(gold, relations=tuple(sorted(rest)), provenance=())


def notated(gold: Gold) -> str:
    """The gold of a document for readers: the text with numbered marks, then what each is.

    `[Rome]¹ [accuse]²`, then `1. ACTOR kind=state entity=state-it` and `2. STANCE ...; holder 1 ACTOR`. Brackets of
    the text are doubled. Raises InputError where spans cross.
    """
    bounds = sorted({(span.start, span.end) for span in gold.spans}, key=lambda b: (b[0], -b[1]))
    number = {pair: index for index, pair in enumerate(bounds, 1)}
    text, open_, at = "", list[tuple[int, int]](), 0

    def copied(until: int) -> str:
        return gold.document.text[at:until].replace("[", "[[").replace("]", "]]")

    for position in sorted({edge for pair in bounds for edge in pair}):
        while open_ and open_[-1][1] == position:
            text, at = text + copied(position) + "]" + str(number[open_.pop()]).translate(_SUPERSCRIPTS), position
        for pair in [pair for pair in bounds if pair[0] == position]:
            if open_ and open_[-1][1] < pair[1]:
                raise InputError(f"{gold.document.doc_id}: the spans {open_[-1]} and {pair} cross; mend the gold first")
            text, at = text + copied(position) + "[", position
            open_.append(pair)
    text += copied(len(gold.document.text))
    lines = []
    for pair in bounds:
        items = [_told(span, gold.relations, number) for span in gold.spans if (span.start, span.end) == pair]
        lines.append(f"{number[pair]}. {' | '.join(items)}")
    return f"# {gold.document.doc_id}\n\n{text.strip()}\n\n" + "\n".join(lines) + "\n"


def _told(span: Span, relations: Iterable[Relation], number: Mapping[tuple[int, int], int]) -> str:
    values = [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in span.attributes]
    own = [r for r in sorted(relations) if r.head == span]
    arrows = [f"; {r.label} {number[r.tail.start, r.tail.end]} {r.tail.label}" for r in own]
    return " ".join([span.label, *values]) + "".join(arrows)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the adjudicator made of a candidate: who found it, whether it is an error, why."""

    place: Place
    by: tuple[str, ...]
    confirmed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """One round of audit: per auditor the finds and the planted errors, and the decisions."""

    finds: Mapping[str, tuple[Place, ...]]
    planted: Mapping[str, tuple[Place, ...]]
    decisions: tuple[Decision, ...]

    def recalled(self, auditor: str) -> int:
        """How many of the planted errors the auditor found."""
        return sum(any(find.meets(place) for find in self.finds[auditor]) for place in self.planted[auditor])

    def undecided(self) -> list[tuple[str, Place]]:
        """Finds that are no planted error and have no decision."""
        return [
            (auditor, find)
            for auditor, finds in sorted(self.finds.items())
            for find in finds
            if not any(find.meets(place) for place in self.planted[auditor])
            and not any(auditor in d.by and find.meets(d.place) for d in self.decisions)
        ]

    def confirmed(self, who: str) -> int:
        """How many errors, confirmed by the adjudicator, one found."""
        return sum(decision.confirmed and who in decision.by for decision in self.decisions)

    @property
    def errors(self) -> int:
        """How many errors were confirmed, whoever found them."""
        return sum(decision.confirmed for decision in self.decisions)


def capture_recapture(audit: Audit) -> Estimate:
    """Errors that neither of two auditors found, by Chapman (1951): (n1 + 1)(n2 + 1)/(m + 1) - 1 - (n1 + n2 - m).

    The interval is that of Chao (1987), log-normal in the number not found, with the variance of Seber (1970).
    None unless there are two auditors and a confirmed find. Errors that are alike hard for both make it too small.
    """
    if len(audit.finds) != 2:
        return Estimate(None)
    first, second = (audit.confirmed(name) for name in sorted(audit.finds))
    if not first + second:
        return Estimate(None)
    both = sum(d.confirmed and set(audit.finds) <= set(d.by) for d in audit.decisions)
    unseen = (first + 1) * (second + 1) / (both + 1) - 1 - (first + second - both)
    variance = (first + 1) * (second + 1) * (first - both) * (second - both) / ((both + 1) ** 2 * (both + 2))
    if unseen <= 0:
        return Estimate(0.0, (0.0, 0.0) if not variance else None)
    factor = math.exp(_Z * math.sqrt(math.log(1 + variance / unseen**2)))
    return Estimate(unseen, (unseen / factor, unseen * factor))


def by_recall(audit: Audit) -> Estimate:
    """Errors that auditors did not find, by their recall on the planted ones: found / recall - found.

    `found` are the confirmed errors of all auditors; an error is missed by all with the product of their chances to
    miss. The interval is Wilson's (1927) of the recall over all planted errors. Where no error was found it goes up to
    the number of errors that auditors of the least recall in it miss all of with a chance of 5%. None where nothing
    was recalled.
    """
    total = sum(map(len, audit.planted.values()))
    found = sum(d.confirmed and bool(set(d.by) & set(audit.finds)) for d in audit.decisions)
    if not total:
        return Estimate(None)
    recalled = sum(map(audit.recalled, audit.finds))
    low, high = wilson(recalled, total)

    def left(recall: float) -> float:
        together = 1 - (1 - recall) ** len(audit.finds)
        return found / together - found if together else math.inf

    if not recalled:
        return Estimate(None)
    if not found:
        return Estimate(0.0, (0.0, math.log(0.05) / (len(audit.finds) * math.log(1 - low))))
    return Estimate(left(recalled / total), (left(high), left(low)))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95% score interval of a proportion (Wilson 1927)."""
    share, square = successes / trials, _Z**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2)) / (1 + square / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


def read_audit(folder: Path, documents: Mapping[str, Document]) -> Audit:
    """The audit in a folder. Raises InputError for what cannot be read or is not in the text."""
    planted = {path.name.removesuffix(".planted.json"): path for path in sorted(folder.glob("*.planted.json"))}
    if not planted:
        raise InputError(f"{folder}: has no *.planted.json; is this the folder of an audit?")
    finds = {name: _places(folder / f"{name}.jsonl", documents) for name in planted}
    decisions = []
    for place, row in _rows(folder / "decisions.jsonl"):
        by, confirmed, reason = row.get("by"), row.get("confirmed"), row.get("reason")
        if not isinstance(by, list) or not by or not isinstance(confirmed, bool) or not isinstance(reason, str):
            raise InputError(f"{place}: a decision has by (a list of names), confirmed (true or false) and reason")
        decisions.append(Decision(_place(place, row, documents), tuple(map(str, by)), confirmed, reason))
    return Audit(finds, {name: _planted(path) for name, path in planted.items()}, tuple(decisions))


def planted_json(places: Iterable[Place], seed: int) -> Json:
    """What `<auditor>.planted.json` holds."""
    names = ("doc_id", "start", "end", "label", "problem")
    return {"seed": seed, "planted": [{name: getattr(place, name) for name in names} for place in places]}


def _planted(path: Path) -> tuple[Place, ...]:
    found = read_json(path)
    rows: Any = found.get("planted") if isinstance(found, dict) else None
    kinds = {"doc_id": str, "start": int, "end": int, "label": str, "problem": str}
    for row in rows if isinstance(rows, list) else [None]:
        values = row if isinstance(row, dict) else {}
        if values.keys() != kinds.keys() or not all(isinstance(values[name], kinds[name]) for name in kinds):
            raise InputError(f"{path}: planted is no list of entries with {', '.join(kinds)}; restore the file")
    return tuple(Place(**row) for row in rows)


def _places(path: Path, documents: Mapping[str, Document]) -> tuple[Place, ...]:
    return tuple(_place(place, row, documents) for place, row in _rows(path))


def _rows(path: Path) -> list[tuple[str, Json]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; restore the file") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}:{number}: is no JSON: {error}; mend the line") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number}: is no JSON object; mend the line")
        rows.append((f"{path}:{number}", row))
    return rows


def _place(where: str, row: Json, documents: Mapping[str, Document]) -> Place:
    """The place that a row names by document, label, quote and which occurrence of it (`n`, from 1)."""
    document, quote, number = documents.get(str(row.get("document"))), row.get("quote"), row.get("n")
    if document is None:
        raise InputError(f"{where}: document {row.get('document')!r} is not in the corpus")
    if row.get("problem") not in PROBLEMS:
        raise InputError(f"{where}: problem {row.get('problem')!r} is not one of {', '.join(PROBLEMS)}")
    if not isinstance(quote, str) or not quote or type(number) is not int or number < 1:
        raise InputError(f"{where}: needs quote, the words, and n, which occurrence of them from 1")
    start = -1
    for _ in range(number):
        start = document.text.find(quote, start + 1)
        if start < 0:
            raise InputError(f"{where}: {quote!r} does not occur {number} times in {document.doc_id}")
    return Place(document.doc_id, start, start + len(quote), str(row.get("label")), str(row["problem"]))


def residual(audit: Audit) -> Estimate:
    """The greater of both estimates: a lower bound of the errors left, since auditors of one kind miss alike."""
    both = [e for e in (capture_recapture(audit), by_recall(audit)) if e.value is not None]
    return max(both, key=lambda estimate: estimate.value or 0.0, default=Estimate(None))


def summary(audit: Audit) -> Json:
    """Everything about an audit, for machines."""

    def told(estimate: Estimate) -> Json:
        return {"value": estimate.value, "ci95": estimate.ci95}

    names = sorted({who for decision in audit.decisions for who in decision.by} | set(audit.finds))
    return {
        "by": {
            name: {
                "planted": len(audit.planted[name]) if name in audit.planted else None,
                "recalled": audit.recalled(name) if name in audit.planted else None,
                "candidates": sum(name in decision.by for decision in audit.decisions),
                "confirmed": audit.confirmed(name),
            }
            for name in names
        },
        "candidates": len(audit.decisions),
        "confirmed": audit.errors,
        "problems": dict(sorted(Counter(d.place.problem for d in audit.decisions if d.confirmed).items())),
        "undecided": len(audit.undecided()),
        "capture_recapture": told(capture_recapture(audit)),
        "by_recall": told(by_recall(audit)),
        "residual": told(residual(audit)),
    }


def summary_text(audit: Audit) -> str:
    """The same for people."""
    said = summary(audit)
    lines = []
    for name, own in said["by"].items():
        planted = f"{own['recalled']} of {own['planted']} planted errors found; " if own["planted"] is not None else ""
        lines.append(f"{name}: {planted}{own['confirmed']} of {own['candidates']} candidates confirmed")
    lines.append(f"all: {said['confirmed']} of {said['candidates']} candidates confirmed")
    for name, words in (
        ("capture_recapture", "errors left by capture-recapture (Chapman)"),
        ("by_recall", "errors left by recall on planted errors"),
        ("residual", "errors left, the greater (a lower bound)"),
    ):
        lines.append(f"{words}: {estimate_text(said[name]['value'], said[name]['ci95'])}")
    return "\n".join(lines) + "\n"


def estimate_text(value: float | None, ci95: tuple[float, float] | None) -> str:
    """`3.2 [1.1, 9.8]`, a dash where it cannot be told."""
    if value is None:
        return "-"
    return f"{value:.1f}" + (f" [{ci95[0]:.1f}, {ci95[1]:.1f}]" if ci95 else "")
