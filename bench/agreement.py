"""How fast agreement is measured, beside the package krippendorff. Run: .venv/bin/python bench/agreement.py

CPU seconds of one process, data in memory, imports not counted; each the best of three.
"""

from __future__ import annotations

import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import krippendorff
import numpy as np

from testimonia import alpha
from testimonia.agreement import measure_agreement
from testimonia.document import Annotation, Document, Relation, Span, Value
from testimonia.exports import Export, read_exports
from testimonia.matching import Spans
from testimonia.passes import Layout, Passes
from testimonia.scheme import Label, RelationType, Scheme

SEED = 20
LABELS = ("ACTOR", "QUANTITY", "STANCE", "SOURCE")
ATTRIBUTES: dict[str, tuple[Value, ...]] = {"kind": tuple("abcdef"), "value": tuple(map(float, range(20)))}
DKPRO = 32.6  # seconds that DKPro Statistics took for 53,894 units, on another machine
_T = TypeVar("_T")


def best(run: Callable[[], _T], times: int = 3) -> tuple[float, _T]:
    seconds = []
    for _ in range(times):
        start = time.process_time()
        result = run()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def workload(annotators: int, documents: int, spans: int) -> Export:
    """Articles of 30 sentences; annotators drop, shift, relabel a tenth each and change a tenth of the attributes."""
    rng = random.Random(SEED)
    texts, annotations = [], []
    for number in range(documents):
        text = " ".join("W" + "x" * rng.randint(20, 160) + "." for _ in range(30))
        document = Document(f"d-{number:05}", "fr", text)
        texts.append(document)
        gold = [draw(rng, len(text)) for _ in range(spans)]
        pairs = [rng.sample(range(spans), 2) for _ in range(spans // 4)]
        for annotator in range(annotators):
            own = {nth: noisy(rng, span, len(text)) for nth, span in enumerate(gold) if rng.random() > 0.1}
            relations = {Relation("holder", own[a], own[b]) for a, b in pairs if a in own and b in own}
            kept = tuple({(s.start, s.end, s.label): s for s in own.values()}.values())
            known = set(kept)
            arrows = tuple(r for r in relations if {r.head, r.tail} <= known)
            annotations.append(Annotation(document.doc_id, f"a{annotator}", "submitted", kept, arrows))
    scheme = Scheme(
        "bench",
        "1",
        tuple(Label(name, "", "", "", ()) for name in LABELS),
        (RelationType("holder", "", LABELS, LABELS, 0),),
    )
    return Export(tuple(texts), tuple(annotations), scheme, ())


def draw(rng: random.Random, length: int) -> Span:
    start, label = rng.randrange(length - 40), rng.choice(LABELS)
    values = tuple((name, rng.choice(kinds)) for name, kinds in ATTRIBUTES.items())
    return Span(start, start + rng.randint(3, 35), label, values)


def noisy(rng: random.Random, span: Span, length: int) -> Span:
    start, end, label, attributes = span.start, span.end, span.label, span.attributes
    if rng.random() < 0.1:
        start, end = max(0, start + rng.randint(-3, 3)), min(length, end + rng.randint(4, 8))
    if rng.random() < 0.1:
        label = rng.choice(LABELS)
    if rng.random() < 0.1:
        attributes = tuple((name, rng.choice(kinds)) for name, kinds in ATTRIBUTES.items())
    return Span(start, end, label, attributes)


def as_tasks(export: Export) -> list[dict[str, object]]:
    """The workload as a JSON export of Label Studio."""
    by_document: dict[str, list[Annotation]] = {}
    for annotation in export.annotations:
        by_document.setdefault(annotation.doc_id, []).append(annotation)
    return [
        {
            "id": number,
            "data": {"doc_id": document.doc_id, "language": "fr", "text": document.text},
            "annotations": [entry(document, annotation) for annotation in by_document[document.doc_id]],
        }
        for number, document in enumerate(export.documents)
    ]


def entry(document: Document, annotation: Annotation) -> dict[str, object]:
    ids = {span: f"r{number}" for number, span in enumerate(annotation.spans)}
    results: list[dict[str, object]] = []
    for span, region in ids.items():
        bounds = {"start": span.start, "end": span.end, "text": document.text[span.start : span.end]}
        common = {"id": region, "to_name": "text"}
        results.append(common | {"from_name": "label", "type": "labels", "value": bounds | {"labels": [span.label]}})
        for name, value in span.attributes:
            kind, key = ("number", "number") if isinstance(value, float) else ("choices", "choices")
            said = value if isinstance(value, float) else [value]
            results.append(common | {"from_name": f"{name}", "type": kind, "value": bounds | {key: said}})
    results += [
        {"type": "relation", "from_id": ids[r.head], "to_id": ids[r.tail], "direction": "right", "labels": [r.label]}
        for r in annotation.relations
    ]
    return {"completed_by": annotation.annotator, "result": results}


def continuum(units: int, raters: int) -> tuple[Layout, Spans, int]:
    """One long continuum: this many units over all raters, of four labels."""
    rng = np.random.default_rng(SEED)
    each = units // raters + (np.arange(raters) < units % raters)
    length = 40 * int(each.max())
    starts = np.sort(rng.choice(length // 20 - 1, size=int(each.max()), replace=False)) * 20
    labels = rng.integers(0, 4, len(starts))
    rows = []
    for rater, count in enumerate(each.tolist()):
        start = starts[:count] + rng.integers(0, 6, count)
        label = np.where(rng.random(count) < 0.1, rng.integers(0, 4, count), labels[:count])
        rows.append(np.column_stack([np.full(count, rater), start, start + rng.integers(2, 14, count), label]))
    columns = np.concatenate(rows)
    one = np.zeros(raters, np.int64)
    layout = Layout(np.array([length]), one, np.arange(raters), one[:1], one[:1])
    return layout, Spans(*columns.T.copy()), length


def alpha_u(layout: Layout, units: Spans) -> float:
    kept = alpha.disjoint(units)
    parts = alpha.observed(layout, kept, 4)
    counted = alpha.unitizing(layout, kept, parts, np.zeros(1, np.int64), 4)
    return float(counted.alphas(counted.counts)[0, 0])


def character_alpha(layout: Layout, units: Spans) -> list[float]:
    counts = alpha.characters(layout, units, 4).sum(axis=0, keepdims=True)
    return [float(value) for value in alpha.character_alphas(counts)[0]]


def by_krippendorff(passes: Passes) -> list[float]:
    """A table of raters x characters for each label, as the package takes it."""
    layout, spans = passes.layout, passes.spans
    base = np.cumsum(layout.lengths) - layout.lengths
    table = np.zeros((4, len(passes.annotators), int(layout.lengths.sum())))
    for number, start, end, label in zip(
        *(column.tolist() for column in (spans.document, spans.start, spans.end, spans.label)), strict=True
    ):
        line = base[layout.document[number]]
        table[label, layout.annotator[number], line + start : line + end] = 1
    return [float(krippendorff.alpha(rows, level_of_measurement="nominal")) for rows in table]


def main() -> None:
    names = ("numpy", "scipy", "krippendorff", "testimonia")
    print(
        f"python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names), f"seed {SEED}"
    )
    export = workload(10, 200, 30)
    spans = sum(len(annotation.spans) for annotation in export.annotations)
    seconds, found = best(lambda: measure_agreement(export, {}))
    strict = found.figures["overall"]["span_f1"]["strict"]
    print(f"\n10 annotators x 200 documents x 30 spans ({spans} spans), all figures and intervals but gamma")
    print(f"  measured in {seconds:.2f} s (target: under 2 s); strict F1 {strict.value:.3f} {strict.ci95}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.json"
        path.write_text(json.dumps(as_tasks(export)))
        seconds, read = best(lambda: read_exports([path]))
        same = measure_agreement(read, {}).figures["overall"]["span_f1"]["strict"] == strict
        print(f"  reading its JSON export ({path.stat().st_size / 1e6:.0f} MB): {seconds:.2f} s; same figure: {same}")
    layout, units, length = continuum(53_894, 2)
    seconds, value = best(lambda: alpha_u(layout, units))
    print(f"\nalpha_U, {len(units)} units of 2 raters over {length} places: {value:.12f}")
    print(f"  {seconds:.3f} s (target: under 0.33 s); DKPro Statistics: {DKPRO} s on another machine")
    passes = found.passes
    ours, values = best(lambda: character_alpha(passes.layout, passes.spans))
    theirs, expected = best(lambda: by_krippendorff(passes))
    error = max(abs(a - b) for a, b in zip(values, expected, strict=True))
    print(f"\ncharacter alpha of 4 labels, {len(passes.spans)} spans over {passes.layout.lengths.sum()} characters")
    print(
        f"  {ours:.4f} s, krippendorff {theirs:.3f} s (its table included): {theirs / ours:.0f} times (target: 50); "
        f"greatest difference {error:.0e}"
    )
    if error > 1e-12:
        sys.exit("the two do not agree")


if __name__ == "__main__":
    main()
