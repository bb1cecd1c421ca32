"""Releases without the texts: offsets and hashes, and the texts put back from local files after every hash is checked.

A stand-off release has the configs of the full one without the columns that quote the articles. Each span keeps
`text_sha256`, the hex SHA-256 of the document's own, a NUL and the span's words in UTF-8. `full/` holds the papers of
the full release (card, manifest, sums), which quote nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from testimonia import card, tables
from testimonia.errors import InputError
from testimonia.files import check_target, replaced_folder, sha256_of, write_atomic, write_json
from testimonia.release import (
    MANIFEST,
    PAPERS,
    SUMS,
    check_sums,
    content_of,
    content_sha256,
    entry_of,
    read_manifest,
    read_text,
    strays,
    write_sums,
)

Json = dict[str, Any]
FULL = "full"
_NAMED = 10  # articles that are missing are named up to so many
LARGEST = 1 << 26  # bytes of a file that may be an article
_FULL_FEATURES = b"testimonia.full"  # in the metadata of each Parquet file: what `huggingface` is in the full one
_NOTE = """**Without the texts.** This is a stand-off release: offsets, labels, attributes, relations and claims, and
the SHA-256 of each article and of each span. The columns that quote the articles (`text`, `title`, `head_text`,
`tail_text`, `tokens`, `texts`, `source_texts`) are not here. Whoever has the articles puts them back with
`testimonia rehydrate FOLDER --texts ARTICLES --out dataset`.

"""
_LICENSE = {"license": "cc-by-4.0"}
# Columns that quote an article, by config; those in lists of spans beside them.
_QUOTING = {
    "documents": {"text", "title"},
    "spans": {"text"},
    "relations": {"head_text", "tail_text"},
    "tokens": {"tokens"},
    "claim_mentions": {"texts", "source_texts"},
}


def strip_text(dataset: Path, out: Path) -> Json:
    """Writes the stand-off release of a dataset folder, whole or not at all; returns its manifest.

    Raises InputError where the folder is no release, its sums do not hold, something else lies in it, `out` holds
    other things, or a title is not in its text, so that it could not be put back.
    """
    manifest = _checked(dataset)
    if manifest.get("kind") == "stand-off":
        raise InputError(f"{dataset}: is a stand-off release; it has no texts")
    where = check_target(out, [dataset], MANIFEST)
    listed = _listed(manifest)
    documents = [tables.read_parquet(dataset / file["file"]) for file in listed["documents"]]
    hashes = {row["doc_id"]: row["text_sha256"] for table in documents for row in table.to_pylist()}
    header, body = card.split_header(read_text(dataset / "README.md"))
    configs = {}
    with replaced_folder(where) as folder:
        for config, some in listed.items():
            files = []
            for file in some:
                table = tables.read_parquet(dataset / file["file"])
                rows = [_stripped(config, row, hashes) for row in table.to_pylist()]
                features = _stripped_features(config, _features(dataset / config, table.schema))
                path = folder / file["file"]
                path.parent.mkdir(exist_ok=True)
                tables.write_parquet(path, rows, _schema(features, table.schema))
                changed = {
                    "bytes": path.stat().st_size,
                    "sha256": sha256_of(path),
                    "content_sha256": content_sha256(rows),
                }
                files.append(file | changed)
            configs[config] = entry_of(files)
            _describe(dataset, header, config, features, [file["bytes"] for file in files])
        ours = manifest | {"kind": "stand-off", "content_sha256": content_of(configs), "configs": configs}
        write_json(folder / MANIFEST, ours)
        header.pop("license_name", None)
        top = re.match(r"\s*# .*\n+", body)
        at = top.end() if top else 0
        write_atomic(folder / "README.md", card.written_header(header | _LICENSE) + body[:at] + _NOTE + body[at:])
        (folder / FULL).mkdir()
        for name in PAPERS:
            if (dataset / name).is_file():
                shutil.copyfile(dataset / name, folder / FULL / name)
        write_sums(folder)
    return ours


def rehydrate(standoff: Path, texts: Path, out: Path) -> tuple[Json, bool]:
    """Writes the full release again, from a stand-off one and a folder of articles.

    Returns its manifest, and whether its bytes are those of the release that was stripped; its rows always are. An
    article is found by its SHA-256, whatever its name. Raises InputError where one is missing or another text than was
    annotated, naming the first span that does not fit; where a hash in the stand-off release does not hold; where the
    result would not be the release that was stripped; or where `out` holds other things.
    """
    ours = _checked(standoff, [f"{FULL}/{name}" for name in PAPERS])
    if ours.get("kind") != "stand-off":
        raise InputError(f"{standoff}: is no stand-off release; it has its texts, or was not made by strip-text")
    manifest = read_manifest(standoff / FULL)
    if list(manifest["configs"]) != list(ours["configs"]):
        raise InputError(f"{standoff}: {MANIFEST} has other configs than {FULL}/{MANIFEST}; restore it")
    if content_of(manifest["configs"]) != manifest["content_sha256"]:
        raise InputError(f"{standoff / FULL / MANIFEST}: content_sha256 is not that of its configs; restore it")
    where = check_target(out, [standoff, texts], MANIFEST)
    listed = _listed(ours)
    stripped = [tables.read_parquet(standoff / file["file"]) for file in listed["documents"]]
    documents = {row["doc_id"]: row for table in stripped for row in table.to_pylist()}
    found = _articles(documents, texts)
    spans: dict[str, str] = {}
    with replaced_folder(where) as folder:
        for config, some in listed.items():
            files = []
            for file in some:
                table = tables.read_parquet(standoff / file["file"])
                features = _features(standoff / config, table.schema, _FULL_FEATURES)
                try:
                    rows = [_filled(config, row, documents, found, spans) for row in table.to_pylist()]
                except (KeyError, TypeError) as error:
                    raise InputError(f"{standoff / config}: a row has no {error} that is there; restore it") from None
                path = folder / file["file"]
                path.parent.mkdir(exist_ok=True)
                tables.write_parquet(path, rows, tables.schema_of(features))
                files.append(file | {"content_sha256": content_sha256(rows)})
            if entry_of(files)["content_sha256"] != manifest["configs"][config]["content_sha256"]:
                raise InputError(f"{standoff}: {config}: the rows are not those of the full release; restore it")
        for name in PAPERS:
            if name != SUMS and (standoff / FULL / name).is_file():
                shutil.copyfile(standoff / FULL / name, folder / name)
        write_sums(folder)
        same = (folder / SUMS).read_bytes() == (standoff / FULL / SUMS).read_bytes()
    return manifest, same


def _listed(manifest: Json) -> dict[str, list[Json]]:
    return {config: tables.files_of(entry) for config, entry in manifest["configs"].items()}


def _checked(folder: Path, beside: Sequence[str] = ()) -> Json:
    """The manifest of a release whose sums hold and in which nothing else lies. Raises InputError."""
    manifest = read_manifest(folder)
    for path in strays(folder, manifest, beside):
        raise InputError(f"{path}: is no plain file of the release; take it out, or restore the release")
    for broken in check_sums(folder):
        raise InputError(f"{folder}: {broken.place}: {broken.message}; restore the release")
    return manifest


def _hash(document_sha256: str, words: str) -> str:
    return hashlib.sha256(f"{document_sha256}\0{words}".encode()).hexdigest()


def _stripped(config: str, row: Json, hashes: Mapping[str, str]) -> Json:
    """A row without what quotes the article."""

    def hashed(span: Json) -> Json:
        return {_renamed(k): _hash(hashes[row["doc_id"]], v) if k == "text" else v for k, v in span.items()}

    if config == "documents":
        title = row["title"] or ""
        start = row["text"].find(title)
        if start < 0 or row["title"] is None:
            raise InputError(f"{row['doc_id']}: its title is not in its text, so that it could not be put back")
        row = row | {"title_start": start, "title_end": start + len(title)}
    if config == "spans":
        return hashed(row)
    if "spans" in row and config != "claim_mentions":
        row = row | {"spans": [hashed(span) for span in row["spans"]]}
    return {name: value for name, value in row.items() if name not in _QUOTING.get(config, set())}


def _renamed(name: str) -> str:
    return "text_sha256" if name == "text" else name


def _stripped_features(config: str, features: Mapping[str, tables.Feature]) -> dict[str, tables.Feature]:
    if config == "spans":
        return {_renamed(name): feature for name, feature in features.items()}
    found: dict[str, tables.Feature] = {}
    for name, feature in features.items():
        if name == "spans" and isinstance(feature, tuple) and isinstance(feature[1], dict):
            feature = ("list", {_renamed(inner): one for inner, one in feature[1].items()})
        if name not in _QUOTING.get(config, set()):
            found[name] = feature
    return found | ({"title_start": "int64", "title_end": "int64"} if config == "documents" else {})


def _features(place: Path, schema: pa.Schema, key: bytes = b"huggingface") -> dict[str, tables.Feature]:
    try:
        info = json.loads((schema.metadata or {})[key])
        return {name: tables.feature_of(one) for name, one in info["info"]["features"].items()}
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        raise InputError(f"{place}: its Parquet does not describe its features; restore the release") from None


def _schema(features: Mapping[str, tables.Feature], full: pa.Schema) -> pa.Schema:
    made = tables.schema_of(features)
    return made.with_metadata({**made.metadata, _FULL_FEATURES: full.metadata[b"huggingface"]})


def _describe(
    place: Path, header: Json, config: str, features: Mapping[str, tables.Feature], sizes: Sequence[int]
) -> None:
    """Puts the columns and sizes of a config into the header of the card."""
    try:
        [info] = [info for info in header["dataset_info"] if info["config_name"] == config]
        info["features"] = tables.yaml_features(features)
        info["download_size"] = info["dataset_size"] = sum(sizes)
        for split, size in zip(info["splits"], sizes, strict=True):
            split["num_bytes"] = size
    except (KeyError, TypeError, ValueError, IndexError):
        raise InputError(f"{place / 'README.md'}: its dataset_info does not describe {config}; export again") from None


def _articles(documents: Mapping[str, Json], folder: Path) -> dict[str, str]:
    """The text of each document, found by its hash among the files of a folder. Raises InputError."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; name one that holds the articles")
    files = {}
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and path.stat().st_size <= LARGEST:
                files[sha256_of(path)] = path
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}; make it readable or take it out") from None
    absent = [doc_id for doc_id, row in documents.items() if row["text_sha256"] not in files]
    for doc_id in absent:
        for path in files.values():
            if path.stem == doc_id:
                raise InputError(_unlike(doc_id, documents[doc_id], path))
    if absent:
        wanted = ", ".join(f"{doc_id} ({documents[doc_id]['text_sha256']})" for doc_id in absent[:_NAMED])
        more = f" and {len(absent) - _NAMED:,} more" if len(absent) > _NAMED else ""
        raise InputError(f"{folder}: no file has the SHA-256 of {wanted}{more}; put each article there, byte for byte")
    return {doc_id: files[row["text_sha256"]].read_text(encoding="utf-8") for doc_id, row in documents.items()}


def _unlike(doc_id: str, row: Json, path: Path) -> str:
    """What is wrong with the file that bears the name of a document: the first span that does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return f"{path}: is not UTF-8; {doc_id} is the article byte for byte as it was annotated"
    for span in row["spans"]:
        words = text[span["start"] : span["end"]]
        if _hash(row["text_sha256"], words) != span["text_sha256"]:
            return f"{path}: is not the text that was annotated: {span['id']} does not fit, there stands {words!r}"
    return f"{path}: is not the text that was annotated, though every span fits; it needs every byte of it"


def _filled(
    config: str, row: Json, documents: Mapping[str, Json], articles: Mapping[str, str], spans: dict[str, str]
) -> Json:
    """A row of the full release, its columns in any order; `spans` gathers the words of spans by id."""
    if config == "claims":
        return row
    doc_id = row["doc_id"]
    text, digest = articles[doc_id], documents[doc_id]["text_sha256"]

    def filled(span: Json) -> Json:
        words = text[span["start"] : span["end"]]
        if _hash(digest, words) != span["text_sha256"]:
            raise InputError(f"{span['id']}: the words there, {words!r}, have another hash; restore the release")
        spans[span["id"]] = words
        return {name: value for name, value in span.items() if name != "text_sha256"} | {"text": words}

    if config == "spans":
        return filled(row)
    if config == "documents":
        title = text[row["title_start"] : row["title_end"]]
        row = {name: value for name, value in row.items() if name not in ("title_start", "title_end")}
        row |= {"text": text, "title": title}
    if config in ("documents", "annotations"):
        return row | {"spans": [filled(span) for span in row["spans"]]}
    if config == "relations":
        return row | {"head_text": spans[row["head"]], "tail_text": spans[row["tail"]]}
    if config == "tokens":
        return row | {"tokens": [text[start:end] for start, end in zip(row["starts"], row["ends"], strict=True)]}
    return row | {
        "texts": [spans[one] for one in row["spans"]],
        "source_texts": [spans[one] for one in row["sources"]],
    }
