"""Validation of made documents beside a bare scan of their files by pyarrow, one thread, both in one run.

The checks are those of `validate-dataset` on documents: schema, ids, texts, hashes, zones, attributes, rules, edges of
tokens and sentences, overlaps, relations, doubles. On the first two thousand documents the findings are compared with
those of the checks that read each document as objects, which are timed there.

Run: .venv/bin/python -m bench.validation [--documents 200000] [--seed 1] [--runs 3] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.corpora import ROOT, SPANS, write_documents
from testimonia import tables
from testimonia.corpus import Corpus, read_corpus
from testimonia.errors import Finding
from testimonia.release import validate_files
from testimonia.screening import Screen
from testimonia.validation import check_documents, check_row, findings_of

ROWS = 1000
COMPARED = 2000


def scanned(paths: Sequence[Path]) -> int:
    """The rows of files, read and let go."""
    rows = 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            rows += sum(batch.num_rows for batch in file.iter_batches(ROWS, use_threads=False))
    return rows


def best(work: Callable[[], object], runs: int) -> float:
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def compared(paths: Sequence[Path], corpus: Corpus) -> tuple[int, float]:
    """How many documents were looked at both ways, alike; and the seconds that the objects took."""
    screen, documents, taken = Screen(corpus.scheme, corpus.languages), 0, 0.0
    for batch in islice(tables.batches(paths), COMPARED // ROWS):
        start = time.process_time()
        wanted: list[Finding] = []
        for row in batch.to_pylist():
            wanted += check_row(row, corpus.scheme, corpus.languages)
        taken += time.process_time() - start
        assert findings_of(check_documents(batch, screen)) == wanted
        documents += batch.num_rows
    return documents, taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the documents are kept; else they are made anew")
    given = parser.parse_args()
    pa.set_cpu_count(1)
    packages = ("testimonia", "pyarrow", "numpy", "regex", "sentencex")
    print(", ".join(f"{name} {version(name)}" for name in packages), f"· Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_documents(given.folder or Path(folder), given.documents, given.seed)
        size = sum(path.stat().st_size for path in paths) / 1e6
        print(
            f"{given.documents:,} documents of {SPANS} spans, {size:.0f} MB of Parquet, seed {given.seed}; CPU seconds,"
        )
        print(f"best of {given.runs}, one thread\n")
        corpus = read_corpus(ROOT)
        scan = best(lambda: scanned(paths), given.runs)
        whole = best(lambda: validate_files(paths, corpus), given.runs)
        found = Counter(finding.id for finding in validate_files(paths, corpus))
        documents, taken = compared(paths, corpus)
        print(f"scan          {scan:8.2f}")
        print(f"validation    {whole:8.2f}   {whole / scan:.2f} times the scan")
        print(f"by objects    {taken / documents * given.documents:8.2f}   from {documents:,} documents, same findings")
        print("findings:", ", ".join(f"{name} {count:,}" for name, count in sorted(found.items())) or "none")


if __name__ == "__main__":
    main()
