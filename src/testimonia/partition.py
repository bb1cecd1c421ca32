"""Gold and predictions too many to be held at once, in parts of the same documents.

Which part a document belongs to is told by a hash of its id, so both sides are read once, in any order, and written to
files of their parts; each part is then read as a small gold and its predictions are.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from testimonia.errors import InputError
from testimonia.extraction import Extraction
from testimonia.formats import Reading, files_of, read_rows, reading_of_rows, reading_of_table
from testimonia.matching import Ints
from testimonia.tables import batches, size

MOST = 20_000  # documents that are scored at once
GROUPS = 10_000
_PART, _PARTS = 5_000, 400  # documents of a part, as long as there are not more parts than files that may be open
_ROWS = 2000  # of a file that are read at once
_NAMES = ("doc_id", "spans")


@dataclass(frozen=True, slots=True)
class Part:
    """Some documents of the gold, their predictions, and the number below `GROUPS` of each, (d,)."""

    gold: Extraction
    reading: Reading
    groups: Ints


def is_large(gold: object) -> bool:
    """Whether a gold is a path to Parquet files of so many documents that they are read in parts."""
    if not isinstance(gold, str | Path) or not Path(gold).exists():
        return False
    files = files_of(Path(gold))
    return all(file.suffix.lower() == ".parquet" for file in files) and sum(map(size, files)) > MOST


@contextmanager
def parts_of(gold: Path, predictions: Path, model: str | None) -> Iterator[Iterator[Part]]:
    """The parts of both sides, no document in two of them; temporary files take as much room as the two.

    `predictions` are Parquet with nested spans, or records with doc_id. Raises InputError.
    """
    files, said = files_of(gold), files_of(predictions)
    count = min(-(-sum(map(size, files)) // min(MOST, _PART)), _PARTS)
    with tempfile.TemporaryDirectory(prefix="testimonia-") as name:
        folder = Path(name)
        labels, _ = _spread(files, folder / "gold", count)
        if all(file.suffix.lower() == ".parquet" for file in said):
            _, columns = _spread(said, folder / "predictions", count)
        else:
            columns = _spread_rows(said, folder / "predictions", count)

        def part(number: int) -> Part:
            one = reading_of_table(pq.read_table(folder / "gold" / f"{number}.parquet"), str(gold)).extraction
            one = one.labelled(tuple(dict.fromkeys([*one.labels, *labels])), {})
            reading = _read(folder / "predictions", number, str(predictions), one, model)
            missing = columns & (one.attributes.keys() - reading.extraction.attributes.keys())
            nulls = {name: pa.nulls(len(reading.extraction.spans), one.attributes[name].type) for name in missing}
            extraction = replace(reading.extraction, attributes={**reading.extraction.attributes, **nulls})
            groups = [_hash(doc_id) // count % GROUPS for doc_id in one.doc_ids.to_pylist()]
            return Part(one, replace(reading, extraction=extraction), np.array(groups, np.int64))

        yield map(part, range(count))


def _hash(doc_id: str) -> int:
    return zlib.crc32(doc_id.encode())


def _spread(files: Sequence[Path], folder: Path, count: int) -> tuple[list[str], set[str]]:
    """Writes the rows of Parquet files to files of their parts; the labels there are, the names of nested columns."""
    folder.mkdir()
    labels: dict[str, None] = {}
    columns: set[str] = set()
    with ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []
        for batch in batches(files, _ROWS):
            if not set(_NAMES) <= set(batch.schema.names):
                raise InputError(f"{files[0]}: has no {' and '.join(_NAMES)}; give one row per document")
            if not writers:
                paths = (folder / f"{number}.parquet" for number in range(count))
                schema = batch.schema
                writers = [stack.enter_context(pq.ParquetWriter(path, schema, compression="lz4")) for path in paths]
                columns = {field.name for field in schema.field("spans").type.value_type}
            if batch.schema != schema:
                raise InputError(f"{files[0]}: the files have different columns; write them with one schema")
            if batch["doc_id"].null_count:
                raise InputError(f"{files[0]}: a doc_id is null; give each document its doc_id")
            found = batch["spans"].flatten()
            label = found.field("label") if "label" in columns else None
            if label is not None and not pa.types.is_integer(label.type):
                labels |= dict.fromkeys(one for one in pc.unique(label.cast(pa.string())).to_pylist() if one)
            number = np.array([_hash(doc_id) % count for doc_id in batch["doc_id"].to_pylist()])
            order = np.argsort(number, kind="stable")
            bounds = np.searchsorted(number[order], np.arange(count + 1)).tolist()
            rows = batch.take(pa.array(order))
            for writer, low, high in zip(writers, bounds, bounds[1:], strict=False):
                if high > low:
                    writer.write_batch(rows.slice(low, high - low))
    return sorted(labels), columns


def _spread_rows(files: Sequence[Path], folder: Path, count: int) -> set[str]:
    """The same for records, each with the place where it stands; the columns of their attributes."""
    folder.mkdir()
    columns: set[str] = set()
    with ExitStack() as stack:
        writers = [stack.enter_context((folder / f"{n}.jsonl").open("w", encoding="utf-8")) for n in range(count)]
        some: list[tuple[str, Any]] = []

        def spread() -> None:
            columns.update(reading_of_rows(some, None, None).extraction.attributes)
            for place, row in some:
                line = json.dumps([place, row]) + "\n"
                writers[_hash(row["doc_id"]) % count].write(line)
            some.clear()

        for file in files:
            for place, row in read_rows(file):
                if not isinstance(row, dict) or not isinstance(row.get("doc_id"), str) or "data" in row:
                    raise InputError(f"{place}: has no doc_id; against so many documents each prediction needs one")
                some.append((place, row))
                if len(some) == _ROWS:
                    spread()
        if some:
            spread()
    return columns


def _read(folder: Path, number: int, where: str, gold: Extraction, model: str | None) -> Reading:
    if (folder / f"{number}.parquet").exists():
        return reading_of_table(pq.read_table(folder / f"{number}.parquet"), where)
    with (folder / f"{number}.jsonl").open(encoding="utf-8") as file:
        return reading_of_rows([tuple(json.loads(line)) for line in file], gold, model)
