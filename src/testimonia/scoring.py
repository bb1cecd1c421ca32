"""Scores of predictions against gold, with 95% intervals: what `score-predictions` prints.

Counts are made once per block of text; every interval is drawn from those counts. Nothing is matched twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from testimonia.clusters import ClaimScores, read_clusters, score_claims
from testimonia.errors import Finding, InputError
from testimonia.extraction import MOST_PLACES, Extraction
from testimonia.formats import read_gold, read_predictions, taggable, tokens_of
from testimonia.language import Language
from testimonia.matching import Floats, Ints, Pairs, Spans, added
from testimonia.measures import Accuracy, Interval, Key, Match, Score
from testimonia.offsets import Ends
from testimonia.partition import GROUPS, MOST, Part, is_large, parts_of
from testimonia.resampling import Figure, Resampling
from testimonia.scheme import Scheme
from testimonia.sides import Sides, Subset, sides_of
from testimonia.tallies import MODES, Blocks, Mask, Matching, Tally, aligned, tallies, within_labels
from testimonia.units import Unit

Json = dict[str, Any]
Drawn = Literal["auto", "documents", "sentences"]

FEW = 20  # below so many documents sentences are drawn
MOST_DOCUMENTS = 200  # with an interval of their own


ByMode = Mapping[str, Score]


@dataclass(frozen=True, slots=True)
class Scores:
    """What `score` returns; docs/scoring.md says what each is.

    `sides` is what was compared, `pairs` the rows of gold spans and predictions that stand for each other; neither is
    kept, and there are no figures by document, where the documents were too many to be held at once.
    """

    settings: Json
    overall: ByMode
    macro: Mapping[str, Mapping[str, Figure]]
    by_label: Mapping[str, ByMode]
    by_label_unfiltered: Mapping[str, ByMode]
    by_language: Mapping[str, ByMode]
    by_document: Mapping[str, ByMode]
    slices: Mapping[str, ByMode]
    attributes: Mapping[str, Mapping[str, Accuracy | Score]]
    linking: Mapping[str, Mapping[str, Accuracy | Score]]
    relations: Mapping[str, Score]
    by_relation: Mapping[str, Mapping[str, Score]]
    confusion: Mapping[str, Mapping[str, int]]
    ceiling: ByMode | None
    claims: Mapping[str, ClaimScores] | None
    findings: tuple[Finding, ...]
    sides: Sides | None = field(repr=False)
    pairs: Pairs | None = field(repr=False)

    def as_json(self) -> Json:
        """Everything but the columns, as dictionaries; docs/scoring.md has the shape."""

        def plain(value: Any) -> Any:
            if isinstance(value, Score | Accuracy | ClaimScores):
                return value.as_json()
            if isinstance(value, Figure):
                return {"f1": value.value, "ci95": value.ci95}
            if isinstance(value, Mapping):
                return {name: plain(inner) for name, inner in value.items()}
            return value

        names = [name for name in self.__slots__ if name not in ("findings", "sides", "pairs")]
        found = {name: plain(getattr(self, name)) for name in names}
        return found | {"findings": [finding.as_json() for finding in self.findings]}


def score(
    gold: object,
    predictions: object,
    *,
    matching: Matching = "best",
    labels: Sequence[str] = (),
    languages: Sequence[str] = (),
    mapping: Mapping[str, str] | None = None,
    scheme: Scheme | None = None,
    unit: Unit = "code-points",
    ends: Ends = "exclusive",
    model: str | None = None,
    claims: object = None,
    gold_claims: object = None,
    drawn: Drawn = "auto",
    resamples: int = 1000,
    seed: int = 1,
) -> Scores:
    """Scores of predictions against gold.

    Both may be a `datasets.Dataset`, an Arrow table, records (dictionaries with `doc_id` and `spans`), or a path;
    predictions also spaCy `Doc`s, entities by doc_id, or tags (see `testimonia.formats`). `mapping` renames predicted
    labels; `labels` and `languages` choose a part; `scheme` says which labels there may be. `claims` are predicted
    claims, a path or records (`testimonia.clusters`), compared with `gold_claims` or, without, with those of a gold
    that is a dataset folder. Raises InputError and FindingsError with all that is wrong; nothing is scored then.

    >>> gold = [{"doc_id": "d1", "language": "fr", "text": "Rome soutient Paris.",
    ...          "spans": [{"start": 0, "end": 4, "label": "ACTOR"}, {"start": 14, "end": 19, "label": "ACTOR"}]}]
    >>> predictions = [{"doc_id": "d1", "spans": [{"start": 0, "end": 4, "label": "ACTOR"}]}]
    >>> strict = score(gold, predictions).overall["strict"]
    >>> strict.correct, strict.missed, strict.precision, strict.recall
    (1, 1, 1.0, 0.5)
    >>> round(strict.f1, 3)
    0.667
    """
    checked(matching, drawn)
    known = tuple(scheme.label_names) if scheme else ()
    subset = Subset(as_names(labels), as_names(languages), mapping or {}, known, unit, ends)
    if is_large(gold) and isinstance(gold, str | Path) and isinstance(predictions, str | Path):
        if drawn == "sentences" or claims is not None:
            raise InputError(f"{gold}: has more than {MOST:,} documents; sentences and claims are for fewer")
        with parts_of(Path(gold), Path(predictions), model) as parts:
            return _score_parts(parts, subset, matching, Resampling(resamples, seed))
    truth = read_gold(gold)
    reading = read_predictions(predictions, truth, tokens_of(gold), model)
    sides = sides_of(truth, reading.extraction, subset)
    sides = replace(sides, findings=(*reading.findings, *sides.findings))
    clusters = None
    if claims is not None:
        clusters = score_claims(read_clusters(gold if gold_claims is None else gold_claims), read_clusters(claims))
    found = replace(score_sides(sides, matching, Resampling(resamples, seed), drawn), claims=clusters)
    if reading.tokens is None:
        return found
    reachable = replace(sides, predictions=taggable(sides.gold, reading, sides.subset.mapping))
    return replace(found, ceiling=score_sides(reachable, matching, Resampling(0), "documents").overall)


def checked(matching: str, drawn: str) -> None:
    """Raises InputError for what is none of the choices."""
    for name, value, choices in (("matching", matching, get_args(Matching)), ("drawn", drawn, get_args(Drawn))):
        if value not in choices:
            raise InputError(f"{name} = {value!r}: is none of {', '.join(choices)}")


def as_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names; a string is one."""
    return (names,) if isinstance(names, str) else tuple(names)


def score_sides(
    sides: Sides, matching: Matching = "best", resampling: Resampling | None = None, drawn: Drawn = "auto"
) -> Scores:
    """Every figure of two sides.

    `drawn`: what the bootstrap draws; `auto`: documents where there are twenty, else sentences. The sentences of a
    document have something in common, so that intervals over them are rather too narrow.
    """
    resampling = resampling or Resampling()
    sides = sides.in_order() if matching == "best" else sides
    layout = layout_of(sides.gold, drawn)
    counts, pairs = counted(sides, layout, matching)
    overall = {key: tally for key, tally in counts.items() if key[0] == "overall"}
    means = {mode: [k for k in counts if k[0] == "by_label" and k[2] == mode] for mode in MODES}
    scores, macro, unit = _drawn(counts, layout, resampling, drawn, means)
    drawn_units = {"overall": unit}
    by_language = {}
    for language, rows in _languages(sides.gold).items():
        blocks = np.isin(layout.document, rows)
        here = {key: tally.map(itemgetter(blocks)) for key, tally in overall.items()}
        found, _, drawn_units[language] = _drawn(here, layout.part(blocks), resampling, drawn)
        by_language[language] = _nested(found)["overall"][""]
    by_document, per_document = _by_document(sides.gold, overall, layout, resampling, drawn)
    return _scores(
        settings=_settings(sides, matching, resampling, by_language, drawn_units),
        nested=_nested(scores),
        macro={"labels": macro, "documents": per_document},
        by_language=by_language,
        by_document=by_document,
        confusion=_confusion(sides, pairs),
        findings=(*sides.findings, *_too_few(sides.gold, drawn_units)),
        sides=sides,
        pairs=pairs,
    )


def _settings(
    sides: Sides, matching: Matching, resampling: Resampling, languages: Iterable[str], drawn: Mapping[str, str]
) -> Json:
    return {
        "matching": matching,
        "labels": list(sides.subset.labels or sides.gold.labels[: sides.known]),
        "languages": list(sides.subset.languages or languages),
        "map": dict(sides.subset.mapping),
        "unit": sides.subset.unit,
        "ends": sides.subset.ends,
        "documents": len(sides.gold),
        "gold_spans": len(sides.gold.spans),
        "predicted_spans": len(sides.predictions.spans),
        "models": sorted(set(sides.predictions.models.drop_null().to_pylist())),
        "resampled": dict(drawn),
        "resamples": resampling.resamples,
        "seed": resampling.seed,
    }


def _scores(nested: Mapping[str, Mapping[str, Mapping[str, Score]]], **more: Any) -> Scores:
    return Scores(
        overall=nested["overall"][""],
        by_label=nested.get("by_label", {}),
        by_label_unfiltered=nested.get("by_label_unfiltered", {}),
        slices=nested.get("slices", {}),
        attributes=_accuracies(nested.get("attributes", {})),
        linking=_accuracies(nested.get("linking", {})),
        relations=nested.get("relations", {}).get("", {}),
        by_relation=nested.get("by_relation", {}),
        ceiling=None,
        claims=None,
        **more,
    )


def _score_parts(parts: Iterable[Part], subset: Subset, matching: Matching, resampling: Resampling) -> Scores:
    """Every figure but those by document, from sums over groups of documents: those are drawn.

    Documents fall into groups by chance, so that the sums of groups vary as those of so many documents at once do, and
    a draw of groups is as good as one of documents (random groups, Wolter 2007, chapter 2).
    """
    sums: dict[tuple[str, Key], Tally] = {}
    ratios = {mode: np.zeros((GROUPS, 2)) for mode in MODES}
    settings: Json = {}
    confusion: dict[str, Counter[str]] = {}
    findings: dict[str, list[Finding]] = {}
    spoken: set[str] = set()
    for part in parts:
        here = set(part.gold.languages.unique().to_pylist()) & set(subset.languages)
        spoken |= here
        sides = sides_of(part.gold, part.reading.extraction, replace(subset, languages=tuple(sorted(here))))
        if subset.languages and not here:
            continue  # its documents were checked
        sides = replace(sides, subset=subset)
        sides = sides.in_order() if matching == "best" else sides
        rows = np.flatnonzero(pc.is_in(part.gold.doc_ids, sides.gold.doc_ids).to_numpy(zero_copy_only=False))
        groups, size = part.groups[rows], len(sides.gold)
        layout = Layout(np.arange(size), np.zeros(size, np.int64), False)
        counts, pairs = counted(sides, layout, matching)
        overall = {key: tally for key, tally in counts.items() if key[0] == "overall"}
        languages = _languages(sides.gold)
        entries = [("", key, tally) for key, tally in counts.items()]
        for language, documents in languages.items():
            only = np.bincount(documents, minlength=size)
            entries += [(language, key, tally.times(only)) for key, tally in overall.items()]
        for language, key, tally in entries:
            summed = tally.summed(groups, GROUPS)
            sums[language, key] = sums[language, key].plus(summed) if (language, key) in sums else summed
        for (_, _, mode), tally in overall.items():
            above, below = fraction(tally)
            for column, values in enumerate((_ratio(above, below), (below > 0).astype(np.float64))):
                ratios[mode][:, column] += added(groups, values, GROUPS)
        one = _settings(sides, matching, resampling, languages, {})
        settings = _together(settings, one) if settings else one
        for gold, row in _confusion(sides, pairs).items():
            confusion.setdefault(gold, Counter()).update(row)
        for finding in (*part.reading.findings, *sides.findings):
            findings.setdefault(finding.id, []).append(finding)
    for language in set(subset.languages) - spoken:
        raise InputError(f"language {language!r}: no document of the gold is in it")
    there = np.arange(GROUPS)
    layout = Layout(there, there * 0, False)
    counts = {key: tally for (language, key), tally in sums.items() if not language}
    means = {mode: [k for k in counts if k[0] == "by_label" and k[2] == mode] for mode in MODES}
    scores, macro, _ = _drawn(counts, layout, resampling, "documents", means)
    by_language = {}
    for language in sorted({language for language, _ in sums} - {""}):
        own = {key: tally for (name, key), tally in sums.items() if name == language}
        by_language[language] = _nested(_drawn(own, layout, resampling, "documents")[0])["overall"][""]
    mean = {
        mode: resampling.figures(table, [mode], lambda sums: sums[:, :1] / sums[:, 1:])[mode]
        for mode, table in ratios.items()
    }
    settings["resampled"] = dict.fromkeys(["overall", *by_language], f"{GROUPS:,} random groups of documents")
    return _scores(
        settings=settings,
        nested=_nested(scores),
        macro={"labels": macro, "documents": mean},
        by_language=by_language,
        by_document={},
        confusion={gold: dict(row) for gold, row in confusion.items()},
        findings=(*(finding for some in findings.values() for finding in _first(some)), _many(settings["documents"])),
        sides=None,
        pairs=None,
    )


def _together(one: Json, other: Json) -> Json:
    found = dict(one)
    for name in ("documents", "gold_spans", "predicted_spans"):
        found[name] = one[name] + other[name]
    for name in ("labels", "languages", "models"):
        found[name] = sorted({*one[name], *other[name]}) if set(other[name]) - set(one[name]) else one[name]
    return found


def _many(documents: int) -> Finding:
    message = f"read in parts, for there are more than {MOST:,}: no figures by document, no list of errors"
    return Finding(f"{documents:,} documents", "documents-many", message, "warning")


def _first(findings: list[Finding]) -> list[Finding]:
    """The first hundred, and how many more there are."""
    more = len(findings) - MOST_PLACES
    return findings[:MOST_PLACES] + (
        [replace(findings[0], place="and more", message=f"{more} more of this kind")] if more > 0 else []
    )


def counted(sides: Sides, layout: Layout, matching: Matching) -> tuple[dict[Key, Tally], Pairs]:
    """The counts of everything, per block; and the pairs of gold spans and predictions that stand for each other."""
    gold, predictions = sides.gold, sides.predictions
    # Predictions with a label that the gold does not know lie in a document of their own, so that nothing pairs them.
    document = np.where(predictions.spans.label < sides.known, predictions.spans.document, len(gold))
    said = Spans(document, predictions.spans.start, predictions.spans.end, predictions.spans.label)
    blocks = Blocks(
        layout.block_of(gold.spans.document, gold.spans.start),
        layout.block_of(predictions.spans.document, predictions.spans.start),
        len(layout.document),
    )
    found = tallies(gold.spans, said, len(gold) + 1, len(gold.labels), matching, blocks)
    pairs = aligned(gold.spans, said)[0]
    counts: dict[Key, Tally] = {("overall", "", mode): tally for mode, tally in found.overall.items()}
    for kind, by_mode in (("by_label", found.filtered), ("by_label_unfiltered", found.unfiltered)):
        for number, label in enumerate(gold.labels[: sides.known]):
            counts |= {(kind, label, mode): by_mode[mode].map(itemgetter(number)) for mode in MODES}
    match = Match(gold, predictions, *within_labels(gold.spans, said), blocks)
    for measured in (match.slices(), match.attributes(), match.linking(), match.relations()):
        counts |= dict(measured)
    return counts, pairs


@dataclass(frozen=True, slots=True)
class Layout:
    """The blocks of a gold in order of place: (blocks,) the document of each, and where it starts."""

    document: Ints
    start: Ints
    by_sentence: bool

    def block_of(self, document: Ints, position: Ints) -> Ints:
        """Rows of the blocks that hold these positions."""
        if not self.by_sentence:
            return document
        width = int(max(self.start.max(initial=0), position.max(initial=0))) + 1
        keys = self.document * width + self.start
        return np.searchsorted(keys, document * width + position, side="right") - 1

    def part(self, blocks: Mask) -> Layout:
        """These blocks alone."""
        return Layout(self.document[blocks], self.start[blocks], self.by_sentence)

    def units(self, drawn: Drawn) -> tuple[Ints, str]:
        """What a bootstrap draws: the number of the unit that each block belongs to, and what the units are."""
        documents, number = np.unique(self.document, return_inverse=True)
        if not self.by_sentence or drawn == "documents" or (drawn == "auto" and len(documents) >= FEW):
            return number, "documents"
        return np.arange(len(self.document)), "sentences"


def layout_of(gold: Extraction, drawn: Drawn = "auto") -> Layout:
    """Sentences as blocks where they may be drawn: in up to 200 documents with a text, or where they are asked for."""
    numbers = np.arange(len(gold))
    few = len(gold) <= MOST_DOCUMENTS and gold.texts.null_count == 0
    if drawn == "sentences" and gold.texts.null_count:
        raise InputError("sentences cannot be drawn: the gold has no texts; draw documents")
    if drawn != "sentences" and not few:
        return Layout(numbers, np.zeros_like(numbers), False)
    texts, languages = gold.texts.to_pylist(), gold.languages.to_pylist()
    starts = [
        [0, *(start for start, _ in Language(language or "en").sentences(text)[1:])]
        for text, language in zip(texts, languages, strict=True)
    ]
    sizes = np.array([len(one) for one in starts], np.int64)
    flat = np.array([start for one in starts for start in one], np.int64)
    return Layout(np.repeat(numbers, sizes), flat, True)


def _drawn(
    counts: Mapping[Key, Tally],
    layout: Layout,
    resampling: Resampling,
    drawn: Drawn,
    means: Mapping[str, Sequence[Key]] | None = None,
) -> tuple[dict[Key, Score], dict[str, Figure], str]:
    """The scores of all counts and, for each name in `means`, the mean F1 of those keys; and what was drawn.

    A mean leaves out what is 0/0, in each draw as in the whole.
    """
    unit, what = layout.units(drawn)
    size = int(unit.max(initial=-1)) + 1
    keys = list(counts)
    columns = [added(unit, column, size) for key in keys for column in fraction(counts[key])]
    means = means or {}
    place = {key: number for number, key in enumerate(keys)}
    groups = [[place[key] for key in some] for some in means.values()]

    def values(sums: Floats) -> Floats:
        f1 = sums[:, 0::2] / sums[:, 1::2]
        defined = np.isfinite(f1)
        filled = np.where(defined, f1, 0.0)
        mean = [filled[:, some].sum(axis=1) / defined[:, some].sum(axis=1) for some in groups]
        return np.column_stack([f1, *mean])

    table = np.column_stack(columns) if columns else np.empty((size, 0))
    figures = resampling.figures(table, [*keys, *means], values)
    scores = {key: score_of(tally, figures[key].ci95) for key, tally in counts.items()}
    return scores, {name: figures[name] for name in means}, what


def fraction(tally: Tally) -> tuple[Floats, Floats]:
    """F1 as a fraction: twice the credit, by possible and actual; 0/0 where nothing tells what is spurious."""
    credit = (2 * tally.correct + tally.partial).astype(np.float64)
    if tally.spurious is None:
        return np.zeros_like(credit), np.zeros_like(credit)
    both = 2 * (tally.correct + tally.incorrect + tally.partial) + tally.missed + tally.spurious
    return credit, both.astype(np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    """The fraction, 0 where it is 0/0."""
    return np.divide(above, below, out=np.zeros(len(below)), where=below > 0)


def score_of(tally: Tally, ci95: Interval = None) -> Score:
    """The score of the sum of all counts."""
    return Score(
        int(tally.correct.sum()),
        int(tally.incorrect.sum()),
        int(tally.partial.sum()),
        int(tally.missed.sum()),
        None if tally.spurious is None else int(tally.spurious.sum()),
        ci95,
    )


def _nested(scores: Mapping[Key, Score]) -> dict[str, dict[str, dict[str, Score]]]:
    groups: dict[str, dict[str, dict[str, Score]]] = {}
    for (kind, name, mode), score in scores.items():
        groups.setdefault(kind, {}).setdefault(name, {})[mode] = score
    return groups


def _accuracies(found: Mapping[str, Mapping[str, Score]]) -> dict[str, dict[str, Accuracy | Score]]:
    return {
        name: {
            measure: score if measure == "strict" else Accuracy(score.correct, score.possible, score.ci95)
            for measure, score in measures.items()
        }
        for name, measures in found.items()
    }


def _languages(gold: Extraction) -> dict[str, Ints]:
    """The documents of each language."""
    codes = gold.languages.dictionary_encode()
    numbers = pc.fill_null(codes.indices, -1).to_numpy(zero_copy_only=False)
    names = codes.dictionary.to_pylist()
    return {names[number]: np.flatnonzero(numbers == number) for number in np.argsort(names)}


def _by_document(
    gold: Extraction, overall: Mapping[Key, Tally], layout: Layout, resampling: Resampling, drawn: Drawn
) -> tuple[dict[str, ByMode], dict[str, Figure]]:
    """Scores of each document that has anything to score, and the mean of their F1.

    Documents have intervals over their sentences where there are sentences; the mean has one where documents are drawn.
    """
    summed = {
        mode: tally.map(lambda counts: np.bincount(layout.document, counts, len(gold)).astype(np.int64))
        for (_, _, mode), tally in overall.items()
    }
    means = {}
    for mode, tally in summed.items():
        above, below = fraction(tally)
        defined = below > 0
        table = np.column_stack([_ratio(above, below), defined.astype(np.float64)])
        one = Layout(np.arange(len(gold)), np.zeros(len(gold), np.int64), False)
        draw = resampling if layout.units(drawn)[1] == "documents" and len(one.document) >= FEW else Resampling(0)
        means[mode] = draw.figures(table, [mode], lambda sums: sums[:, :1] / sums[:, 1:])[mode]
    rows = np.flatnonzero(fraction(summed["strict"])[1])
    names = gold.doc_ids.take(pa.array(rows)).to_pylist()
    found: dict[str, ByMode] = {}
    begin = np.searchsorted(layout.document, np.arange(len(gold) + 1))
    for row, name in zip(rows.tolist(), names, strict=True):
        if layout.by_sentence:
            here = slice(begin[row], begin[row + 1])
            counts = {key: tally.map(itemgetter(here)) for key, tally in overall.items()}
            part = Layout(layout.document[here], layout.start[here], True)
            found[name] = _nested(_drawn(counts, part, resampling, "sentences")[0])["overall"][""]
        else:
            found[name] = {mode: score_of(tally.map(itemgetter([row]))) for mode, tally in summed.items()}
    return found, means


def _confusion(sides: Sides, pairs: Pairs) -> dict[str, dict[str, int]]:
    """How many spans of the gold's label in the row were predicted with the label of the column."""
    labels, gold, predicted = sides.gold.labels, sides.gold.spans.label, sides.predictions.spans.label
    size = len(labels) + 1
    table = np.zeros((size, size), np.int64)
    np.add.at(table, (gold[pairs[0]], predicted[pairs[1]]), 1)
    table[:-1, -1] = np.bincount(gold, minlength=size - 1) - table[:-1, :-1].sum(axis=1)
    table[-1, :-1] = np.bincount(predicted, minlength=size - 1) - table[:-1, :-1].sum(axis=0)
    none = next(word for word in ("none", "(none)", "no span") if word not in labels)
    names = [*labels, none]
    return {one: dict(zip(names, table[row].tolist(), strict=True)) for row, one in enumerate(names)}


def _too_few(gold: Extraction, units: Mapping[str, str]) -> list[Finding]:
    """Where fewer than twenty documents are drawn, or their sentences."""
    sizes = {"overall": len(gold)} | {language: len(rows) for language, rows in _languages(gold).items()}
    if len(gold) < FEW:  # then every language has few, too
        sizes = {"overall": len(gold)}
    findings = []
    for name, size in sizes.items():
        if size < FEW:
            over = "sentences, which within a document are alike: intervals are rather too narrow"
            message = f"only {size} to draw from; " + (over if units[name] == "sentences" else "intervals mean little")
            place = "documents" if name == "overall" else f"documents in {name}"
            findings.append(Finding(place, "documents-too-few", message, "warning"))
    return findings
