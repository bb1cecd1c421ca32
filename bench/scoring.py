"""How fast spans are scored, beside nervaluate. Run: .venv/bin/python bench/scoring.py [--large]

CPU seconds of one process, after imports, data in memory: an Arrow table of nested spans for testimonia (its reading
into columns is timed apart), lists of dictionaries for nervaluate. All four modes, overall and by label. Best of three
for testimonia, once for nervaluate. Then where the time goes, 10,000 bootstrap samples, and with --large peak memory,
measured in a process of its own.
"""

from __future__ import annotations

import cProfile
import platform
import pstats
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from nervaluate import Evaluator

from testimonia.extraction import of_table
from testimonia.matching import Spans
from testimonia.resampling import Resampling
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


def as_table(spans: Spans, documents: int) -> pa.Table:
    """Nested spans as in a dataset's config `documents`."""
    offsets = np.searchsorted(spans.document, np.arange(documents + 1)).astype(np.int32)
    labels = pa.DictionaryArray.from_arrays(pa.array(spans.label.astype(np.int32)), pa.array(LABELS))
    items = pa.StructArray.from_arrays([pa.array(spans.start), pa.array(spans.end), labels], ["start", "end", "label"])
    lists = pa.ListArray.from_arrays(pa.array(offsets), items)
    return pa.table({"doc_id": [f"d{number}" for number in range(documents)], "spans": lists})


def memory(documents: int) -> None:
    """Peak resident memory in MB, before and after scoring; run in a fresh process."""
    tables = [as_table(side, documents) for side in workload(documents, *LARGE[1:4])]
    before = _peak()
    sides = [of_table(table, "spans") for table in tables]
    tallies(sides[0].spans, sides[1].spans, documents, len(LABELS), "nervaluate")
    print(f"peak memory at {documents} documents: {_peak():.0f} MB; {before:.0f} MB once the tables were made")


def _peak() -> float:
    """Peak resident memory of this program in MB (what getrusage tells includes the parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def where(gold: Spans, predictions: Spans, documents: int) -> None:
    """The functions that take most time of their own."""
    profile = cProfile.Profile()
    profile.runcall(tallies, gold, predictions, documents, len(LABELS), "nervaluate")
    stats = pstats.Stats(profile)
    rows = sorted(stats.stats.items(), key=lambda row: -row[1][2])[:8]  # type: ignore[attr-defined]
    total = sum(row[1][2] for row in stats.stats.items())  # type: ignore[attr-defined]
    print("  where: " + ", ".join(f"{name[2].strip('<>')} {100 * row[2] / total:.0f}%" for name, row in rows))


def bootstrap() -> None:
    """F1 of four modes, over all labels and each: 10,000 samples of 10,000 documents."""
    rng = np.random.default_rng(SEED)
    counts = rng.integers(0, 30, (10_000, 2 * 4 * (1 + len(LABELS)))).astype(np.float64)
    start = time.process_time()
    Resampling(10_000, SEED).drawn(counts)
    print(f"\nbootstrap, 10,000 samples of 10,000 documents, 20 F1: {time.process_time() - start:.2f} s (target 1)")


def main() -> None:
    if "--memory" in sys.argv:
        memory(LARGE[0])
        return
    print(
        f"python {platform.python_version()}, numpy {np.__version__}, nervaluate {version('nervaluate')}, seed {SEED}"
    )
    for documents, spans, length, longest, target, target_best in [
        *WORKLOADS,
        *([LARGE] if "--large" in sys.argv else []),
    ]:
        gold, predictions = workload(documents, spans, length, longest)
        tables = as_table(gold, documents), as_table(predictions, documents)
        start = time.process_time()
        read = [of_table(table, "spans") for table in tables]
        reading = time.process_time() - start
        gold, predictions = read[0].spans, read[1].spans
        lists = as_lists(gold, documents), as_lists(predictions, documents)
        start = time.process_time()
        theirs = Evaluator(*lists, tags=list(LABELS), loader="dict").evaluate()
        slow = time.process_time() - start
        print(
            f"\n{documents} documents x {spans} spans of up to {longest} in {length} characters; "
            f"nervaluate {slow:.2f} s; reading the tables {reading:.3f} s"
        )
        for matching in ("nervaluate", "best", "hipe"):
            seconds, found = measured(gold, predictions, documents, matching)
            aim = {"nervaluate": target, "best": target_best}.get(matching) or "none"
            same = f", different counts: {differences(found, theirs)}" if matching == "nervaluate" else ""
            print(f"  --matching {matching}: {seconds:.4f} s, {slow / seconds:.0f} times (target {aim}){same}")
        where(gold, predictions, documents)
    bootstrap()
    if "--large" in sys.argv:
        subprocess.run([sys.executable, __file__, "--memory"], check=True)


if __name__ == "__main__":
    main()
