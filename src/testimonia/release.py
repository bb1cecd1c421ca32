"""A release of the dataset: built offline from `seeds/` and `labeling/`, and checked."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from testimonia import __version__, card, tables
from testimonia.adjudication import gold_of
from testimonia.agreement import measure_agreement
from testimonia.audit import read_audit
from testimonia.claims import check_claims
from testimonia.corpus import Corpus
from testimonia.croissant import croissant
from testimonia.document import Annotation, Gold
from testimonia.errors import Finding, FindingsError, InputError, errors_among
from testimonia.exports import read_corpus_round
from testimonia.files import locked, read_json, replaced_folder, sha256_of, write_atomic, write_json
from testimonia.formats import prediction_schema
from testimonia.label_config import render_label_config
from testimonia.rounds import read_annotations
from testimonia.validation import (
    annotations_of,
    check_card,
    check_claim_tables,
    check_derived,
    check_golds,
    check_inputs,
    check_manifest,
    check_others,
    check_schema,
    golds_of,
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
        sizes = {config: entry["rows"] for config, entry in manifest["configs"].items()}
        bytes_ = {config: entry["bytes"] for config, entry in manifest["configs"].items()}
        top = card.header(card_header, corpus.version, corpus.scheme, sizes, bytes_)
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
        rows = tables.rows(config, corpus.scheme, corpus.languages, golds, annotations, corpus.claims)
        if not rows:
            continue  # a split without rows breaks `load_dataset`
        path = folder / tables.parquet_name(config)
        path.parent.mkdir(exist_ok=True)
        tables.write_parquet(path, rows, tables.schema(config, corpus.scheme))
        configs[config] = {
            "file": tables.parquet_name(config),
            "rows": len(rows),
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
            "content_sha256": content_sha256(rows),
        }
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


def content_of(configs: Mapping[str, Json]) -> str:
    """Hex SHA-256 of a release, from those of its configs."""
    return content_sha256([{config: entry["content_sha256"] for config, entry in configs.items()}])


def content_sha256(rows: Sequence[Json]) -> str:
    """Hex SHA-256 of rows as canonical JSON lines, sorted: the same whatever wrote the Parquet."""
    lines = sorted(json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for row in rows)
    return hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()


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
    parts = [(path, tables.read_parquet(path)) for path in paths]
    findings = [
        Finding(f"{path.name}: {f.place}", f.id, f.message, f.severity)
        for path, table in parts
        for f in check_schema("documents", table.schema, corpus.scheme)
    ]
    if errors_among(findings):
        return findings
    golds, found = golds_of([row for _, table in parts for row in table.to_pylist()], corpus.scheme)
    return findings + found + check_golds(golds, corpus.scheme, corpus.languages)


def validate_dataset(path: Path, corpus: Corpus) -> list[Finding]:
    """Every finding on a dataset folder as `export_gold` writes it. Raises InputError where there is none."""
    if not path.is_dir():
        raise InputError(f"{path}: is no folder; give a dataset folder or Parquet files")
    if (path / MANIFEST).is_file() and read_manifest(path).get("kind") == "stand-off":
        raise InputError(f"{path}: is a stand-off release, without its texts; put them back with rehydrate first")
    read = {config: _read_config(path / config) for config in tables.CONFIGS if (path / config).is_dir()}
    if "documents" not in read:
        raise InputError(f"{path}: has no folder documents/ with Parquet files; is this a dataset of this shape?")
    findings = [
        finding for config, table in read.items() for finding in check_schema(config, table.schema, corpus.scheme)
    ]
    if errors_among(findings):
        return findings
    rows = {config: table.to_pylist() for config, table in read.items()}
    golds, found = golds_of(rows["documents"], corpus.scheme)
    findings += found
    findings += check_golds(golds, corpus.scheme, corpus.languages)
    if not errors_among(findings):
        for config in set(rows) & {"spans", "relations", "tokens"}:
            findings += check_derived(config, rows[config], golds, corpus.scheme, corpus.languages)
    annotations, found = annotations_of(rows.get("annotations", []), golds, corpus.scheme)
    findings += found
    findings += check_others(annotations, golds, corpus.scheme, corpus.languages)
    if "claims" in rows or "claim_mentions" in rows:
        both = rows.get("claims", []), rows.get("claim_mentions", [])
        findings += check_claim_tables(*both, golds, corpus.claims, corpus.scheme)
    findings += _check_papers(path, rows, corpus)
    return findings


def _read_config(folder: Path) -> pa.Table:
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise InputError(f"{folder}: holds no Parquet file; remove the folder or restore its files")
    try:
        return pa.concat_tables([tables.read_parquet(file) for file in files])
    except pa.ArrowInvalid as error:
        raise InputError(f"{folder}: its files have different schemas: {error}") from None


def _check_papers(path: Path, rows: dict[str, list[Json]], corpus: Corpus) -> list[Finding]:
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
    sizes = {config: len(found) for config, found in rows.items()}
    files = {config: " ".join(map(sha256_of, sorted((path / config).glob("*.parquet")))) for config in rows}
    content = {config: content_sha256(found) for config, found in rows.items()}
    findings += check_manifest(manifest, sizes, files, content)
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
    wanted = {"file": str, "rows": int, "bytes": int, "sha256": str, "content_sha256": str}
    for config, entry in configs.items():
        known = config in tables.CONFIGS and isinstance(entry, dict)
        if not known or not all(isinstance(entry.get(key), kind) for key, kind in wanted.items()):
            raise InputError(f"{folder / MANIFEST}: config {config!r} is not one of a release; restore it")
        if entry["file"] != tables.parquet_name(config):
            name = tables.parquet_name(config)
            raise InputError(f"{folder / MANIFEST}: the file of {config} is {entry['file']!r}, not {name}; restore it")
    strings = ("name", "version", "content_sha256")
    if not all(isinstance(manifest.get(key), str) for key in strings) or not isinstance(
        manifest.get("tools", {}), dict
    ):
        raise InputError(f"{folder / MANIFEST}: has no {', '.join(strings)} or tools; restore it")
    found: Json = manifest | {"configs": {name: configs[name] for name in tables.CONFIGS if name in configs}}
    return found


def strays(folder: Path, manifest: Json, beside: Sequence[str] = ()) -> list[Path]:
    """What lies in a dataset folder and is no plain file of the release; also the folder itself, if it is a link."""
    own = {*PAPERS, *beside, *(entry["file"] for entry in manifest["configs"].values())}
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
