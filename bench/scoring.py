"""How fast spans are scored, beside nervaluate. Run: .venv/bin/python bench/scoring.py [--large]

CPU seconds of one process, after imports, data in memory: columns for testimonia, lists of dictionaries for nervaluate.
All four modes, overall and by label. Best of three for testimonia, once for nervaluate.
"""

from __future__ import annotations

import platform
import sys
import time
from importlib.metadata import version

import numpy as np
from nervaluate import Evaluator

from testimonia.matching import Spans
from testimonia.tallies import MODES, Matching, Tallies, tallies

SEED = 20
LABELS = ("ACTOR", "QUANTITY", "STANCE", "SOURCE")
# Documents, gold spans each, characters each, longest span, target with --matching nervaluate and with best.
WORKLOADS = [(10_000, 30, 3000, 25, 100, 0), (1, 5000, 500_000, 25, 2000, 0), (200, 300, 3000, 60, 40, 10)]
LARGE = (100_000, 30, 3000, 25, 100, 0)


def workload(documents: int, spans: int, length: int, longest: int) -> tuple[Spans, Spans]:
    """Gold in order of place; of the predictions 70% are exact, 10% shifted, 10% relabelled, 10% missing."""
    rng = np.random.default_rng(SEED)
    size = documents * spans
    document = np.repeat(np.arange(documents), spans)
    start = np.sort(rng.integers(0, length, (documents, spans)), axis=1).ravel()
    end = start + rng.integers(1, longest + 1, size)
    label = rng.integers(0, len(LABELS), size)
    fate = rng.random(size)
    shifted, relabelled, kept = fate < 0.1, (fate >= 0.1) & (fate < 0.2), np.flatnonzero(fate < 0.9)
    begin = np.where(shifted, np.maximum(start + rng.integers(-3, 4, size), 0), start)
    stop = np.where(shifted, np.maximum(end + rng.integers(-3, 4, size), begin + 1), end)
    said = np.where(relabelled, rng.integers(0, len(LABELS), size), label)
    return Spans(document, start, end, label), Spans(document[kept], begin[kept], stop[kept], said[kept])


def as_lists(spans: Spans, documents: int) -> list[list[dict[str, object]]]:
    rows: list[list[dict[str, object]]] = [[] for _ in range(documents)]
    columns = (spans.document, spans.start, spans.end, spans.label)
    for document, start, end, label in zip(*(column.tolist() for column in columns), strict=True):
        rows[document].append({"label": LABELS[label], "start": start, "end": end - 1})
    return rows


def measured(gold: Spans, predictions: Spans, documents: int, matching: Matching) -> tuple[float, Tallies]:
    seconds = []
    for _ in range(3):
        start = time.process_time()
        found = tallies(gold, predictions, documents, len(LABELS), matching)
        seconds.append(time.process_time() - start)
    return min(seconds), found


def differences(found: Tallies, theirs: dict[str, object]) -> int:
    """How many counts are not those of nervaluate."""
    wrong, overall = 0, found.overall
    for mode in MODES:
        name = "ent_type" if mode == "type" else mode
        for count in ("correct", "incorrect", "partial", "missed", "spurious"):
            ours = getattr(overall[mode], count)
            wrong += int(ours.sum()) != getattr(theirs["overall"][name], count)  # type: ignore[index]
            for row, label in enumerate(LABELS):
                ours = getattr(found.filtered[mode], count)[row]
                wrong += int(ours.sum()) != getattr(theirs["entities"][label][name], count)  # type: ignore[index]
    return wrong


def main() -> None:
    print(
        f"python {platform.python_version()}, numpy {np.__version__}, nervaluate {version('nervaluate')}, seed {SEED}"
    )
    for documents, spans, length, longest, target, target_best in [
        *WORKLOADS,
        *([LARGE] if "--large" in sys.argv else []),
    ]:
        gold, predictions = workload(documents, spans, length, longest)
        lists = as_lists(gold, documents), as_lists(predictions, documents)
        start = time.process_time()
        theirs = Evaluator(*lists, tags=list(LABELS), loader="dict").evaluate()
        slow = time.process_time() - start
        print(
            f"\n{documents} documents x {spans} spans of up to {longest} in {length} characters; "
            f"nervaluate {slow:.2f} s"
        )
        for matching in ("nervaluate", "best", "hipe"):
            seconds, found = measured(gold, predictions, documents, matching)
            aim = {"nervaluate": target, "best": target_best}.get(matching) or "none"
            same = f", different counts: {differences(found, theirs)}" if matching == "nervaluate" else ""
            print(f"  --matching {matching}: {seconds:.4f} s, {slow / seconds:.0f} times (target {aim}){same}")


if __name__ == "__main__":
    main()
