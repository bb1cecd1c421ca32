"""Exports of any size to sharded Parquet: parts that are converted apart, kept over interruptions, joined at the end.

A part is the rows of one chunk. Its tables are written beside their places and renamed, its receipt last; a receipt
says of which bytes and settings it is, so that a later run keeps the part or makes it anew. What only the whole can
tell (the unit of offsets, documents that stand twice, annotators known by e-mail) is settled when all parts are there;
the manifest is written last.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from testimonia.conversion import ANNOTATIONS, DOCUMENTS, FINDINGS, Part, Source, convert, finding_rows
from testimonia.dialects import TOLD, TURN_KEY, annotated_object, is_task, read_tasks, renewed, text_key
from testimonia.engine import Engine
from testimonia.errors import Finding, InputError
from testimonia.exports import numbered, renamed
from testimonia.files import disk_told, locked, read_json, write_json
from testimonia.label_config import Project
from testimonia.scheme import Scheme
from testimonia.streams import CHUNK, Chunk, Form, chunks_of, files_of, form_of
from testimonia.tasks import Fit, unit_findings
from testimonia.units import UNITS

Json = dict[str, Any]
Progress = Callable[[int], None]
_Name = TypeVar("_Name", bound=str)

MANIFEST = "manifest.json"
WORK = ".converting"
TABLES = {"documents": DOCUMENTS, "annotations": ANNOTATIONS, "findings": FINDINGS}
_SURVEYED = 1 << 20  # bytes of a file that say how it is to be read
_KEYS = 1 << 22  # documents of which the keys are compared at once


@dataclass(frozen=True, slots=True)
class Job:
    """One part to make: its number, its chunk, how it is read, and the folder of work."""

    number: int
    chunk: Chunk
    source: Source
    scheme: Scheme | None
    work: Path

    @property
    def receipt(self) -> Path:
        """The file that says that the part is done."""
        return self.work / f"{self.number:06d}.json"

    def bare(self) -> Job:
        """The same to be sent elsewhere."""
        return replace(self, chunk=self.chunk.bare())

    def __str__(self) -> str:
        return f"{self.chunk.path}: byte {self.chunk.start:,}"


def convert_exports(
    paths: Sequence[Path],
    out: Path,
    scheme: Scheme | None = None,
    config: Project | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    size: int = CHUNK,
    keep: bool = False,
) -> tuple[Json, list[Finding]]:
    """Writes what is in JSON exports to `out`: documents/, annotations/ and findings/ in parts, and a manifest.

    Returns the totals, and the findings on files and on the whole; those on tasks are in findings/. Rows are those of
    `exports.read_exports`, but that attributes which no scheme names are typed by each task for itself. Run again after
    an interruption it keeps finished parts and ends the same; with `keep` also when it had ended. Raises InputError for
    a file that is broken or cut off, with the byte, and where `out` holds other things.
    """
    files = files_of(paths)
    work = out / WORK
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is no folder; name another")
    if out.is_dir() and not work.is_dir() and any(out.iterdir()):
        raise InputError(f"{out}: is not empty; take another folder, or empty this one to convert anew")
    with disk_told(out), locked(work / MANIFEST):
        work.chmod(0o700)
        given = scheme or (config.scheme if config else None)
        whole = _Whole()
        for file in files:
            _file(file, whole, _Plan(engine, given, config, work, progress, size))
        if whole.refused and not whole.receipts:
            raise InputError("; ".join(f.message for f in whole.told if f.id == "file-refused"))
        totals = _joined(whole, out)
        write_json(out / MANIFEST, {"testimonia": version("testimonia"), "parts": len(whole.receipts)} | totals)
    if not keep:
        shutil.rmtree(work)
    return totals, whole.told


@dataclass(slots=True)
class _Whole:
    """What is known of all files so far: receipts of parts, findings, regions of files that were refused."""

    receipts: list[Path] = field(default_factory=list)
    told: list[Finding] = field(default_factory=list)
    refused: int = 0
    next: int = 0


@dataclass(frozen=True, slots=True)
class _Plan:
    engine: Engine | None
    scheme: Scheme | None
    config: Project | None
    work: Path
    progress: Progress | None
    size: int


def _file(file: Path, whole: _Whole, plan: _Plan) -> None:
    """Makes the parts of a file; anew where all of it shows that its offsets count otherwise."""
    form = form_of(file)
    source, at_once = _survey(file, form, plan.config, whole.told)
    while True:
        chunks = chain([at_once]) if at_once else chunks_of(file, form, plan.size)
        jobs = (Job(whole.next + n, chunk, source, plan.scheme, plan.work) for n, chunk in enumerate(chunks))
        receipts = sorted(_made(jobs, plan))
        read = [read_json(path) for path in receipts]
        fitting = _sum(one["fitting"] for one in read)
        fit = Fit(sum(one["regions"] for one in read), fitting)
        most = fitting + _sum(one["perhaps"] for one in read)
        if fit.unit == source.unit and all(most[unit] <= fitting[fit.unit] for unit in UNITS):
            break
        source = replace(source, unit=fit.unit, plain=False)
    whole.next += len(receipts)
    if 2 * fit.fitting.get(fit.unit, 0) < fit.regions:
        message = (
            f"{file}: {fit}; the texts were changed after they were annotated, or are others; nothing of the file was "
            "used, export texts and annotations together again"
        )
        whole.told.append(Finding(str(file), "file-refused", message))
        whole.refused += sum(one["spans"] + sum(one["left_out"].values()) for one in read)
        return
    said = _sum(one["told"] for one in read)
    whole.told += [Finding(str(file), name, f"{said[name]:,} {TOLD[name]}", "warning") for name in sorted(said)]
    whole.told += unit_findings(str(file), fit)
    whole.receipts += receipts


def _survey(file: Path, form: Form, config: Project | None, told: list[Finding]) -> tuple[Source, Chunk | None]:
    """How a file is to be read, by its first tasks; and all of it as one chunk where it cannot be cut."""
    tasks: list[Json] | None = None
    if form != "other":
        first = next(chunks_of(file, form, _SURVEYED), None)
        values = [first.read(raw, number) for number, raw in enumerate(first.values(), 1)] if first else []
        if all(map(is_task, values)):
            tasks = [renewed(value) for value in values]
            if tasks != values:
                message = "tasks have `completions`, as before Label Studio 1.0; they were read as annotations"
                told.append(Finding(str(file), "file-completions", message, "warning"))
    at_once: Chunk | None = None
    if tasks is None:
        tasks, found = read_tasks(file)
        told += found
        try:
            data = json.dumps(tasks).encode()
        except RecursionError:
            raise InputError(f"{file}: is nested too deep; restore the file, or export again") from None
        at_once = Chunk(file, 0, 0, len(tasks), data, "array")
    if config:
        keys = {key for task in tasks for key in task["data"]}
        if tasks and config.key not in keys:
            have = ", ".join(sorted(keys)) or "nothing"
            raise InputError(f"{file}: the label config takes the text from {config.key!r}; the tasks have {have}")
        return Source(config.key, config.turn_key, config.name), at_once
    key, found = text_key(str(file), tasks, TURN_KEY)
    told += found
    return Source(key, TURN_KEY, annotated_object(tasks)), at_once


def _made(jobs: Iterator[Job], plan: _Plan) -> Iterator[Path]:
    """The receipts of the parts, in any order."""
    done = plan.engine(make_part, (job.bare() for job in jobs)) if plan.engine else _here(jobs)
    for receipt, tasks in done:
        if plan.progress:
            plan.progress(tasks)
        yield receipt


def make_part(job: Job) -> tuple[Path, int]:
    """Makes a part unless it is there; returns its receipt and how many tasks it has. Raises InputError."""
    if not _kept(job):
        _write_part(job, _converted(job))
    return job.receipt, job.chunk.count


def _converted(job: Job) -> Part:
    collected = gc.isenabled()
    gc.disable()  # the tasks of a chunk are many small objects without cycles
    try:
        return convert(job.chunk, job.source, job.scheme, str(job.chunk.path))
    finally:
        if collected:
            gc.enable()


def _identity(job: Job) -> str:
    """Of which bytes and settings a part is."""
    settings = [version("testimonia"), str(job.chunk.path), job.chunk.first, repr(job.source), repr(job.scheme)]
    digest = hashlib.sha256(json.dumps(settings).encode())
    digest.update(job.chunk.data)
    return digest.hexdigest()


def _kept(job: Job) -> bool:
    return job.receipt.is_file() and bool(read_json(job.receipt).get("key") == _identity(job))


def _write_part(job: Job, part: Part) -> None:
    batches = {"documents": part.documents, "annotations": part.annotations, "findings": part.findings}
    job.receipt.unlink(missing_ok=True)
    for name, batch in batches.items():
        _write(pa.Table.from_batches([batch]), job.receipt.with_suffix(f".{name}.parquet"))
    keys = [_key(doc_id.encode()) for doc_id in part.documents.column("doc_id").to_pylist()]
    texts = [int.from_bytes(digest[:8], "big") for digest in part.documents.column("text_sha256").to_pylist()]
    np.save(job.receipt.with_suffix(".npy"), np.array([keys, texts, part.entries_of, part.found_of], np.uint64))
    counted = ("tasks", "entries", "spans", "relations", "left_out", "found", "told", "regions", "fitting", "perhaps")
    receipt = {"key": _identity(job)} | {name: getattr(part, name) for name in counted}
    receipt["addresses"] = _addresses(part.annotations.column("annotator"))
    new = job.receipt.with_suffix(".new")
    new.write_text(json.dumps(receipt))  # in a folder that only its owner reads
    os.replace(new, job.receipt)


def _addresses(annotators: pa.Array | pa.ChunkedArray) -> list[str]:
    return sorted(name for name in pc.unique(annotators).to_pylist() if "@" in name)


def _write(table: pa.Table, path: Path) -> None:
    """A table as Parquet, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    pq.write_table(table, new, compression="zstd", compression_level=1, use_dictionary=_REPEATING)
    os.replace(new, path)


# Columns whose values recur.
_REPEATING = ["language", "annotator", "state", "id", "severity"] + [
    f"{column}.list.element.{name}"
    for column, name in [("spans", "label"), ("relations", "label")]
    + [("spans", f"attributes.list.element.{name}") for name in ("name", "text", "number")]
]


def _key(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")


def _here(jobs: Iterable[Job]) -> Iterator[tuple[Path, int]]:
    """One part after the other, in this process; while one is written, in a thread, the next is converted."""
    with ThreadPoolExecutor(1) as writer:
        before: tuple[Job, Future[None]] | None = None
        for job in jobs:
            written = None if _kept(job) else writer.submit(_write_part, job, _converted(job))
            if before:
                before[1].result()
                yield before[0].receipt, before[0].chunk.count
            before = (job, written) if written else None
            if not written:
                yield job.receipt, job.chunk.count
        if before:
            before[1].result()
            yield before[0].receipt, before[0].chunk.count


def _sum(counters: Iterable[Mapping[_Name, int]]) -> Counter[_Name]:
    total: Counter[_Name] = Counter()
    for one in counters:
        total.update(one)
    return total


@dataclass(slots=True)
class _Doubles:
    """Rows of documents that stand twice: by part those to leave out, and those whose annotations go too."""

    rows: dict[int, set[int]] = field(default_factory=dict)
    others: dict[int, set[int]] = field(default_factory=dict)
    findings: list[tuple[str, Finding]] = field(default_factory=list)


def _joined(whole: _Whole, out: Path) -> Json:
    """The parts in their places, without what stands twice, annotators without addresses; returns the totals."""
    for name in TABLES:
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir()
    totals: Counter[str] = Counter()
    left_out, found = Counter({"file-refused": whole.refused}), Counter(finding.id for finding in whole.told)
    doubles = _doubles(whole.receipts)
    addresses: set[str] = set()
    for number, path in enumerate(whole.receipts):
        receipt = read_json(path)
        totals.update({name: receipt[name] for name in ("tasks", "entries", "spans", "relations")})
        left_out.update(receipt["left_out"])
        found.update(receipt["found"])
        if number in doubles.others:
            kept, gone = _parted(path, "annotations", doubles.others[number])
            totals.subtract(_counted(gone))
            left_out["document-texts"] += _counted(gone)["spans"]
            found.subtract(_parted(path, "findings", doubles.others[number])[1].column("id").to_pylist())
            addresses.update(_addresses(kept.column("annotator")))
        else:
            addresses.update(receipt["addresses"])
    names = numbered(addresses)
    if names:
        message = f"{len(names)} e-mail addresses became {', '.join(names.values())}, in the order of the alphabet"
        whole.told.append(Finding("annotators", "annotator-renamed", message, "warning"))
        found["annotator-renamed"] += 1
    for number, path in enumerate(whole.receipts):
        _settle(path, number, out, doubles, names)
    found.update(finding.id for _, finding in doubles.findings)
    whole.told += [finding for _, finding in doubles.findings]
    last = pa.Table.from_batches([finding_rows(doubles.findings)])
    _write(last, out / "findings" / f"part-{len(whole.receipts):06d}.parquet")
    return {
        "tasks": totals["tasks"],
        "annotations": totals["entries"],
        "spans": totals["spans"],
        "relations": totals["relations"],
        "left_out": dict(sorted((+left_out).items())),
        "findings": dict(sorted((+found).items())),
    }


def _doubles(receipts: Sequence[Path]) -> _Doubles:
    """What stands twice: by keys, compared in as many passes as memory wants, then by the rows themselves."""
    found = _Doubles()
    keys = [path.with_suffix(".npy") for path in receipts]
    passes = 1 + sum(np.load(path, mmap_mode="r").shape[1] for path in keys) // _KEYS
    for kind, compare in enumerate((_same_ids, _same_texts)):
        for one in range(passes):
            own: list[npt.NDArray[np.uint64]] = []
            for part, path in enumerate(keys):
                column = np.load(path)[kind]
                rows = np.flatnonzero(column % np.uint64(passes) == one).astype(np.uint64)
                own.append(np.stack([column[rows], np.full(len(rows), part, np.uint64), rows]))
            if own:
                compare(_alike(np.concatenate(own, axis=1), receipts), found)
    return found


def _alike(keys: npt.NDArray[np.uint64], receipts: Sequence[Path]) -> Iterator[tuple[int, int, str, str, bytes]]:
    """Part, row, task, doc_id and digest of the documents whose key (the first row of `keys`) another has, in order."""
    if keys.shape[1] < 2:
        return
    order = np.argsort(keys[0], kind="stable")
    same = keys[0][order][1:] == keys[0][order][:-1]
    places = keys[1:, order[np.append(same, False) | np.insert(same, 0, False)]]
    for part in np.unique(places[0]).tolist():
        rows = np.sort(places[1][places[0] == part]).astype(np.int64)
        path = receipts[part].with_suffix(".documents.parquet")
        table = pq.read_table(path, columns=["task", "doc_id", "text_sha256"]).take(pa.array(rows))
        columns = (table.column(name).to_pylist() for name in table.column_names)
        for row, task, doc_id, digest in zip(rows.tolist(), *columns, strict=True):
            yield part, row, task, doc_id, digest


def _same_ids(rows: Iterator[tuple[int, int, str, str, bytes]], found: _Doubles) -> None:
    first: dict[str, bytes] = {}
    for part, row, task, doc_id, digest in rows:
        if doc_id not in first:
            first[doc_id] = digest
            continue
        found.rows.setdefault(part, set()).add(row)
        if first[doc_id] != digest:
            found.others.setdefault(part, set()).add(row)
            message = "another text stands under this id; it was left out, give it an id of its own"
            found.findings.append((task, Finding(doc_id, "document-texts", message)))


def _same_texts(rows: Iterator[tuple[int, int, str, str, bytes]], found: _Doubles) -> None:
    first: dict[bytes, str] = {hashlib.sha256(b"").digest(): ""}
    for part, row, task, doc_id, digest in rows:
        if row not in found.others.get(part, ()) and first.setdefault(digest, doc_id) not in ("", doc_id):
            message = f"has the text of {first[digest]}; give both one doc_id if they are one document"
            found.findings.append((task, Finding(doc_id, "text-twice", message, "warning")))


def _parted(path: Path, name: str, documents: set[int]) -> tuple[pa.Table, pa.Table]:
    """The annotations or findings of a part without those of some documents, and these."""
    table = pq.read_table(path.with_suffix(f".{name}.parquet"))
    counts = np.load(path.with_suffix(".npy"))[{"annotations": 2, "findings": 3}[name]].astype(np.int64)
    own = np.repeat(np.isin(np.arange(len(counts)), list(documents)), counts)
    own = np.concatenate([np.zeros(len(table) - len(own), bool), own])
    return table.filter(pa.array(~own)), table.filter(pa.array(own))


def _settle(path: Path, number: int, out: Path, doubles: _Doubles, names: Mapping[str, str]) -> None:
    """Puts a part in its place, without what stands twice and with annotators by their new names."""
    targets = {name: out / name / f"part-{number:06d}.parquet" for name in TABLES}
    rows, others = doubles.rows.get(number, set()), doubles.others.get(number, set())
    if rows:
        table = pq.read_table(path.with_suffix(".documents.parquet"))
        _write(table.filter(pa.array(~np.isin(np.arange(len(table)), list(rows)))), targets["documents"])
    if others or read_json(path)["addresses"]:
        table, _ = _parted(path, "annotations", others)
        who = [names.get(name, name) for name in table.column("annotator").to_pylist()]
        _write(_with(table, "annotator", who), targets["annotations"])
        table, _ = _parted(path, "findings", others)
        places = [renamed(place, names) for place in table.column("place").to_pylist()]
        _write(_with(table, "place", places), targets["findings"])
    for name, target in targets.items():
        if not target.exists():
            made = path.with_suffix(f".{name}.parquet")
            try:
                os.link(made, target)
            except OSError:  # a file system without links
                shutil.copyfile(made, target)


def _with(table: pa.Table, name: str, values: Sequence[str]) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), pa.array(values, pa.string()))


def _counted(table: pa.Table) -> Counter[str]:
    """What annotations give to the totals."""
    kept = table.filter(pc.not_equal(table.column("state"), "draft"))
    submitted = table.filter(pc.equal(table.column("state"), "submitted"))
    sizes = {name: pc.sum(pc.list_value_length(submitted.column(name))).as_py() or 0 for name in ("spans", "relations")}
    return Counter({"entries": len(kept), **sizes})
