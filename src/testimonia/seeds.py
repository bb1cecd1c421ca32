"""The articles: files under `seeds/`, verbatim, as `sources.toml` lists them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from testimonia.document import Document, Zone
from testimonia.errors import InputError
from testimonia.splits import Policy, assigned, read_policy
from testimonia.toml import Table, is_file_name

TRANSLATIONS = ("human", "machine", "unknown")
ZONES = ("title", "body", "caption", "heading", "boilerplate")

_DOC_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def read_seeds(folder: Path, languages: Collection[str]) -> tuple[list[Document], Policy]:
    """The documents of a seeds folder, in the order of `sources.toml`, and the policy that gave them their splits.

    Raises InputError, with file, place and remedy, for a changed byte, bytes that are not UTF-8, a byte order
    mark, NUL, a carriage return, zones that overlap or leave the text, an unknown language, an id that stands twice.
    """
    sources = Table.read(folder / "sources.toml")
    policy = read_policy(sources.table("splits"))
    documents: dict[str, Document] = {}
    files: set[str] = set()
    for fold, table in enumerate(sources.tables("document")):
        document = _document(folder, table, fold, languages)
        if document.doc_id in documents:
            raise table.error("the id stands twice; give each document its own")
        documents[document.doc_id] = document
        file = table.string("file")
        if file in files:
            raise table.error(f"file = {file!r} belongs to another document already; give each its own")
        files.add(file)
        table.end()
    sources.end()
    strays = {path.name for path in folder.glob("*.txt")} - files
    if strays:
        raise sources.error(f"has no entry for {min(strays)}; add a [[document]] or remove the file")
    if not documents:
        raise sources.error("lists no [[document]]; add one per article")
    splits = assigned([(document.doc_id, document.text) for document in documents.values()], policy)
    return [replace(one, split=split) for one, split in zip(documents.values(), splits, strict=True)], policy


def _document(folder: Path, table: Table, fold: int, languages: Collection[str]) -> Document:
    doc_id = table.string("id")
    if not _DOC_ID.fullmatch(doc_id) or not is_file_name(doc_id):
        raise table.error(f"id = {doc_id!r} is not lower-case words joined by hyphens, such as ro-1")
    path = folder / table.peek("file")
    if not is_file_name(table.peek("file")) or path.is_symlink():
        raise table.error(f"file = {path.name!r} is not a plain file of {folder}; put it there")
    text = read_text(path, table.string("sha256"))
    return Document(
        doc_id=doc_id,
        language=table.string("language", among=languages),
        text=text,
        title=table.string("title"),
        translation=table.string("translation", among=TRANSLATIONS),
        fold=table.integer("fold", fold),
        zones=_zones(table, len(text)),
        rights=table.string("rights", ""),
    )


def read_text(path: Path, sha256: str) -> str:
    """The text of an article, byte for byte. Raises InputError where it may not enter the corpus."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; restore the file") from None
    if data.startswith(b"\xef\xbb\xbf"):
        raise InputError(f"{path}: byte 0: a byte order mark; save the file as UTF-8 without it")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not UTF-8 ({error.reason}); save the file as UTF-8") from None
    for character, name in (("\0", "a NUL"), ("\r", "a carriage return")):
        if character in text:
            line = text[: text.index(character)].count("\n") + 1
            raise InputError(f"{path}: line {line}: {name}, code point {text.index(character)}; take it out")
    if not text.strip():
        raise InputError(f"{path}: no text; remove the file or its entry")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise InputError(
            f"{path}: the bytes are not those of sources.toml (sha256 {found}); restore the file, "
            "or enter it as a new document: an annotated text never changes"
        )
    return text


def _zones(table: Table, length: int) -> tuple[Zone, ...]:
    zones = []
    for t in table.tables("zones"):
        zone = Zone(t.integer("start", -1), t.integer("end", -1), t.string("kind", among=ZONES))
        if not 0 <= zone.start < zone.end <= length:
            raise t.error(f"[{zone.start}, {zone.end}) leaves the text of {length} code points; mend the bounds")
        t.end()
        zones.append(zone)
    zones.sort()
    for left, right in pairwise(zones):
        if right.start < left.end:
            raise table.error(f"zones [{left.start}, {left.end}) and [{right.start}, {right.end}) overlap; part them")
    return tuple(zones)
