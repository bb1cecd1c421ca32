"""How far annotators agree, with 95% bootstrap intervals. Every figure's definition stands in `DEFINITIONS`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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
from testimonia.passes import Layout, Passes, Sides, part_of, passes_of
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
    "one annotator the first by (start, end) counts. By label: of that label alone. Who did not submit a document is "
    "absent from the continuum there.",
    "by_pair": "span F1 of two annotators over the documents that both submitted.",
    "confusion": "over every two annotators of a document, spans matched as for kappa, what is left then across "
    "labels: how often one said the label of the row and the other that of the column, in both directions.",
    "char_alpha": "Krippendorff's nominal alpha (Krippendorff 2004, section 11.3) over characters: within a span of "
    "the label or not.",
    "relation_f1": "as span F1, over relations: equal label, head and tail matched by label with any overlap, the "
    "closest spans first.",
    "kappa": "Cohen's kappa (Cohen 1960) on matched spans of one label, any overlap, the closest first; pairs where at "
    "least one has a value, no value being a value of its own; numbers are compared as numbers. For two annotators.",
    "alpha": "Krippendorff's nominal alpha (Krippendorff 2004, section 11.3) of the same values, for any number of "
    "annotators: a unit is the spans that matching joins, over all annotators, where at least one has a value.",
    "gamma": "gamma (Mathet, Widlöcher and Métivier 2015), alpha = beta = delta_empty = 1, per document; overall by "
    "pooled disorders. The expected disorder is the mean of 30 to 300 random continua, as many as bring it within 2%; "
    "there is no interval.",
    "ci95": "percentile bootstrap (Efron and Tibshirani 1993, section 13.3): from 20 documents on documents are drawn, "
    "else sentences; see `resampled`. An interval over sentences speaks of these documents, not of others like them.",
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
        records = [finding.as_json() for finding in self.findings]
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

    def group(rows: Ints, wanted: Blocks) -> _Group:
        rows = rows[layout.raters[rows] > 1]
        part, in_passes, blocks_there = layout.part(rows)
        if wanted == "auto":
            wanted = "documents" if len(rows) >= ENOUGH_DOCUMENTS else "sentences"
        drawn = part.block_document if wanted == "documents" else np.arange(len(part.block_document))
        part_units, unit_rows = part_of(units, in_passes)
        unitizing = alpha.unitizing(part, part_units, parts[unit_rows], drawn, len(passes.labels))
        return _Group(_added(counts.matrix[blocks_there], drawn), unitizing, blocks_there, drawn, wanted)

    language = np.array([document.language for document in passes.documents])
    everything = group(np.arange(len(passes.documents)), blocks)
    cases, links = cases_of(passes, sides, alignment)
    figures = {
        "annotators": list(passes.annotators),
        "documents": len(passes.documents),
        "compared": int((layout.raters > 1).sum()),
        "spans": len(passes.spans),
        "overall": _overall(counts, everything, resampling),
        "by_label": _by_label(passes, counts, everything, resampling),
        "by_language": {
            name: _overall(counts, group(np.flatnonzero(language == name), blocks), resampling)
            for name in sorted(set(language.tolist()))
        },
        "by_document": {
            document.doc_id: _overall(counts, group(np.array([row]), "sentences"), resampling)
            for row, document in enumerate(passes.documents)
        },
        "by_relation": _by_relation(passes, counts, everything, resampling),
        "attributes": _attributes(passes, sides, alignment, everything, resampling),
        "by_pair": _by_pair(passes, sides, earned, everything, resampling),
        "confusion": _confusion(passes, sides, alignment),
        "cases": dict(Counter(case.kind for case in cases)),
    }
    if not figures["by_pair"] and len(sides.first):
        message = f"more than {MAX_PAIRS} pairs; by_pair is left out, --annotator chooses some"
        findings.append(Finding("annotators", "pairs-left-out", message, "warning"))
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


@dataclass(frozen=True, slots=True)
class _Group:
    """Documents that two or more annotated: their counts over drawn blocks, and what is drawn.

    `blocks`: rows of their blocks in the layout; `drawn`: the drawn block of each.
    """

    counts: Floats
    unitizing: alpha.Unitizing
    blocks: Ints
    drawn: Ints
    resampled: str

    def gathered(self, matrix: Floats) -> Floats:
        """The rows of a matrix (a row per block of the layout) over the drawn blocks."""
        return _added(matrix[self.blocks], self.drawn)


def _added(matrix: Floats, drawn: Ints) -> Floats:
    """Rows added up where `drawn`, which rises, is the same."""
    if not len(drawn):
        return np.zeros((0, matrix.shape[1]))
    return np.add.reduceat(matrix, np.flatnonzero(np.diff(drawn, prepend=-1)), axis=0)


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

    def f1(self, *wanted: tuple[str, str, str | None]) -> Statistic:
        """2 * matched / total for each (matched, total, label or relation, or None for all)."""

        def of(what: str, name: str | None) -> list[int]:
            return [column for key, column in self.columns.items() if key[0] == what and name in (None, key[1])]

        columns = [(of(matched, name), of(total, name)) for matched, total, name in wanted]

        def statistic(sums: Floats) -> Floats:
            ratios = [2 * sums[:, above].sum(axis=1) / sums[:, below].sum(axis=1) for above, below in columns]
            return np.column_stack(ratios) if ratios else np.empty((len(sums), 0))

        return statistic


def _counts(passes: Passes, sides: Sides, alignment: Alignment, earned: Mapping[str, _Earned]) -> _Counts:
    """Everything that is earned, by block and label; relations by their label; the characters of each label."""
    layout = passes.layout
    blocks = len(layout.block_start)
    columns: dict[tuple[str, str], Floats] = {}
    for mode, found in earned.items():
        for row, name in enumerate(passes.labels):
            mine = found.label == row
            columns[mode, name] = added(found.block[mine], found.worth[mine], blocks)
    both, left, right = matched_relations(passes, sides, alignment)

    def blocks_of(relations: Spans) -> Ints:
        start = np.minimum(passes.spans.start[relations.start], passes.spans.start[relations.end])
        return layout.block_of(layout.document[both.first[relations.document]], start)

    matched = both.left.take(left)
    every = concatenated(both.left, both.right)
    for what, kind, block in (
        ("relations matched", matched.label, np.minimum(blocks_of(matched), blocks_of(both.right.take(right)))),
        ("relations", every.label, blocks_of(every)),
    ):
        for row, name in enumerate(passes.relation_labels):
            columns[what, name] = np.bincount(block[kind == row], minlength=blocks).astype(np.float64)
    for row, column in enumerate(alpha.characters(layout, passes.spans, len(passes.labels)).T):
        columns["characters", str(row)] = column
    return _Counts(np.column_stack(list(columns.values())), {key: row for row, key in enumerate(columns)})


def _overall(counts: _Counts, group: _Group, resampling: Resampling) -> Json:
    statistic = counts.f1(*((mode, "total", None) for mode in MODES), ("relations matched", "relations", None))
    figures = resampling.figures(group.counts, [*MODES, "relation_f1"], statistic)
    alphas = group.unitizing.alphas
    alpha_u = resampling.figures(group.unitizing.counts, ["alpha_u"], lambda sums: alphas(sums)[:, :1])
    return {
        "span_f1": {mode: figures[mode] for mode in MODES},
        **alpha_u,
        "relation_f1": figures["relation_f1"],
        "resampled": group.resampled,
    }


def _by_label(passes: Passes, counts: _Counts, group: _Group, resampling: Resampling) -> Json:
    labels = passes.labels
    keys = [(name, mode) for name in labels for mode in MODES]
    statistic = counts.f1(*((_WITHIN.get(mode, mode), "total", name) for name, mode in keys))
    figures = resampling.figures(group.counts, keys, statistic)
    alphas = group.unitizing.alphas
    alpha_u = resampling.figures(group.unitizing.counts, labels, lambda sums: alphas(sums)[:, 1:])
    columns = [column for (what, _), column in counts.columns.items() if what == "characters"]
    characters = resampling.figures(group.counts[:, columns], labels, alpha.character_alphas)
    return {
        name: {
            "span_f1": {mode: figures[name, mode] for mode in MODES},
            "alpha_u": alpha_u[name],
            "char_alpha": characters[name],
        }
        for name in labels
    }


def _by_relation(passes: Passes, counts: _Counts, group: _Group, resampling: Resampling) -> Json:
    names = passes.relation_labels
    statistic = counts.f1(*(("relations matched", "relations", name) for name in names))
    figures = resampling.figures(group.counts, names, statistic)
    return {name: {"f1": figure} for name, figure in figures.items()}


def _attributes(passes: Passes, sides: Sides, alignment: Alignment, group: _Group, resampling: Resampling) -> Json:
    """Kappa (two annotators) and alpha per attribute of a label, on spans matched by label.

    For kappa pairs, for alpha the groups of spans that the pairs join; those where nobody has a value are left out.
    """
    layout, spans = passes.layout, passes.spans
    i, j = alignment.same
    left, right = sides.left_rows[i], sides.right_rows[j]
    unit = components(passes, sides, (i, j))
    start = layout.block_of(layout.document[spans.document], spans.start)
    block = np.minimum(start[left], start[right])
    blocks = len(layout.block_start)
    coded = [dict(attributes) for attributes in passes.attributes]
    result: Json = {}
    for label, name in enumerate(passes.labels):
        rows = np.flatnonzero(spans.label == label)
        mine = spans.label[left] == label
        names = sorted({attribute for row in rows.tolist() for attribute in coded[row]})
        for attribute in names:
            codes: dict[Value | None, int] = {None: 0}
            column = np.zeros(len(spans), np.int64)
            column[rows] = [codes.setdefault(coded[row].get(attribute), len(codes)) for row in rows.tolist()]
            a, b = column[left[mine]], column[right[mine]]
            some = (a > 0) | (b > 0)
            pairs = alpha.pair_counts(a[some], b[some], block[mine][some], blocks, len(codes))
            valued = np.zeros(len(spans), bool)
            valued[unit[rows[column[rows] > 0]]] = True
            kept = rows[valued[unit[rows]]]
            units = alpha.unit_counts(unit[kept], column[kept], start[kept], blocks, len(codes))
            pairs, units = group.gathered(pairs), group.gathered(units)
            kappa = resampling.figures(pairs, ["kappa"], alpha.kappa, pairs[:, 0])
            if len(passes.annotators) != 2:
                kappa = {"kappa": Figure(None)}
            result[f"{name}.{attribute}"] = {
                **kappa,
                **resampling.figures(units, ["alpha"], alpha.value_alpha, units[:, 1:].sum(axis=1)),
                "agreed": int(pairs[:, 1].sum()),
                "compared": int(pairs[:, 0].sum()),
            }
    return result


def _by_pair(
    passes: Passes, sides: Sides, earned: Mapping[str, _Earned], group: _Group, resampling: Resampling
) -> Json:
    """Span F1 of every two annotators, overall and by label; nothing where there are more than MAX_PAIRS."""
    layout, names, labels = passes.layout, passes.annotators, passes.labels
    pair = layout.annotator[sides.first] * len(names) + layout.annotator[sides.second]
    kinds, of_pair = np.unique(pair, return_inverse=True)
    if len(kinds) > MAX_PAIRS:
        return {}
    number = np.zeros(len(layout.block_start), np.int64)
    number[group.blocks] = group.drawn
    blocks = int(group.drawn.max(initial=-1)) + 1
    shape = len(kinds), len(labels), blocks
    counts = {}
    for mode, found in earned.items():
        cell = (of_pair[found.pair] * shape[1] + found.label) * blocks + number[found.block]
        counts[mode] = added(cell, found.worth, shape[0] * shape[1] * blocks).reshape(shape)
    keys = [(name, mode) for name in ("", *labels) for mode in MODES]

    def statistic(sums: Floats) -> Floats:
        table = sums.reshape(len(sums), -1, len(_COLUMNS))
        return (2 * table[:, :, :-1] / table[:, :, -1:]).reshape(len(sums), len(keys))

    result = {}
    for row, kind in enumerate(kinds.tolist()):
        overall = [counts[mode][row].sum(axis=0) for mode in _COLUMNS]
        of_labels = [counts[_WITHIN.get(mode, mode)][row, label] for label in range(len(labels)) for mode in _COLUMNS]
        figures = resampling.figures(np.column_stack([*overall, *of_labels]), keys, statistic)
        by_label = {name: {"span_f1": {mode: figures[name, mode] for mode in MODES}} for name in labels}
        who = f"{names[kind // len(names)]} / {names[kind % len(names)]}"
        result[who] = {"span_f1": {mode: figures["", mode] for mode in MODES}, "by_label": by_label}
    return result


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


def none_of(labels: Sequence[str]) -> str:
    """A word for no label: `none`, in brackets where a label is called so."""
    word = "none"
    while word in labels:
        word = f"({word})"
    return word


def _confusion(passes: Passes, sides: Sides, alignment: Alignment) -> Json:
    """How often one said a label (or nothing) where the other said another, over all pairs, in both directions."""
    i, j = alignment.both
    size = len(passes.labels) + 1
    alone_left = np.delete(sides.left.label, i)
    alone_right = np.delete(sides.right.label, j)
    left = np.concatenate([sides.left.label[i], alone_left, np.full(len(alone_right), size - 1)])
    right = np.concatenate([sides.right.label[j], np.full(len(alone_left), size - 1), alone_right])
    table = np.bincount(left * size + right, minlength=size * size).reshape(size, size)
    names = [*passes.labels, none_of(passes.labels)]
    return {
        one: {other: int(table[a, b] + (table[b, a] if a != b else 0)) for b, other in enumerate(names)}
        for a, one in enumerate(names)
        if a < size - 1
    }
