"""A release of the dataset: built offline from `seeds/` and `labeling/`, and checked."""

from __future__ import annotations

import hashlib
import heapq
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from testimonia import __version__, card, tables
from testimonia.adjudication import gold_of
from testimonia.agreement import measure_agreement
from testimonia.audit import read_audit
from testimonia.claims import check_claims
from testimonia.corpus import Corpus
from testimonia.croissant import croissant
from testimonia.document import SPLITS, Annotation, Gold
from testimonia.errors import Finding, FindingsError, InputError, errors_among
from testimonia.exports import read_corpus_round
from testimonia.files import locked, read_json, replaced_folder, sha256_of, write_atomic, write_json
from testimonia.formats import prediction_schema
from testimonia.label_config import render_label_config
from testimonia.rounds import read_annotations
from testimonia.screening import Screen
from testimonia.splits import check_splits
from testimonia.validation import (
    annotations_of,
    check_card,
    check_claim_tables,
    check_derived,
    check_documents,
    check_golds,
    check_ids,
    check_inputs,
    check_manifest,
    check_others,
    check_schema,
    findings_of,
    gold_of_row,
)

Json = dict[str, Any]
CARD = "DATASET_CARD.md"
CITATION = "CITATION.cff"
MANIFEST = "manifest.json"
CROISSANT = "croissant.json"
PREDICTIONS = "predictions.schema.json"
SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Release:
    """What `export_gold` made: the manifest, and the findings of severity warning."""

    manifest: Json
    findings: tuple[Finding, ...]


def build_gold(corpus: Corpus) -> tuple[list[Gold], list[Annotation], list[Finding]]:
    """The gold of the release, every annotation of its rounds, and all findings on the way."""
    annotations, findings = read_annotations(corpus)
    golds, found = gold_of(corpus.documents, annotations, corpus.rounds, corpus.scheme)
    findings += found
    findings += check_golds(golds, corpus.scheme, corpus.languages)
    findings += check_others(annotations, golds, corpus.scheme, corpus.languages)
    findings += check_claims(corpus.claims, golds)
    articles = [(one.doc_id, one.split, one.text) for one in corpus.documents]
    findings += check_splits(articles, corpus.policy.similarity)
    return golds, annotations, findings


def export_gold(corpus: Corpus) -> Release:
    """Writes `dataset/` and the generated blocks of the card, whole or not at all.

    Raises FindingsError where a finding is an error: then nothing is written.
    """
    card_path = corpus.folder / CARD
    with locked(card_path):
        made, source = build_release(corpus, corpus.dataset)
        write_atomic(card_path, source, within=corpus.folder)
    return made


def build_release(corpus: Corpus, target: Path) -> tuple[Release, str]:
    """Writes the dataset to a folder, whole or not at all; returns what was made, and the text of the card.

    Raises FindingsError as `export_gold` does.
    """
    golds, annotations, findings = build_gold(corpus)
    errors = errors_among(findings)
    if errors:
        raise FindingsError(f"{corpus.dataset}: {len(errors)} errors in the exports; nothing was written", findings)
    source = read_text(corpus.folder / CARD)
    card_header, prose = card.split_header(source)
    body = card.render_card(prose, _blocks(corpus, golds, annotations))
    manifest = _build(corpus, golds, annotations, card_header, body, target)
    return Release(manifest, tuple(findings)), source[: len(source) - len(prose)] + body


def _blocks(corpus: Corpus, golds: Sequence[Gold], annotations: Sequence[Annotation]) -> dict[str, str]:
    agreements = {}
    for one in corpus.rounds:
        source = read_corpus_round(corpus, one) if one.kind == "annotation" else None
        if source and len({a.annotator for a in source.annotations if a.state == "submitted"}) > 1:
            agreements[one.id] = measure_agreement(source, corpus.languages)
    audits = {path.name: read_audit(path, corpus.by_id) for path in audit_folders(corpus.folder)}
    return card.blocks(corpus.scheme, corpus.languages, golds, annotations, corpus.claims, agreements, audits)


def audit_folders(folder: Path) -> list[Path]:
    """The audits of a corpus, in the order of their names."""
    return sorted(path for path in (folder / "labeling" / "audits").glob("*") if path.is_dir())


def _build(
    corpus: Corpus, golds: Sequence[Gold], annotations: Sequence[Annotation], card_header: Json, body: str, target: Path
) -> Json:
    """Writes the dataset folder whole; returns its manifest."""
    with replaced_folder(target) as folder:
        manifest = _write(folder, corpus, golds, annotations)
        files = {config: tables.files_of(entry) for config, entry in manifest["configs"].items()}
        top = card.header(card_header, corpus.version, corpus.scheme, files)
        write_atomic(folder / "README.md", top + body)
        write_json(
            folder / CROISSANT, croissant(corpus.scheme, manifest, card_header, body, read_citation(corpus.folder))
        )
        write_json(folder / PREDICTIONS, prediction_schema(corpus.scheme))
        write_sums(folder)
    return manifest


def guidelines_version(folder: Path) -> str:
    """The number in the first line of a corpus's guidelines; empty without one."""
    path = folder / "labeling" / "guidelines.md"
    first = path.read_text(encoding="utf-8").partition("\n")[0] if path.is_file() else ""
    found = re.search(r"\d+(\.\d+)+", first)
    return found[0] if found else ""


def write_sums(folder: Path) -> None:
    """Writes SHA256SUMS of every file in a folder, in the form that `sha256sum -c` reads."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = "".join(f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    write_atomic(folder / SUMS, sums)


def read_citation(folder: Path) -> Json:
    """What CITATION.cff of a corpus says; empty without one. Raises InputError where it is not CFF."""
    path = folder / CITATION
    return citation_of(path, read_text(path)) if path.is_file() else {}


def citation_of(path: Path, text: str) -> Json:
    """The same for a text that is to stand in the file."""
    found = card.read_yaml(text, str(path))
    authors = found.get("authors", []) if isinstance(found, dict) else None
    if not isinstance(authors, list) or not all(_is_author(one) for one in authors):
        raise InputError(f"{path}: authors is no list of entries with a name, or with family-names; mend it")
    licences = found.get("license", [])
    if not isinstance(licences, str | list):
        raise InputError(f"{path}: license is neither a name nor a list of names; mend it")
    read: Json = found
    return read


def _is_author(one: object) -> bool:
    return isinstance(one, dict) and isinstance(one.get("name", one.get("family-names")), str)


def read_text(path: Path) -> str:
    """A text file of a release. Raises InputError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; restore it") from None


def _write(folder: Path, corpus: Corpus, golds: Sequence[Gold], annotations: Sequence[Annotation]) -> Json:
    configs: dict[str, Json] = {}
    for config in tables.CONFIGS:
        files = []
        for split in SPLITS:
            rows = _rows(config, split, corpus, golds, annotations)
            if not rows:
                continue  # a split without rows breaks `load_dataset`
            name = tables.parquet_name(config, split)
            (folder / name).parent.mkdir(exist_ok=True)
            tables.write_parquet(folder / name, rows, tables.schema(config, corpus.scheme))
            files.append(
                {
                    "file": name,
                    "rows": len(rows),
                    "bytes": (folder / name).stat().st_size,
                    "sha256": sha256_of(folder / name),
                    "content_sha256": content_sha256(rows),
                }
            )
        if files:
            configs[config] = entry_of(files)
    manifest = {
        "name": corpus.scheme.name,
        "version": corpus.version,
        "scheme_version": corpus.scheme.version,
        "guidelines_version": guidelines_version(corpus.folder),
        "content_sha256": content_of(configs),
        "configs": configs,
        "counts": {
            "documents": len(golds),
            "spans": dict(sorted(Counter(span.label for gold in golds for span in gold.spans).items())),
            "relations": dict(sorted(Counter(r.label for gold in golds for r in gold.relations).items())),
            "claims": len(corpus.claims.claims),
        },
        "inputs": _inputs(corpus),
        "tools": {"testimonia": __version__, "pyarrow": pa.__version__},
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def _rows(
    config: str, split: str, corpus: Corpus, golds: Sequence[Gold], annotations: Sequence[Annotation]
) -> list[Json]:
    """The rows of a split. A claim is in the last split that a document of it is in: `test` has all of its own."""
    claims = corpus.claims
    if config in CLAIMED:
        where = {gold.document.doc_id: SPLITS.index(gold.document.split) for gold in golds}
        last = {one.id: max((where.get(m.doc_id, 0) for m in one.mentions), default=0) for one in claims.claims}
        claims = replace(claims, claims=tuple(c for c in claims.claims if last[c.id] == SPLITS.index(split)))
    else:
        golds = [gold for gold in golds if gold.document.split == split]
    return tables.rows(config, corpus.scheme, corpus.languages, golds, annotations, claims)


def entry_of(files: Sequence[Json]) -> Json:
    """What a manifest says of a config in these files: of one, itself; of several splits, their sums and each."""
    if len(files) == 1:
        return files[0]
    content = content_sha256([{tables.split_of(file["file"]): file["content_sha256"]} for file in files])
    sums = {name: sum(file[name] for file in files) for name in ("rows", "bytes")}
    return sums | {"content_sha256": content, "files": list(files)}


def content_of(configs: Mapping[str, Json]) -> str:
    """Hex SHA-256 of a release, from those of its configs."""
    return content_sha256([{config: entry["content_sha256"] for config, entry in configs.items()}])


def content_sha256(rows: Iterable[Json]) -> str:
    """Hex SHA-256 of rows as canonical JSON lines, sorted: the same whatever wrote the Parquet.

    More lines than _LINES are sorted in parts, in files for the time being.
    """
    lines = (json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n" for row in rows)
    hashed = hashlib.sha256()
    with ExitStack() as stack:
        parts: list[Iterable[str]] = []
        while part := sorted(islice(lines, _LINES)):
            if len(part) == _LINES:
                file = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline=""))
                file.writelines(part)
                file.seek(0)
                parts.append(file)
            else:
                parts.append(part)
        for line in heapq.merge(*parts):
            hashed.update(line.encode())
    return hashed.hexdigest()


_LINES = 100_000


def _inputs(corpus: Corpus) -> dict[str, str]:
    """Every file that the release is made from, with its SHA-256."""
    paths = [corpus.folder / "seeds" / "sources.toml", *(corpus.folder / "seeds").glob("*.txt")]
    labeling = corpus.folder / "labeling"
    paths += [path for path in [corpus.folder / CITATION] if path.is_file()]
    paths += [path for path in labeling.rglob("*") if path.is_file() and path.suffix in (".toml", ".md", ".xml")]
    paths = [path for path in paths if labeling / "baseline" not in path.parents]  # the baseline makes no gold
    paths += [path for audit in audit_folders(corpus.folder) for path in audit.glob("*.json*")]
    for one in corpus.rounds:
        paths += (corpus.exports / one.id).glob("*.json")
    return {path.relative_to(corpus.folder).as_posix(): sha256_of(path) for path in sorted(set(paths))}


def validate_files(paths: Sequence[Path], corpus: Corpus) -> list[Finding]:
    """Every finding on Parquet files of the config `documents`. Raises InputError where one cannot be read."""
    findings = [
        Finding(f"{path.name}: {f.place}", f.id, f.message, f.severity)
        for path in paths
        for f in check_schema("documents", tables.read_schema(path), corpus.scheme)
    ]
    return findings if errors_among(findings) else findings + _check_documents(paths, corpus)


def _check_documents(paths: Sequence[Path], corpus: Corpus) -> list[Finding]:
    screen = Screen(corpus.scheme, corpus.languages)
    findings, doc_ids = [], []
    for batch in tables.batches(paths):
        findings += findings_of(check_documents(batch, screen))
        doc_ids.append(batch["doc_id"])
    return findings + check_ids(pa.chunked_array(doc_ids, pa.string()))


def _check_leaks(paths: Sequence[Path], corpus: Corpus) -> list[Finding]:
    """Documents that repeat one of another split, where there are several."""
    if len({tables.split_of(path.name) for path in paths}) < 2:
        return []
    articles = [
        (str(row["doc_id"]), tables.split_of(path.name), row["text"] or "")
        for path in paths
        for batch in tables.batches([path])
        for row in batch.select(["doc_id", "text"]).to_pylist()
    ]
    return check_splits(articles, corpus.policy.similarity)


def validate_dataset(path: Path, corpus: Corpus) -> list[Finding]:
    """Every finding on a dataset folder as `export_gold` writes it, read in parts whatever its size.

    Raises InputError where there is none.
    """
    if not path.is_dir():
        raise InputError(f"{path}: is no folder; give a dataset folder or Parquet files")
    if (path / MANIFEST).is_file() and read_manifest(path).get("kind") == "stand-off":
        raise InputError(f"{path}: is a stand-off release, without its texts; put them back with rehydrate first")
    files = {config: _files(path / config) for config in tables.CONFIGS if (path / config).is_dir()}
    if "documents" not in files:
        raise InputError(f"{path}: has no folder documents/ with Parquet files; is this a dataset of this shape?")
    findings = [
        Finding(f.place if len(some) == 1 else f"{file.name}: {f.place}", f.id, f.message, f.severity)
        for config, some in files.items()
        for file in some
        for f in check_schema(config, tables.read_schema(file), corpus.scheme)
    ]
    if errors_among(findings):
        return findings
    findings += _check_documents(files["documents"], corpus) + _check_leaks(files["documents"], corpus)
    if not errors_among(findings):
        for config in ("spans", "relations", "tokens"):
            if config in files:
                findings += _check_derived(config, files, corpus)
    documents = pads.dataset([str(file) for file in files["documents"]], format="parquet")
    for batch in tables.batches(files.get("annotations", ()), 10_000):
        golds = _golds(documents, batch["doc_id"], corpus)
        annotations, found = annotations_of(batch.to_pylist(), golds, corpus.scheme)
        findings += found + check_others(annotations, golds, corpus.scheme, corpus.languages)
    both = [[row for batch in tables.batches(files.get(name, ())) for row in batch.to_pylist()] for name in CLAIMED]
    if any(name in files for name in CLAIMED):
        golds = _golds(documents, pa.array([row["doc_id"] for row in both[1]], pa.string()), corpus)
        findings += check_claim_tables(both[0], both[1], golds, corpus.claims, corpus.scheme)
    return findings + _check_papers(path, files, corpus)


CLAIMED = ("claims", "claim_mentions")


def _golds(documents: pads.Dataset, doc_ids: pa.Array, corpus: Corpus) -> list[Gold]:
    """The documents of these ids, as far as they can be read."""
    rows = documents.to_table(filter=pc.field("doc_id").isin(doc_ids.unique())).to_pylist()
    golds = (gold_of_row(row, corpus.scheme)[0] for row in rows)
    return [gold for gold in golds if gold]


def _check_derived(config: str, files: Mapping[str, Sequence[Path]], corpus: Corpus) -> list[Finding]:
    """Whether a config derived from the documents is as they give it; a finding on the first row that is not."""
    actual = tables.Stream(tables.batches(files[config], 10_000), tables.schema(config, corpus.scheme))
    first = 0
    for batch in tables.batches(files["documents"]):
        flat = tables.flat(config, batch, corpus.scheme)
        size = 0 if flat is None else flat.num_rows
        if flat is None or not actual.peek(size).equals(flat):
            golds = [gold for row in batch.to_pylist() if (gold := gold_of_row(row, corpus.scheme)[0])]
            rows = tables.rows(config, corpus.scheme, corpus.languages, golds)
            size = len(rows)
            if found := check_derived(config, first, actual.peek(size).to_pylist(), rows):
                return found
        actual.take(size)
        first += size
    more = 0
    while part := actual.take(10_000):
        more += len(part)
    message = f"has {first + more} rows, the documents give {first}"
    return [Finding(config, "config-disagrees", message)] if more else []


def _entry(file: Path) -> Json:
    """What a manifest is to say of a file."""
    return {
        "file": f"{file.parent.name}/{file.name}",
        "rows": tables.size(file),
        "bytes": file.stat().st_size,
        "sha256": sha256_of(file),
        "content_sha256": content_sha256(row for batch in tables.batches([file]) for row in batch.to_pylist()),
    }


def _files(folder: Path) -> list[Path]:
    order = {split: number for number, split in enumerate(SPLITS)}
    files = sorted(folder.glob("*.parquet"), key=lambda path: (order.get(tables.split_of(path.name), 3), path.name))
    if not files:
        raise InputError(f"{folder}: holds no Parquet file; remove the folder or restore its files")
    return files


def _check_papers(path: Path, files: Mapping[str, Sequence[Path]], corpus: Corpus) -> list[Finding]:
    """The manifest, the card and the checksums beside the data."""
    findings: list[Finding] = []
    for name in (MANIFEST, "README.md", SUMS):
        if not (path / name).is_file():
            findings.append(Finding(name, "file-missing", "the file is not in the dataset folder"))
    if findings:
        return findings
    manifest = read_json(path / MANIFEST)
    if not isinstance(manifest, dict):
        return [Finding(MANIFEST, "manifest-disagrees", "is not a JSON object")]
    findings += check_manifest(
        manifest, {config: entry_of([_entry(file) for file in some]) for config, some in files.items()}
    )
    top, body = card.split_header(read_text(path / "README.md"))
    if path.resolve() == corpus.dataset.resolve():
        findings += check_inputs(manifest, _inputs(corpus), corpus.version)
        if card.split_header(read_text(corpus.folder / CARD))[1] != body:
            findings.append(Finding(CARD, "card-disagrees", "its text is not that of dataset/README.md; export again"))
        header, _ = card.split_header(read_text(corpus.folder / CARD))
        own = croissant(corpus.scheme, manifest, header, body, read_citation(corpus.folder))
        for name, expected in ((CROISSANT, own), (PREDICTIONS, prediction_schema(corpus.scheme))):
            if not (path / name).is_file() or read_json(path / name) != expected:
                findings.append(Finding(name, "description-stale", "is not what is made now; export again"))
    findings += check_card(top, manifest, corpus.scheme)
    return findings + check_sums(path)


PAPERS = ("README.md", MANIFEST, CROISSANT, PREDICTIONS, SUMS)


def read_manifest(folder: Path) -> Json:
    """The manifest of a release, its `configs` in the order of CONFIGS, each with the one file that it has here.

    Raises InputError where it is not as `export_gold` writes it; its paths cannot lead elsewhere.
    """
    manifest = read_json(folder / MANIFEST)
    configs = manifest.get("configs") if isinstance(manifest, dict) else None
    if not isinstance(configs, dict) or "documents" not in configs:
        raise InputError(f"{folder / MANIFEST}: lists no config documents; is this a release?")
    for config, entry in configs.items():
        known = config in tables.CONFIGS and isinstance(entry, dict)
        files = entry.get("files", [entry]) if known else []
        of_several = "files" not in (entry if known else {}) or _has(entry, {"rows": int, "content_sha256": str})
        if not isinstance(files, list) or not files or not of_several or not all(_has(file, _FILE) for file in files):
            raise InputError(f"{folder / MANIFEST}: config {config!r} is not one of a release; restore it")
        names = [tables.parquet_name(config, split) for split in SPLITS]
        for file in files:
            if file["file"] not in names:
                expected = " or ".join(names)
                raise InputError(
                    f"{folder / MANIFEST}: the file of {config} is {file['file']!r}, not {expected}; restore it"
                )
    strings = ("name", "version", "content_sha256")
    if not all(isinstance(manifest.get(key), str) for key in strings) or not isinstance(
        manifest.get("tools", {}), dict
    ):
        raise InputError(f"{folder / MANIFEST}: has no {', '.join(strings)} or tools; restore it")
    found: Json = manifest | {"configs": {name: configs[name] for name in tables.CONFIGS if name in configs}}
    return found


_FILE = {"file": str, "rows": int, "bytes": int, "sha256": str, "content_sha256": str}


def _has(entry: Any, wanted: Mapping[str, type]) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in wanted.items())


def strays(folder: Path, manifest: Json, beside: Sequence[str] = ()) -> list[Path]:
    """What lies in a dataset folder and is no plain file of the release; also the folder itself, if it is a link."""
    own = {
        *PAPERS,
        *beside,
        *(file["file"] for entry in manifest["configs"].values() for file in tables.files_of(entry)),
    }
    folders = {str(parent) for name in own for parent in PurePosixPath(name).parents}
    found = [folder] if folder.is_symlink() else []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        plain = not path.is_symlink() and (path.is_file() if name in own else path.is_dir() and name in folders)
        found += [] if plain else [path]
    return found


def check_sums(path: Path) -> list[Finding]:
    """Whether the files of a dataset folder are those that its SHA256SUMS lists. Raises InputError without one."""
    findings: list[Finding] = []
    summed: dict[str, str] = {}
    for number, line in enumerate(read_text(path / SUMS).splitlines(), 1):
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        if match is None or summed.setdefault(match[2], match[1].lower()) != match[1].lower():
            findings.append(Finding(f"{SUMS} line {number}", "checksum", "is no sum, or another of the same file"))
    there = {
        file.relative_to(path).as_posix(): sha256_of(file)
        for file in path.rglob("*")
        if file.is_file() and file != path / SUMS
    }
    return findings + [
        Finding(f"{SUMS} {name}", "checksum", "is not the file that was summed, or only one of both")
        for name in sorted({*summed, *there})
        if summed.get(name) != there.get(name)
    ]


def check_label_config(corpus: Corpus) -> list[Finding]:
    """Whether the committed label config is the one that the scheme gives."""
    path = corpus.folder / "labeling" / "label_config.xml"
    if not path.is_file() or path.read_bytes() != render_label_config(corpus.scheme).encode():
        return [Finding(path.name, "label-config-stale", "is not made from the scheme; run `testimonia label-config`")]
    return []
