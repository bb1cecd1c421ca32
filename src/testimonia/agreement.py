"""How far annotators agree, with 95% bootstrap intervals. Every figure's definition stands in `DEFINITIONS`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from testimonia import alpha
from testimonia.cases import Alignment, Case, Link, aligned, cases_of, components, matched_relations
from testimonia.document import Value
from testimonia.errors import Finding
from testimonia.exports import Export
from testimonia.gamma import gammas
from testimonia.language import Language
from testimonia.matching import Floats, Ints, Pairs, Spans, added, concatenated, equal, most, overlapping
from testimonia.passes import Layout, Passes, Sides, passes_of
from testimonia.resampling import Figure, Resampling, Statistic

Json = dict[str, Any]
Blocks = Literal["auto", "documents", "sentences"]

MODES = ("strict", "exact", "partial", "type")
_COLUMNS = (*MODES, "total")
_DEFAULT = Resampling()
_WITHIN = {"exact": "strict", "partial": "partial within"}  # what earns within one label
ENOUGH_DOCUMENTS = 20  # from so many on, documents are drawn; below, sentences
MAX_PAIRS = 100  # of annotators, for the table of pairs

DEFINITIONS = {
    "span_f1": "2 * matched / (spans of both), over every two annotators of a document, pooled: pairwise F1 "
    "(Hripcsak and Rothschild 2005). Modes as in SemEval-2013 task 9.1: strict = bounds and label, exact = bounds, "
    "partial = equal bounds 1, any overlap 0.5, type = any overlap with the same label; one to one, the most that "
    "can be matched. exact and partial do not look at the label; in the table by label both sides are of that label.",
    "alpha_u": "Krippendorff's alpha for unitizing (Krippendorff 1995), over labels: 1 - sum of observed / sum of "
    "expected disagreement; documents in order of doc_id as one continuum. Of spans of one label that overlap within "
    "one annotator the first by (start, end) counts. By label: of that label alone.",
    "char_alpha": "Krippendorff's nominal alpha (Krippendorff 2004, section 11.3) over characters: within a span of "
    "the label or not.",
    "relation_f1": "as span F1, over relations: equal label, head and tail matched by label with any overlap, the "
    "closest spans first.",
    "kappa": "Cohen's kappa (Cohen 1960) on matched spans of one label, any overlap, the closest first; pairs where at "
    "least one has a value, no value being a value of its own; numbers are compared as numbers. For two annotators.",
    "alpha": "Krippendorff's nominal alpha on the same values; for any number of annotators.",
    "gamma": "gamma (Mathet, Widlöcher and Métivier 2015), alpha = beta = delta_empty = 1, per document; overall by "
    "pooled disorders. No interval: the expected disorder is sampled.",
    "ci95": "percentile bootstrap: documents are drawn where there are enough, else sentences; see `resampled`.",
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What `measure_agreement` found. `figures` has the shape of the JSON; leaves are Figures and counts."""

    figures: Json
    cases: tuple[Case, ...]
    links: tuple[Link, ...]
    passes: Passes = field(repr=False)
    findings: tuple[Finding, ...]

    def as_json(self) -> Json:
        """Figures as `{"value": x, "ci95": [low, high]}` with None where not defined; the findings as records."""
        records = [{"id": f.id, "severity": f.severity, "place": f.place, "message": f.message} for f in self.findings]
        disagreements = {"disagreements": {"frequent": frequent(self), "only_one": only_one(self)}}
        plain: Json = _plain(self.figures)
        return plain | disagreements | {"definitions": DEFINITIONS, "findings": records}


def _plain(value: Any) -> Any:
    if isinstance(value, Figure):
        return {"value": value.value, "ci95": list(value.ci95) if value.ci95 else None}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def measure_agreement(
    source: Export,
    languages: Mapping[str, Language],
    resampling: Resampling = _DEFAULT,
    blocks: Blocks = "auto",
    with_gamma: bool = False,
) -> Agreement:
    """Agreement over the submitted annotations, overall, by label, language, document, attribute and pair.

    `languages` by code give the sentences that a bootstrap draws. Bad input makes findings; what cannot be computed
    is None. One thread: the matrices are many and small.
    """
    with threadpool_limits(limits=1):
        return _measured(source, languages, resampling, blocks, with_gamma)


def _measured(
    source: Export, languages: Mapping[str, Language], resampling: Resampling, blocks: Blocks, with_gamma: bool
) -> Agreement:
    scheme = source.scheme
    passes, found = passes_of(
        source.documents, source.annotations, scheme.label_names, scheme.relation_names, languages
    )
    findings = [*source.findings, *found]
    layout = passes.layout
    sides = layout.sides(passes.spans)
    alignment = aligned(sides, len(passes.labels))
    units = alpha.disjoint(passes.spans)
    findings += _overlaps(passes, units)
    parts = alpha.observed(layout, units, len(passes.labels))
    earned = _earned(layout, sides)
    counts = _counts(passes, sides, alignment, earned)

    def figures_of(mask: Any, wanted: Blocks) -> tuple[Json, Ints, alpha.Unitizing]:
        drawn, resampled = _drawn(layout, mask, wanted)
        unitizing = alpha.unitizing(layout, units, parts, drawn, len(passes.labels))
        return _overall(counts, unitizing, drawn, resampling) | {"resampled": resampled}, drawn, unitizing

    language = np.array([document.language for document in passes.documents])
    overall, drawn, unitizing = figures_of(np.ones(len(passes.documents), bool), blocks)
    cases, links = cases_of(passes, sides, alignment)
    figures = {
        "annotators": list(passes.annotators),
        "documents": len(passes.documents),
        "compared": int((layout.raters > 1).sum()),
        "spans": len(passes.spans),
        "overall": overall,
        "by_label": _by_label(passes, counts, unitizing, drawn, resampling),
        "by_language": {name: figures_of(language == name, blocks)[0] for name in sorted(set(language.tolist()))},
        "by_document": {
            document.doc_id: figures_of(np.arange(len(language)) == row, "sentences")[0]
            for row, document in enumerate(passes.documents)
        },
        "by_relation": _by_relation(passes, counts, drawn, resampling),
        "attributes": _attributes(passes, sides, alignment, drawn, resampling),
        "by_pair": _by_pair(passes, sides, earned, drawn, resampling),
        "confusion": _confusion(passes, sides, alignment),
        "cases": dict(Counter(case.kind for case in cases)),
    }
    if with_gamma:
        figures["gamma"], found = gammas(passes, resampling.seed)
        findings += found
    return Agreement(figures, tuple(cases), tuple(links), passes, tuple(findings))


def _overlaps(passes: Passes, units: Spans) -> list[Finding]:
    """A finding for each pass with spans that alpha_U cannot hold."""
    before = np.bincount(passes.spans.document, minlength=len(passes.layout.document))
    after = np.bincount(units.document, minlength=len(passes.layout.document))
    findings = []
    for row in np.flatnonzero(before > after).tolist():
        who = passes.annotators[passes.layout.annotator[row]]
        doc_id = passes.documents[passes.layout.document[row]].doc_id
        message = f"{who}: {before[row] - after[row]} spans overlap an earlier one of the same label"
        findings.append(Finding(doc_id, "alpha-u-overlap", message + "; alpha_U leaves them out", "warning"))
    return findings


def _drawn(layout: Layout, mask: Any, wanted: Blocks) -> tuple[Ints, str]:
    """The drawn block of each block of the layout, -1 outside `mask` (a bool per document), and what is drawn."""
    if wanted == "auto":
        wanted = "documents" if mask.sum() >= ENOUGH_DOCUMENTS else "sentences"
    inside = mask[layout.block_document]
    rank = np.cumsum(mask) - 1 if wanted == "documents" else None
    numbers = rank[layout.block_document] if rank is not None else np.cumsum(inside) - 1
    return np.where(inside, numbers, -1), wanted


@dataclass(frozen=True, slots=True)
class _Earned:
    """What pairs of spans earn in a mode, as columns: block of the layout, pair of passes, label, worth."""

    block: Ints
    pair: Ints
    label: Ints
    worth: Floats


def _earned(layout: Layout, sides: Sides) -> dict[str, _Earned]:
    """What is earned in each mode, in `partial` within a label, and what could be (`total`: the spans of both)."""
    left, right = sides.left, sides.right
    i, j = overlapping(left, right)
    same = left.label[i] == right.label[j]
    within = i[same], j[same]
    strict = equal(left, right)
    exact = equal(left.unlabelled, right.unlabelled)
    document = layout.document[sides.first]

    def earned(*credited: tuple[Pairs, float]) -> _Earned:
        i = np.concatenate([pairs[0] for pairs, _ in credited])
        j = np.concatenate([pairs[1] for pairs, _ in credited])
        worth = np.repeat([worth for _, worth in credited], [len(pairs[0]) for pairs, _ in credited])
        pair = left.document[i]
        block = layout.block_of(document[pair], np.minimum(left.start[i], right.start[j]))
        return _Earned(block, pair, left.label[i], worth)

    both = concatenated(left, right)
    every = layout.block_of(document[both.document], both.start)
    return {
        "strict": earned((strict, 1)),
        "exact": earned((exact, 1)),
        "partial": earned((exact, 1), (_rest((i, j), exact, left, right), 0.5)),
        "type": earned((most(within, len(left), len(right)), 1)),
        "partial within": earned((strict, 1), (_rest(within, strict, left, right), 0.5)),
        "total": _Earned(every, both.document, both.label, np.ones(len(both))),
    }


def _rest(pairs: Pairs, taken: Pairs, left: Spans, right: Spans) -> Pairs:
    """The most pairs one to one among those that touch no taken span."""
    free_left, free_right = np.ones(len(left), bool), np.ones(len(right), bool)
    free_left[taken[0]] = free_right[taken[1]] = False
    kept = free_left[pairs[0]] & free_right[pairs[1]]
    return most((pairs[0][kept], pairs[1][kept]), len(left), len(right))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts that add up: a row per block of the layout, columns by (what, label or relation)."""

    matrix: Floats
    columns: Mapping[tuple[str, str], int]

    def f1(self, matched: str, total: str, name: str | None = None) -> Statistic:
        """2 * matched / total, of one label or relation, or over all."""

        def of(what: str) -> list[int]:
            return [column for key, column in self.columns.items() if key[0] == what and name in (None, key[1])]

        above, below = of(matched), of(total)
        return lambda sums: 2 * sums[:, above].sum(axis=1) / sums[:, below].sum(axis=1)


def _counts(passes: Passes, sides: Sides, alignment: Alignment, earned: Mapping[str, _Earned]) -> _Counts:
    """Everything that is earned, by block and label; relations by their label; the characters of each label."""
    layout = passes.layout
    blocks = len(layout.block_start)
    columns: dict[tuple[str, str], Floats] = {}
    for mode, found in earned.items():
        for row, name in enumerate(passes.labels):
            mine = found.label == row
            columns[mode, name] = added(found.block[mine], found.worth[mine], blocks)
    both, matched, _ = matched_relations(passes, sides, alignment)
    for what, relations in (
        ("relations matched", both.left.take(matched)),
        ("relations", concatenated(both.left, both.right)),
    ):
        document = layout.document[both.first[relations.document]]
        block = layout.block_of(document, passes.spans.start[relations.start])
        for row, name in enumerate(passes.relation_labels):
            columns[what, name] = np.bincount(block[relations.label == row], minlength=blocks).astype(np.float64)
    for row, column in enumerate(alpha.characters(layout, passes.spans, len(passes.labels)).T):
        columns["characters", str(row)] = column
    return _Counts(np.column_stack(list(columns.values())), {key: row for row, key in enumerate(columns)})


def _gathered(matrix: Floats, drawn: Ints) -> Floats:
    """Rows of a matrix (a row per block) added up over drawn blocks; `drawn` rises where it is not -1."""
    rows = np.flatnonzero(drawn >= 0)
    if not len(rows):
        return np.zeros((0, matrix.shape[1]))
    first = np.flatnonzero(np.diff(drawn[rows], prepend=-1))
    return np.add.reduceat(matrix[rows], first, axis=0)


def _overall(counts: _Counts, unitizing: alpha.Unitizing, drawn: Ints, resampling: Resampling) -> Json:
    statistics = {mode: counts.f1(mode, "total") for mode in MODES}
    statistics["relation_f1"] = counts.f1("relations matched", "relations")
    figures = resampling.figures(_gathered(counts.matrix, drawn), statistics)
    alpha_u = resampling.figures(unitizing.counts, {"alpha_u": unitizing.alpha()})["alpha_u"]
    return {"span_f1": {m: figures[m] for m in MODES}, "alpha_u": alpha_u, "relation_f1": figures["relation_f1"]}


def _by_label(passes: Passes, counts: _Counts, unitizing: alpha.Unitizing, drawn: Ints, resampling: Resampling) -> Json:
    labels = passes.labels
    gathered = _gathered(counts.matrix, drawn)
    characters = gathered[:, [column for (what, _), column in counts.columns.items() if what == "characters"]]
    alpha_u = resampling.figures(unitizing.counts, {name: unitizing.alpha(row) for row, name in enumerate(labels)})
    character_alpha = resampling.figures(
        characters, {name: alpha.character_alpha(len(labels), row) for row, name in enumerate(labels)}
    )
    result = {}
    for name in labels:
        statistics = {mode: counts.f1(_WITHIN.get(mode, mode), "total", name) for mode in MODES}
        result[name] = {
            "span_f1": resampling.figures(gathered, statistics),
            "alpha_u": alpha_u[name],
            "char_alpha": character_alpha[name],
        }
    return result


def _by_relation(passes: Passes, counts: _Counts, drawn: Ints, resampling: Resampling) -> Json:
    statistics = {name: counts.f1("relations matched", "relations", name) for name in passes.relation_labels}
    figures = resampling.figures(_gathered(counts.matrix, drawn), statistics)
    return {name: {"f1": figure} for name, figure in figures.items()}


def _attributes(passes: Passes, sides: Sides, alignment: Alignment, drawn: Ints, resampling: Resampling) -> Json:
    """Kappa (two annotators) and alpha per attribute of a label, on spans matched by label."""
    layout = passes.layout
    i, j = alignment.same
    left, right = sides.left_rows[i], sides.right_rows[j]
    number = components(passes, sides, (i, j))
    sizes = np.bincount(number)
    weight = 1 / np.maximum(sizes[number[left]] - 1, 1) if len(left) else np.zeros(0)
    block = layout.block_of(layout.document[sides.first[sides.left.document[i]]], sides.left.start[i])
    blocks = len(layout.block_start)
    coded = [dict(attributes) for attributes in passes.attributes]
    result: Json = {}
    for label, name in enumerate(passes.labels):
        rows = np.flatnonzero(passes.spans.label == label)
        mine = passes.spans.label[left] == label
        names = sorted({attribute for row in rows.tolist() for attribute in coded[row]})
        for attribute in names:
            codes: dict[Value | None, int] = {None: 0}
            column = np.zeros(len(passes.spans), np.int64)
            column[rows] = [codes.setdefault(coded[row].get(attribute), len(codes)) for row in rows.tolist()]
            a, b = column[left[mine]], column[right[mine]]
            some = (a > 0) | (b > 0)
            counts = alpha.values(a[some], b[some], weight[mine][some], block[mine][some], blocks, len(codes))
            figures = resampling.figures(
                _gathered(counts, drawn), {"kappa": alpha.kappa(len(codes)), "alpha": alpha.value_alpha(len(codes))}
            )
            if len(passes.annotators) != 2:
                figures["kappa"] = Figure(None)
            result[f"{name}.{attribute}"] = {
                **figures,
                "agreed": int(counts[:, 1].sum()),
                "compared": int(counts[:, 0].sum()),
            }
    return result


def _by_pair(passes: Passes, sides: Sides, earned: Mapping[str, _Earned], drawn: Ints, resampling: Resampling) -> Json:
    """Span F1 of every two annotators, overall and by label; nothing where there are more than MAX_PAIRS."""
    layout, names, labels = passes.layout, passes.annotators, passes.labels
    pair = layout.annotator[sides.first] * len(names) + layout.annotator[sides.second]
    kinds, of_pair = np.unique(pair, return_inverse=True)
    if len(kinds) > MAX_PAIRS:
        return {}
    blocks = int(drawn.max(initial=-1)) + 1
    shape = len(kinds), len(labels), blocks
    counts = {}
    for mode, found in earned.items():
        cell = (of_pair[found.pair] * shape[1] + found.label) * blocks + drawn[found.block]
        counts[mode] = added(cell, found.worth, shape[0] * shape[1] * blocks).reshape(shape)
    result = {}
    for row, kind in enumerate(kinds.tolist()):
        overall = [counts[mode][row].sum(axis=0) for mode in _COLUMNS]
        of_labels = [counts[_WITHIN.get(mode, mode)][row, label] for label in range(len(labels)) for mode in _COLUMNS]
        matrix = np.column_stack([*overall, *of_labels])
        statistics = {
            (name, mode): _ratio(5 * nth + offset, 5 * nth + 4)
            for nth, name in enumerate(("", *labels))
            for offset, mode in enumerate(MODES)
        }
        figures = resampling.figures(matrix, statistics)
        by_label = {name: {"span_f1": {mode: figures[name, mode] for mode in MODES}} for name in labels}
        span_f1 = {mode: figures["", mode] for mode in MODES}
        who = f"{names[kind // len(names)]} / {names[kind % len(names)]}"
        result[who] = {"span_f1": span_f1, "by_label": by_label}
    return result


def _ratio(matched: int, total: int) -> Statistic:
    return lambda sums: 2 * sums[:, matched] / sums[:, total]


def frequent(agreement: Agreement, most: int = 20) -> list[Json]:
    """The most frequent disagreements: kind, what was said of it, text of the first reading, count, documents."""
    texts = {document.doc_id: document.text for document in agreement.passes.documents}
    found: dict[tuple[str, str, str], list[str]] = {}
    for case in agreement.cases:
        if case.absent or case.kind in ("attribute", "boundary", "label"):
            first = case.said[0][0]
            key = case.kind, case.labels, " ".join(texts[case.doc_id][first.start : first.end].lower().split())
            found.setdefault(key, []).append(case.doc_id)
    for link in agreement.links:
        if link.absent:
            head, tail = (texts[link.doc_id][end.start : end.end] for end in (link.head, link.tail))
            key = "relation", link.label, f"{head} > {tail}".lower()
            found.setdefault(key, []).append(link.doc_id)
    ranked = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"kind": kind, "labels": labels, "text": text, "count": len(where), "documents": sorted(set(where))}
        for (kind, labels, text), where in ranked[:most]
    ]


def only_one(agreement: Agreement) -> list[Json]:
    """The spans that only one annotator saw where others had the document: where, what, who."""
    texts = {document.doc_id: document.text for document in agreement.passes.documents}
    return [
        {
            "doc_id": case.doc_id,
            "start": span.start,
            "end": span.end,
            "label": span.label,
            "text": texts[case.doc_id][span.start : span.end],
            "annotator": who[0],
        }
        for case in agreement.cases
        if case.kind == "one" and case.absent
        for span, who in case.said
    ]


def _confusion(passes: Passes, sides: Sides, alignment: Alignment) -> Json:
    """How often one said a label (or nothing) where the other said another, over all pairs, in both directions."""
    i, j = alignment.both
    size = len(passes.labels) + 1
    alone_left = np.delete(sides.left.label, i)
    alone_right = np.delete(sides.right.label, j)
    left = np.concatenate([sides.left.label[i], alone_left, np.full(len(alone_right), size - 1)])
    right = np.concatenate([sides.right.label[j], np.full(len(alone_left), size - 1), alone_right])
    table = np.bincount(left * size + right, minlength=size * size).reshape(size, size)
    names = [*passes.labels, "none"]
    return {
        one: {other: int(table[a, b] + (table[b, a] if a != b else 0)) for b, other in enumerate(names)}
        for a, one in enumerate(names)
        if a < size - 1
    }
